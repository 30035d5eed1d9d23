"""Roots below roots: coverage is summed, and a loop ends at once."""
import json

import pytest

from asking import ask, metric
from support import servers
from support.leaves import answering, black_hole, closing, failing

OPTIONS = ["--min-coverage", "0", "--wait-factor", "1:1"]


def tree(gather, behaviours, *options, below=()):
    """Three levels: behaviours[i][j] is the j-th leaf below the i-th root of the second level.

    below: further options of the roots of the second level.
    """
    middle = [gather.root([gather.leaf(each) for each in group], *options, *below)
              for group in behaviours]
    return gather.root(middle, *options), middle


def test_three_levels_sum_their_coverage(gather):
    ok, bad = answering(1), failing(500)
    root, _ = tree(gather, [[ok, ok, bad], [ok, black_hole], [ok, ok]], *OPTIONS,
                   below=["--leaf-timeout", "200ms"])
    top = gather.root([root, gather.leaf(ok)], *OPTIONS)
    answer = ask(top)
    assert answer.status == 200
    assert answer.json() == [[[1, 1], [1], [1, 1]], 1]
    assert answer.coverage() == {"total": 8, "ok": 6, "failed": 1, "timeout": 1, "percent": 75.0}


@pytest.mark.alone
def test_a_child_that_waits_to_its_end_is_in_time_for_its_parent(gather):
    """The deadline that it is told leaves it the time to answer, on each level."""
    root, _ = tree(gather, [[answering(1), black_hole], [answering(2)]], *OPTIONS)
    top = gather.root([root], *OPTIONS, "--timeout", "400ms")
    for _ in range(4):
        answer = ask(top)
        assert answer.json() == [[[1], [2]]]
        assert answer.coverage()["ok"] == 2
        assert answer.seconds <= 0.5


def test_a_child_that_is_not_complete_makes_its_parent_fail(gather):
    top, _ = tree(gather, [[answering(1), failing(500)], [answering(1)]])
    answer = ask(top, method="POST", body=b"")
    assert answer.status == 502
    # The child's answer was an error: nothing of it is in ours, but its coverage is known.
    assert answer.coverage()["total"] == 3
    assert list(answer.missing()) == ["s0"]


def test_a_partial_child_counts_for_its_parents_minimum(gather):
    ok, bad = answering(1), failing(500)
    middle = [gather.root([gather.leaf(each) for each in group], *OPTIONS)
              for group in ([ok, bad, bad], [ok])]
    strict = gather.root(middle, "--min-coverage", "51", "--wait-factor", "1:1")
    lax = gather.root(middle, "--min-coverage", "50", "--wait-factor", "1:1")
    assert ask(lax).status == 200
    answer = ask(strict)
    assert answer.status == 502
    assert answer.coverage() == {"total": 4, "ok": 2, "failed": 2, "percent": 50.0}


def test_a_child_that_fails_counts_its_last_known_total(gather):
    top, middle = tree(gather, [[answering(1)] * 3, [answering(1)]], *OPTIONS)
    assert ask(top).coverage() == {"total": 4, "ok": 4, "percent": 100.0}
    middle[0].kill()
    assert ask(top).coverage() == {"total": 4, "ok": 1, "failed": 3, "percent": 25.0}


def test_depth_deadline_and_trace_go_down_the_levels(gather):
    leaf = gather.leaf()
    lower = gather.root([leaf])
    upper = gather.root([lower], "--timeout", "500ms")
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = ask(upper, headers=[("traceparent", f"00-{trace}-b7ad6b7169203331-01")])
    [seen] = leaf.requests
    assert seen.header("Consort-Depth") == "2"
    assert seen.header("traceparent").split("-")[1] == trace
    assert int(seen.header("x-envoy-expected-rq-timeout-ms")) < 499
    assert seen.header("Via").count("1.1 consort-") == 2
    assert seen.header("Consort-Request-Id") == answer.header("Consort-Request-Id")


def assert_is_loop(answer):
    assert (answer.status, answer.problem_type()) == (502, "loop-detected")
    assert "proxy_loop_detected" in answer.header("Proxy-Status")


