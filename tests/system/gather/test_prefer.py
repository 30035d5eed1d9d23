"""Prefer: handling and wait (RFC 7240), and what was honoured in Preference-Applied."""
import pytest

from asking import LATE_S, ask, best_of
from support.leaves import answering, black_hole, failing

OK = answering(1)


def preferring(*values):
    return [("Prefer", value) for value in values]


# min-coverage, Prefer headers, status, Preference-Applied; two of three leaves are good
HANDLING = [
    (60, [], 200, None),
    (60, ["handling=strict"], 502, "handling=strict"),
    (60, ["handling=lenient"], 200, "handling=lenient"),
    (100, [], 502, None),
    (100, ["handling=lenient"], 200, "handling=lenient"),
    (100, ["handling=strict"], 502, "handling=strict"),
    (100, ['HANDLING = "Lenient" ; why=x, respond-async'], 200, "handling=lenient"),
    (60, ["respond-async", "handling=strict"], 502, "handling=strict"),
    (60, ["handling=strict, handling=lenient"], 502, "handling=strict"),
    (60, ["handling=harsh"], 200, None),
    (60, ["handling=harsh, handling=strict"], 502, "handling=strict"),
    (60, ["handling"], 200, None),
    (60, ['handling="strict'], 200, None),
    (60, ["=strict"], 200, None),
    (100, [";;,,==,\"\\"], 502, None),
]


@pytest.mark.parametrize("minimum, prefer, status, applied", HANDLING)
def test_handling(gather, minimum, prefer, status, applied):
    shards = [gather.leaf(OK), gather.leaf(failing(500)), gather.leaf(OK)]
    root = gather.root(shards, "--min-coverage", str(minimum), "--wait-factor", "1:1")
    # A write, so that no early end hides how many were good.
    answer = ask(root, method="POST", body=b"", headers=preferring(*prefer))
    assert answer.status == status
    assert answer.header("Preference-Applied") == applied
    assert answer.coverage() == {"total": 3, "ok": 2, "failed": 1, "percent": 66.667}
    assert answer.body == b"[1,1]" or status == 502


@pytest.mark.alone
def test_strict_waits_for_all(gather):
    root = gather.root([gather.leaf(OK), gather.leaf(black_hole)], "--min-coverage", "50",
                       "--timeout", "300ms")
    assert ask(root).seconds < 0.25
    answer = ask(root, headers=preferring("handling=strict"))
    assert answer.status == 504
    assert answer.seconds >= 0.29


def test_strict_ends_as_soon_as_one_has_failed(gather):
    late = gather.leaf(black_hole)
    root = gather.root([gather.leaf(failing(500)), late], "--min-coverage", "50",
                       "--timeout", "30s")
    answer = ask(root, headers=preferring("handling=strict"))
    assert answer.status == 502
    assert answer.seconds < 5


def test_lenient_needs_at_least_one_answer(gather):
    root = gather.root([gather.leaf(failing(500)), gather.leaf(failing(500))])
    answer = ask(root, headers=preferring("handling=lenient"))
    assert answer.status == 502
    assert answer.header("Preference-Applied") == "handling=lenient"


def test_wait_is_a_deadline(gather):
    root = gather.root([gather.leaf(OK), gather.leaf(black_hole)], "--timeout", "30s",
                       "--min-coverage", "50", "--wait-factor", "1:1")

    def once():
        answer = ask(root, headers=preferring("wait=1, handling=lenient"))
        assert (answer.status, answer.body) == (200, b"[1]")
        assert answer.header("Preference-Applied") == "handling=lenient, wait=1"
        return answer

    assert best_of(2, once, within=1 + LATE_S).seconds >= 0.98


@pytest.mark.parametrize("prefer, applied", [
    ("wait=1", "wait=1"),      # shorter than what the route has
    ("wait=9", None),          # the route's is shorter
    ("wait=x", None),
    ("wait=1.5", None),
    ("wait", None),
    ("wait=99999999999999", None),
])
def test_wait_is_echoed_when_it_made_a_difference(gather, prefer, applied):
    root = gather.root([gather.leaf(OK)], "--timeout", "5s")
    answer = ask(root, headers=preferring(prefer))
    assert answer.status == 200
    assert answer.header("Preference-Applied") == applied


def test_preferences_are_passed_on_to_leaves(gather):
    """A leaf may be a root: it has to be as strict as its parent is asked to be."""
    below = gather.root([gather.leaf(OK), gather.leaf(failing(500))], "--min-coverage", "50")
    root = gather.root([below], "--min-coverage", "50")
    assert ask(root).status == 200
    assert ask(root, headers=preferring("handling=strict")).status == 502
