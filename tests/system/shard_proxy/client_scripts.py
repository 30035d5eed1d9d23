"""What applications do, written against three client libraries as they come from the distribution.

Each script takes a connected client, starts from an empty server and returns one line per command:
its name and the repr of what came back, or the exception. The lines do not depend on the server
asked, so two runs can be compared. Only what is random by nature is replaced: cas numbers (each
server counts its own) become CAS, stream ids that the server chose become ID, a time that is left
becomes "about N", and members of sets are sorted.
"""
import re
import zlib

BINARY = bytes(range(256))
ONE_MIB = b"\x00\xffmebibyte" * (104858)


class Record:
    """Calls methods of a client by name and notes what came back."""

    def __init__(self, client):
        self.client = client
        self.lines = []

    def __call__(self, name, *words, **options):
        return self.note(name, lambda: getattr(self.client, name)(*words, **options))

    def note(self, name, action, change=None):
        try:
            value = action()
        except Exception as error:  # noqa: BLE001: whatever the library raises is the result
            self.lines.append(f"{name}: {type(error).__name__}: {error}")
            return None
        shown = change(value) if change else value
        if isinstance(shown, (set, frozenset)):
            shown = sorted(shown)
        text = repr(shown)
        if len(text) > 300:
            text = f"{text[:100]}... {len(text)} characters, CRC {zlib.crc32(text.encode())}"
        self.lines.append(f"{name}: {text}")
        return value


def about(limit):
    return lambda left: f"about {limit}" if limit - 3 <= left <= limit else left


# ---- redis-py ----

def redis_strings(run):
    run("set", "s", "hello")
    run("get", "s")
    run("getrange", "s", 1, 3)
    run("setrange", "s", 1, "EY")
    run("append", "s", "!")
    run("strlen", "s")
    run("setnx", "s", "x")
    run("getset", "s", "new")
    run("get", "missing")
    run("getdel", "s")
    run("set", "s", "1", nx=True, ex=100)
    run("set", "s", "2", nx=True)
    run("set", "s", "3", xx=True, keepttl=True)
    run("set", "s", "4", get=True)
    run("getex", "s", persist=True)
    run("setex", "s", 100, "v")
    run("psetex", "s", 100000, "v")
    run("set", "empty", "")
    run("get", "empty")
    run("set", BINARY, BINARY[::-1])
    run("get", BINARY)
    run("set", "big", ONE_MIB)
    run("get", "big")
    run("strlen", "big")
    run("delete", "big")
    run("incr", "n")
    run("incrby", "n", 41)
    run("decr", "n")
    run("decrby", "n", 7)
    run("incrbyfloat", "n", 0.5)
    run("incr", "n")
    run("set", "n", 2**63 - 1)
    run("incr", "n")


def redis_keys(run):
    run("mset", {"m1": 1, "m2": 2, "m3": 3, b"\x00\r\n": b"\r\n"})
    run("mget", "m1", "missing", "m3", "m1", b"\x00\r\n")
    run("mget", ["m2"])
    run("exists", "m1", "m2", "m1", "missing")
    run("touch", "m1", "m2", "missing")
    run("unlink", "m1", "missing")
    run("delete", "m2", "m3", "m2")
    run("delete", "missing")
    run("set", "x", 1)
    run("expire", "x", 100)
    run.note("ttl", lambda: run.client.ttl("x"), about(100))
    run("expire", "x", 200, nx=True)
    run("persist", "x")
    run("ttl", "x")
    run("pttl", "missing")
    run("expireat", "x", 4102444800)
    run("expiretime", "x")
    run("type", "x")
    run("type", "missing")
    run("object", "encoding", "x")
    run("rename", "x", "x")
    run("expire", "x", -1)
    run("exists", "x")
    run("dump", "missing")


