"""Placement is nutcracker's, key by key: the same nutcracker.yml before the same four servers.

What one of the two writes, the other must find; a key that lay on a different server would be a
miss. The servers themselves are asked as well, and --explain must name the server that answers.
"""
import random
import re
import socket
import subprocess

import pytest

import placement_oracle as oracle
from support import servers

KEYS = 10_000
EXPLAINED = 300
BATCH = 200

POOLS = {
    "ketama with weights": ({"distribution": "ketama", "hash": "fnv1a_64"},
                            ["{0}:1", "{1}:3", "{2}:7", "{3}:2"]),
    "ketama with names": ({"distribution": "ketama", "hash": "murmur"},
                          ["{0}:5 one", "{1}:1 two", "{2}:2 three-longer", "{3}:1 four"]),
    "ketama with md5": ({"distribution": "ketama", "hash": "md5"},
                        ["{0}:1", "{1}:1", "{2}:1", "{3}:1"]),
    "modula": ({"distribution": "modula", "hash": "one_at_a_time"},
               ["{0}:1", "{1}:2", "{2}:1", "{3}:1"]),
    "hash tag": ({"distribution": "ketama", "hash": "fnv1a_64", "hash_tag": '"{}"'},
                 ["{0}:1", "{1}:1", "{2}:1", "{3}:2"]),
}


def make_keys(seed):
    """Names as applications choose them: numbers, paths, tags (open, empty and doubled), UTF-8."""
    draw = random.Random(seed)
    kinds = (lambda n: b"user:%d" % n, lambda n: b"k%d" % n,
             lambda n: b"/a/%x/%d.html" % (draw.getrandbits(48), n),
             lambda n: b"{%d}:field:%d" % (n // 7, n), lambda n: b"{}%d{x}" % n,
             lambda n: b"open{%d" % n, lambda n: "schlüssel-%d-ж".encode() % n,
             lambda n: b"%d" % n + b"x" * draw.randrange(200))
    return [kinds[n % len(kinds)](n) for n in range(KEYS)]


def count_hits(port, keys):
    """How many of the keys are found, asked one by one."""
    hits = 0
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        replies = peer.makefile("rb")
        for at in range(0, len(keys), BATCH):
            batch = keys[at:at + BATCH]
            peer.sendall(b"".join(b"get %s\r\n" % key for key in batch))
            for key in batch:
                line = replies.readline()
                if line == b"VALUE %s 0 1\r\n" % key:
                    hits += replies.readline() == b"x\r\n" and replies.readline() == b"END\r\n"
                else:
                    assert line == b"END\r\n"
    return hits


def explained(config, keys):
    """{key: port} from --explain; a key is a command line word, so it must be text."""
    words = [word for key in keys for word in ("--explain", key.decode())]
    run = subprocess.run([servers.CONSORT, "ambassador", "shard-proxy", "--config", config, *words],
                         capture_output=True, timeout=20, check=True)
    found = [re.search(rb" at 127\.0\.0\.1:(\d+)$", line) for line in run.stdout.splitlines()]
    assert len(found) == len(keys)
    return {key: int(match[1]) for key, match in zip(keys, found)}


@pytest.fixture(scope="module")
def ports(start_for_module):
    """Four empty memcached servers."""
    return [server.port for server in start_for_module.memcached(4)]


@pytest.mark.parametrize("name", POOLS)
def test_every_key_lies_where_nutcracker_puts_it(start, ports, tmp_path, name):
    options, entries = POOLS[name]
    entries = [entry.format(*(f"127.0.0.1:{port}" for port in ports)) for entry in entries]
    theirs, ours = servers.free_port(), servers.free_port()
    start.nutcracker(oracle.pool_yaml("alpha", theirs, entries, **options), theirs)
    config = tmp_path / "nutcracker.yml"
    config.write_text(oracle.pool_yaml("alpha", ours, entries, **options))
    start.proxy(options=["--config", config])

    for writer, reader, seed in ((theirs, ours, 1), (ours, theirs, 2)):
        oracle.flush(ports)
        keys = make_keys(seed)
        oracle.write_keys(writer, keys)
        holder = oracle.holders(ports, keys)
        hits = count_hits(reader, keys)
        share = [sum(1 for index in holder.values() if index == i) for i in range(4)]
        direction = "nutcracker -> ours" if reader == ours else "ours -> nutcracker"
        print(f"{name}, {direction}: {len(keys)} keys {share}, {len(keys) - hits} elsewhere")
        assert hits == len(keys)
        assert all(share)
        sample = keys[::len(keys) // EXPLAINED]
        named = explained(config, sample)
        assert {key: ports[holder[key]] for key in sample} == named
