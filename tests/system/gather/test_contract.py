"""What leaves are sent and what becomes of their answers: the contract of gather-root."""
import asyncio
import itertools
import json
import os
import re

import pytest

from asking import Client, ask, metric
from support import leaves, servers
from support.leaves import answering, by_path


class Turns:
    """Leaves that answer one after the other, in the order that the request names."""

    def __init__(self, bodies):
        self.bodies = bodies
        self.next = 0

    def behave(self, index):
        async def answer_in_turn(request):
            order = [int(digit) for digit in request.query["order"]]
            while order[self.next % len(order)] != index:
                await asyncio.sleep(0)
            self.next += 1  # First: who has the last answer looks at the sum.
            request.send(self.bodies[index])
        return answer_in_turn


def test_bodies_come_in_shard_order_and_unchanged_in_every_order_of_arrival(gather):
    bodies = [b' {"a" : 1.50,\n"\\u00e9":"\xc3\xa9"}\t', b"12345678901234567890.10e0", b"[ ]",
              b'"' + b"x" * 20000 + b'"']
    turns = Turns(bodies)
    root = gather.root([gather.leaf(turns.behave(i)) for i in range(4)])
    expected = b"[" + b",".join(body.strip() for body in bodies) + b"]"
    with Client(root.port) as client:
        for order in itertools.islice(itertools.cycle(itertools.permutations("0123")), 216):
            answer = client.ask("/?order=" + "".join(order))
            assert answer.body == expected
            assert answer.coverage() == {"total": 4, "ok": 4, "percent": 100.0}
    assert turns.next == 4 * 216


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "REPORT"])
def test_method_query_body_and_headers_reach_every_leaf(gather, method):
    all_leaves = gather.leaves(3)
    root = gather.root(all_leaves)
    body = None if method in ("GET", "OPTIONS") else bytes(range(256)) * 20
    answer = ask(root, "/a%2Fb//c;d?q=1&q=%20%22&empty=", method=method, body=body,
                 headers=[("X-Mixed", "a, b"), ("x-mixed", "c"), ("Cookie", "k=v; l=\xe9"),
                          ("Content-Type", "x/y; z=\"1\""), ("Authorization", "Bearer t")])
    assert answer.status == 200
    assert answer.body == b"[0,1,2]"
    for leaf in all_leaves:
        [seen] = leaf.requests
        assert (seen.method, seen.target) == (method, "/a%2Fb//c;d?q=1&q=%20%22&empty=")
        assert seen.body == (body or b"")
        assert seen.all("x-mixed") == ["a, b", "c"]
        assert seen.header("cookie") == "k=v; l=\xe9"
        assert seen.header("content-type") == 'x/y; z="1"'
        assert seen.header("authorization") == "Bearer t"
        assert seen.header("host") == f"127.0.0.1:{leaf.port}"


def test_headers_of_one_hop_do_not_reach_a_leaf(gather):
    leaf = gather.leaf()
    root = gather.root([leaf])
    gone = ["Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection",
            "Proxy-Authenticate", "X-Named", "X-Also-Named"]
    answer = ask(root, headers=[*((name, "x") for name in gone), ("X-Stays", "y"),
                                ("Connection", "x-named, TE, Upgrade, x-ALSO-named"),
                                ("Accept-Encoding", "gzip, br")])
    assert answer.status == 200
    [seen] = leaf.requests
    assert [name for name in gone if seen.all(name)] == []
    assert seen.all("Connection") == []
    assert seen.header("X-Stays") == "y"
    assert seen.header("Accept-Encoding") == "identity"


