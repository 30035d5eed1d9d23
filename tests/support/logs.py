"""Log files as programs write and rotate them, and what became of their lines.

    lines = Lines()
    with Log(directory / "app.log") as log:
        log.write(lines.take(1000))
    tally(lines.taken, follower.lines())  # "exact", or what is lost and what repeated

The cases that are made of these are in log_cases.py.
"""
import collections
import contextlib
import dataclasses
import gzip
import os
import pathlib
import re
import shutil
import subprocess

LINE_BYTES = 122  # with its end; about what access logs have
LONG_LINE_BYTES = 1000 * 1000
PIECE_LINES = 100  # written at once, as programs with a buffer do


class NotHere(Exception):
    """The case cannot be made on this file system, and why."""


# ---- lines and what became of them ----

class Lines:
    """Numbered lines of equal width, alike but for their number; `taken` is all of them."""

    def __init__(self):
        self.taken = []

    def take(self, count, size=LINE_BYTES):
        fresh = []
        for number in range(len(self.taken), len(self.taken) + count):
            head = b'{"seq":"%09d","time":"2026-01-01T00:00:00Z","level":"info","text":"' % number
            fresh.append(head.ljust(size - 3, b".") + b'"}')
        self.taken += fresh
        return fresh

    def again(self, lines):
        """Equal lines in another place, which must arrive once more."""
        self.taken += lines
        return lines


@dataclasses.dataclass
class Tally:
    lost: int
    repeated: int
    foreign: int  # nobody wrote them: cut, joined, with NULs
    examples: str

    def __iter__(self):
        return iter((self.lost, self.repeated + self.foreign))

    def __str__(self):
        if not self.lost and not self.repeated and not self.foreign:
            return "exact"
        return (f"{self.lost} lost, {self.repeated} repeated, {self.foreign} foreign"
                f"\n{self.examples}")


def name_of(line):
    number = re.match(rb'\{"seq":"(\d{9})"', line)
    if number and len(line) in (LINE_BYTES - 1, LONG_LINE_BYTES - 1):
        return str(int(number[1]))
    return f"{len(line)} bytes {line[:60]!r}"


def tally(expected, got):
    """Unpacks as (lost, repeated), where foreign lines count as repeated; str() is "exact"."""
    wanted, came = collections.Counter(expected), collections.Counter(got)
    missing, extra = wanted - came, came - wanted
    foreign = collections.Counter({line: n for line, n in extra.items() if line not in wanted})
    repeated = extra - foreign
    examples = [f"  {what}: " + ", ".join(name_of(line) for line in sorted(lines)[:8])
                for what, lines in (("lost", missing), ("repeated", repeated),
                                    ("foreign", foreign)) if lines]
    return Tally(missing.total(), repeated.total(), foreign.total(), "\n".join(examples))


# ---- files ----

class Log:
    """A log file as a program has it open."""

    def __init__(self, path, append=True):
        self.path = pathlib.Path(path)
        self.flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0)
        self.fd = os.open(self.path, self.flags, 0o644)

    def write(self, lines, piece=PIECE_LINES):
        for first in range(0, len(lines), piece):
            self.write_bytes(b"".join(line + b"\n" for line in lines[first:first + piece]))

    def write_bytes(self, data):
        while data:
            data = data[os.write(self.fd, data):]

    def reopen(self):
        """As programs do when they are told that their log was rotated."""
        os.close(self.fd)
        self.fd = os.open(self.path, self.flags, 0o644)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def shift(path, kept):
    """app.log.1 becomes app.log.2 and so on; the one beyond `kept` is deleted."""
    pathlib.Path(f"{path}.{kept}").unlink(missing_ok=True)
    for number in range(kept - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}.{number}", f"{path}.{number + 1}")


def rotate(path, kept):
    """By renaming; who writes must reopen."""
    shift(path, kept)
    os.rename(path, f"{path}.1")


def copy_and_truncate(path, kept):
    shift(path, kept)
    shutil.copyfile(path, f"{path}.1")
    os.truncate(path, 0)


class Logrotate:
    """The real one, with a state and a configuration of its own outside the log's directory."""

    def __init__(self, path, *directives):
        if not shutil.which("logrotate"):
            raise NotHere("logrotate is not installed")
        beside = pathlib.Path(path).parent.with_name(pathlib.Path(path).parent.name + ".logrotate")
        beside.mkdir(mode=0o700, exist_ok=True)
        self.config, self.state = beside / "config", beside / "state"
        self.config.write_text(f"{path} {{\n" + "".join(f"  {d}\n" for d in directives) + "}\n")
        self.config.chmod(0o644)

    def __call__(self):
        done = subprocess.run(["logrotate", "-f", "-s", self.state, self.config], text=True,
                              capture_output=True, timeout=60)
        if done.returncode != 0 or "error:" in done.stderr:
            raise RuntimeError(f"logrotate: {done.returncode}\n{done.stderr}")


class Kubelet:
    """Rotation as the kubelet does it (container_log_manager.go): a rotated file stays as it is
    until the next rotation, which compresses it through NAME.tmp into NAME.gz."""

    FILES_MAX = 5

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.rotations = 0

    def rotated(self):
        return sorted(path for path in self.path.parent.glob(self.path.name + ".*")
                      if path.suffix != ".tmp")

    def __call__(self):
        for path in self.path.parent.glob("*.tmp"):
            path.unlink()
        for path in self.rotated()[:-(self.FILES_MAX - 2)]:
            path.unlink()
        for path in self.rotated():
            if path.suffix != ".gz":
                temporary = pathlib.Path(f"{path}.tmp")
                temporary.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
                os.rename(temporary, f"{path}.gz")
                path.unlink()
        self.rotations += 1
        os.rename(self.path, f"{self.path}.20260101-{self.rotations:06}")
