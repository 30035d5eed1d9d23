"""GET /servers and GET /explain, --diff and the dry run of a reload, reloads and servers_from.

What the pages say is compared with where values really lie and with what the servers really do.
"""
import json
import signal
import subprocess

import pytest

from support import servers
from support.servers import wait_until
from talk import Memcached, Redis, owners


def page(proxy, path):
    status, body = proxy.get(path)
    assert status == 200, body
    return json.loads(body)


def only_pool(proxy):
    (pool,) = page(proxy, "/servers")["pools"]
    return pool


def server(proxy, name):
    (found,) = [each for each in only_pool(proxy)["servers"] if each["name"] == name]
    return found


SPREAD = ["--distribution", "jump", "--hash", "murmur"]


class Configured:
    """A proxy whose configuration and other files are in a directory of the test."""

    def __init__(self, start, directory, text):
        self.path = directory / "proxy.yml"
        self.path.write_text(text)
        self.proxy = start.proxy(options=["--config", self.path, "--watch-config=false"],
                                 wait=False)

    def rewrite(self, text):
        self.path.write_text(text)

    def reload(self, query=""):
        status, body = self.proxy.get("/reload" + query, method="POST")
        return status, json.loads(body)


def pools_yaml(port, addresses, more=""):
    listed = ", ".join(addresses)
    return f"cache:\n  listen: 127.0.0.1:{port}\n  distribution: jump\n  hash: murmur\n" \
           f"  servers: [{listed}]\n{more}"


def stored(port, keys):
    """How many of the keys are there, asked through the proxy."""
    with Memcached(port) as client:
        return len(client.get(*keys)) - 1


def test_servers_tells_what_the_servers_do(start):
    backends = start.redis(2)
    proxy = start.proxy(backends, options=[*SPREAD, "--timeout", "300ms",
                                           "--server-retry-timeout", "300ms"])
    up, dying = (f"127.0.0.1:{backend.port}" for backend in backends)
    with Redis(proxy.port) as client:
        for i in range(100):
            client.ask("SET", f"key{i}", "x")
        before = only_pool(proxy)
        assert before["protocol"] == "redis"
        assert [each["name"] for each in before["servers"]] == [up, dying]
        assert all(each["state"] == "up" for each in before["servers"])
        assert sum(each["requests"] for each in before["servers"]) >= 100
        assert all(0 < each["mean_latency_ms"] < 300 for each in before["servers"])
        assert all(each["connections"] >= 1 for each in before["servers"])
        backends[1].kill()
        wait_until(lambda: server(proxy, dying)["state"] == "down", "down")
    # The next try may be under way at this moment: then there is no time to it.
    wait_until(lambda: server(proxy, dying)["next_probe_s"], "a next probe")
    dead = server(proxy, dying)
    assert dead["reason"] != "" and dead["connections"] == 0
    assert 0 <= dead["since_s"] < 30
    assert server(proxy, up)["next_probe_s"] is None


def test_explain_names_the_server_that_has_the_key(start):
    backends = start.redis(3)
    ports = [backend.port for backend in backends]
    proxy = start.proxy(backends)
    keys = [f"user:{i}" for i in range(50)]
    for port, owned in owners(proxy.port, ports, keys).items():
        for key in owned:
            (told,) = page(proxy, f"/explain?key={key}")["pools"]
            assert told["address"] == f"127.0.0.1:{port}"
            assert told["pool"] == "default" and told["hashed"] == key
    assert proxy.get("/explain")[0] == 400
    assert proxy.get("/explain?key=a&pool=nobody")[0] == 404


def test_the_pages_are_listed(start):
    proxy = start.proxy(start.memcached(1), protocol="memcached")
    routes = page(proxy, "/")["routes"]
    assert {"/servers", "/explain"} <= {route["path"] for route in routes if route["guarded"]}


