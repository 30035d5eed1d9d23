#!/usr/bin/env python3
"""Client libraries cannot tell the proxy from one server.

The scripts of client_scripts.py run against one server directly, and through the proxy before one
and before four servers: the same lines must come back. By hand, against anything that is running:

    python3 tests/system/shard_proxy/test_clients.py PORT [PORT...]

runs the scripts that fit on each port of 127.0.0.1 (they EMPTY it), and compares with the first.
"""
import pathlib
import sys

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import pymemcache
import pylibmc
import pytest
import redis

import client_scripts
from support import servers


def run_redis_py(port, whole_server):
    with redis.Redis(port=port) as client:
        return client_scripts.redis_py(client, whole_server)


def run_pymemcache(port, whole_server):
    client = pymemcache.Client(("127.0.0.1", port), timeout=20, no_delay=True)
    try:
        return client_scripts.pymemcache(client, whole_server)
    finally:
        client.close()


def run_pylibmc(port, whole_server):
    client = pylibmc.Client([f"127.0.0.1:{port}"], behaviors={"cas": True, "tcp_nodelay": True})
    try:
        return client_scripts.pylibmc(client, whole_server)
    finally:
        client.disconnect_all()


SCRIPTS = {"redis-py": ("redis", run_redis_py), "pymemcache": ("memcached", run_pymemcache),
           "pylibmc": ("memcached", run_pylibmc)}


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_client_library_sees_the_same_answers(start, script, count):
    protocol, run = SCRIPTS[script]
    direct = start.backends(protocol)[0].port
    ours = start.proxy(start.backends(protocol, count), protocol).port
    expected = run(direct, count == 1)
    lines = run(ours, count == 1)
    assert len(expected) >= 70
    print(f"{script}, {count} behind: {len(expected)} answers")
    assert lines == expected


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_gives_the_same_lines_twice(start, script):
    protocol, run = SCRIPTS[script]
    first, second = start.backends(protocol, 2)
    assert run(first.port, True) == run(second.port, True)


def speaks(port):
    return "redis" if servers.exchange(port, b"PING\r\n", b"\n") == b"+PONG\r\n" else "memcached"


def main(ports):
    differ = 0
    for script, (protocol, run) in SCRIPTS.items():
        first = None
        for port in ports:
            if speaks(port) != protocol:
                continue
            lines = run(port, False)
            errors = sum(1 for line in lines if "Error: " in line)
            text = f"{script} on {port}: {len(lines)} answers, {errors} of them errors"
            if first is None:
                first = lines
            else:
                wrong = [pair for pair in zip(first, lines) if pair[0] != pair[1]]
                differ += len(wrong) + abs(len(first) - len(lines))
                text += f", {len(wrong)} differ from the first"
                text += "".join(f"\n   first: {a}\n   here:  {b}" for a, b in wrong[:5])
            print(text)
    return 1 if differ else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main([int(word) for word in sys.argv[1:]]))
