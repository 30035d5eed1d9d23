"""What nobody should log, and disks that are in a bad way: requirement R14.

CONSORT_LINE_BYTES=1000000000 and CONSORT_FILES=100000 are the whole of it.
"""
import filecmp
import json
import os
import pathlib
import shutil
import struct
import time

import pytest

from support import collectors, logs, sandbox, servers
from support.log_stores import HttpSink

LONG_LINE_BYTES = int(os.environ.get("CONSORT_LINE_BYTES", 128_000_000))
FILES = int(os.environ.get("CONSORT_FILES", 10_000))
MIB = 1 << 20
RSS_MAX = 32 * MIB
SMALL_DISK_BYTES = 256 << 10
SCAN_SECONDS = 10
JOURNAL_HEAD = b"consort logsaver journal\n"  # then the version, 32 bits; see journal_frame.hpp

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)
in_sandbox = pytest.mark.skipif(bool(sandbox.unavailable()), reason=sandbox.unavailable())


# ---- lines ----

@pytest.mark.slow
def test_a_line_that_hardly_ends_comes_whole_and_takes_no_memory(saver, directory):
    """It is cut in parts on its way, which stand together again in the saved file."""
    target, path = saver.file(), directory / "app.log"
    piece = bytes(range(32, 127)) * 11000
    with logs.Log(path) as log:
        log.write_bytes(b"first\n")
        for start in range(0, LONG_LINE_BYTES, len(piece)):
            log.write_bytes(piece[:LONG_LINE_BYTES - start])
        log.write_bytes(b"\nlast\n")
    follower = saver.follow([path], target, ["--batch-time", "20ms"])
    peak = 0

    def is_saved():
        nonlocal peak
        peak = max(peak, follower.rss_bytes())
        return target.path.exists() and target.path.stat().st_size >= path.stat().st_size
    servers.wait_until(is_saved, "the whole line", 30 + LONG_LINE_BYTES / 10e6)
    follower.stop()
    assert filecmp.cmp(path, target.path, shallow=False)
    assert peak <= RSS_MAX


STRANGE = [
    b"nul \0 within", b"\xff\xfe no text", b"cut \xe2\x82", b"overlong \xc0\xaf",
    b"\x1b[31mred\x07", b"surrogate \xed\xa0\x80", b"\r\rreturns\r in it",
    b'"quoted" \\ {"a":1}', b"\xe2\x82\xac", b"\x7f", b" ", b"x" * 4096,
    bytes(range(1, 10)) + bytes(range(11, 13)) + bytes(range(14, 256))]


def test_any_bytes_come_as_they_are_in_raw_bodies(saver, directory):
    target = saver.file()
    (directory / "app.log").write_bytes(b"".join(line + b"\n" for line in STRANGE))
    follower = saver.follow([directory / "app.log"], target)
    follower.finish(STRANGE)
    assert target.lines() == STRANGE


def test_in_json_what_is_no_text_is_replaced_and_all_else_is_kept(saver, directory):
    sink = saver.ending(HttpSink())
    (directory / "app.log").write_bytes(b"".join(line + b"\n" for line in STRANGE))
    follower = saver.follow([directory / "app.log"], sink)
    servers.wait_until(lambda: sink.count() == len(STRANGE), "all lines")
    follower.stop()
    got = [record["message"] for record in sink.records]
    for line, message in zip(STRANGE, got, strict=True):
        if line.isascii() or line == "€".encode():
            assert message == line.decode()
        else:
            ascii_only = "".join(chr(byte) for byte in line if byte < 128)
            assert "\ufffd" in message
            assert message.replace("\ufffd", "") == ascii_only


# ---- files and directories ----

@pytest.mark.slow
def test_many_files_in_one_directory(saver, directory):
    lines = logs.Lines()
    for number in range(FILES):
        (directory / f"{number}.log").write_bytes(lines.take(1)[0] + b"\n")
    target = saver.file()
    follower = saver.follow([directory / "*.log"], target, ["--batch-time", "50ms"])
    follower.quiet_seconds = 30
    follower.settle(lines.taken)
    for number in range(0, FILES, 100):
        with logs.Log(directory / f"{number}.log") as log:
            log.write(lines.take(1))
    follower.settle(lines.taken)
    follower.wait_health(f"{FILES} files")
    follower.restart()
    with logs.Log(directory / "0.log") as log:
        log.write(lines.take(1))
    follower.finish(lines.taken)
    assert str(logs.tally(lines.taken, target.lines())) == "exact"


def test_a_directory_that_is_removed_and_made_again(saver, directory):
    lines, target = logs.Lines(), saver.file()
    inner = directory / "app"
    follower = saver.follow([inner / "*.log"], target)
    for _ in range(5):
        inner.mkdir()
        with logs.Log(inner / "a.log") as log:
            log.write(lines.take(100))
            follower.settle(lines.taken)
            log.write(lines.take(100))
            shutil.rmtree(inner)
            # The file is open, here and there: so the kernel does not call the directory gone.
            inner.mkdir()
            with logs.Log(inner / "b.log") as other:
                began = time.monotonic()
                other.write(lines.take(100))
                follower.settle(lines.taken)
                # Seen at once, not by the next look at everything.
                assert time.monotonic() - began < SCAN_SECONDS / 2
            shutil.rmtree(inner)
    inner.mkdir()
    with logs.Log(inner / "a.log") as log:
        log.write(lines.take(100))
    follower.finish(lines.taken)
    assert str(logs.tally(lines.taken, target.lines())) == "exact", follower.said


