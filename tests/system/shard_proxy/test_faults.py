"""Servers that hang, die, or are not there: only what needs them fails, and it recovers."""
import signal
import socket
import struct
import threading
import time

import pytest

from load import Load, percentile
from support import servers
from support.servers import wait_until
from talk import Memcached, Redis, command, owners, timed

TIMEOUT = 0.4
# Of the timeout; a sanitized binary may be later.
LATE = 1.5 if servers.is_sanitized() else 1.1
OPTIONS = ["--timeout", "400ms", "--server-retry-timeout", "200ms",
           "--distribution", "jump", "--hash", "murmur"]
# Up to a fifth of jitter, and half as much again for each failed try before.
RETRY_SECONDS = 3.0
KEYS = [f"key{i}" for i in range(200)]


class Shards:
    """Four Redis behind a proxy, with KEYS stored, and which key lies where."""

    def __init__(self, start):
        self.backends = start.redis(4)
        self.proxy = start.proxy(self.backends, options=OPTIONS)
        self.port = self.proxy.port
        ports = [backend.port for backend in self.backends]
        owned = owners(self.port, ports, KEYS)
        self.victim = self.backends[0]
        self.victim_keys = owned[ports[0]]
        self.other_keys = [key for port in ports[1:] for key in owned[port]]
        self.name = f"127.0.0.1:{self.victim.port}"


@pytest.fixture
def shards(start):
    return Shards(start)


def failure(client, *words):
    """(seconds, text) of a request that must fail."""
    return timed(lambda: client.error(*words))


@pytest.mark.alone
def test_a_hung_server_costs_only_its_own_keys(shards):
    # Its keys wait for the timeout once; then the connection is known to be stuck.
    texts = {f"ERR {shards.name} timed out", f"ERR {shards.name} does not answer"}
    with Load(shards.port, shards.other_keys) as load, Redis(shards.port) as client:
        wait_until(lambda: len(load.seconds) > 2000, "some load")
        before = percentile(load.take(), 0.99)
        shards.victim.send_signal(signal.SIGSTOP)
        seconds, text = failure(client, "GET", shards.victim_keys[0])
        assert text == f"ERR {shards.name} timed out"
        assert TIMEOUT * 0.9 <= seconds <= TIMEOUT * LATE
        for _ in range(3):
            seconds, text = failure(client, "GET", shards.victim_keys[0])
            assert text in texts
            assert seconds <= TIMEOUT * LATE
        assert client.ask("GET", shards.other_keys[0]) == shards.other_keys[0].encode()
        during = load.take()
        print(f"p99 before {before * 1e6:.0f} us, during {percentile(during, 0.99) * 1e6:.0f} us "
              f"({len(during)} requests)")
        assert len(during) > 1000
        assert percentile(during, 0.99) < max(5 * before, 0.03)
        assert load.wrong == []
        shards.victim.send_signal(signal.SIGCONT)
        recovers(client, shards.victim_keys[0])
        assert load.wrong == []
    assert shards.proxy.get("/readyz")[0] == 200


def recovers(client, key):
    def is_back():
        _, answer = timed(lambda: client.ask("GET", key))
        return answer == key.encode()

    wait_until(is_back, f"{key} being readable again", RETRY_SECONDS)


@pytest.mark.alone
def test_a_split_request_fails_as_a_whole_and_alone_when_one_server_hangs(shards):
    with Redis(shards.port) as client, Redis(shards.port) as other:
        shards.victim.send_signal(signal.SIGSTOP)
        client.send("MGET", *KEYS)
        client.send("GET", shards.other_keys[0])
        assert other.ask("MGET", *shards.other_keys) == [k.encode() for k in shards.other_keys]
        seconds, answer = timed(client.reply)
        assert str(answer) == f"ERR {shards.name} timed out"
        assert seconds <= TIMEOUT * LATE
        assert client.reply() == shards.other_keys[0].encode()
        shards.victim.send_signal(signal.SIGCONT)
        recovers(client, shards.victim_keys[0])
        assert client.ask("MGET", *KEYS) == [key.encode() for key in KEYS]


