"""Saving to S3: each line is in one object, and an object that is there never changes.

The store is OpenStack Swift (support/s3.py), one for all tests, each with a prefix of its own.
CONSORT_KILLS=200 makes the kills as many as requirement R2 asks for.
"""
import itertools
import json
import os
import random
import shutil
import subprocess

import pytest

from support import logs, s3
from support.log_cases import CASES, pause
from support.servers import wait_until

KILLS = int(os.environ.get("CONSORT_KILLS", "0"))
MIB = 1024 * 1024
SMALL = ("--batch-time", "20ms", "--batch-bytes", "64KiB", "--retry-base", "10ms",
         "--retry-cap", "200ms")
prefixes = itertools.count(1)

pytestmark = [
    pytest.mark.parametrize("directory", ["ext4"], indirect=True),
    pytest.mark.skipif(bool(s3.Swift.missing()), reason=s3.Swift.missing()),
    pytest.mark.skipif(not shutil.which("zstd"), reason="the zstd program is missing"),
]


@pytest.fixture(scope="module")
def swift():
    with s3.Swift() as started:
        yield started


def unpacked(key, data):
    """An error for anything but whole frames or members with correct checksums."""
    for suffix, program in ((".zst", "zstd"), (".gz", "gzip")):
        if key.endswith(suffix):
            subprocess.run([program, "-tq"], input=data, check=True, capture_output=True)
            return subprocess.run([program, "-dcq"], input=data, check=True,
                                  capture_output=True).stdout
    return data


class Bucket:
    """What a logsaver saved under one prefix. seen: objects as they were when they were first."""

    def __init__(self, swift, parameters=""):
        self.swift = swift
        self.prefix = f"test-{next(prefixes)}"
        self.url = (f"s3://{swift.bucket}/{self.prefix}?endpoint={swift.endpoint}&path_style=on"
                    f"{parameters}")
        self.seen = {}
        self.held = {}  # key -> lines

    def keys(self):
        return self.swift.keys(self.swift.bucket, self.prefix + "/")

    def look(self):
        for key in self.keys():
            if key not in self.seen:
                self.seen[key] = self.swift.get(self.swift.bucket, key)
                self.held[key] = self.lines_of(key)
        return self.seen

    def records(self, key):
        return [json.loads(line) for line in unpacked(key, self.seen[key]).splitlines()]

    def lines_of(self, key):
        if ".log" in key.rpartition("-")[2]:
            plain = unpacked(key, self.seen[key])
            assert plain.endswith(b"\n")
            return plain[:-1].split(b"\n")
        return [record["message"].encode() for record in self.records(key)]

    def count(self):
        self.look()
        return sum(map(len, self.held.values()))

    def lines(self):
        """In the order of keys."""
        self.look()
        return [line for key in sorted(self.held) for line in self.held[key]]

    def uploads(self):
        return [(key, name) for key, name in self.swift.uploads(self.swift.bucket)
                if key.startswith(self.prefix + "/")]

    def head(self, key):
        return self.swift.head(self.swift.bucket, key)

    def expect_unchanged(self):
        """Byte for byte what it was when it was seen first."""
        for key, data in self.look().items():
            assert self.swift.get(self.swift.bucket, key) == data, key


class Saving:
    def __init__(self, saver, directory, swift, parameters="", options=SMALL):
        self.directory = directory
        self.bucket = Bucket(swift, parameters)
        self.lines = logs.Lines()
        self.secrets = saver.tmp_path / "credentials"
        self.set_secret(swift.secret_key)
        self.env = {**{name: value for name, value in os.environ.items()
                       if not name.startswith("AWS_")},
                    "AWS_SHARED_CREDENTIALS_FILE": str(self.secrets)}
        self.saver, self.options = saver, options
        self.follower = None

    def set_secret(self, secret):
        temporary = self.secrets.with_suffix(".new")
        temporary.write_text(f"[default]\naws_access_key_id = {s3_user(self.bucket)}\n"
                             f"aws_secret_access_key = {secret}\n")
        temporary.rename(self.secrets)

    def follow(self, **more):
        self.follower = self.saver.follow([self.directory / "*.log*"], self.bucket, self.options,
                                          env=self.env, **more)
        return self.follower

    def write(self, count, name="app.log", size=logs.LINE_BYTES):
        with logs.Log(self.directory / name) as log:
            log.write(self.lines.take(count, size))

    def sink(self):
        status, body = self.follower.get("/sinks")
        return json.loads(body)["sinks"][0] if status == 200 else {"state": ""}

    def expect_exact(self, expected=None):
        """All lines once, then and after one more start; and nothing is left of uploads."""
        expected = self.lines.taken if expected is None else expected
        assert self.follower.finish(expected) in (0, None)
        assert str(logs.tally(expected, self.bucket.lines())) == "exact", self.follower.said
        assert self.follower.once() == 0, self.follower.said
        assert str(logs.tally(expected, self.bucket.lines())) == "exact", self.follower.said
        self.bucket.expect_unchanged()
        assert self.bucket.uploads() == []


