"""Every command that the server knows, through connections that clients share: whatever one client
asks, the next gets its own answers, and in time."""
import pytest

from support import servers
from talk import Redis, command

# They end or busy the server itself, as they would without a proxy.
LEFT_OUT = {"shutdown", "replicaof", "slaveof", "failover", "pfselftest", "quit"}
ARGUMENTS = [
    "", "k", "k 0", "0 k", "1 0", "k k2 0", "0 1 k", "k 1 k2 LEFT", "g k 0 1 2",
    "k 0 0 1 km STORE", "host 1 k 0 100", "ON", "OFF", "SKIP", "100", "1000 ALL", "km 0",
    "GROUP streams c BLOCK 0 STREAMS k >", "BLOCK 0 STREAMS k $",
]
NESTED = "local r = 1 for i = 1, 1000 do r = {r} end return r"
MEMCACHED_STATS = [
    "", "items", "slabs", "sizes", "sizes_enable", "sizes_disable", "settings", "reset", "conns",
    "detail", "detail on", "detail dump", "detail off", "cachedump 1 10", "cachedump", "extstore",
    "nothing", "noreply", "reset noreply",
]


def all_commands(server):
    client = Redis(server.port)
    names = []
    for entry in client.ask("COMMAND"):
        names += [sub[0].decode().split("|") for sub in entry[9]] + [[entry[0].decode()]]
    client.close()
    return sorted(name for name in names if name[0] not in LEFT_OUT)


def check_another(proxy, what):
    client = Redis(proxy.port, timeout=5)
    for i in range(3):
        assert client.ask("SET", f"mine{i}", f"value{i}") == b"OK", what
        assert client.ask("GET", f"mine{i}") == b"value%d" % i, what
    client.close()


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("protocol", [2, 3])
def test_no_command_changes_or_holds_what_others_share(start, count, protocol):
    backends = start.redis(count)
    proxy = start.proxy(backends)
    for name in all_commands(backends[0]):
        with servers.connect(proxy.port) as client:
            requests = [command("HELLO", protocol)]
            requests += [command(*name, *arguments.split()) for arguments in ARGUMENTS]
            client.sendall(b"".join(requests) + command("PING", "last!"))
            data = b""
            while not data.endswith(b"$5\r\nlast!\r\n"):
                chunk = client.recv(1 << 16)
                assert chunk, (name, data[-200:])
                data += chunk
        for trouble in (b"timed out", b"broke the protocol", b"nobody asked for", b"does not answer"):
            assert trouble not in data, (name, trouble)
        check_another(proxy, name)
    assert "server.down" not in proxy.output()


def test_a_deeply_nested_reply_is_no_breach_of_the_protocol(start):
    proxy = start.proxy(start.redis())
    data = servers.exchange(proxy.port, command("EVAL", NESTED, "0"), b":1\r\n")
    assert data == b"*1\r\n" * 1000 + b":1\r\n"
    check_another(proxy, "EVAL")
    assert "server.down" not in proxy.output()


def test_no_form_of_stats_takes_the_reply_of_another_client(start):
    proxy = start.proxy(start.memcached(), "memcached")
    for form in MEMCACHED_STATS:
        servers.exchange(proxy.port, f"stats {form}\r\nmn\r\n".encode(), b"MN\r\n")
        stored = servers.exchange(proxy.port, b"set a 0 0 1\r\nx\r\nget a\r\n", b"END\r\n")
        assert stored == b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n", form
    assert "server.down" not in proxy.output()
