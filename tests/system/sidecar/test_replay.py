"""--replay: what a destination refused is sent to it again, and stays as long as it is refused."""
import json
import subprocess

import pytest

from support import logs, servers
from support.fake_log_stores import FakeElasticsearch, FakeLoki
from support.log_stores import HttpSink, Trouble

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


class Replaying:
    def __init__(self, directory, state):
        self.directory = directory
        self.state = state
        self.lines = logs.Lines()

    def run(self, *words):
        done = subprocess.run(
            [servers.CONSORT, "sidecar", "logsaver", "--admin",
             f"127.0.0.1:{servers.free_port()}", "--state-dir", self.state, "--batch-time", "20ms",
             *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, text=True)
        self.said = done.stderr
        return done.returncode

    def save(self, url, count=100):
        """With a destination that refuses."""
        with logs.Log(self.directory / "app.log") as log:
            log.write(self.lines.take(count))
        return self.run("--path", self.directory / "app.log", "--sink", url, "--once")

    def replay(self, *urls):
        words = [word for url in urls for word in ("--sink", url)]
        return self.run("--replay", *words)

    def letters(self):
        return [json.loads(line) for path in sorted((self.state / "dead").glob("*"))
                for line in path.read_text().splitlines()]


@pytest.fixture
def replaying(directory, tmp_path):
    return Replaying(directory, tmp_path / "state")


@pytest.fixture
def sink():
    with HttpSink(Trouble(share=1.0, statuses=(400,))) as store:
        yield store


def test_what_is_taken_now_is_gone(replaying, sink):
    assert replaying.save(sink.url) == 1
    assert len(replaying.letters()) == 100
    sink.trouble.share = 0.0
    assert replaying.replay(sink.url) == 0, replaying.said
    assert str(logs.tally(replaying.lines.taken, sink.lines())) == "exact"
    # As they would have been the first time.
    data = (replaying.directory / "app.log").read_bytes()
    for record in sink.records:
        assert record["file"] == str(replaying.directory / "app.log")
        offset = int(record["consort.id"].rpartition("-")[2])
        assert data[offset:].startswith(record["message"].encode() + b"\n")
    assert replaying.letters() == []
    assert replaying.replay(sink.url) == 0
    assert len(sink.lines()) == 100


def test_what_is_refused_again_stays(replaying, sink):
    assert replaying.save(sink.url, 10) == 1
    before = replaying.letters()
    assert replaying.replay(sink.url) == 1
    after = replaying.letters()
    assert [each["record"] for each in after] == [each["record"] for each in before]
    assert min(each["time"] for each in after) > max(each["time"] for each in before)
    sink.trouble.share = 0.0
    assert replaying.replay(sink.url) == 0
    assert str(logs.tally(replaying.lines.taken, sink.lines())) == "exact"


def test_the_sink_must_be_named(replaying, sink):
    assert replaying.save(sink.url, 10) == 1
    before = replaying.letters()
    assert replaying.replay("null:") == 1
    assert "replay.no_such_sink" in replaying.said and sink.url in replaying.said
    assert replaying.letters() == before


def test_a_sink_that_is_away_is_waited_for(replaying, sink):
    assert replaying.save(sink.url, 10) == 1
    sink.trouble = Trouble(share=0.5, mute_share=0.2, seed=3)
    assert replaying.replay(sink.url) == 0
    assert str(logs.tally(replaying.lines.taken, sink.lines())) == "exact"
    assert sink.conflicts == []


def test_what_is_followed_is_not_touched(replaying, sink):
    """A replay neither reads files nor moves what is known of them."""
    assert replaying.save(sink.url, 10) == 1
    sink.trouble.share = 0.0
    with logs.Log(replaying.directory / "app.log") as log:
        log.write(replaying.lines.take(5))
    assert replaying.replay(sink.url) == 0
    assert len(sink.lines()) == 10
    assert replaying.run("--path", replaying.directory / "app.log", "--sink", sink.url,
                         "--once") == 0
    assert str(logs.tally(replaying.lines.taken, sink.lines())) == "exact"


def test_beside_a_running_logsaver_it_is_refused(saver, replaying, sink, tmp_path):
    follower = saver.follow([replaying.directory / "app.log"], sink)
    with logs.Log(replaying.directory / "app.log") as log:
        log.write(replaying.lines.take(10))
    servers.wait_until(lambda: len(replaying.letters()) == 10, "dead letters")
    assert replaying.replay(sink.url) == 69
    assert "--state-dir" in replaying.said
    follower.stop()
    sink.trouble.share = 0.0
    assert replaying.replay(sink.url) == 0
    assert str(logs.tally(replaying.lines.taken, sink.lines())) == "exact"


def test_without_a_state_directory_there_is_nothing_to_replay(directory):
    done = subprocess.run(
        [servers.CONSORT, "sidecar", "logsaver", "--replay", "--sink", "null:", "--state-dir",
         "none"], capture_output=True, timeout=30, text=True)
    assert done.returncode in (64, 78)
    assert "--replay" in done.stderr


@pytest.mark.parametrize("store", [FakeElasticsearch, FakeLoki])
def test_other_destinations_get_their_records_too(replaying, store):
    with store(Trouble(share=1.0, statuses=(400,))) as sink:
        url = getattr(sink, "sink_url", None) or sink.url
        assert replaying.save(url, 20) == 1, replaying.said
        assert len(replaying.letters()) == 20
        sink.trouble.share = 0.0
        assert replaying.replay(url) == 0, replaying.said
        assert str(logs.tally(replaying.lines.taken, sink.lines())) == "exact"
        assert replaying.letters() == []
