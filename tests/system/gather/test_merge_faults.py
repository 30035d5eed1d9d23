"""A merge of the user's that crashes, hangs or writes nonsense is 502 or 504, and in time."""
import json
import pathlib
import shlex
import sys

import pytest

from asking import LATE_S, ask, best_of
from support.leaves import Leaf, Refusing, answering, black_hole, closing, resetting, saying
from support.servers import wait_until

TIMEOUT_S = 0.4
OPTIONS = ["--timeout", "400ms"]


def python(tmp_path, code):
    """A command that runs this text."""
    path = tmp_path / "merge.py"
    path.write_text(code)
    return shlex.join([sys.executable, "-S", "-E", str(path)])


EXEC_FAULTS = {
    "exit code": ("sh -c 'exit 3'", 502, "merge-failed"),
    "signal": ("sh -c 'kill -SEGV $$'", 502, "merge-failed"),
    "no such program": ("/nonexistent/merge", 502, "merge-failed"),
    "does not read": ("sh -c 'exec <&-; exit 1'", 502, "merge-failed"),
    "hangs": ("sleep 60", 504, "merge-timeout"),
    "hangs and ignores SIGTERM": ("sh -c \"trap '' TERM; sleep 60; sleep 60\"", 504,
                                  "merge-timeout"),
    "writes for ever": ("yes", 502, "merge-failed"),
}


@pytest.mark.parametrize("name", EXEC_FAULTS, ids=lambda name: name.replace(" ", "_"))
def test_a_bad_exec_merge(gather, name):
    command, status, kind = EXEC_FAULTS[name]
    root = gather.root(gather.leaves(2), "--merge-exec", command, *OPTIONS)

    def once():
        answer = ask(root)
        assert (answer.status, answer.problem_type()) == (status, kind)
        assert answer.coverage() == {"total": 2, "ok": 2, "percent": 100.0}
        error = "http_response_timeout" if status == 504 else "http_response_incomplete"
        assert answer.header("Proxy-Status") == f'consort; error={error}; details="merge"'
        return answer

    best_of(3, once, within=TIMEOUT_S + LATE_S)
    wait_until(lambda: children(root) == [], "its processes' end")


def children(root):
    """Processes that a root has started, orphans too: all are in its session."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, _, session = path.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # It has ended meanwhile.
        # A dead orphan is for somebody else to reap.
        is_there = state != "Z" or int(parent) == root.pid
        if int(session) == root.pid and path.parent.name != str(root.pid) and is_there:
            found.append(int(path.parent.name))
    return found


def test_cgi_without_headers_is_garbage(gather):
    root = gather.root(gather.leaves(2), "--merge-exec", "printf '\\001\\002 no header'",
                       "--merge-cgi", *OPTIONS)
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "merge-failed")


def test_a_fallback_stands_in_for_a_bad_merge(gather):
    root = gather.root(gather.leaves(2), "--merge-exec", "false", "--merge-fallback", "array",
                       *OPTIONS)
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[0,1]")
    assert answer.header("Consort-Merge") == "fallback"
    assert "merge.failed" in root.output()


def test_a_merge_that_works_gets_what_the_contract_says(gather):
    root = gather.root([gather.leaf(answering({"n": 1})), gather.leaf(black_hole)],
                       "--merge-exec", "cat", "--min-coverage", "50", *OPTIONS)
    lines = [json.loads(line) for line in ask(root, "/p?q=1").body.splitlines()]
    assert lines[0]["version"] == 1
    assert lines[0]["request"]["path"] == "/p"
    assert lines[0]["coverage"]["timeout"] == 1
    assert (lines[1]["shard"], lines[1]["status"], lines[1]["body"]) == ("s0", 200, {"n": 1})
    assert (lines[2]["shard"], lines[2]["error"]) == ("s1", "http_response_timeout")


COPROCESS_FAULTS = {
    "exits at once": ("import sys; sys.exit(1)", 502, "merge-failed"),
    "dies of a request": ("import os; input(); os.kill(os.getpid(), 11)", 502, "merge-failed"),
    "hangs": ("import time; time.sleep(60)", 504, "merge-timeout"),
    "writes garbage": ("input(); print('hello', flush=True); input()", 502, "merge-failed"),
    "answers another request": ("""
import time
input()
print('{"id":"other","status":200,"body":1}', flush=True)
time.sleep(60)""", 504, "merge-timeout"),
}


@pytest.mark.parametrize("name", COPROCESS_FAULTS, ids=lambda name: name.replace(" ", "_"))
def test_a_bad_coprocess(gather, tmp_path, name):
    code, status, kind = COPROCESS_FAULTS[name]
    root = gather.root(gather.leaves(2), "--merge-coprocess", python(tmp_path, code), *OPTIONS)

    def once():
        answer = ask(root)
        # Until it has been started again there is nothing that could answer.
        assert answer.problem_type() in ("merge-failed", "merge-timeout")
        assert answer.status == (502 if answer.problem_type() == "merge-failed" else 504)
        return answer

    first = ask(root)
    assert (first.status, first.problem_type()) == (status, kind)
    best_of(3, once, within=TIMEOUT_S + LATE_S)
    assert root.get("/livez")[0] == 200


def test_a_coprocess_that_works(gather, tmp_path):
    code = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    bodies = [part["body"] for part in asked["parts"]]
    print(json.dumps({"id": asked["id"], "status": 201, "body": bodies}), flush=True)
"""
    root = gather.root(gather.leaves(3), "--merge-coprocess", python(tmp_path, code))
    for _ in range(20):
        answer = ask(root)
        assert answer.status == 201
        assert answer.json() == [0, 1, 2]
    assert len(children(root)) == 1


HTTP_FAULTS = {
    "refusing": (Refusing, 502, "merge-failed"),
    "black-holed": (black_hole, 504, "merge-timeout"),
    "closing": (closing, 502, "merge-failed"),
    "resetting": (resetting, 502, "merge-failed"),
    "too short": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]"), 502, "merge-failed"),
    "not HTTP": (saying(b"\x16\x03\x01\x00\x05hello"), 502, "merge-failed"),
}


@pytest.mark.parametrize("name", HTTP_FAULTS, ids=lambda name: name.replace(" ", "_"))
def test_a_bad_merge_server(gather, name):
    bad, status, kind = HTTP_FAULTS[name]
    merge = gather.ending(bad() if isinstance(bad, type) else Leaf(bad))
    root = gather.root(gather.leaves(2), "--merge-url", merge.url + "/merge", *OPTIONS)

    def once():
        answer = ask(root)
        assert (answer.status, answer.problem_type()) == (status, kind)
        assert 'details="merge"' in answer.header("Proxy-Status")
        return answer

    best_of(3, once, within=TIMEOUT_S + LATE_S)


def test_a_merge_server_that_works(gather):
    async def behave(request):
        bodies = [part["body"] for part in json.loads(request.body)["parts"]]
        request.send({"merged": bodies}, headers=[("X-Merge", "yes")])

    merge = gather.leaf(behave)
    root = gather.root(gather.leaves(3), "--merge-url", merge.url + "/merge")
    answer = ask(root)
    assert (answer.status, answer.json()) == (200, {"merged": [0, 1, 2]})
    assert answer.header("X-Merge") == "yes"
    assert merge.requests[0].method == "POST"
    assert merge.requests[0].target == "/merge"
