"""Who is measured by scripts/bench/logsaver: our logsaver and rsyslog, and what they used.

    used = catch_up(["--path", path, "--sink", url])   # until it has saved all
    with follow(["--path", path, "--sink", url]) as ours: ...
"""
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from support import collectors, servers

CORES = sorted(os.sched_getaffinity(0))
OUR_CORE, OTHER_CORE = CORES[0], CORES[-1]
LOOK_SECONDS = 0.005


@contextlib.contextmanager
def on_core(core):
    """What is started within stays on this core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclasses.dataclass
class Used:
    cpu_us: float
    seconds: float
    peak_bytes: int


def cpu_us(pid):
    """Of all its threads that still live, to the nanosecond: /proc/PID/stat counts in 10 ms."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the thread has ended
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e3


def memory_of(pid, field="VmHWM"):
    """Bytes: VmHWM is the peak with the program's own file, RssAnon what it has now without."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+)", status)
    return int(found[1]) * 1024 if found else 0  # a process that has ended has no memory


def run(argv, output=subprocess.DEVNULL, stdin=subprocess.DEVNULL):
    """A program on our core until its end, with all that it used.

    The peak is looked at while it runs: ru_maxrss begins with that of this process.
    """
    errors = tempfile.TemporaryFile()
    with on_core(OUR_CORE):
        began = time.monotonic()
        child = subprocess.Popen([str(word) for word in argv], stdin=stdin, stdout=output,
                                 stderr=errors, start_new_session=True)
    peak = 0
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        with contextlib.suppress(OSError):
            peak = max(peak, memory_of(child.pid))
        time.sleep(LOOK_SECONDS)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        errors.seek(0)
        raise SystemExit(f"{argv[0]} ended with {child.returncode}: {errors.read()[-600:]}")
    return Used((usage.ru_utime + usage.ru_stime) * 1e6, time.monotonic() - began, peak)


# ---- consort ----

def catch_up(words):
    """`consort sidecar logsaver --once` with a fresh state."""
    with fresh_directory() as state:
        return run([servers.CONSORT, "sidecar", "logsaver", *words, "--state-dir", state, "--once",
                    "--admin", "none", "--name", f"bench-{os.getpid()}", "--log-level", "error"])


@contextlib.contextmanager
def follow(words):
    """The same, staying; ready within."""
    with fresh_directory() as state:
        with on_core(OUR_CORE):
            ours = servers.Consort(["sidecar", "logsaver"], [*words, "--state-dir", state,
                                                             "--log-level", "warn"])
        with ours:
            yield ours


@contextlib.contextmanager
def fresh_directory(base="/var/tmp"):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="consort-bench-", dir=base))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ---- rsyslog ----

RSYSLOG = """
  module(load="imfile" mode="inotify")
  template(name="line" type="string" string="%msg%\\n")
  ruleset(name="save" {queue}) {{ {action} }}
  input(type="imfile" File="{path}" Tag="log" freshStartTail="off" persistStateInterval="10000"
        ruleset="save")
"""
# What was cheapest of what was tried, also where it would lose lines in a crash.
DIRECT = 'queue.type="Direct"'
QUEUED = 'queue.type="LinkedList" queue.size="100000" queue.dequeueBatchSize="1024"'
BUFFER_BYTES = 256 << 10
FILES_PER_LOG = 2  # open descriptors of imfile for each file, for good
TO_FILE = """action(type="omfile" file="{out}" template="line" ioBufferSize="{size}"
                    flushOnTXEnd="off")"""
TO_TCP = 'action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp")'


class Rsyslog(collectors.Rsyslogd):
    """Following `path`, with a fresh state of its own, which is saved each 10,000 lines."""

    def __init__(self, path, action, queue):
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="consort-bench-", dir="/var/tmp"))
        with on_core(OUR_CORE):
            super().__init__(self.state, RSYSLOG.format(queue=queue, action=action, path=path))

    def stop(self, *arguments, **options):
        code = super().stop(*arguments, **options)
        shutil.rmtree(self.state, ignore_errors=True)
        return code


def rsyslog_to_file(path, out):
    """Its last buffer is written when it is stopped."""
    return Rsyslog(path, TO_FILE.format(out=out, size=BUFFER_BYTES), DIRECT)


def rsyslog_to_tcp(path, port):
    return Rsyslog(path, TO_TCP.format(port=port), QUEUED)


def used_until(make, is_done, what, seconds=300):
    """What a follower used from its start until it has saved all; it is then stopped."""
    began = time.monotonic()
    with make() as peer:
        servers.wait_until(lambda: is_done() or not peer.running(), what, seconds)
        if not peer.running():
            raise SystemExit(f"{what}: it ended:\n{peer.output()[-600:]}")
        return Used(cpu_us(peer.pid), time.monotonic() - began, memory_of(peer.pid))
