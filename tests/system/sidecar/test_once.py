"""--once saves what is there and ends; --stdin saves what comes in by a pipe."""
import signal
import subprocess

import pytest

from support import logs, servers
from support.log_stores import HttpSink, Trouble


class Once:
    def __init__(self, saver, directory, target):
        self.lines = logs.Lines()
        self.path = directory / "app.log"
        self.target = target
        self.follower = saver.follow([directory / "*.log"], target, wait=False)
        self.follower.kill()  # What runs below are runs of --once.

    def write(self, count, name="app.log"):
        with logs.Log(self.path.with_name(name)) as log:
            log.write(self.lines.take(count))

    def run(self):
        assert self.follower.once() == 0, self.follower.said
        return str(logs.tally(self.lines.taken, self.target.lines()))


@pytest.fixture
def once(saver, directory):
    return Once(saver, directory, saver.file())


def test_all_that_is_there_is_saved(once):
    for name in ("app.log", "other.log", "third.log"):
        once.write(5000, name)
    assert once.run() == "exact"


def test_the_next_run_saves_only_what_is_new(once):
    once.write(3000)
    assert once.run() == "exact"
    assert once.run() == "exact"
    once.write(2000)
    once.write(10, "new.log")
    assert once.run() == "exact"


def test_what_was_rotated_between_two_runs_is_saved(once):
    once.write(3000)
    assert once.run() == "exact"
    once.write(1000)
    logs.rotate(once.path, 9)
    once.write(500)
    assert once.run() == "exact"


def test_a_file_that_holds_nothing(once):
    once.write(0)
    assert once.run() == "exact"


def test_killed_in_the_middle_it_goes_on(once):
    once.write(50000)
    for share in (1, 2, 3):
        once.follower.begin_once()
        servers.wait_until(lambda: once.target.count() >= share * 10000
                           or not once.follower.running(), "some lines")
        once.follower.kill()
    assert once.run() == "exact"


def test_ended_before_all_is_saved_it_exits_1_and_the_next_run_goes_on(saver, directory):
    sink = saver.ending(HttpSink(Trouble(share=1.0)))
    once = Once(saver, directory, sink)
    once.write(3000)
    once.follower.begin_once("--grace", "1s")
    servers.wait_until(lambda: sink.answered, "a refused request")
    once.follower.send_signal(signal.SIGTERM)
    assert once.follower.wait() == 1
    sink.trouble.share = 0.0
    assert once.run() == "exact"


# ---- pipes ----

def logsaver(tmp_path, *words, data=b""):
    return subprocess.run(
        [servers.CONSORT, "sidecar", "logsaver", "--admin", f"127.0.0.1:{servers.free_port()}",
         "--state-dir", tmp_path / "state", *words],
        input=data, capture_output=True, timeout=60)


def text_of(count):
    return b"".join(line + b"\n" for line in logs.Lines().take(count))


def test_files_to_the_standard_output(directory, tmp_path):
    (directory / "app.log").write_bytes(text_of(5000))
    done = logsaver(tmp_path, "--path", directory / "app.log", "--sink", "stdout:", "--once")
    assert done.returncode == 0, done.stderr
    assert done.stdout == text_of(5000)


@pytest.mark.parametrize("count", [0, 1, 20000])
def test_the_standard_input_to_a_file(tmp_path, count):
    out = tmp_path / "saved"
    done = logsaver(tmp_path, "--stdin", "--sink", f"file://{out}", data=text_of(count))
    assert done.returncode == 0, done.stderr
    assert (out.read_bytes() if out.exists() else b"") == text_of(count)


def test_the_last_line_of_the_standard_input_needs_no_end(tmp_path):
    done = logsaver(tmp_path, "--stdin", "--sink", "stdout:", data=b"one\ntwo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.removesuffix(b"\n") == b"one\ntwo"


def test_the_standard_input_waits_for_a_sink_that_refuses(tmp_path):
    with HttpSink(Trouble(share=0.5, mute_share=0.2)) as sink:
        done = logsaver(tmp_path, "--stdin", "--sink", sink.url, "--batch-bytes", "64KiB",
                        data=text_of(10000))
        assert done.returncode == 0, done.stderr
        assert str(logs.tally(text_of(10000).splitlines(), sink.lines())) == "exact"
        assert sink.answered.get(503, 0) > 0