# ---- the sink's file among its own input ----

def test_what_it_writes_is_not_what_it_reads(saver, directory):
    lines, target = logs.Lines(), collectors.FileTarget(directory / "saved.log")
    with logs.Log(directory / "app.log") as log:
        log.write(lines.take(500))
        follower = saver.follow([directory / "*.log"], target)
        follower.settle(lines.taken)
        log.write(lines.take(500))
        follower.settle(lines.taken)
    follower.restart()
    follower.finish(lines.taken)
    assert str(logs.tally(lines.taken, target.lines())) == "exact"


def test_a_directory_to_save_to_within_the_globs_is_not_read_either(saver, directory):
    lines = logs.Lines()
    target = collectors.FileTarget(directory / "saved")
    target.url += "/"
    with logs.Log(directory / "app.log") as log:
        log.write(lines.take(500))
    follower = saver.follow([directory / "**"], target)
    follower.settle(lines.taken)
    follower.restart()
    follower.finish(lines.taken)
    assert str(logs.tally(lines.taken, target.lines())) == "exact"


# ---- the state directory ----

@in_sandbox
def test_a_full_disk_stops_reading_and_space_lets_it_go_on(saver, directory, tmp_path):
    for parent in (directory, directory.parent, tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    box = sandbox.Sandbox(tmp_path / "root")
    box.bind(directory, "/logs", is_writable=False)
    box.tmpfs("/state", SMALL_DISK_BYTES)
    lines, sink = logs.Lines(), saver.ending(HttpSink())
    log = saver.ending(logs.Log(directory / "app.log"))
    log.write(lines.take(1000))
    follower = saver.ending(box.saver(
        ["/logs/*.log"], sink, "/state", ["--batch-time", "5ms", "--batch-bytes", "4KiB"]))
    follower.settle(lines.taken)
    filler = box.outside(follower, "/state/filler")
    fill(filler)
    log.write(lines.take(20000))
    follower.wait_health("No space left on device")
    # It knows no more than it could write down: nothing is sent that would be sent again.
    before = sink.count()
    log.write(lines.take(100))
    assert follower.get("/livez")[0] == follower.get("/readyz")[0] == 200
    assert json.loads(follower.get("/sinks")[1])["sinks"][0]["adds_up"]
    assert sink.count() == before < len(lines.taken)
    filler.unlink()
    follower.settle(lines.taken)
    servers.wait_until(lambda: "No space" not in follower.get("/health")[1], "its recovery")
    assert follower.stop() == 0, follower.said
    assert str(logs.tally(lines.taken, sink.lines())) == "exact"
    assert sink.conflicts == []


def fill(path):
    """Until not even a byte fits: what was freed meanwhile too."""
    with path.open("wb", buffering=0) as out:
        size = 4096
        while size:
            try:
                out.write(b"f" * size)
            except OSError:
                size //= 2


@pytest.mark.parametrize("is_far", [False, True])
def test_the_state_of_a_newer_version_is_refused_and_left_alone(saver, directory, tmp_path, is_far):
    lines, target = logs.Lines(), saver.file()
    with logs.Log(directory / "app.log") as log:
        log.write(lines.take(100))
    follower = saver.follow([directory / "app.log"], target)
    follower.finish(lines.taken)
    journal = tmp_path / "state" / "journal"
    ours = journal.read_bytes()
    assert ours.startswith(JOURNAL_HEAD)
    at = len(JOURNAL_HEAD)
    [version] = struct.unpack("<I", ours[at:at + 4])
    newer = ours[:at] + struct.pack("<I", 0xffffffff if is_far else version + 1) + ours[at + 4:]
    journal.write_bytes(newer)
    follower.begin(wait=False)
    assert follower.wait() == 69
    errors = [line for line in follower.output().splitlines() if '"level":"error"' in line]
    assert len(errors) == 1, follower.output()
    assert "newer version" in errors[0] and str(tmp_path / "state") in errors[0]
    assert journal.read_bytes() == newer
    journal.write_bytes(ours)
    with logs.Log(directory / "app.log") as log:
        log.write(lines.take(100))
    assert follower.once() == 0
    assert str(logs.tally(lines.taken, target.lines())) == "exact"


@pytest.mark.parametrize("spoil", ["empty", "cut", "noise"])
def test_a_spoiled_state_ends_the_start_or_costs_nothing(saver, directory, tmp_path, spoil):
    """Never a crash, and never a start that has silently forgotten."""
    lines, target = logs.Lines(), saver.file()
    with logs.Log(directory / "app.log") as log:
        log.write(lines.take(1000))
    follower = saver.follow([directory / "app.log"], target)
    follower.finish(lines.taken)
    journal = tmp_path / "state" / "journal"
    ours = journal.read_bytes()
    journal.write_bytes({"empty": b"", "cut": ours[:len(ours) // 2],
                         "noise": ours[:64] + os.urandom(len(ours))}[spoil])
    code = follower.once()
    said = follower.said
    assert code in (0, 69), said
    if code == 69:
        assert "journal" in said
        assert pathlib.Path(journal).exists()
        assert str(logs.tally(lines.taken, target.lines())) == "exact"
