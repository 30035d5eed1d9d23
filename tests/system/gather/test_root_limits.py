"""Every limit of gather-root: where it lies, what a client is told, what is counted; and memory."""
import json
import os
import threading

import pytest

from asking import Client, ask, metric, under_way
from support import servers
from support.leaves import (answering, black_hole, by_path, huge_headers, never_ending, saying,
                            until)
from support.servers import is_sanitized, wait_until
from support_wide import ManyLeaves, peak_bytes

MIB = 1 << 20


def hits(root, limit):
    return metric(root, "consort_gather_limits_total", limit=limit)


def chunked(body):
    """Its length is known only at its end."""
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + b"0\r\n\r\n",
                  False)


def until_closed(body):
    return saying(b"HTTP/1.1 200 OK\r\n\r\n" + body)


FRAMINGS = {"with_a_length": answering, "chunked": chunked, "until_closed": until_closed}


# ---- what a request may be ----

def test_max_fanout_counts_the_shards_of_the_request(gather):
    shards = gather.leaves(4)
    root = gather.root(shards, "--max-fanout", "3")
    assert ask(root, "/?shards=s0,s1,s2").body == b"[0,1,2]"
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (400, "too-many-shards")
    assert "max_fanout" in answer.problem()["detail"]
    assert [len(leaf.requests) for leaf in shards] == [1, 1, 1, 0]
    assert hits(root, "max_fanout") == 1


def test_max_request_body(gather):
    leaf = gather.leaf(answering(1))
    root = gather.root([leaf], "--max-request-body", "1000")
    assert ask(root, method="POST", body=b"x" * 1000).status == 200
    for headers, body in [([], b"x" * 1001), ([("Transfer-Encoding", "chunked")], None)]:
        with Client(root.port) as client:
            client.send(method="POST", headers=headers, body=body)
            if body is None:
                client.socket.sendall(b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n")
            answer = client.answer()
        assert (answer.status, answer.problem_type()) == (413, "body-too-large")
    assert len(leaf.requests) == 1


def test_max_header_bytes_of_a_client(gather):
    leaf = gather.leaf(answering(1))
    root = gather.root([leaf], "--max-header-bytes", "2KiB")
    assert ask(root, headers=[("X", "x" * 1500)]).status == 200
    for target, headers, status in [("/", [("X", "x" * 3000)], 431), ("/" + "x" * 3000, [], 414),
                                    ("/", [(f"X-{i}", "y") for i in range(500)], 431)]:
        answer = ask(root, target, headers=headers)
        assert (answer.status, answer.problem_type()) == (status, "header-too-large")
    assert len(leaf.requests) == 1


@pytest.mark.parametrize("limit", ["max_header_bytes", "max_request_body"])
def test_what_a_client_sends_too_much_of_is_counted(gather, limit):
    """As with every other limit, /metrics tells which one it was."""
    root = gather.root(gather.leaves(1), "--max-header-bytes", "2KiB", "--max-request-body", "10")
    if limit == "max_header_bytes":
        assert ask(root, headers=[("X", "x" * 3000)]).status == 431
    else:
        assert ask(root, method="POST", body=b"x" * 11).status == 413
    assert hits(root, limit) == 1


def test_max_header_bytes_of_a_leaf(gather):
    bad = gather.leaf(huge_headers(8192))
    root = gather.root([bad, gather.leaf(answering(1))], "--max-header-bytes", "4KiB",
                       "--min-coverage", "50", "--wait-factor", "1:1")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1]")
    assert "http_response_header" in answer.header("Proxy-Status")


# ---- how many at a time ----

def test_max_inflight_and_its_line(gather):
    """One is inside, one waits, and who comes then is refused at once: the line has an end."""
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--max-inflight", "1", "--queue-time", "20s", "--timeout", "30s")
    with under_way(root):
        wait_until(lambda: leaf.requests, "the first one's call")
        with under_way(root):
            wait_until(lambda: metric(root, "consort_gather_queued") == 1, "the second in line")
            answer = ask(root)
            assert (answer.status, answer.problem_type()) == (503, "overloaded")
            assert answer.header("Retry-After") == "1"
            assert answer.seconds < 5
        assert metric(root, "consort_gather_inflight") == 1
    assert hits(root, "max_inflight") == 1
    assert len(leaf.requests) == 1
    wait_until(lambda: metric(root, "consort_gather_inflight") == 0, "an empty house")
    leaf.behave = answering(1)
    assert ask(root).body == b"[1]"


