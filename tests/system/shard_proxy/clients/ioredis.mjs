// ioredis through every command group that it offers.
//
//   CLIENT_MODULES=FOLDER node ioredis.mjs PORT 2|3
//
// speaks RESP2 or RESP3, EMPTIES the server and prints one line per call, see record.py.
import { commandsOf, hidden } from './redis_commands.mjs';
import { BINARY, collect, event, load, note, ONE_MIB, recorder, sorted } from './record.mjs';

const { Redis } = load('ioredis');
const [port, protocol] = process.argv.slice(2).map(Number);
// One attempt: a reply that never comes must show, not be asked again.
const connect = (more = {}) => new Redis({ port, protocol, maxRetriesPerRequest: 0, ...more });

// Of these, the methods collect a transaction instead of sending the command.
const OWN_MEANING = ['multi', 'exec'];

async function commandByCommand(client) {
  for (const { how, words, text } of commandsOf()) {
    const [name, ...rest] = words;
    const isMethod = name in client && !OWN_MEANING.includes(name);
    const call = async () => (isMethod ? client[name](...rest) : client.call(name, ...rest));
    await note(text, call, hidden(how));
  }
}

async function binaries(run) {
  await run('set', BINARY, BINARY);
  await run('getBuffer', BINARY);
  await run('set', 'big', ONE_MIB);
  await run('getBuffer', 'big');
  await run('hset', 'h', new Map([['a', 1], ['b', BINARY]]));
  await run('hgetallBuffer', 'h');
  await run('mset', { one: 1, two: 2 });
  await run('mget', ['one', 'two', 'three']);
  await run('incrbyfloat', 'one', 1.5);
  await run('del', 'big');
}

async function iterators(run) {
  const { client } = run;
  await client.mset(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`it:${i}`, i])));
  await client.sadd('it-set', ...Array.from({ length: 300 }, (_, i) => i));
  await client.zadd('it-zset', ...Array.from({ length: 300 }, (_, i) => [i, `m${i}`]).flat());
  await client.hset('it-hash', Object.fromEntries(Array.from({ length: 300 }, (_, i) => [i, i])));
  const unique = (items) => [...new Set(items.map(String))].sort();
  await note('scanStream', () => collect(client.scanStream({ match: 'it:*', count: 7 })), unique);
  await note('scanStream of a type', () => collect(client.scanStream({ type: 'zset' })), unique);
  await note('scanBufferStream', () => collect(client.scanBufferStream({ match: 'it-*' })), unique);
  await note('sscanStream', () => collect(client.sscanStream('it-set')), unique);
  await note('zscanStream', () => collect(client.zscanStream('it-zset', { match: 'm1*' })), unique);
  await note('hscanStream', () => collect(client.hscanStream('it-hash', { count: 5 })), unique);
  await run('unlink', 'it-set', 'it-zset', 'it-hash');
}

async function pipelines(run) {
  const { client } = run;
  const pipe = client.pipeline();
  for (let i = 0; i < 200; i += 1) {
    pipe.set(`p${i}`, i).incr(`p${i}`).get(`p${i}`).lpush(`p${i}`, 1);
  }
  pipe.mget(Array.from({ length: 200 }, (_, i) => `p${i}`)).get('missing');
  await note('pipeline', () => pipe.exec());
  await note('pipeline of a list', () => client.pipeline([['set', 'a', 1], ['get', 'a']]).exec());
  await note('multi', () => client.multi().set('{w}1', 1).incr('{w}1').lrange('{w}2', 0, -1)
    .exec());
  await note('multi with a failure', () => client.multi().set('{w}1', 'x').incr('{w}1').exec());
  await note('multi refused', () => client.multi().set('{w}1', 'y').call('nonsense').exec());
  await note('multi without a pipeline', async () => {
    await client.multi({ pipeline: false });
    return [await client.set('{w}1', 'z'), await client.get('{w}1'), await client.exec()];
  });
  const other = connect();
  await note('watch, changed', async () => {
    await client.watch('{w}1');
    await other.set('{w}1', 'theirs');
    return client.multi().set('{w}1', 'mine').exec();
  });
  await note('watch, unchanged', async () => {
    await client.watch('{w}1');
    return client.multi().set('{w}1', 'mine').exec();
  });
  await note('a blocking call in multi', () => client.multi().blpop('{w}none', 0).exec());
  await note('autopipelining', async () => {
    const quick = connect({ enableAutoPipelining: true });
    const all = await Promise.all([quick.set('ap', 1), quick.incr('ap'), quick.get('ap')]);
    quick.disconnect();
    return all;
  });
  await note('keyPrefix', async () => {
    const prefixed = connect({ keyPrefix: 'pre:' });
    const all = [await prefixed.set('k', 1), await prefixed.get('k'), await client.get('pre:k')];
    prefixed.disconnect();
    return all;
  });
  await other.quit();
}