def s3_user(bucket):
    return bucket.swift.access_key


@pytest.fixture
def saving(saver, directory, swift):
    def make(*arguments, **options):
        return Saving(saver, directory, swift, *arguments, **options)
    return make


def test_lines_of_several_files_arrive_each_file_in_objects_of_its_own(saving):
    it = saving()
    it.follow()
    written = {}
    for _ in range(5):
        for name in ("one.log", "two.log", "three.log"):
            first = len(it.lines.taken)
            it.write(1000, name)
            written.setdefault(name, []).extend(it.lines.taken[first:])
        pause(50)
    it.expect_exact()
    for name, lines in written.items():
        keys = sorted(key for key in it.bucket.seen if f"_{name}-" in key)
        assert len(keys) > 1
        assert [line for key in keys for line in it.bucket.held[key]] == lines
        assert all({record["file"] for record in it.bucket.records(key)}
                   == {str(it.directory / name)} for key in keys)


def test_objects_tell_what_they_hold(saving):
    it = saving()
    it.follow()
    it.write(5000)
    it.expect_exact()
    offsets = []
    for key in sorted(it.bucket.seen):
        assert key.endswith(".ndjson.zst")
        headers = it.bucket.head(key)
        records = it.bucket.records(key)
        plain = unpacked(key, it.bucket.seen[key])
        assert headers["content-type"] == "application/zstd"
        assert int(headers["x-amz-meta-consort-records"]) == len(records)
        assert int(headers["x-amz-meta-consort-plain-bytes"]) == len(plain)
        assert int(headers["x-amz-meta-consort-first-offset"]) == records[0]["offset"]
        offsets += [record["offset"] for record in records]
    assert offsets == sorted(offsets)


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_raw_objects_are_the_file_itself(saving, compress):
    it = saving("&encode=raw&compress=" + compress)
    it.follow()
    it.write(5000)
    it.expect_exact()
    text = b"".join(unpacked(key, it.bucket.seen[key]) for key in sorted(it.bucket.seen))
    assert text == (it.directory / "app.log").read_bytes()


def test_names_as_a_template_says(saving):
    it = saving("&key={prefix}/%25Y/{file}/{tail:06}/{first_offset:020}-{gen}")
    it.follow()
    it.write(3000)
    it.follower.settle(it.lines.taken)
    logs.rotate(it.directory / "app.log", 9)
    it.write(3000)
    it.expect_exact()
    assert it.bucket.lines() == it.lines.taken  # over the rotation too


def test_rotated_files_arrive(saving, directory):
    it = saving()
    follower = it.follow()
    it.expect_exact(CASES["renamed"].write(directory, 10000, follower))


# ---- more than one request ----

LARGE = ("--batch-time", "2s", "--batch-bytes", "40MiB")


def test_what_is_larger_than_8_mib_goes_in_parts(saving):
    it = saving("&encode=raw&compress=none", LARGE)
    it.write(30, size=logs.LONG_LINE_BYTES)
    it.follow()
    it.expect_exact()
    large = [key for key, data in it.bucket.seen.items() if len(data) > 8 * MIB]
    assert large
    assert all("-" in it.bucket.head(key)["etag"] for key in large)