def test_the_line_is_first_come_first_served(gather):
    all_wait = threading.Event()
    leaf = gather.leaf(until(all_wait, answering(1)))
    root = gather.root([leaf], "--max-inflight", "1", "--queue-time", "50s", "--timeout", "60s",
                       "--max-connections", "10")
    clients = [Client(root.port) for _ in range(2)]
    for i, client in enumerate(clients):
        client.send(f"/{i}")
        wait_until(lambda n=i + 1: metric(root, "consort_gather_inflight") +
                   metric(root, "consort_gather_queued") == n, "its place")
    all_wait.set()
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert [seen.path for seen in leaf.requests] == ["/0", "/1"]


def test_max_inflight_per_replica(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--max-inflight-per-replica", "2", "--timeout", "20s")
    with under_way(root), under_way(root):
        wait_until(lambda: len(leaf.requests) == 2, "two calls")
        answer = ask(root, headers=[("grpc-timeout", "60m")])
        assert (answer.status, answer.problem_type()) == (503, "replica-limit")
        assert answer.header("Retry-After") == "1"
        assert answer.missing() == {"s0": ("unavailable", "connection_limit_reached")}
    assert hits(root, "max_inflight_per_replica") >= 1
    assert len(leaf.requests) == 2


def test_max_connections(gather):
    """Idle clients make room; when all are busy the next one is sent away."""
    leaf = gather.leaf(answering(1))
    root = gather.root([leaf], "--max-connections", "3", "--timeout", "20s")
    idle = [Client(root.port) for _ in range(3)]
    for client in idle:
        assert client.ask().status == 200
    assert ask(root).status == 200
    leaf.behave = black_hole
    busy = [Client(root.port) for _ in range(3)]
    for count, client in enumerate(busy, 1):
        client.send()
        wait_until(lambda n=count: len(leaf.open) == n and len(leaf.requests) == 4 + n, "a call")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (503, "overloaded")
    assert answer.header("Retry-After") == "1"
    for client in [*idle, *busy]:
        client.close()
    leaf.behave = answering(2)
    wait_until(lambda: metric(root, "consort_gather_inflight") == 0, "their end")
    assert ask(root).body == b"[2]"


# ---- how much ----

@pytest.mark.parametrize("framing", FRAMINGS)
def test_max_leaf_body(gather, framing):
    body = b'"' + b"x" * 998 + b'"'
    leaf = gather.leaf(FRAMINGS[framing](body))
    root = gather.root([leaf], "--max-leaf-body", "1000")
    assert ask(root).body == b"[" + body + b"]"
    leaf.behave = FRAMINGS[framing](body + b" ")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "leaf-body-too-large")
    assert answer.missing() == {"s0": ("failed", "http_response_body_size")}
    assert hits(root, "max_leaf_body") == 1


def test_a_leaf_that_is_too_large_costs_only_itself(gather):
    root = gather.root([gather.leaf(never_ending), gather.leaf(answering(1))], "--max-leaf-body",
                       "1MiB", "--min-coverage", "50", "--wait-factor", "1:1", "--timeout", "20s")
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[1]")
    assert answer.seconds < 10
    assert metric(root, "consort_gather_memory_bytes") == 0


def test_max_total_body_is_of_one_request(gather):
    body = b'"' + b"x" * 998 + b'"'
    shards = [gather.leaf(answering(body)) for _ in range(4)]
    root = gather.root(shards, "--max-total-body", "3000")
    assert ask(root, "/?shards=s0,s1,s2").status == 200
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "total-body-too-large")
    assert hits(root, "max_total_body") >= 1
    # It is no fault of the leaves: each is asked again.
    assert ask(root, "/?shards=s1,s2,s3").status == 200


def test_max_memory_is_of_all_requests_together(gather):
    """Three requests hold a part each and wait for a slow leaf; a fourth one finds no room."""
    body = b'"' + b"x" * 99_998 + b'"'
    quick, slow = gather.leaf(answering(body)), gather.leaf(black_hole)
    root = gather.root([quick, slow], "--max-memory", "350000", "--timeout", "20s")
    clients = [Client(root.port) for _ in range(3)]
    for count, client in enumerate(clients, 1):
        client.send()
        wait_until(lambda n=count: metric(root, "consort_gather_memory_bytes") >= n * 100_000,
                   "its part")
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (503, "memory-limit")
    assert answer.header("Retry-After") == "1"
    assert hits(root, "max_memory") >= 1
    for client in clients:
        client.close()
    wait_until(lambda: metric(root, "consort_gather_memory_bytes") == 0, "its release")
    slow.behave = answering(1)
    assert ask(root).body == b"[" + body + b",1]"


