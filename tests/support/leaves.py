"""HTTP leaves for the tests of the gather roles: what they answer, and how badly, is a script.

    leaf = Leaf(answering({"hits": []}))      # TCP on a free port; Leaf(unix=PATH) on a unix socket
    leaf.behave = black_hole                  # from the next request on
    leaf.requests[-1].header("Consort-Shard")
    leaf.stop()

A behaviour is `async def behave(request)`: it answers through the request, waits, or breaks off.
All leaves of a process share one thread with one loop, so a behaviour must not block. What needs
a process of its own (SIGSTOP) is LeafProcess; Nginx is the leaf that somebody else wrote.

RFC 9112 as far as a root needs it: keep-alive, Content-Length and chunked requests.
"""
import asyncio
import gzip
import json
import os
import pathlib
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import urllib.parse

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import servers  # noqa: E402


class Loop:
    """The thread of all leaves."""

    shared = None

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    @classmethod
    def run(cls, coroutine):
        """The coroutine's result, from any other thread."""
        if cls.shared is None:
            cls.shared = cls()
        return asyncio.run_coroutine_threadsafe(coroutine, cls.shared.loop).result(10)


class Request:
    """One request as a leaf saw it, and the way to its answer."""

    def __init__(self, connection, head, at):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [tuple(part.strip(" ") for part in line.split(":", 1))
                        for line in lines[1:]]
        self.path, _, query = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.body = b""
        self.connection = connection
        self.leaf = connection.leaf
        self.at = at
        self.gone_at = None  # when the peer closed without having its answer
        self.is_answered = False

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        """The only one of that name; None without."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def send(self, body=b"", status=200, content_type="application/json", headers=()):
        """A whole, correct answer."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        length = [] if status == 204 else [("Content-Length", len(body))]
        lines = [f"{name}: {value}"
                 for name, value in [("Content-Type", content_type), *length, *headers]]
        head = "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode()
        self.is_answered = True
        self.raw(head + (b"" if self.method == "HEAD" else body))

    def raw(self, data):
        self.connection.transport.write(data)

    def close(self):
        """Everything that was written goes out first."""
        self.connection.transport.close()

    def reset(self):
        """With a RST, as the kernel does for a killed process with unread bytes."""
        peer = self.connection.transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()


class Connection(asyncio.Protocol):
    def __init__(self, leaf):
        self.leaf = leaf
        self.data = b""
        self.task = None
        self.current = None
        self.number = 0
        self.requests = 0

    def connection_made(self, transport):
        self.transport = transport
        self.leaf.connections += 1
        self.number = self.leaf.connections
        self.leaf.open.add(self)

    def data_received(self, data):
        self.data += data
        if self.task is None:
            self.next()

    def eof_received(self):
        self.left()
        return False

    def connection_lost(self, _):
        self.left()
        self.leaf.open.discard(self)
        if self.task is not None:
            self.task.cancel()

    def left(self):
        if self.current is not None and not self.current.is_answered:
            self.current.gone_at = self.current.gone_at or time.monotonic()

    def next(self):
        head, end, rest = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        request = Request(self, head, time.monotonic())
        length = int(request.header("Content-Length") or 0)
        if len(rest) < length:
            return
        request.body, self.data = rest[:length], rest[length:]
        self.requests += 1
        self.current = request
        self.leaf.requests.append(request)
        self.task = asyncio.ensure_future(self.leaf.behave(request))
        self.task.add_done_callback(self.done)

    def done(self, task):
        self.task = None
        if not task.cancelled() and task.exception() is not None:
            self.leaf.errors.append(task.exception())
            self.transport.abort()
        elif not self.transport.is_closing():
            self.next()


class Leaf:
    """An HTTP server that does as it is told, on 127.0.0.1:port or on a unix socket.

    requests: all it saw, in the order in which they were complete. connections: ever opened.
    """

    def __init__(self, behave=None, port=None, unix=None):
        self.behave = behave or answering({})
        self.requests = []
        self.connections = 0
        self.open = set()
        self.errors = []
        self.unix = unix
        self.port = None if unix else port or servers.free_port()
        self.url = f"unix:{unix}" if unix else f"http://127.0.0.1:{self.port}"
        self.server = Loop.run(self.listen())

    async def listen(self):
        loop = asyncio.get_running_loop()
        if self.unix:
            return await loop.create_unix_server(lambda: Connection(self), self.unix)
        return await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port,
                                        backlog=1024)

    async def end(self):
        self.server.close()
        for connection in list(self.open):
            connection.transport.abort()

    def stop(self):
        Loop.run(self.end())
        assert self.errors == [], self.errors

    def close_connections(self):
        """All that are open, as after an idle timeout of the server's."""
        async def close():
            for connection in list(self.open):
                connection.transport.close()
        Loop.run(close())


# ---- behaviours ----

def answering(body, **options):
    """body: bytes as they are, or anything else as JSON; options: those of Request.send."""
    async def behave(request):
        request.send(body, **options)
    return behave


def failing(status, body=None, **options):
    return answering({"status": status} if body is None else body, status=status, **options)


def after(milliseconds, then):
    """Waits, then behaves as `then`."""
    async def behave(request):
        await asyncio.sleep(milliseconds / 1000)
        await then(request)
    return behave


