"""Reloads under load: no failed request, no closed client, and what is unchanged is not touched."""
import os
import re
import signal

import pytest

from load import Crowd, percentile
from support import servers
from support.servers import wait_until
from talk import Memcached, Redis, command, owners

KEYS = [f"key{i}" for i in range(400)]


class Config:
    """A file of one pool, replaced as a whole like a mounted ConfigMap."""

    def __init__(self, directory, protocol, listen):
        self.path = directory / "proxy.yml"
        self.protocol = protocol
        self.listen = listen

    def write(self, backends, listen=(), **settings):
        # Ketama moves only the keys of a server that comes or goes. Murmur spreads few keys well.
        lines = ["pools:", "  main:", f"    protocol: {self.protocol}",
                 "    distribution: ketama", "    hash: murmur", "    listen:"]
        lines += [f"      - 127.0.0.1:{port}" for port in [self.listen, *listen]]
        lines += ["    servers:", *(f"      - 127.0.0.1:{each.port}" for each in backends)]
        lines += [f"    {name}: {value}" for name, value in settings.items()]
        self.replace("\n".join(lines) + "\n")

    def replace(self, text):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        os.rename(fresh, self.path)


def connects(proxy):
    """{server: connections made to it}"""
    found = re.findall(r'consort_shard_connects_total\{.*server="([^"]*)".*\} (\d+)',
                       proxy.get("/metrics")[1])
    return {server: int(count) for server, count in found}


def connection_ids(backend):
    """What a Redis calls its connections, ours left out."""
    with Redis(backend.port) as direct:
        own = direct.ask("CLIENT", "ID")
        lines = direct.ask("CLIENT", "LIST").decode().splitlines()
    return {int(re.match(r"id=(\d+)", line)[1]) for line in lines} - {own}


def reload(proxy, number):
    """In turn by signal and by the admin interface."""
    if number % 2:
        proxy.send_signal(signal.SIGHUP)
    else:
        status, body = proxy.get("/reload", "POST")
        assert status == 200, body


def memcached_owners(proxy_port, ports, keys):
    """As talk.owners()."""
    with Memcached(proxy_port) as through:
        for key in keys:
            assert through.set(key.encode(), key.encode()) == b"STORED"
    found = {}
    for port in ports:
        with Memcached(port) as direct:
            hits = direct.get(*(key.encode() for key in keys))
            found[port] = [key for key in keys if key.encode() in hits]
    return found


@pytest.mark.parametrize("protocol", ["redis", "memcached"])
def test_fifty_reloads_under_load_fail_nothing_and_close_nobody(start, tmp_path, protocol):
    backends = start.backends(protocol, 4)
    kept, leaving = backends[:3], backends[3]
    port, second_port = servers.free_port(), servers.free_port()
    config = Config(tmp_path, protocol, port)
    config.write(backends, timeout="2s")
    proxy = start.proxy(options=["--config", str(config.path)], listen=port)
    find = owners if protocol == "redis" else memcached_owners
    owned = find(port, [each.port for each in backends], KEYS)
    moving = owned[leaving.port]
    assert moving and all(owned[each.port] for each in kept)
    wait_until(lambda: sum(connects(proxy).values()) == 4, "one connection to each server")
    before = {each.port: connection_ids(each) for each in kept} if protocol == "redis" else {}
    with Crowd(port, KEYS, 50, protocol, may_miss=moving) as crowd:
        crowd.more(500)
        for number in range(50):
            is_small = number % 2 == 0
            if is_small:
                config.write(kept, [second_port], timeout="3s")
            else:
                config.write(backends, timeout="2s")
            reload(proxy, number)
            wait_until(lambda: servers.answers(second_port) == is_small, "the other configuration")
            crowd.more(100)
            crowd.check()
        seconds = crowd.take()
    crowd.check()
    print(f"{len(seconds)} requests, {crowd.misses} misses of moved keys, "
          f"p99 {percentile(seconds, 0.99) * 1e3:.1f} ms")
    made = connects(proxy)
    for each in kept:
        assert made[f"127.0.0.1:{each.port}"] == 1
        if before:
            assert connection_ids(each) == before[each.port]
    assert made[f"127.0.0.1:{leaving.port}"] > 10
    assert "server.down" not in proxy.output()


def test_an_invalid_file_is_refused_and_the_old_one_stays(start, tmp_path):
    backends = start.redis(2)
    port = servers.free_port()
    config = Config(tmp_path, "redis", port)
    config.write(backends)
    proxy = start.proxy(options=["--config", str(config.path)], listen=port)
    owners(port, [each.port for each in backends], KEYS)
    refused = 'consort_config_reloads_total{result="refused"}'

    def refusals():
        return sum(float(line.split()[-1]) for line in proxy.get("/metrics")[1].splitlines()
                   if line.startswith(refused))

    with Crowd(port, KEYS, 10) as crowd:
        crowd.more(100)
        for bad in ("pools: [", "pools: {}\n", "pools:\n  main:\n    tiemout: 1s\n",
                    "pools:\n  main:\n    servers: [nowhere]\n"):
            count = refusals()
            config.replace(bad)
            proxy.send_signal(signal.SIGHUP)
            wait_until(lambda: refusals() > count, "the refusal")
            status, body = proxy.get("/reload", "POST")
            assert status >= 400, body
            assert str(config.path) in body or "pools" in body
            crowd.more(100)
        # A listener that is taken already: nothing of the rest is done either.
        with servers.socket.create_server(("127.0.0.1", servers.free_port())) as taken:
            config.write(backends[:1], [taken.getsockname()[1]])
            status, body = proxy.get("/reload", "POST")
            assert status >= 400 and str(taken.getsockname()[1]) in body
        crowd.more(100)
        config.write(backends)
        assert proxy.get("/reload", "POST")[0] == 200
        crowd.more(100)
    crowd.check()
    assert set(connects(proxy).values()) == {1}
    assert proxy.get("/readyz")[0] == 200


def test_requests_under_way_to_a_server_that_leaves_are_answered_by_it(start, tmp_path):
    backends = start.redis(2)
    port = servers.free_port()
    config = Config(tmp_path, "redis", port)
    config.write(backends, timeout="10s")
    proxy = start.proxy(options=["--config", str(config.path)], listen=port)
    owned = owners(port, [each.port for each in backends], KEYS)
    leaving = backends[1]
    lost, kept = owned[leaving.port][0], owned[backends[0].port][0]
    with Redis(port) as client:
        leaving.send_signal(signal.SIGSTOP)
        taken = proxy.metric("consort_client_requests_total")
        client.socket.sendall(command("GET", lost) + command("GET", kept))
        wait_until(lambda: proxy.metric("consort_client_requests_total") >= taken + 2,
                   "both requests being on their way")
        config.write(backends[:1], timeout="10s")
        assert proxy.get("/reload", "POST")[0] == 200
        client.send("GET", lost)
        leaving.send_signal(signal.SIGCONT)
        assert client.reply() == lost.encode()
        assert client.reply() == kept.encode()
        assert client.reply() is None  # the other server never had it
        wait_until(lambda: connection_ids(leaving) == set(), "its connection being closed")
