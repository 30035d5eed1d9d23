"""Where the leaves are: flags, a watched file, DNS; and changes of it that no request notices."""
import json
import os
import shutil

import pytest

from asking import ask, metric, replicas, under_way
from support import servers
from support.leaves import Nginx, after, answering, failing
from support.servers import Process, wait_until
from support_dns import Dns, LeafAt, loopback_address, needs_dns
from support_load import load_on, replace, topology

RELOADS = 20


def file_of(*shards, epoch=None):
    """shards: lists of leaves, the replicas of each."""
    document = {"shards": [{"replicas": [leaf.url for leaf in shard]} for shard in shards]}
    if epoch is not None:
        document["epoch"] = epoch
    return json.dumps(document)


# ---- flags ----

def test_a_range_of_ports_is_a_shard_for_each(gather):
    first = servers.free_port(3)
    all_leaves = [gather.leaf(answering(i), port=first + i) for i in range(3)]
    root = gather.root([f"http://127.0.0.1:{{{first}..{first + 2}}}"])
    assert ask(root).body == b"[0,1,2]"
    assert topology(root) == {f"s{i}": [leaf.url] for i, leaf in enumerate(all_leaves)}


def test_a_range_may_run_down_and_lists_may_stand_beside_it(gather):
    first = servers.free_port(2)
    others = gather.leaves(2)
    for i in range(2):
        gather.leaf(answering(10 + i), port=first + i)
    ports = ",".join(str(leaf.port) for leaf in others)
    root = gather.root([f"http://127.0.0.1:{{{first + 1}..{first}}}",
                        f"http://127.0.0.1:{{{ports}}}"])
    assert ask(root).body == b"[11,10,0,1]"


def test_ranges_of_replicas_go_in_step(gather):
    first, second = servers.free_port(2), servers.free_port(2)
    kept = [gather.leaf(answering(i), port=first + i) for i in range(2)]
    root = gather.root([f"http://127.0.0.1:{{{first}..{first + 1}}}|"
                        f"http://127.0.0.1:{{{second}..{second + 1}}}"])
    assert topology(root) == {
        f"s{i}": [kept[i].url, f"http://127.0.0.1:{second + i}"] for i in range(2)}
    # Of each shard one replica is not there, and the other one answers.
    for _ in range(5):
        assert ask(root).body == b"[0,1]"


def test_shards_may_have_names(gather):
    first = servers.free_port(2)
    for i in range(2):
        gather.leaf(answering(i), port=first + i)
    last = gather.leaf(answering(2))
    root = gather.root([f"east-{{0..1}}=http://127.0.0.1:{{{first}..{first + 1}}}", last],
                       "--merge", "object")
    assert ask(root).json() == {"east-0": 0, "east-1": 1, "s2": 2}
    assert last.requests[0].header("Consort-Shard") == "s2"
    assert last.requests[0].header("Consort-Shards") == "3"


# ---- a file ----

def test_a_yaml_file_with_everything_in_it(gather, tmp_path):
    one, two, three = gather.leaf(answering(1)), gather.leaf(answering(2)), gather.leaf()
    path = tmp_path / "shards.yaml"
    path.write_text(f"""
epoch: 7
shards:
- id: old          # the one with most of it
  weight: 1000
  range: {{ts: [0, 999]}}
  tags: {{zone: a}}
  replicas:
  - {one.url}
- id: new
  range: {{ts: [1000, null]}}
  tags: {{zone: b}}
  replicas:
  - {{url: "{two.url}", weight: 2, zone: b}}
  - {{url: "{three.url}", priority: 1}}
""")
    root = gather.root([], "--topology", str(path))
    assert ask(root).body == b"[1,2]"
    document = json.loads(root.get("/topology")[1])
    assert (document["epoch"], document["source"]) == (7, f"file:{path}")
    assert [(shard["id"], shard["weight"]) for shard in document["shards"]] == [("old", 1000),
                                                                               ("new", 1)]
    seen = replicas(root)
    assert (seen[two.url]["weight"], seen[two.url]["zone"]) == (2, "b")
    assert seen[three.url]["priority"] == 1
    assert metric(root, "consort_gather_topology_epoch") == 7
    assert metric(root, "consort_gather_shards") == 2


