"""Every built-in merge from the outside: real leaves, odd bodies, and a leaf that says no JSON."""
import json

import pytest

from asking import ask, metric, under_way
from support.leaves import Leaf, after, answering, black_hole
from support.servers import wait_until

JSON = "application/json"
HITS = [[{"id": 1, "score": 0.9}, {"id": 2, "score": 0.3}], [{"id": 3, "score": 0.7}],
        [{"id": 1, "score": 0.8}, {"id": 4}]]


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def hits(*values):
    return compact(list(values))


ALL_HITS = [compact(part) for part in HITS]
BEST = hits({"id": 1, "score": 0.9}, {"id": 1, "score": 0.8}, {"id": 3, "score": 0.7},
            {"id": 2, "score": 0.3}, {"id": 4})

# merge, what the leaves answer, the answer
CASES = [
    ("concat", [b"one", b"\xff\x00", b"", b"two"], b"one\xff\x00two", "text/plain"),
    (r"concat:,\n", [b"a", b"b"], b"a,\nb", "text/plain"),
    ("array", [b'{ "a" : 1.0 }', b"null", b'"x"', b" 1e400 "], b'[{ "a" : 1.0 },null,"x",1e400]',
     JSON),
    ("object", [b"1", b"[2]"], b'{"s0":1,"s1":[2]}', JSON),
    ("ndjson", [b'{\n "a": 1\n}', b"2"], b'{"a": 1}\n2\n', "application/x-ndjson"),
    ("deep", [b'{"n":1,"tags":["a"],"x":{"p":1}}', b'{"n":2,"tags":["b"],"x":{"q":null}}'],
     b'{"n":2,"tags":["a","b"],"x":{"p":1,"q":null}}', JSON),
    ("json-merge-patch", [b'{"n":1,"tags":["a"],"x":{"p":1,"q":2}}',
                          b'{"n":2,"tags":["b"],"x":{"q":null}}'],
     b'{"n":2,"tags":["b"],"x":{"p":1}}', JSON),
    ("sum", [b'{"n":9007199254740993,"m":{"a":0.1},"h":"x"}', b'{"n":1,"m":{"a":0.2},"h":"y"}'],
     b'{"n":9007199254740994,"m":{"a":0.3},"h":"x"}', JSON),
    ("sum:/m/a", [b'{"m":{"a":1.50}}', b'{"m":{"a":1.50}}'], b"3.00", JSON),
    ("min", [b'{"a":3,"b":[1,2]}', b'{"a":-1,"b":[5]}'], b'{"a":-1,"b":[1,2]}', JSON),
    ("max", [b'{"a":3,"b":[1,2]}', b'{"a":-1,"b":[5]}'], b'{"a":3,"b":[5,2]}', JSON),
    ("avg:a", [b'{"a":1}', b'{"a":2}', b'{"a":3}'], b"2", JSON),
    ("count", [b'{"a":1,"b":2}', b'{"a":5}'], b'{"a":2,"b":1}', JSON),
    ("top-k:score:2", ALL_HITS, hits({"id": 1, "score": 0.9}, {"id": 1, "score": 0.8}), JSON),
    ("top-k:score", ALL_HITS, BEST, JSON),
    ("top-k:score:2:asc", ALL_HITS, hits({"id": 2, "score": 0.3}, {"id": 3, "score": 0.7}), JSON),
    ("top-k:score:3:dedup=/id", ALL_HITS,
     hits({"id": 1, "score": 0.9}, {"id": 3, "score": 0.7}, {"id": 2, "score": 0.3}), JSON),
    ("top-k:score:1:items=/r/hits", [b'{"r":{"hits":[{"score":1}]}}',
                                     b'{"r":{"hits":[{"score":2}]},"x":1}'],
     b'{"r":{"hits":[{"score":2}]}}', JSON),
    ("sorted", [b"[3,1]", b'[2,"a",null]'], b'[null,1,2,3,"a"]', JSON),
    ("sorted:t:desc", [b'[{"t":5},{"t":1}]', b'[{"t":3},{}]'],
     b'[{"t":5},{"t":3},{"t":1},{}]', JSON),
    ("union", [b"[1,2.0]", b'["\\u0061",2,"a",1]'], b'[1,2.0,"\\u0061"]', JSON),
    ("union:id", ALL_HITS, hits({"id": 1, "score": 0.9}, {"id": 2, "score": 0.3},
                                {"id": 3, "score": 0.7}, {"id": 4}), JSON),
    ("quorum", [b'{"a":1,"b":2}', b'{"x":0}', b'{ "b" : 2, "a" : 1 }'], b'{"a":1,"b":2}', JSON),
    ("quorum:/v", [b'{"v":1,"by":"a"}', b'{"v":2}', b'{"v":1,"by":"c"}'], b'{"v":1,"by":"a"}',
     JSON),
]


def leaves_with(gather, bodies, content_type=JSON):
    return [gather.leaf(answering(body, content_type=content_type)) for body in bodies]


