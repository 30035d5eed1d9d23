"""Raw bytes, sent to a server and to the proxy before a server of the same kind: equal answers.

Every request of raw_cases.py goes directly to one server, through the proxy with one server
behind it, and (unless the case is about a whole server) through the proxy with four; each of them
whole and once more in small pieces. After each request comes a sentinel, whose answer shows that
the stream is still in step, and then the end of the client's stream.
"""
import re
import socket
import threading

import pytest

from raw_cases import MEMCACHED, REDIS, NEARLY_1MIB
from support import servers

SENTINEL = {"memcached": b"mn\r\n", "redis": b"PING end\r\n"}
IN_STEP = {"memcached": b"MN\r\n", "redis": b"$3\r\nend\r\n"}
PIECE_BYTES = 7
CHOPPED_BYTES_MAX = 1000

# What may differ: the case, the proxy's own answer, and why.
NO_CONTROL_BYTES = ("CLIENT_ERROR bad command line format\r\n",
                    "a control byte in a key is refused: it could end a line at a server")
DIFFERENCES = {
    "memcached": {
        "CR inside": NO_CONTROL_BYTES,
        "CR in a key to store": NO_CONTROL_BYTES,
        "line of 2100 bytes": (None, "longer than 2048 bytes: the server closes unless the line end"
                               " came in the same piece, the proxy always"),
    },
    "redis": {},
}
# A connection's number is nobody else's.
VARYING = re.compile(rb"(\$2\r\nid\r\n:)\d+")


class Sides:
    """One server asked directly, and the proxy before one and before four others."""

    def __init__(self, start, protocol):
        self.protocol = protocol
        self.direct = start.backends(protocol)[0].port
        self.one = start.proxy(start.backends(protocol, 1), protocol).port
        self.four = start.proxy(start.backends(protocol, 4), protocol).port

    def ask(self, port, request, chopped=False):
        return ask(port, request + SENTINEL[self.protocol], chopped)


def ask(port, text, chopped=False):
    """Everything that comes back until the peer closes."""
    with servers.connect(port, 20) as client:
        sender = threading.Thread(target=send, args=(client, text, chopped))
        sender.start()
        answer = b""
        try:
            while chunk := client.recv(1 << 20):
                answer += chunk
        except ConnectionResetError:
            answer += b"<reset>"
        sender.join()
        return VARYING.sub(rb"\1?", answer)


def send(client, text, chopped):
    piece = PIECE_BYTES if chopped else len(text)
    try:
        for at in range(0, len(text), piece):
            client.sendall(text[at:at + piece])
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the peer has closed, which is an answer too


@pytest.fixture(scope="module")
def sides(start_for_module):
    made = {}

    def get(protocol):
        if protocol not in made:
            made[protocol] = Sides(start_for_module, protocol)
        return made[protocol]

    return get


def compare(sides, name, request):
    for way in ("whole", "chopped"):
        chopped = way == "chopped"
        direct = sides.ask(sides.direct, request)
        ours = {"one": sides.ask(sides.one, request, chopped)}
        if not name.endswith("@one"):
            ours["four"] = sides.ask(sides.four, request, chopped)
        known = DIFFERENCES[sides.protocol].get(name)
        for count, answer in ours.items():
            where = f"{name}, {way}, {count} behind"
            if known is None or answer == direct:
                assert answer == direct, where
            else:
                expected = b"" if known[0] is None else known[0].encode()
                end = b"" if known[0] is None else IN_STEP[sides.protocol]
                assert answer == expected + end, where
        if known is not None:
            assert any(answer != direct for answer in ours.values()), f"{name} is equal by now"
        # Pieces that arrive after a close would meet a reset, which may overtake the answer.
        if len(request) > CHOPPED_BYTES_MAX or not direct.endswith(IN_STEP[sides.protocol]):
            break


@pytest.mark.parametrize("name, request_bytes", MEMCACHED, ids=[name for name, _ in MEMCACHED])
def test_memcached(sides, name, request_bytes):
    compare(sides("memcached"), name, request_bytes)


@pytest.mark.parametrize("name, request_bytes", REDIS, ids=[name for name, _ in REDIS])
def test_redis(sides, name, request_bytes):
    compare(sides("redis"), name, request_bytes)


def test_the_tables_are_large_and_their_exceptions_exist():
    for protocol, cases in (("memcached", MEMCACHED), ("redis", REDIS)):
        names = [name for name, _ in cases]
        assert len(names) >= 60
        assert len(set(names)) == len(names)
        assert set(DIFFERENCES[protocol]) <= set(names)
    assert NEARLY_1MIB > 1_000_000


@pytest.mark.parametrize("endless", [b"y" * 2100, b" " * 2100], ids=["bytes", "blanks"])
def test_memcached_line_that_never_ends_closes_the_connection(sides, endless):
    both = sides("memcached")
    for port in (both.direct, both.one, both.four):
        with servers.connect(port) as client:
            client.sendall(endless)
            assert client.recv(100) == b""


