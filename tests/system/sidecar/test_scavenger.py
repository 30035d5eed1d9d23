"""--scavenger: the role's thread takes what others leave, and nothing is lost by that.

When it reads and when it does not is decided by the machine's pressure, which no test can set:
tests/unit/roles/logsaver_scavenger_test.cc has that.
"""
import ctypes
import os
import pathlib
import subprocess

import pytest

from support import logs, servers
from support.collectors import FileTarget

SCHED_OTHER, SCHED_IDLE = 0, 5
IOPRIO_WHO_PROCESS, IOPRIO_CLASS_SHIFT, IOPRIO_CLASS_IDLE = 1, 13, 3
# By machine; the others that Debian has share the second one (asm-generic/unistd.h).
IOPRIO_GET = {"x86_64": 252}.get(os.uname().machine, 31)

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


def policy_of(task):
    """Field 41 of /proc/PID/stat (proc(5))."""
    return int((task / "stat").read_text().rsplit(")", 1)[1].split()[41 - 3])


def io_class_of(task):
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(IOPRIO_GET, IOPRIO_WHO_PROCESS, int(task.name))
    assert found >= 0, os.strerror(ctypes.get_errno())
    return found >> IOPRIO_CLASS_SHIFT


def tasks_of(pid):
    return {int(task.name): task for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def test_the_roles_thread_is_idle_and_the_admin_interface_is_not(saver, directory):
    follower = saver.follow([directory / "app.log"], saver.file(), ("--scavenger",))
    tasks = tasks_of(follower.pid)
    role = tasks.pop(follower.pid)
    assert (policy_of(role), io_class_of(role)) == (SCHED_IDLE, IOPRIO_CLASS_IDLE)
    # Probes are answered however busy the machine is.
    assert SCHED_OTHER in {policy_of(task) for task in tasks.values()}
    assert follower.get("/livez")[0] == 200


def test_without_it_nothing_is_lowered(saver, directory):
    follower = saver.follow([directory / "app.log"], saver.file())
    for task in tasks_of(follower.pid).values():
        assert (policy_of(task), io_class_of(task) == IOPRIO_CLASS_IDLE) == (SCHED_OTHER, False)


@pytest.mark.skipif(not pathlib.Path("/proc/pressure/cpu").exists(),
                    reason="this kernel tells no pressure")
def test_all_is_saved_beside_busy_programs_by_and_by(saver, directory):
    """Nothing at first, then a little at a time, as one second is how long it may last."""
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"])
            for _ in range(os.cpu_count() + 1)]
    try:
        follower = saver.follow([directory / "app.log"], saver.file(),
                                ("--scavenger", "--scavenger-pressure", "1",
                                 "--scavenger-delay", "1s", "--batch-time", "20ms"))
        follower.wait_health("reads nothing")
        lines = logs.Lines()
        with logs.Log(directory / "app.log") as log:
            log.write(lines.take(10000))
        follower.settle(lines.taken)
        assert str(logs.tally(lines.taken, follower.lines())) == "exact"
    finally:
        for each in busy:
            each.kill()
            each.wait()


def test_it_ends_by_itself_with_once_and_stdin(directory, tmp_path):
    target = FileTarget(tmp_path / "saved")
    words = [servers.CONSORT, "sidecar", "logsaver", "--admin", "127.0.0.1:0", "--sink", target.url,
             "--state-dir", tmp_path / "state", "--scavenger", "--scavenger-delay", "1s"]
    (directory / "app.log").write_bytes(b"one\n")
    for more, text in ((["--path", directory / "app.log", "--once"], b""), (["--stdin"], b"two\n")):
        done = subprocess.run([*words, *more], input=text, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert target.lines() == [b"one", b"two"]


@pytest.mark.parametrize("percent", ["0", "101", "x"])
def test_a_pressure_that_cannot_be_is_refused(directory, percent):
    done = subprocess.run(
        [servers.CONSORT, "sidecar", "logsaver", "--path", directory / "x", "--sink", "null:",
         "--scavenger-pressure", percent], capture_output=True, timeout=30, text=True)
    assert done.returncode == 64
    assert "--scavenger-pressure" in done.stderr
