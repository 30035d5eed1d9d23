"""`consort gather-leaf`: a command is a leaf, with deadlines, limits and a clean end."""
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from asking import Client, ask, best_of, metric, under_way
from support import servers
from support.servers import wait_until
from support_merge import children, python, shell

PROBLEM = "urn:consort:gather:"
# A leaf starts processes, so it is not held to the milliseconds of a root.
LATE_S = 0.1


class GatherLeaf(servers.Consort):
    def __init__(self, command, options=(), listen=None, **more):
        self.port = servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        words = ["--exec", str(command)]
        for address in listen or [f"127.0.0.1:{self.port}"]:
            words += ["--listen", address]
        super().__init__(["gather-leaf"], words, options, **more)


@pytest.fixture
def leaf(gather):
    def make(command, *options, **more):
        made = GatherLeaf(command, options, **more)
        gather.stack.callback(gather.start.end_proxy, made)
        return made
    return make


def problem(answer):
    assert answer.header("Content-Type") == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status
    assert document["title"] and document["detail"]
    return document["type"].removeprefix(PROBLEM)


def results(leaf, outcome):
    return metric(leaf, "consort_gather_leaf_requests_total", outcome=outcome)


# ---- the demonstration of the specification ----

TEXTS = ["to be or not to be\n", "that is the question\n", "whether it is nobler\nin the mind\n"]


def test_words_are_counted_by_shell_scripts_alone(gather, leaf, tmp_path):
    """Three texts, a leaf for each, and a merge: all of it is shell."""
    shards = []
    for i, text in enumerate(TEXTS):
        (tmp_path / f"{i}.txt").write_text(text)
        shards.append(leaf(f"wc -w < {tmp_path}/{i}.txt"))
    root = gather.root(shards, "--merge-exec", "jq -s 'map(.body // empty) | add'")
    answer = ask(root)
    assert (answer.status, answer.json()) == (200, 17)
    assert answer.coverage() == {"total": 3, "ok": 3, "percent": 100.0}
    # The same without a merge of one's own.
    assert ask(gather.root(shards, "--merge", "sum")).body == b"17"


def test_words_of_a_document_are_counted_by_a_map_and_a_reduce(gather, leaf, tmp_path):
    """Each leaf takes the lines of its shard from the request; the merge adds up by word."""
    mapper = python(tmp_path, """
import collections, json, os, sys
mine, of = int(os.environ["CONSORT_SHARD"][1:]), int(os.environ["CONSORT_SHARDS"])
lines = sys.stdin.read().splitlines()[mine::of]
print(json.dumps(collections.Counter(" ".join(lines).split())))
""", "map.py")
    root = gather.root([leaf(mapper) for _ in range(2)], "--merge", "sum", "--timeout", "10s")
    answer = ask(root, method="POST", body="".join(TEXTS).encode())
    assert answer.status == 200, answer.body
    counted = answer.json()
    assert (counted["to"], counted["be"], counted["is"], counted["mind"]) == (2, 2, 2, 1)
    assert sum(counted.values()) == 17


# ---- what goes in and what comes out ----

def test_the_body_is_standard_input_and_standard_output_the_answer(leaf):
    cat = leaf("cat")
    for body, kind in [(b'{"a": [1]}', "application/json"), (b"\x00\xff bytes", "text/plain"),
                       (b"", "text/plain"), (os.urandom(1 << 20), "text/plain")]:
        answer = ask(cat, method="POST", body=body)
        assert (answer.status, answer.body) == (200, body)
        assert answer.header("Content-Type").startswith(kind)


