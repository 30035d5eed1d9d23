/* hiredis (Debian libhiredis-dev) through redis_commands.txt and what the library itself offers.
 *
 *   hiredis PORT 2|3 COMMANDS    speaks RESP2 or RESP3, EMPTIES the server, prints one line per
 * call
 *
 * Lines and hiding are those of record.py and redis_commands.txt; here a reply shows its type:
 * +status, "text", 1, !error, null, [array]. This hiredis (0.14) speaks RESP2 only.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kLineMax = 1024, kWordsMax = 32, kPipelined = 400 };

static int port;

static void print_text(const char* text, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    unsigned char c = (unsigned char)text[i];
    if (c < 32 || c > 126 || c == '"' || c == '\\') {
      printf("\\x%02x", c);
    } else {
      putchar(c);
    }
  }
}

/* Long values are one number: a checksum by Adler's rule. */
static void print_bytes(char mark, const char* text, size_t length) {
  if (length > 2000) {
    unsigned a = 1, b = 0;
    for (size_t i = 0; i < length; ++i) {
      a = (a + (unsigned char)text[i]) % 65521;
      b = (b + a) % 65521;
    }
    printf("%c%zu bytes, checksum %u%c", mark, length, b << 16 | a, mark);
    return;
  }
  putchar(mark);
  print_text(text, length);
  putchar(mark);
}

/* "1795271823123-0": made of the server's clock. */
static int is_clock_id(const redisReply* reply) {
  if (reply->type != REDIS_REPLY_STRING || reply->len < 15 || reply->str[13] != '-') return 0;
  return strspn(reply->str, "0123456789") == 13;
}

static int by_text(const void* left, const void* right) {
  const redisReply* a = *(redisReply* const*)left;
  const redisReply* b = *(redisReply* const*)right;
  return strcmp(a->str ? a->str : "", b->str ? b->str : "");
}

static void print_reply(redisReply* reply, const char* how);

static void print_elements(redisReply* reply, const char* how) {
  if (!strcmp(how, "=sorted")) {
    qsort(reply->element, reply->elements, sizeof(redisReply*), by_text);
  }
  putchar('[');
  for (size_t i = 0; i < reply->elements; ++i) {
    if (i) fputs(", ", stdout);
    print_reply(reply->element[i], how);
  }
  putchar(']');
}

/* The fields of INFO, without those that count errors by name. */
static void print_names(const redisReply* reply) {
  const char* line = reply->str;
  while (line && *line) {
    size_t length = strcspn(line, "\r\n");
    const char* colon = memchr(line, ':', length);
    if (colon && strncmp(line, "errorstat_", 10)) printf("%.*s ", (int)(colon - line), line);
    line += length;
    line += strspn(line, "\r\n");
  }
}

static long long number_of(const redisReply* reply) {
  return reply->type == REDIS_REPLY_INTEGER ? reply->integer : atoll(reply->str ? reply->str : "0");
}

static void print_reply(redisReply* reply, const char* how) {
  if (!reply) {
    fputs("no reply", stdout);
    return;
  }
  int is_error = reply->type == REDIS_REPLY_ERROR;
  if (!is_error && !strcmp(how, "=kind")) {
    printf("a reply of type %d", reply->type);
  } else if (!is_error && !strcmp(how, "=about")) {
    long long left = number_of(reply);
    long long unit = 1;
    while (unit * 10 < left) unit *= 10;
    printf("about %lld", (left + unit - 1) / unit * unit);
  } else if (!is_error && !strcmp(how, "=names")) {
    print_names(reply);
  } else if (!strcmp(how, "=ids") && is_clock_id(reply)) {
    fputs("ID", stdout);
  } else {
    switch (reply->type) {
      case REDIS_REPLY_STATUS:
        putchar('+');
        print_text(reply->str, reply->len);
        break;
      case REDIS_REPLY_ERROR:
        putchar('!');
        print_text(reply->str, reply->len);
        break;
      case REDIS_REPLY_STRING:
        print_bytes('"', reply->str, reply->len);
        break;
      case REDIS_REPLY_INTEGER:
        printf("%lld", reply->integer);
        break;
      case REDIS_REPLY_NIL:
        fputs("null", stdout);
        break;
      case REDIS_REPLY_ARRAY:
        print_elements(reply, how);
        break;
      default:
        printf("type %d", reply->type);
    }
  }
}

static void show(const char* name, redisReply* reply, const char* how) {
  printf("%s -> ", name);
  print_reply(reply, how);
  if (!reply) printf(", %s", errno == EAGAIN ? "too late" : "closed");
  putchar('\n');
  fflush(stdout);
  freeReplyObject(reply);
}

static redisContext* connect_to_server(void) {
  struct timeval limit = {5, 0};
  redisContext* context = redisConnectWithTimeout("127.0.0.1", port, limit);
  if (!context || context->err) {
    fprintf(stderr, "hiredis: 127.0.0.1:%d: %s\n", port, context ? context->errstr : "no memory");
    exit(1);
  }
  redisSetTimeout(context, limit);
  return context;
}

static void run(redisContext* context, const char* text) {
  show(text, redisCommand(context, text), "");
}

/* \s \r \n \0 and \\ of redis_commands.txt, in place. */
static size_t unescape(char* word) {
  char* out = word;
  for (const char* in = word; *in; ++in) {
    if (*in != '\\') {
      *out++ = *in;
      continue;
    }
    ++in;
    *out++ = *in == 's' ? ' ' : *in == 'r' ? '\r' : *in == 'n' ? '\n' : *in == '0' ? '\0' : *in;
  }
  *out = '\0';
  return (size_t)(out - word);
}