def until(event, then):
    """Waits for the event, of threading, then behaves as `then`."""
    async def behave(request):
        while not event.is_set():
            await asyncio.sleep(0.002)
        await then(request)
    return behave


def in_turn(*behaviours):
    """The first request gets the first one, the last one is for all that follow."""
    left = list(behaviours)

    async def behave(request):
        await (left.pop(0) if len(left) > 1 else left[0])(request)
    return behave


async def by_path(request):
    """/sleep?ms=N waits, /status/N answers with it, everything else gets its own target back."""
    status = 200
    if request.path.startswith("/status/"):
        status = int(request.path.split("/")[2])
    if request.path == "/sleep":
        await asyncio.sleep(int(request.query["ms"]) / 1000)
    request.send({"target": request.target}, status=status)


async def black_hole(_):
    """Takes the request and never says anything."""
    await asyncio.sleep(3600)


async def closing(request):
    request.close()


async def resetting(request):
    request.reset()


async def dripping(request):
    """One byte per second, of an answer that would take minutes."""
    for byte in b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n' + b" " * 100:
        request.raw(bytes([byte]))
        await asyncio.sleep(1)


async def dripping_body(request):
    """A head at once and then one byte per second."""
    request.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
    while True:
        await asyncio.sleep(1)
        request.raw(b" ")


async def never_ending(request):
    """A body of chunks that go on and on, as fast as they are taken."""
    chunk = b"4000\r\n" + b"1" * 0x4000 + b"\r\n"
    request.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not request.connection.transport.is_closing():
        request.raw(chunk)
        full = request.connection.transport.get_write_buffer_size() > 1 << 20
        await asyncio.sleep(0.002 if full else 0)


def saying(data, then_close=True):
    """These bytes, whatever they mean."""
    async def behave(request):
        request.raw(data)
        if then_close:
            request.close()
    return behave


def gzipped(body):
    return answering(gzip.compress(body), headers=[("Content-Encoding", "gzip")])


def huge_headers(size):
    """An answer with that many bytes of headers, 4 KiB each."""
    line = b"X-Filler-%d: " + b"x" * 4096 + b"\r\n"
    lines = b"".join(line % i for i in range(size // 4096))
    return saying(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 2\r\n\r\n{}", False)


# ---- addresses where no leaf is ----

class Refusing:
    """A port that stays free: connecting to it is refused at once."""

    def __init__(self):
        self.holder = socket.socket()
        self.holder.bind(("127.0.0.1", servers.free_port()))
        self.url = f"http://127.0.0.1:{self.holder.getsockname()[1]}"

    def stop(self):
        self.holder.close()


class Unreachable:
    """A port whose line of new connections is full: connecting to it gets no answer at all."""

    def __init__(self):
        self.holder = socket.create_server(("127.0.0.1", servers.free_port()), backlog=0)
        self.url = "http://127.0.0.1:%d" % self.holder.getsockname()[1]
        self.waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self.holder.getsockname())
            self.waiting.append(client)

    def stop(self):
        for each in [*self.waiting, self.holder]:
            each.close()


# ---- processes ----

class LeafProcess(servers.Server):
    """A leaf that behaves `by_path`, as a process: to be stopped and killed."""

    def __init__(self, port=None):
        port = port or servers.free_port()
        super().__init__([sys.executable, __file__, str(port)], port)
        self.url = f"http://127.0.0.1:{port}"

    def pause(self):
        """SIGSTOP, which is not there at once: one thread may still answer."""
        self.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        servers.wait_until(lambda: all(path.read_text().rsplit(")", 1)[1].split()[0] == "T"
                                       for path in tasks.glob("*/stat")), "its being stopped")

    def resume(self):
        self.send_signal(signal.SIGCONT)


class Nginx(servers.Server):
    """nginx with one worker; `locations` is the inside of its server block.

    Without any it answers every path with which connection asked, and how often that one has.
    """

    LOCATIONS = """location / { default_type application/json;
      return 200 '{"connection":$connection,"requests":$connection_requests}'; }"""

    def __init__(self, locations=LOCATIONS, options="", port=None, workers=1):
        port = port or servers.free_port()
        self.directory = tempfile.TemporaryDirectory(prefix="consort-nginx-")
        temporary = "".join(f"  {kind}_temp_path {self.directory.name}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        config = pathlib.Path(self.directory.name) / "nginx.conf"
        config.write_text(
            f"daemon off;\n{user}worker_processes {workers};\nerror_log stderr;\n"
            f"pid {self.directory.name}/pid;\nevents {{ worker_connections 4096; }}\n"
            f"http {{\n  access_log off;\n{temporary}  {options}\n"
            f"  server {{\n    listen 127.0.0.1:{port};\n    {locations}\n  }}\n}}\n")
        super().__init__(["nginx", "-e", "stderr", "-c", config], port)
        self.url = f"http://127.0.0.1:{port}"

    def stop(self, *arguments, **options):
        code = super().stop(*arguments, **options)
        self.directory.cleanup()
        return code


def main():
    Leaf(by_path, port=int(sys.argv[1]))
    threading.Event().wait()


if __name__ == "__main__":
    main()
