"""Raw requests, well-formed and not, for the comparison of a server with the proxy before it.

Each case is (name, bytes). They run in this order against servers that start empty, so a case may
use what an earlier one stored. Names that end in "@one" are about a whole server (or several keys),
and are only comparable when the proxy has one server behind it.
"""
from talk import command

KEY250 = b"k" * 250
KEY251 = b"k" * 251
# The largest item that fits into memcached's default of 1 MiB with its header.
NEARLY_1MIB = (1 << 20) - 512
KEYS_100 = b" ".join(b"key%d" % i for i in range(100))


def store(words, value):
    return b"%s %d\r\n%s\r\n" % (words, len(value), value)


MEMCACHED = [
    # Storage.
    ("set", b"set a 0 0 1\r\nx\r\nget a\r\n"),
    ("set with flags", b"set a 4294967295 0 2\r\nxy\r\nget a\r\n"),
    ("flags too large", b"set a 4294967296 0 1\r\nx\r\nget a\r\n"),
    ("negative flags", b"set a -1 0 1\r\nx\r\nget a\r\n"),
    ("set expired at once", b"set e 0 -1 1\r\nx\r\nget e\r\n"),
    ("exptime no number", b"set a 0 soon 1\r\nx\r\n"),
    ("empty value", b"set empty 0 0 0\r\n\r\nget empty\r\n"),
    ("binary value", store(b"set bin 0 0", bytes(range(256))) + b"get bin\r\n"),
    ("value with line ends", store(b"set lines 0 0", b"END\r\nget a\r\n") + b"get lines\r\n"),
    ("nearly 1 MiB", store(b"set big 0 0", b"v" * NEARLY_1MIB) + b"get big\r\n"),
    ("1 MiB is too large", store(b"set big 0 0", b"v" * (1 << 20)) + b"get big\r\nget a\r\n"),
    ("too large removes the old value", store(b"set a 0 0", b"v" * (2 << 20)) + b"get a\r\n"),
    ("too large with noreply", store(b"set big 0 0", b"v" * (1 << 20))
     .replace(b"48576\r", b"48576 noreply\r") + b"get big\r\n"),
    ("add, replace", b"add b 0 0 1\r\n1\r\nadd b 0 0 1\r\n2\r\nreplace b 0 0 1\r\n3\r\n"
     b"replace nope 0 0 1\r\n4\r\nget b nope\r\n"),
    ("append, prepend", b"set c 7 0 1\r\nm\r\nappend c 0 0 1\r\nz\r\nprepend c 0 0 1\r\na\r\n"
     b"append nope 0 0 1\r\nx\r\nprepend nope 0 0 1\r\nx\r\nget c\r\n"),
    ("cas on a miss", b"cas nope 0 0 1 1\r\nx\r\n"),
    ("cas that does not fit", b"cas a 0 0 1 999999\r\nx\r\ncas b 0 0 1 999999\r\nx\r\n"),
    ("cas without its number", b"cas a 0 0 1\r\nx\r\n"),
    ("cas with a bad number", b"cas a 0 0 1 abc\r\nx\r\n"),
    ("gets@one", b"gets b\r\n"),
    ("set without length", b"set a 0 0\r\nx\r\n"),
    ("set with one word too many", b"set a 0 0 1 2 3\r\nx\r\n"),
    ("set alone", b"set\r\n"),
    ("negative length", b"set a 0 0 -1\r\nx\r\n"),
    ("length no number", b"set a 0 0 1x\r\nx\r\n"),
    ("length beyond 2^31", b"set a 0 0 2147483648\r\nx\r\n"),
    ("length of 2^31-1", b"set a 0 0 2147483647\r\nx\r\n"),
    ("length of 2^31-2", b"set a 0 0 2147483646\r\nx\r\n"),
    ("length beyond 2^64", b"set a 0 0 99999999999999999999\r\nx\r\n"),
    ("body too long", b"set a 0 0 1\r\nxyz\r\nget b\r\n"),
    ("body too short", b"set a 0 0 5\r\nxy\r\nget b\r\n"),
    ("body ends in LF only", b"set a 0 0 2\r\nxy\nget b\r\n"),
    # Keys.
    ("key of 250 bytes", store(b"set " + KEY250 + b" 0 0", b"x") + b"get " + KEY250 + b"\r\n"),
    ("set of 251 bytes", store(b"set " + KEY251 + b" 0 0", b"x") + b"get a\r\n"),
    ("get of 251 bytes", b"get " + KEY251 + b"\r\n"),
    ("get of a good and a long key", b"get b " + KEY251 + b"\r\n"),
    ("delete, incr, touch of 251 bytes", b"delete %s\r\nincr %s 1\r\ntouch %s 0\r\n"
     % (KEY251, KEY251, KEY251)),
    ("key of high bytes", "set ключ 0 0 1\r\nx\r\nget ключ\r\n".encode()),
    # Retrieval.
    ("get miss", b"get nope\r\n"),
    ("get several@one", b"get a nope b c nope b\r\n"),
    ("get 100 keys@one", b"get " + KEYS_100 + b" b\r\n"),
    ("gat", b"gat 0 b\r\ngat 0 nope\r\n"),
    ("gats@one", b"gats 0 b\r\n"),
    ("gat several@one", b"gat 100 a b c nope\r\n"),
    ("gat without key", b"gat 0\r\n"),
    ("gat alone", b"gat\r\n"),
    ("gat with a bad exptime", b"gat soon b\r\n"),
    ("gat expires", b"set g 0 0 1\r\nx\r\ngat -1 g\r\nget g\r\n"),
    ("get alone", b"get\r\n"),
    ("get and a blank", b"get \r\n"),
    ("gets alone", b"gets\r\n"),
    # Numbers.
    ("incr, decr", b"set n 0 0 1\r\n5\r\nincr n 10\r\ndecr n 3\r\ndecr n 100\r\n"),
    ("incr wraps", b"set n 0 0 20\r\n18446744073709551615\r\nincr n 1\r\n"),
    ("incr miss", b"incr nope 1\r\ndecr nope 1\r\n"),
    ("incr of no number", b"incr b2 1\r\nset b2 0 0 1\r\nx\r\nincr b2 1\r\n"),
    ("bad deltas", b"incr n x\r\nincr n -1\r\nincr n\r\nincr\r\nincr n 99999999999999999999\r\n"),
    ("touch", b"touch b 0\r\ntouch nope 0\r\ntouch b\r\ntouch b x\r\ntouch\r\n"),
    # Deletion.
    ("delete", b"delete c\r\ndelete c\r\n"),
    ("delete with 0", b"set c 0 0 1\r\nx\r\ndelete c 0\r\n"),
    ("delete with 5", b"delete c 5\r\n"),
    ("delete with words", b"delete c x y z\r\ndelete\r\n"),
    # noreply: a miss and a success are silent, an error is the server's choice.
    ("noreply storage", b"set q 0 0 1 noreply\r\nx\r\nadd q 0 0 1 noreply\r\ny\r\n"
     b"append q 0 0 1 noreply\r\nz\r\nreplace nope 0 0 1 noreply\r\nx\r\nget q\r\n"),
    ("noreply cas", b"cas q 0 0 1 999 noreply\r\nx\r\nget q\r\n"),
    ("noreply numbers", b"set n 0 0 1 noreply\r\n5\r\nincr n 1 noreply\r\ndecr n 2 noreply\r\n"
     b"incr nope 1 noreply\r\ntouch n 0 noreply\r\ntouch nope 0 noreply\r\nget n\r\n"),
    ("noreply delete", b"delete n noreply\r\ndelete n noreply\r\ndelete n 0 noreply\r\nget n\r\n"),
    ("noreply and an error", b"set q 0 0 1 noreply\r\nx\r\nincr q 1 noreply\r\nget q\r\n"),
    ("noreply and a bad line", b"set q 0 0 abc noreply\r\nincr q x noreply\r\n"
     b"delete q 5 noreply\r\ntouch q x noreply\r\nget q\r\n"),
    ("noreply and a long key", b"delete %s noreply\r\nincr %s 1 noreply\r\n" % (KEY251, KEY251)),
    ("noreply in capitals", b"delete q NOREPLY\r\nget q\r\n"),
    ("noreply and a bad body", b"set q 0 0 1 noreply\r\nxyz\r\nget q\r\n"),
    ("verbosity noreply@one", b"verbosity 0 noreply\r\n"),
    # Meta commands.
    ("mn", b"mn\r\nmn\r\n"),
    ("mg", b"set m 9 0 3\r\nabc\r\nmg m\r\nmg m v\r\nmg m s t f k v O12\r\nmg nope\r\n"
     b"mg nope v\r\n"),
    ("mg cas@one", b"mg m c v\r\n"),
    ("mg history", b"set mh 0 0 1\r\nx\r\nmg mh h v\r\nmg mh h l t v\r\n"),
    ("mg vivifies", b"mg viv N30 v\r\nmg viv N30 v\r\n"),
    ("mg touches", b"mg m T30 v\r\nmg m T-1 v\r\nmg m v\r\nset m 9 0 3\r\nabc\r\n"),
    ("mg quiet", b"mg nope q\r\nmg m q v\r\nmg nope v q k\r\nmn\r\n"),
    ("mg bad", b"mg\r\nmg %s\r\nmg %s v\r\n" % (KEY250, KEY251)),
    ("mg flags that nobody knows", b"mg m X v\r\nmg m v v\r\nmg m Zabc v\r\n"),
    ("mg opaque of 32 and 33", b"mg m O%s v\r\nmg m O%s v\r\n" % (b"o" * 31, b"o" * 40)),
    ("mg bad number", b"mg m Tx v\r\nmg m Nx\r\n"),
    ("mg base64", b"set foo 0 0 1\r\nx\r\nmg Zm9v b v\r\nmg Zm9v b k v\r\nmg Zm9v v\r\n"),
    ("mg bad base64", b"mg !!!! b v\r\n"),
    ("ms", b"ms s 2\r\nhi\r\nms s 2 T0 F5\r\nho\r\nmg s f v\r\n"),
    ("ms returns", b"ms s 2 k O7\r\nhi\r\nms s 2 b\r\nhi\r\n"),
    ("ms modes", b"ms s 1 ME\r\nx\r\nms s 1 MA\r\na\r\nms s 1 MP\r\np\r\nms s 1 MR\r\nr\r\n"
     b"ms s 1 MS\r\ns\r\nmg s v\r\nms s 1 MX\r\nx\r\n"),
    ("ms cas", b"ms s 1 C999999\r\nx\r\nms nope 1 C5\r\nx\r\n"),
    ("ms invalidates@one", b"ms s 1 I C1 c\r\nx\r\n"),
    ("ms bad", b"ms\r\nms s\r\nms s x\r\nms s -1\r\n"),
    ("ms old size token", b"ms s S1\r\nx\r\n"),
    ("ms bad body", b"ms s 1\r\nxyz\r\nmn\r\n"),
    ("ms bad flag number", b"ms s 1 Tx\r\nx\r\nms s 1 Fx\r\nx\r\n"),
    ("ms long key", store(b"ms " + KEY251, b"x")),
    ("ms too large", store(b"ms s", b"v" * (1 << 20)) + b"mg s v\r\n"),
    ("ms quiet", b"ms s 1 q\r\nx\r\nms s 1 q ME\r\nx\r\nms s 1 q C99999\r\nx\r\nmn\r\n"),
    ("ms quiet bad body", b"ms s 1 q\r\nxyz\r\nmn\r\n"),
    ("ms base64", b"ms YmFy 1 b\r\nx\r\nget bar\r\n"),
    ("md", b"md s\r\nmd s\r\nmd s k O5\r\nms s 1\r\nx\r\nmd s q\r\nmn\r\n"),
    ("quiet md that misses", b"md s q\r\nmn\r\n"),
    ("md invalidates", b"ms s 1\r\nx\r\nmd s I T30\r\nmg s v t\r\nmg s v t\r\n"),
    ("md bad", b"md\r\nmd s C9999999\r\nmd s Cx\r\nmd %s\r\n" % KEY251),
    ("ma", b"set n 0 0 1\r\n5\r\nma n\r\nma n v\r\nma n MI D5 v\r\nma n MD D3 v\r\nma n M- v\r\n"
     b"ma n t v k O3\r\nma nope\r\n"),
    ("ma creates", b"ma auto N0 J13 v\r\nma auto N0 J13 v\r\n"),
    ("ma bad", b"ma\r\nma m\r\nma n Dx\r\nma n MX\r\nma %s\r\n" % KEY251),
    ("ma quiet", b"ma n q\r\nma m q\r\nma n q C9999\r\nmn\r\n"),
    ("quiet ma that misses", b"ma nope q\r\nmn\r\n"),
    ("quiet ma with its value", b"set n 0 0 1\r\n5\r\nma n q v\r\nmn\r\n"),
    ("me", b"me nope\r\nme\r\nme nope q\r\n"),
    ("quiet and mn in a burst", b"mg nope q\r\nms z 1 q\r\nx\r\nmg z v q\r\nmd z q\r\nmg z v q\r\n"
     b"ma n q\r\nmn\r\n"),
    # Lines.
    ("LF only", b"set a 0 0 1\nx\r\nget a\n"),
    ("blanks in front", b"  get b\r\n"),
    ("runs of blanks", b"get   b    nope  \r\n"),
    ("runs of blanks in set", b"set  a  0  0  1 \r\nx\r\n"),
    ("a tab is no blank", b"get\tb\r\n"),
    ("empty lines", b"\r\n\r\n\n"),
    ("CR inside", b"get a\rb\r\n"),
    ("CR in a key to store", b"set a\rb 0 0 1\r\nx\r\n"),
    ("NUL inside", b"get a\0b\r\n"),
    ("unknown command", b"frobnicate\r\nget b\r\n"),
    ("commands are case-sensitive", b"GET b\r\nSet a 0 0 1\r\nVERSION\r\n"),
    ("meta of three letters", b"mgx b\r\nmx b\r\nm\r\nmz\r\n"),
    ("line of 2048 bytes", b"x" * 2046 + b"\r\nget b\r\n"),
    ("long get line@one", b"get " + b" ".join([b"key"] * 5000) + b"\r\n"),
    ("line of 2100 bytes", b"y" * 2100 + b"\r\nget b\r\n"),
    # The server as a whole.
    ("version", b"version\r\n"),
    ("version with a word", b"version x\r\n"),
    ("verbosity", b"verbosity 0\r\n"),
    ("bad verbosity@one", b"verbosity\r\nverbosity x\r\n"),
    ("stats reset@one", b"stats reset\r\n"),
    ("stats bad@one", b"stats nonsense\r\nstats detail\r\nstats detail dump\r\n"),
    ("cache_memlimit@one", b"cache_memlimit 64\r\ncache_memlimit x\r\ncache_memlimit\r\n"),
    ("shutdown", b"shutdown\r\n"),
    ("flush_all", b"set a 0 0 1\r\nx\r\nflush_all\r\nget a\r\n"),
    ("flush_all 0", b"flush_all 0\r\n"),
    ("flush_all noreply", b"set a 0 0 1\r\nx\r\nflush_all noreply\r\nget a\r\n"),
    ("flush_all 0 noreply", b"flush_all 0 noreply\r\n"),
    ("flush_all bad", b"flush_all x\r\nflush_all -1\r\n"),
    ("flush_all later", b"flush_all 1000\r\nset a 0 0 1\r\nx\r\nget a\r\nflush_all\r\n"),
    ("quit", b"get a\r\nquit\r\nget a\r\n"),
    ("quit with a word", b"quit x\r\n"),
    ("burst", b"".join(b"set p%d 0 0 1\r\n%d\r\nget p%d\r\ndelete p%d\r\n" % (i, i % 10, i, i)
                       for i in range(300))),
]

