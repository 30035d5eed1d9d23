"""Connections to leaves: kept, reused, and nobody notices when a leaf closes one."""
import time

import pytest

from asking import Client, ask, metric, replicas
from support import leaves, servers
from support.leaves import answering, black_hole, closing, in_turn, resetting
from support.servers import wait_until

REQUESTS = 1200


def test_the_steady_state_opens_no_connection(gather):
    all_leaves = gather.leaves(3)
    root = gather.root(all_leaves)
    with Client(root.port) as client:
        for _ in range(REQUESTS):
            assert client.ask().status == 200
    assert [leaf.connections for leaf in all_leaves] == [1, 1, 1]
    assert [len(leaf.requests) for leaf in all_leaves] == [REQUESTS] * 3
    for replica in replicas(root).values():
        assert replica["connections"] == {"idle": 1, "busy": 0, "opened": 1, "failed": 0}


def test_nginx_is_asked_on_as_many_connections_as_there_are_clients(gather):
    nginx = gather.ending(leaves.Nginx(options="keepalive_requests 100000;"))
    root = gather.root([nginx])
    clients = [Client(root.port) for _ in range(8)]
    for client in clients:
        client.send()
    used = set()
    for _ in range(REQUESTS // 8):
        for client in clients:
            [seen] = client.answer().json()
            used.add(seen["connection"])
            client.send()
    for client in clients:
        client.answer()
        client.close()
    assert 1 <= len(used) <= 8
    assert replicas(root)[nginx.url]["connections"]["opened"] == len(used)


def test_the_newest_idle_connection_is_used_first(gather):
    leaf = gather.leaf(leaves.by_path)
    root = gather.root([leaf])
    clients = [Client(root.port) for _ in range(4)]
    for client in clients:
        client.send("/sleep?ms=50")
    for client in clients:
        assert client.answer().status == 200
        client.close()
    opened = leaf.connections
    assert opened == 4
    for _ in range(20):
        ask(root)
    assert leaf.connections == opened
    assert len({seen.connection for seen in leaf.requests[4:]}) == 1


@pytest.mark.parametrize("idle", ["1s", "15ms"])
def test_a_leaf_that_closes_idle_connections_costs_no_request(gather, idle):
    """nginx closes after `idle`, and requests come just then: a race that clients never see."""
    nginx = gather.ending(leaves.Nginx(options=f"keepalive_timeout {idle};"))
    root = gather.root([nginx, nginx])
    idle_s = 1.0 if idle == "1s" else 0.015
    clients = [Client(root.port) for _ in range(10)]
    used = set()
    for i in range(2 if idle == "1s" else 60):
        for client in clients:
            client.send()
        for client in clients:
            answer = client.answer()
            assert answer.status == 200, answer.body
            used.update(seen["connection"] for seen in answer.json())
        # The clock is what this is about: some come before the close, some after it.
        time.sleep(max(idle_s + (i % 21 - 10) * 0.0005, 0))
    for client in clients:
        client.close()
    assert len(used) > 20 if idle == "15ms" else len(used) >= 2
    assert metric(root, "consort_gather_requests_total", code="5xx") == 0


@pytest.mark.parametrize("end", [closing, resetting])
def test_a_kept_connection_that_ends_without_an_answer_is_replaced_silently(gather, end):
    leaf = gather.leaf(in_turn(answering(1), end, answering(2)))
    root = gather.root([leaf])
    assert ask(root).body == b"[1]"
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"[2]")
    assert leaf.connections == 2
    # It was no failover: the leaf sees the same attempt again.
    assert [seen.header("Consort-Attempt") for seen in leaf.requests] == ["1", "1", "1"]
    assert metric(root, "consort_gather_retries_total", result="sent") == 0


def test_a_new_connection_that_ends_without_an_answer_is_a_failure(gather):
    leaf = gather.leaf(in_turn(closing, answering(2)))
    root = gather.root([leaf])
    assert ask(root).missing() == {"s0": ("failed", "connection_terminated")}
    assert len(leaf.requests) == 1


def test_it_is_replaced_once_and_not_for_ever(gather):
    leaf = gather.leaf(in_turn(answering(1), closing))
    root = gather.root([leaf])
    assert ask(root).status == 200
    assert ask(root).status == 502
    assert len(leaf.requests) == 3


def test_a_post_that_may_have_arrived_is_not_sent_again(gather):
    leaf = gather.leaf(in_turn(answering(1), closing, answering(2)))
    root = gather.root([leaf])
    assert ask(root, method="POST", body=b"x").status == 200
    answer = ask(root, method="POST", body=b"x")
    assert answer.missing() == {"s0": ("failed", "connection_terminated")}
    assert len(leaf.requests) == 2


def test_connection_close_and_http_1_0_are_obeyed(gather):
    leaf = gather.leaf(answering(1, headers=[("Connection", "close")]))
    old = gather.leaf(leaves.saying(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", False))
    root = gather.root([leaf, old])
    for _ in range(3):
        assert ask(root).body == b"[1,1]"
    assert (leaf.connections, old.connections) == (3, 3)


def test_idle_connections_end_in_time(gather):
    leaf = gather.leaf()
    hinting = gather.leaf(answering(1, headers=[("Keep-Alive", "timeout=1")]))
    root = gather.root([leaf, hinting], "--pool-idle-timeout", "300ms")
    assert ask(root).status == 200
    wait_until(lambda: not leaf.open and not hinting.open, "their end", 10)
    assert ask(root).status == 200


def test_no_more_connections_are_kept_than_may_be(gather):
    leaf = gather.leaf(leaves.by_path)
    root = gather.root([leaf], "--pool-idle-max", "2")
    clients = [Client(root.port) for _ in range(6)]
    for client in clients:
        client.send("/sleep?ms=50")
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert leaf.connections == 6
    wait_until(lambda: len(leaf.open) == 2, "the others' end")


def test_more_calls_than_a_replica_may_have_wait_in_line(gather):
    leaf = gather.leaf(leaves.by_path)
    root = gather.root([leaf], "--max-inflight-per-replica", "2", "--timeout", "5s")
    clients = [Client(root.port) for _ in range(8)]
    for client in clients:
        client.send("/sleep?ms=20")
    for client in clients:
        assert client.answer().status == 200
        client.close()
    assert leaf.connections == 2


def test_who_waits_in_line_in_vain_is_refused(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--max-inflight-per-replica", "1", "--timeout", "500ms")
    first, second = Client(root.port), Client(root.port)
    first.send()
    wait_until(lambda: leaf.requests, "the first one's call")
    answer = second.ask(headers=[("grpc-timeout", "100m")])
    assert (answer.status, answer.problem_type()) == (503, "replica-limit")
    assert answer.header("Retry-After")
    assert first.answer().status == 504
    assert len(leaf.requests) == 1
    first.close()
    second.close()


def test_400_clients_at_once(gather):
    """Each gets its own answer, whichever connection it came over."""
    all_leaves = gather.leaves(2, leaves.by_path)
    root = gather.root(all_leaves, "--timeout", "10s")
    clients = [servers.connect(root.port) for _ in range(400)]
    for i, client in enumerate(clients):
        client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i)
    for i, client in enumerate(clients):
        data = b""
        while not data.endswith(b"}]"):
            more = client.recv(65536)
            assert more, data
            data += more
        assert data.endswith(b'[{"target": "/%d"},{"target": "/%d"}]' % (i, i))
        client.close()
    assert all(leaf.connections <= 64 for leaf in all_leaves)
