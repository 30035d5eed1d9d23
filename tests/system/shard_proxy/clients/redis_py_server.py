"""redis-py, second half: connections, pub/sub, blocking commands and the server itself."""
import concurrent.futures
import select

import redis

from record import Record, about, kind, near_now

# Of a line of CLIENT LIST, what depends on the connection and not on the client.
OF_A_CONNECTION = ("id", "addr", "laddr", "fd", "age", "idle", "qbuf", "qbuf-free", "argv-mem",
                   "multi-mem", "rbs", "rbp", "obl", "oll", "omem", "tot-mem", "events")


def client_of(run, **options):
    return redis.Redis(port=run.client.connection_pool.connection_kwargs["port"], **options)


def receive(run, subscriber, count=1):
    for _ in range(count):
        run.note("get_message", lambda: subscriber.get_message(timeout=5))


def subscriptions(run):
    subscriber = run.client.pubsub()
    run.note("subscribe", lambda: subscriber.subscribe("news", "other"))
    receive(run, subscriber, 2)
    run("publish", "news", b"\x00first\r\n")
    receive(run, subscriber)
    run("publish", "nobody", "lost")
    run.note("psubscribe", lambda: subscriber.psubscribe("n*", "late:?"))
    receive(run, subscriber, 2)
    run("publish", "news", "twice")
    receive(run, subscriber, 2)
    run("publish", "late:1", "by pattern")
    receive(run, subscriber)
    run.changed(sorted, "pubsub_channels")
    run("pubsub_channels", "o*")
    run("pubsub_numsub", "news", "nobody")
    run("pubsub_numpat")
    run("execute_command", "PUBSUB", "SHARDCHANNELS")
    run.note("ping", lambda: subscriber.ping("still there"))
    receive(run, subscriber)
    run.note("get in a subscription", lambda: subscriber.execute_command("GET", "a"))
    run.note("its answer", lambda: subscriber.parse_response(block=False, timeout=5))
    run.note("unsubscribe", lambda: subscriber.unsubscribe("news"))
    receive(run, subscriber)
    run.note("unsubscribe", lambda: subscriber.unsubscribe())
    receive(run, subscriber)
    run.note("punsubscribe", lambda: subscriber.punsubscribe())
    patterns = sorted(str(subscriber.get_message(timeout=5)["channel"]) for _ in range(2))
    run.note("the patterns left", lambda: patterns)
    run("publish", "news", "nobody listens")
    run.note("subscribe again", lambda: subscriber.subscribe("news"))
    receive(run, subscriber)
    subscriber.close()