async function scripts(run) {
  const { client } = run;
  const lua = "return redis.call('incrby', KEYS[1], ARGV[1])";
  client.defineCommand('plus', { numberOfKeys: 1, lua });
  await run('plus', 'counter', 5);
  await run('plus', 'other counter', 5);
  await run('script', 'FLUSH');
  await run('plus', 'counter', 5);
  await note('plus in a pipeline', () => client.pipeline().plus('counter', 1).plus('river', 1)
    .exec());
}

// What arrives at a subscriber, in order; nothing is waited for longer than the note's limit.
function inbox(client) {
  const arrived = [];
  const waiting = [];
  const put = (item) => (waiting.length ? waiting.shift()(item) : arrived.push(item));
  for (const name of ['message', 'pmessage', 'smessage']) {
    client.on(name, (...words) => put([name, ...words]));
  }
  return () => new Promise((resolve) => {
    if (arrived.length) resolve(arrived.shift()); else waiting.push(resolve);
  });
}

async function subscriptions(run) {
  const subscriber = connect();
  const next = inbox(subscriber);
  const from = recorder(subscriber);
  await from('subscribe', 'news', 'other');
  await run('publish', 'news', 'first');
  await note('message', next);
  await from('psubscribe', 'n*', 'late:?');
  await run('publish', 'news', 'twice');
  await note('message', next);
  await note('message', next);
  await run('publish', 'late:1', 'by pattern');
  await note('message', next);
  await from('ssubscribe', 'shard');
  await run('spublish', 'shard', 'sharded');
  await note('message', next);
  await run.changed(sorted, 'pubsub', 'CHANNELS');
  await run('pubsub', 'NUMSUB', 'news', 'nobody');
  await run('pubsub', 'NUMPAT');
  await run('pubsub', 'SHARDCHANNELS');
  await from('get', 'a');
  await from('ping');
  await from('unsubscribe', 'news');
  await from('sunsubscribe', 'shard');
  // Without names ioredis waits for one answer of several (its own limit).
  await from('punsubscribe', 'n*', 'late:?');
  await from('unsubscribe', 'other');
  await from('get', 'missing');
  await run('publish', 'news', 'nobody listens');
  await from('subscribe', 'news');
  await note('reconnected', async () => {
    subscriber.disconnect(true);
    await event(subscriber, 'ready');
    while (await run.client.publish('news', 'after all') === 0);
    return next();
  });
  await from('quit');
}

async function blocking(run) {
  const other = connect();
  const woken = (name, words, wake) => note(`${name}, woken`, async () => {
    const waiting = other[name](...words);
    await wake();
    return waiting;
  });
  await woken('blpop', ['{q}1', 10], () => run('rpush', '{q}1', 'woken'));
  await woken('bzpopmin', ['{q}z', 10], () => run('zadd', '{q}z', 5, 'w'));
  await woken('xread', ['BLOCK', 10000, 'STREAMS', '{q}x', '0'],
    () => run('xadd', '{q}x', '1-1', 'a', 1));
  await note('several waiting calls', () => Promise.all([
    other.blpop('{q}none', 0.02), other.get('missing'), other.brpop('{q}none', 0.02)]));
  await other.quit();
}

// ioredis connects again by itself when its connection was closed.
async function reconnects(run) {
  const other = connect({ connectionName: 'second', retryStrategy: () => 10 });
  const its = recorder(other);
  await its('client', 'GETNAME');
  const number = await other.client('ID');
  const ready = event(other, 'close').then(() => event(other, 'ready'));
  await note('kill it', () => run.client.client('KILL', 'ID', number));
  await note('ready again', () => ready, () => 'ready');
  await its('client', 'GETNAME');
  await its('get', 'after');
  await its('select', 3);
  await its('set', 'in three', 1);
  await run('exists', 'in three');
  await its('quit');
  await note('database 3', async () => {
    const third = connect({ db: 3 });
    const found = await third.get('in three');
    await third.quit();
    return found;
  });
}

const client = connect();
client.on('error', () => {});
const run = recorder(client);
await note('ready', () => event(client, 'ready'), () => 'ready');
await note('server', async () => Object.keys(client.serverInfo ?? {}).length > 50);
await commandByCommand(client);
for (const part of [binaries, iterators, pipelines, scripts, subscriptions, blocking, reconnects]) {
  process.stdout.write(`# ${part.name}\n`);
  await part(run);
}
await run('flushall');
await run('quit');
process.exit(0);