def test_a_chunked_request_reaches_leaves_with_its_length(gather):
    all_leaves = gather.leaves(2)
    root = gather.root(all_leaves)
    request = (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n")
    assert servers.exchange(root.port, request, b"[0,1]").startswith(b"HTTP/1.1 200 ")
    for leaf in all_leaves:
        assert leaf.requests[0].body == b"abcdefgh"
        assert leaf.requests[0].header("Content-Length") == "8"
        assert leaf.requests[0].all("Transfer-Encoding") == []


def test_a_body_of_8_mib_passes_and_one_more_byte_does_not(gather):
    all_leaves = gather.leaves(2)
    root = gather.root(all_leaves)
    body = os.urandom(1 << 20) * 8
    assert ask(root, method="POST", body=body).status == 200
    assert all(leaf.requests[0].body == body for leaf in all_leaves)
    answer = ask(root, method="POST", body=body + b"!")
    assert answer.status == 413
    assert answer.problem_type() == "body-too-large"
    assert len(all_leaves[0].requests) == 1


def test_head_is_the_answer_to_get_without_its_body(gather):
    leaf = gather.leaf(answering({"a": 1}))
    root = gather.root([leaf])
    whole = ask(root)
    head = ask(root, method="HEAD")
    assert head.status == 200
    assert head.body == b""
    assert head.header("Content-Length") == whole.header("Content-Length") == "10"
    assert [seen.method for seen in leaf.requests] == ["GET", "GET"]


def test_what_a_leaf_is_told_about_the_request(gather):
    all_leaves = gather.leaves(3)
    root = gather.root(["first=" + all_leaves[0].url, all_leaves[1], all_leaves[2]],
                       "--timeout", "400ms")
    answer = ask(root)
    seen = [leaf.requests[0] for leaf in all_leaves]
    assert [each.header("Consort-Shard") for each in seen] == ["first", "s1", "s2"]
    assert {each.header("Consort-Shards") for each in seen} == {"3"}
    assert {each.header("Consort-Attempt") for each in seen} == {"1"}
    assert {each.header("Consort-Depth") for each in seen} == {"1"}
    [request_id] = {each.header("Consort-Request-Id") for each in seen}
    assert answer.header("Consort-Request-Id") == request_id
    for each in seen:
        left_ms = int(each.header("x-envoy-expected-rq-timeout-ms"))
        assert 350 <= left_ms < 400
        assert each.header("grpc-timeout") == f"{left_ms}m"
        assert re.fullmatch(r"1\.1 consort-[0-9a-f]{8}-default", each.header("Via"))


@pytest.mark.parametrize("name", ["Consort-Request-Id", "X-Request-Id"])
def test_a_clients_own_id_is_kept(gather, name):
    leaf = gather.leaf()
    root = gather.root([leaf])
    assert ask(root, headers=[(name, "mine-7")]).header("Consort-Request-Id") == "mine-7"
    assert leaf.requests[0].header("Consort-Request-Id") == "mine-7"


@pytest.mark.parametrize("bad", ["a b", 'quote"', "x" * 129, ""])
def test_an_id_that_is_no_token_is_replaced(gather, bad):
    root = gather.root(gather.leaves(1))
    answer = ask(root, headers=[("Consort-Request-Id", bad)])
    assert re.fullmatch("[0-9a-f]{16}", answer.header("Consort-Request-Id"))


def test_a_client_cannot_speak_for_the_root(gather):
    leaf = gather.leaf()
    root = gather.root([leaf])
    ask(root, headers=[("Consort-Shard", "s9"), ("Consort-Attempt", "4"), ("Consort-Shards", "0"),
                       ("Consort-Coverage", "total=9"), ("grpc-timeout", "1S")])
    [seen] = leaf.requests
    assert seen.header("Consort-Shard") == "s0"
    assert seen.header("Consort-Attempt") == "1"
    assert seen.header("Consort-Shards") == "1"
    assert seen.all("Consort-Coverage") == []


def test_path_and_headers_by_template(gather):
    all_leaves = gather.leaves(2)
    root = gather.root([leaf.url + "/base" for leaf in all_leaves],
                       "--path", "/shard/{shard}/{index}of{shards}{path}?fixed=1",
                       "--header", "X-Shard: <{shard}>")
    assert ask(root, "/find?q=a").status == 200
    for i, leaf in enumerate(all_leaves):
        assert leaf.requests[0].target == f"/base/shard/s{i}/{i}of2/find?fixed=1&q=a"
        assert leaf.requests[0].header("X-Shard") == f"<s{i}>"


def test_unix_sockets_of_leaves_and_of_the_root(gather, tmp_path):
    leaf = gather.leaf(by_path, unix=str(tmp_path / "leaf.sock"))
    front = str(tmp_path / "root.sock")
    root = gather.root([leaf, gather.leaf(by_path)], "--listen", f"unix:{front}")
    for address in (front, root.port):
        assert ask(address, "/x").json() == [{"target": "/x"}] * 2
    assert leaf.requests[0].header("Consort-Shard") == "s0"


def test_nginx_is_a_leaf(gather):
    nginx = gather.ending(leaves.Nginx("""
        default_type application/json;
        location /a/ { return 200 '["$request_uri"]'; }
        location /b/ { return 404 '{}'; }"""))
    root = gather.root([nginx.url + "/a", nginx.url + "/a", nginx.url + "/b"],
                       "--empty-status", "404")
    answer = ask(root, "/x?y")
    assert answer.status == 200
    assert answer.json() == [["/a/x?y"], ["/a/x?y"]]
    assert answer.coverage() == {"total": 3, "ok": 3, "percent": 100.0}


TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01"
# traceparent headers, tracestate headers, whether the trace goes on, tracestate at the leaf
TRACES = [
    ([VALID], ["a=1,b=2"], True, "a=1,b=2"),
    ([VALID], ["a=1", "b=2"], True, "a=1,b=2"),
    ([VALID], ["a=1,a=2"], True, None),
    ([VALID], ["A b"], True, None),
    ([VALID], [",".join(f"k{i}=v" for i in range(33))], True, None),
    ([f"01-{TRACE}-{PARENT}-01-more"], [], True, None),
    ([f"00-{TRACE}-{PARENT}-01-more"], [], False, None),
    ([f"ff-{TRACE}-{PARENT}-01"], ["a=1"], False, None),
    ([f"00-{TRACE.upper()}-{PARENT}-01"], ["a=1"], False, None),
    ([f"00-{'0' * 32}-{PARENT}-01"], ["a=1"], False, None),
    ([f"00-{TRACE}-{'0' * 16}-01"], ["a=1"], False, None),
    ([f"00-{TRACE}-{PARENT}"], ["a=1"], False, None),
    ([VALID, VALID], ["a=1"], False, None),
    ([], ["a=1"], False, None),
]


@pytest.mark.parametrize("parents, states, goes_on, state", TRACES, ids=range(len(TRACES)))
def test_trace_context(gather, parents, states, goes_on, state):
    all_leaves = gather.leaves(2)
    root = gather.root(all_leaves)
    ask(root, headers=[*(("traceparent", each) for each in parents),
                       *(("tracestate", each) for each in states)])
    own = set()
    for leaf in all_leaves:
        [seen] = leaf.requests
        version, trace, parent, flags = seen.header("traceparent").split("-")
        assert version == "00"
        assert (trace == TRACE) == goes_on
        assert flags == ("01" if goes_on else "00")
        assert re.fullmatch("[0-9a-f]{32}", trace) and re.fullmatch("[0-9a-f]{16}", parent)
        assert seen.header("tracestate") == state
        own.add(parent)
    assert len(own | {PARENT}) == 3


def test_where_the_time_went(gather):
    root = gather.root([gather.leaf(by_path), gather.leaf(leaves.after(50, by_path))],
                       "--access-log")
    answer = ask(root, "/x", headers=[("traceparent", VALID)])
    timings = answer.timings()
    assert set(timings) == {"scatter", "slowest", "merge"}
    assert 'slowest;desc="s1"' in answer.header("Server-Timing")
    assert 50 <= timings["slowest"] <= timings["scatter"] <= answer.seconds * 1000
    [line] = [json.loads(line) for line in root.output().splitlines() if '"msg":"request"' in line]
    assert line["id"] == answer.header("Consort-Request-Id")
    assert line["trace"] == TRACE
    assert (line["method"], line["target"], line["status"]) == ("GET", "/x", 200)
    assert line["slowest"] == "s1"
    assert 50_000 <= line["slowest_us"] <= line["scatter_us"] <= line["us"]


def test_what_is_counted(gather):
    root = gather.root(gather.leaves(2))
    for _ in range(5):
        ask(root)
    assert metric(root, "consort_gather_requests_total", code="2xx") == 5
    assert metric(root, "consort_gather_leaf_calls_total") == 10
    assert metric(root, "consort_gather_leaf_results_total", outcome="ok") == 10
    assert metric(root, "consort_gather_coverage_total", percent="100") == 5
    assert metric(root, "consort_gather_inflight") == 0
