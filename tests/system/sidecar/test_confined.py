"""As little as a cluster may give it: no user, no capability, a read-only root: requirement R23."""
import contextlib
import os
import pathlib
import stat
import time

import pytest

from support import control_group, logs, sandbox, servers
from support.log_stores import HttpSink

MIB = 1 << 20
MEMORY_MAX = 32 * MIB
PROCESSOR_SHARE, PERIOD_US = 0.1, 100_000
LINES = 100_000

pytestmark = [
    pytest.mark.skipif(bool(sandbox.unavailable()), reason=sandbox.unavailable()),
    pytest.mark.parametrize("directory", ["ext4"], indirect=True)]


class Confined:
    """/logs is read-only, /state is its own, /out too; all else cannot be written."""

    def __init__(self, saver, directory, tmp_path, files_max=None):
        self.saver, self.directory = saver, directory
        directory.chmod(0o755)
        self.out, self.state = tmp_path / "out", tmp_path / "state"
        self.box = sandbox.Sandbox(tmp_path / "root", files_max)
        for own, inside in ((self.out, "/out"), (self.state, "/state")):
            own.mkdir(mode=0o700)
            os.chown(own, sandbox.USER, sandbox.USER)
            self.box.bind(own, inside)
        self.box.bind(directory, "/logs", is_writable=False)
        self.lines = logs.Lines()
        self.log = saver.ending(logs.Log(directory / "app.log"))

    def follow(self, target, *options):
        return self.saver.ending(self.box.saver(["/logs/*.log"], target, "/state", options))

    def expect_exact(self, follower, target):
        follower.settle(self.lines.taken)
        code = follower.stop()
        assert code == 0, follower.said
        assert str(logs.tally(self.lines.taken, target.lines())) == "exact", follower.said


@pytest.fixture
def confined(saver, directory, tmp_path):
    # Others may pass through, or the other user would not reach its own.
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.geteuid() and parent != pathlib.Path("/"):
            parent.chmod(parent.stat().st_mode | stat.S_IXGRP | stat.S_IXOTH)
    return lambda **options: Confined(saver, directory, tmp_path, **options)


def test_no_user_no_capability_and_a_read_only_root(saver, confined):
    it = confined()
    target = saver.file()
    it.log.write(it.lines.take(1000))
    follower = it.follow("file:///out/saved", "--batch-time", "20ms")
    follower.target = target
    assert follower.privileges() == {
        "Uid": "\t".join([str(sandbox.USER)] * 4), "Gid": "\t".join([str(sandbox.USER)] * 4),
        "Groups": "", "NoNewPrivs": "1", "CapInh": "0" * 16, "CapPrm": "0" * 16,
        "CapEff": "0" * 16, "CapBnd": "0" * 16, "CapAmb": "0" * 16}
    for _ in range(3):
        logs.rotate(it.log.path, 1)  # what is deleted goes to the spool
        it.log.reopen()
        it.log.write(it.lines.take(2000))
        follower.settle(it.lines.taken)
    follower.restart()
    follower.freeze()
    it.log.write(it.lines.take(2000))
    follower.thaw()
    it.expect_exact(follower, target)
    assert sorted(path.name for path in it.box.root.iterdir()) == ["consort", "logs", "out",
                                                                   "state"]


@pytest.mark.slow  # a sanitizer's memory is another one
def test_thirty_two_mebibytes_of_memory(saver, confined):
    """With a memory group that enforces it; where there can be none, by looking at the peak."""
    it = confined()
    sink = saver.ending(HttpSink())
    it.log.write(it.lines.take(LINES))
    group = None
    with contextlib.suppress(logs.NotHere):
        group = saver.ending(control_group.Group(
            "memory", {"memory.max": MEMORY_MAX, "memory.swap.max": 0}))
        it.box.join(group)
    follower = it.follow(sink)
    for _ in range(5):
        logs.rotate(it.log.path, 2)
        it.log.reopen()
        it.log.write(it.lines.take(LINES // 5))
    follower.settle(it.lines.taken)
    peak = [int(line.split()[1]) * 1024
            for line in pathlib.Path(f"/proc/{follower.pid}/status").read_text().splitlines()
            if line.startswith("VmHWM:")][0]
    it.expect_exact(follower, sink)
    assert peak <= MEMORY_MAX
    assert group is None or "oom_kill 0" in group.read("memory.events")


@pytest.mark.slow
def test_a_tenth_of_a_processor(saver, confined):
    it = confined()
    sink = saver.ending(HttpSink())
    try:
        group = saver.ending(control_group.Group(
            "cpu", {"cpu.max": f"{int(PROCESSOR_SHARE * PERIOD_US)} {PERIOD_US}"},
            {"cpu.cfs_period_us": PERIOD_US,
             "cpu.cfs_quota_us": int(PROCESSOR_SHARE * PERIOD_US)}))
    except logs.NotHere as why:
        pytest.skip(str(why))
    it.box.join(group)
    began = time.monotonic()
    follower = it.follow(sink, "--batch-time", "100ms")
    for _ in range(20):
        it.log.write(it.lines.take(LINES // 20))
        assert follower.get("/livez")[0] == 200
    follower.settle(it.lines.taken)
    # The kernel lets each period end with what it began.
    assert follower.cpu_seconds() <= PROCESSOR_SHARE * (time.monotonic() - began) + 0.1
    it.expect_exact(follower, sink)


def test_few_descriptors_and_many_files(saver, confined):
    """It may have 64 open, of which half are for logs."""
    it = confined(files_max=128)
    target = saver.file()
    for number in range(1000):
        with logs.Log(it.directory / f"{number}.log") as log:
            log.write(it.lines.take(3))
    follower = it.follow("file:///out/saved", "--batch-time", "20ms")
    follower.target = target
    follower.settle(it.lines.taken)
    for number in range(0, 1000, 7):
        with logs.Log(it.directory / f"{number}.log") as log:
            log.write(it.lines.take(3))
    follower.settle(it.lines.taken)
    assert len(list(pathlib.Path(f"/proc/{follower.pid}/fd").iterdir())) < 128
    it.expect_exact(follower, target)


def test_a_file_that_may_not_be_read_is_told_and_read_as_soon_as_it_may(saver, confined):
    it = confined()
    target = saver.file()
    secret = it.directory / "secret.log"
    with logs.Log(secret) as log:
        secret.chmod(0o600)
        log.write(it.lines.take(100))
    it.log.write(it.lines.take(100))
    follower = it.follow("file:///out/saved", "--batch-time", "20ms")
    follower.target = target
    follower.wait_health("secret.log: ")
    assert "Permission denied" in follower.get("/health")[1]
    servers.wait_until(lambda: target.count() == 100, "the other file's lines")
    secret.chmod(0o644)
    it.expect_exact(follower, target)
