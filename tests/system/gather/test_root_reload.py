"""Reloads of the configuration: whole or not at all, and no request notices."""
import json
import os
import signal

import pytest

from asking import Client, ask, metric, under_way
from support import servers
from support.leaves import after, answering, black_hole
from support.servers import wait_until
from support_load import load_on, replace, topology
from support_merge import children, coprocess, python

RELOADS = 20


class TwoConfigurations:
    """A file that says in turn `array` of one leaf and `sum` of two others."""

    def __init__(self, gather, tmp_path):
        self.zero, self.one, self.two = gather.leaves(3)
        self.path = tmp_path / "root.yaml"
        self.write(0)
        self.root = gather.root([], "--config", str(self.path), "--watch-config=false")

    def write(self, number):
        merge, urls = ("sum", [self.one, self.two]) if number % 2 else ("array", [self.zero])
        replace(self.path, f"merge: {merge}\nleaf:\n" + "".join(f"- {each.url}\n" for each in urls))

    def reload(self, number):
        """In turn by signal and by the admin interface."""
        self.write(number)
        if number % 4 < 2:
            status, text = self.root.get("/reload", "POST")
            assert status == 200, text
        else:
            self.root.send_signal(signal.SIGHUP)
        wait_until(lambda: len(topology(self.root)) == 1 + number % 2, "the reload")

    def reload_under_load(self, times=RELOADS):
        with load_on(self.root) as load:
            for number in range(1, times + 1):
                self.reload(number)
            load.wait_for_more()
        return load


def test_reloads_of_the_configuration_under_load_cost_no_request(gather, tmp_path):
    load = TwoConfigurations(gather, tmp_path).reload_under_load()
    assert load.lost == []
    assert {status for status, _ in load.bodies} == {200}
    assert {(200, b"[0]"), (200, b"3")} <= set(load.bodies)


def test_a_reload_swaps_leaves_and_routes_as_one(gather, tmp_path):
    """No request has the routes of one configuration and the leaves of the other."""
    load = TwoConfigurations(gather, tmp_path).reload_under_load(5 * RELOADS)
    assert set(load.bodies) == {(200, b"[0]"), (200, b"3")}


def config_of(path, leaves, **more):
    replace(path, json.dumps({"leaf": [leaf.url for leaf in leaves], **more}))


def reload(root):
    status, text = root.get("/reload", "POST")
    assert status == 200, text


@pytest.fixture
def path(tmp_path):
    return tmp_path / "root.json"


def reloading(gather, path, *options):
    return gather.root([], "--config", str(path), "--watch-config=false", *options)


def test_a_file_that_changes_is_taken_over_by_itself(gather, path):
    one, two = gather.leaves(2)
    config_of(path, [one])
    root = gather.root([], "--config", str(path))
    assert ask(root).body == b"[0]"
    config_of(path, [one, two], merge="sum")
    wait_until(lambda: ask(root).body == b"1", "the new configuration", 10)


def test_a_request_ends_with_the_merge_that_it_began_with(gather, path):
    slow = gather.leaf(after(200, answering(3)))
    config_of(path, [slow], merge="sum")
    root = reloading(gather, path)
    with under_way(root) as client:
        wait_until(lambda: slow.requests, "its call")
        config_of(path, [slow], merge="array")
        reload(root)
        assert client.answer().body == b"3"
    assert ask(root).body == b"[3]"


@pytest.mark.parametrize("carrier", ["merge_coprocess", "merge_exec", "merge_url"])
def test_a_merge_that_is_replaced_under_load_fails_nobody(gather, tmp_path, path, carrier):
    """Those who are with the old one have its answer; it is gone when the last one has left."""
    def merge(word):
        if carrier == "merge_coprocess":
            return python(tmp_path, coprocess(f"answer['body'] = '{word}'"), f"{word}.py")
        if carrier == "merge_exec":
            return f"echo -n {word}"
        return gather.leaf(answering(word.encode(), content_type="text/plain")).url

    leaf = gather.leaf(answering(1))
    words = {"old": merge("old"), "new": merge("new")}
    config_of(path, [leaf], **{carrier: words["old"]})
    root = reloading(gather, path, "--timeout", "10s")
    wait_until(lambda: ask(root).status == 200, "the merge")
    with load_on(root) as load:
        for number in range(4):
            word = "old" if number % 2 else "new"
            config_of(path, [leaf], **{carrier: words[word]})
            reload(root)
            load.wait_for_more(10)
    assert load.lost == []
    assert set(load.bodies) == {(200, b"old"), (200, b"new")}
    wait_until(lambda: len(children(root)) == (carrier == "merge_coprocess"), "the old ones' end")