@pytest.mark.parametrize("options", [[], ["--min-coverage", "50"]])
def test_a_root_that_lists_itself(gather, options):
    port = servers.free_port()
    root = gather.root([gather.leaf(closing), f"http://127.0.0.1:{port}"], *options, listen=port)
    # A write, which is not ended by the other leaf's failure.
    answer = ask(root, method="POST", body=b"")
    assert_is_loop(answer)
    assert answer.seconds < 1
    # It came round once, not eight times.
    assert metric(root, "consort_gather_loops_total") <= 1


def test_a_root_that_lists_itself_beside_good_leaves_may_be_forgiven(gather):
    port = servers.free_port()
    root = gather.root([gather.leaf(answering(1)), f"http://127.0.0.1:{port}"],
                       "--min-coverage", "50", "--wait-factor", "1:1", listen=port)
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1]")
    assert "proxy_loop_detected" in answer.header("Proxy-Status")


def test_two_roots_that_list_each_other(gather):
    ports = [servers.free_port() for _ in range(2)]
    roots = [gather.root([f"http://127.0.0.1:{other}"], listen=port)
             for port, other in (ports, ports[::-1])]
    for root in roots:
        assert_is_loop(ask(root))
    assert sum(metric(root, "consort_gather_loops_total") for root in roots) == 2


def test_a_child_that_refuses_is_missed(gather):
    """It asked nobody, so its own coverage is of nothing; ours is not."""
    below = gather.root([gather.leaf(answering(1))], "--match", "/elsewhere")
    full = gather.leaf(failing(503, headers=[("Consort-Coverage", "total=0, ok=0")]))
    for child in (below, full):
        root = gather.root([gather.leaf(answering(2)), child])
        answer = ask(root, method="POST", body=b"")
        assert answer.status == 502
        assert answer.coverage() == {"total": 2, "ok": 1, "failed": 1, "percent": 50.0}
        assert list(answer.missing()) == ["s1"]


@pytest.mark.parametrize("depth, is_loop", [("7", False), ("8", True), ("9", True), ("x", False),
                                            ("", False), ("4294967296", False)])
def test_eight_levels_are_too_many(gather, depth, is_loop):
    leaf = gather.leaf(answering(1))
    root = gather.root([leaf])
    answer = ask(root, headers=[("Consort-Depth", depth)])
    if is_loop:
        assert_is_loop(answer)
        assert answer.header("Proxy-Status") == "consort; error=proxy_loop_detected"
        assert leaf.requests == []
    else:
        assert answer.status == 200
        assert leaf.requests[0].header("Consort-Depth") == ("8" if depth == "7" else "1")


@pytest.mark.parametrize("coverage", [
    "total=-1, ok=1", "ok=5", "total=x", "total=3, ok=4", "total=2, ok=1, failed=5", "",
    "total=99999999999999999999", "total=1.5", ", ".join(f"k{i}=1" for i in range(3000))])
def test_a_coverage_that_makes_no_sense_is_that_of_one_leaf(gather, coverage):
    leaf = gather.leaf(answering(1, headers=[("Consort-Coverage", coverage)]))
    root = gather.root([leaf, gather.leaf(answering(2))])
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1,2]")
    assert answer.coverage() == {"total": 2, "ok": 2, "percent": 100.0}


def test_a_leaf_may_say_for_how_much_it_stands(gather):
    said = "total=10, ok=9, failed=0, timeout=1, percent=90.0, later=?1"
    leaf = gather.leaf(answering(1, headers=[("Consort-Coverage", said)]))
    root = gather.root([leaf, gather.leaf(answering(2))], "--min-coverage", "90")
    answer = ask(root)
    assert answer.status == 200
    assert answer.coverage() == {"total": 11, "ok": 10, "timeout": 1, "percent": 90.909}
    status, text = root.get("/topology")
    assert status == 200
    assert [shard["leaves"] for shard in json.loads(text)["shards"]] == [10, 1]
