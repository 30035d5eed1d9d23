"""What an operator sees of a root and can do to it: pages, readiness, metrics, explanations."""
import json
import re
import shutil
import socket
import subprocess

import pytest

from asking import Client, ask, metric, replicas, under_way
from support import servers
from support.leaves import (after, answering, black_hole, by_path, closing, failing, in_turn)
from support.servers import wait_until


def page(root, path):
    status, text = root.get(path)
    assert status == 200, text
    return json.loads(text)


def verb(root, path):
    status, text = root.get(path, "POST")
    assert status == 200, text
    return json.loads(text)


def shard(root, name):
    [found] = [each for each in page(root, "/topology")["shards"] if each["id"] == name]
    return found


# ---- /topology ----

def test_topology_shows_each_replica(gather):
    one, two, three = gather.leaves(3)
    root = gather.root([[one, two], three])
    for _ in range(40):
        assert ask(root).status == 200
    document = page(root, "/topology")
    assert (document["epoch"], document["source"]) == (1, "--leaf")
    assert [each["id"] for each in document["shards"]] == ["s0", "s1"]
    [busiest] = document["shards"][1]["replicas"]
    assert busiest["url"] == three.url
    assert (busiest["state"], busiest["weight"], busiest["in_flight"]) == ("ok", 1, 0)
    assert 0 < busiest["p50_ms"] <= busiest["p95_ms"] <= busiest["p99_ms"] < 1000
    assert (busiest["failure_share"], busiest["failures_in_a_row"]) == (0, 0)
    assert busiest["ejected_for_s"] is None
    assert busiest["connections"] == {"idle": 1, "busy": 0, "opened": 1, "failed": 0}
    assert sum(len(leaf.requests) for leaf in (one, two)) == 40


def test_topology_shows_what_is_under_way(gather):
    leaf = gather.leaf(black_hole)
    root = gather.root([leaf], "--timeout", "20s", "--max-inflight-per-replica", "2")
    assert replicas(root)[leaf.url]["state"] == "new"
    with under_way(root), under_way(root), under_way(root):
        wait_until(lambda: metric(root, "consort_gather_inflight") == 3, "three requests")
        seen = replicas(root)[leaf.url]
        assert (seen["in_flight"], seen["waiting"]) == (2, 1)
        assert seen["connections"]["busy"] == 2
    wait_until(lambda: replicas(root)[leaf.url]["in_flight"] == 0, "their end")


def test_topology_shows_an_ejection(gather):
    bad, good = gather.leaf(failing(503)), gather.leaf(answering(1))
    root = gather.root([[bad, good]], "--select", "round-robin")

    def ejected():
        assert ask(root).status == 200
        return replicas(root)[bad.url]["state"] == "ejected"

    wait_until(ejected, "the ejection")
    seen = replicas(root)[bad.url]
    assert 0 < seen["ejected_for_s"] <= 30
    assert seen["ejected_because"]
    assert seen["failures_in_a_row"] >= 5
    assert metric(root, "consort_gather_ejections_total") == 1
    # An operator who knows better ends it.
    bad.behave = answering(1)
    verb(root, "/replicas/restore?url=" + bad.url)
    assert replicas(root)[bad.url]["state"] != "ejected"
    calls = len(bad.requests)
    wait_until(lambda: ask(root).status == 200 and len(bad.requests) > calls, "a call", 10)


def test_weights_of_leaves_that_are_roots_are_shown(gather):
    child = gather.root(gather.leaves(3))
    root = gather.root([child])
    assert ask(root).status == 200
    assert shard(root, "s0")["leaves"] == 3


# ---- /requests ----

def test_the_slowest_requests_are_kept(gather):
    leaf, other = gather.leaf(by_path), gather.leaf(failing(503))
    root = gather.root([leaf, [other, gather.leaf(by_path)]])
    for target in ["/a", "/sleep?ms=600", "/b", "/sleep?ms=300"]:
        assert ask(root, target, headers=[("X-Request-Id", "r" + target[-3:])]).status == 200
    kept = page(root, "/requests")
    assert [each["target"] for each in kept[:2]] == ["/sleep?ms=600", "/sleep?ms=300"]
    assert [each["ms"] for each in kept] == sorted((each["ms"] for each in kept), reverse=True)
    slowest = kept[0]
    assert (slowest["id"], slowest["status"], slowest["route"]) == ("r600", 200, "default")
    assert slowest["ms"] >= slowest["scatter_ms"] >= 600
    assert slowest["coverage"]["percent"] == 100
    tried = [[attempt["result"] for attempt in each["attempts"]] for each in slowest["leaves"]]
    assert tried[0] == ["won"] and tried[1][-1] == "won"


