"""Modes that need not all leaves, losers that are told so, and the adaptive wait."""
import pytest

from asking import LATE_S, ask, best_of
from support.leaves import after, answering, black_hole, failing
from support.servers import wait_until


# mode, leaves, status, body, coverage
MODES = [
    ("first", [black_hole, answering(1), black_hole], 200, b"[1]", {"ok": 1, "skipped": 2}),
    ("first", [failing(500), black_hole, after(50, answering(2))], 200, b"[2]",
     {"ok": 1, "failed": 1, "skipped": 1}),
    ("first-n:2", [answering(0), black_hole, after(50, answering(2)), black_hole], 200, b"[0,2]",
     {"ok": 2, "skipped": 2}),
    ("first-n:9", [answering(0), answering(1)], 200, b"[0,1]", {"ok": 2}),
    ("majority", [answering(0), black_hole, answering(2)], 200, b"[0,2]",
     {"ok": 2, "skipped": 1}),
    ("majority", [answering(0), failing(500), after(50, answering(2))], 200, b"[0,2]",
     {"ok": 2, "failed": 1}),
]


@pytest.mark.parametrize("mode, behaviours, status, body, counts", MODES)
def test_modes(gather, mode, behaviours, status, body, counts):
    all_leaves = [gather.leaf(behave) for behave in behaviours]
    root = gather.root(all_leaves, "--mode", mode, "--timeout", "30s")
    answer = ask(root)
    assert (answer.status, answer.body) == (status, body)
    assert answer.seconds < 10
    coverage = answer.coverage()
    del coverage["total"], coverage["percent"]
    assert coverage == counts
    # Losers are cancelled: they see their connection's end.
    for leaf in all_leaves:
        if leaf.behave is black_hole:
            wait_until(lambda leaf=leaf: leaf.requests[0].gone_at, "the loser's being told", 10)


# mode, leaves; too many fail
HOPELESS = [
    ("first", [failing(500), failing(500)]),
    ("first-n:2", [failing(500), failing(500), black_hole]),
    ("majority", [failing(500), failing(500), black_hole]),
]


@pytest.mark.parametrize("mode, behaviours", HOPELESS)
def test_a_mode_that_cannot_be_satisfied_ends_at_once(gather, mode, behaviours):
    root = gather.root([gather.leaf(behave) for behave in behaviours], "--mode", mode,
                       "--timeout", "30s")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "insufficient-coverage")
    assert answer.seconds < 10


def test_a_mode_that_is_too_late_is_504(gather):
    root = gather.root([gather.leaf(answering(0)), gather.leaf(black_hole),
                        gather.leaf(black_hole)], "--mode", "majority", "--timeout", "300ms")

    def once():
        answer = ask(root)
        assert (answer.status, answer.problem_type()) == (504, "insufficient-coverage")
        return answer

    best_of(3, once, within=0.3 + LATE_S)


def test_the_first_merge_needs_one_answer(gather):
    root = gather.root([gather.leaf(black_hole), gather.leaf(answering({"a": 1}))],
                       "--merge", "first", "--mode", "first", "--timeout", "30s")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b'{"a": 1}')
    assert answer.seconds < 10


# bodies (None: never answers), status, body
VOTES = [
    ([b"[1,2]", b"[1,2]", b"[1,2]"], 200, b"[1,2]"),
    ([b"[1,2]", b"[1,3]", b"[1,2]"], 200, b"[1,2]"),
    ([b"7", b"7", None], 200, b"7"),
    ([b"7", b"7", b"7", None, None], 200, b"7"),
    ([b"1", b"2", b"3"], 502, None),
    ([b"1", b"1", b"2", b"2"], 502, None),
]


@pytest.mark.parametrize("bodies, status, body", VOTES)
def test_quorum(gather, bodies, status, body):
    root = gather.root([gather.leaf(black_hole if each is None else answering(each))
                        for each in bodies], "--mode", "quorum", "--merge", "quorum",
                       "--timeout", "30s")
    answer = ask(root)
    assert answer.status == status
    assert answer.seconds < 10
    if status == 200:
        assert answer.body == body
    else:
        assert answer.problem_type() == "no-quorum"
        assert answer.problem()["detail"]


def test_a_quorum_may_come_to_nothing_by_waiting(gather):
    root = gather.root([gather.leaf(answering(1)), gather.leaf(answering(2)),
                        gather.leaf(black_hole)], "--mode", "quorum", "--merge", "quorum",
                       "--timeout", "300ms")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "no-quorum")
    assert answer.seconds >= 0.28
    assert answer.coverage()["timeout"] == 1


# Of a second, of 4 leaves with min-coverage 50: answers that never come, LEAST:MOST, seconds.
# missWidth is 50 % of 4, less 1, which is 1: so LEAST with one missing, MOST with two.
WAITS = [
    (1, "0:1", 0.0),
    (2, "0:1", 1.0),
    (1, "0.3:1", 0.3),
    (2, "0.3:1", 1.0),
    (2, "0:0.4", 0.4),
    (1, "0.5:0.5", 0.5),
    (0, "1:1", 0.0),
]


@pytest.mark.alone
@pytest.mark.parametrize("missing, factor, expected", WAITS)
def test_the_last_leaves_get_part_of_the_time(gather, missing, factor, expected):
    good = 4 - missing
    shards = [gather.leaf(answering(i)) for i in range(good)]
    shards += [gather.leaf(black_hole) for _ in range(missing)]
    root = gather.root(shards, "--timeout", "1s", "--min-coverage", "50", "--wait-factor", factor)
    answer = ask(root)
    assert answer.status == 200
    assert answer.json() == list(range(good))
    if missing:
        assert answer.coverage()["timeout"] == missing
    # The time left is that after the second answer.
    assert max(expected - 0.1, 0) <= answer.seconds <= expected + 0.1


@pytest.mark.alone
def test_the_wait_begins_when_coverage_suffices(gather):
    shards = [gather.leaf(answering(0)), gather.leaf(after(300, answering(1))),
              gather.leaf(black_hole)]
    root = gather.root(shards, "--timeout", "1s", "--min-coverage", "60", "--wait-factor",
                       "0.5:0.5")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[0,1]")
    # Half of the 700 ms that are left.
    assert 0.6 <= answer.seconds <= 0.8


def test_who_answers_within_the_wait_is_in_the_answer(gather):
    shards = [gather.leaf(answering(0)), gather.leaf(after(200, answering(1)))]
    root = gather.root(shards, "--timeout", "2s", "--min-coverage", "50", "--wait-factor",
                       "0.5:1")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[0,1]")
    assert answer.coverage() == {"total": 2, "ok": 2, "percent": 100.0}