def lines(text):
    """One command per line, its words separated by blanks."""
    return b"".join(command(*line.split()) for line in text.strip().splitlines())


REDIS = [
    # Commands of each family, with their errors.
    ("strings", lines("""SET s hello
        GET s
        GETRANGE s 1 3
        SETRANGE s 1 EY
        APPEND s !
        STRLEN s
        SETNX s x
        GETSET s new
        GETDEL s
        GETEX s
        GET s""")),
    ("set options", lines("""SET s 1 EX 100
        TTL s
        SET s 2 KEEPTTL
        SET s 3 NX
        SET s 3 XX GET
        SET s 3 EX
        SET s 3 EX x
        SET s 3 EX -1
        SET s 3 NX XX
        SETEX s 100 v
        PSETEX s 100000 v""")),
    ("numbers", lines("""SET n 10
        INCR n
        INCRBY n 5
        DECRBY n 3
        DECR n
        INCRBYFLOAT n 0.5
        INCR n
        SET n 9223372036854775807
        INCR n
        INCRBY n x""")),
    ("hashes", lines("""HSET h a 1 b 2
        HGET h a
        HGETALL h
        HMGET h a x b
        HINCRBY h a 4
        HKEYS h
        HVALS h
        HLEN h
        HEXISTS h a
        HDEL h a b
        HGETALL h
        HSET h a""")),
    ("lists", lines("""RPUSH l 1 2 3
        LPUSH l 0
        LRANGE l 0 -1
        LINDEX l 1
        LINSERT l BEFORE 2 x
        LREM l 0 x
        LTRIM l 1 -1
        LPOP l
        RPOP l 5
        LLEN l
        LPOS l 1""")),
    ("sets", lines("""SADD t a b c
        SCARD t
        SISMEMBER t a
        SMISMEMBER t a x
        SREM t a
        SADD t
        SMEMBERS nope""")),
    ("sorted sets", lines("""ZADD z 1 a 2 b 3 c
        ZSCORE z b
        ZRANGE z 0 -1 WITHSCORES
        ZRANGEBYSCORE z (1 +inf
        ZRANK z c
        ZINCRBY z 1.5 a
        ZPOPMIN z
        ZADD z x y
        ZRANGEBYSCORE z a b""")),
    ("expiry", lines("""SET x 1
        EXPIRE x 100
        TTL x
        PERSIST x
        TTL x
        PTTL nope
        EXPIRE x -1
        EXISTS x
        EXPIRE x a""")),
    ("bits", lines("""SETBIT bits 7 1
        GETBIT bits 7
        BITCOUNT bits
        BITPOS bits 1
        BITFIELD bits SET u8 0 255 GET u4 0 INCRBY i5 2 1
        BITFIELD bits OVERFLOW
        SETBIT bits -1 1""")),
    ("hyperloglog", lines("""PFADD hll a b c
        PFADD hll a
        PFCOUNT hll
        PFCOUNT nope""")),
    ("geo", lines("""GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        GEODIST geo Palermo Catania km
        GEOHASH geo Palermo
        GEOPOS geo Palermo nope
        GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC
        GEOADD geo 200 0 x""")),
    ("streams", lines("""XADD st 1-1 a 1
        XADD st 1-2 b 2
        XADD st 1-1 c 3
        XRANGE st - +
        XLEN st
        XREAD COUNT 1 STREAMS st 0
        XGROUP CREATE st g 0
        XREADGROUP GROUP g me COUNT 1 STREAMS st >
        XACK st g 1-1
        XPENDING st g
        XDEL st 1-1
        XTRIM st MAXLEN 0""")),
    ("wrong type", lines("""SET s x
        LPUSH s 1
        HGET s a
        SADD s a
        ZADD s 1 a
        INCR s
        LRANGE s 0 -1
        XADD s * a b""")),
    ("objects", lines("""SET o 12345
        OBJECT ENCODING o
        OBJECT REFCOUNT nope
        TYPE o
        TYPE nope
        DUMP nope
        OBJECT NONSENSE o
        OBJECT ENCODING""")),
    ("sort", lines("""RPUSH so 3 1 2
        SORT so
        SORT so DESC LIMIT 0 1
        SORT so LIMIT x""")),
    ("scan a key", lines("""HSET h f v
        HSCAN h 0
        SADD ss a
        SSCAN ss 0
        HSCAN h x""")),
    ("scripts with one key", lines("""EVAL return(redis.call('set',KEYS[1],ARGV[1])) 1 ev v
        EVAL return 1 ev
        EVAL return 1
        EVALSHA 0000000000000000000000000000000000000000 1 ev
        EVAL x( 1 ev
        EVAL return(1) x
        EVAL return(1) -1""")),
    ("keyless script", lines("""EVAL return(7) 0
        SCRIPT EXISTS 0000000000000000000000000000000000000000
        SCRIPT NONSENSE""")),
    # Several keys.
    ("several keys", lines("""MSET m1 a m2 b m3 c m4 d
        MGET m1 m2 nope m3 m1
        EXISTS m1 m2 m1 nope
        TOUCH m1 m2 nope
        UNLINK m1 nope
        DEL m2 m3 m3
        MSET m1
        MSET m1 a m2
        MGET
        DEL""")),
    ("mget of other types", lines("""RPUSH ml 1
        SET mm x
        MGET ml mm nope""")),
    ("keys that must be together@one", lines("""SADD s1 a b
        SADD s2 b c
        SINTER s1 s2
        SUNIONSTORE s3 s1 s2
        RENAME s3 s4
        COPY s4 s5
        MSETNX x1 1 x2 2
        BITOP AND r x1 x2
        PFMERGE hm hll
        RPOPLPUSH nope nope2
        LMPOP 2 nope l LEFT
        ZUNIONSTORE zo 2 z z
        EXISTS s4 s5""")),
    ("rename of a key to itself", lines("""SET same 1
        RENAME same same
        SINTER same""")),
    # The connection.
    ("ping", lines("PING\nPING hello\nping\nPING a b")),
    ("echo", lines("ECHO hi\nECHO\nECHO a b")),
    ("select", lines("SELECT 0\nSELECT x\nSELECT\nSELECT 0 1\nSELECT 99999")),
    ("auth without a password", lines("AUTH x\nAUTH default x\nAUTH nobody x\nAUTH\nAUTH a b c")),
    ("client names", lines("""CLIENT GETNAME
        CLIENT SETNAME me
        CLIENT GETNAME
        CLIENT SETNAME""") + command("CLIENT", "SETNAME", "a b")),
    ("reset", lines("CLIENT SETNAME me\nRESET\nCLIENT GETNAME\nRESET now")),
    ("hello that fails", lines("HELLO 1\nHELLO x\nHELLO 3 NONSENSE\nHELLO 2 AUTH a\n"
                              "HELLO 4 SETNAME a")),
    ("hello names", lines("HELLO 2 SETNAME\nHELLO 2 AUTH nobody x\nHELLO 2 AUTH default\n"
                          "HELLO 2 AUTH default x") + command("HELLO", "2", "SETNAME", "a b")),
    ("wrong arity of what is refused", lines("MULTI x\nWATCH\nBLPOP\nSUBSCRIBE\nMONITOR x\n"
                                             "XREAD\nXREAD BLOCK\nBLMOVE a b\nDISCARD x")),
    ("quit", lines("GET s\nQUIT\nGET s")),
    ("quit with a word", lines("QUIT now")),
    ("resp3", lines("""HELLO 3
        HSET h3 a 1
        HGETALL h3
        GET nope
        MGET nope h3
        ZADD z3 1 a
        ZSCORE z3 a
        SMEMBERS nope""")),
    ("reset ends resp3", lines("HELLO 3\nRESET\nHGETALL h3\nGET nope")),
    # Unknown and wrong.
    ("unknown command", lines("FROBNICATE a b\nGET s")),
    ("unknown, no arguments", lines("FROBNICATE")),
    ("unknown, many arguments", lines("FROBNICATE " + "abcdefgh " * 40)),
    ("unknown, long name", command("f" * 300, "a" * 300)),
    ("unknown, with control bytes", command("fo\r\no", "a\r\nb\0c")),
    ("empty name", command("")),
    ("unknown subcommand", lines("CONFIG NONSENSE\nXGROUP NONSENSE k\nCLUSTER NONSENSE")),
    ("container alone", lines("CONFIG\nXGROUP\nOBJECT\nCLIENT\nSCRIPT")),
    ("wrong arity", lines("GET\nGET a b\nSET a\nINCR\nHSET h\nLPUSH l\nZADD z 1\nEXPIRE a\nDEL\n"
                          "MGET\nEXISTS\nTOUCH\nUNLINK\nMSET\nTTL\nXADD st *")),
    ("command in mixed case", lines("gEt s\nSeT s v\nmGeT s")),
    ("command", lines("COMMAND COUNT\nCOMMAND INFO get\nCOMMAND GETKEYS GET a\nCOMMAND NONSENSE")),
    ("empty values and keys", command("SET", "", "") + command("GET", "") + command("SET", "e", "")
     + command("GET", "e") + command("MGET", "", "e") + command("DEL", "")),
    ("binary keys and values", command("SET", bytes(range(256)), bytes(range(255, -1, -1)))
     + command("GET", bytes(range(256))) + command("DEL", bytes(range(256)))),
    ("value with protocol inside", command("SET", "s", b"+OK\r\n$-1\r\n:1\r\n")
     + command("GET", "s")),
    ("1 MiB value", command("SET", "big", b"v" * (1 << 20)) + command("GET", "big")
     + command("STRLEN", "big")),
    ("key of 100 KiB", command("SET", b"k" * 102400, "v") + command("GET", b"k" * 102400)),
    # Inline commands.
    ("inline", b"PING\r\nSET i 1\r\nGET i\r\nGET i\n"),
    ("inline blanks", b"  GET   i  \r\n\tGET i\r\n"),
    ("inline quotes", b"SET i \"a b\\r\\n\\x41\\\"\"\r\nGET i\r\nSET i 'single \\' q'\r\nGET i\r\n"
     b"SET i \"\"\r\nGET i\r\n"),
    ("inline empty lines", b"\r\n\r\n\nPING\r\n"),
    ("inline unknown", b"hello! you there\r\n"),
    ("inline wrong arity", b"GET\r\nDEL\r\n"),
    ("inline and arrays mixed", b"SET i 5\r\n" + command("INCR", "i") + b"GET i\r\n"
     + command("GET", "i")),
    ("unbalanced quotes", b"SET i 1\r\nSET i \"abc\r\nGET i\r\n"),
    ("quote in the middle", b"SET i \"abc\"def\r\n"),
    # Protocol errors: a line of text, then the connection closes.
    ("no dollar", b"*1\r\n:5\r\n"),
    ("no dollar, control byte", b"*1\r\n\r\nPING\r\n"),
    ("bulk length no number", b"*1\r\n$x\r\n"),
    ("negative bulk length", b"*2\r\n$3\r\nGET\r\n$-1\r\n"),
    ("bulk length beyond 512 MiB", b"*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    ("bulk length beyond 2^64", b"*1\r\n$99999999999999999999\r\n"),
    ("count no number", b"*x\r\n"),
    ("count beyond 2^31", b"*2147483648\r\n"),
    ("count beyond 2^64", b"*99999999999999999999\r\n"),
    ("zero and negative counts", b"*0\r\n*-1\r\n*-5\r\n" + command("PING")),
    ("bulk without its line end", b"*1\r\n$4\r\nPINGxx" + command("PING")),
    ("answers before a protocol error", command("SET", "p", "1") + command("GET", "p")
     + b"*1\r\n!\r\n" + command("GET", "p")),
    ("too big bulk header", b"*1\r\n$" + b"1" * 40 + b"\r\n"),
    ("count with a sign", b"*+1\r\n$4\r\nPING\r\n"),
    ("count with a zero in front", b"*01\r\n$4\r\nPING\r\n"),
    ("nested array", b"*2\r\n*1\r\n$3\r\nGET\r\n$1\r\na\r\n"),
    ("http", b"GET / HTTP/1.1\r\n\r\n"),
    ("http post", b"POST / HTTP/1.1\r\nGET s\r\n\r\n"),
    ("http host", b"Host: localhost\r\nGET s\r\n\r\n"),
    ("burst", b"".join(lines(f"SET b{i} {i}\nGET b{i}\nINCR b{i}\nDEL b{i}") for i in range(500))),
    ("burst with errors", b"".join(lines(f"SET b{i} {i}\nLPUSH b{i} 1\nFROB\nGET b{i}\nGET\n"
                                         f"DEL b{i}") for i in range(100))),
    # The server as a whole.
    ("flushall", lines("SET f 1\nFLUSHALL\nGET f\nDBSIZE\nFLUSHALL ASYNC\nFLUSHALL NONSENSE\n"
                       "FLUSHDB")),
    ("dbsize", lines("FLUSHALL\nSET f 1\nSET g 2\nDBSIZE\nDBSIZE x")),
    ("config@one", lines("CONFIG GET maxmemory\nCONFIG SET maxmemory 0\nCONFIG GET\nCONFIG SET x")),
    ("keyspace@one", lines("FLUSHALL\nSET f 1\nKEYS *\nRANDOMKEY\nRANDOMKEY x\nSCAN 0\nSCAN x\n"
                           "SCAN")),
    ("publish", lines("PUBLISH ch x\nPUBLISH ch")),
    ("function", lines("FUNCTION FLUSH\nFUNCTION NONSENSE")),
    ("function list", lines("FUNCTION LIST")),
]
