"""nginx writes the log and is told to reopen it by logrotate; another nginx takes what is saved.

Every request has a number, so that both are checked: that nginx wrote each line once is its own
business, and that each line arrives once is ours.
"""
import gzip
import pathlib
import re
import signal
import threading

import pytest

from support import leaves, logs, servers

REQUESTS, CONNECTIONS, ROTATIONS = 12000, 4, 5
PIPELINED = 50
ON_ONE_CONNECTION = 1000  # then nginx closes it (keepalive_requests)

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


class Web(leaves.Nginx):
    """Logs each request's path among what is usual."""

    def __init__(self, log):
        super().__init__(f'access_log {log} combined; location / {{ return 200 "hello"; }}',
                         workers=2)


class Store(leaves.Nginx):
    """Keeps each body in a file of its own, and logs under which key it came."""

    LOCATIONS = """access_log %s kept if=$request_body_file;
      location / { client_body_in_file_only on; client_max_body_size 0; proxy_set_body off;
                   proxy_pass http://127.0.0.1:%d/; }"""
    OPTIONS = """log_format kept
      '$http_idempotency_key $http_content_encoding $status $request_body_file';
      server { listen 127.0.0.1:%d; return 204; }"""

    def __init__(self, log):
        self.kept = log
        answering = servers.free_port()
        super().__init__(self.LOCATIONS % (log, answering), self.OPTIONS % answering)

    def batches(self):
        """Key -> lines; the key of a request that came again names equal bytes."""
        found, bodies = {}, {}
        for line in self.kept.read_text().splitlines() if self.kept.exists() else []:
            key, coding, status, path = line.split(" ")
            assert (coding, status) == ("gzip", "204"), line
            body = pathlib.Path(path).read_bytes()
            assert bodies.setdefault(key, body) == body
            found[key] = gzip.decompress(body).splitlines()
        return found

    def lines(self):
        return [line for lines in self.batches().values() for line in lines]

    def count(self):
        return len(self.lines())


def ask(port, numbers, done):
    """Several under way at a time; done: grows by each answer."""
    for first in range(0, len(numbers), ON_ONE_CONNECTION):
        ask_on_one(port, numbers[first:first + ON_ONE_CONNECTION], done)


def ask_on_one(port, numbers, done):
    with servers.connect(port) as client, client.makefile("rb") as answers:
        for first in range(0, len(numbers), PIPELINED):
            some = numbers[first:first + PIPELINED]
            client.sendall(b"".join(b"GET /line/%06d HTTP/1.1\r\nHost: web\r\n\r\n" % number
                                    for number in some))
            for number in some:
                assert b" 200 " in answers.readline()
                while answers.readline().strip():
                    pass
                assert answers.read(5) == b"hello"
                done.append(number)


def test_each_line_of_nginx_arrives_once_whatever_logrotate_does(saver, directory, tmp_path):
    web = saver.ending(Web(directory / "access.log"))
    store = saver.ending(Store(tmp_path / "kept.log"))
    rotate = logs.Logrotate(directory / "access.log", "rotate 3", "nocreate", "missingok",
                            "postrotate", f"kill -USR1 {web.pid}", "endscript")
    follower = saver.follow([directory / "access.log"], store,
                            ["--encode", "raw", "--batch-time", "50ms"])
    asked, done = list(range(REQUESTS)), []
    askers = [threading.Thread(target=ask, args=(web.port, asked[i::CONNECTIONS], done))
              for i in range(CONNECTIONS)]
    for asker in askers:
        asker.start()
    for number in range(1, ROTATIONS + 1):
        servers.wait_until(lambda: len(done) >= number * REQUESTS // (ROTATIONS + 1)
                           or not any(map(threading.Thread.is_alive, askers)), "some answers")
        rotate()
        servers.wait_until((directory / "access.log").exists, "nginx opening it again")
    for asker in askers:
        asker.join()
    assert sorted(done) == asked
    servers.wait_until(lambda: store.count() >= REQUESTS, "all lines")
    assert web.stop(signal.SIGQUIT) == 0  # what it still had to write it has written
    assert follower.stop() == 0
    assert follower.once() == 0, follower.said
    numbers = [int(re.search(rb'"GET /line/(\d+) HTTP', line)[1]) for line in store.lines()]
    assert sorted(numbers) == asked, follower.said
