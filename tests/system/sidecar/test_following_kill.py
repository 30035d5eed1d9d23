"""kill -9 at any instant: the next start goes on where it must, requirement R1 and some of R2.

CONSORT_KILLS=200 makes the kills as many as requirement R2 asks for.
"""
import os
import random
import threading

import pytest

from support import logs
from support.log_cases import CASES
from support.log_stores import HttpSink, Trouble
from support.servers import wait_until

OPTIONS = ("--batch-time", "20ms", "--batch-bytes", "64KiB")
KILLED = CASES["killed_in_mid_stream"]
KILLS = int(os.environ.get("CONSORT_KILLS", "0"))


@pytest.mark.parametrize("seed", range(3))
def test_killed_while_it_follows_into_a_file(saver, directory, seed):
    saver.expect_exact(KILLED, directory, saver.file(), seed=seed, kills=8)


@pytest.mark.parametrize("trouble", [
    Trouble(), Trouble(delay_seconds=0.01), Trouble(share=0.2, mute_share=0.2)],
    ids=["prompt", "slow", "troubled"])
def test_killed_while_it_follows_into_http(saver, directory, trouble):
    sink = saver.ending(HttpSink(trouble))
    # With the default waits ten seconds in which two tries in five fail may see nothing arrive.
    saver.expect_exact(KILLED, directory, sink, kills=8,
                       options=[*OPTIONS, "--retry-base", "20ms", "--retry-cap", "500ms"])
    assert sink.conflicts == []
    assert sink.errors == []


class Catching:
    """A large file that is there already, and a follower that is killed again and again."""

    def __init__(self, saver, directory, target, count=100000):
        self.target = target
        lines = logs.Lines()
        with logs.Log(directory / "app.log") as log:
            log.write(lines.take(count))
        self.expected = lines.taken
        self.follower = saver.follow([directory / "app.log"], target, wait=False)

    def kill_at(self, count):
        """As soon as so many lines have been saved."""
        self.follower.start()
        wait_until(lambda: self.target.count() >= count, f"{count} lines")
        self.follower.kill()

    def end(self):
        self.follower.start()
        self.follower.finish(self.expected)
        assert str(logs.tally(self.expected, self.target.lines())) == "exact"


@pytest.mark.parametrize("kind", ["file", "http"])
def test_killed_while_it_catches_up(saver, directory, kind):
    target = saver.file() if kind == "file" else saver.ending(HttpSink())
    catching = Catching(saver, directory, target)
    rng = random.Random(7)
    for count in sorted(rng.sample(range(1, len(catching.expected)), 10)):
        catching.kill_at(count)
    catching.end()
    if kind == "http":
        assert sink_is_consistent(target)


def sink_is_consistent(sink):
    return sink.conflicts == [] and sink.errors == []


def test_killed_at_instants_that_nothing_chose(saver, directory):
    """Every few milliseconds, also while it starts: it must get on nevertheless."""
    catching = Catching(saver, directory, saver.file(), count=20000)
    rng = random.Random(11)
    for _ in range(40):
        catching.follower.kill()
        catching.follower.begin(wait=False)
        threading.Event().wait(rng.uniform(0, 0.03))
    catching.follower.kill()
    catching.end()


@pytest.mark.slow
@pytest.mark.skipif(KILLS == 0, reason="CONSORT_KILLS says how often")
def test_killed_as_often_as_wished_into_a_file(saver, directory):
    target = saver.file()
    catching = Catching(saver, directory, target, count=KILLS * 1000)
    rng = random.Random(200)
    for count in sorted(rng.sample(range(1, len(catching.expected)), KILLS)):
        catching.kill_at(count)
    catching.end()
    assert target.path.read_bytes() == (directory / "app.log").read_bytes()
