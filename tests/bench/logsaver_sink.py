#!/usr/bin/env python3
"""The receiver of scripts/bench/logsaver, in a process of its own: HTTP, or a plain TCP stream.

It must not be what is measured: bodies and pieces are kept as they came, with their time, and an
answer is given at once. They are unpacked and their lines counted when Sink.report() asks. Lines
are told by the number that logsaver_lines.py gives them, in whatever stands around them.

A TCP port takes any stream (syslog): it answers nothing, and closes when its peer does.
"""
import array
import json
import re
import selectors
import socket
import statistics
import subprocess
import sys
import time
import zlib

from support import servers

RECEIVE_BYTES = 1 << 20
SEQUENCE = re.compile(rb'\\?"seq\\?":\\?"(\d{9})')
TIME = re.compile(rb'\\?"seq\\?":\\?"\d{9}\\?",\\?"time\\?":\\?"[^T]{10}T(..):(..):(..\.\d{6})Z')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CODING = re.compile(rb"\r\ncontent-encoding: *(\w+)", re.IGNORECASE)
DAY_SECONDS = 86400
LATE_LINES_MAX = 500000  # of more lines nobody wants to know how late they are


class Sink(servers.Server):
    """The process, from the benchmark's side."""

    def __init__(self):
        port = servers.free_port(2)
        self.tcp_port = port + 1
        super().__init__([sys.executable, "-m", "bench.logsaver_sink", port], port,
                         cwd=servers.ROOT / "tests")
        self.url = f"http://127.0.0.1:{port}/logs"

    def ask(self, path):
        request = f"GET {path} HTTP/1.1\r\nHost: sink\r\n\r\n".encode()
        with servers.connect(self.port, 300) as client:
            client.sendall(request)
            with client.makefile("rb") as answer:
                length = 0
                while (line := answer.readline().strip()):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                return json.loads(answer.read(length))

    def reset(self):
        self.ask("/reset")

    def has(self, number):
        """Whether the line of that number is in the newest data of a TCP stream."""
        return self.ask(f"/has/{number}")

    def arrivals(self):
        """How many bodies and pieces have come, and when the last of them."""
        return self.ask("/arrivals")

    def save(self, path):
        """Writes what came, without coding, to a file."""
        self.ask(f"/save{path}")

    def report(self, lines):
        """Of the lines 0..lines: lines, missing, repeated, bytes, late_ms p50, p99 and max."""
        return self.ask(f"/report/{lines}")


# ---- the process itself ----

class Peer:
    def __init__(self, connection, is_http):
        self.connection = connection
        self.is_http = is_http
        self.partial = bytearray()
        self.wanted = 0  # bytes of a request, when its head is known


