"""How soon a new file is seen: requirement R7, with limits that hold on a busy machine.

Milliseconds on a quiet one, and what idle files cost: scripts/bench/logsaver --only idle.
"""
import statistics
import time

import pytest

from support import logs, servers

FILES = 20
# The goals are 5 and 200 ms. What is caught here is the next slower way to notice: by looking
# instead of being told (100 ms to 2 s), and by the safety scan (10 s).
TOLD_SECONDS, LOOKED_SECONDS = 0.08, 2.5

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


def seconds_until_saved(saver, directory, options):
    """The median over new files: from before open(2) until the line is in the saved file."""
    target = saver.file()
    follower = saver.follow([directory / "*.log"], target, ["--batch-time", "1ms", *options])
    lines, took = logs.Lines(), []
    for number in range(FILES):
        [line] = lines.take(1)
        began = time.monotonic()
        with logs.Log(directory / f"{number}.log") as log:
            log.write([line])
        servers.wait_until(lambda: target.count() > number, f"line {number}")
        took.append(time.monotonic() - began)
    assert str(logs.tally(lines.taken, follower.lines())) == "exact"
    return statistics.median(took)


def test_the_kernel_tells_of_a_new_file_at_once(saver, directory):
    assert seconds_until_saved(saver, directory, ["--poll", "never"]) < TOLD_SECONDS


def test_a_new_file_is_found_by_looking_too(saver, directory):
    assert seconds_until_saved(saver, directory, ["--poll", "always"]) < LOOKED_SECONDS
