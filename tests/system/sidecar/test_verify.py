"""`consort sidecar verify`: what logsaver saved is proved to be all there, or what is wrong is named.

Each time a logsaver is killed in between, which must not be seen in what it leaves.
"""
import json
import os
import shutil
import signal
import subprocess

import pytest

from support import collectors, logs, s3, servers
from support.log_cases import pause

SMALL = ("--batch-time", "20ms", "--batch-bytes", "16KiB", "--retry-base", "10ms",
         "--retry-cap", "200ms")

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)
needs_swift = pytest.mark.skipif(bool(s3.Swift.missing()), reason=s3.Swift.missing())


@pytest.fixture(scope="module")
def swift():
    with s3.Swift() as started:
        yield started


def verify(*words, env=None):
    """Exit code and lines."""
    done = subprocess.run([servers.CONSORT, "sidecar", "verify", *words], env=env, text=True,
                          capture_output=True, timeout=60)
    assert "ERROR: AddressSanitizer" not in done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines()


def write_and_kill(saver, directory, target, options=SMALL, rounds=4, env=None, change=None):
    """The lines that were written. At the end all has arrived. change: words, by round."""
    lines = logs.Lines()
    follower = saver.follow([directory / "*.log"], target, options, env=env)
    words = list(follower.words)
    for number in range(rounds):
        for name in ("one.log", "two.log"):
            with logs.Log(directory / name) as log:
                log.write(lines.take(400))
        pause(60)
        if number + 1 < rounds:
            follower.words = [*words, *(change(number) if change else ())]
            follower.restart(signal.SIGKILL)
    follower.finish(lines.taken)
    assert follower.once() == 0, follower.said
    return lines.taken


class Saved:
    """A file with manifests, and its lines."""

    def __init__(self, path, parameters=""):
        self.path = path
        self.url = f"file://{path}?manifest=on{parameters}"
        self.manifests = path.with_name(path.name + ".manifest")

    def count(self):
        return len(self.lines())

    def lines(self):
        return collectors.FileTarget(self.path).lines()

    def rows(self):
        return [json.loads(line) for line in self.manifests.read_text().splitlines()]


@pytest.fixture
def saved(saver, directory):
    it = Saved(saver.tmp_path / "out" / "all.log")
    it.written = write_and_kill(saver, directory, it)
    return it


def test_a_file_is_complete_after_kills(saved):
    code, lines = verify(saved.path)
    assert (code, len(lines)) == (0, 1), lines
    rows = saved.rows()
    assert len(rows) > 4
    assert lines[0] == (f"stream {rows[0]['batch'].rpartition('-')[0]}: {len(rows)} batches, "
                        f"{len(saved.written):,} records, 2 files, complete")
    assert [row["batch"].rpartition("-")[2] for row in rows] == [
        str(number) for number in range(1, len(rows) + 1)]
    assert rows[-1]["at"] + rows[-1]["stored"] == saved.path.stat().st_size
    for target in (f"file://{saved.path}", saved.path.parent, saved.manifests, saved.url):
        assert verify(target) == (0, lines), target


def test_a_byte_that_was_changed_is_found(saved):
    row = saved.rows()[2]
    data = bytearray(saved.path.read_bytes())
    data[row["at"] + 7] ^= 1
    saved.path.write_bytes(data)
    code, lines = verify(saved.path)
    assert code == 1
    assert lines[0] == f"{saved.path}, batch {row['batch']}: its bytes were changed (another SHA-256)"
    assert lines[-1].endswith("1 problem")
    # Who does not read does not see it.
    assert verify(saved.path, "--no-read")[0] == 0


def test_a_file_that_was_cut_is_found(saved):
    os.truncate(saved.path, saved.path.stat().st_size - 1)
    code, lines = verify(saved.path, "--no-read")
    assert code == 1
    assert f"batch {saved.rows()[-1]['batch']}: its bytes" in lines[0]
    assert "the file ends at" in lines[0]


def test_a_manifest_that_was_taken_away_or_changed_is_found(saved):
    rows = saved.manifests.read_text().splitlines(keepends=True)
    saved.manifests.write_text("".join(rows[:1] + rows[2:]))
    code, lines = verify(saved.path)
    assert code == 1
    assert ": batch 2 is missing: bytes " in lines[0]
    saved.manifests.write_text("".join(rows).replace('"records":', '"records":1', 1))
    code, lines = verify(saved.path)
    assert code == 1
    assert any("does not go on from batch 1" in line for line in lines), lines


def test_a_head_that_was_kept_proves_the_end(saved):
    code, lines = verify(saved.path, "--json")
    assert code == 0
    told = json.loads("".join(lines))
    assert told["complete"] and told["problems"] == []
    head = told["streams"][0]["head"]
    assert verify(saved.path, "--head", head)[0] == 0
    rows = saved.manifests.read_text().splitlines(keepends=True)
    saved.manifests.write_text("".join(rows[:-1]))
    os.truncate(saved.path, saved.rows()[-1]["at"] + saved.rows()[-1]["stored"])
    assert verify(saved.path)[0] == 0
    code, lines = verify(saved.path, "--head", head, "--json")
    assert code == 1
    assert [each["kind"] for each in json.loads("".join(lines))["problems"]] == ["missing"]


