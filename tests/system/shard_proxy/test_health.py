"""One server hangs, dies, returns and moves under load: nothing but its own keys notices."""
import contextlib
import signal
import subprocess

import pytest

from load import Crowd, percentile
from support import servers
from support.servers import wait_until
from talk import Memcached, Redis, owners
from test_reload import memcached_owners

KEYS = [f"key{i}" for i in range(400)]
NAME = "victim.shards.test"
OPTIONS = ["--timeout", "300ms", "--server-retry-timeout", "100ms",
           "--distribution", "jump", "--hash", "murmur"]
# Up to a fifth of jitter, and half as much again for each failed try before.
RETURN_SECONDS = 5.0


def can_mount():
    return subprocess.run(["unshare", "--mount", "true"], check=False,
                          capture_output=True).returncode == 0


class Hosts:
    """An /etc/hosts of the proxy's own, which the test rewrites: a mount namespace hides it."""

    def __init__(self, directory):
        self.path = directory / "hosts"
        self.program = directory / "consort"
        self.set("127.0.0.2")
        self.program.write_text(
            "#!/bin/sh\n"
            f"exec unshare --mount sh -c 'mount --bind {self.path} /etc/hosts && "
            f"exec {servers.CONSORT} \"$@\"' sh \"$@\"\n")
        self.program.chmod(0o755)

    def set(self, address):
        # In place: the mount shows this very file.
        with open(self.path, "w", encoding="ascii") as file:
            file.write(f"127.0.0.1 localhost\n{address} {NAME}\n")


class Shards:
    """Four servers, the first known by a name, behind a proxy."""

    def __init__(self, start, hosts, protocol, mode):
        self.start = start
        self.protocol = protocol
        self.victim_port = servers.free_port()
        self.hosts = hosts
        self.victim = self.start_victim("127.0.0.2")
        self.others = start.backends(protocol, 3)
        options = [*OPTIONS, "--on-server-down", mode]
        self.label = f"{NAME}:{self.victim_port}"
        self.proxy = start.proxy([self.label, *(each.port for each in self.others)], protocol,
                                 options)
        ports = [self.victim_port, *(each.port for each in self.others)]
        find = owners if protocol == "redis" else memcached_owners
        owned = find(self.proxy.port, ports, KEYS)
        self.victim_keys = owned[self.victim_port]
        self.other_keys = [key for key in KEYS if key not in self.victim_keys]
        assert self.victim_keys

    def start_victim(self, address):
        """On 127.0.0.1 too, where its readiness is looked for."""
        if self.protocol == "redis":
            return self.start.redis(port=self.victim_port,
                                    extra=["--bind", "127.0.0.1", address])[0]
        return self.start.memcached(port=self.victim_port, extra=["-l", address])[0]

    def logged(self, event):
        return self.proxy.output().count(event)

    def serves(self, key):
        """Whether a request for this key succeeds now, be it a miss."""
        try:
            if self.protocol == "redis":
                with Redis(self.proxy.port) as client:
                    client.ask("GET", key)
                    return True
            with Memcached(self.proxy.port) as client:
                return client.get(key.encode())[None] == b"END"
        except Redis.Failed:
            return False