def test_only_the_slowest_hundred_are_kept(gather):
    root = gather.root([gather.leaf(answering(1))])
    with Client(root.port) as client:
        for i in range(150):
            client.ask(f"/{i}")
    kept = page(root, "/requests")
    assert len(kept) == 100
    assert len({each["target"] for each in kept}) == 100


# ---- drain and restore ----

def test_a_drained_replica_gets_no_calls(gather):
    one, two = gather.leaves(2, answering(1))
    root = gather.root([[one, two]])
    wait_until(lambda: ask(root).status == 200 and one.requests and two.requests, "both", 10)
    assert verb(root, "/replicas/drain?url=" + one.url) == {"url": one.url, "drained": True}
    assert replicas(root)[one.url]["state"] == "drained"
    # Its idle connections are not kept for nothing.
    wait_until(lambda: not one.open, "their end")
    calls = len(one.requests)
    for _ in range(30):
        assert ask(root).status == 200
    assert len(one.requests) == calls
    assert root.get("/readyz")[0] == 200
    assert verb(root, "/replicas/restore?url=" + one.url)["drained"] is False
    wait_until(lambda: ask(root).status == 200 and len(one.requests) > calls, "a call", 10)


def test_what_is_under_way_at_a_drained_replica_ends_well(gather):
    leaf = gather.leaf(after(150, answering(1)))
    root = gather.root([leaf])
    with under_way(root) as client:
        wait_until(lambda: leaf.requests, "the call")
        verb(root, "/replicas/drain?url=" + leaf.url)
        assert client.answer().body == b"[1]"
    assert ask(root).status == 503


@pytest.mark.parametrize("action", ["drain", "restore"])
def test_verbs_that_are_wrong(gather, action):
    [leaf] = gather.leaves(1)
    root = gather.root([leaf])
    for query in ["", "?url=", "?url=http://nobody:1", "?uri=" + leaf.url]:
        status, text = root.get(f"/replicas/{action}{query}", "POST")
        assert status == 404, text
        assert "GET /topology lists them" in text
    assert root.get(f"/replicas/{action}?url={leaf.url}")[0] == 405
    assert ask(root).status == 200


def test_verbs_are_guarded(gather):
    [leaf] = gather.leaves(1)
    root = gather.root([leaf])
    for headers in [["Origin: http://evil.test"], ["Sec-Fetch-Site: cross-site"]]:
        status, _ = root.get(f"/replicas/drain?url={leaf.url}", "POST", headers)
        assert status == 403
    assert ask(root).status == 200


# ---- readiness ----

def test_readiness_follows_what_answers_could_be(gather):
    one, two, three = gather.leaves(3)
    root = gather.root([one, two, three], "--min-coverage", "60")
    verb(root, "/replicas/drain?url=" + one.url)
    wait_until(lambda: "none has s0" in root.get("/health")[1], "the warning", 10)
    assert root.get("/readyz")[0] == 200
    assert metric(root, "consort_gather_shards_without_replica") == 1
    verb(root, "/replicas/drain?url=" + two.url)
    wait_until(lambda: root.get("/readyz")[0] == 503, "unreadiness", 10)
    assert "1 of 3 shards have a usable replica" in root.get("/readyz")[1] + root.get("/health")[1]
    assert root.get("/livez")[0] == 200
    verb(root, "/replicas/restore?url=" + two.url)
    wait_until(lambda: root.get("/readyz")[0] == 200, "readiness", 10)


def test_one_replica_of_a_shard_is_enough_to_be_ready(gather):
    one, two = gather.leaves(2)
    root = gather.root([[one, two]])
    verb(root, "/replicas/drain?url=" + one.url)
    assert root.get("/readyz")[0] == 200
    verb(root, "/replicas/drain?url=" + two.url)
    wait_until(lambda: root.get("/readyz")[0] == 503, "unreadiness", 10)