@pytest.mark.parametrize("merge,bodies,expected,kind", CASES, ids=[
    f"{number}-{case[0].split(':')[0]}" for number, case in enumerate(CASES)])
def test_each_merge(gather, merge, bodies, expected, kind):
    all_leaves = leaves_with(gather, bodies, JSON if kind != "text/plain" else kind)
    root = gather.root(all_leaves, "--merge", merge)
    answer = ask(root)
    assert (answer.status, answer.body) == (200, expected)
    assert answer.header("Content-Type") == kind
    # The order of arrival means nothing.
    for i, leaf in enumerate(all_leaves):
        leaf.behave = after(15 * (len(bodies) - i), leaf.behave)
    assert ask(root).body == expected
    assert ask(root).coverage() == {"total": len(bodies), "ok": len(bodies), "percent": 100.0}


def test_first_is_the_one_that_was_first(gather):
    quick = gather.leaf(answering(b"<b>", content_type="a/b"))
    root = gather.root([gather.leaf(black_hole), quick], "--merge", "first", "--mode", "first")
    answer = ask(root)
    assert (answer.body, answer.header("Content-Type")) == (b"<b>", "a/b")


@pytest.mark.parametrize("target,expected", [("/?size=1", 1), ("/?size=3", 3), ("/", 2),
                                             ("/?size=x", 2), ("/?size=0", 0), ("/?size=9", 4)])
def test_the_client_says_how_many_are_the_best(gather, target, expected):
    root = gather.root(leaves_with(gather, ALL_HITS), "--merge",
                       "top-k:score:2:k-query=size:k-max=4")
    assert len(ask(root, target).json()) == expected


def test_lines_of_many_leaves_are_lines(gather):
    root = gather.root(leaves_with(gather, [b'{"a":1}\n\n{"b":2}\r\n', b"3"],
                                   "application/x-ndjson"), "--merge", "ndjson")
    assert ask(root).body == b'{"a":1}\n{"b":2}\n3\n'


# RFC 8259 allows all of these.
ODD_JSON = [
    b"  [1 , 2]\r\n\t", b'"\\u0000\\ud83d\\ude00\\/"', '"\u00e9\u4e2d\U0001f600"'.encode(),
    b'{"a":1,"a":2}', b'{"":{}}', b"-0", b"1E+2", b"0.000000000000000000000001",
    b"123456789012345678901234567890", b'"\\ud800"', b"[" * 500 + b"]" * 500, b'"\x7f"',
]


@pytest.mark.parametrize("merge", ["array", "object", "ndjson", "deep", "json-merge-patch", "sum",
                                   "quorum"])
def test_every_json_is_merged(gather, merge):
    """Also beside others: no body may make another one's leaf fail."""
    all_leaves = leaves_with(gather, ODD_JSON)
    root = gather.root(all_leaves, "--merge", merge)
    for i, leaf in enumerate(all_leaves):
        answer = ask(root, f"/?shards=s{i}")
        assert answer.status == 200, (ODD_JSON[i], answer.body)
        body = ODD_JSON[i].strip()
        assert answer.body == {
            "array": b"[" + body + b"]", "object": b'{"s%d":' % i + body + b"}",
            "ndjson": body + b"\n"}.get(merge, answer.body)
    answer = ask(root)
    if merge != "quorum":
        assert (answer.status, answer.coverage()["ok"]) == (200, len(ODD_JSON))
    else:
        assert (answer.status, answer.problem_type()) == (502, "no-quorum")


# And none of these.
NO_JSON = [b"", b" ", b"{", b'{"a":1}}', b"[1,]", b"{'a':1}", b"nul", b"NaN", b"01", b"+1", b".5",
           b'"\x01"', b'"\\x41"', b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"[1] [2]",
           b"\xef\xbb\xbf[1]", b"\x00", b'{"a" 1}', b'{1:2}', b"// x\n1", b'"\\u12g4"', b"1 // x"]


@pytest.mark.parametrize("merge", ["array", "object", "ndjson", "deep", "json-merge-patch", "sum",
                                   "count", "top-k:a", "sorted", "union", "quorum"])
def test_a_leaf_that_says_no_json_fails_alone(gather, merge):
    """Coverage drops, the request goes on, and the root lives: for each text that is no JSON."""
    bad, good = gather.leaf(), leaves_with(gather, [b"[1,2]"] * 2)
    if merge == "quorum":  # The two are enough: who comes after them is not missed.
        good[1].behave = after(20, good[1].behave)
    root = gather.root([*good, bad], "--merge", merge,
                       "--min-coverage", "60", "--wait-factor", "1:1")
    without = ask(root, "/?shards=s0,s1").body
    for body in NO_JSON:
        bad.behave = answering(body)
        answer = ask(root)
        assert (answer.status, answer.body) == (200, without), body
        assert answer.coverage() == {"total": 3, "ok": 2, "failed": 1, "percent": 66.667}, body
        assert answer.header("Proxy-Status").startswith('consort; ')
    assert metric(root, "consort_gather_leaf_results_total", outcome="failed") == len(NO_JSON)