static void run_line(redisContext** context, char* line) {
  char name[kLineMax];
  snprintf(name, sizeof name, "%s", line);
  const char* how = "";
  const char* words[kWordsMax];
  size_t lengths[kWordsMax];
  int count = 0;
  for (char* word = strtok(line, " "); word && count < kWordsMax; word = strtok(NULL, " ")) {
    if (count == 0 && *word == '=') {
      how = word;
      continue;
    }
    words[count] = word;
    lengths[count++] = unescape(word);
  }
  show(name, redisCommandArgv(*context, count, words, lengths), how);
  if ((*context)->err) { /* the lines that follow are still worth having */
    redisFree(*context);
    *context = connect_to_server();
  }
}

static void command_by_command(redisContext** context, const char* path) {
  FILE* file = fopen(path, "r");
  if (!file) {
    perror(path);
    exit(1);
  }
  char line[kLineMax];
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    if (*line && strncmp(line, "# ", 2)) run_line(context, line);
  }
  fclose(file);
}

static void own_api(redisContext* context) {
  static char big[1 << 20];
  for (size_t i = 0; i < sizeof big; ++i) big[i] = (char)(i * 7);
  show("SET %b", redisCommand(context, "SET big %b", big, sizeof big), "");
  show("GET a binary MiB", redisCommand(context, "GET big"), "");
  show("formatted", redisCommand(context, "HSET h%d %s %f", 7, "two words", 0.5), "");
  for (int i = 0; i < kPipelined; ++i) {
    redisAppendCommand(context, i % 2 ? "INCR p%d" : "MGET p%d big2 {t}x", i % 50);
  }
  for (int i = 0; i < kPipelined; ++i) {
    void* reply = NULL;
    redisGetReply(context, &reply);
    show("pipelined", reply, "");
  }
  const char raw[] = "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPING inline\r\n";
  redisAppendFormattedCommand(context, raw, sizeof raw - 1);
  void* reply = NULL;
  for (int i = 0; i < 2; ++i) {
    redisGetReply(context, &reply);
    show("formatted by hand", reply, "");
  }
}

static void next_message(redisContext* context) {
  void* reply = NULL;
  redisGetReply(context, &reply);
  show("message", reply, "");
}

static void subscriptions(redisContext* context) {
  redisContext* subscriber = connect_to_server();
  run(subscriber, "SUBSCRIBE news other");
  next_message(subscriber);
  run(context, "PUBLISH news first");
  next_message(subscriber);
  run(subscriber, "PSUBSCRIBE n*");
  run(context, "PUBLISH news twice");
  next_message(subscriber);
  next_message(subscriber);
  run(subscriber, "SSUBSCRIBE shard");
  run(context, "SPUBLISH shard sharded");
  next_message(subscriber);
  run(context, "PUBSUB NUMSUB news other nobody");
  run(context, "PUBSUB SHARDNUMSUB shard");
  run(subscriber, "GET a");
  run(subscriber, "PING");
  run(subscriber, "UNSUBSCRIBE news other");
  next_message(subscriber);
  run(subscriber, "PUNSUBSCRIBE n*");
  run(subscriber, "SUNSUBSCRIBE");
  run(subscriber, "UNSUBSCRIBE");
  run(subscriber, "GET missing");
  run(context, "PUBLISH news nobody");
  run(subscriber, "RESET");
  run(subscriber, "PING");
  redisFree(subscriber);
}

/* Asked for without waiting, so that the second client can act while the first one waits. */
static void woken(redisContext* context, const char* waiting, const char* waker) {
  redisContext* other = connect_to_server();
  redisAppendCommand(other, waiting);
  int done = 0;
  while (!done) redisBufferWrite(other, &done);
  run(context, waker);
  void* reply = NULL;
  redisGetReply(other, &reply);
  show(waiting, reply, "");
  redisFree(other);
}

static void connections(redisContext* context) {
  redisContext* other = connect_to_server();
  redisReply* number = redisCommand(other, "CLIENT ID");
  show("kill another", redisCommand(context, "CLIENT KILL ID %lld", number->integer), "");
  freeReplyObject(number);
  struct pollfd ended = {other->fd, POLLIN, 0};
  poll(&ended, 1, 5000);
  show("a call afterwards", redisCommand(other, "GET a"), "");
  printf("reconnected -> %d\n", redisReconnect(other));
  run(other, "GET missing");
  redisAppendCommand(other, "CLIENT REPLY SKIP");
  redisAppendCommand(other, "PING skipped");
  run(other, "PING answered");
  redisAppendCommand(other, "CLIENT REPLY OFF");
  redisAppendCommand(other, "PING unheard");
  run(other, "CLIENT REPLY ON");
  redisFree(other);
  other = connect_to_server();
  run(other, "QUIT");
  run(other, "GET after");
  redisFree(other);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: hiredis PORT COMMANDS\n");
    return 64;
  }
  port = atoi(argv[1]);
  redisContext* context = connect_to_server();
  command_by_command(&context, argv[2]);
  redisFree(context);
  context = connect_to_server(); /* whatever state the list left */
  own_api(context);
  subscriptions(context);
  woken(context, "BLPOP {q}1 10", "RPUSH {q}1 woken");
  woken(context, "BZPOPMIN {q}z 10", "ZADD {q}z 5 w");
  woken(context, "XREAD BLOCK 10000 STREAMS {q}x 0", "XADD {q}x 1-1 a 1");
  woken(context, "BLMOVE {q}1 {q}2 LEFT LEFT 10", "RPUSH {q}1 moved");
  connections(context);
  run(context, "FLUSHALL");
  redisFree(context);
  return 0;
}
