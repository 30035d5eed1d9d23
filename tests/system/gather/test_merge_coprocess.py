"""Merges of the user's that keep running: what travels, and what becomes of requests when they die.

What bad ones answer to clients is test_merge_faults.py's.
"""
import os
import signal
import threading

import pytest

from asking import Client, ask, metric, under_way
from support.leaves import answering
from support.servers import wait_until
from support_merge import (PARTIAL, ask_as_me, check_document, check_parts, children, coprocess,
                           four_kinds, python, shell)


@pytest.fixture
def four(gather):
    return four_kinds(gather)


def test_a_document_to_a_coprocess(gather, four, tmp_path):
    command = python(tmp_path, coprocess("answer['body'] = asked"))
    root = gather.root(four, "--merge-coprocess", command, *PARTIAL)
    document = ask_as_me(root).json()
    document["id"] = "me-1"  # An id of ours travels: two clients may have one.
    check_document(document)
    check_parts(document["parts"])


@pytest.mark.parametrize("answer,expected", [
    ('{"body": {"a": [1]}}', (200, "application/json", b'{"a": [1]}')),
    ('{"body": "text"}', (200, "application/json", b"text")),
    ('{"status": 201, "headers": {"Content-Type": "text/csv"}, "body": "a,b"}',
     (201, "text/csv", b"a,b")),
    ('{"body_base64": "AP8="}', (200, "application/json", b"\0\xff")),
    ('{}', (200, "application/json", b"")),
    ('{"body": null}', (200, "application/json", b"null")),
], ids=["json", "text", "headers", "base64", "nothing", "null"])
def test_what_a_coprocess_may_answer(gather, tmp_path, answer, expected):
    command = python(tmp_path, coprocess(f"answer.update(json.loads('''{answer}'''))"))
    got = ask(gather.root(gather.leaves(1), "--merge-coprocess", command))
    assert (got.status, got.header("Content-Type"), got.body) == expected


def test_a_coprocess_may_say_that_it_failed(gather, tmp_path):
    command = python(tmp_path, coprocess("answer['error'] = 'no such column'"))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command)
    pids = wait_until(lambda: children(root), "the coprocess")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "merge-failed")
    assert "no such column" in answer.problem()["detail"]
    assert children(root) == pids


def test_a_coprocess_may_answer_in_any_order(gather, tmp_path):
    """Four requests, answered together, the last one first."""
    command = python(tmp_path, coprocess("""
waiting = state.setdefault("waiting", [])
waiting.append({"id": asked["id"], "body": asked["request"]["path"]})
answer = None
if len(waiting) == 4:
    while waiting: print(json.dumps(waiting.pop()), flush=True)
"""))
    root = gather.root(gather.leaves(2), "--merge-coprocess", command)
    clients = [Client(root.port) for _ in range(4)]
    for i, client in enumerate(clients):
        client.send(f"/{i}")
    for i, client in enumerate(clients):
        assert client.answer().body == b"/%d" % i
        client.close()
    assert len(children(root)) == 1


def test_work_is_spread_over_coprocesses(gather, tmp_path):
    command = python(tmp_path, coprocess("time.sleep(0.02); answer['body'] = os.getpid()"))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command, "--merge-processes", "3")
    wait_until(lambda: len(children(root)) == 3, "three children")
    clients = [Client(root.port) for _ in range(6)]
    for client in clients:
        client.send()
    pids = [client.answer().json() for client in clients]
    assert sorted(set(pids)) == children(root)
    for client in clients:
        client.close()


def test_a_coprocess_that_is_killed_is_started_again(gather, tmp_path):
    command = python(tmp_path, coprocess("answer['body'] = os.getpid()"))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command)
    first = ask(root).json()
    assert children(root) == [first]
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: [pid for pid in children(root) if pid != first], "another", 10)
    wait_until(lambda: ask(root).status == 200, "its answers", 10)
    assert [ask(root).json()] == second


def test_what_a_killed_coprocess_had_is_answered_at_once(gather, tmp_path):
    command = python(tmp_path, coprocess("""
answer['body'] = 'ok'
if asked["request"]["path"] == "/hang": answer = None
"""))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command, "--timeout", "20s")
    with under_way(root, "/hang") as one, under_way(root, "/hang") as two:
        assert ask(root).body == b"ok"  # Those before it have arrived as well.
        [pid] = children(root)
        os.kill(pid, signal.SIGKILL)
        for client in (one, two):
            answer = client.answer()
            assert (answer.status, answer.problem_type()) == (502, "merge-failed")
            assert answer.seconds < 5
            assert "9" in answer.problem()["detail"] or "KILL" in answer.problem()["detail"]
    wait_until(lambda: ask(root).status == 200, "its return", 10)


