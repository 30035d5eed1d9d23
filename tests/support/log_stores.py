"""Where logs are saved over HTTP, with the trouble that such servers make.

    with HttpSink(trouble=Trouble(share=0.2)) as sink:
        ...                                  # --sink sink.url
        sink.lines(), sink.conflicts

A store has `count()` and `lines()` as collectors.FileTarget has, and can be stopped and begin()
again on its port with what it has. Fakes of Loki, Elasticsearch and OTLP: fake_log_stores.py.
"""
import dataclasses
import gzip
import http.server
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import zlib

from support import servers


@dataclasses.dataclass
class Trouble:
    """What goes wrong, by shares of the requests and one seed."""

    share: float = 0.0  # refused with one of `statuses`, nothing is stored
    statuses: tuple = (503,)
    mute_share: float = 0.0  # stored, but the connection is closed without an answer
    retry_after: str | None = None
    delay_seconds: float = 0.0  # before each answer
    seed: int = 1


@dataclasses.dataclass
class Answer:
    status: int
    body: object = b""  # bytes, or what becomes JSON
    headers: tuple = ()


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.answer = Answer(status, text.encode())


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.headers, self.body = method, headers, body
        self.at = time.monotonic()
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    def plain(self, codings=("gzip", "zstd")):
        """The body without its Content-Encoding."""
        coding = self.headers.get("Content-Encoding", "identity").lower()
        if coding == "identity":
            return self.body
        if coding not in codings:
            raise Refused(400, f'Content-Encoding "{coding}" not supported')
        try:
            return gzip.decompress(self.body) if coding == "gzip" else unzstd(self.body)
        except (OSError, EOFError, zlib.error, subprocess.CalledProcessError) as error:
            raise Refused(400, f"body: {error}") from error

    def content_type(self):
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def unzstd(data):
    if not shutil.which("zstd"):
        raise RuntimeError("zstd is missing: scripts/deps test")
    return subprocess.run(["zstd", "-dcq"], input=data, check=True, capture_output=True).stdout


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def read_body(self):
        """None when the client left before its end."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            return body if len(body) == length else None
        body = b""
        while (line := self.rfile.readline()).strip():
            size = int(line, 16)
            part = self.rfile.read(size + 2)
            if len(part) < size + 2:
                return None
            if size == 0:
                return body
            body += part[:-2]
        return None

    def respond(self):
        try:
            body = self.read_body()
        except OSError:
            body = None
        self.close_connection = self.close_connection or body is None
        if body is None:
            return
        answer = self.server.store.answer(Request(self.command, self.path, self.headers, body))
        if answer is None:
            self.close_connection = True
            return
        text = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        try:
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" or answer.status == 204 else text)
        except OSError:
            self.close_connection = True  # The client was killed meanwhile.

    do_GET = do_HEAD = do_POST = do_PUT = respond

    def log_message(self, *_):
        pass


class Threads(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port, store):
        self.store = store
        self.open = set()
        super().__init__(("127.0.0.1", port), Handler)

    def get_request(self):
        accepted = super().get_request()
        self.open.add(accepted[0])
        return accepted

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        # A client that was killed is no error of its protocol.
        if isinstance(sys.exc_info()[1], ConnectionError):
            return
        self.store.errors.append((client_address, repr(sys.exc_info()[1])))


class Store:
    """requests: all that came whole. answered: how often each status was given (0: none).

    in_flight: requests that came whole and are neither stored nor answered yet.
    """

    scheme = "http"

    def __init__(self, trouble=None, port=None):
        self.trouble = trouble or Trouble()
        self.rng = random.Random(self.trouble.seed)
        self.port = port or servers.free_port()
        self.requests = []
        self.answered = {}
        self.in_flight = 0
        self.errors = []
        self.lock = threading.Lock()
        self.got = []  # lines, in the order in which they were accepted
        self.server = None
        self.begin()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def begin(self):
        self.server = Threads(self.port, self)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """As a crash: connections break, what was being answered may or may not be stored."""
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.server.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.server = None

    def answer(self, request):
        """None: the connection is closed without one."""
        with self.lock:
            self.in_flight += 1
        if self.trouble.delay_seconds:
            time.sleep(self.trouble.delay_seconds)
        with self.lock:
            self.in_flight -= 1
            self.requests.append(request)
            answer = self.decide(request)
            status = answer.status if answer else 0
            self.answered[status] = self.answered.get(status, 0) + 1
            return answer

    def decide(self, request):
        chance = self.rng.random()
        if chance < self.trouble.share:
            headers = []
            if self.trouble.retry_after is not None:
                headers = [("Retry-After", self.trouble.retry_after)]
            return Answer(self.rng.choice(self.trouble.statuses), b"busy", headers)
        try:
            answer = self.take(request)
        except Refused as refused:
            return refused.answer
        return None if chance > 1 - self.trouble.mute_share else answer

    def take(self, request):
        raise NotImplementedError

    def count(self):
        return len(self.got)

    def lines(self):
        with self.lock:
            return list(self.got)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class HttpSink(Store):
    """NDJSON or plain lines on any path; a batch of a known Idempotency-Key is not stored again.

    bodies: key -> what came first under it, as it was sent. repeats: how often the same came again.
    conflicts: keys under which other bytes came than the first time.
    """

    def __init__(self, *arguments, **options):
        self.bodies = {}
        self.repeats = 0
        self.conflicts = []
        self.records = []
        self.batches = []  # (key, bytes without coding, lines)
        super().__init__(*arguments, **options)

    @property
    def url(self):
        return super().url + "/logs"

    def take(self, request):
        plain = request.plain()
        if not plain.endswith(b"\n"):
            raise Refused(400, "the last line has no end")
        key = request.headers.get("Idempotency-Key")
        if key is not None and key in self.bodies:
            self.repeats += 1
            if self.bodies[key] != request.body:
                self.conflicts.append(key)
            return Answer(200)
        lines = plain[:-1].split(b"\n")
        if "json" in request.content_type():
            records = [json.loads(line) for line in lines]
            lines = [record["message"].encode() if "message" in record else line
                     for record, line in zip(records, lines)]
            self.records += records
        if key is not None:
            self.bodies[key] = request.body
        self.batches.append((key, len(plain), len(lines)))
        self.got += lines
        return Answer(200)
