"""The status table of gather-root: which leaves give which status, coverage and problem."""
import json

import pytest

from asking import ask, metric, under_way
from support.leaves import Leaf, Refusing, answering, black_hole, closing, failing, saying
from support.servers import wait_until

OK = answering([1])
TIMEOUT = "300ms"
NOT_JSON = answering(b'{"a":')
NOBODY = Refusing
ALL = 100.0
TWO_OF_THREE = 66.667
LATE = ("timeout", "http_response_timeout")
REFUSED = ("failed", "connection_refused")


class Case:
    def __init__(self, name, behaviours, options, status, coverage, body=None, missing=None,
                 method="POST"):
        self.name = name
        self.behaviours = behaviours
        self.options = options.split()
        self.status = status
        self.coverage = coverage
        self.body = body  # None: a problem that lists `missing`
        self.missing = missing
        # A read ends as soon as it cannot succeed any more; a write learns of all leaves.
        self.method = method


def counts(total, percent, **others):
    return {"total": total, "percent": percent, **others}


CASES = [
    Case("all ok", [OK, OK, OK], "", 200, counts(3, ALL, ok=3), b"[[1],[1],[1]]"),
    Case("one fails", [OK, failing(500), OK], "", 502, counts(3, TWO_OF_THREE, ok=2, failed=1),
         missing={"s1": ("failed", None)}),
    Case("one fails and may", [OK, failing(500), OK], "--min-coverage 66", 200,
         counts(3, TWO_OF_THREE, ok=2, failed=1), b"[[1],[1]]"),
    Case("one more fails than may", [OK, failing(500), failing(500)], "--min-coverage 66", 502,
         counts(3, 33.333, ok=1, failed=2), missing={"s1": ("failed", None),
                                                     "s2": ("failed", None)}),
    Case("one is late", [OK, OK, black_hole], "", 504, counts(3, TWO_OF_THREE, ok=2, timeout=1),
         missing={"s2": LATE}),
    Case("one is late and may be", [OK, OK, black_hole], "--min-coverage 60", 200,
         counts(3, TWO_OF_THREE, ok=2, timeout=1), b"[[1],[1]]"),
    Case("all are late", [black_hole, black_hole], "", 504, counts(2, 0.0, timeout=2),
         missing={"s0": LATE, "s1": LATE}),
    Case("one is refused", [NOBODY, OK], "", 502, counts(2, 50.0, ok=1, failed=1),
         missing={"s0": REFUSED}),
    Case("one is refused, one is late", [NOBODY, black_hole, OK], "--min-coverage 50", 504,
         counts(3, 33.333, ok=1, failed=1, timeout=1), missing={"s0": REFUSED, "s1": LATE}),
    Case("all say the same 4xx", [failing(404, {"no": i}) for i in range(3)], "", 404,
         counts(3, 0.0, failed=3), b'{"no": 0}'),
    Case("all say the same 4xx, which coverage would forgive", [failing(403)] * 2,
         "--min-coverage 0", 403, counts(2, 0.0, failed=2), b'{"status": 403}'),
    Case("different 4xx", [failing(404), failing(403)], "", 502, counts(2, 0.0, failed=2),
         missing={"s0": ("client_error", None), "s1": ("client_error", None)}),
    Case("4xx beside ok", [OK, failing(404), OK], "", 502,
         counts(3, TWO_OF_THREE, ok=2, failed=1), missing={"s1": ("client_error", None)}),
    Case("4xx beside ok, forgiven", [OK, failing(404), OK], "--min-coverage 60", 200,
         counts(3, TWO_OF_THREE, ok=2, failed=1), b"[[1],[1]]"),
    Case("4xx beside one that is late", [failing(404), black_hole], "", 504,
         counts(2, 0.0, failed=1, timeout=1),
         missing={"s0": ("client_error", None), "s1": LATE}),
    Case("404 means nothing here", [OK, failing(404), OK], "--empty-status 404", 200,
         counts(3, ALL, ok=3), b"[[1],[1]]"),
    Case("nothing anywhere", [failing(404), failing(404)], "--empty-status 404", 200,
         counts(2, ALL, ok=2), b"[]"),
    Case("404 is a good answer", [OK, failing(404, [4])], "--ok-status 200 --ok-status 404", 200,
         counts(2, ALL, ok=2), b"[[1],[4]]"),
    Case("201 is not a good answer", [OK, failing(201)], "--ok-status 200", 502,
         counts(2, 50.0, ok=1, failed=1), missing={"s1": ("failed", None)}),
    Case("every 2xx is good", [OK, failing(201, [2]), failing(299, [3])], "", 200,
         counts(3, ALL, ok=3), b"[[1],[2],[3]]"),
    Case("a redirect is no answer", [OK, failing(302, headers=[("Location", "/")])], "", 502,
         counts(2, 50.0, ok=1, failed=1), missing={"s1": ("failed", None)}),
    Case("a leaf's own 503", [OK, failing(503)], "", 502, counts(2, 50.0, ok=1, failed=1),
         missing={"s1": ("failed", None)}),
    Case("a leaf's own 504", [OK, failing(504)], "", 504, counts(2, 50.0, ok=1, timeout=1),
         missing={"s1": LATE}),
    Case("no JSON", [OK, NOT_JSON], "", 502, counts(2, 50.0, ok=1, failed=1),
         missing={"s1": ("failed", None)}),
    Case("no JSON, forgiven", [OK, NOT_JSON], "--min-coverage 50", 200,
         counts(2, 50.0, ok=1, failed=1), b"[[1]]"),
    Case("all fail and may", [closing, failing(500)], "--min-coverage 0", 200,
         counts(2, 0.0, failed=2), b"[]"),
    Case("an early failure ends a read", [failing(500), black_hole], "--timeout 60s", 502,
         counts(2, 0.0, failed=1, skipped=1), missing={"s0": ("failed", None)}, method="GET"),
    Case("204 means nothing here", [OK, failing(204, b"")], "", 200, counts(2, ALL, ok=2),
         b"[[1]]"),
    Case("204 is not in the list", [OK, failing(204, b"")], "--ok-status 200", 502,
         counts(2, 50.0, ok=1, failed=1), missing={"s1": ("failed", None)}),
    Case("an answer without a body is no JSON", [OK, answering(b"")], "", 502,
         counts(2, 50.0, ok=1, failed=1), missing={"s1": ("failed", None)}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_status_table(gather, case):
    shards = [gather.ending(NOBODY() if behave is NOBODY else Leaf(behave))
              for behave in case.behaviours]
    # Else a leaf that fails last would be one that was not waited for.
    root = gather.root(shards, "--timeout", TIMEOUT, "--wait-factor", "1:1", *case.options)
    answer = ask(root, method=case.method, body=b"")
    assert answer.status == case.status, answer.body
    assert answer.coverage() == case.coverage
    if case.body is not None:
        assert answer.body == case.body
    else:
        assert answer.problem_type() == "insufficient-coverage"
        assert answer.missing() == case.missing
        document = answer.problem()["coverage"]
        assert {name: number for name, number in document.items()
                if number or name in ("total", "percent")} == case.coverage
    incomplete = case.coverage["percent"] < 100
    assert (answer.header("Cache-Control") == "no-store") == (incomplete and answer.status == 200)
    assert (answer.header("Proxy-Status") is None) != incomplete


def test_proxy_status_names_each_missing_leaf(gather):
    shards = [gather.ending(NOBODY()), gather.leaf(failing(500)), gather.leaf(black_hole),
              gather.leaf(OK)]
    root = gather.root(shards, "--timeout", TIMEOUT, "--min-coverage", "25", "--wait-factor",
                       "1:1")
    entries = ask(root).header("Proxy-Status").split(", ")
    assert len(entries) == 3
    assert entries[0].startswith('consort; error=connection_refused; next-hop="s0"; details="')
    assert entries[1] == ('consort; next-hop="s1"; received-status=500; '
                          'details="answered 500"')
    assert entries[2] == ('consort; error=http_response_timeout; next-hop="s2"; '
                          'details="no answer in time"')


def test_proxy_status_and_the_problem_have_limits(gather):
    leaf = gather.leaf(failing(500))
    root = gather.root([leaf] * 70, "--timeout", "5s")
    answer = ask(root, method="POST", body=b"")
    assert answer.status == 502
    assert answer.header("Proxy-Status").count("next-hop=") == 16
    document = answer.problem()
    assert len(document["leaves"]) == 64
    assert document["leaves_left_out"] == 6
    assert document["coverage"]["failed"] == 70


def test_no_matching_shard_is_an_empty_merge(gather, tmp_path):
    leaf = gather.leaf(OK)
    topology = tmp_path / "shards.json"
    topology.write_text(json.dumps({"epoch": 3, "shards": [
        {"id": "a", "tags": {"zone": "x"}, "replicas": [leaf.url]}]}))
    root = gather.root([], "--topology", str(topology), "--to", "tags:zone=y")
    answer = ask(root)
    assert answer.status == 200
    assert answer.body == b"[]"
    assert answer.coverage() == {"total": 0, "percent": 100.0}
    assert leaf.requests == []


def test_drained_replicas_are_503_with_retry_after(gather):
    gone, leaf = gather.leaf(OK), gather.leaf(OK)
    root = gather.root([gone, leaf])
    assert ask(root).status == 200
    assert root.get("/replicas/drain?url=" + gone.url, "POST")[0] == 200
    answer = ask(root)
    assert answer.status == 503
    assert answer.header("Retry-After") == "1"
    assert answer.missing() == {"s0": ("unavailable", "destination_unavailable")}
    assert len(gone.requests) == 1
    assert root.get("/replicas/restore?url=" + gone.url, "POST")[0] == 200
    assert ask(root).status == 200


def test_the_limits_of_the_root_have_types_of_their_own(gather):
    shards = [gather.leaf(answering("x" * 2000)), gather.leaf(answering("x" * 2000))]
    cases = [("--max-leaf-body", "1000", 502, "leaf-body-too-large", "max_leaf_body"),
             ("--max-total-body", "3000", 502, "total-body-too-large", "max_total_body"),
             ("--max-memory", "3000", 503, "memory-limit", "max_memory"),
             ("--max-fanout", "1", 400, "too-many-shards", "max_fanout")]
    for option, value, status, kind, limit in cases:
        root = gather.root(shards, option, value)
        answer = ask(root)
        assert (answer.status, answer.problem_type()) == (status, kind)
        assert (answer.header("Retry-After") is not None) == (status == 503)
        assert metric(root, "consort_gather_limits_total", limit=limit) >= 1


def test_a_path_without_a_route_is_404(gather):
    root = gather.root(gather.leaves(1), "--match", "GET /search/*")
    assert ask(root, "/search/x").status == 200
    for method, target in [("GET", "/other"), ("POST", "/search/x")]:
        answer = ask(root, target, method=method, body=b"" if method == "POST" else None)
        assert (answer.status, answer.problem_type()) == (404, "no-route")


@pytest.mark.alone
def test_more_than_the_limit_in_flight_wait_and_are_then_refused(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--max-inflight", "1", "--queue-time", "50ms", "--timeout", "30s")
    with under_way(root) as _:
        wait_until(lambda: leaf.requests, "the first one's call")
        answer = ask(root)
        assert (answer.status, answer.problem_type()) == (503, "overloaded")
        assert answer.header("Retry-After") == "1"
        # Timers count whole milliseconds, and the one that runs counts as the first.
        assert 0.05 - 0.001 <= answer.seconds < 1
        # Who waits gets the place that becomes free.
        with under_way(root) as second:
            wait_until(lambda: metric(root, "consort_gather_queued") == 1, "the second in line")
            leaf.behave = OK
            leaf.close_connections()
            assert second.answer().body == b"[[1]]"


def test_nothing_of_an_interim_answer_is_taken_for_the_answer(gather):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n7"
    root = gather.root([gather.leaf(saying(interim + final, False)), gather.leaf(OK)])
    for _ in range(2):
        assert ask(root).body == b"[7,[1]]"