@pytest.mark.alone
@pytest.mark.skipif(not can_mount(), reason="needs a mount namespace for a hosts file of its own")
@pytest.mark.parametrize("mode", ["error", "rehash"])
@pytest.mark.parametrize("protocol", ["redis", "memcached"])
def test_a_server_hangs_dies_returns_and_moves_under_load(start, tmp_path, monkeypatch, protocol,
                                                          mode):
    hosts = Hosts(tmp_path)
    monkeypatch.setattr(servers, "CONSORT", hosts.program)
    shards = Shards(start, hosts, protocol, mode)
    port, proxy, key = shards.proxy.port, shards.proxy, shards.victim_keys[0]
    with contextlib.ExitStack() as stack:
        crowd = stack.enter_context(Crowd(port, shards.other_keys, 40, protocol))
        # Those of the dead server may fail, but not be closed or left without an answer.
        unlucky = stack.enter_context(Crowd(port, shards.victim_keys, 10, protocol))
        crowd.more(2000)
        crowd.check()
        unlucky.check()
        phases = {"before": crowd.take()}

        def goes_down(phase, how, downs):
            how()
            wait_until(lambda: shards.logged("server.down") == downs, "the log line")
            if mode == "rehash":
                wait_until(lambda: shards.serves(key), "its keys being served by others")
            crowd.more(1000)
            phases[phase] = crowd.take()

        def comes_back(ups):
            wait_until(lambda: shards.logged("server.up") == ups, "its return", RETURN_SECONDS)
            assert shards.serves(key)
            crowd.more(500)

        goes_down("stopped", lambda: shards.victim.send_signal(signal.SIGSTOP), 1)
        shards.victim.send_signal(signal.SIGCONT)
        comes_back(5)
        goes_down("killed", shards.victim.kill, 2)
        shards.victim = shards.start_victim("127.0.0.2")
        comes_back(6)
        # It is gone from the old address, and its name says the new one.
        goes_down("moved", shards.victim.kill, 3)
        hosts.set("127.0.0.3")
        shards.victim = shards.start_victim("127.0.0.3")
        comes_back(7)
        phases["after"] = crowd.take()
        crowd.check()
    crowd.check()
    assert unlucky.closed == 0
    assert unlucky.failed or mode == "rehash"
    reasons = {text for text in unlucky.failed if "ERR" in text}
    assert all(shards.label in text for text in reasons), reasons
    for phase, seconds in phases.items():
        print(f"{protocol} {mode} {phase}: {len(seconds)} requests, "
              f"p99 {percentile(seconds, 0.99) * 1e3:.1f} ms")
    assert percentile(phases["stopped"], 0.99) < max(5 * percentile(phases["before"], 0.99), 0.05)
    assert proxy.get("/readyz")[0] == 200
    expected = 3 if mode == "rehash" else 0
    assert shards.logged("server.ejected") == shards.logged("server.returned") == expected
    assert established(shards.victim, "127.0.0.3")


def established(server, address):
    """Whether a connection to this address of the server stands."""
    wanted = f"{int.from_bytes(bytes(map(int, address.split('.'))), 'little'):08X}:{server.port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(line.split()[1] == wanted and line.split()[3] == "01" for line in table)


@pytest.mark.parametrize("protocol", ["redis", "memcached"])
def test_a_single_server_is_used_as_soon_as_it_is_back(start, protocol):
    """Fail-open: with nobody else to ask, every request may try."""
    backend = start.backends(protocol)[0]
    # The prober would wait for half a minute.
    proxy = start.proxy([backend], protocol, ["--server-retry-timeout", "30s"])
    request = b"GET k\r\n" if protocol == "redis" else b"get k\r\n"
    hit = b"$-1\r\n" if protocol == "redis" else b"END\r\n"
    with servers.connect(proxy.port) as client:
        def ask():
            client.sendall(request)
            return client.recv(4096)

        assert ask() == hit
        backend.kill()
        wait_until(lambda: b"Connection refused" in ask(), "the failure")
        starter = start.redis if protocol == "redis" else start.memcached
        starter(port=backend.port)
        wait_until(lambda: ask() == hit, "the first answer", 10)
    assert proxy.output().count("server.up") == 2


def test_a_returning_memcached_is_emptied_when_asked(start):
    backends = start.memcached(2)
    proxy = start.proxy(backends, "memcached", [*OPTIONS, "--on-server-down", "rehash",
                                                "--flush-on-return"])
    with Memcached(proxy.port) as client:
        owned = memcached_owners(proxy.port, [each.port for each in backends], KEYS)
        key = owned[backends[0].port][0].encode()
        backends[0].send_signal(signal.SIGSTOP)
        wait_until(lambda: client.set(key, b"new") == b"STORED"
                   and "server.ejected" in proxy.output(), "the key going to the other one")
        backends[0].send_signal(signal.SIGCONT)
        wait_until(lambda: "server.returned" in proxy.output(), "its return", RETURN_SECONDS)
        assert client.get(key)[None] == b"END"
        assert key not in client.get(key)
    with Memcached(backends[0].port) as direct:
        assert direct.get(*(each.encode() for each in KEYS)) == {None: b"END"}
