"""--stdin: whatever it is, its lines arrive once, and who writes to it may have to wait."""
import contextlib
import os
import pathlib
import signal
import subprocess
import threading

import pytest

from support import logs, servers
from support.log_stores import HttpSink, Trouble

EXIT_USAGE = 64
EXIT_CONFIG = 78
EXIT_LOST = 74
FAST = ("--batch-time", "20ms")


class Piped(contextlib.AbstractContextManager):
    """A logsaver whose standard input is what is given, or else `pipe`."""

    def __init__(self, state, sink, *options, stdin=subprocess.PIPE, env=None):
        self.admin = servers.free_port()
        words = [servers.CONSORT, "sidecar", "logsaver", "--stdin", "--sink", sink, "--state-dir",
                 state, "--admin", f"127.0.0.1:{self.admin}", *FAST, *options]
        self.child = subprocess.Popen([str(word) for word in words], stdin=stdin,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.pipe = self.child.stdin

    def write(self, lines):
        self.pipe.write(b"".join(line + b"\n" for line in lines))
        self.pipe.flush()

    def end(self):
        """Exit code and what was printed to standard output, once the input has ended."""
        out, self.said = self.child.communicate(timeout=60)
        return self.child.returncode, out

    def kill(self):
        self.child.kill()
        self.child.communicate()

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.kill()


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def left_in(state):
    """The lines that are kept for the next start."""
    files = sorted((state / "stdin").glob("stdin.*")) + [state / "stdin" / "stdin"]
    return b"".join(path.read_bytes() for path in files if path.exists()).splitlines()


def test_a_line_arrives_while_its_writer_goes_on(tmp_path, state):
    out = tmp_path / "saved"
    with Piped(state, f"file://{out}") as saver:
        for count in range(1, 4):
            saver.write([b"line %d" % count])
            servers.wait_until(
                lambda: out.exists() and out.read_bytes().count(b"\n") == count, "the line")
        assert saver.end()[0] == 0
    assert out.read_bytes() == b"line 1\nline 2\nline 3\n"


def test_a_file_as_standard_input(tmp_path, state):
    text = b"".join(line + b"\n" for line in logs.Lines().take(20000))
    (tmp_path / "in").write_bytes(text)
    with open(tmp_path / "in", "rb") as source, Piped(state, "stdout:", stdin=source) as saver:
        assert saver.end() == (0, text)


def test_nothing_as_standard_input(state):
    with Piped(state, "stdout:", stdin=subprocess.DEVNULL) as saver:
        assert saver.end() == (0, b"")


def test_a_terminal_as_standard_input_keeps_its_flags(state):
    ours, theirs = os.openpty()
    with Piped(state, "stdout:", stdin=theirs) as saver:
        os.write(ours, b"typed\n\x04")
        assert saver.end() == (0, b"typed\n")
        assert os.get_blocking(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_socket_as_standard_input(state):
    ours, theirs = servers.socket.socketpair()
    with theirs, Piped(state, "stdout:", stdin=theirs.fileno()) as saver, ours:
        ours.sendall(b"one\ntwo\n")
        ours.shutdown(servers.socket.SHUT_WR)
        assert saver.end() == (0, b"one\ntwo\n")


def test_more_than_a_file_of_ours_holds(tmp_path, state):
    """Several files, in order; records that straddle two of them stay whole."""
    text = b"".join(b"%d\n" % number for number in range(6_000_000))
    with open(tmp_path / "in", "wb+") as source:
        source.write(text)
        source.seek(0)
        with Piped(state, f"file://{tmp_path / 'out'}", stdin=source) as saver:
            assert saver.end()[0] == 0
            assert saver.said.count(b'"file.renamed"') >= 2
    assert (tmp_path / "out").read_bytes() == text
    assert list((state / "stdin").iterdir()) == []


def test_a_stack_trace_that_straddles_two_files_is_one_record(tmp_path, state):
    trace = (b"java.lang.IllegalStateException: no\n"
             + b"\tat com.example.Main.run(Main.java:1)\n" * 20)
    count = 60000
    with Piped(state, f"file://{tmp_path / 'out'}?encode=ndjson", "--multiline", "java",
               stdin=subprocess.PIPE) as saver:
        writer = threading.Thread(target=lambda: (saver.pipe.write(trace * count),
                                                  saver.pipe.close()))
        writer.start()
        writer.join()
        saver.child.stdin = None
        assert saver.end()[0] == 0
        assert saver.said.count(b'"file.renamed"') >= 2
    records = (tmp_path / "out").read_bytes().splitlines()
    assert len(records) == count
    assert all(record.count(b"\\tat ") == 20 for record in records)


def test_records_say_that_they_come_from_standard_input(state):
    with Piped(state, "stdout:?encode=ndjson") as saver:
        saver.write([b"one"])
        code, out = saver.end()
        assert code == 0
        assert b'"file":"stdin"' in out


def test_without_a_state_directory_nothing_is_left(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with Piped("none", "stdout:", env=environment) as saver:
        saver.write([b"one"])
        servers.wait_until(lambda: list(tmp_path.glob("consort-*/stdin")), "a file of ours")
        assert saver.end() == (0, b"one\n")
    assert list(tmp_path.iterdir()) == []


# ---- destinations that are away, and kills ----

def test_who_writes_waits_when_too_much_has_not_arrived(state):
    """Nobody reads where it goes to: 64 MiB are taken, and what pipes hold."""
    line = b"x" * 1023 + b"\n"
    total = 100 << 10
    with Piped(state, "stdout:") as saver:
        written = []

        def write():
            for _ in range(total):
                saver.pipe.write(line)
                written.append(1)
            saver.pipe.close()
        writer = threading.Thread(target=write)
        writer.start()
        servers.wait_until(lambda: len(written) > 60 << 10, "64 MiB")
        seen = -1
        # Until it stands still for a while.
        pause = threading.Event()
        while len(written) != seen:
            seen = len(written)
            pause.wait(1.0)
        assert seen < 70 << 10
        saver.child.stdin = None
        code, out = saver.end()
        writer.join()
        assert code == 0
        assert len(out) == total * len(line)
        assert out == line * total


def test_killed_while_the_sink_is_away_the_next_start_sends_what_was_read(state):
    with HttpSink() as sink:
        sink.stop()
        lines = logs.Lines()
        with Piped(state, sink.url, "--retry-cap", "50ms") as saver:
            saver.write(lines.take(20000))
            servers.wait_until(lambda: len(left_in(state)) == 20000, "all in files")
            saver.kill()
        sink.begin()
        with Piped(state, sink.url) as saver:
            saver.write(lines.take(100))
            assert saver.end()[0] == 0
        assert str(logs.tally(lines.taken, sink.lines())) == "exact"
        assert sink.conflicts == []
        assert left_in(state) == []


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_what_was_read_arrives_once(state, seed):
    """What a kill finds in the pipe is gone; of what we took nothing is lost or repeated."""
    trouble = Trouble(share=0.2, mute_share=0.2, seed=seed)
    with HttpSink(trouble) as sink:
        taken = []
        for turn in range(6):
            lines = [b"%d-%d-%d" % (seed, turn, number) for number in range(5000)]
            with Piped(state, sink.url, "--retry-base", "5ms", "--retry-cap", "20ms",
                       "--batch-bytes", "16KiB") as saver:
                saver.write(lines)
                first = len(sink.requests)
                servers.wait_until(lambda: len(sink.requests) > first, "some requests")
                # All of it is in our hands when the pipe is empty and the last line in a file, or
                # at the sink already.
                servers.wait_until(
                    lambda: lines[-1] in left_in(state) or lines[-1] in sink.lines(), "the end")
                saver.kill()
            taken += lines
        with Piped(state, sink.url, stdin=subprocess.DEVNULL) as saver:
            assert saver.end()[0] == 0, saver.said
        assert str(logs.tally(taken, sink.lines())) == "exact"
        assert sink.conflicts == []


def test_told_to_stop_it_sends_what_it_has_read(tmp_path, state):
    out = tmp_path / "saved"
    with Piped(state, f"file://{out}", "--batch-time", "1h") as saver:
        saver.write([b"one", b"two"])
        servers.wait_until(lambda: left_in(state) == [b"one", b"two"], "both lines in a file")
        saver.child.send_signal(signal.SIGTERM)
        assert saver.child.wait(30) == 0
    assert out.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("has_state", [True, False])
def test_told_to_stop_while_the_sink_is_away(tmp_path, state, has_state):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with HttpSink(Trouble(share=1.0)) as sink:
        with Piped(state if has_state else "none", sink.url, "--grace", "1s",
                   env=environment) as saver:
            saver.write([b"one"])
            servers.wait_until(lambda: sink.answered, "a refused request")
            saver.child.send_signal(signal.SIGTERM)
            assert saver.child.wait(30) == (1 if has_state else EXIT_LOST)
        assert list(tmp_path.glob("consort-*")) == []
        sink.trouble.share = 0.0
        if has_state:
            with Piped(state, sink.url, stdin=subprocess.DEVNULL) as saver:
                assert saver.end()[0] == 0
            assert sink.lines() == [b"one"]


def test_what_the_sink_refuses_for_good_is_exit_1(state):
    with HttpSink(Trouble(share=1.0, statuses=(400,))) as sink, Piped(state, sink.url) as saver:
        saver.write([b"one"])
        assert saver.end()[0] == 1
    assert (state / "dead" / "0.ndjson").exists()


# ---- what cannot be ----

def refused(*words):
    done = subprocess.run([servers.CONSORT, "sidecar", "logsaver", "--admin", "127.0.0.1:0",
                           *words],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=30, text=True)
    return done.returncode, done.stderr


def test_files_and_standard_input_exclude_each_other(state):
    code, said = refused("--stdin", "--path", "/x", "--sink", "null:", "--state-dir", str(state))
    assert code in (EXIT_USAGE, EXIT_CONFIG)
    assert "--stdin and --path" in said


def test_a_directory_is_no_input(state):
    directory = os.open("/", os.O_RDONLY)
    with Piped(state, "stdout:", stdin=directory) as saver:
        assert saver.end()[0] == 1
        assert b"stdin.failed" in saver.said
    os.close(directory)


def test_a_state_directory_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    code, said = refused("--stdin", "--sink", "null:", "--state-dir", str(tmp_path / "file"))
    assert code == 69
    assert "--state-dir" in said
    assert pathlib.Path(tmp_path / "file").read_text() == ""