def test_replicas_may_say_which_partition_they_hold(gather, tmp_path):
    one, two, other = gather.leaf(answering(1)), gather.leaf(answering(2)), gather.leaf()
    path = tmp_path / "shards.json"
    path.write_text(json.dumps({"replicas": [{"url": two.url, "tag": "1/2"},
                                             {"url": one.url, "tag": "0/2"},
                                             {"url": other.url, "tag": "0/2", "priority": 1}]}))
    root = gather.root([], "--topology", str(path))
    assert topology(root) == {"s0": [one.url, other.url], "s1": [two.url]}
    assert ask(root).body == b"[1,2]"


@pytest.mark.parametrize("how", ["renamed", "written_in_place"])
def test_a_changed_file_is_taken_over_at_once(gather, tmp_path, how):
    one, two = gather.leaves(2)
    path = tmp_path / "shards.json"
    path.write_text(file_of([one]))
    root = gather.root([], "--topology", str(path))
    assert ask(root).body == b"[0]"
    epoch = metric(root, "consort_gather_topology_epoch")
    text = file_of([one], [two])
    if how == "renamed":
        replace(path, text)
    else:
        path.write_text(text)
    wait_until(lambda: ask(root).body == b"[0,1]", "the new topology", 10)
    assert metric(root, "consort_gather_topology_epoch") == epoch + 1
    # The connection to the leaf that stayed has stayed as well.
    assert one.connections == 1


def test_a_config_map_is_followed_through_its_data_link(gather, tmp_path):
    """kubelet writes a new directory and then swaps the link ..data; no file changes."""
    one, two = gather.leaves(2)
    (tmp_path / "..1").mkdir()
    (tmp_path / "..1" / "shards.json").write_text(file_of([one]))
    os.symlink("..1", tmp_path / "..data")
    os.symlink("..data/shards.json", tmp_path / "shards.json")
    root = gather.root([], "--topology", str(tmp_path / "shards.json"))
    assert ask(root).body == b"[0]"
    (tmp_path / "..2").mkdir()
    (tmp_path / "..2" / "shards.json").write_text(file_of([two], [one]))
    os.symlink("..2", tmp_path / "..data_tmp")
    os.rename(tmp_path / "..data_tmp", tmp_path / "..data")
    (tmp_path / "..1" / "shards.json").unlink()
    (tmp_path / "..1").rmdir()
    wait_until(lambda: ask(root).body == b"[1,0]", "the new topology", 10)


def test_a_file_that_is_wrong_from_the_start_is_told_until_it_is_right(gather, tmp_path):
    path = tmp_path / "shards.yaml"
    path.write_text("shards:\n- id: a\n  replica: [http://a:80]\n")
    root = gather.root([], "--topology", str(path), wait=False)
    root.wait_health(f"{path}:3:3")
    assert root.get("/readyz")[0] == 503
    assert 'did you mean \\"replicas\\"?' in root.get("/health")[1]
    answer = ask(root)
    assert (answer.status, answer.header("Retry-After")) == (503, "1")
    replace(path, file_of(gather.leaves(1)))
    root.wait_ready()
    assert ask(root).body == b"[0]"


def test_a_file_may_come_later(gather, tmp_path):
    path = tmp_path / "shards.json"
    root = gather.root([], "--topology", str(path), wait=False)
    root.wait_health(str(path))
    assert root.get("/readyz")[0] == 503
    path.write_text(file_of(gather.leaves(1)))
    root.wait_ready()
    assert ask(root).body == b"[0]"


def test_the_last_good_topology_outlasts_a_bad_file(gather, tmp_path):
    one, two = gather.leaves(2)
    path = tmp_path / "shards.json"
    path.write_text(file_of([one]))
    root = gather.root([], "--topology", str(path))
    for number, bad in enumerate(['{"shards": [', '{"shards": []}',
                                  '{"shards": [{"id": "a", "replicas": ["ftp://a"]}]}'], 1):
        replace(path, bad)
        wait_until(lambda n=number: metric(root, "consort_gather_topology_failures_total") == n,
                   "its refusal", 3)
        assert ask(root).body == b"[0]"
        assert root.get("/readyz")[0] == 200
    assert f"{path}:1:" in root.output()
    replace(path, file_of([two]))
    wait_until(lambda: ask(root).body == b"[1]", "the good one", 10)
    wait_until(lambda: "last good" not in root.get("/health")[1], "the end of the warning")


# ---- changes that nobody notices ----

