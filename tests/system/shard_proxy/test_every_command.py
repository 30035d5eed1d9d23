"""Every command that the server knows.

Each is called with arguments that it takes and with too few, in RESP2 and RESP3, directly and
through the proxy before one and four servers. What differs must be in documented.py, with the
reason; pytest -s prints the table. And whatever one client asks, the next gets its own answers, and
in time.
"""
import pathlib
import re

import pytest

import resp
from documented import EVERY_COMMAND, NOT_WALKED
from support import servers
from talk import Redis, command

HERE = pathlib.Path(__file__).resolve().parent
# After these a connection is no longer one for requests.
ONE_WAY = {"psync", "monitor", "quit"}

# They end, busy or pause the server itself, as they would without a proxy.
LEFT_OUT = {"shutdown", "replicaof", "slaveof", "failover", "pfselftest", "quit", "client|pause"}
# With some of the arguments they answer later, or never, as they would without a proxy.
MAY_STAY_SILENT = {"client|reply", "multi", "wait", "xread"}
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


def lines_of(path):
    for line in path.read_text().split("\n"):
        if line and not line.startswith("# "):
            yield line


def words_of(line):
    """(how to hide, the words); see clients/redis_commands.txt."""
    words = line.split(" ")
    how = words.pop(0) if words[0].startswith("=") else ""
    escaped = {"s": " ", "r": "\r", "n": "\n", "0": "\0", "\\": "\\"}
    return how, [re.sub(r"\\(.)", lambda found: escaped[found[1]], word) for word in words]


def names_in(words, known):
    """Of one request: the command, and its subcommand if that is one."""
    pair = "|".join(words[:2]).lower()
    return {words[0].lower(), pair} & known


class Conversation:
    """One client that asks line by line; its next line goes on a new connection when one ended."""

    def __init__(self, port, protocol):
        self.port = port
        self.protocol = protocol
        self.file = None
        self.last = b""
        self.answers = []
        self.lines = []

    def begin(self):
        self.end()
        self.socket = servers.connect(self.port)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(command("HELLO", self.protocol))
        resp.read(self.file)

    def end(self):
        if self.file:
            self.file.close()
            self.socket.close()
            self.file = None

    def ask(self, line, how, words):
        if not self.file:
            self.begin()
        self.lines.append(line)
        try:
            words = [self.last if word == "@last" else word for word in words]
            self.socket.sendall(command(*words))
            reply = resp.read(self.file)
            self.last = reply[1] if isinstance(reply[1], bytes) else b""
            self.answers.append(resp.shown(reply, how))
        except (resp.Closed, OSError) as ended:
            self.answers.append(f"no answer: {type(ended).__name__}")
            self.end()


def too_few(entries):
    """Every command with no argument, and with one less than it needs, where it needs any."""
    for name, arity in sorted(entries.items()):
        words = name.split("|")
        least = abs(arity)
        for count in sorted({len(words), least - 1}):
            if len(words) <= count < least:
                yield words + ["x"] * (count - len(words))
    for name in sorted({name.split("|")[0] for name in entries if "|" in name}):
        yield [name, "nosuch"]


def entries_of(port):
    """{command or command|subcommand: arity} of the server."""
    with Redis(port) as client:
        found = {}
        for entry in client.ask("COMMAND"):
            for each in [entry, *entry[9]]:
                found[each[0].decode()] = each[1]
    return found


def walk(port, entries, protocol):
    """[(request, answer)] of every command, with arguments that it takes and with too few."""
    talk = Conversation(port, protocol)
    for path in (HERE / "clients" / "redis_commands.txt", HERE / "every_command.txt"):
        for line in lines_of(path):
            if line == "---":
                talk.end()
                continue
            how, words = words_of(line)
            talk.ask(line, how, words)
            if words[0] in ONE_WAY:
                talk.end()
        talk.end()
    for words in too_few(entries):
        talk.ask(" ".join(words), "", words)
    talk.end()
    return list(zip(talk.lines, talk.answers))


@pytest.fixture(scope="module")
def direct(start_for_module):
    """What one server answers: {protocol: [(request, answer)]}."""
    second, third = start_for_module.redis(2)
    entries = entries_of(second.port)
    found = {2: walk(second.port, entries, 2), 3: walk(third.port, entries, 3)}
    return entries, found


def test_every_command_of_the_server_is_walked(direct):
    entries, _ = direct
    called = set()
    for path in (HERE / "clients" / "redis_commands.txt", HERE / "every_command.txt"):
        for line in lines_of(path):
            called |= names_in(words_of(line)[1], set(entries))
    missing = set(entries) - called - set(NOT_WALKED)
    assert len(entries) > 350 and not missing
    assert not called & set(NOT_WALKED)


@pytest.mark.parametrize("protocol", [2, 3])
def test_two_servers_answer_every_command_alike(start, direct, protocol):
    entries, expected = direct
    assert walk(start.redis()[0].port, entries, protocol) == expected[protocol]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("count", [1, 4])
def test_every_command_is_answered_as_by_one_server(start, direct, count, protocol):
    entries, expected = direct
    backends = [f"127.0.0.1:{server.port}:1 server{i}"
                for i, server in enumerate(start.redis(count))]
    proxy = start.proxy(backends, options=["--hash-tag", "{}"])
    answers = walk(proxy.port, entries, protocol)
    table = [entry for entry in EVERY_COMMAND[count] if re.search(entry.script, f"RESP{protocol}")]
    unused = set(table)
    unexplained = []
    for (request, one), (_, here) in zip(expected[protocol], answers):
        if one == here:
            continue
        fitting = [entry for entry in table if entry.explains(request, one, here)]
        unused -= set(fitting)
        if fitting:
            print(f"{request[:60]:60} {here[:60]:60} {fitting[0].reason}")
        else:
            unexplained.append(f"{request}\n   one server: {one[:300]}\n"
                               f"   here:       {here[:300]}")
    assert not unexplained, f"{len(unexplained)} unexplained\n" + "\n".join(unexplained)
    assert not unused, f"never met: {sorted(entry.call for entry in unused)}"
    assert "server.down" not in proxy.output()


def all_commands(server):
    client = Redis(server.port)
    names = []
    for entry in client.ask("COMMAND"):
        names += [sub[0].decode().split("|") for sub in entry[9]] + [[entry[0].decode()]]
    client.close()
    return sorted(name for name in names if not {name[0], "|".join(name)} & LEFT_OUT)


def check_another(proxy, what):
    client = Redis(proxy.port)
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
            if "|".join(name) in MAY_STAY_SILENT:
                check_another(proxy, name)
                continue
            while not data.endswith(b"$5\r\nlast!\r\n"):
                chunk = client.recv(1 << 16)
                assert chunk, (name, data[-200:])
                data += chunk
        for trouble in (b"timed out", b"broke the protocol", b"nobody asked for",
                        b"does not answer"):
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
