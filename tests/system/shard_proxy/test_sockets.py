"""Listeners and servers on unix paths, abstract names and IPv6; a nutcracker.yml with them."""
import os
import socket
import stat

import pytest

from support import servers
from talk import Memcached, Redis


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("written, mode", [("{} 0666", 0o666), ("unix:{} 0600", 0o600),
                                           ("{} 0770", 0o770)])
def test_a_unix_listener_has_its_mode_and_leaves_no_file(start, tmp_path, written, mode):
    path = tmp_path / "proxy.sock"
    proxy = start.proxy(start.redis(), options=["--listen", written.format(path)])
    assert mode_of(path) == mode
    with Redis(str(path)) as client, Redis(proxy.port) as over_tcp:
        assert client.ask("SET", "k", "v") == b"OK"
        assert over_tcp.ask("GET", "k") == b"v"
    assert proxy.stop() == 0
    assert not path.exists()


def test_a_path_left_by_a_dead_process_is_replaced(start, tmp_path):
    path = tmp_path / "proxy.sock"
    backends = start.redis()
    dead = start.proxy(backends, options=["--listen", f"unix:{path}"])
    dead.kill()
    assert path.exists()
    start.proxy(backends, options=["--listen", f"unix:{path}"])
    with Redis(str(path)) as client:
        assert client.ask("PING") == b"PONG"


def test_an_abstract_listener_needs_no_file(start):
    name = f"@consort-test-{os.getpid()}-{servers.free_port()}"
    start.proxy(start.redis(), options=["--listen", f"unix:{name}"])
    with Redis(name) as client:
        assert client.ask("SET", "k", "v") == b"OK"
        assert client.ask("GET", "k") == b"v"


@needs_ipv6
def test_an_ipv6_listener_and_an_ipv6_server(start):
    port = servers.free_port()
    backend = start.redis(extra=["--bind", "127.0.0.1", "::1"])[0]
    start.proxy([f"[::1]:{backend.port}"], options=["--listen", f"[::1]:{port}"])
    with Redis(("::1", port)) as client:
        assert client.ask("SET", "k", "v") == b"OK"
        assert client.ask("GET", "k") == b"v"


def test_redis_servers_on_unix_paths(start, tmp_path):
    paths = [str(tmp_path / f"redis{i}.sock") for i in range(3)]
    backends = [start.redis(extra=["--unixsocket", path])[0] for path in paths]
    proxy = start.proxy([f"{path}:1" for path in paths])
    with Redis(proxy.port) as client:
        keys = [f"k{i * 7919}" for i in range(300)]
        assert client.ask("MSET", *[word for key in keys for word in (key, key)]) == b"OK"
        assert client.ask("MGET", *keys) == [key.encode() for key in keys]
    held = []
    for backend in backends:
        with Redis(backend.port) as direct:
            held.append(direct.ask("DBSIZE"))
    assert sum(held) == 300
    assert all(held)


def test_a_nutcracker_yml_with_unix_sockets_and_several_pools(start, tmp_path):
    memcached_path = str(tmp_path / "memcached.sock")
    user = ["-u", "root"] if os.geteuid() == 0 else []
    start.process(servers.Process(["memcached", "-s", memcached_path, "-m", "64", *user]))
    servers.wait_until(lambda: os.path.exists(memcached_path), "memcached listening")
    redis_ports = [backend.port for backend in start.redis(2)]
    plain = start.memcached()[0].port
    beta, gamma = servers.free_port(), servers.free_port()
    config = tmp_path / "nutcracker.yml"
    config.write_text(f"""\
alpha:
  listen: {tmp_path}/alpha.sock 0666
  hash: fnv1a_64
  distribution: ketama
  servers:
   - {memcached_path}:1
beta:
  listen: 127.0.0.1:{beta}
  redis: true
  hash_tag: "{{}}"
  timeout: 400
  servers:
   - 127.0.0.1:{redis_ports[0]}:1 one
   - 127.0.0.1:{redis_ports[1]}:1 two
gamma:
  listen: 127.0.0.1:{gamma}
  servers: [127.0.0.1:{plain}:1]
""")
    proxy = start.proxy(options=["--config", config])
    assert mode_of(tmp_path / "alpha.sock") == 0o666
    with Memcached(str(tmp_path / "alpha.sock")) as a, Memcached(gamma) as c, Redis(beta) as b:
        assert a.set(b"k", b"in alpha") == b"STORED"
        assert c.set(b"k", b"in gamma") == b"STORED"
        assert b.ask("SET", "k", "in beta") == b"OK"
        assert a.get(b"k")[b"k"] == b"in alpha"
        assert c.get(b"k")[b"k"] == b"in gamma"
        assert b.ask("GET", "k") == b"in beta"
    health = proxy.get("/health")[1]
    assert all(f"pool {name}" in health for name in ("alpha", "beta", "gamma"))


def ended(start, **arguments):
    """A proxy that cannot start: (exit code, the lines that report an error)."""
    proxy = start.proxy(wait=False, **arguments)
    code = proxy.wait(10)
    lines = [line for line in proxy.output().splitlines()
             if '"level":"error"' in line or not line.startswith("{")]
    return code, lines


def test_a_taken_tcp_port_ends_with_69_and_one_clear_line(start):
    backend = start.redis()[0]
    code, lines = ended(start, backends=[backend], listen=backend.port)
    assert code == 69
    assert len(lines) == 1, lines
    assert f"127.0.0.1:{backend.port}" in lines[0]
    assert "in use" in lines[0]


def test_a_taken_unix_path_ends_with_69_and_one_clear_line(start, tmp_path):
    path = tmp_path / "proxy.sock"
    backends = start.redis()
    start.proxy(backends, options=["--listen", f"unix:{path}"])
    code, lines = ended(start, backends=backends, options=["--listen", f"unix:{path}"])
    assert code == 69
    assert len(lines) == 1, lines
    assert str(path) in lines[0]
    with Redis(str(path)) as client:
        assert client.ask("PING") == b"PONG"


def test_a_path_that_is_no_socket_is_not_removed(start, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    code, lines = ended(start, backends=start.redis(), options=["--listen", f"unix:{path}"])
    assert code == 69
    assert len(lines) == 1, lines
    assert path.read_text() == "data"