def test_memory_is_given_back_however_requests_end(gather):
    leaf, other = gather.leaf(answering(b'"' + b"x" * 100_000 + b'"')), gather.leaf(by_path)
    root = gather.root([leaf, other], "--timeout", "300ms")
    assert ask(root).status == 200
    assert ask(root, "/status/500").status == 502
    assert ask(root, "/sleep?ms=5000").status == 504
    with under_way(root, "/sleep?ms=5000"):
        wait_until(lambda: metric(root, "consort_gather_memory_bytes") > 0, "its part")
    wait_until(lambda: metric(root, "consort_gather_memory_bytes") == 0, "its release")


# ---- changing them ----

def test_limits_may_be_changed_by_a_reload(gather, tmp_path):
    shards = [gather.leaf(answering("x" * 2000)) for _ in range(2)]
    path = tmp_path / "root.json"
    urls = [leaf.url for leaf in shards]
    path.write_text(json.dumps({"leaf": urls}))
    root = gather.root([], "--config", str(path), "--watch-config=false")
    assert ask(root).status == 200
    for option, kind in [("max_total_body", "total-body-too-large"), ("max_memory", "memory-limit"),
                         ("max_fanout", "too-many-shards")]:
        value = 1 if option == "max_fanout" else 3000
        path.write_text(json.dumps({"leaf": urls, option: value}))
        assert root.get("/reload", "POST")[0] == 200
        assert ask(root).problem_type() == kind
    path.write_text(json.dumps({"leaf": urls}))
    assert root.get("/reload", "POST")[0] == 200
    assert ask(root).status == 200


# ---- memory ----

WIDE = ["--timeout", "20s", "--connect-timeout", "10s"]
needs_exact_memory = pytest.mark.skipif(is_sanitized(), reason="a sanitizer's memory is its own")


@pytest.mark.slow
@needs_exact_memory
@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_thousand_leaves_of_1_kib(gather, tmp_path, kind):
    many = gather.ending(ManyLeaves(1000, tmp_path, kind))
    root = gather.root(many.urls, *WIDE)
    for _ in range(3):
        answer = ask(root, "/small", host="root.test")
        assert answer.status == 200, answer.body[:300]
        assert answer.coverage() == {"total": 1000, "ok": 1000, "percent": 100.0}
        assert answer.body == b"[" + b",".join([many.SMALL.encode()] * 1000) + b"]"
    assert peak_bytes(root) <= 40 * MIB


@pytest.mark.slow
@needs_exact_memory
def test_the_best_of_a_thousand_leaves_of_64_kib(gather, tmp_path):
    many = gather.ending(ManyLeaves(1000, tmp_path, "unix"))
    assert 63 * 1024 <= len(many.BIG) <= 64 * 1024
    root = gather.root(many.urls, *WIDE, "--merge", "top-k:score:10")
    for _ in range(2):
        answer = ask(root, "/big")
        assert answer.status == 200, answer.body[:300]
        assert answer.coverage() == {"total": 1000, "ok": 1000, "percent": 100.0}
        best = max(hit["score"] for hit in json.loads(many.BIG))
        assert [hit["score"] for hit in answer.json()] == [best] * 10
    assert peak_bytes(root) <= 80 * MIB


@pytest.mark.slow
@needs_exact_memory
def test_memory_does_not_grow_with_requests(gather):
    root = gather.root(gather.leaves(4))
    with Client(root.port) as client:
        def some():
            for _ in range(700):
                assert client.ask(method="POST", body=b"x" * 2000).status == 200
            return root.rss_bytes()

        some()
        before = some()
        grown = some() - before
        assert grown <= MIB


@pytest.mark.slow
@needs_exact_memory
def test_a_root_that_waits_needs_little(gather):
    root = gather.root(gather.leaves(2))
    assert ask(root).status == 200
    assert root.rss_bytes() <= 12 * MIB


@pytest.mark.slow
def test_a_root_with_few_descriptors_says_so_and_lives(gather, tmp_path, monkeypatch):
    """Calls that find no descriptor fail; the root does not, and works again with less to do."""
    wrapper = tmp_path / "consort-with-few"
    wrapper.write_text(f"#!/bin/sh\nulimit -n 64\nexec '{servers.CONSORT}' \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(servers, "CONSORT", wrapper)
    many = gather.ending(ManyLeaves(200, tmp_path, "unix"))
    root = gather.root(many.urls, "--timeout", "3s")
    answer = ask(root, "/small")
    assert answer.status in (502, 503), answer.body[:300]
    assert ask(root, "/small?shards=s0,s1,s2").status == 200
    assert root.get("/livez")[0] == 200
    assert len(os.listdir(f"/proc/{root.pid}/fd")) <= 64