def test_files_of_a_template_make_one_chain(saver, directory):
    class Directory(collectors.FileTarget):
        def files(self):
            return [path for path in super().files() if path.suffix != ".manifest"]

    target = Directory(saver.tmp_path / "out")
    target.url = f"file://{target.path}/{{file}}?manifest=on"
    write_and_kill(saver, directory, target)
    code, lines = verify(target.url)
    assert code == 0, lines
    assert "2 files, complete" in lines[0]
    for path in target.path.glob("*two.log*"):
        path.unlink()
    code, lines = verify(target.path)
    assert code == 1
    assert any("missing" in line for line in lines), lines


def test_what_is_not_there_is_told(tmp_path, directory):
    code, lines = verify(tmp_path / "none.log")
    assert code == 69
    assert "manifest=on" in lines[0]
    assert verify(f"s3://logs/x?endpoint=http://127.0.0.1:{servers.free_port()}&access_key_file="
                  f"/dev/null&secret_key_file=/dev/null", "--timeout", "1s")[0] == 69


class Bucket:
    def __init__(self, swift, prefix, secrets):
        self.swift, self.prefix = swift, prefix
        self.url = f"s3://{swift.bucket}/{prefix}?endpoint={swift.endpoint}&path_style=on"
        secrets.write_text(f"[default]\naws_access_key_id = {swift.access_key}\n"
                           f"aws_secret_access_key = {swift.secret_key}\n")
        self.env = {**{name: value for name, value in os.environ.items()
                       if not name.startswith("AWS_")},
                    "AWS_SHARED_CREDENTIALS_FILE": str(secrets)}

    def keys(self):
        return self.swift.keys(self.swift.bucket, self.prefix + "/")

    def path(self, key):
        return f"/{s3.quote(self.swift.bucket)}/{s3.quote(key, '/')}"

    def batch(self, key):
        return int(self.swift.head(self.swift.bucket, key)["x-amz-meta-consort-batch"]
                   .rpartition("-")[2])

    def count(self):
        return len(self.lines())

    def lines(self):
        found = []
        for key in sorted(self.keys()):
            data = subprocess.run(["zstd", "-dcq"], input=self.swift.get(self.swift.bucket, key),
                                  check=True, capture_output=True).stdout
            found += [json.loads(line)["message"].encode() for line in data.splitlines()]
        return found

    def verify(self, *options):
        return verify(self.url, *options, env=self.env)


@needs_swift
@pytest.mark.skipif(not shutil.which("zstd"), reason="the zstd program is missing")
def test_objects_are_complete_after_kills_and_what_happens_to_them_is_named(saver, directory, swift):
    bucket = Bucket(swift, "verify", saver.tmp_path / "credentials")
    written = write_and_kill(saver, directory, bucket, env=bucket.env, rounds=3)
    code, lines = bucket.verify()
    assert code == 0, lines
    assert lines[0].endswith(f" objects, {len(written):,} records, 2 files, complete")
    assert bucket.verify("--no-read", "--from-start") == (0, lines)

    # Somebody else's object is counted.
    swift.checked("PUT", bucket.path("verify/README"), body=b"hello")
    code, more = bucket.verify()
    assert code == 0
    assert more[-1] == f"1 object carries no manifest: s3://{swift.bucket}/verify/README"
    swift.checked("DELETE", bucket.path("verify/README"))

    # One byte of an object, with all that is said of it.
    keys = sorted(bucket.keys(), key=bucket.batch)
    victim = keys[1]
    headers, body = swift.checked("GET", bucket.path(victim))
    said = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
    changed = bytearray(body)
    changed[len(changed) // 2] ^= 1
    swift.checked("PUT", bucket.path(victim), body=bytes(changed), headers=said)
    code, lines = bucket.verify()
    assert code == 1
    assert lines[0] == (f"s3://{swift.bucket}/{victim}: its bytes were changed (another SHA-256)")
    swift.checked("PUT", bucket.path(victim), body=body[:-3], headers=said)
    code, lines = bucket.verify("--no-read")
    assert code == 1
    assert f"{victim}: has {len(body) - 3} bytes instead of {len(body)}" in lines[0]

    # Without its metadata it is nobody's, and missing.
    swift.checked("PUT", bucket.path(victim), body=body)
    code, lines = bucket.verify()
    assert code == 1
    assert ": batch 2 is missing" in lines[0]
    assert lines[-1].startswith("1 object carries no manifest")

    # The same without the object.
    swift.checked("DELETE", bucket.path(victim))
    code, lines = bucket.verify()
    assert code == 1
    assert ": batch 2 is missing: bytes " in lines[0]
    assert f" of {directory}/" in lines[0]
    swift.checked("DELETE", bucket.path(keys[0]))
    assert bucket.verify()[0] == 0
    assert bucket.verify("--from-start")[0] == 1


@needs_swift
@pytest.mark.skipif(not shutil.which("zstd"), reason="the zstd program is missing")
def test_settings_that_change_with_a_kill_do_not_break_the_chain(saver, directory, swift):
    bucket = Bucket(swift, "changing", saver.tmp_path / "credentials")
    codings = ("gzip", "zstd")
    bucket.count = lambda: 0  # not read here
    lines = logs.Lines()
    follower = saver.follow([directory / "*.log"], bucket, SMALL, env=bucket.env)
    words = list(follower.words)
    for number in range(8):
        with logs.Log(directory / "one.log") as log:
            log.write(lines.take(500))
        pause(20 + 15 * number)
        follower.words = [*words, "--compress", codings[number % 2], "--label", f"n={number}"]
        follower.restart(signal.SIGKILL)
    follower.stop()
    assert follower.once() == 0, follower.said
    code, told = bucket.verify()
    assert code == 0, told
    assert f"{len(lines.taken):,} records, 1 file, complete" in told[-1]