def test_a_leaf_that_keeps_failing_makes_a_root_unready_and_ready_again(gather):
    leaf = gather.leaf(closing)
    root = gather.root([leaf])
    assert root.get("/readyz")[0] == 200

    def unready():
        ask(root)
        return root.get("/readyz")[0] == 503

    wait_until(unready, "unreadiness", 20)
    leaf.behave = answering(1)

    def ready():
        ask(root)
        return root.get("/readyz")[0] == 200

    wait_until(ready, "readiness", 20)
    assert ask(root).body == b"[1]"


# ---- /metrics ----

@pytest.fixture
def busy_root(gather):
    """A root that has seen much of what there is."""
    good, odd = gather.leaf(answering(1)), gather.leaf(by_path)
    failing_one = gather.leaf(in_turn(failing(503), answering(1)))
    root = gather.root([good, odd, [failing_one, good]], "--timeout", "300ms", "--min-coverage",
                       "60", "--wait-factor", "1:1", "--max-request-body", "100")
    for target in ["/", "/status/404", "/sleep?ms=1000", "/status/500"]:
        ask(root, target)
    ask(root, headers=[("Prefer", "handling=strict")])
    ask(root, headers=[("grpc-timeout", "0m")])
    ask(root, headers=[("grpc-timeout", "x")])
    ask(root, method="POST", body=b"x" * 200)
    return root


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_metrics_are_as_prometheus_wants_them(busy_root):
    text = busy_root.get("/metrics")[1]
    check = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                           capture_output=True)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


def test_metrics_have_what_was_promised(busy_root):
    text = busy_root.get("/metrics")[1]
    families = set(re.findall(r"^# TYPE (consort_gather_\w+)", text, re.M))
    assert {f"consort_gather_{name}" for name in [
        "requests_total", "leaf_calls_total", "leaf_results_total", "hedges_total",
        "retries_total", "coverage_total", "inflight", "merge_seconds", "request_seconds",
        "leaf_seconds", "ejections_total", "budget_balance", "limits_total", "memory_bytes",
        "topology_epoch", "malformed_deadlines_total", "expired_deadlines_total"]} <= families
    assert metric(busy_root, "consort_gather_requests_total", code="2xx") >= 3
    assert metric(busy_root, "consort_gather_leaf_results_total", outcome="timeout") >= 1
    assert metric(busy_root, "consort_gather_malformed_deadlines_total") == 1
    assert metric(busy_root, "consort_gather_expired_deadlines_total") == 1
    assert metric(busy_root, "consort_gather_coverage_total", percent="100") >= 2
    assert metric(busy_root, "consort_gather_coverage_total", percent="89-50") >= 1
    assert metric(busy_root, "consort_gather_request_seconds_count") >= 5
    wait_until(lambda: metric(busy_root, "consort_gather_budget_balance", budget="retry") > 0,
               "the balance, which is looked at each second", 3)


def test_open_metrics_when_asked_for(busy_root):
    accept = "Accept: application/openmetrics-text; version=1.0.0"
    status, text = busy_root.get("/metrics", headers=[accept])
    assert status == 200
    assert text.endswith("# EOF\n")
    assert re.search(r"^# TYPE consort_gather_requests counter$", text, re.M)


def test_hostile_names_do_not_break_metrics(gather, tmp_path):
    path = tmp_path / "root.json"
    path.write_text(json.dumps({"leaf": gather.leaves(1)[0].url, "routes": {
        'a"b\\c\nd{e="f"}': {"match": "*"}}}))
    root = gather.root([], "--config", str(path))
    assert ask(root).status == 200
    assert 'route="a\\"b\\\\c\\nd{e=\\"f\\"}"' in root.get("/metrics")[1]
    assert metric(root, "consort_gather_requests_total", code="2xx") == 1


# ---- Consort-Explain ----

EXPLAIN = [("Consort-Explain", "1")]


