"""What happens to log files, as cases: each writes numbered lines, and the truth is known.

    case = CASES["copytruncate"]
    expected = case.write(directory, 20000, follower)  # what must arrive, in any order
    logs.tally(expected, follower.lines())

A case writes into a directory that is followed already (`case.glob` says which names), and asks of
who follows it only what happens to followers: to be stopped and started, killed, frozen, or to have
caught up (see Unfollowed). Where a rotation itself would lose lines, as copytruncate does between
copy and truncate, the writer waits meanwhile: what is missing was lost by the follower.
"""
import collections
import dataclasses
import os
import random
import time
import typing

from support.logs import (LONG_LINE_BYTES, PIECE_LINES, Kubelet, Lines, Log, Logrotate, NotHere,
                          copy_and_truncate, rotate)


class Unfollowed:
    """What a case asks of who follows, with nobody there: to try the writers by themselves."""

    def settle(self, expected):
        """Until these lines have arrived, or nothing more comes."""

    def freeze(self):
        """SIGSTOP: what happens now is seen later, all at once."""

    def thaw(self):
        pass

    def stop(self):
        """Ends as it should: SIGTERM."""

    def kill(self):
        """SIGKILL."""

    def start(self):
        """Again, with the state it has; nothing when it runs."""


@dataclasses.dataclass
class Case:
    name: str
    write: typing.Callable
    glob: str
    is_exact: bool  # its times are: not beside other tests

    def __str__(self):
        return self.name


CASES = {}


def case(glob="app.log", is_exact=False):
    def register(write):
        CASES[write.__name__] = Case(write.__name__, write, glob, is_exact)
        return write
    return register


def pause(milliseconds):
    """Between two writes: the pace of the program that logs, nothing is waited for."""
    time.sleep(milliseconds / 1000)