def test_a_chunked_body_is_standard_input_too(leaf):
    with Client(leaf("cat").port) as client:
        client.send(method="POST", headers=[("Transfer-Encoding", "chunked")])
        client.socket.sendall(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert client.answer().body == b"abcde"


def test_the_environment_of_a_command(leaf):
    env = leaf("env")
    answer = ask(env, "/a%20b/c?q=1&r", method="POST", body=b"xyz", headers=[
        ("Content-Type", "text/csv"), ("X-One", "1"), ("X-One", "2"), ("Authorization", "secret"),
        ("Proxy", "http://evil"), ("Consort-Shard", "s7"), ("Consort-Shards", "10"),
        ("Consort-Attempt", "2"), ("Consort-Request-Id", "id-1"), ("grpc-timeout", "500m")])
    found = dict(line.split("=", 1) for line in answer.body.decode().splitlines())
    expected = {"REQUEST_METHOD": "POST", "PATH_INFO": "/a b/c", "QUERY_STRING": "q=1&r",
                "CONTENT_TYPE": "text/csv", "CONTENT_LENGTH": "3", "HTTP_X_ONE": "1, 2",
                "CONSORT_SHARD": "s7", "CONSORT_SHARDS": "10", "CONSORT_ATTEMPT": "2",
                "CONSORT_REQUEST_ID": "id-1", "HTTP_HOST": "root.test"}
    assert {name: found.get(name) for name in expected} == expected
    assert found["REMOTE_ADDR"].startswith("127.0.0.1")
    assert 300 < int(found["CONSORT_DEADLINE_MS"]) <= 500
    # RFC 3875, 4.1.18, and what a child would take for its own proxy.
    assert "HTTP_AUTHORIZATION" not in found and "HTTP_PROXY" not in found


def test_content_types(leaf, tmp_path):
    assert ask(leaf("echo 1", "--content-type", "text/csv")).header("Content-Type") == "text/csv"
    assert ask(leaf("echo [1]")).header("Content-Type") == "application/json"
    cgi = leaf(shell(tmp_path, r"printf 'Content-Type: a/b\r\nStatus: 404 No\r\nX-A: 1\r\n\r\nno'"),
               "--cgi")
    answer = ask(cgi)
    assert (answer.status, answer.body, answer.header("Content-Type")) == (404, b"no", "a/b")
    assert answer.header("X-A") == "1"


def test_output_that_is_no_cgi_is_502(leaf):
    answer = ask(leaf("echo hello", "--cgi"))
    assert (answer.status, problem(answer)) == (502, "command-failed")


def test_plain_words_need_no_shell_and_others_have_one(leaf, tmp_path):
    assert ask(leaf("printf %s-%s a b")).body == b"a-b"
    assert ask(leaf("for i in 1 2; do echo $i; done | tac")).body == b"2\n1\n"
    assert ask(leaf("echo 'a  b' \"$REQUEST_METHOD\"")).body == b"a  b GET\n"


def test_head_and_kept_connections(leaf):
    made = leaf("echo hello")
    with Client(made.port) as client:
        for method in ["GET", "HEAD", "GET", "DELETE"]:
            answer = client.ask(method=method)
            assert (answer.status, answer.header("Content-Length")) == (200, "6")
            assert answer.body == (b"" if method == "HEAD" else b"hello\n")


def test_a_leaf_on_a_unix_socket(gather, leaf, tmp_path):
    place = str(tmp_path / "leaf.sock")
    made = leaf("echo 5", listen=[f"unix:{place}"])
    assert ask(place).body == b"5\n"
    assert ask(gather.root([f"unix:{place}"])).json() == [5]
    assert made.stop() == 0
    assert not os.path.exists(place)


# ---- commands that fail ----

@pytest.mark.parametrize("command,kind,outcome,member", [
    ("exit 3", "command-failed", "exit_code", ("exit_code", 3)),
    ("kill -SEGV $$", "command-failed", "signal", ("signal", 11)),
    ("/nonexistent/command", "command-not-started", "not_started", None),
    ("yes", "command-output-too-large", "too_large", None),
], ids=["exit_code", "signal", "not_there", "too_much"])
def test_a_command_that_fails_is_502(leaf, command, kind, outcome, member):
    made = leaf(command, "--max-response-body", "100KiB")
    for _ in range(2):
        answer = ask(made)
        assert (answer.status, problem(answer)) == (502, kind)
        if member is not None:
            assert answer.json()[member[0]] == member[1]
    assert results(made, outcome) == 2
    wait_until(lambda: children(made) == [], "their end")
    # Unready it would never get well again.
    assert made.get("/readyz")[0] == 200


def test_a_root_tries_the_next_replica_of_a_command_that_fails(gather, leaf):
    root = gather.root([[leaf("exit 1"), leaf("echo 7")]], "--select", "round-robin")
    for _ in range(6):
        assert ask(root).json() == [7]


def test_what_a_command_says_on_its_standard_error_is_logged(leaf, tmp_path):
    made = leaf(shell(tmp_path, "echo 'oh dear' >&2; exit 1"))
    assert ask(made, headers=[("Consort-Request-Id", "id-9")]).status == 502
    wait_until(lambda: "oh dear" in made.output(), "the line")
    [line] = [line for line in made.output().splitlines() if "oh dear" in line]
    assert "id-9" in line


def test_a_command_that_does_not_read_its_input(leaf):
    made = leaf("echo done")
    for _ in range(3):
        answer = ask(made, method="POST", body=b"x" * (4 << 20))
        assert (answer.status, answer.body) == (200, b"done\n")


# ---- deadlines ----

HANGING = {
    "sleep": "sleep 60",
    "with_children": "sleep 60 | cat & sleep 60; wait",
    "ignores_sigterm": "trap '' TERM; sleep 60; sleep 60",
    "drips": "while :; do echo x; sleep 0.05; done",
}


@pytest.mark.parametrize("name", HANGING)
def test_a_command_that_is_late_is_504_in_time_and_killed(leaf, name):
    made = leaf(HANGING[name], "--timeout", "300ms")
    answers = []

    def once():
        answer = ask(made)
        answers.append(answer)
        assert (answer.status, problem(answer)) == (504, "command-timeout")
        return answer

    assert best_of(3, once, within=0.3 + LATE_S).seconds >= 0.29
    wait_until(lambda: children(made) == [], "their end", 10)
    assert results(made, "timeout") == len(answers)


@pytest.mark.parametrize("header", [("grpc-timeout", "150m"),
                                    ("x-envoy-expected-rq-timeout-ms", "150")])
def test_the_deadline_of_a_request_counts_when_it_is_sooner(leaf, header):
    made = leaf("sleep 60", "--timeout", "20s")

    def once():
        answer = ask(made, headers=[header])
        assert answer.status == 504
        return answer

    assert best_of(4, once, within=0.15 + LATE_S).seconds >= 0.14


def test_a_malformed_deadline_is_ignored_and_counted(leaf):
    made = leaf("echo 1")
    assert ask(made, headers=[("grpc-timeout", "soon")]).body == b"1\n"
    assert metric(made, "consort_gather_leaf_bad_deadlines_total") == 1


def test_a_roots_deadline_ends_a_command(gather, leaf):
    late, quick = leaf("sleep 60", "--timeout", "60s"), leaf("echo 1")
    root = gather.root([late, quick], "--timeout", "300ms", "--min-coverage", "50",
                       "--wait-factor", "1:1")
    answer = ask(root)
    assert (answer.status, answer.json()) == (200, [1])
    assert answer.coverage()["timeout"] == 1
    wait_until(lambda: children(late) == [], "its end", 10)


# ---- clients that leave ----

def test_a_client_that_leaves_ends_its_command(leaf, tmp_path):
    made = leaf(f"echo $$ > {tmp_path}/pid; sleep 60 & wait", "--timeout", "60s")
    with under_way(made):
        wait_until(lambda: len(children(made)) >= 2, "the command and its child")
    wait_until(lambda: children(made) == [], "their end", 10)
    assert results(made, "client_gone") == 1


def test_a_root_that_has_enough_ends_the_others_commands(gather, leaf):
    late = leaf("sleep 60", "--timeout", "60s")
    root = gather.root([leaf("sleep 0.1; echo 1"), late], "--mode", "first", "--timeout", "30s")
    assert ask(root).json() == [1]
    wait_until(lambda: children(late) == [], "its end", 10)


# ---- limits ----

def test_commands_have_a_limit_and_a_line_and_an_end(leaf, tmp_path):
    made = leaf(f"cat {tmp_path}/gate", "--max-processes", "1", "--max-waiting", "1",
                "--timeout", "20s")
    os.mkfifo(tmp_path / "gate")
    with under_way(made) as first:
        wait_until(lambda: metric(made, "consort_gather_leaf_processes") == 1, "the first")
        with under_way(made) as second:
            wait_until(lambda: metric(made, "consort_gather_leaf_waiting") == 1, "the second")
            answer = ask(made)
            assert (answer.status, problem(answer)) == (503, "overloaded")
            assert answer.header("Retry-After") == "1"
            assert answer.seconds < 5
            for client in (first, second):
                (tmp_path / "gate").write_bytes(b"go")
                assert client.answer().body == b"go"
    assert (results(made, "busy"), results(made, "ok")) == (1, 2)


def test_sizes_have_limits(leaf):
    made = leaf("cat", "--max-request-body", "1000", "--max-response-body", "500")
    assert ask(made, method="POST", body=b"x" * 500).status == 200
    assert problem(ask(made, method="POST", body=b"x" * 501)) == "command-output-too-large"
    assert ask(made, method="POST", body=b"x" * 1001).status == 413
    assert ask(made, headers=[("X", "x" * 40_000)]).status == 431


def test_many_clients_at_once(leaf):
    made = leaf("cat", "--max-waiting", "100", "--timeout", "20s")
    clients = [Client(made.port) for _ in range(60)]
    for i, client in enumerate(clients):
        client.send(method="POST", body=b"%d" % i)
    for i, client in enumerate(clients):
        assert client.answer().body == b"%d" % i
        client.close()
    wait_until(lambda: children(made) == [], "their end")
    before = len(os.listdir(f"/proc/{made.pid}/fd"))
    assert before < 40
    assert metric(made, "consort_gather_leaf_processes") == 0


# ---- the end ----

def test_sigterm_lets_commands_end_and_exits_0(leaf):
    made = leaf("sleep 0.3; echo late", "--timeout", "20s")
    with under_way(made) as client:
        wait_until(lambda: children(made), "the command")
        made.send_signal(signal.SIGTERM)
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"late\n")
        assert answer.header("Connection") == "close"
    assert made.wait() == 0