def test_an_upload_that_a_kill_left_is_given_up(saving):
    it = saving("&encode=raw&compress=none", LARGE)
    it.write(38, size=logs.LONG_LINE_BYTES)
    it.follow()
    orphans = wait_until(it.bucket.uploads, "an upload")
    it.follower.kill()
    assert it.bucket.uploads() == orphans
    assert it.bucket.keys() == []
    it.follower.start()
    it.expect_exact()


# ---- trouble ----

def test_a_wrong_secret_holds_the_sink_until_the_file_is_right(saving, swift):
    it = saving()
    it.set_secret("not-the-secret")
    it.follow()
    it.write(2000)
    wait_until(lambda: it.sink()["state"] == "held", "being held")
    held = it.sink()
    assert "403 SignatureDoesNotMatch" in held["last_error"]
    assert str(it.secrets) in held["last_error"]
    assert it.bucket.keys() == []
    shown = "".join(it.follower.get(path)[1] for path in ("/sinks", "/config", "/health", "/logs"))
    it.set_secret(swift.secret_key)
    wait_until(lambda: it.bucket.count() == 2000, "all lines", 60)
    wait_until(lambda: it.sink()["state"] == "ok", "health")
    it.expect_exact()
    for secret in ("not-the-secret", "= " + swift.secret_key):
        assert secret not in shown + it.follower.said


def test_a_bucket_that_is_not_there_is_told_at_the_start_and_waited_for(saving, swift):
    it = saving()
    bucket = f"later-{it.bucket.prefix}"
    it.bucket.url = it.bucket.url.replace("s3://logs/", f"s3://{bucket}/")
    it.follow()
    wait_until(lambda: "NoSuchBucket" in it.follower.get("/logs")[1], "a log line")
    it.write(100)
    wait_until(lambda: it.sink()["state"] == "held", "being held")
    assert "does the bucket exist" in it.sink()["last_error"]
    swift.make_bucket(bucket)
    wait_until(lambda: it.sink()["records_sent"] == 100, "all lines", 60)
    assert it.follower.stop() == 0


def test_a_store_that_stops_answering_and_goes_on(saving, swift):
    it = saving("&timeout=1s")
    it.follow()
    it.write(3000)
    wait_until(lambda: it.bucket.count() > 0, "some lines")
    swift.pause()
    try:
        it.write(3000)
        wait_until(lambda: it.sink()["state"] == "retrying", "a try without an answer")
        it.write(3000)
    finally:
        swift.resume()
    it.expect_exact()


def test_a_store_that_is_away_at_the_start(saving, swift):
    it = saving("&timeout=1s")
    it.write(1000)
    swift.pause()
    try:
        it.follow()
        wait_until(lambda: it.sink()["state"] == "retrying", "a try without an answer")
    finally:
        swift.resume()
    it.expect_exact()


# ---- kill -9 ----

def write_and_kill(it, kills, seed, before_start=lambda: None):
    """Kills it while it saves, at instants that nothing chose."""
    rng = random.Random(seed)
    for number in range(kills):
        it.write(rng.randrange(200, 1200))
        if number % 7 == 6:
            logs.rotate(it.directory / "app.log", 999)
        pause(rng.uniform(0, 120))
        it.follower.kill()
        it.bucket.look()  # what is there now must stay as it is
        it.write(50)
        before_start()
        it.follower.start()


@pytest.mark.parametrize("seed", range(2))
def test_killed_in_mid_stream_every_line_is_in_one_object(saving, seed):
    it = saving()
    it.follow(wait=False)
    write_and_kill(it, 12, seed)
    it.expect_exact()


@pytest.mark.slow
@pytest.mark.skipif(KILLS == 0, reason="CONSORT_KILLS says how often")
def test_killed_as_often_as_wished(saving):
    it = saving()
    it.follow(wait=False)
    write_and_kill(it, KILLS, seed=200)
    it.expect_exact()


def test_killed_and_started_with_other_settings(saving):
    """What was saved under another suffix is found again."""
    it = saving()
    it.follow(wait=False)
    codings = itertools.cycle(["gzip", "none", "zstd"])
    words = list(it.follower.words)

    def change():
        it.follower.words = [*words, "--compress", next(codings), "--label", f"n={next(prefixes)}"]

    write_and_kill(it, 9, 3, change)
    it.expect_exact()
    assert len({key.rpartition(".")[2] for key in it.bucket.seen}) > 1