def woken(run, name, *words, by):
    """A blocking call that another client ends, whichever of both comes first."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool, client_of(run) as other:
        waiting = pool.submit(getattr(other, name), *words)
        by()
        run.note(f"{name}, woken", lambda: waiting.result(10))


def blocking(run):
    run("rpush", "{q}1", "a", "b", "c")
    run("blpop", ["{q}0", "{q}1"], 1)
    run("brpop", ["{q}1"], 1)
    run("brpoplpush", "{q}1", "{q}2", 1)
    run("blmove", "{q}2", "{q}3", 1, "LEFT", "RIGHT")
    run("blmpop", 1, 2, "{q}9", "{q}3", direction="LEFT", count=2)
    run("zadd", "{q}z", {"a": 1, "b": 2, "c": 3})
    run("bzpopmin", ["{q}z"], 1)
    run("bzpopmax", ["{q}z"], 1)
    run("bzmpop", 1, 1, ["{q}z"], min=True)
    run("blpop", "{q}1", 0.05)
    run("bzpopmin", "{q}z", 0.05)
    run("brpoplpush", "{q}1", "{q}2", 0.05)
    run("execute_command", "BLMOVE", "{q}1", "{q}2", "LEFT", "LEFT", "0.05")
    run("blpop", "{q}1", "soon")
    run("blpop", "{q}1", -1)
    run("set", "{q}s", 1)
    run("blpop", "{q}s", 1)
    woken(run, "blpop", ["{q}1"], 10, by=lambda: run("rpush", "{q}1", "woken"))
    woken(run, "bzpopmin", ["{q}z"], 10, by=lambda: run("zadd", "{q}z", {"w": 5}))
    woken(run, "blmove", "{q}1", "{q}2", 10, by=lambda: run("lpush", "{q}1", "moved"))
    run.note("blpop in a transaction",
             lambda: run.client.pipeline().blpop("{q}none", 0).set("{q}t", 1).execute())
    run("execute_command", "WAIT", 0, 0)


def server(run):
    run("ping")
    run("echo", "hi")
    run.changed(lambda pair: near_now(pair[0]), "time")
    run.changed(lambda moment: near_now(moment.timestamp()), "lastsave")
    run("config_get", "maxmemory")
    run.changed(sorted, "config_get", "*max-*")
    run("config_set", "maxmemory-samples", 7)
    run("config_get", "maxmemory-samples")
    run("config_set", "maxmemory-samples", 5)
    run("config_set", "nosuch", 5)
    run("config_resetstat")
    run("config_rewrite")
    run.changed(lambda found: sorted(key for key in found if not key.startswith("errorstat_")),
                "info")
    run.note("info of a server", lambda: {
        key: run.client.info("everything").get(key) for key in
        ("redis_version", "redis_mode", "role", "loading", "cluster_enabled", "maxmemory",
         "connected_slaves", "rdb_bgsave_in_progress", "aof_enabled", "os", "arch_bits")})
    run.note("info keyspace", lambda: {
        name: (found["keys"] > 0, found["expires"]) for name, found
        in run.client.info("keyspace").items()})
    run("info", "nosuch")
    run.changed(lambda found: list(found), "info", "cpu")
    run("command_count")
    run.changed(lambda found: found["get"], "command")
    run("command_getkeys", "MSET", "a", 1, "b", 2)
    run.changed(len, "command_list")
    run("slowlog_reset")
    run("slowlog_len")
    run("slowlog_get", 5)
    run("latency_histogram", "nosuch")
    for words in (["LATEST"], ["RESET"], ["HISTORY", "fork"], ["GRAPH", "nosuch"]):
        run("execute_command", "LATENCY", *words)
    run("memory_usage", "{q}z")
    run("memory_usage", "missing")
    run.changed(kind, "memory_doctor")
    run.changed(lambda found: sorted(key for key in found if not key.startswith("db.")),
                "memory_stats")
    run("memory_purge")
    run("role")
    run("acl_whoami")
    run("acl_users")
    run("acl_setuser", "visitor", enabled=True, passwords=["+pw"], keys=["v*"], commands=["+get"])
    run("acl_getuser", "visitor")
    run.changed(sorted, "acl_list")
    run.changed(len, "acl_cat")
    run("acl_cat", "nosuch")
    run.changed(len, "acl_genpass")
    run("execute_command", "ACL", "DRYRUN", "visitor", "SET", "v", "1")
    run("acl_log_reset")
    run("acl_log")
    run("acl_deluser", "visitor")
    run.changed(kind, "save")
    run("readonly")
    run("readwrite")
    run("execute_command", "CLUSTER", "INFO")
    run("module_list")
    run.changed(kind, "lolwut")
    databases(run)


def databases(run):
    other = client_of(run, db=1)
    run.note("set in database 1", lambda: other.set("only there", 1))
    run("exists", "only there")
    run.note("get in database 1", lambda: other.get("only there"))
    run.note("dbsize of database 1", other.dbsize)
    run("swapdb", 0, 1)
    run("exists", "only there")
    run("swapdb", 0, 1)
    run("swapdb", 0, 99)
    run.note("flushdb of database 1", other.flushdb)
    run.note("dbsize of database 1", other.dbsize)
    run.note("database 99", lambda: client_of(run, db=99).ping())
    other.close()


def of_the_client(entry):
    return {key: value for key, value in entry.items() if key not in OF_A_CONNECTION}


def connection(run):
    run.client.close()
    run.client.connection_pool.disconnect()
    client = client_of(run, single_connection_client=True, client_name="me")
    one = Record(client)
    one("client_getname")
    one("client_setname", "somebody")
    one("client_getname")
    one("client_setname", "two words")
    one.changed(kind, "client_id")
    one.changed(of_the_client, "client_info")
    one.note("client_list", lambda: [of_the_client(entry) for entry in client.client_list()
                                     if entry["name"] == "somebody"])
    one.note("client_list of a type", lambda: client.client_list("pubsub"))
    one.note("client_list by id", lambda: [entry["name"] for entry in
                                           client.client_list(client_id=[str(client.client_id())])])
    one("client_getredir")
    one("client_trackinginfo")
    one("client_no_evict", "ON")
    one("client_no_evict", "OFF")
    one("client_pause", 1)
    one("client_unpause")
    one("client_unblock", 999999)
    one("client_kill_filter", _id=999999)
    one("client_kill", "1.2.3.4:5")
    one("select", 2)
    one("set", "here", 1)
    one("select", 0)
    one("exists", "here")
    one("select", 99)
    one("select", "x")
    one("execute_command", "AUTH", "wrong")
    one("execute_command", "AUTH", "nobody", "wrong")
    one.changed(lambda found: [item for item in found if not isinstance(item, int)],
                "execute_command", "HELLO", 2, "SETNAME", "greeter")
    one("execute_command", "HELLO", 9)
    one("client_getname")
    one("execute_command", "RESET")
    one("client_getname")
    one("flushdb")
    reconnects(run, client)


def reconnects(run, client):
    """A library connects again by itself when its connection was closed."""
    number = client.client_id()
    other = client_of(run, single_connection_client=True)
    run.note("kill the first", lambda: other.client_kill_filter(_id=number))
    select.select([client.connection._sock], [], [], 5)  # until the end has arrived
    run.note("a call afterwards", lambda: client.set("after", 1))
    run.note("a call after that", lambda: client.get("after"))
    run.note("quit", lambda: other.execute_command("QUIT"))
    select.select([other.connection._sock], [], [], 5)
    run.note("a call after quit", lambda: other.get("after"))
    run.note("ttl", lambda: other.ttl("after"), about(-1, 0))
    other.close()
    client.close()