class Receiver:
    def __init__(self, port):
        self.poll = selectors.DefaultSelector()
        for number, is_http in ((port, True), (port + 1, False)):
            listener = socket.create_server(("127.0.0.1", number), backlog=128)
            self.poll.register(listener, selectors.EVENT_READ, is_http)
        self.reset()

    def reset(self):
        self.bodies = []  # (time, coding, bytes)
        self.streams = []  # for each TCP connection (times, ends, bytes)
        for key in list(self.poll.get_map().values()):
            if isinstance(key.data, Peer) and not key.data.is_http:
                self.begin_stream(key.data)

    def run(self):
        while True:
            for key, _ in self.poll.select():
                if isinstance(key.data, bool):
                    self.accept(key.fileobj, key.data)
                elif not self.read(key.data):
                    self.poll.unregister(key.fileobj)
                    key.fileobj.close()

    def accept(self, listener, is_http):
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(connection, is_http)
        if not is_http:
            self.begin_stream(peer)
        self.poll.register(connection, selectors.EVENT_READ, peer)

    def begin_stream(self, peer):
        """times and ends: when the piece came that makes the text that long."""
        peer.stream = (array.array("d"), array.array("q"), bytearray())
        self.streams.append(peer.stream)

    def read(self, peer):
        try:
            data = peer.connection.recv(RECEIVE_BYTES)
        except OSError:
            return False
        if not data:
            return False
        if not peer.is_http:
            times, ends, kept = peer.stream
            kept += data
            times.append(time.time())
            ends.append(len(kept))
            return True
        peer.partial += data
        while self.take_request(peer):
            pass
        return True

    def take_request(self, peer):
        if not peer.wanted:
            end = peer.partial.find(b"\r\n\r\n")
            if end < 0:
                return False
            peer.head = bytes(peer.partial[:end])
            length = LENGTH.search(peer.head)
            if peer.head.startswith(b"POST") and not length:
                raise SystemExit(f"a body without its length: {peer.head[:300]!r}")
            peer.start = end + 4
            peer.wanted = peer.start + (int(length[1]) if length else 0)
        if len(peer.partial) < peer.wanted:
            return False
        answer = b"{}"
        if peer.head.startswith(b"POST"):
            coding = CODING.search(peer.head)
            body = bytes(memoryview(peer.partial)[peer.start:peer.wanted])
            self.bodies.append((time.time(), coding[1].decode() if coding else "", body))
        else:
            answer = json.dumps(self.command(peer.head.split()[1].decode())).encode()
        del peer.partial[:peer.wanted]
        peer.wanted = 0
        peer.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer)
                                + answer)
        return True

    def command(self, path):
        _, name, *words = path.split("/")
        if name == "reset":
            self.reset()
        elif name == "has":
            wanted = b'"seq":"%09d' % int(words[0])
            return any(wanted in kept[-65536:] for _, _, kept in self.streams)
        elif name == "arrivals":
            times = [body[0] for body in self.bodies]
            for came, _, _ in self.streams:
                times += came
            return {"count": len(times), "last": max(times, default=0)}
        elif name == "save":
            with open("/" + "/".join(words), "wb") as out:
                for _, plain in self.texts():
                    out.write(plain)
        elif name == "report":
            return self.report(int(words[0]))
        return {}

    def report(self, expected):
        counts = bytearray(expected)
        found, foreign, late, size = 0, 0, array.array("d"), 0
        for came, plain in self.texts():
            size += len(plain)
            for number in SEQUENCE.findall(plain):
                found += 1
                if int(number) < expected:
                    counts[int(number)] = min(counts[int(number)] + 1, 255)
                else:
                    foreign += 1
            if expected <= LATE_LINES_MAX:
                late.extend(late_ms(came, *parts) for parts in TIME.findall(plain))
        missing = counts.count(0)
        late = statistics.quantiles(late, n=100) + [max(late)] if len(late) > 1 else [0.0] * 100
        return {"lines": found, "missing": missing,
                "repeated": found - foreign - (expected - missing), "foreign": foreign,
                "bytes": size, "received_bytes": sum(len(body[2]) for body in self.bodies),
                "requests": len(self.bodies), "late_p50": late[49], "late_p99": late[98],
                "late_max": late[99]}

    def texts(self):
        """(when it came, plain text) of all that came."""
        for came, coding, body in self.bodies:
            yield came, plain_of(coding, body)
        for times, ends, kept in self.streams:
            if len(kept) > 256 << 20:  # lateness is of no interest in so much
                yield time.time(), bytes(kept)
                continue
            start = 0
            for came, end in zip(times, ends):
                # A line belongs to the piece that ends it.
                end_of_line = kept.rfind(b"}", start, end) + 1
                if end_of_line > start:
                    yield came, bytes(kept[start:end_of_line])
                    start = end_of_line


def plain_of(coding, body):
    if coding == "gzip":
        plain = []
        while body:  # of members, of which there may be many
            member = zlib.decompressobj(wbits=31)
            plain.append(member.decompress(body))
            body = member.unused_data
        return b"".join(plain)
    if coding == "zstd":
        return subprocess.run(["zstd", "-dc"], input=body, capture_output=True, check=True).stdout
    return body


def late_ms(came, hours, minutes, seconds):
    written = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    late = came % DAY_SECONDS - written
    return (late if late > -DAY_SECONDS / 2 else late + DAY_SECONDS) * 1e3


if __name__ == "__main__":
    Receiver(int(sys.argv[1])).run()
