"""Saving to a server that refuses, forgets to answer and goes away: each batch once, by its key."""
import json
import shutil

import pytest

from support import logs
from support.log_cases import CASES, pause
from support.log_stores import HttpSink, Trouble
from support.servers import wait_until

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


class Saving:
    def __init__(self, saver, directory, trouble=None, options=()):
        self.directory = directory
        self.sink = saver.ending(HttpSink(trouble))
        self.lines = logs.Lines()
        self.log = saver.ending(logs.Log(directory / "app.log"))
        self.follower = saver.follow(
            [directory / "app.log"], self.sink,
            ["--batch-time", "20ms", "--batch-bytes", "64KiB", "--retry-base", "10ms",
             "--retry-cap", "100ms", *options])

    def write(self, count):
        self.log.write(self.lines.take(count))

    def expect_exact(self):
        self.follower.finish(self.lines.taken)
        assert str(logs.tally(self.lines.taken, self.sink.lines())) == "exact"
        assert self.sink.conflicts == []
        assert self.sink.errors == []
        assert None not in [key for key, _, _ in self.sink.batches]


@pytest.fixture
def saving(saver, directory):
    def make(*arguments, **options):
        return Saving(saver, directory, *arguments, **options)
    return make


@pytest.mark.parametrize("statuses", [(503,), (429,), (500, 502, 504, 408)], ids=str)
def test_what_is_refused_for_now_is_sent_again(saving, statuses):
    it = saving(Trouble(share=0.3, statuses=statuses))
    it.write(20000)
    it.expect_exact()
    assert any(it.sink.answered.get(status) for status in statuses)


def test_what_was_stored_without_an_answer_is_sent_again_as_it_was(saving):
    it = saving(Trouble(mute_share=0.3))
    it.write(20000)
    it.expect_exact()
    assert it.sink.repeats > 0


@pytest.mark.parametrize("coding", ["none", "gzip", "zstd"])
def test_after_a_kill_the_same_bytes_come_under_the_same_key(saving, coding):
    if coding == "zstd" and not shutil.which("zstd"):
        pytest.skip("the zstd program is missing")
    it = saving(Trouble(delay_seconds=0.1), ["--compress", coding])
    for _ in range(5):
        it.write(2000)
        wait_until(lambda: it.sink.in_flight > 0, "a request under way")
        it.follower.kill()
        it.write(100)
        it.follower.start()
    it.sink.trouble.delay_seconds = 0.0
    it.expect_exact()
    assert it.sink.repeats > 0
    codings = {request.headers.get("Content-Encoding", "none") for request in it.sink.requests}
    assert codings == {coding}


def test_a_server_that_comes_later_and_goes_away_meanwhile(saving):
    it = saving()
    it.sink.stop()
    it.write(5000)
    pause(100)
    for _ in range(3):
        it.sink.begin()
        wait_until(lambda: it.sink.count() == len(it.lines.taken), "catching up")
        it.write(3000)
        it.sink.stop()
        it.write(3000)
    it.sink.begin()
    it.expect_exact()


@pytest.mark.alone
def test_files_that_vanish_while_the_server_is_away(saver, directory):
    """Kept open, or in the spool: the server's absence loses nothing."""
    sink = saver.ending(HttpSink())
    sink.stop()
    follower = saver.follow([directory / "app.log"], sink)
    expected = CASES["thirty_rotations_at_20_ms"].write(directory, 6000, follower)
    sink.begin()
    follower.finish(expected)
    assert str(logs.tally(expected, sink.lines())) == "exact"


def test_the_server_says_when_to_come_again(saving):
    it = saving(Trouble(share=1.0, retry_after="2"), ["--retry-base", "1ms"])
    it.write(1)
    wait_until(lambda: it.sink.answered, "a refused request")
    it.sink.trouble.share = 0.0
    it.expect_exact()
    first, second = (request.at for request in it.sink.requests[:2])
    assert second - first >= 1.9


# ---- what a record says ----

def offset_of(record):
    """Of its first byte: the last part of its id."""
    return int(record["consort.id"].rpartition("-")[2])


def test_a_record_names_its_file_and_offset(saving):
    it = saving(options=["--label", "environment=test"])
    it.write(1000)
    it.expect_exact()
    data = it.log.path.read_bytes()
    for record in it.sink.records:
        message = record["message"].encode()
        assert record["file"] == str(it.log.path)
        assert data[offset_of(record):].startswith(message + b"\n")
        assert record["environment"] == "test"
    assert len({record["consort.id"] for record in it.sink.records}) == 1000


def test_a_parsed_record_has_its_own_members(saving):
    it = saving(options=["--parse", "json"])
    it.write(1000)
    wait_until(lambda: it.sink.count() == 1000, "all records")
    for line, record in zip(it.lines.taken, sorted(it.sink.records, key=offset_of)):
        own = json.loads(line)
        assert {name: record[name] for name in own} == own
        assert record["file"] == str(it.log.path)


def test_bodies_have_a_limit(saving):
    it = saving(options=["--batch-bytes", "32KiB"])
    it.write(20000)
    it.expect_exact()
    assert max(lines for _, _, lines in it.sink.batches) * logs.LINE_BYTES <= 32 * 1024


def test_raw_bodies_are_the_lines_themselves(saving):
    it = saving(options=["--encode", "raw", "--compress", "none"])
    it.write(5000)
    it.expect_exact()
    bodies = sorted(it.sink.bodies.values())
    assert b"".join(bodies) == it.log.path.read_bytes()
