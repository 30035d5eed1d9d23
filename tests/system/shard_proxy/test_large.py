"""Many keys in one request, and values so large that they must stream."""
import hashlib
import random
import threading

import pytest

from support import servers
from talk import Memcached, Redis, command

KEYS = 10_000
MIB = 1 << 20


def read_exactly(client, count):
    chunks, left = [], count
    while left > 0:
        chunk = client.recv(min(left, MIB))
        assert chunk, f"closed with {left} bytes missing"
        left -= len(chunk)
        chunks.append(chunk)
    return b"".join(chunks)


def shuffled_keys(seed):
    """10,000 keys with misses and duplicates among them."""
    draw = random.Random(seed)
    keys = [b"key:%d" % draw.randrange(KEYS + 500) for _ in range(KEYS)]
    assert len(set(keys)) < KEYS
    return keys


@pytest.fixture(params=["one", "four"])
def count(request):
    return {"one": 1, "four": 4}[request.param]


def test_mset_and_mget_of_10000_keys_equal_one_server(start, count):
    direct = start.redis()[0].port
    ours = start.proxy(start.redis(count), options=["--timeout", "10s"]).port
    pairs = [(b"key:%d" % i, b"value-%d" % i * (i % 7)) for i in range(KEYS)]
    answers = []
    for port in (direct, ours):
        with Redis(port) as client:
            assert client.ask("MSET", *[word for pair in pairs for word in pair]) == b"OK"
            assert client.ask("DBSIZE") == KEYS
            answers.append([client.ask("MGET", *shuffled_keys(seed)) for seed in range(3)]
                           + [client.ask("EXISTS", *shuffled_keys(4))]
                           + [client.ask("TOUCH", *shuffled_keys(5))]
                           + [client.ask("UNLINK", *shuffled_keys(6)), client.ask("DBSIZE")]
                           + [client.ask("DEL", *[key for key, _ in pairs]), client.ask("DBSIZE")])
    assert answers[0][-1] == 0
    assert answers[1] == answers[0]


def test_an_mset_with_a_key_twice_keeps_the_last_value(start, count):
    ours = start.proxy(start.redis(count)).port
    with Redis(ours) as client:
        words = [word for i in range(1000) for word in (f"k{i % 10}", i)]
        assert client.ask("MSET", *words) == b"OK"
        assert client.ask("MGET", *[f"k{i}" for i in range(10)]) == [b"%d" % i
                                                                     for i in range(990, 1000)]


def test_memcached_get_of_10000_keys_equals_one_server(start, count):
    direct = start.memcached()[0].port
    ours = start.proxy(start.memcached(count), "memcached", ["--timeout", "10s"]).port
    answers = []
    for port in (direct, ours):
        with Memcached(port) as client:
            client.socket.sendall(b"".join(
                b"set key:%d %d 0 %d noreply\r\n%s\r\n" % (i, i, i % 50, b"v" * (i % 50))
                for i in range(KEYS)))
            raw = []
            for seed in range(3):
                client.socket.sendall(b"get " + b" ".join(shuffled_keys(seed)) + b"\r\n")
                reply = b""
                while not reply.endswith(b"\r\nEND\r\n"):
                    reply += client.socket.recv(MIB)
                raw.append(reply)
            answers.append(raw)
    assert answers[0][0].count(b"VALUE ") > KEYS * 0.9
    assert answers[1] == answers[0]


def test_pipelined_multi_gets_keep_their_order(start):
    ours = start.proxy(start.redis(4)).port
    with Redis(ours) as client:
        client.ask("MSET", *[word for i in range(100) for word in (f"k{i}", i)])
        draw = random.Random(1)
        asked = [[draw.randrange(100) for _ in range(draw.randrange(1, 20))] for _ in range(1000)]
        requests = b"".join(command("MGET", *[f"k{i}" for i in keys]) for keys in asked)
        sender = threading.Thread(target=client.socket.sendall, args=(requests,))
        sender.start()
        for keys in asked:
            assert client.reply() == [b"%d" % i for i in keys]
        sender.join()


@pytest.mark.parametrize("size", [1, 16 * 1024, MIB - 1, 8 * MIB, 64 * MIB])
def test_redis_values_of_any_size_pass_unchanged(start, size):
    ours = start.proxy(start.redis(4), options=["--timeout", "10s"]).port
    value = random.Random(size).randbytes(size)
    with Redis(ours) as client, Redis(ours) as other:
        assert client.ask("SET", "big", value) == b"OK"
        client.send("GET", "big")
        other.send("STRLEN", "big")
        assert client.reply() == value
        assert other.reply() == size
        assert client.ask("MGET", "a", "big", "b")[1] == value


def test_memcached_values_of_32_mib_pass_unchanged(start):
    backends = start.memcached(4, extra=["-I", "64m", "-m", "512"])
    ours = start.proxy(backends, "memcached", ["--timeout", "10s"]).port
    value = random.Random(1).randbytes(32 * MIB)
    with Memcached(ours) as client:
        assert client.set(b"big", value) == b"STORED"
        assert client.get(b"a", b"big", b"b") == {b"big": value, None: b"END"}
        assert client.get(b"big") == {b"big": value, None: b"END"}


@pytest.mark.slow
def test_a_value_of_512_mib_streams_through_little_memory(start):
    backend = start.redis()[0]
    proxy = start.proxy([backend], options=["--timeout", "10s"])
    size = 512 * MIB
    with Redis(backend.port, 60) as direct:
        direct.ask("SETRANGE", "huge", size - 8, "the tail")
    client = servers.connect(proxy.port, 60)
    with client:
        client.sendall(command("GET", "huge"))
        head = b"$%d\r\n" % size
        assert read_exactly(client, len(head)) == head
        highest, digest, left = 0, hashlib.sha256(), size
        while left > 0:
            chunk = client.recv(min(left, MIB))
            assert chunk
            digest.update(chunk)
            left -= len(chunk)
            if left // (16 * MIB) != (left + len(chunk)) // (16 * MIB):
                highest = max(highest, proxy.rss_bytes())
        assert read_exactly(client, 2) == b"\r\n"
        expected = hashlib.sha256(bytes(size - 8) + b"the tail")
        assert digest.digest() == expected.digest()
        client.sendall(command("PING"))
        assert client.recv(100) == b"+PONG\r\n"
    print(f"highest RSS of the proxy: {highest / MIB:.1f} MiB")
    assert highest < 100 * MIB
