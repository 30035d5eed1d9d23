"""Replicas: the next one when one fails, a second one when one is late, and which are left out."""
import pytest

from asking import LATE_S, Client, ask, metric, replicas
from support.leaves import (Leaf, Refusing, after, answering, black_hole, closing, failing,
                            never_ending, resetting, saying)
from support.servers import wait_until

TRUNCATED = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[")


def pair(gather, bad, *options):
    """A bad replica and a good one, and a root that asks the bad one first, sooner or later."""
    victim = gather.ending(bad() if isinstance(bad, type) else Leaf(bad))
    good = gather.leaf(answering("good"))
    return victim, good, gather.root([[victim, good]], "--select", "round-robin", *options)


def attempts(leaf):
    return [seen.header("Consort-Attempt") for seen in leaf.requests]


@pytest.mark.parametrize("bad", [Refusing, closing, resetting, TRUNCATED, failing(502),
                                 failing(503), failing(504)])
def test_the_next_replica_is_asked_at_once(gather, bad):
    victim, good, root = pair(gather, bad, "--timeout", "5s")
    for _ in range(4):
        answer = ask(root)
        assert (answer.status, answer.body) == (200, b'["good"]')
        assert answer.coverage() == {"total": 1, "ok": 1, "percent": 100.0}
        assert answer.seconds < 1
    assert sorted(attempts(good)) == ["1", "1", "2", "2"]
    assert metric(root, "consort_gather_retries_total", result="sent") == 2
    if isinstance(victim, Leaf):
        assert attempts(victim) == ["1", "1"]


@pytest.mark.parametrize("bad", [failing(500), failing(501), failing(404), failing(429),
                                 answering(b"no JSON")])
def test_an_answer_that_another_replica_would_give_too_is_final(gather, bad):
    victim, good, root = pair(gather, bad)
    answers = [ask(root) for _ in range(2)]
    assert sorted(answer.status for answer in answers)[0] == 200
    assert sorted(answer.status for answer in answers)[1] >= 400
    assert (len(victim.requests), len(good.requests)) == (1, 1)


# method, bad replica, whether another may be asked
RESENT = [
    ("POST", Refusing, True), ("POST", closing, False), ("POST", resetting, False),
    ("POST", failing(503), False), ("PATCH", failing(502), False), ("PUT", closing, True),
    ("DELETE", failing(503), True), ("PUT", TRUNCATED, True),
]


@pytest.mark.parametrize("method, bad, is_resent", RESENT)
def test_only_what_may_be_done_twice_is_sent_twice(gather, method, bad, is_resent):
    _, good, root = pair(gather, bad)
    statuses = sorted(ask(root, method=method, body=b"x").status for _ in range(2))
    assert statuses == ([200, 200] if is_resent else [200, 502])
    assert len(good.requests) == (2 if is_resent else 1)
    assert all(seen.body == b"x" for seen in good.requests)


def test_a_route_may_say_that_all_may_be_done_twice(gather):
    _, good, root = pair(gather, failing(503), "--idempotent")
    assert [ask(root, method="POST", body=b"x").status for _ in range(2)] == [200, 200]
    assert len(good.requests) == 2


@pytest.mark.parametrize("attempts_max, calls", [(1, 1), (2, 2), (3, 3), (5, 4)])
def test_attempts_have_a_limit_and_each_goes_elsewhere(gather, attempts_max, calls):
    shard = [gather.leaf(failing(503)) for _ in range(4)]
    root = gather.root([shard], "--attempts", str(attempts_max))
    assert ask(root).status == 502
    seen = sorted(number for leaf in shard for number in attempts(leaf))
    assert seen == [str(i + 1) for i in range(calls)]
    assert max(len(leaf.requests) for leaf in shard) == 1


def test_a_leaf_may_forbid_a_second_try(gather):
    bad = failing(503, headers=[("grpc-retry-pushback-ms", "-1")])
    _, good, root = pair(gather, bad)
    assert sorted(ask(root).status for _ in range(2)) == [200, 502]
    assert len(good.requests) == 1


@pytest.mark.alone
def test_no_replica_is_tried_after_the_deadline(gather):
    late = after(250, failing(503))
    victim, good, root = pair(gather, late, "--timeout", "200ms")

    def once():
        answer = ask(root)
        assert answer.status in (200, 504)
        return answer

    answers = [once() for _ in range(2)]
    assert sorted(answer.status for answer in answers) == [200, 504]
    assert attempts(good) == ["1"]
    assert len(victim.requests) == 1


def test_the_retry_budget_ends_a_storm(gather):
    """20 % of the calls and 10 per second of 10 s: then failures are answered as they are."""
    shard = [gather.leaf(failing(503)), gather.leaf(failing(503))]
    root = gather.root([shard])
    requests = 400
    with Client(root.port) as client:
        for _ in range(requests):
            assert client.ask().status == 502
    sent = metric(root, "consort_gather_retries_total", result="sent")
    assert sent == sum(len(leaf.requests) for leaf in shard) - requests
    assert sent <= 0.2 * requests + 100 + 10 * 5
    assert metric(root, "consort_gather_retries_total", result="no_budget") == requests - sent


def test_a_late_replica_is_hedged(gather):
    late, good, root = pair(gather, black_hole, "--hedge", "20ms", "--timeout", "5s")
    hedged = 0
    for _ in range(6):
        answer = ask(root)
        assert (answer.status, answer.body) == (200, b'["good"]')
        hedged += answer.coverage().get("hedged", 0)
        assert answer.seconds < 1
    assert hedged == len(late.requests) == 3
    assert attempts(good).count("2") == 3
    wait_until(lambda: all(seen.gone_at for seen in late.requests), "the losers' end")
    assert metric(root, "consort_gather_hedges_total", result="sent") == 3
    assert metric(root, "consort_gather_hedges_total", result="won") == 3


@pytest.mark.alone
def test_a_hedge_waits_for_its_time(gather):
    late, good, root = pair(gather, black_hole, "--hedge", "100ms", "--timeout", "5s")

    def once():
        answer = ask(root)
        assert answer.status == 200
        return answer

    took = sorted(once().seconds for _ in range(8))
    # The best of four, and a timer's millisecond on either side.
    assert took[3] < 0.1 - 0.001 <= took[4] <= 0.1 + 0.001 + LATE_S
    assert len(late.requests) == 4


@pytest.mark.alone
def test_the_original_may_win_against_its_hedge(gather):
    first = gather.leaf(after(80, answering("first")))
    second = gather.leaf(black_hole)
    root = gather.root([[first, second]], "--select", "round-robin", "--hedge", "20ms",
                       "--timeout", "5s")
    answers = [ask(root) for _ in range(2)]
    assert {answer.body for answer in answers} == {b'["first"]'}
    wait_until(lambda: all(seen.gone_at for seen in second.requests), "the losers' end")
    assert metric(root, "consort_gather_hedges_total", result="lost") == 1
    assert metric(root, "consort_gather_hedges_total", result="won") == 1


def test_a_hedge_that_fails_leaves_the_original_be(gather):
    first = gather.leaf(after(80, answering("first")))
    root = gather.root([[first, gather.leaf(failing(500))]], "--hedge", "20ms", "--select",
                       "least-inflight", "--timeout", "5s")
    first_asked = 0
    for _ in range(20):
        calls = len(first.requests)
        answer = ask(root)
        if len(first.requests) > calls and first.requests[-1].header("Consort-Attempt") == "1":
            first_asked += 1
            assert (answer.status, answer.body) == (200, b'["first"]')
            if first_asked == 3:
                return
    raise AssertionError("the slow replica was hardly ever asked first")


def test_a_single_replica_is_not_hedged_and_nothing_fails(gather):
    leaf = gather.leaf(after(80, answering(1)))
    root = gather.root([leaf], "--hedge", "10ms")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1]")
    assert answer.coverage() == {"total": 1, "ok": 1, "percent": 100.0}
    assert len(leaf.requests) == 1
    assert metric(root, "consort_gather_hedges_total", result="no_replica") == 1


