"""Deadlines in and out, clients that leave, and a root that is told to end."""
import re
import signal
import time

import pytest

from asking import LATE_S, Client, ask, best_of, metric, under_way
from support.leaves import after, answering, black_hole
from support.servers import connect, wait_until


def left_ms(request):
    """What a leaf was told, which both headers must agree on."""
    milliseconds = int(request.header("x-envoy-expected-rq-timeout-ms"))
    number, unit = re.fullmatch("([0-9]{1,8})([HMSmun])", request.header("grpc-timeout")).groups()
    units = {"H": 3_600_000, "M": 60_000, "S": 1000, "m": 1, "u": 0.001, "n": 0.000001}
    assert int(int(number) * units[unit]) == milliseconds
    return milliseconds


# headers, milliseconds that they leave
ASKED = [
    ([("grpc-timeout", "300m")], 300),
    ([("grpc-timeout", "250000u")], 250),
    ([("grpc-timeout", "1S")], 1000),
    ([("x-envoy-expected-rq-timeout-ms", "300")], 300),
    ([("x-envoy-upstream-rq-timeout-ms", "300")], 300),
    ([("Prefer", "wait=1")], 1000),
    ([("Prefer", "wait=1"), ("grpc-timeout", "400m"), ("x-envoy-upstream-rq-timeout-ms", "300"),
      ("x-envoy-expected-rq-timeout-ms", "350")], 300),
    ([("grpc-timeout", "100S")], 5000),
    ([("Prefer", "wait=60")], 5000),
]


@pytest.mark.alone
@pytest.mark.parametrize("headers, expected_ms", ASKED)
def test_the_smallest_deadline_wins_and_is_passed_on(gather, headers, expected_ms):
    leaf = gather.leaf()
    root = gather.root([leaf], "--timeout", "5s")
    assert ask(root, headers=headers).status == 200
    # Less what has passed, and the time kept for the merge.
    # Less than the leaf has, by 4 % or 2 ms: one that is a root must be heard in time.
    assert expected_ms * 0.95 - 50 <= left_ms(leaf.requests[0]) < expected_ms
    assert metric(root, "consort_gather_malformed_deadlines_total") == 0


def test_a_clients_deadline_is_kept(gather):
    root = gather.root([gather.leaf(black_hole)], "--timeout", "30s")

    def once():
        answer = ask(root, headers=[("grpc-timeout", "200m")])
        assert (answer.status, answer.problem_type()) == (504, "insufficient-coverage")
        return answer

    best_of(3, once, within=0.2 + LATE_S)


@pytest.mark.parametrize("header", [
    ("grpc-timeout", "0m"), ("grpc-timeout", "00000000H"), ("x-envoy-upstream-rq-timeout-ms", "0"),
    ("x-envoy-expected-rq-timeout-ms", "0"), ("Prefer", "wait=0")])
def test_an_expired_deadline_is_504_without_a_single_call(gather, header):
    leaf = gather.leaf()
    root = gather.root([leaf])
    answer = ask(root, headers=[header])
    assert (answer.status, answer.problem_type()) == (504, "deadline-expired")
    # Nobody has looked how many leaves there are.
    assert answer.header("Consort-Coverage") is None
    assert leaf.connections == 0
    assert metric(root, "consort_gather_expired_deadlines_total") == 1


@pytest.mark.parametrize("header", [
    ("grpc-timeout", "soon"), ("grpc-timeout", "123456789m"), ("grpc-timeout", "-1S"),
    ("grpc-timeout", "1s"), ("grpc-timeout", ""), ("x-envoy-upstream-rq-timeout-ms", "1.5"),
    ("x-envoy-expected-rq-timeout-ms", "-5"), ("Prefer", "wait=soon"), ("Prefer", "wait=-1")])
def test_a_malformed_deadline_is_ignored_and_counted(gather, header):
    leaf = gather.leaf()
    root = gather.root([leaf], "--timeout", "5s")
    assert ask(root, headers=[header]).status == 200
    assert left_ms(leaf.requests[0]) >= 4700
    assert metric(root, "consort_gather_malformed_deadlines_total") == 1


@pytest.mark.alone
def test_each_level_has_less_time_and_each_attempt_too(gather):
    bottom = gather.leaf()
    slow = gather.leaf(after(50, answering({}, status=503)))
    lower = gather.root([[slow, bottom]], "--select", "round-robin")
    upper = gather.root([lower], "--timeout", "1s")
    while not (slow.requests and bottom.requests):
        assert ask(upper, headers=[("grpc-timeout", "500m")]).status == 200
    request_id = slow.requests[-1].header("Consort-Request-Id")
    [second] = [each for each in bottom.requests
                if each.header("Consort-Request-Id") == request_id]
    assert second.header("Consort-Attempt") == "2"
    assert left_ms(slow.requests[-1]) < 500
    # 50 ms less are left, and what is told is 4 % less than that.
    assert left_ms(second) <= left_ms(slow.requests[-1]) - 45


@pytest.mark.alone
def test_leaf_timeout_is_what_a_leaf_has(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf, gather.leaf(answering(1))], "--timeout", "5s", "--leaf-timeout",
                       "200ms", "--min-coverage", "50", "--wait-factor", "1:1")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1]")
    assert 0.19 <= answer.seconds < 1
    assert 150 <= left_ms(leaf.requests[0]) <= 200


def end_with_fin(client):
    client.close()


def end_half(client):
    client.socket.shutdown(1)


@pytest.mark.alone
@pytest.mark.parametrize("end", [end_with_fin, end_half])
def test_all_leaves_see_at_once_that_the_client_has_left(gather, end):
    all_leaves = gather.leaves(4, black_hole)
    root = gather.root(all_leaves, "--timeout", "60s")
    waits = []
    for i in range(5):
        with under_way(root) as client:
            wait_until(lambda: all(len(leaf.requests) > i for leaf in all_leaves), "the calls")
            left_at = time.monotonic()
            end(client)
            wait_until(lambda: all(leaf.requests[i].gone_at for leaf in all_leaves), "the ends")
        waits.append(max(leaf.requests[i].gone_at for leaf in all_leaves) - left_at)
    assert min(waits) <= 0.005 + LATE_S
    assert max(waits) < 1
    wait_until(lambda: metric(root, "consort_gather_clients_gone_total") == 5, "their count")
    assert metric(root, "consort_gather_inflight") == 0


def test_sigterm_lets_what_is_under_way_end_and_exits_0(gather):
    leaf = gather.leaf(after(300, answering(1)))
    root = gather.root([leaf])
    with under_way(root) as client, Client(root.port) as idle:
        wait_until(lambda: leaf.requests, "the call")
        root.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(root.port), "its not listening any more")
        assert idle.socket.recv(1) == b""
        assert root.running()
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"[1]")
        assert answer.header("Connection") == "close"
    assert root.wait() == 0


def refuses(port):
    try:
        connect(port, 0.05).close()
        return False
    except (ConnectionResetError, TimeoutError):
        return False  # It closes in this very moment, when whoever comes is told nothing.
    except ConnectionRefusedError:
        return True


def test_a_request_that_outlasts_the_grace_is_given_up(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--timeout", "60s", "--grace", "300ms")
    with under_way(root):
        wait_until(lambda: leaf.requests, "the call")
        began = time.monotonic()
        root.send_signal(signal.SIGTERM)
        root.wait()
        assert 0.25 <= time.monotonic() - began < 2
        wait_until(lambda: leaf.requests[0].gone_at, "the call's end")