def test_what_diff_foretells_is_what_a_reload_does(start, tmp_path):
    backends = [f"127.0.0.1:{each.port}:1 s{i}" for i, each in enumerate(start.memcached(4))]
    port = servers.free_port()
    configured = Configured(start, tmp_path, pools_yaml(port, backends[:3]))
    configured.proxy.wait_ready()
    other = tmp_path / "other.yml"
    other.write_text(pools_yaml(port, backends))
    told = subprocess.run(
        [servers.CONSORT, "ambassador", "shard-proxy", "--config", configured.path, "--diff",
         other], capture_output=True, text=True, check=True).stdout
    assert told.startswith("pool cache: about 2")
    moved = float(told.split("about ")[1].split(" %")[0])
    assert 24 < moved < 26

    keys = [b"key%d" % i for i in range(1000)]
    with Memcached(port) as client:
        for key in keys:
            assert client.set(key, b"x") == b"STORED"
        configured.rewrite(pools_yaml(port, backends))
        status, report = configured.reload("?dry-run=1")
        assert status == 200 and report["dry_run"]
        assert report["effect"].startswith("pool cache: about 2")
        assert report["needs_restart"] == []
        assert stored(port, keys) == 1000
        status, report = configured.reload()
        assert status == 200 and report["needs_restart"] == [], report
        assert report["changed"] == ["pools.cache.server"]
        assert client.get(keys[0])[None] == b"END"
    assert 1000 - stored(port, keys) == pytest.approx(10 * moved, abs=60)
    assert "pool.reloaded" in configured.proxy.output()
    assert len(only_pool(configured.proxy)["servers"]) == 4


def test_diff_of_a_file_that_is_wrong_is_a_configuration_error(tmp_path):
    good = tmp_path / "good.yml"
    good.write_text(pools_yaml(1, ["127.0.0.1:1"]))
    bad = tmp_path / "bad.yml"
    bad.write_text("cache:\n  listen: nonsense\n")
    words = [servers.CONSORT, "ambassador", "shard-proxy", "--config", good, "--diff"]
    done = subprocess.run([*words, bad], capture_output=True, text=True, check=False)
    assert done.returncode == 78 and done.stdout == ""
    assert "bad.yml:2:11" in done.stderr
    assert subprocess.run([*words, good], check=True, capture_output=True,
                          text=True).stdout.startswith("pool cache: no key moves\n")


def test_only_the_backlog_needs_a_restart(start, tmp_path):
    (backend,) = start.memcached(1)
    port = servers.free_port()
    address = [f"127.0.0.1:{backend.port}"]
    configured = Configured(start, tmp_path, pools_yaml(port, address))
    configured.proxy.wait_ready()
    more = "  timeout: 1500\n  server_connections: 3\n  preconnect: true\n  lazy: true\n"
    configured.rewrite(pools_yaml(port, address, more + "  backlog: 100\n"))
    with Memcached(port) as client:
        status, report = configured.reload()
        assert status == 200
        assert report["needs_restart"] == ["pools.cache.backlog"]
        assert "pools.cache.server_connections" in report["changed"]
        wait_until(lambda: only_pool(configured.proxy)["servers"][0]["connections"] == 3,
                   "three connections")
        assert client.set(b"a", b"x") == b"STORED"


def test_servers_come_from_a_file_and_follow_it(start, tmp_path):
    first, second = start.memcached(2)
    listed = tmp_path / "servers.txt"
    proxy = start.proxy(options=["--listen", f"127.0.0.1:{servers.free_port()}", "--protocol",
                                 "memcached", "--servers-from", f"file:{listed}"], wait=False)
    proxy.wait_health("no servers yet")
    assert "servers.txt" in proxy.get("/health")[1]
    assert proxy.get("/readyz")[0] == 503
    listed.write_text(f"127.0.0.1:{first.port}\n")
    wait_until(lambda: proxy.get("/readyz")[0] == 200, "readiness")
    assert [each["address"] for each in only_pool(proxy)["servers"]] == [f"127.0.0.1:{first.port}"]
    listed.write_text(f"127.0.0.1:{first.port}\n127.0.0.1:{second.port}\n")
    wait_until(lambda: len(only_pool(proxy)["servers"]) == 2, "the second server")
    listed.write_text("nonsense\n")
    wait_until(lambda: only_pool(proxy)["source_problem"], "the problem")
    assert len(only_pool(proxy)["servers"]) == 2
    assert proxy.get("/readyz")[0] == 200


def test_sighup_takes_over_the_file(start, tmp_path):
    old, new = start.memcached(2)
    port = servers.free_port()
    configured = Configured(start, tmp_path, pools_yaml(port, [f"127.0.0.1:{old.port}"]))
    configured.proxy.wait_ready()
    with Memcached(port) as client:
        configured.rewrite(pools_yaml(port, [f"127.0.0.1:{new.port}"]))
        configured.proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: only_pool(configured.proxy)["servers"][0]["address"].endswith(
            f":{new.port}"), "the new server")
        assert client.set(b"a", b"x") == b"STORED"
    with Memcached(new.port) as direct:
        assert direct.get(b"a")[b"a"] == b"x"