def test_redis_inline_line_that_never_ends_is_refused(sides):
    both = sides("redis")
    answers = []
    for port in (both.direct, both.one, both.four):
        with servers.connect(port) as client:
            # No byte more than is read before the refusal: a reset would overtake the answer.
            client.sendall(b"x" * (64 * 1024 + 1))
            answers.append(client.recv(1000))
    assert answers[0] == b"-ERR Protocol error: too big inline request\r\n"
    assert answers[1:] == [answers[0]] * 2


def test_memcached_stats_of_one_server(sides):
    both = sides("memcached")

    def names(port):
        answer = both.ask(port, b"stats\r\nstats settings\r\nstats items\r\n")
        return [line.split()[1] for line in answer.splitlines() if line.startswith(b"STAT ")]

    direct = [name for name in names(both.direct) if not name.startswith(b"items:")]
    assert [name for name in names(both.one) if not name.startswith(b"items:")] == direct
    assert len(direct) > 50


def test_redis_info_of_one_server(sides):
    both = sides("redis")

    def names(port):
        answer = both.ask(port, b"INFO server\r\nINFO memory\r\n")
        return [line.split(b":")[0] for line in answer.splitlines() if b":" in line]

    assert names(both.one) == names(both.direct)
    assert b"redis_version" in names(both.one)


GUARDED = [
    ("commands without auth", b"GET a\r\nSET a 1\r\nNONSENSE\r\nGET\r\nPING\r\nECHO x\r\n"
     b"CLIENT GETNAME\r\nSELECT 0\r\nCOMMAND COUNT\r\nINFO\r\nMGET a b\r\n"),
    ("auth", b"AUTH wrong\r\nAUTH nobody secret\r\nAUTH default wrong\r\nAUTH secret\r\n"
     b"SET a 1\r\nGET a\r\nAUTH wrong\r\nGET a\r\nRESET\r\nGET a\r\n"),
    ("auth with a user", b"AUTH default secret\r\nGET a\r\nAUTH\r\nAUTH a b c\r\n"),
    ("hello without auth", b"HELLO\r\nHELLO 3\r\nHELLO 2 SETNAME x\r\nHELLO 9\r\n"),
    ("hello with auth", b"HELLO 2 AUTH default wrong\r\nHELLO 2 AUTH default secret\r\nGET a\r\n"),
    ("hello 3 with auth", b"HELLO 3 AUTH default secret SETNAME me\r\nGET nope\r\n"),
    ("quit without auth", b"QUIT\r\n"),
    ("wrong shapes without auth", b"CLIENT NONSENSE\r\nSELECT\r\nCONFIG NONSENSE\r\nMULTI x\r\n"
     b"XADD k * a\r\nAUTH\r\nHELLO 2 NONSENSE\r\n"),
    ("ten arguments without auth", b"*10\r\n" + b"$1\r\nx\r\n" * 10),
    ("eleven arguments without auth", b"*11\r\n"),
    ("16 KiB without auth", b"*2\r\n$3\r\nGET\r\n$16384\r\n" + b"x" * 16384 + b"\r\n"),
    ("more than 16 KiB without auth", b"*2\r\n$3\r\nGET\r\n$16385\r\n"),
    ("more than 16 KiB with auth", b"AUTH secret\r\n*2\r\n$3\r\nGET\r\n$16385\r\n"
     + b"x" * 16385 + b"\r\n"),
]


@pytest.fixture(scope="module")
def guarded(start_for_module, tmp_path_factory):
    """(direct, ours): ports of a Redis with a password, and of the proxy before such a one."""
    direct, behind = start_for_module.redis(2, extra=["--requirepass", "secret"])
    port = servers.free_port()
    config = tmp_path_factory.mktemp("guarded") / "nutcracker.yml"
    config.write_text(f"alpha:\n  listen: 127.0.0.1:{port}\n  redis: true\n  redis_auth: secret\n"
                      f"  servers: [127.0.0.1:{behind.port}:1]\n")
    start_for_module.proxy(options=["--config", config])
    return direct.port, port


@pytest.mark.parametrize("request_bytes", [raw for _, raw in GUARDED],
                         ids=[name for name, _ in GUARDED])
def test_redis_with_a_password(guarded, request_bytes):
    direct, ours = guarded
    assert ask(ours, request_bytes) == ask(direct, request_bytes)


def test_requests_before_a_change_of_protocol_are_seen_by_those_after_it(sides):
    """RESP2 and RESP3 use different connections to a server, but one client sees one order."""
    both = sides("redis")
    request = b"".join(b"HELLO 3\r\nSET o%d x\r\nRESET\r\nGET o%d\r\nDEL o%d\r\n" % (i, i, i)
                       for i in range(50))
    direct = both.ask(both.direct, request)
    assert both.ask(both.one, request) == direct
    assert both.ask(both.four, request) == direct


def test_hello_tells_what_the_server_is(sides):
    both = sides("redis")
    for words in (b"HELLO\r\n", b"HELLO 2\r\n", b"HELLO 3\r\n", b"HELLO 3 SETNAME me\r\n"):
        direct = both.ask(both.direct, words)
        assert both.ask(both.one, words) == direct
        assert both.ask(both.four, words) == direct
