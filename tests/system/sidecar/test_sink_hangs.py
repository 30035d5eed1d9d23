"""A sink that accepts connections and never answers: who asks how it goes is answered, and rightly.

Requirement R16.
"""
import contextlib
import json
import socket
import threading
import time

import pytest

from support import logs, servers
from support.log_stores import HttpSink

LINES = 20000
ANSWER_SECONDS = 0.5
TRUE_SECONDS = 1.0  # within which what is told is what is so
PAGES = ("/files", "/sinks", "/health", "/metrics", "/livez", "/readyz", "/config")

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


class Silent:
    """Takes all that comes, and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", servers.free_port()))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/logs"
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.connections.append(self.listener.accept()[0])
                threading.Thread(target=self.swallow, args=[self.connections[-1]],
                                 daemon=True).start()

    @staticmethod
    def swallow(connection):
        with contextlib.suppress(OSError):
            while connection.recv(1 << 16):
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class Hanging:
    def __init__(self, saver, directory, *options):
        self.silent = saver.ending(Silent())
        self.lines = logs.Lines()
        self.log = saver.ending(logs.Log(directory / "app.log"))
        self.log.write(self.lines.take(LINES))
        self.follower = saver.follow(
            [directory / "app.log"], self.silent.url + "?timeout=1s&in_flight=2",
            ["--encode", "raw", "--batch-bytes", "64KiB", "--batch-time", "20ms", "--retry-base",
             "10ms", "--retry-cap", "100ms", "--grace", "1s", *options])
        servers.wait_until(lambda: self.silent.connections, "a connection")

    def page(self, path):
        began = time.monotonic()
        status, body = self.follower.get(path)
        assert (status, time.monotonic() - began < ANSWER_SECONDS) == (200, True), path
        return body

    def file(self):
        [only] = json.loads(self.page("/files"))["files"]
        return only

    def sink(self):
        return json.loads(self.page("/sinks"))["sinks"][0]


@pytest.fixture
def hanging(saver, directory):
    return lambda *options: Hanging(saver, directory, *options)


@pytest.mark.alone
def test_every_page_is_answered_while_a_sink_hangs(hanging):
    it = hanging()
    end = time.monotonic() + 2.5  # beyond two timeouts of a request
    while time.monotonic() < end:
        for path in PAGES:
            it.page(path)
    servers.wait_until(lambda: it.sink()["state"] == "retrying", "a request's timeout")
    sink = it.sink()
    assert sink["last_error"] and sink["retries"] > 0
    assert sink["last_error"] in it.page("/health")


def test_the_sums_are_right_at_any_time(hanging):
    it = hanging()
    for number in range(30):
        it.log.write(it.lines.take(1 + 100 * (number % 7)))
        sink = it.sink()
        assert sink["adds_up"]
        assert sink["read_bytes"] == (sink["acknowledged_bytes"] + sink["waiting_bytes"]
                                      + sink["lost_bytes"])
        assert sink["acknowledged_bytes"] == sink["lost_bytes"] == 0


def test_what_is_unread_is_told_within_a_second(hanging):
    """It stops reading, since memory is not where logs wait: the rest is what the file has."""
    it = hanging()
    for count in (100, 5000, 1):
        it.log.write(it.lines.take(count))
        size = it.log.path.stat().st_size
        servers.wait_until(lambda: it.file()["size"] == size, "the size", TRUE_SECONDS)
        file = it.file()
        assert file["acknowledged"] == 0
        assert file["unread"] == size - file["read"] > 0
        assert file["quiet_seconds"] < TRUE_SECONDS
    before = it.sink()["oldest_seconds"]
    servers.wait_until(lambda: it.sink()["oldest_seconds"] >= before + 0.3, "growing age",
                       TRUE_SECONDS)


def test_another_sink_does_not_wait_for_it(saver, hanging):
    other = saver.ending(HttpSink())
    it = hanging("--sink", other.url + "?batch_time=20ms")
    it.log.write(it.lines.take(1000))
    servers.wait_until(lambda: other.count() >= len(it.lines.taken), "all lines elsewhere")
    assert str(logs.tally(it.lines.taken, other.lines())) == "exact"
    assert it.file()["acknowledged"] == 0  # by all sinks
    [first, second] = json.loads(it.page("/sinks"))["sinks"]
    assert (first["acknowledged_bytes"], second["waiting_bytes"]) == (0, 0)


def test_it_ends_in_time_and_the_next_one_saves_what_waited(saver, hanging):
    it = hanging()
    began = time.monotonic()
    assert it.follower.stop() == 0
    assert time.monotonic() - began < 5
    it.silent.close()
    sink = saver.ending(HttpSink(port=it.silent.port))
    assert it.follower.once() == 0
    assert str(logs.tally(it.lines.taken, sink.lines())) == "exact"
