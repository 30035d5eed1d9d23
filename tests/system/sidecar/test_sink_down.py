"""A sink that is away for long, while logs are written and rotated fast: requirement R3.

CONSORT_DOWN_SECONDS=600 is the whole of it; without it the sink is away for six seconds.
"""
import json
import os
import re

import pytest

from support import collectors, logs, numbered, servers

DOWN_SECONDS = float(os.environ.get("CONSORT_DOWN_SECONDS", "6"))
BYTES_PER_SECOND = 5_000_000
ROTATIONS, KEPT = 5, 3
MIB = 1 << 20
RSS_MAX = 32 * MIB
RSS_GROWTH_MAX = 3 * MIB  # of the second half over the first one
DRAIN_SECONDS = 30 + DOWN_SECONDS
OPTIONS = ("--encode", "raw", "--compress", "gzip", "--retry-base", "50ms", "--retry-cap", "500ms",
           "--rotate-wait", "1s", "--grace", "5s")

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)


class Outage:
    def __init__(self, saver, directory, tmp_path, spool_max):
        self.state = tmp_path / "state"
        self.spool_max = spool_max
        self.sink = saver.ending(numbered.CountingSink())
        self.writer = saver.ending(numbered.Writer(directory / "app.log"))
        self.follower = saver.ending(collectors.Logsaver(
            [directory / "app.log"], self.sink, self.state,
            [*OPTIONS, "--spool-max", str(spool_max)]))
        self.rss = []
        self.writer.write(1000)
        numbered.wait_count(self.sink, 1000, 30)

    def write_and_rotate(self, seconds, rate=BYTES_PER_SECOND):
        """With the sink away; the rotated files beyond three are deleted unread."""
        self.sink.stop()
        for _ in range(ROTATIONS):
            self.writer.write_for(seconds / (ROTATIONS + 1), rate, self.look)
            logs.rotate(self.writer.path, KEPT)
            self.writer.reopen()
        self.writer.write_for(seconds / (ROTATIONS + 1), rate, self.look)

    def look(self):
        self.rss.append(self.follower.rss_bytes())
        assert self.spooled() <= self.spool_max

    def spooled(self):
        return numbered.bytes_in(self.state / "spool")

    def drain(self):
        self.sink.begin()
        numbered.wait_count(self.sink, self.writer.count, DRAIN_SECONDS)
        servers.wait_until(self.is_empty, "an empty spool")

    def is_empty(self):
        """Looks, and lets it look at what it waits for: by itself it does that every 10 seconds."""
        self.follower.get("/scan", "POST")
        return self.spooled() == 0

    def sinks(self):
        return json.loads(self.follower.get("/sinks")[1])["sinks"]

    def expect_exact(self):
        assert self.follower.stop() == 0, self.follower.said
        assert str(self.sink.counted.tally(self.writer.count)) == "exact", self.follower.said
        assert self.sink.conflicts == [] and self.sink.errors == []


@pytest.fixture
def outage(saver, directory, tmp_path):
    return lambda spool_max: Outage(saver, directory, tmp_path, spool_max)


def test_memory_is_flat_and_nothing_is_lost_while_the_sink_is_away(outage):
    of_one_file = int(BYTES_PER_SECOND * DOWN_SECONDS / (ROTATIONS + 1))
    it = outage((ROTATIONS - KEPT + 1) * of_one_file + 4 * MIB)
    it.write_and_rotate(DOWN_SECONDS)
    servers.wait_until(lambda: it.spooled() >= of_one_file, "the deleted files in the spool")
    it.look()
    [sink] = it.sinks()
    assert sink["state"] == "retrying" and "refused" in sink["last_error"]
    assert sink["adds_up"] and sink["lost_bytes"] == 0
    assert "would not survive" not in it.follower.get("/health")[1]
    it.drain()
    [sink] = it.sinks()
    assert sink["acknowledged_bytes"] == it.writer.count * numbered.LINE_BYTES
    it.expect_exact()
    if not servers.is_sanitized():
        half = len(it.rss) // 2
        assert max(it.rss) <= RSS_MAX
        assert max(it.rss[half:]) - max(it.rss[:half]) <= RSS_GROWTH_MAX


def test_what_no_longer_fits_the_spool_is_held_open_and_told(outage):
    """It has the deleted files open: as long as it runs nothing is lost."""
    it = outage(2 * MIB)
    it.write_and_rotate(1.2, 4 * BYTES_PER_SECOND)
    it.follower.wait_health("bytes of deleted files would not survive a restart")
    assert "(--spool-max)" in it.follower.output()
    assert it.spooled() <= 2 * MIB
    it.drain()
    servers.wait_until(lambda: "would not survive" not in it.follower.get("/health")[1],
                       "health without a warning")
    it.expect_exact()


def test_ended_with_a_full_spool_it_says_how_many_bytes_are_lost(outage):
    it = outage(2 * MIB)
    it.write_and_rotate(1.2, 4 * BYTES_PER_SECOND)
    it.follower.wait_health("bytes of deleted files would not survive a restart")
    assert it.follower.stop() == 74, it.follower.said
    told = re.search(r'"end\.unsafe".*"bytes":(\d+)', it.follower.said)
    assert told, it.follower.said
    it.sink.begin()
    # What was under way is told once more, since it cannot be sent again.
    assert it.follower.once() == 74, it.follower.said
    # The next life has all but what was told: to the byte, where the spool ends within a line.
    whole = it.sink.counted
    parts = sum(len(each) + 1 for each in whole.foreign)
    missing = whole.missing(it.writer.count) * numbered.LINE_BYTES - parts
    assert (missing, whole.repeated(), it.sink.conflicts) == (int(told[1]), 0, [])
