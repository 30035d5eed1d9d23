"""Leaves that lie, hang or break off: each has its answer, in time, and hurts no other request."""
import pytest

from asking import LATE_S, Client, ask, best_of
from support import leaves, servers
from support.leaves import (Leaf, LeafProcess, Refusing, Unreachable, after, answering, black_hole,
                            closing, dripping, dripping_body, failing, gzipped, huge_headers,
                            never_ending, resetting, saying)
from support.servers import wait_until

TIMEOUT_S = 0.3
OPTIONS = ["--timeout", "300ms"]
HEAD = b"HTTP/1.1 200 OK\r\n"
FAILED, LATE = "failed", "timeout"

# name -> (leaf, what becomes of it, why)
FAULTS = {
    "refusing": (Refusing, FAILED, "connection_refused"),
    "unreachable": (Unreachable, LATE, "connection_timeout"),
    "black-holed": (black_hole, LATE, "http_response_timeout"),
    "dripping": (dripping, LATE, "http_response_timeout"),
    "dripping its body": (dripping_body, LATE, "http_response_timeout"),
    "never-ending": (never_ending, FAILED, "http_response_body_size"),
    "closing": (closing, FAILED, "connection_terminated"),
    "resetting": (resetting, FAILED, "connection_terminated"),
    "too short": (saying(HEAD + b"Content-Length: 10\r\n\r\n[1]"), FAILED,
                  "http_response_incomplete"),
    "chunks that end early": (saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\n[1]\r\n"),
                              FAILED, "http_response_incomplete"),
    "half a head": (saying(HEAD + b"Content-Le"), FAILED, "http_response_incomplete"),
    "too long": (saying(HEAD + b"Content-Length: 2\r\n\r\n[1]", False), FAILED, None),
    "no JSON": (answering(b"[1,]"), FAILED, None),
    "two values": (answering(b"[1][2]"), FAILED, None),
    "not UTF-8": (answering(b'["\xff"]'), FAILED, None),
    "too deep": (answering(b"[" * 100_000 + b"]" * 100_000), FAILED, None),
    "gzip": (gzipped(b"[1]"), FAILED, "http_response_content_coding"),
    "10 MB of headers": (huge_headers(10 << 20), FAILED, "http_response_header_section_size"),
    "not HTTP": (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), FAILED, "http_protocol_error"),
    "no HTTP version": (saying(b"HTTP/3.7 200 OK\r\n\r\n[]"), FAILED, "http_protocol_error"),
    "two lengths": (saying(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[] "), FAILED,
                    "http_protocol_error"),
    "length and chunks": (saying(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 b"2\r\n[]\r\n0\r\n\r\n"), FAILED, "http_protocol_error"),
    "a negative length": (saying(HEAD + b"Content-Length: -2\r\n\r\n[]"), FAILED,
                          "http_protocol_error"),
    "switching protocols": (saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
                            FAILED, "http_protocol_error"),
    "status 500": (failing(500), FAILED, None),
}


@pytest.mark.parametrize("name", FAULTS, ids=lambda name: name.replace(" ", "_"))
def test_a_bad_leaf_has_its_answer_in_time_and_costs_only_itself(gather, name):
    bad, outcome, error = FAULTS[name]
    victim = gather.ending(bad() if isinstance(bad, type) else Leaf(bad))
    good = gather.leaves(2)
    root = gather.root([good[0], victim, good[1]], *OPTIONS)

    def once():
        # A write waits for all leaves: what it says of each is exact.
        answer = ask(root, method="POST", body=b"{}")
        assert answer.status == (504 if outcome == LATE else 502)
        assert answer.missing() == {"s1": (outcome, error)}
        assert answer.coverage() == {"total": 3, "ok": 2, outcome: 1, "percent": 66.667}
        assert ('next-hop="s1"' in answer.header("Proxy-Status")) and \
            (error is None or f"error={error};" in answer.header("Proxy-Status"))
        return answer

    best_of(3, once, within=TIMEOUT_S + LATE_S)
    partial = ask(root, headers=[("Prefer", "handling=lenient")])
    assert (partial.status, partial.body) == (200, b"[0,1]")
    assert partial.seconds <= TIMEOUT_S + 0.5
    if isinstance(victim, Leaf):
        # The connection that was spoilt is not used again.
        victim.behave = answering("well")
        assert ask(root).body == b'[0,"well",1]'
        assert ask(root).body == b'[0,"well",1]'


