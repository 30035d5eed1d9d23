"""Unix sockets: leaves, merges and the root's own front."""
import json
import os
import socket
import stat

import pytest

from asking import Client, ask, metric, replicas
from support import servers
from support.leaves import answering, black_hole
from support.servers import wait_until


@pytest.fixture
def unix_leaves(gather, tmp_path):
    return [gather.leaf(answering(i), unix=str(tmp_path / f"leaf-{i}.sock")) for i in range(3)]


def only_unix(gather, shards, address, *options):
    """A root without a TCP port for clients."""
    root = servers.Consort(["gather-root"], ["--listen", address], [
        word for leaf in shards for word in ("--leaf", leaf.url)] + list(options))
    gather.stack.callback(gather.start.end_proxy, root)
    return root


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_leaves_and_the_root_without_any_port(gather, unix_leaves, tmp_path, kind):
    place = str(tmp_path / "root.sock") if kind == "path" else f"@consort-test-{os.getpid()}"
    root = only_unix(gather, unix_leaves, f"unix:{place}")
    with Client(place) as client:
        for _ in range(5):
            answer = client.ask("/x?y=1", method="POST", body=b"{}")
            assert (answer.status, answer.body) == (200, b"[0,1,2]")
    assert [leaf.connections for leaf in unix_leaves] == [1, 1, 1]
    assert unix_leaves[0].requests[0].header("Host") == "localhost"
    assert list(replicas(root)) == [leaf.url for leaf in unix_leaves]


def test_tcp_and_unix_at_once(gather, unix_leaves, tmp_path):
    place = str(tmp_path / "root.sock")
    root = gather.root(unix_leaves, "--listen", f"unix:{place}")
    assert ask(root).body == ask(place).body == b"[0,1,2]"


def test_a_range_of_sockets(gather, unix_leaves, tmp_path):
    root = gather.root([f"unix:{tmp_path}/leaf-{{2..0}}.sock"])
    assert ask(root).body == b"[2,1,0]"


def test_replicas_of_both_kinds(gather, tmp_path):
    path = tmp_path / "gone.sock"
    leaf = gather.leaf(answering(1))
    root = gather.root([[f"unix:{path}", leaf]])
    for _ in range(4):
        assert ask(root).body == b"[1]"
    late = gather.leaf(answering(2), unix=str(path))
    wait_until(lambda: ask(root).body == b"[2]" or late.requests, "its first call", 10)


def test_a_leaf_whose_socket_is_not_there(gather, tmp_path):
    missing = f"unix:{tmp_path}/none.sock"
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(str(stale))
    answer = ask(gather.root([missing, f"unix:{stale}"]), method="POST", body=b"")
    assert answer.status == 502
    assert answer.missing() == {"s0": ("failed", "connection_refused"),
                                "s1": ("failed", "connection_refused")}
    assert "none.sock" in answer.problem()["leaves"][0]["details"]


def test_a_socket_that_an_ended_root_left_is_replaced(gather, unix_leaves, tmp_path):
    place = str(tmp_path / "root.sock")
    first = only_unix(gather, unix_leaves, f"unix:{place}")
    first.kill()
    assert stat.S_ISSOCK(os.stat(place).st_mode)
    second = only_unix(gather, unix_leaves, f"unix:{place}")
    assert ask(place).body == b"[0,1,2]"
    assert second.stop() == 0
    assert not os.path.exists(place)


@pytest.mark.parametrize("what", ["a file", "a running root"])
def test_what_is_in_use_is_not_replaced(gather, unix_leaves, tmp_path, what):
    place = tmp_path / "root.sock"
    if what == "a file":
        place.write_text("precious")
    else:
        only_unix(gather, unix_leaves, f"unix:{place}")
    second = servers.Consort(["gather-root"], ["--listen", f"unix:{place}"],
                             ["--leaf", unix_leaves[0].url], wait=False)
    gather.stack.callback(second.kill)
    assert second.wait() not in (0, 70)
    assert str(place) in second.output()
    if what == "a file":
        assert place.read_text() == "precious"
    else:
        assert ask(str(place)).body == b"[0,1,2]"


def test_a_client_that_leaves_ends_its_calls(gather, tmp_path):
    leaf = gather.leaf(black_hole, unix=str(tmp_path / "leaf.sock"))
    place = str(tmp_path / "root.sock")
    root = only_unix(gather, [leaf], f"unix:{place}", "--timeout", "60s")
    with Client(place) as client:
        client.send()
        wait_until(lambda: leaf.requests, "the call")
    wait_until(lambda: leaf.requests[0].gone_at, "its end", 10)
    wait_until(lambda: metric(root, "consort_gather_clients_gone_total") == 1, "the count")


def test_who_comes_by_a_socket_may_ask_for_an_explanation(gather, unix_leaves, tmp_path):
    place = str(tmp_path / "root.sock")
    only_unix(gather, unix_leaves, f"unix:{place}")
    document = ask(place, headers=[("Consort-Explain", "1")]).json()
    assert document["answer"]["body"] == [0, 1, 2]
    assert document["leaves"][2]["attempts"][0]["replica"] == unix_leaves[2].url


def test_a_merge_on_a_socket_of_a_root_on_a_socket(gather, unix_leaves, tmp_path):
    """All of it without a port; the merge is what a person would write."""
    async def add(request):
        request.send(sum(part["body"] for part in json.loads(request.body)["parts"]))

    merge = gather.leaf(add, unix=str(tmp_path / "merge.sock"))
    place = str(tmp_path / "root.sock")
    only_unix(gather, unix_leaves, f"unix:{place}", "--merge-url", merge.url)
    for _ in range(3):
        assert ask(place).body == b"3"
    assert merge.connections == 1


def test_a_root_is_a_leaf_by_its_socket(gather, unix_leaves, tmp_path):
    place = str(tmp_path / "child.sock")
    only_unix(gather, unix_leaves, f"unix:{place}")
    parent = gather.root([f"unix:{place}"])
    answer = ask(parent)
    assert answer.body == b"[[0,1,2]]"
    assert answer.coverage() == {"total": 3, "ok": 3, "percent": 100.0}