def test_a_topology_that_changes_under_load_costs_no_request(gather, tmp_path):
    """Each answer is wholly of one epoch: [0] of one shard or [1,2] of two, never a mixture."""
    zero, one, two = gather.leaves(3)
    path = tmp_path / "shards.json"
    path.write_text(file_of([zero]))
    root = gather.root([], "--topology", str(path))
    with load_on(root) as load:
        for number in range(1, RELOADS + 1):
            changes = metric(root, "consort_gather_topology_changes_total")
            replace(path, file_of([one], [two]) if number % 2 else file_of([zero]))
            wait_until(lambda c=changes:
                       metric(root, "consort_gather_topology_changes_total") > c, "the change")
        load.wait_for_more()
    assert load.lost == []
    assert set(load.bodies) == {(200, b"[0]"), (200, b"[1,2]")}
    assert metric(root, "consort_gather_requests_total", code="5xx") == 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_a_topology_that_changes_under_full_load_costs_no_request(gather, tmp_path):
    """As fast as wrk and nginx can go, with another set of leaves about every 100 ms."""
    nginx = [gather.ending(Nginx(options="keepalive_requests 1000000;")) for _ in range(3)]
    path = tmp_path / "shards.json"
    path.write_text(file_of([nginx[0]], [nginx[1]]))
    root = gather.root([], "--topology", str(path), "--timeout", "5s")
    wrk = gather.start.process(Process(["wrk", "-t1", "-c16", "-d2s", root.url + "/"]))
    changes = metric(root, "consort_gather_topology_changes_total")
    while wrk.running():
        before = metric(root, "consort_gather_topology_changes_total")
        number = int(before - changes)
        replace(path, file_of([nginx[number % 2]], [nginx[(number + 1) % 2], nginx[2]]))
        wait_until(lambda b=before: metric(root, "consort_gather_topology_changes_total") > b or
                   not wrk.running(), "the change")
    assert metric(root, "consort_gather_topology_changes_total") - changes >= 5
    assert "Non-2xx" not in wrk.output() and "Socket errors" not in wrk.output(), wrk.output()
    good = metric(root, "consort_gather_requests_total", code="2xx")
    assert good > 100 and good == metric(root, "consort_gather_requests_total")


def test_a_request_ends_with_the_leaves_that_it_began_with(gather, tmp_path):
    slow, new = gather.leaf(after(300, answering("old"))), gather.leaf(answering("new"))
    path = tmp_path / "shards.json"
    path.write_text(file_of([slow]))
    root = gather.root([], "--topology", str(path))
    with under_way(root) as client:
        wait_until(lambda: slow.requests, "its call")
        replace(path, file_of([new]))
        wait_until(lambda: topology(root) == {"s0": [new.url]}, "the new topology", 10)
        assert ask(root).body == b'["new"]'
        answer = client.answer()
        assert (answer.status, answer.body) == (200, b'["old"]')
    # Nobody needs the connection of the leaf that is gone.
    wait_until(lambda: not slow.open, "its end", 10)


def test_what_a_replica_has_shown_is_remembered_over_a_reload(gather, tmp_path):
    one, two = gather.leaf(failing(503)), gather.leaf(answering(1))
    path = tmp_path / "shards.json"
    path.write_text(file_of([one, two]))
    root = gather.root([], "--topology", str(path))
    assert root.get("/replicas/drain?url=" + one.url, "POST")[0] == 200
    replace(path, file_of([one, two], [two]))
    wait_until(lambda: ask(root).body == b"[1,1]", "the new topology", 10)
    assert replicas(root)[one.url]["state"] == "drained"
    assert one.requests == []


# ---- DNS ----

@pytest.fixture
def dns(gather, tmp_path, monkeypatch):
    def serve(*records):
        server = gather.ending(Dns(tmp_path, *records))
        monkeypatch.setattr(servers, "CONSORT", server.consort)
        return server
    return serve


def leaf_addresses(count):
    """In the order in which a root has them."""
    found = {loopback_address() for _ in range(count)}
    while len(found) < count:
        found.add(loopback_address())
    return sorted(found, key=lambda ip: [int(part) for part in ip.split(".")])


