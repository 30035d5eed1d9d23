"""What operators do and see from outside: signals, exit codes, metrics, health, --explain."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request

import pytest

from support import servers
from support.log_stores import HttpSink, Trouble

EXIT_LOST = 74
AWAY = Trouble(share=1.0)
LINES = b"".join(b"line %d\n" % i for i in range(1000))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "app.log"
    path.write_bytes(LINES)
    return path


@pytest.fixture
def sink(saver):
    return saver.ending(HttpSink())


@pytest.fixture
def away(saver):
    return saver.ending(HttpSink(trouble=AWAY))


def sinks_of(follower):
    return json.loads(follower.get("/sinks")[1])["sinks"][0]


def start(log, sink, state, *options):
    return servers.Consort(["sidecar", "logsaver"],
                           ["--path", log, "--sink", sink.url, "--state-dir", state, *options])


@pytest.mark.parametrize("signals", [1, 2], ids=["grace over", "second signal"])
@pytest.mark.parametrize("state, code", [("none", EXIT_LOST), ("dir", 0)])
def test_a_stop_while_the_sink_is_away_tells_what_is_lost(log, away, tmp_path, state, code, signals):
    state = "none" if state == "none" else tmp_path / "state"
    grace = "1s" if signals == 1 else "60s"
    with start(log, away, state, "--grace", grace) as follower:
        servers.wait_until(lambda: sinks_of(follower)["retries"] > 0, "a try")
        follower.send_signal(signal.SIGTERM)
        if signals == 2:
            servers.wait_until(lambda: "DRAINING" in follower.get("/lifecycle")[1], "draining")
            follower.send_signal(signal.SIGTERM)
        assert follower.wait(30) == code, follower.output()
        assert ("end.unsaved" in follower.output()) == (code == EXIT_LOST)


def test_nothing_unsaved_is_no_loss_without_a_state(log, sink):
    with start(log, sink, "none", "--batch-time", "20ms") as follower:
        servers.wait_until(lambda: sink.count() == 1000, "all lines")
        assert follower.stop() == 0


def test_usr1_sends_what_was_read(log, sink, tmp_path):
    with start(log, sink, tmp_path / "state", "--batch-time", "1h") as follower:
        servers.wait_until(lambda: sinks_of(follower)["waiting_bytes"] == len(LINES), "reading")
        assert sink.count() == 0
        follower.send_signal(signal.SIGUSR1)
        servers.wait_until(lambda: sink.count() == 1000, "all lines")
        assert follower.stop() == 0


def test_hup_says_what_needs_a_restart(log, sink, tmp_path):
    config = tmp_path / "save.yaml"
    config.write_text("batch_time: 20ms\n")
    with start(log, sink, tmp_path / "state", "--config", config, "--watch-config=false",
               "--log-format", "logfmt") as follower:
        config.write_text("batch_time: 30ms\nlog_level: debug\n")
        follower.send_signal(signal.SIGHUP)
        servers.wait_until(lambda: "config.reloaded" in follower.output(), "the reload")
        line = next(each for each in follower.output().splitlines() if "config.reloaded" in each)
        assert "changed=log_level" in line
        assert "needs_restart=batch_time" in line


def test_metrics_count_what_was_saved(log, sink, tmp_path):
    with start(log, sink, tmp_path / "state", "--batch-time", "20ms", "--redact",
               "odd=line [0-9]*1$") as follower:
        servers.wait_until(lambda: follower.metric("consort_logsaver_records_sent_total") == 1000,
                           "the metrics")
        assert follower.metric("consort_logsaver_read_bytes_total") == len(LINES)
        assert follower.metric("consort_logsaver_acknowledged_bytes_total") == len(LINES)
        assert follower.metric("consort_logsaver_redactions_total") == 100
        assert follower.metric("consort_logsaver_files") == 1
        assert follower.metric("consort_logsaver_adds_up") == 1


def test_the_manual_has_every_metric(log, sink, tmp_path):
    rules = ("--redact", "email", "--include-lines", "line", "--exclude-lines", "nothing")
    with start(log, sink, tmp_path / "state", *rules) as follower:
        text = follower.get("/metrics")[1]
    ours = set(re.findall(r"^# TYPE (consort_logsaver_\S+)", text, re.M))
    manual = (pathlib.Path(__file__).parents[3] / "man/consort-logsaver.1").read_text()
    told = set(re.findall(r"consort_logsaver_\w+", manual))
    assert ours == told


def test_a_file_that_must_not_be_read_is_told():
    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        log = pathlib.Path(directory) / "app.log"
        log.write_bytes(LINES)
        log.chmod(0)
        consort = shutil.copy(servers.CONSORT, directory)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", consort, "sidecar",
                 "logsaver", "--path", log, "--sink", "null:", "--state-dir", "none"]
        done = subprocess.run([*words, "--explain", log], capture_output=True, text=True)
        assert done.returncode == 1
        assert "Permission denied (user 65534)" in done.stdout, done.stderr
        admin = servers.free_port()
        with servers.Process([*words, "--admin", f"127.0.0.1:{admin}"]) as child:
            servers.wait_until(lambda: "Permission denied" in health(admin), "the check")
            assert child.stop() == 0


def health(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""