def redis_collections(run):
    run("hset", "h", mapping={"a": 1, "b": BINARY[:40]})
    run("hget", "h", "a")
    run("hmget", "h", ["a", "missing"])
    run("hgetall", "h")
    run("hincrby", "h", "a", 4)
    run("hincrbyfloat", "h", "a", 0.25)
    run("hexists", "h", "b")
    run("hlen", "h")
    run("hkeys", "h")
    run("hscan", "h")
    run("hsetnx", "h", "a", 0)
    run("hdel", "h", "b")
    run("rpush", "l", 1, 2, 3, 2)
    run("lpush", "l", 0)
    run("lrange", "l", 0, -1)
    run("lindex", "l", 1)
    run("linsert", "l", "before", 2, "x")
    run("lset", "l", 0, "zero")
    run("lpos", "l", 2, rank=2)
    run("lrem", "l", 1, 2)
    run("ltrim", "l", 1, -1)
    run("lpop", "l", 2)
    run("rpop", "l")
    run("llen", "l")
    run("sadd", "t", "a", "b", "c")
    run("smembers", "t")
    run("sismember", "t", "a")
    run("smismember", "t", ["a", "z"])
    run("srem", "t", "a")
    run("scard", "t")
    run("zadd", "z", {"a": 1, "b": 2.5, "c": 3})
    run("zrange", "z", 0, -1, withscores=True)
    run("zrangebyscore", "z", "(1", "+inf")
    run("zrevrank", "z", "a")
    run("zincrby", "z", 1.5, "a")
    run("zscore", "z", "missing")
    run("zpopmin", "z")
    run("zadd", "z", {"b": 9}, gt=True, ch=True)
    run("zcount", "z", 0, 10)
    run("zremrangebyrank", "z", 0, 0)
    run("sort", "l", alpha=True)


