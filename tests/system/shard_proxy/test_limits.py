"""Too many clients, too few descriptors, readers that do not read, and the orderly end."""
import resource
import signal
import socket
import threading
import time

import pytest

from load import Load
from support import servers
from support.servers import wait_until
from talk import Redis, command

MIB = 1 << 20


def check_rss(proxy, mib):
    if not servers.is_sanitized():
        assert proxy.rss_bytes() < mib * MIB


def open_clients(port, count):
    return [Redis(port) for _ in range(count)]


def close_all(clients):
    for client in clients:
        client.close()


def test_1000_clients_get_their_own_answers(start):
    proxy = start.proxy(start.redis(4))
    clients = open_clients(proxy.port, 1000)
    try:
        for round_number in range(2):
            for number, client in enumerate(clients):
                client.socket.sendall(command("SET", f"k{number}", f"{round_number}:{number}")
                                      + command("GET", f"k{number}"))
            for number, client in enumerate(clients):
                assert client.reply() == b"OK"
                assert client.reply() == b"%d:%d" % (round_number, number)
        assert proxy.metric("consort_clients") == 1000
        # However many clients: one connection per server.
        assert proxy.metric("consort_shard_connects_total") == 4
    finally:
        close_all(clients)
    wait_until(lambda: proxy.metric("consort_clients") == 0, "all clients gone")


@pytest.mark.slow  # UBSan looks at memory through a pipe, and sees ghosts when there is none.
def test_accepting_pauses_without_descriptors_and_goes_on_later(start):
    proxy = start.proxy(start.redis(2))
    limit = 60
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (limit, limit))
    clients = open_clients(proxy.port, 100)
    try:
        for client in clients:
            client.send("ECHO", "here")
        wait_until(lambda: "accept.paused" in proxy.output(), "the pause being told")
        before = proxy.cpu_seconds()
        time.sleep(0.5)
        assert proxy.cpu_seconds() - before <= 0.1, "it spins"
        served = 0
        for client in clients:
            client.socket.settimeout(0.02)
            try:
                served += client.socket.recv(100) == b"$4\r\nhere\r\n"
            except TimeoutError:
                break
        assert 20 <= served < limit
        close_all(clients[:served])
        # The waiting ones are served as soon as there is room.
        for client in clients[served:served + 30]:
            client.socket.settimeout(5)
            assert client.socket.recv(100) == b"$4\r\nhere\r\n"
    finally:
        close_all(clients)
    wait_until(lambda: proxy.get("/readyz")[0] == 200, "the admin interface being back")
    assert proxy.output().count("accept.paused") <= 10


@pytest.mark.parametrize("protocol, text", [("redis", b"-ERR max number of clients reached\r\n"),
                                            ("memcached", b"ERROR Too many open connections\r\n")])
def test_client_connections_is_a_real_limit(start, protocol, text):
    proxy = start.proxy(start.backends(protocol), protocol, ["--client-connections", "5"])
    ping, pong = {"redis": (b"PING\r\n", b"+PONG\r\n"),
                  "memcached": (b"mn\r\n", b"MN\r\n")}[protocol]
    clients = [servers.connect(proxy.port) for _ in range(5)]
    for client in clients:
        client.sendall(ping)
        assert client.recv(100) == pong
    with servers.connect(proxy.port) as refused:
        assert refused.recv(100) == text
        assert refused.recv(100) == b""
    assert proxy.metric("consort_clients_refused_total") == 1
    clients.pop().close()
    wait_until(lambda: proxy.metric("consort_clients") == 4, "the client being gone")
    with servers.connect(proxy.port) as client:
        client.sendall(ping)
        assert client.recv(100) == pong
    close_all(clients)


def test_a_client_that_does_not_read_is_cut_off_when_others_need_its_server(start):
    proxy = start.proxy(start.redis(), options=["--client-output-limit", "16MiB"])
    with Redis(proxy.port) as client:
        assert client.ask("SET", "big", "v" * (8 * MIB)) == b"OK"
        assert client.ask("SET", "small", "small") == b"OK"
    lazy = servers.connect(proxy.port)
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with lazy, Load(proxy.port, ["small"], 1) as load:
        lazy.sendall(command("GET", "big") * 20)
        wait_until(lambda: "client.cut_off" in proxy.output(), "the cut-off")
        line = [line for line in proxy.output().splitlines() if "client.cut_off" in line][0]
        assert "reads too slowly" in line or "stopped reading" in line
        assert proxy.metric("consort_clients_cut_off_total") == 1
        wait_until(lambda: proxy.metric("consort_clients") == 1, "it being forgotten")
        assert load.wrong == []
    check_rss(proxy, 100)


def test_a_client_that_does_not_read_and_disturbs_nobody_is_held_back(start):
    proxy = start.proxy(start.redis(), options=["--timeout", "500ms"])
    with Redis(proxy.port) as client:
        assert client.ask("SET", "big", "v" * (8 * MIB)) == b"OK"
        client.socket.sendall(command("GET", "big") * 20)
        # Three timeouts later everything is still to be had, and little of it was kept.
        time.sleep(1.5)
        check_rss(proxy, 32)
        for _ in range(20):
            assert len(client.reply()) == 8 * MIB
        assert client.ask("PING") == b"PONG"
    assert "client.cut_off" not in proxy.output()