@needs_dns
def test_each_address_of_a_name_is_a_shard(gather, dns):
    addresses, port = leaf_addresses(3), servers.free_port()
    all_leaves = [gather.ending(LeafAt(ip, port, answering(i)))
                  for i, ip in enumerate(addresses)]
    server = dns(*(f"host-record=leaf.test,{ip}" for ip in addresses[:2]))
    root = gather.root([], "--topology", f"dns://leaf.test:{port}")
    assert ask(root).body == b"[0,1]"
    assert all_leaves[0].requests[0].header("Host") == f"leaf.test:{port}"
    server.serve(*(f"host-record=leaf.test,{ip}" for ip in addresses[1:]))
    wait_until(lambda: ask(root).body == b"[1,2]", "the new records", 10)
    # A server that does not answer takes no leaf away.
    server.stop()
    wait_until(lambda: metric(root, "consort_gather_topology_failures_total") >= 1, "a failure",
               10)
    assert ask(root).body == b"[1,2]"
    assert root.get("/readyz")[0] == 200


@needs_dns
def test_each_address_of_a_name_is_a_replica(gather, dns):
    addresses, port = leaf_addresses(2), servers.free_port()
    for ip in addresses[1:]:
        gather.ending(LeafAt(ip, port, answering(1)))
    dns(*(f"host-record=leaf.test,{ip}" for ip in addresses))
    root = gather.root([], "--topology", f"dns:leaf.test:{port}?as=replicas")
    assert topology(root) == {"s0": [f"http://{ip}:{port}" for ip in addresses]}
    for _ in range(5):
        assert ask(root).body == b"[1]"


@needs_dns
def test_srv_records_give_ports_priorities_and_weights(gather, dns):
    first, second, spare = [gather.leaf(answering(i)) for i in range(3)]
    records = ["host-record=leaf.test,127.0.0.1"]
    records += [f"srv-host=_http._tcp.test,leaf.test,{leaf.port},{priority},{weight}"
                for leaf, priority, weight in [(first, 1, 30), (second, 1, 10), (spare, 2, 10)]]
    dns(*records)
    root = gather.root([], "--topology", "srv://_http._tcp.test?as=replicas")
    seen = replicas(root)
    assert {url.rsplit(":", 1)[1]: (each["priority"], each["weight"])
            for url, each in seen.items()} == {
                str(first.port): (1, 3), str(second.port): (1, 1), str(spare.port): (2, 1)}
    for _ in range(10):
        assert ask(root).status == 200
    assert len(first.requests) + len(second.requests) == 10
    assert spare.requests == []


@needs_dns
def test_srv_records_are_shards_by_default(gather, dns):
    by_port = sorted((gather.leaf() for _ in range(2)), key=lambda leaf: leaf.port)
    for i, leaf in enumerate(by_port):
        leaf.behave = answering(i)
    records = ["host-record=leaf.test,127.0.0.1"]
    server = dns(*records, *(f"srv-host=_http._tcp.test,leaf.test,{leaf.port}"
                             for leaf in reversed(by_port)))
    root = gather.root([], "--topology", "srv:_http._tcp.test")
    assert ask(root).body == b"[0,1]"
    server.serve(*records, f"srv-host=_http._tcp.test,leaf.test,{by_port[1].port}")
    wait_until(lambda: ask(root).body == b"[1]", "the new records", 10)


@needs_dns
def test_a_name_that_does_not_exist_is_told(gather, dns):
    server = dns()
    leaf = gather.leaf(answering(1))
    root = gather.root([], "--topology", f"dns://leaf.test:{leaf.port}", wait=False)
    root.wait_health("leaf.test")
    assert root.get("/readyz")[0] == 503
    server.serve("host-record=leaf.test,127.0.0.1")
    root.wait_ready()
    assert topology(root) == {"s0": [leaf.url]}
    assert ask(root).body == b"[1]"


@needs_dns
@pytest.mark.parametrize("alive", range(3))
def test_a_leaf_with_a_dead_address_is_reached_at_another_one(gather, dns, alive):
    """A name in --leaf may stand for several addresses; no client need learn that some are dead."""
    addresses, port = leaf_addresses(3), servers.free_port()
    gather.ending(LeafAt(addresses[alive], port, answering(1)))
    dns(*(f"host-record=leaf.test,{ip}" for ip in addresses))
    root = gather.root([f"http://leaf.test:{port}"], "--timeout", "20s")
    for _ in range(5):
        answer = ask(root)
        assert (answer.status, answer.body) == (200, b"[1]"), answer.body