def redis_special(run):
    run("setbit", "bits", 7, 1)
    run("getbit", "bits", 7)
    run("bitcount", "bits")
    run("bitpos", "bits", 1)
    run.note("bitfield", lambda: run.client.bitfield("bits").set("u8", 0, 255).get("u4", 0)
             .incrby("i5", 2, 1).execute())
    run("pfadd", "hll", "a", "b", "c")
    run("pfadd", "hll", "a")
    run("pfcount", "hll")
    run("geoadd", "geo", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"])
    run("geodist", "geo", "Palermo", "Catania", "km")
    run("geopos", "geo", "Palermo", "missing")
    run("geosearch", "geo", longitude=15, latitude=37, radius=200, unit="km", sort="ASC")
    run("xadd", "st", {"a": 1}, id="1-1")
    run.note("xadd *", lambda: run.client.xadd("st", {"b": BINARY}),
             lambda made: re.sub(rb"^\d+-\d+$", b"ID", made))
    run("xlen", "st")
    run("xrange", "st", "-", "1-1")
    run("xread", {"st": "0"}, count=1)
    run("xgroup_create", "st", "g", "0")
    run("xreadgroup", "g", "me", {"st": ">"}, count=1)
    run("xack", "st", "g", "1-1")
    run("xadd", "st", {"a": 1}, id="1-1")
    run("xtrim", "st", maxlen=0)
    run("eval", "return {KEYS[1], ARGV[1], redis.call('exists', KEYS[1])}", 1, "st", "x")
    run("eval", "return redis.error_reply('MINE of my own')", 1, "st")
    run("eval", "syntax error", 1, "st")
    run("evalsha", "0" * 40, 1, "st")


def redis_errors(run):
    run("set", "s", "x")
    run("lpush", "s", 1)
    run("hget", "s", "a")
    run("incr", "s")
    run("zadd", "s", {"a": 1})
    run("execute_command", "GET")
    run("execute_command", "NONSENSE", "a", BINARY)
    run("execute_command", "SET", "s", "x", "EX", "soon")
    run("execute_command", "EXPIRE", "s", "x")
    run("expire", "s", 2**62)
    run("setrange", "s", -1, "x")
    run("ping")
    run("echo", "hi")
    run("select", 0)
    run("client_setname", "me")
    run("client_getname")


def redis_pipelines(run):
    pipe = run.client.pipeline(transaction=False)
    for i in range(200):
        pipe.set(f"p{i}", i).incr(f"p{i}").get(f"p{i}").lpush(f"p{i}", 1)
    pipe.mget([f"p{i}" for i in range(200)]).get("missing")
    for line in (repr(item) for item in pipe.execute(raise_on_error=False)):
        run.lines.append(f"pipeline: {line}")
    pipe.delete(*[f"p{i}" for i in range(200)])
    run.note("pipeline delete", pipe.execute)


def redis_whole_server(run):
    """With several keys that must be together, or about one server: for one server behind only."""
    run("mset", {"a1": 1, "a2": 2, "a3": "x"})
    run("sadd", "s1", "a", "b")
    run("sadd", "s2", "b", "c")
    run("sinter", "s1", "s2")
    run("sunionstore", "s3", "s1", "s2")
    run("smove", "s1", "s2", "a")
    run("rename", "a3", "a4")
    run("renamenx", "a4", "a1")
    run("copy", "a1", "a5")
    run("msetnx", {"a1": 1, "a9": 1})
    run("bitop", "AND", "bo", "a1", "a2")
    run("pfadd", "h1", 1)
    run("pfadd", "h2", 2)
    run("pfcount", "h1", "h2")
    run("pfmerge", "h3", "h1", "h2")
    run("rpush", "l1", 1, 2)
    run("lmove", "l1", "l2", "LEFT", "RIGHT")
    run("zadd", "z1", {"a": 1})
    run("zunionstore", "z2", ["z1"])
    run.note("keys", lambda: run.client.keys("a*"), set)
    run.note("scan", lambda: set(run.client.scan_iter("z*")))
    run("dbsize")
    run("config_get", "maxmemory")
    run.note("info", lambda: sorted(run.client.info("server")))
    run("script_exists", "0" * 40)
    run("flushall")


def redis_py(client, whole_server=True):
    run = Record(client)
    run("flushall")
    run("dbsize")
    for part in (redis_strings, redis_keys, redis_collections, redis_special, redis_errors,
                 redis_pipelines):
        part(run)
    run("dbsize")
    if whole_server:
        redis_whole_server(run)
    return run.lines


# ---- pymemcache ----

def hide_cas(pair):
    value, cas = pair
    return (value, "CAS" if cas is not None else None)


def pymemcache(client, whole_server=True):
    run = Record(client)
    run("flush_all", noreply=False)
    run("set", "a", b"1", noreply=False)
    run("get", "a")
    run("get", "missing")
    run("get", "missing", "default")
    run("set", "a", b"flags", flags=77, noreply=False)
    run("get", "a")
    run("add", "a", b"2", noreply=False)
    run("add", "b", b"2", noreply=False)
    run("replace", "missing", b"2", noreply=False)
    run("replace", "b", b"3", noreply=False)
    run("append", "b", b"z", noreply=False)
    run("prepend", "b", b"a", noreply=False)
    run("append", "missing", b"z", noreply=False)
    run("get", "b")
    run("set", "empty", b"", noreply=False)
    run("get", "empty")
    run("set", "bin", BINARY + b"\r\nEND\r\n", noreply=False)
    run("get", "bin")
    run("set", "big", b"x" * 1000000, noreply=False)
    run("get", "big")
    run("set", "too_big", b"x" * (1 << 20), noreply=False)
    run("get", "too_big")
    _, cas = run.client.gets("b")
    run.note("gets", lambda: run.client.gets("b"), hide_cas)
    run("gets", "missing")
    run("cas", "b", b"c", cas, noreply=False)
    run("cas", "b", b"d", cas, noreply=False)
    run("cas", "missing", b"d", cas, noreply=False)
    run("set", "n", b"5", noreply=False)
    run("incr", "n", 10)
    run("decr", "n", 3)
    run("decr", "n", 100)
    run("incr", "missing", 1)
    run("incr", "bin", 1)
    run("touch", "n", 100, noreply=False)
    run("touch", "missing", 100, noreply=False)
    run("set", "gone", b"x", expire=-1, noreply=False)
    run("get", "gone")
    run("set_many", {f"m{i}": b"%d" % i for i in range(300)}, noreply=False)
    run.note("get_many", lambda: run.client.get_many([f"m{i}" for i in range(310)]), sorted_items)
    run.note("gets_many", lambda: run.client.gets_many(["m1", "m2", "missing"]),
             lambda found: sorted((key, hide_cas(pair)) for key, pair in found.items()))
    run("get_many", [])
    run("delete_many", [f"m{i}" for i in range(0, 300, 2)], noreply=False)
    run.note("get_many", lambda: run.client.get_many([f"m{i}" for i in range(20)]), sorted_items)
    run("delete", "a", noreply=False)
    run("delete", "a", noreply=False)
    # The same without answers: nothing may come back, or the gets would read it.
    run("set", "q", b"1")
    run("add", "q", b"2")
    run("replace", "missing", b"2")
    run("append", "q", b"3")
    run("prepend", "q", b"4")
    run("get", "q")
    run("cas", "q", b"5", b"1", noreply=True)
    run("incr", "q", 1, noreply=True)
    run("decr", "missing", 1, noreply=True)
    run("touch", "q", 0)
    run("delete", "missing")
    run("set", "too_big", b"x" * (1 << 20), noreply=True)
    run("incr", "bin", 1, noreply=True)
    run("get", "q")
    run("set_many", {f"q{i}": b"x" for i in range(100)})
    run("delete_many", ["q1", "q2"])
    run.note("get_many", lambda: run.client.get_many([f"q{i}" for i in range(5)]), sorted_items)
    run("set", "k" * 250, b"long", noreply=False)
    run("get", "k" * 250)
    run("set", "k" * 251, b"long", noreply=False)
    run.note("raw nonsense", lambda: run.client.raw_command("nonsense"))
    run.note("raw gat", lambda: run.client.raw_command("gat 100 b n", "END\r\n"))
    run.note("raw mg", lambda: run.client.raw_command("mg b f s t", "\r\n"))
    run("version")
    run("cache_memlimit", 64)
    if whole_server:
        run.note("stats", lambda: sorted(key for key in run.client.stats()))
        run.note("raw gats", lambda: run.client.raw_command("gats 100 missing", "END\r\n"))
    run("flush_all", noreply=False)
    run("get", "b")
    run("flush_all")
    run("get", "b")
    return run.lines


def sorted_items(found):
    return sorted(found.items())


# ---- pylibmc (libmemcached) ----

def pylibmc(client, whole_server=True):
    run = Record(client)
    run("flush_all")
    run("set", "a", "text")
    run("get", "a")
    run("get", "missing")
    run("get", "missing", "default")
    run("set", "a", {"a dict": [1, 2.5, None]})
    run("get", "a")
    run("set", "int", 12345678901234567890)
    run("get", "int")
    run("set", "compressed", "abc" * 20000, min_compress_len=100)
    run("get", "compressed")
    run("set", "empty", b"")
    run("get", "empty")
    run("set", "bin", BINARY + b"\r\nEND\r\n")
    run("get", "bin")
    run("set", "big", b"x" * 1000000)
    run("get", "big")
    run("set", "too_big", b"x" * (2 << 20))
    run("get", "too_big")
    run("add", "a", 1)
    run("add", "b", b"m")
    run("replace", "b", b"n")
    run("replace", "missing", b"n")
    run("append", "b", b"z")
    run("prepend", "b", b"a")
    run("append", "missing", b"z")
    run("get", "b")
    run("set", "n", 5)
    run("incr", "n")
    run("incr", "n", 10)
    run("decr", "n", 3)
    run("decr", "n", 100)
    run("incr", "missing")
    run("incr", "b")
    run("touch", "b", 100)
    run("touch", "missing", 100)
    run("set", "gone", 1, time=-1)
    run("get", "gone")
    _, cas = run.client.gets("b")
    run.note("gets", lambda: run.client.gets("b"), hide_cas)
    run("gets", "missing")
    run("cas", "b", b"c", cas)
    run("cas", "b", b"d", cas)
    run("cas", "missing", b"d", cas)
    run("set_multi", {f"m{i}": i for i in range(300)})
    run.note("get_multi", lambda: run.client.get_multi([f"m{i}" for i in range(310)]), sorted_items)
    run.note("get_multi with a prefix",
             lambda: run.client.get_multi([str(i) for i in range(5)], key_prefix="m"), sorted_items)
    run("add_multi", {"m1": 1, "new": 2})
    run("incr_multi", ["m1", "m2"], delta=7)
    run("get", "m2")
    run("delete_multi", [f"m{i}" for i in range(300)])
    run("get_multi", ["m1", "m2"])
    run("get_multi", [])
    run("delete", "b")
    run("delete", "b")
    run("set", "k" * 250, b"long")
    run("get", "k" * 250)
    run("get", "k" * 251)
    # Answers that are not waited for: the next get would meet a line too many.
    run.client.behaviors["_noreply"] = True
    for i in range(100):
        run("set", f"q{i}", i)
    run("delete", "q1")
    run("delete", "missing")
    run("append", "missing", b"x")
    run.client.behaviors["_noreply"] = False
    run.note("get_multi", lambda: run.client.get_multi([f"q{i}" for i in range(5)]), sorted_items)
    if whole_server:
        run.note("stats", lambda: sorted(run.client.get_stats()[0][1]))
    run("flush_all")
    run("get", "q5")
    return run.lines