def test_a_client_that_reads_slowly_but_steadily_gets_everything(start):
    proxy = start.proxy(start.redis(), options=["--timeout", "500ms"])
    size = 6 * MIB
    with Redis(proxy.port) as client:
        assert client.ask("SET", "big", "v" * size) == b"OK"
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send("GET", "big")
        left = len(b"$%d\r\n\r\n" % size) + size
        while left > 0:
            left -= len(client.socket.recv(128 * 1024))
            time.sleep(0.02)
        assert client.ask("PING") == b"PONG"
    assert "client.cut_off" not in proxy.output()


def test_pipelining_without_reading_is_held_back_not_buffered(start):
    """A client that writes for ever and never reads must not fill our memory."""
    proxy = start.proxy(start.redis(2))
    with servers.connect(proxy.port) as client:
        client.settimeout(0.5)
        request = command("GET", "missing") * 10_000
        sent = 0
        try:
            while sent < 256 * MIB:
                sent += client.send(request)
        except TimeoutError:
            pass
        assert sent < 256 * MIB, "it took everything"
        check_rss(proxy, 64)
        # Reading again sets it going again.
        client.settimeout(10)
        assert client.recv(5) == b"$-1\r\n"


@pytest.mark.parametrize("protocol", ["redis", "memcached"])
def test_sigterm_answers_what_was_sent_before_and_exits_0(start, protocol):
    backends = start.backends(protocol, 2)
    proxy = start.proxy(backends, protocol, ["--timeout", "5s"])
    for backend in backends:
        backend.send_signal(signal.SIGSTOP)
    clients = [servers.connect(proxy.port) for _ in range(5)]
    for number, client in enumerate(clients):
        keys = [f"{number}:{i}" for i in range(100)]
        if protocol == "redis":
            client.sendall(b"".join(command("INCR", key) for key in keys))
        else:
            client.sendall(b"".join(b"add %s 0 0 1\r\n1\r\n" % key.encode() for key in keys))
    wait_until(lambda: proxy.metric("consort_client_requests_total") == 500, "requests taken")
    proxy.send_signal(signal.SIGTERM)
    wait_until(lambda: "DRAINING" in proxy.output(), "the drain")
    wait_until(lambda: not servers.answers(proxy.port), "the listener's end")
    assert proxy.running()
    for backend in backends:
        backend.send_signal(signal.SIGCONT)
    for client in clients:
        data = b""
        while chunk := client.recv(65536):
            data += chunk
        assert data == (b":1\r\n" if protocol == "redis" else b"STORED\r\n") * 100
        client.close()
    assert proxy.wait(5) == 0


def test_sigterm_under_load_loses_no_request_sent_before_and_truncates_no_reply(start):
    proxy = start.proxy(start.redis(4))
    keys = [f"k{i}" for i in range(100)]
    with Redis(proxy.port) as client:
        client.ask("MSET", *[word for key in keys for word in (key, key)])
    with Load(proxy.port, keys, 8) as load:
        wait_until(lambda: len(load.seconds) > 2000, "some load")
        asked_to_end = time.monotonic()
        proxy.send_signal(signal.SIGTERM)
        assert proxy.wait(5) == 0
    # Between two requests a connection is simply closed; never within a reply.
    for failed in load.wrong:
        assert isinstance(failed, OSError), failed
        assert "closed after b''" in str(failed) or failed.errno is not None, failed
    early = [begin for begin in load.failed_begins if begin < asked_to_end]
    print(f"{len(load.wrong)} of 8 clients met the close, {len(early)} with a request sent before")
    assert early == []


def test_a_second_sigterm_does_not_wait(start):
    backend = start.redis()[0]
    proxy = start.proxy([backend], options=["--timeout", "20s"])
    with Redis(proxy.port) as client:
        backend.send_signal(signal.SIGSTOP)
        client.send("GET", "k")
        wait_until(lambda: proxy.metric("consort_client_requests_total") == 1, "the request")
        proxy.send_signal(signal.SIGTERM)
        wait_until(lambda: "DRAINING" in proxy.output(), "the drain")
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(3)


@pytest.mark.alone
def test_grace_bounds_the_drain(start):
    backend = start.redis()[0]
    proxy = start.proxy([backend], options=["--timeout", "20s", "--grace", "300ms"])
    with Redis(proxy.port) as client:
        backend.send_signal(signal.SIGSTOP)
        client.send("GET", "k")
        wait_until(lambda: proxy.metric("consort_client_requests_total") == 1, "the request")
        begin = time.monotonic()
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(3)
        assert 0.2 <= time.monotonic() - begin < 2


def test_the_proxy_idles_without_using_time(start):
    proxy = start.proxy(start.redis(4))
    clients = open_clients(proxy.port, 100)
    before = proxy.cpu_seconds()
    time.sleep(0.5)
    assert proxy.cpu_seconds() - before <= 0.05
    close_all(clients)


def test_many_threads_of_clients_come_and_go(start):
    proxy = start.proxy(start.redis(4))
    wrong = []

    def visit(number):
        for i in range(100):
            with Redis(proxy.port) as client:
                key = f"{number}:{i}"
                if client.ask("SET", key, key) != b"OK" or client.ask("GET", key) != key.encode():
                    wrong.append(key)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert proxy.metric("consort_client_connects_total") == 800
    wait_until(lambda: proxy.metric("consort_clients") == 0, "all clients gone")