def by_renaming(directory, count, rotate_once, milliseconds):
    """All that is written stays. milliseconds: after each hundred lines."""
    lines = Lines()
    with Log(directory / "app.log") as log:
        for _ in range(6):
            for _ in range(count // 6 // PIECE_LINES):
                log.write(lines.take(PIECE_LINES))
                pause(milliseconds)
            rotate_once(log.path)
            log.reopen()
        log.write(lines.take(10))
    return lines.taken


@case()
def renamed(directory, count, _):
    return by_renaming(directory, count, lambda path: rotate(path, 9), 3)


@case(glob="app.log*")
def renamed_within_the_glob(directory, count, _):
    return by_renaming(directory, count, lambda path: rotate(path, 9), 3)


@case()
def renamed_by_logrotate(directory, count, _):
    run = Logrotate(directory / "app.log", "create", "rotate 9", "compress", "delaycompress")
    return by_renaming(directory, count, lambda _: run(), 3)


@case()
def renamed_in_a_burst(directory, count, _):
    """Six rotations within milliseconds, which are seen together."""
    return by_renaming(directory, count, lambda path: rotate(path, 9), 0)


@case()
def renamed_and_still_written(directory, count, _):
    """Two programs share the log; one of them is told of the rotation much later."""
    lines = Lines()
    with Log(directory / "app.log") as prompt, Log(directory / "app.log") as late:
        for _ in range(4):
            prompt.write(lines.take(count // 16))
            rotate(prompt.path, 9)
            prompt.reopen()
            for _ in range(30):
                late.write(lines.take(count // 16 // 30))
                prompt.write(lines.take(count // 16 // 30))
                pause(1)
            late.write(lines.take(count // 16))
            late.reopen()
            late.write(lines.take(count // 16))
    return lines.taken


@case(is_exact=True)
def thirty_rotations_at_20_ms(directory, count, _):
    """Three rotated files are kept: a line exists for 80 ms at least."""
    lines = Lines()
    with Log(directory / "app.log") as log:
        due = time.monotonic()
        for _ in range(30):
            log.write(lines.take(count // 30))
            due += 0.02
            time.sleep(max(0, due - time.monotonic()))
            rotate(log.path, 3)
            log.reopen()
        log.write(lines.take(10))
    return lines.taken


def by_copying(directory, count, follower, rotate_once):
    """A rotation while lines are being read, then one that is seen only when it is long over."""
    lines = Lines()
    with Log(directory / "app.log") as log:
        for is_frozen in (None, False, True, False, True):
            if is_frozen is not None:
                log.write(lines.take(count // 9))
                if is_frozen:
                    follower.freeze()
                rotate_once(log.path)
            log.write(lines.take(count // 9))
            follower.thaw()
            # Who was two rotations behind could not know what the first of them took away.
            follower.settle(lines.taken)
    return lines.taken


@case()
def copytruncate(directory, count, follower):
    return by_copying(directory, count, follower, lambda path: copy_and_truncate(path, 9))


@case(glob="app.log*")
def copytruncate_within_the_glob(directory, count, follower):
    return by_copying(directory, count, follower, lambda path: copy_and_truncate(path, 9))


@case()
def copytruncate_by_logrotate(directory, count, follower):
    run = Logrotate(directory / "app.log", "copytruncate", "rotate 9")
    return by_copying(directory, count, follower, lambda _: run())


@case()
def copytruncate_while_stopped(directory, count, follower):
    """What had not been read is in the copy only."""
    lines = Lines()
    with Log(directory / "app.log") as log:
        for end in (follower.stop, follower.kill):
            log.write(lines.take(count // 6))
            follower.settle(lines.taken)
            end()
            log.write(lines.take(count // 6))
            copy_and_truncate(log.path, 9)
            log.write(lines.take(count // 6))
            follower.start()
            follower.settle(lines.taken)
    return lines.taken


@case()
def truncated_and_regrown(directory, count, follower):
    """Past the old offset, with lines of equal width: the size tells nothing."""
    lines = Lines()
    with Log(directory / "app.log") as log:
        for i in range(6):
            log.write(lines.take(count // 12 + 10 * i))
            follower.settle(lines.taken)
            if i % 2 == 0:
                follower.freeze()
            os.truncate(log.path, 0)
            log.write(lines.take(count // 12 + 10 * i + i % 3))
            follower.thaw()
            follower.settle(lines.taken)
            os.truncate(log.path, 0)
    return lines.taken


@case()
def truncated_under_a_writer_without_append(directory, count, follower):
    """It goes on at its old offset, behind a hole of NULs."""
    lines = Lines()
    with Log(directory / "app.log", append=False) as log:
        for i in range(4):
            log.write(lines.take(count // 8))
            follower.settle(lines.taken)
            if i % 2:
                follower.freeze()
            os.truncate(log.path, 0)
            log.write(lines.take(count // 8))
            follower.thaw()
            follower.settle(lines.taken)
    return lines.taken


@case()
def deleted_while_unread(directory, count, follower):
    lines = Lines()
    for _ in range(3):
        with Log(directory / "app.log") as log:
            log.write(lines.take(10))
            follower.settle(lines.taken)
            follower.freeze()
            log.write(lines.take(count // 3))
            log.path.unlink()
        follower.thaw()
        follower.settle(lines.taken)
    return lines.taken


@case(glob="*.log", is_exact=True)
def files_that_live_300_ms(directory, count, _):
    lines = Lines()
    living = collections.deque()
    for i in range(60):
        with Log(directory / f"job-{i}.log") as log:
            log.write(lines.take(count // 60))
        living.append((time.monotonic() + 0.3, log.path))
        pause(10)
        while living[0][0] < time.monotonic():
            living.popleft()[1].unlink()
    for due, path in living:
        time.sleep(max(0, due - time.monotonic()))
        path.unlink()
    return lines.taken


@case()
def lines_of_1_mb(directory, count, _):
    lines = Lines()
    with Log(directory / "app.log") as log:
        for i in range(12):
            long = b"\n".join(lines.take(1 + i % 2, LONG_LINE_BYTES)) + b"\n"
            for first in range(0, len(long), 65536):
                log.write_bytes(long[first:first + 65536])
                pause(1)
            log.write(lines.take(count // 12))
            if i % 4 == 3:
                rotate(log.path, 9)
                log.reopen()
    return lines.taken


@case()
def partial_last_line(directory, count, _):
    """What is written ends anywhere in a line, for a while."""
    lines = Lines()
    data = b"".join(line + b"\n" for line in lines.take(count))
    rng = random.Random(1)
    cuts = sorted(rng.sample(range(1, len(data)), 400))
    with Log(directory / "app.log") as log:
        for first, last in zip([0, *cuts], [*cuts, len(data)]):
            log.write_bytes(data[first:last])
            pause(rng.choice((0, 1, 4)))
    return lines.taken


@case()
def partial_last_line_over_a_restart(directory, count, follower):
    lines = Lines()
    with Log(directory / "app.log") as log:
        for end in (follower.stop, follower.kill, follower.stop):
            log.write(lines.take(count // 3))
            line = lines.take(1)[0]
            log.write_bytes(line[:40])
            follower.settle(lines.taken[:-1])
            end()
            log.write_bytes(line[40:80])
            follower.start()
            log.write_bytes(line[80:] + b"\n")
            follower.settle(lines.taken)
    return lines.taken


@case()
def renamed_while_stopped(directory, count, follower):
    lines = Lines()
    with Log(directory / "app.log") as log:
        for end in (follower.stop, follower.kill, follower.stop):
            log.write(lines.take(count // 9))
            follower.settle(lines.taken)
            end()
            log.write(lines.take(count // 9))
            rotate(log.path, 9)
            log.reopen()
            log.write(lines.take(count // 9))
            follower.start()
            follower.settle(lines.taken)
    return lines.taken


@case(glob="app.log*")
def renamed_twice_while_stopped(directory, count, follower):
    lines = Lines()
    with Log(directory / "app.log") as log:
        log.write(lines.take(count // 5))
        follower.settle(lines.taken)
        follower.stop()
        for _ in range(2):
            log.write(lines.take(count // 5))
            rotate(log.path, 9)
            log.reopen()
            log.write(lines.take(count // 5))
        follower.start()
        follower.settle(lines.taken)
    return lines.taken


@case(glob="*.log")
def equal_first_lines(directory, count, follower):
    """Two files that begin with the same 2 KB, and are of one size for a while."""
    lines = Lines()
    banner = lines.take(20)
    with Log(directory / "a.log") as one, Log(directory / "b.log") as other:
        one.write(banner)
        other.write(lines.again(banner))
        follower.settle(lines.taken)
        for end in (follower.thaw, follower.stop, follower.kill):
            end()
            for log in (one, other):
                log.write(lines.take(count // 6))
            follower.start()
            follower.settle(lines.taken)
    return lines.taken


def reuse_inode(path, inode):
    """An empty file at `path` with the inode that was just freed."""
    others = []
    try:
        for i in range(5000):
            other = path.with_name(f"other-{i}")
            others.append(other)
            other.touch()
            if other.stat().st_ino == inode:
                os.rename(other, path)
                return
    finally:
        for other in others:
            other.unlink(missing_ok=True)
    raise NotHere("this file system does not reuse inodes at once")


@case()
def inode_reused_while_stopped(directory, count, follower):
    """By a file that begins as the old one did, and is longer."""
    lines = Lines()
    banner = lines.take(20)
    path = directory / "app.log"
    with Log(path) as log:
        log.write(banner)
        log.write(lines.take(count // 3))
    for end in (follower.stop, follower.kill):
        follower.settle(lines.taken)
        end()
        inode = path.stat().st_ino
        path.unlink()
        reuse_inode(path, inode)
        with Log(path) as log:
            log.write(lines.again(banner))
            log.write(lines.take(count // 3 + 100))
        follower.start()
    follower.settle(lines.taken)
    return lines.taken


@case(glob="0.log")
def rotated_by_the_kubelet(directory, count, follower):
    """While it is read, and to one that lags by one or two rotations: what it reads is compressed,
    and another file came and went under the name."""
    lines = Lines()
    with Log(directory / "0.log") as log:
        run = Kubelet(log.path)
        for rotations, is_frozen in ((1, False), (1, True), (1, False), (2, True)):
            log.write(lines.take(count // 9))
            follower.settle(lines.taken)
            if is_frozen:
                follower.freeze()
            for _ in range(rotations):
                log.write(lines.take(count // 18))
                run()
                log.reopen()
            log.write(lines.take(count // 18))
            follower.thaw()
            follower.settle(lines.taken)
    return lines.taken


@case(glob="0.log*")
def rotated_by_the_kubelet_while_stopped(directory, count, follower):
    """What was read in part has become NAME.gz: to be gone on with where it was."""
    lines = Lines()
    with Log(directory / "0.log") as log:
        run = Kubelet(log.path)
        log.write(lines.take(count // 4))
        follower.settle(lines.taken)
        follower.stop()
        for _ in range(2):
            log.write(lines.take(count // 4))
            run()
            log.reopen()
        log.write(lines.take(count // 4))
        assert [path.suffix for path in run.rotated()] == [".gz", ".20260101-000002"]
        follower.start()
        follower.settle(lines.taken)
    return lines.taken


@case()
def killed_in_mid_stream(directory, count, follower, kills=5, seed=1):
    """With SIGKILL, while it is written to and rotated; the rotated files stay."""
    lines = Lines()
    rng = random.Random(seed)
    pieces = max(count // 200, kills + 1)
    when = set(rng.sample(range(1, pieces), kills))
    with Log(directory / "app.log") as log:
        for i in range(pieces):
            log.write(lines.take(count // pieces))
            pause(rng.uniform(0, 8))
            if i in when:
                follower.kill()
                log.write(lines.take(50))
                follower.start()
            if i % 40 == 39:
                rotate(log.path, 99)
                log.reopen()
    return lines.taken