def test_commands_that_outlast_the_grace_are_killed(leaf):
    made = leaf("trap '' TERM; sleep 60 & wait; sleep 60", "--timeout", "60s", "--grace", "300ms")
    with under_way(made):
        wait_until(lambda: len(children(made)) >= 2, "the command and its child")
        made.send_signal(signal.SIGTERM)
        assert made.wait(5) == 0
    wait_until(lambda: children(made) == [], "their end", 10)


# ---- configuration and metrics ----

def test_the_command_may_be_changed_by_a_reload(leaf, tmp_path):
    path = tmp_path / "leaf.yaml"
    path.write_text("exec: echo 1\n")
    port = servers.free_port()
    made = servers.Consort(["gather-leaf"], ["--config", str(path), "--listen",
                                             f"127.0.0.1:{port}"])
    try:
        assert ask(port).body == b"1\n"
        path.write_text("exec: echo 2\n")
        wait_until(lambda: ask(port).body == b"2\n", "the new command", 10)
        path.write_text("exec: echo 3\ntimeout: never\n")
        status, text = made.get("/reload", "POST")
        assert 400 <= status < 500 and "2:10" in text
        assert ask(port).body == b"2\n"
        assert "command.missing" not in made.output()
        path.write_text("exec: /nonexistent/command\n")
        wait_until(lambda: "command.missing" in made.output(), "the warning")
    finally:
        assert made.stop() == 0


@pytest.mark.parametrize("words,code,what", [
    ([], 64, "exec"), (["--exec", ""], 64, "exec"), (["--exec", "x", "--timeout", "0"], 64,
                                                     "timeout"),
    (["--exec", "x", "--contnt-type", "a/b"], 64, '"--content-type"'),
])
def test_a_configuration_that_is_wrong(words, code, what):
    done = subprocess.run([servers.CONSORT, "gather-leaf", *words], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert what in done.stderr


def test_it_listens_on_this_machine_only_unless_told_otherwise():
    """Whoever may ask it may run a command."""
    done = subprocess.run([servers.CONSORT, "gather-leaf", "--help"], capture_output=True,
                          text=True, timeout=60)
    assert "default 127.0.0.1:8081" in re.sub(r"\s+", " ", done.stdout)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_metrics_are_as_prometheus_wants_them(leaf):
    made = leaf("echo 1")
    assert ask(made).status == 200
    text = made.get("/metrics")[1]
    check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                           capture_output=True)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")
    assert metric(made, "consort_gather_leaf_seconds_count") == 1
    assert json.loads(made.get("/health")[1])