def test_a_listener_that_moves_fails_nobody(gather, path, tmp_path):
    leaf = gather.leaf(after(100, answering(1)))
    first, second, socket = servers.free_port(), servers.free_port(), str(tmp_path / "root.sock")
    config_of(path, [leaf], listen=f"127.0.0.1:{first}")
    root = servers.Consort(["gather-root"], ["--config", str(path), "--watch-config=false"])
    gather.stack.callback(gather.start.end_proxy, root)
    with Client(first) as client:
        client.send()
        wait_until(lambda: leaf.requests, "its call")
        config_of(path, [leaf], listen=[f"127.0.0.1:{second}", f"unix:{socket}"])
        reload(root)
        assert ask(second).body == ask(socket).body == b"[1]"
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b"[1]")
        assert answer.header("Connection") == "close"
    wait_until(lambda: not servers.answers(first), "the old one's end")


def test_a_listener_that_cannot_be_had_changes_nothing(gather, path):
    leaf = gather.leaf(answering(1))
    first = servers.free_port()
    config_of(path, [leaf], listen=f"127.0.0.1:{first}")
    root = servers.Consort(["gather-root"], ["--config", str(path), "--watch-config=false"])
    gather.stack.callback(gather.start.end_proxy, root)
    config_of(path, [leaf], listen=f"127.0.0.1:{leaf.port}", merge="sum")
    status, text = root.get("/reload", "POST")
    assert status >= 400
    assert str(leaf.port) in text
    assert ask(first).body == b"[1]"


def test_what_cannot_be_reloaded_is_told(gather, path):
    leaf = gather.leaf(answering(1))
    config_of(path, [leaf], pool_idle_max=5)
    root = reloading(gather, path)
    config_of(path, [leaf], pool_idle_max=6)
    _, text = root.get("/reload", "POST")
    assert "pool_idle_max" in text + root.output()
    assert ask(root).body == b"[1]"


def test_routes_keep_what_they_have_counted(gather, path):
    leaf = gather.leaf(answering(1))
    routes = {"a": {"match": "/a"}, "b": {"match": "/b"}}
    config_of(path, [leaf], routes=routes)
    root = reloading(gather, path)
    for _ in range(5):
        assert ask(root, "/a").status == 200
    routes["b"]["merge"] = "sum"
    routes["c"] = {"match": "/c"}
    config_of(path, [leaf], routes=routes)
    reload(root)
    assert ask(root, "/a").body == b"[1]"
    assert ask(root, "/b").body == b"1"
    assert ask(root, "/c").status == 200
    assert metric(root, "consort_gather_requests_total", route="a", code="2xx") == 6
    assert leaf.connections == 1
    del routes["a"]
    config_of(path, [leaf], routes=routes)
    reload(root)
    assert ask(root, "/a").status == 404


def test_from_leaves_to_a_file_and_back(gather, path, tmp_path):
    one, two = gather.leaves(2)
    shards = tmp_path / "shards.json"
    shards.write_text(json.dumps({"shards": [{"replicas": [two.url]}]}))
    config_of(path, [one])
    root = reloading(gather, path)
    for _ in range(2):
        replace(path, json.dumps({"topology": str(shards)}))
        reload(root)
        wait_until(lambda: topology(root) == {"s0": [two.url]}, "the file's topology")
        assert ask(root).body == b"[1]"
        config_of(path, [one])
        reload(root)
        wait_until(lambda: topology(root) == {"s0": [one.url]}, "the flags' topology")
        assert ask(root).body == b"[0]"
    # Nobody looks at the file any more.
    replace(shards, "{")
    assert root.get("/readyz")[0] == 200
    assert metric(root, "consort_gather_topology_failures_total") == 0


def test_a_source_that_is_not_there_leaves_the_leaves_as_they_are(gather, path, tmp_path):
    one = gather.leaf(answering(1))
    config_of(path, [one])
    root = reloading(gather, path)
    replace(path, json.dumps({"topology": str(tmp_path / "none.json")}))
    reload(root)
    wait_until(lambda: "none.json" in root.get("/health")[1], "the reason")
    assert ask(root).body == b"[1]"
    assert root.get("/readyz")[0] == 200


def test_reloads_do_not_pile_up_memory_or_descriptors(gather, path):
    sets = [gather.leaves(2), gather.leaves(2)]
    config_of(path, sets[0])
    root = reloading(gather, path)

    def some():
        for number in range(20):
            config_of(path, sets[number % 2], merge="array" if number % 3 else "sum")
            reload(root)
            assert ask(root).status == 200
        return len(os.listdir(f"/proc/{root.pid}/fd")), root.rss_bytes()

    some()
    descriptors, rss = some()
    for _ in range(3):
        after_more = some()
    assert after_more[0] <= descriptors + 2
    if not servers.is_sanitized():
        assert after_more[1] <= rss + (1 << 20)


def test_a_reload_during_a_drain_is_harmless(gather, path):
    leaf = gather.leaf(black_hole)
    config_of(path, [leaf])
    root = reloading(gather, path, "--timeout", "400ms")
    with under_way(root) as client:
        wait_until(lambda: leaf.requests, "its call")
        root.send_signal(signal.SIGTERM)
        wait_until(lambda: "DRAINING" in root.output(), "the drain")
        config_of(path, gather.leaves(2), merge="sum")
        root.get("/reload", "POST")
        root.send_signal(signal.SIGHUP)
        assert client.answer().status == 504
    assert root.wait() == 0
