"""Where the proxy may answer otherwise than one server, with the answer and the reason: nothing
else is allowed to differ, and an entry that no test meets fails it."""
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Documented:
    """Regular expressions: part of the script's name, the whole call, and part of the answer; with
    `more`, the answer is the one server's but for that."""
    script: str
    call: str
    answer: str
    reason: str
    more: str = ""

    def explains(self, call, one, here):
        if not re.fullmatch(self.call, call) or not re.search(self.answer, here):
            return False
        return not self.more or re.sub(self.more, "", here) == one


CROSSSLOT = "CROSSSLOT Keys in request don't hash to the same slot"
APART = "its keys are on several servers, and no single one can do it whole"
ONE_SERVERS = "it would change one server of several: which one, only its own address can say"
REPLICATES = "the connection would carry another protocol; a replica asks its master directly"

# test_clients: one server's answers but for these.
FOUR_SERVERS = [
    Documented("redis_py", r"sort\(\"sortme\", by=.*", "reads keys of every server",
               "SORT reads the keys that its BY and GET name, wherever they are"),
    Documented("redis_py", r"(rename|lcs)\(\"apple\".*", CROSSSLOT, APART),
    Documented("redis_py", r"bitop\(\"OR\", \"all\".*", CROSSSLOT, APART),
    Documented("redis_py", r"eval\(\"return #KEYS\".*", CROSSSLOT, APART),
    Documented("redis_py", r"msetnx\(\{\"42\".*", CROSSSLOT, APART),
    Documented("redis_py", r"sunionstore\(\"all\".*", CROSSSLOT, APART),
    Documented("redis_py", r"blpop\(\[\"apple\".*", CROSSSLOT, APART),
    Documented("redis_py", "transaction far apart", CROSSSLOT,
               "a transaction is on one server: that of its first key"),
    Documented("node_redis", r"mSetNX\(\{\"42\".*", CROSSSLOT, APART),
    Documented("hiredis", r"(msetnx|rename) apple .*", CROSSSLOT, APART),
    Documented("ioredis", r"(msetnx|rename) apple .*", CROSSSLOT, APART),
    Documented("hiredis|ioredis|node_redis", r"scan[ (].*nosuch.*", r"\"1\"",
               "a cursor walks the servers one after the other: one call ends at the first"),
    Documented("memcache", r"(s|getS)tats ?(\(\))?", "proxy_servers",
               "of how many servers it is the sum", more=r"\"proxy_servers\", ?"),
]

# Commands that no test may call on a server that others use.
NOT_WALKED = {
    "sync": "begins to replicate: what follows is a dump, not replies",
    "pfselftest": "holds the server for seconds",
}

# test_every_command, by the number of servers.
_ALWAYS = [
    Documented("", "=kind monitor", "not available", "it shows the requests of every client"),
    Documented("", "=kind (psync|replconf) .*", "not available", REPLICATES),
    Documented("", "(un)?subscribe news", "Command not allowed inside a transaction",
               "messages and a transaction need a connection each"),
    Documented("", "(=kind )?client TRACKING ON.*", "not available",
               "keys are read on connections that clients share, and the server tracks those"),
    Documented("", "client (TRACKINGINFO|GETREDIR|CACHING YES)", "off|-1|only when",
               "follows from TRACKING"),
]
EVERY_COMMAND = {
    1: _ALWAYS,
    4: _ALWAYS + [
        Documented("", "scan 0 MATCH nosuch .*", r"\$1,",
                   "a cursor walks the servers one after the other: one call ends at the first"),
        Documented("", "(msetnx|rename) apple .*", CROSSSLOT, APART),
        Documented("", "(debug|shutdown|failover|replicaof|slaveof) [A-Z]+.*",
                   "concerns one server", ONE_SERVERS),
    ],
}
