"""gather-check as a command that ends: options, signals, exit codes; and replays."""
import json
import os
import signal
import subprocess

import pytest

from asking import ask
from checking import check
from support import leaves, servers
from support.leaves import answering, by_path


def test_nothing_to_check_is_a_mistake_of_usage():
    found = check()
    assert found.code == 64
    assert "nothing to check" in found.errors


def test_options_come_from_the_environment_too(gather):
    leaf = gather.leaf(by_path)
    done = subprocess.run([servers.CONSORT, "gather-check"], capture_output=True, text=True,
                          env={**os.environ, "CONSORT_GATHER_CHECK_LEAF": leaf.url}, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""


def test_it_has_no_options_of_a_server():
    help_text = check("--help").out
    assert "--leaf" in help_text and "--log-level" in help_text
    assert "--admin" not in help_text and "--grace" not in help_text
    assert check("--leaf", "http://a", "--admin", "none").code == 64


def test_a_signal_ends_it_and_the_commands_that_it_runs(tmp_path):
    process = servers.Process([servers.CONSORT, "gather-check", "--merge",
                               f"echo $$ > {tmp_path}/pid; sleep 60", "--timeout", "60s"])
    try:
        pid = int(servers.wait_until(
            lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "the merge"))
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        servers.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the merge")
    finally:
        process.kill()


def test_findings_that_nobody_can_read_are_an_error(gather):
    leaf = gather.leaf(by_path)
    with open("/dev/full", "w") as full:
        done = subprocess.run([servers.CONSORT, "gather-check", "--leaf", leaf.url], stdout=full,
                              timeout=60)
    assert done.returncode == 74


# ---- replays ----

@pytest.fixture
def recorded(gather):
    """A root that has seen one slow and one quick request; and what it recorded."""
    slow_once = leaves.in_turn(leaves.after(150, answering(1)), answering(2))
    root = gather.root(["a=" + gather.leaf(slow_once).url, "b=" + gather.leaf(answering(3)).url],
                       "--hedge", "off")
    assert ask(root, "/search?q=1").body == b"[1,3]"
    assert ask(root, "/quick").body == b"[2,3]"
    return root, root.get("/requests")[1]


def test_a_replay_shows_both_runs_side_by_side(recorded, tmp_path):
    root, text = recorded
    (tmp_path / "requests.json").write_text(text)
    found = check("--replay", tmp_path / "requests.json", "--root", root.url)
    assert found.code == 0, found.errors
    lines = [line.split() for line in found.out.splitlines()]
    assert lines[0] == ["then", "now", "GET", "/search?q=1"]
    assert lines[2] == ["status", "200", "200"]
    then_ms, now_ms = float(lines[3][1]), float(lines[3][3])
    assert lines[3][0] == "total" and then_ms >= 149 > now_ms
    rows = {line[0]: line[1:] for line in lines[8:]}
    assert list(rows) == ["shard", "a", "b"]
    assert float(rows["a"][0]) >= 149 > float(rows["a"][2])
    assert rows["a"][-1] == rows["b"][-1] == "ok"


def test_a_replay_of_a_chosen_request_reads_standard_input(recorded):
    root, text = recorded
    [quick] = [each for each in json.loads(text) if each["target"] == "/quick"]
    found = check("--replay", "-", "--root", root.url, "--request-id", quick["id"], text=text)
    assert found.code == 0, found.errors
    assert found.out.splitlines()[0].endswith("GET /quick")
    assert check("--replay", "-", "--root", root.url, "--request-id", "none", text=text).code == 1


def test_an_explanation_can_be_replayed_too(recorded):
    root, _ = recorded
    explained = ask(root, "/explained", headers=[("Consort-Explain", "1")]).body.decode()
    found = check("--replay", "-", "--root", root.url, text=explained)
    assert found.code == 0, found.errors
    assert found.out.splitlines()[0].endswith("GET /explained")


def test_what_cannot_be_replayed_is_told(gather, recorded):
    root, text = recorded
    leaf = gather.leaf(by_path)
    found = check("--replay", "-", "--root", leaf.url, text=text)
    assert found.code == 1 and "does not explain it" in found.errors
    found = check("--replay", "-", "--root", root.url, text="not JSON")
    assert found.code == 1 and "no JSON" in found.errors
    found = check("--replay", "/nonexistent", "--root", root.url)
    assert found.code == 1 and "/nonexistent" in found.errors
    refusing = gather.ending(leaves.Refusing())
    found = check("--replay", "-", "--root", refusing.url, text=text)
    assert found.code == 1 and found.errors.startswith("consort: ") and found.out == ""