def test_an_explanation(gather):
    shards = [gather.leaf(answering({"n": 1})), gather.leaf(after(40, answering({"n": 2})))]
    root = gather.root(shards, "--merge", "sum")
    answer = ask(root, "/p?q=1", headers=EXPLAIN)
    assert answer.header("Content-Type") == "application/json"
    document = answer.json()
    assert document["answer"] == {"status": 200, "content_type": "application/json",
                                  "body": {"n": 3}}
    assert (document["method"], document["target"], document["status"]) == ("GET", "/p?q=1", 200)
    assert document["ms"] >= document["scatter_ms"] >= 40
    assert document["epoch"] == 1
    quick, slow = document["leaves"]
    assert (quick["shard"], quick["outcome"], slow["outcome"]) == ("s0", "ok", "ok")
    assert quick["ms"] <= slow["ms"] and slow["ms"] >= 40
    [attempt] = slow["attempts"]
    assert (attempt["replica"], attempt["result"], attempt["status"]) == (shards[1].url, "won", 200)
    assert attempt["reused"] is False
    assert attempt["connect_ms"] <= attempt["sent_ms"] <= attempt["first_byte_ms"]
    assert 40 <= attempt["first_byte_ms"] <= attempt["last_byte_ms"] <= attempt["ms"]
    assert attempt["bytes_in"] > 8 and attempt["bytes_out"] > 50
    assert ask(root, headers=EXPLAIN).json()["leaves"][0]["attempts"][0]["reused"] is True
    # Nobody who does not ask gets it, and leaves are not asked for theirs.
    assert ask(root).json() == {"n": 3}
    assert ask(root, headers=[("Consort-Explain", "0")]).json() == {"n": 3}


def test_an_explanation_of_a_failure(gather):
    refusing, good = gather.leaf(closing), gather.leaf(answering(1))
    # Later than the failover, for a request that cannot succeed any more ends.
    late = gather.leaf(after(50, failing(500)))
    root = gather.root([[refusing, good], late], "--select", "round-robin")
    document = wait_until(lambda: (found := ask(root, headers=EXPLAIN).json()) and
                          len(found["leaves"][0]["attempts"]) == 2 and found, "a failover", 5)
    assert document["status"] == document["answer"]["status"] == 502
    assert document["answer"]["body"]["type"].endswith("insufficient-coverage")
    first, second = document["leaves"][0]["attempts"]
    assert (first["replica"], first["result"], first["number"]) == (refusing.url, "failed", 1)
    assert first["why"]
    assert (second["replica"], second["result"], second["number"]) == (good.url, "won", 2)
    assert document["leaves"][1]["outcome"] == "failed"


def test_an_explanation_of_a_hedge(gather):
    slow, quick = gather.leaf(after(300, answering(1))), gather.leaf(answering(2))
    root = gather.root([[slow, quick]], "--hedge", "20ms", "--select", "round-robin")

    def hedged():
        [leaf] = ask(root, headers=EXPLAIN).json()["leaves"]
        return leaf if len(leaf["attempts"]) == 2 else None

    leaf = wait_until(hedged, "a hedge", 10)
    assert [each["hedge"] for each in leaf["attempts"]] == [False, True]
    assert [each["result"] for each in leaf["attempts"]] == ["superseded", "won"]
    assert leaf["attempts"][1]["at_ms"] >= 20


def test_an_answer_that_is_no_json_is_text_in_an_explanation(gather):
    root = gather.root([gather.leaf(answering(b"a\xffb\n", content_type="text/plain"))], "--merge",
                       "concat")
    answer = ask(root, headers=EXPLAIN)
    assert answer.json()["answer"]["text"] == "a\ufffdb\n"


def own_address():
    """One of this machine that is not a loopback address; None without."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # Nothing is sent.
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@pytest.mark.skipif(own_address() is None, reason="needs an address beside 127.0.0.1")
@pytest.mark.parametrize("options,is_explained", [([], False), (["--explain"], True)],
                         ids=["by_default", "with_--explain"])
def test_explanations_are_for_this_machine_unless_told_otherwise(gather, options, is_explained):
    port = servers.free_port()
    root = gather.root(gather.leaves(1), "--listen", f"{own_address()}:{port}", *options)
    assert "leaves" in ask(root, headers=EXPLAIN).json()
    answer = ask((own_address(), port), headers=EXPLAIN)
    assert ("leaves" in answer.json()) == is_explained if is_explained else answer.json() == [0]