def test_a_short_pause_fails_only_the_requests_that_ran_out_of_time(shards):
    with Redis(shards.port) as client:
        shards.victim.send_signal(signal.SIGSTOP)
        client.socket.sendall(b"".join(command("GET", key) for key in shards.victim_keys))
        for _ in shards.victim_keys:
            _, answer = timed(client.reply)
            assert str(answer) == f"ERR {shards.name} timed out"
        shards.victim.send_signal(signal.SIGCONT)
        # The late replies are thrown away: the next ones are not mistaken for them.
        recovers(client, shards.victim_keys[-1])
        for key in shards.victim_keys:
            assert client.ask("GET", key) == key.encode()
    assert shards.proxy.metric("consort_shard_connects_total") == 4
    assert shards.proxy.metric("consort_shard_late_replies_total") >= len(shards.victim_keys)


@pytest.mark.alone
def test_a_killed_server_fails_at_once_and_is_used_again_when_it_is_back(start, shards):
    with Load(shards.port, shards.other_keys, 2) as load, Redis(shards.port) as client:
        shards.victim.kill()
        for _ in range(20):
            seconds, text = failure(client, "SET", shards.victim_keys[0], "x")
            assert text.startswith(f"ERR {shards.name} ")
            assert seconds < 0.1
        wait_until(lambda: "server.down" in shards.proxy.output(), "the log line")
        assert shards.proxy.get("/readyz")[0] == 200
        assert "3 of 4 servers answer" in shards.proxy.get("/health")[1]
        start.redis(port=shards.victim.port)
        wait_until(lambda: timed(lambda: client.ask("SET", shards.victim_keys[0], "new"))[1]
                   == b"OK", "the server's return", RETRY_SECONDS)
        assert client.ask("GET", shards.victim_keys[0]) == b"new"
        assert load.wrong == []
    assert shards.proxy.output().count("server.up") == 5


def test_requests_under_way_when_a_server_dies_are_answered_in_order(shards):
    with Redis(shards.port) as client:
        shards.victim.send_signal(signal.SIGSTOP)
        client.socket.sendall(b"".join(command("GET", key) for key in KEYS))
        wait_until(lambda: shards.proxy.metric("consort_client_requests_total") >= 2 * len(KEYS),
                   "the requests being taken")
        shards.victim.send_signal(signal.SIGKILL)
        for key in KEYS:
            _, answer = timed(client.reply)
            if key in shards.victim_keys:
                assert str(answer).startswith(f"ERR {shards.name} ")
            else:
                assert answer == key.encode()


@pytest.mark.parametrize("mode", ["miss", "error"])
def test_memcached_multi_get_with_a_dead_server(start, mode):
    backends = start.memcached(4)
    proxy = start.proxy(backends, "memcached", [*OPTIONS, "--partial-multiget", mode])
    keys = [b"key%d" % i for i in range(100)]
    with Memcached(proxy.port) as client, Memcached(backends[0].port) as direct:
        for key in keys:
            assert client.set(key, key) == b"STORED"
        lost = set(direct.get(*keys)) - {None}
        assert 0 < len(lost) < len(keys)
        direct.close()
        backends[0].kill()
        name = b"127.0.0.1:%d " % backends[0].port
        assert client.get(min(lost))[None].startswith(b"SERVER_ERROR " + name)
        found = client.get(*keys)
        end = found.pop(None)
        assert set(found) == set(keys) - lost
        assert end == b"END" if mode == "miss" else end.startswith(b"SERVER_ERROR " + name)
        # noreply to a dead server stays silent, too.
        client.socket.sendall(b"set %s 0 0 1 noreply\r\nx\r\n" % min(lost))
        assert client.ask(b"mn") == b"MN"