def test_a_post_is_not_hedged_unless_it_may_be_done_twice(gather):
    for options, calls in [([], 1), (["--idempotent"], 2)]:
        shard = [gather.leaf(after(80, answering(1))) for _ in range(2)]
        root = gather.root([shard], "--hedge", "10ms", *options)
        assert ask(root, method="POST", body=b"x").status == 200
        assert sum(len(leaf.requests) for leaf in shard) == calls


def test_hedges_have_a_budget(gather):
    """All calls are late. 5 % of them and 10 per second of 10 s, never more."""
    shard = [gather.leaf(after(4, answering(i))) for i in range(2)]
    root = gather.root([shard], "--hedge", "5%:1ms", "--timeout", "5s")
    requests = 400
    with Client(root.port) as client:
        for _ in range(requests):
            assert client.ask().status == 200
    sent = metric(root, "consort_gather_hedges_total", result="sent")
    # One that was given up at once may have reached nobody.
    assert sum(len(leaf.requests) for leaf in shard) - requests <= sent
    assert 0 < sent <= 0.06 * requests + 100


def states(root):
    return {url: replica["state"] for url, replica in replicas(root).items()}


@pytest.mark.parametrize("bad", [failing(500), failing(503), closing, Refusing])
def test_a_replica_that_keeps_failing_is_ejected(gather, bad):
    victim, good, root = pair(gather, bad)
    for _ in range(10):
        ask(root)
    wait_until(lambda: states(root)[victim.url] == "ejected", "the ejection")
    told = replicas(root)[victim.url]
    assert told["ejected_because"] in ("consecutive_errors", "consecutive_gateway")
    assert 25 < told["ejected_for_s"] <= 30
    assert metric(root, "consort_gather_ejections_total") == 1
    before = len(good.requests)
    for _ in range(30):
        assert ask(root).status == 200
    # But for a probe each 5 s it is left alone.
    assert len(good.requests) - before >= 29
    assert '"msg":"replica.ejected"' in root.output()
    assert root.get("/readyz")[0] == 200


