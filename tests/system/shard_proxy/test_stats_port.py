"""--stats-port: nutcracker's statistics, compared with those of nutcracker itself."""
import json
import shutil
import socket
import subprocess

import pytest

from support import servers
from support.servers import wait_until
from talk import Memcached

POOL = """alpha:
  listen: 127.0.0.1:{port}
  hash: fnv1a_64
  distribution: ketama
  timeout: 400
  servers:
   - 127.0.0.1:{one}:1 one
   - 127.0.0.1:{two}:1
"""
# What a client's requests alone decide: the same numbers behind either proxy.
SAME = ["requests", "responses", "server_timedout", "server_ejected_at", "in_queue",
        "in_queue_bytes", "out_queue", "out_queue_bytes", "server_err"]


def read_stats(port):
    with servers.connect(port) as client:
        data = b""
        while chunk := client.recv(65536):
            data += chunk
    assert data.endswith(b"}\n")
    return json.loads(data)


def config(directory, name, port, backends):
    path = directory / name
    path.write_text(POOL.format(port=port, one=backends[0].port, two=backends[1].port))
    return path


def drive(port):
    """Single keys only: a multi-get is split in other ways by each proxy."""
    with Memcached(port) as client:
        for i in range(40):
            assert client.set(b"key%d" % i, b"value") == b"STORED"
        for i in range(60):
            client.get(b"key%d" % i)


def test_off_unless_asked_for(start):
    proxy = start.proxy(start.memcached(1), protocol="memcached")
    assert "stats.listening" not in proxy.output()


@pytest.mark.skipif(shutil.which("nutcracker") is None, reason="nutcracker is not installed")
def test_names_shape_and_counts_are_nutcrackers(start, tmp_path):
    backends = start.memcached(2)
    port = servers.free_port()
    stats_port = servers.free_port()
    path = config(tmp_path, "nutcracker.yml", port, backends)
    theirs_process = start.process(servers.Server(
        ["nutcracker", "-c", path, "-s", stats_port, "-a", "127.0.0.1", "-i", "50"], port))
    our_port = servers.free_port()
    our_stats = servers.free_port()
    proxy = start.proxy(options=["--config", config(tmp_path, "ours.yml", our_port, backends),
                                 "--stats-port", str(our_stats)])
    drive(port)
    drive(our_port)
    # nutcracker adds its numbers up once per interval.
    wait_until(lambda: sum(read_stats(stats_port)["alpha"][name]["responses"]
                           for name in ("one", f"127.0.0.1:{backends[1].port}")) == 100, "stats")
    theirs, ours = read_stats(stats_port), read_stats(our_stats)
    assert list(ours) == list(theirs)
    assert list(ours["alpha"]) == list(theirs["alpha"])
    assert {type(value) for value in ours.values()} == {type(value) for value in theirs.values()}
    for key in ("service", "source", "version"):
        assert ours[key] == theirs[key]
    assert abs(ours["timestamp"] - theirs["timestamp"]) <= 2
    assert 0 <= ours["uptime"] < 120
    for name in ("one", f"127.0.0.1:{backends[1].port}"):
        one, other = ours["alpha"][name], theirs["alpha"][name]
        assert list(one) == list(other)
        assert {key: one[key] for key in SAME} == {key: other[key] for key in SAME}
        # Ours greets each server once, with "version".
        assert 0 <= one["request_bytes"] - other["request_bytes"] < 100
    assert theirs_process.running() and proxy.running()


def test_clients_and_a_dead_server_show(start, tmp_path):
    backends = start.memcached(2)
    port = servers.free_port()
    stats_port = servers.free_port()
    path = config(tmp_path, "p.yml", port, backends)
    path.write_text(path.read_text() + "  auto_eject_hosts: true\n")
    start.proxy(options=["--config", path, "--stats-port", f":{stats_port}"])
    with Memcached(port) as client:
        assert client.set(b"a", b"x") == b"STORED"
        assert read_stats(stats_port)["alpha"]["client_connections"] == 1
        backends[0].kill()
        wait_until(lambda: read_stats(stats_port)["alpha"]["server_ejects"] == 1, "an ejection")
    stats = read_stats(stats_port)
    dead = stats["alpha"]["one"]
    assert dead["server_eof"] >= 1
    assert abs(dead["server_ejected_at"] / 1e6 - stats["timestamp"]) < 60
    wait_until(lambda: read_stats(stats_port)["alpha"]["client_eof"] == 1, "the client's end")


def test_readers_that_do_not_read_do_no_harm(start, tmp_path):
    backends = start.memcached(2)
    port = servers.free_port()
    stats_port = servers.free_port()
    start.proxy(options=["--config", config(tmp_path, "p.yml", port, backends),
                         "--stats-port", str(stats_port)])
    idle = [servers.connect(stats_port) for _ in range(40)]
    try:
        assert read_stats(stats_port)["service"] == "nutcracker"
        drive(port)
        # The oldest have made room for the newer ones, with their answer before the end.
        assert idle[0].recv(65536).startswith(b'{"service"')
        idle[0].settimeout(5)
        assert idle[0].recv(65536) == b""
    finally:
        for client in idle:
            client.close()


def test_it_listens_on_loopback_only(start, tmp_path):
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True,
                               check=False).stdout.split()
    if not addresses or ":" in addresses[0]:
        pytest.skip("no address but loopback")
    stats_port = servers.free_port()
    start.proxy(options=["--config", config(tmp_path, "p.yml", servers.free_port(),
                                            start.memcached(2)), "--stats-port", str(stats_port)])
    assert read_stats(stats_port)["service"] == "nutcracker"
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.settimeout(2)
        client.connect((addresses[0], stats_port))