def test_a_coprocess_that_hangs_is_killed_and_the_next_one_works(gather, tmp_path):
    command = python(tmp_path, coprocess("""
if asked["request"]["path"] == "/hang": time.sleep(60)
answer['body'] = os.getpid()
"""))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command, "--timeout", "400ms")
    before = ask(root).json()
    answer = ask(root, "/hang")
    assert (answer.status, answer.problem_type()) == (504, "merge-timeout")
    next_one = wait_until(lambda: (got := ask(root)).status == 200 and got.json(), "the next", 10)
    assert next_one != before
    assert children(root) == [next_one]


def test_garbage_of_a_coprocess_kills_it_and_is_told(gather, tmp_path):
    command = python(tmp_path, coprocess("""
answer['body'] = os.getpid()
if asked["request"]["path"] == "/garbage":
    print("Traceback: ...", flush=True)
"""))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command)
    before = ask(root).json()
    answer = ask(root, "/garbage")
    assert (answer.status, answer.problem_type()) == (502, "merge-failed")
    assert "no JSON" in answer.problem()["detail"]
    wait_until(lambda: (got := ask(root)).status == 200 and got.json() != before, "the next", 10)


@pytest.mark.parametrize("merge_ms,client_ms", [(60, 30), (500, 80)], ids=["quick", "slow"])
def test_a_client_in_a_hurry_costs_only_itself(gather, tmp_path, merge_ms, client_ms):
    """It has no time for the merge, but the route has: the child goes on and serves others."""
    command = python(tmp_path, coprocess(f"""
if asked["request"]["path"] == "/long": time.sleep({merge_ms / 1000})
answer['body'] = [asked["request"]["path"], os.getpid()]
"""))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command, "--timeout", "5s")
    [_, pid] = ask(root, "/short").json()
    late = ask(root, "/long", headers=[("grpc-timeout", f"{client_ms}m")])
    assert (late.status, late.problem_type()) == (504, "merge-timeout")
    # Its late answer is nobody's.
    for target in ["/short", "/other"]:
        answer = ask(root, target)
        assert (answer.status, answer.json()) == (200, [target, pid])


def test_large_answers_go_through_a_coprocess(gather, tmp_path):
    body = b'"' + b"0123456789abcdef" * (1 << 17) + b'"'
    command = python(tmp_path, coprocess("answer['body'] = [p['body'] for p in asked['parts']]"))
    root = gather.root([gather.leaf(answering(body)) for _ in range(3)], "--merge-coprocess",
                       command, "--timeout", "20s")
    for _ in range(2):
        assert ask(root).body == b"[" + b", ".join([body] * 3) + b"]"


def test_a_coprocess_ends_with_its_root(gather, tmp_path):
    command = python(tmp_path, coprocess("answer['body'] = 1"))
    root = gather.root(gather.leaves(1), "--merge-coprocess", command)
    assert ask(root).status == 200
    assert len(children(root)) == 1
    root.send_signal(signal.SIGTERM)
    assert root.wait() == 0
    wait_until(lambda: children(root) == [], "its end")


@pytest.mark.parametrize("kind", ["exec", "coprocess"])
def test_no_process_and_no_descriptor_is_left_behind(gather, tmp_path, kind):
    command = shell(tmp_path, "echo 1") if kind == "exec" else python(
        tmp_path, coprocess("answer['body'] = 1"))
    root = gather.root(gather.leaves(1), f"--merge-{kind}", command)

    def descriptors():
        return len(os.listdir(f"/proc/{root.pid}/fd"))

    def some():
        with Client(root.port) as client:
            for _ in range(30):
                assert client.ask().status == 200

    some()
    wait_until(lambda: len(children(root)) == (kind == "coprocess"), "the end of commands")
    before = descriptors()
    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(children(root)) == (kind == "coprocess"), "the end of commands")
    # Connections to the one leaf are kept, one for each that was used at a time.
    wait_until(lambda: descriptors() <= before + 4, "closed descriptors")
    assert metric(root, "consort_gather_requests_total", code="2xx") == 150