@pytest.mark.alone
def test_the_fifth_failure_in_a_row_is_acted_upon_at_once(gather):
    victim, _, root = pair(gather, answering("still good"))
    # The regular looks are a second apart: the first one is over.
    wait_until(lambda: metric(root, "consort_gather_budget_balance") > 0, "the first look")
    victim.behave = failing(500)
    for _ in range(10):
        ask(root)
    wait_until(lambda: states(root)[victim.url] == "ejected", "the ejection", 0.3)


def test_the_last_replica_is_never_ejected(gather):
    alone = gather.leaf(failing(500))
    root = gather.root([alone, [gather.leaf(failing(500)), gather.leaf(failing(500))]])
    for _ in range(30):
        assert ask(root, method="POST", body=b"").status == 502
    assert states(root)[alone.url] != "ejected"
    assert list(states(root).values()).count("ejected") <= 1
    assert len(alone.requests) == 30
    alone.behave = answering(1)
    assert ask(root, method="POST", body=b"").coverage()["ok"] >= 1


def test_a_replica_that_works_again_is_used_again(gather):
    bad, _, root = pair(gather, failing(500))
    for _ in range(10):
        ask(root)
    wait_until(lambda: states(root)[bad.url] == "ejected", "the ejection")
    bad.behave = answering("back")
    # A probe comes within 5 s, and is an answer like any other.
    wait_until(lambda: ask(root).body == b'["back"]', "the probe", 8)
    assert states(root)[bad.url] != "ejected"
    wait_until(lambda: metric(root, "consort_gather_returns_total") == 1, "its being told")


def test_a_slow_replica_gets_little(gather):
    slow, fast = gather.leaf(after(20, answering(1))), gather.leaf(after(2, answering(1)))
    root = gather.root([[slow, fast]], "--hedge", "off")
    with Client(root.port) as client:
        for _ in range(100):
            client.ask()
        before = len(slow.requests)
        for _ in range(300):
            client.ask()
    assert len(slow.requests) - before < 0.15 * 300


def test_replicas_that_are_alike_share(gather):
    shard = [gather.leaf(after(2, answering(1))) for _ in range(2)]
    root = gather.root([shard], "--hedge", "off")
    clients = [Client(root.port) for _ in range(8)]
    for client in clients:
        client.send()
    for _ in range(50):
        for client in clients:
            client.answer()
            client.send()
    for client in clients:
        client.answer()
        client.close()
    # What is in flight at a replica speaks against it.
    for leaf in shard:
        assert len(leaf.requests) > 0.15 * 8 * 51


def test_a_limit_of_ours_is_not_tried_elsewhere(gather):
    shard = [gather.leaf(never_ending) for _ in range(2)]
    root = gather.root([shard], "--max-leaf-body", "64KiB", "--timeout", "5s")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "leaf-body-too-large")
    assert sum(len(leaf.requests) for leaf in shard) == 1