def test_a_stopped_process_is_a_late_leaf_and_is_used_again_when_it_goes_on(gather):
    victim = gather.start.process(LeafProcess())
    root = gather.root([gather.leaf(), victim], *OPTIONS)
    assert ask(root, "/x").json() == [{}, {"target": "/x"}]
    victim.pause()

    def once():
        answer = ask(root, "/x")
        assert answer.status == 504
        assert answer.missing() == {"s1": ("timeout", "http_response_timeout")}
        return answer

    best_of(3, once, within=TIMEOUT_S + LATE_S)
    victim.resume()
    # No answer to an earlier request is taken for one to this.
    assert ask(root, "/y").json() == [{}, {"target": "/y"}]


def test_a_killed_process_is_refused_and_is_used_again_when_it_is_back(gather):
    victim = gather.start.process(LeafProcess())
    root = gather.root([gather.leaf(), victim], *OPTIONS)
    assert ask(root).status == 200
    victim.kill()
    for _ in range(3):
        answer = ask(root)
        assert answer.status == 502
        assert answer.seconds < TIMEOUT_S
    gather.start.process(LeafProcess(victim.port))
    wait_until(lambda: ask(root).status == 200, "its being used")


@pytest.mark.alone
def test_all_leaves_may_be_bad_at_once(gather):
    shards = [gather.ending(bad() if isinstance(bad, type) else Leaf(bad))
              for bad, _, _ in FAULTS.values()]
    root = gather.root(shards, *OPTIONS)

    def once():
        answer = ask(root, method="POST", body=b"{}")
        assert answer.status == 504
        assert answer.coverage()["total"] == len(FAULTS)
        assert list(answer.missing().values()) == [(how, why) for _, how, why in FAULTS.values()]
        return answer

    best_of(3, once, within=TIMEOUT_S + LATE_S)


def test_bytes_behind_an_answer_do_not_become_the_next_one(gather):
    liar = gather.leaf(saying(HEAD + b"Content-Length: 3\r\n\r\n[1]"
                              + HEAD + b"Content-Length: 6\r\n\r\n\"evil\"", False))
    root = gather.root([liar])
    for _ in range(5):
        assert ask(root).body == b"[[1]]"
    assert liar.connections == 5


def test_an_answer_without_a_length_ends_with_its_connection(gather):
    leaf = gather.leaf(saying(HEAD + b"Content-Type: application/json\r\n\r\n[1,2]"))
    root = gather.root([leaf])
    for _ in range(3):
        assert ask(root).body == b"[[1,2]]"
    assert leaf.connections == 3


def test_10_mb_of_headers_from_a_client(gather):
    leaf = gather.leaf()
    root = gather.root([leaf])
    filler = [(f"X-{i}", "x" * 4096) for i in range((10 << 20) // 4096)]
    answer = ask(root, headers=filler)
    assert answer.status == 431
    assert answer.problem_type() == "header-too-large"
    assert ask(root, headers=filler[:7]).status == 200
    assert len(leaf.requests) == 1
    before = root.rss_bytes()
    with Client(root.port) as one, Client(root.port) as two:
        for client in (one, two):
            assert client.ask(headers=filler).status == 431
        assert root.rss_bytes() < before + (4 << 20) or servers.is_sanitized()


@pytest.mark.parametrize("raw, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rZ: 1\r\n\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
])
def test_a_malformed_request_reaches_no_leaf(gather, raw, status):
    leaf = gather.leaf()
    root = gather.root([leaf])
    got = servers.exchange(root.port, raw, b"}")
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert b"\r\nContent-Type: application/problem+json\r\n" in got
    assert leaf.requests == []


def test_a_root_whose_leaves_all_hang_still_serves_its_admin_and_others(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--timeout", "60s")
    clients = [Client(root.port) for _ in range(50)]
    for client in clients:
        client.send()
    wait_until(lambda: len(leaf.requests) == 50, "all calls")
    assert root.get("/livez")[0] == 200
    leaf.behave = answering(1)
    assert ask(root).body == b"[1]"
    for client in clients:
        client.close()
    wait_until(lambda: all(seen.gone_at for seen in leaf.requests[:50]), "their being cancelled")


def test_a_slow_leaf_does_not_slow_the_others_down(gather):
    """Many requests at a time, and one leaf is late in some of them."""
    slow = gather.leaf(leaves.in_turn(*[after(250, answering("late"))] * 5, answering("soon")))
    root = gather.root([gather.leaf(), slow], "--timeout", "5s")
    late = [Client(root.port) for _ in range(5)]
    for client in late:
        client.send()
    wait_until(lambda: len(slow.requests) == 5, "the late ones")
    with Client(root.port) as client:
        assert max(client.ask().seconds for _ in range(20)) < 0.2
    for client in late:
        assert client.answer().body == b'[{},"late"]'
        client.close()