@pytest.mark.parametrize("protocol", ["redis", "memcached"])
def test_not_ready_until_a_server_is_there(start, protocol):
    ports = [servers.free_port() for _ in range(2)]
    proxy = start.proxy(ports, protocol, OPTIONS, wait=False)
    proxy.wait_health('"state":"UNREADY"')
    assert (proxy.get("/readyz")[0], proxy.get("/livez")[0]) == (503, 200)
    request = b"GET k\r\n" if protocol == "redis" else b"get k\r\n"
    text = servers.exchange(proxy.port, request, b"\n")
    assert text.startswith((b"-ERR 127.0.0.1:", b"SERVER_ERROR 127.0.0.1:"))
    assert text.endswith(b" Connection refused\r\n")
    starter = start.redis if protocol == "redis" else start.memcached
    for port in ports:
        starter(port=port)
    wait_until(lambda: proxy.get("/readyz")[0] == 200, "200", RETRY_SECONDS)
    expected = b"$-1\r\n" if protocol == "redis" else b"END\r\n"
    wait_until(lambda: servers.exchange(proxy.port, request, b"\n") == expected, "an answer")


def reset(client):
    """Closes with a RST, as the kernel does for a killed process with unread bytes."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_clients_that_vanish_in_the_middle_disturb_nobody(shards):
    whole = command("GET", KEYS[0])
    with Load(shards.port, KEYS, 2) as load:
        for round_number in range(100):
            half = servers.connect(shards.port)
            half.sendall(command("SET", "half", "x" * 1000)[:round_number * 10 + 1])
            asking = servers.connect(shards.port)
            asking.sendall(whole * 50 + command("MGET", *KEYS) * 20)
            end = reset if round_number % 2 else socket.socket.close
            end(half)
            end(asking)
        wait_until(lambda: shards.proxy.metric("consort_clients") == 2, "their being forgotten")
        assert load.wrong == []
    with Redis(shards.port) as client:
        assert client.ask("EXISTS", "half") == 0
        assert client.ask("MGET", *KEYS) == [key.encode() for key in KEYS]
    assert shards.proxy.metric("consort_shard_connects_total") == 4


def test_a_server_that_breaks_the_protocol_is_left(start):
    """A stranger on the server's port: the client gets an error of ours, never its bytes."""
    stranger = socket.create_server(("127.0.0.1", servers.free_port()))
    stop = threading.Event()

    def chatter():
        stranger.settimeout(0.05)
        while not stop.is_set():
            try:
                peer, _ = stranger.accept()
            except TimeoutError:
                continue
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\nEvil: yes\r\n\r\n")
            peer.close()

    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        proxy = start.proxy([stranger.getsockname()[1]], options=OPTIONS, wait=False)
        wait_until(lambda: "server.down" in proxy.output(), "the server being refused")
        with Redis(proxy.port) as client:
            assert client.error("GET", "k").startswith("ERR 127.0.0.1:")
        assert proxy.get("/readyz")[0] == 503
    finally:
        stop.set()
        thread.join()
        stranger.close()


def test_a_name_that_does_not_resolve_is_told_and_tried_again(start):
    backend = start.redis()[0]
    proxy = start.proxy([backend, "does-not-exist.invalid:6379"], options=OPTIONS)
    wait_until(lambda: "does-not-exist.invalid" in proxy.get("/health")[1], "the check's text")
    with Redis(proxy.port) as client:
        answers = {str(timed(lambda: client.ask("SET", key, "x"))[1]) for key in KEYS}
    assert "b'OK'" in answers
    failed = answers - {"b'OK'"}
    assert failed
    assert all(text.startswith("ERR does-not-exist.invalid:6379 ") for text in failed)
    assert proxy.get("/readyz")[0] == 200


def test_time_is_not_spent_while_servers_are_away(start):
    """Retrying must not become a busy loop."""
    proxy = start.proxy([servers.free_port() for _ in range(4)], options=OPTIONS, wait=False)
    proxy.wait_health('"state":"UNREADY"')
    before = proxy.cpu_seconds()
    time.sleep(0.5)
    assert proxy.cpu_seconds() - before <= 0.1
