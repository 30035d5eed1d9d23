"""Closed-loop clients, for tests that break something meanwhile.

Load: a few Redis clients, a thread each. Crowd: many clients of either protocol in one thread.
"""
import collections
import selectors
import threading
import time

from support import servers
from talk import Redis, command


class Load:
    """Each client asks GET for one of `keys` after the other, and notes how long each took.

    seconds: latencies; wrong: every answer that was not the key's own value. Values equal keys.
    failed_begins: when the requests were sent that ended a connection.
    """

    def __init__(self, port, keys, clients=4):
        self.port = port
        self.keys = [key if isinstance(key, bytes) else key.encode() for key in keys]
        self.seconds = []
        self.wrong = []
        self.failed_begins = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(clients)]

    def _run(self, number):
        begin = None
        try:
            with Redis(self.port) as client:
                while not self.stopping.is_set():
                    key = self.keys[number % len(self.keys)]
                    number += 1
                    begin = time.monotonic()
                    try:
                        value = client.ask("GET", key)
                    except Redis.Failed as failed:
                        value = failed
                    self.seconds.append(time.monotonic() - begin)
                    if value != key:
                        self.wrong.append(value)
        except OSError as failed:
            self.wrong.append(failed)
            self.failed_begins.append(begin)

    def take(self):
        """The latencies since the last take()."""
        taken, self.seconds = self.seconds, []
        return taken

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(10)


class Crowd:
    """Many clients in one thread; each reads one of `keys` after the other, and writes every fourth.

    Values equal keys. A miss is wrong unless the key is in `may_miss`, any other answer is wrong.
    seconds: latencies; failed: Counter of the wrong answers; closed: connections that ended.
    """

    def __init__(self, port, keys, clients=50, protocol="redis", may_miss=()):
        self.port = port
        self.keys = [key if isinstance(key, bytes) else key.encode() for key in keys]
        self.may_miss = {key if isinstance(key, bytes) else key.encode() for key in may_miss}
        self.protocol = protocol
        self.clients = clients
        self.seconds = []
        self.failed = collections.Counter()
        self.misses = 0
        self.closed = 0
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    class _Client:
        def __init__(self, port, number):
            self.socket = servers.connect(port)
            self.number = number
            self.data = b""

    def _ask(self, client):
        client.number += 1
        client.key = key = self.keys[client.number % len(self.keys)]
        writes = client.number % 4 == 0
        if self.protocol == "redis":
            client.expected = b"+OK\r\n" if writes else b"$%d\r\n%s\r\n" % (len(key), key)
            request = command("SET", key, key) if writes else command("GET", key)
        elif writes:
            client.expected = b"STORED\r\n"
            request = b"set %s 0 0 %d\r\n%s\r\n" % (key, len(key), key)
        else:
            client.expected = b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(key), key)
            request = b"get %s\r\n" % key
        client.data = b""
        client.begin = time.monotonic()
        client.socket.sendall(request)

    def _take(self, client):
        """Reads; True when the reply is whole."""
        data = client.socket.recv(65536)
        if not data:
            raise ConnectionError
        client.data += data
        if client.data != client.expected:
            if client.expected.startswith(client.data) or not client.data.endswith(b"\r\n"):
                return False
            is_miss = client.data in (b"$-1\r\n", b"END\r\n")
            if is_miss and client.key in self.may_miss:
                self.misses += 1
            else:
                self.failed[client.data.decode(errors="replace").strip()] += 1
        self.seconds.append(time.monotonic() - client.begin)
        return True

    def _run(self):
        with selectors.DefaultSelector() as ready:
            all_clients = [self._Client(self.port, number * 7) for number in range(self.clients)]
            for client in all_clients:
                ready.register(client.socket, selectors.EVENT_READ, client)
                self._ask(client)
            # The last requests are still answered, or time out.
            while all_clients:
                for key, _ in ready.select(0.1):
                    client = key.data
                    try:
                        goes_on = not self._take(client)
                        if not goes_on and not self.stopping:
                            self._ask(client)
                            goes_on = True
                    except OSError:
                        self.closed += 1
                        goes_on = False
                    if not goes_on:
                        ready.unregister(client.socket)
                        client.socket.close()
                        all_clients.remove(client)

    def take(self):
        """The latencies since the last take()."""
        taken, self.seconds = self.seconds, []
        return taken

    def more(self, requests):
        """Waits until so many more requests are answered."""
        wanted = len(self.seconds) + requests
        servers.wait_until(lambda: len(self.seconds) >= wanted, f"{requests} more answers", 20)

    def check(self):
        """Nothing has failed, nobody was closed."""
        assert self.failed == {}
        assert self.closed == 0
        assert self.thread.is_alive() or self.stopping

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(20)
        assert not self.thread.is_alive(), "a request was never answered"


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]