@pytest.mark.parametrize("merge,body", [
    ("top-k:score", b'{"not":"a list"}'), ("sorted", b"5"), ("union:items=/hits", b"[]"),
    ("sum:/a/b", b'{"a":1}'), ("quorum:/v", b'{"w":1}'),
])
def test_a_leaf_of_another_shape_fails_alone(gather, merge, body):
    """Beside two that are right."""
    good = {"top-k": b"[]", "sorted": b"[]", "union": b'{"hits":[]}', "sum": b'{"a":{"b":1}}',
            "quorum": b'{"v":1}'}[merge.split(":")[0]]
    root = gather.root(leaves_with(gather, [good, body, good]), "--merge", merge,
                       "--min-coverage", "60", "--wait-factor", "1:1")
    answer = ask(root)
    assert answer.status == 200, answer.body
    assert answer.coverage()["failed"] == 1
    strict = ask(root, headers=[("Prefer", "handling=strict")])
    assert strict.status == 502
    assert list(strict.missing()) == ["s1"]
    assert strict.problem()["leaves"][0]["details"]


def test_without_validation_bytes_pass_as_they_are(gather):
    root = gather.root(leaves_with(gather, [b'{"a":tru}', b"[1]"]), "--merge",
                       "array:validate=no")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b'[{"a":tru},[1]]')


@pytest.mark.parametrize("merge,empty", [
    ("concat", b""), ("array", b"[]"), ("object", b"{}"), ("ndjson", b""), ("deep", b"{}"),
    ("json-merge-patch", b"{}"), ("sum", b"{}"), ("sum:/a", b"0"), ("min:/a", b"null"),
    ("count:/a", b"0"), ("top-k:a", b"[]"), ("sorted", b"[]"), ("union", b"[]"),
    ("top-k:a:items=/x/y", b'{"x":{"y":[]}}'),
])
def test_no_answers_at_all(gather, merge, empty):
    root = gather.root([gather.leaf(answering({}, status=500))], "--merge", merge,
                       "--min-coverage", "0", "--wait-factor", "1:1")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, empty)
    assert answer.coverage() == {"total": 1, "failed": 1, "percent": 0.0}


@pytest.mark.parametrize("merge", ["deep", "sum", "json-merge-patch", "quorum", "array"])
def test_deep_nesting_costs_no_stack(gather, merge):
    depth = 200_000
    body = b'{"a":' * depth + b"1" + b"}" * depth
    root = gather.root(leaves_with(gather, [body, body, b'{"b":1}']), "--merge", merge)
    answer = ask(root)
    # Whether that much is one leaf's failure or is merged: it is said, and the root lives.
    assert answer.status in (200, 502)
    assert ask(root, "/?shards=s2").status == 200


def test_no_minimum_is_not_no_time(gather):
    """The one leaf of a root that demands nothing has time to answer all the same."""
    root = gather.root(leaves_with(gather, [b"1"]), "--min-coverage", "0")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1]")


def test_large_answers_are_merged_whole(gather):
    part = compact([{"id": i, "text": "x" * 200, "score": i % 97} for i in range(5000)])
    root = gather.root(leaves_with(gather, [part] * 4), "--merge", "top-k:score:10000",
                       "--timeout", "10s")
    answer = ask(root)
    scores = [hit["score"] for hit in answer.json()]
    assert len(scores) == 10_000
    assert scores == sorted(scores, reverse=True)
    root = gather.root(leaves_with(gather, [part] * 4), "--merge", "array", "--timeout", "10s")
    assert ask(root).body == b"[" + b",".join([part] * 4) + b"]"


def test_a_merge_for_each_route(gather, tmp_path):
    path = tmp_path / "root.yaml"
    urls = [leaf.url for leaf in leaves_with(gather, ALL_HITS)]
    path.write_text(json.dumps({"leaf": urls, "routes": {
        "best": {"match": "/best", "merge": {"type": "top-k", "key": "/score", "order": "desc",
                                             "k": {"query": "n", "default": 1}}},
        "all": {"match": "/all", "merge": "sorted:score:desc"},
        "once": {"match": "/once", "merge": {"type": "union", "key": "/id"}},
        "lists": {"match": "/lists", "merge": {"type": "concat", "separator": ":"}}}}))
    root = gather.root([], "--config", str(path))
    assert ask(root, "/best").body == hits({"id": 1, "score": 0.9})
    assert len(ask(root, "/best?n=3").json()) == 3
    assert ask(root, "/all").body == BEST
    assert [hit["id"] for hit in ask(root, "/once").json()] == [1, 2, 3, 4]
    assert ask(root, "/lists").body == b":".join(ALL_HITS)


def test_a_quorum_does_not_wait_for_who_cannot_change_it(gather):
    same = answering(b'{"v":1}')
    slow = Leaf(black_hole)
    root = gather.root([gather.leaf(same), gather.ending(slow), gather.leaf(same)], "--merge",
                       "quorum", "--timeout", "20s")
    with under_way(root) as client:
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b'{"v":1}')
        assert answer.seconds < 5
    wait_until(lambda: not slow.open, "the end of the third call", 10)
