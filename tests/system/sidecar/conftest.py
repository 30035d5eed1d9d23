"""Logsavers, the directories they follow on several file systems, and the stores they save to."""
import contextlib
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from support import collectors, log_cases, logs

# A sanitizer's report ends a process with another code, but UBSan's may not.
ALARMS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer")
LINES = 20000
# Small batches, so that there are many: each is a chance to do something twice.
OPTIONS = ("--batch-time", "20ms", "--batch-bytes", "64KiB")


class Saver:
    def __init__(self, stack, tmp_path):
        self.stack = stack
        self.tmp_path = tmp_path

    def file(self):
        return collectors.FileTarget(self.tmp_path / "out" / "saved")

    def ending(self, thing):
        """Stops it when the test ends, before what was started earlier."""
        return self.stack.enter_context(thing)

    def follow(self, paths, target, options=OPTIONS, **more):
        """A logsaver that must obey SIGTERM, exit 0, and leave no sanitizer's report."""
        pathlib.Path(self.tmp_path / "out").mkdir(exist_ok=True)
        follower = collectors.Logsaver(paths, target, self.tmp_path / "state", options, **more)
        self.stack.callback(self.end, follower)
        return follower

    @staticmethod
    def end(follower):
        follower.stop()
        assert not any(alarm in follower.said for alarm in ALARMS), follower.said
        wrong = [end for end in follower.ends if end[0].name == "SIGTERM" and end[1] != 0]
        assert not wrong, f"{wrong}\n{follower.said}"

    def expect_exact(self, case, directory, target, count=LINES, options=OPTIONS, **more):
        """Nothing lost and nothing twice; neither when it is started once more."""
        follower = self.follow([directory / case.glob], target, options)
        try:
            expected = case.write(directory, count, follower, **more)
        except log_cases.NotHere as why:
            pytest.skip(str(why))
        follower.finish(expected)
        assert str(logs.tally(expected, follower.lines())) == "exact", follower.said
        assert follower.once() == 0, follower.said
        assert str(logs.tally(expected, follower.lines())) == "exact", follower.said
        return follower


@pytest.fixture
def saver(tmp_path):
    with contextlib.ExitStack() as stack:
        yield Saver(stack, tmp_path)


@contextlib.contextmanager
def mounted_overlay(base):
    parts = [base / name for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir()
    lower, upper, work, merged = parts
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                           f"lowerdir={lower},upperdir={upper},workdir={work}", merged],
                          text=True, capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no overlayfs here: {done.stderr.strip()}")
    try:
        yield merged
    finally:
        subprocess.run(["umount", "-l", merged], check=True)


def base_on(kind, tmp_path):
    """A fresh directory on such a file system."""
    if kind == "tmpfs":
        candidates = [pathlib.Path("/dev/shm")]
    else:
        candidates = [tmp_path, pathlib.Path("/var/tmp")]
    for path in candidates:
        if path.is_dir() and collectors.file_system_of(path) == kind:
            return pathlib.Path(tempfile.mkdtemp(prefix="consort-logs-", dir=path))
    return pytest.skip(f"no {kind} at {', '.join(map(str, candidates))}")


@pytest.fixture(params=["ext4", "tmpfs", "overlay"])
def directory(request, tmp_path):
    """Empty, to be followed. Nothing else is in it, nor in what surrounds it."""
    base = base_on("ext4" if request.param == "overlay" else request.param, tmp_path)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        top = base
        if request.param == "overlay":
            top = stack.enter_context(mounted_overlay(base))
        logs_directory = top / "logs"
        logs_directory.mkdir(mode=0o700)
        yield logs_directory
