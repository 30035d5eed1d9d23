"""The known bugs of other proxies (twemproxy above all), each as a test that we do not have it."""
import threading
import time

import pytest

from support import servers
from support.servers import wait_until
from talk import Memcached, Redis, command, owners, timed


def test_b1_a_line_feed_in_a_key_never_steals_the_reply_of_another_client(start):
    proxy = start.proxy(start.memcached(), "memcached")
    with Memcached(proxy.port) as victim, Memcached(proxy.port) as attacker:
        assert victim.set(b"mykey", b"mine") == b"STORED"
        assert victim.set(b"evil2", b"stolen") == b"STORED"
        for _ in range(200):
            attacker.socket.sendall(b"get evil1\nget evil2\r\nget a\x01b\r\nget a\rget evil2\r\n")
            assert victim.get(b"mykey") == {b"mykey": b"mine", None: b"END"}
        lines = [attacker.line() for _ in range(6 * 200)]
        refused = b"CLIENT_ERROR bad command line format"
        assert set(lines) <= {b"END", b"VALUE evil2 0 6", b"stolen", refused}
        assert lines.count(b"stolen") == 200


def test_b2_auth_comes_before_select_and_data_lands_in_the_configured_database(start, tmp_path):
    backend = start.redis(extra=["--requirepass", "secret"])[0]
    port = servers.free_port()
    config = tmp_path / "nutcracker.yml"
    config.write_text(f"alpha:\n  listen: 127.0.0.1:{port}\n  redis: true\n  redis_auth: secret\n"
                      f"  redis_db: 3\n  servers:\n   - 127.0.0.1:{backend.port}:1\n")
    proxy = start.proxy(options=["--config", config])

    def in_database(number, key):
        with Redis(backend.port) as direct:
            assert direct.ask("AUTH", "secret") == b"OK"
            assert direct.ask("SELECT", number) == b"OK"
            return direct.ask("GET", key)

    with Redis(port) as client:
        assert client.error("GET", "k").startswith("NOAUTH ")
        assert client.error("AUTH", "wrong").startswith("WRONGPASS ")
        assert client.ask("AUTH", "secret") == b"OK"
        client.socket.sendall(b"".join(command("SET", f"k{i}", i) for i in range(100)))
        assert [client.reply() for _ in range(100)] == [b"OK"] * 100
        assert in_database(3, "k7") == b"7"
        assert in_database(0, "k7") is None
        # The server's connection is made anew: again AUTH, then SELECT.
        with Redis(backend.port) as direct:
            direct.ask("AUTH", "secret")
            direct.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

        def stored():
            seconds, answer = timed(lambda: client.ask("SET", "again", "1"))
            assert not str(answer).startswith("NOAUTH"), f"{answer} after {seconds} s"
            return answer == b"OK"

        wait_until(stored, "the server's connection being back")
        assert in_database(3, "again") == b"1"
        assert in_database(0, "again") is None
    assert proxy.metric("consort_shard_connects_total") == 2


def test_b3_one_clients_oom_error_is_its_own(start):
    backend = start.redis(extra=["--maxmemory-policy", "noeviction"])[0]
    proxy = start.proxy([backend])
    with Redis(proxy.port) as writer, Redis(proxy.port) as reader:
        assert writer.ask("SET", "k", "v") == b"OK"
        with Redis(backend.port) as direct:
            direct.ask("CONFIG", "SET", "maxmemory", "1")
            text = direct.error("SET", "k", "w")
        assert text.startswith("OOM command not allowed")
        for _ in range(100):
            writer.send("SET", "k", "w")
            reader.send("GET", "k")
            assert reader.reply() == b"v"
            with pytest.raises(Redis.Failed, match=text[:40]):
                writer.reply()
        assert writer.error("SET", "k", "w") == text
        assert writer.ask("GET", "k") == b"v"
    assert proxy.metric("consort_shard_connects_total") == 1


@pytest.mark.alone
def test_b4_a_request_that_times_out_fails_alone(start):
    backend = start.redis(extra=["--enable-debug-command", "yes"])[0]
    proxy = start.proxy([backend], options=["--timeout", "400ms"])
    with Redis(proxy.port) as slow, Redis(proxy.port) as later, Redis(backend.port) as direct:
        slow.ask("SET", "k", "v")
        begin = time.monotonic()
        direct.send("DEBUG", "SLEEP", "0.7")
        slow.send("GET", "k")
        # Sent so late that its own 400 ms are not over when the server wakes.
        time.sleep(max(0.0, begin + 0.5 - time.monotonic()))
        later.send("STRLEN", "k")
        with pytest.raises(Redis.Failed, match=f"ERR 127.0.0.1:{backend.port} timed out"):
            slow.reply()
        assert later.reply() == 1
        assert slow.ask("GET", "k") == b"v"
        assert direct.reply() == b"OK"
    assert proxy.metric("consort_shard_connects_total") == 1
    assert proxy.metric("consort_shard_timeouts_total") == 1
    assert proxy.metric("consort_shard_late_replies_total") == 1


REDIS_SURPRISES = [b"ECHO x\r\n", b"SELECT 0\r\n", b"HELLO\r\n", b"CLIENT GETNAME\r\n",
                   b"CLIENT LIST\r\n", b"INFO\r\n", b"TIME\r\n", b"PING x\r\n", b"GET\r\n",
                   b"NONSENSE\r\n", b"MULTI\r\n", b"SUBSCRIBE x\r\n", b"BLPOP x 0.1\r\n",
                   b"MONITOR\r\n", b"KEYS *\r\n", b"SCAN 0\r\n", b"CONFIG GET *\r\n",
                   b"SELECT 1\r\n", b"WATCH k\r\n", b"WAIT 0 10\r\n",
                   b"SYNC\r\n", b"PSYNC ? -1\r\n", b"CLIENT PAUSE 1 WRITE\r\n"]
# What the next GET k gets, as from one server, where that is not the value.
AFTER_SURPRISE = {
    b"MULTI\r\n": b"QUEUED",
    b"SELECT 1\r\n": None,
    b"SUBSCRIBE x\r\n": "ERR Can't execute 'get'",
}


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("surprise", REDIS_SURPRISES, ids=lambda line: line.strip().decode())
def test_b5_redis_surprises_lose_no_replies(redis_pools, surprise, count):
    survives(redis_pools[count], surprise)


@pytest.mark.parametrize("surprise", [b"SHUTDOWN NOSAVE\r\n", b"DEBUG SLEEP 100\r\n",
                                      b"DEBUG SEGFAULT\r\n", b"CLUSTER RESET\r\n",
                                      b"REPLICAOF 127.0.0.1 1\r\n", b"FAILOVER\r\n"])
def test_b5_one_client_of_several_servers_cannot_stop_them(redis_pools, surprise):
    survives(redis_pools[4], surprise)


def survives(proxy, surprise):
    with Redis(proxy.port) as client:
        client.socket.sendall(b"SET k v\r\nGET k\r\n" + surprise + b"GET k\r\n")
        assert client.reply() == b"OK"
        assert client.reply() == b"v"
        _, answer = timed(client.reply)
        assert not isinstance(answer, OSError)
        expected = AFTER_SURPRISE.get(surprise, b"v")
        if isinstance(expected, str):
            with pytest.raises(Redis.Failed, match=expected):
                client.reply()
        else:
            assert client.reply() == expected


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("surprise", [b"BLPOP x 0\r\n", b"CLIENT REPLY OFF\r\n"])
def test_b5_a_client_that_is_silent_from_now_on_is_silent_alone(redis_pools, surprise, count):
    with Redis(redis_pools[count].port) as silent, Redis(redis_pools[count].port) as other:
        assert silent.ask("SET", "k", "v") == b"OK"
        silent.socket.sendall(surprise + b"GET k\r\n")
        assert other.ask("GET", "k") == b"v"
        silent.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            silent.socket.recv(1)


@pytest.fixture(scope="module")
def redis_pools(start_for_module):
    return {count: start_for_module.proxy(start_for_module.redis(count)) for count in (1, 4)}


MEMCACHED_SURPRISES = [b"stats", b"flush_all", b"gat 0 nope", b"mg nope", b"mn", b"nonsense",
                       b"get", b"watch", b"slabs automove 1", b"lru_crawler disable", b"shutdown",
                       b"verbosity 0", b"cache_memlimit 64", b"lru mode flat", b"misbehave"]


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("surprise", MEMCACHED_SURPRISES, ids=lambda line: line.decode())
def test_b5_memcached_surprises_lose_no_replies(memcached_pools, surprise, count):
    with Memcached(memcached_pools[count].port) as client:
        client.socket.sendall(b"set k 0 0 1\r\nv\r\nget k\r\n" + surprise
                              + b"\r\nset end 0 0 1\r\nx\r\n")
        assert [client.line() for _ in range(4)] == [b"STORED", b"VALUE k 0 1", b"v", b"END"]
        assert client.line() != b"STORED"
        wait_until(lambda: client.line() == b"STORED", "the answer to the last request")


@pytest.fixture(scope="module")
def memcached_pools(start_for_module):
    return {count: start_for_module.proxy(start_for_module.memcached(count), "memcached")
            for count in (1, 4)}


def test_b6_commands_with_keys_on_several_servers_are_right_or_refused(start):
    backends = start.redis(4)
    proxy = start.proxy(backends, options=["--hash", "murmur", "--hash-tag", "{}"])
    tags = [f"{{{i}}}" for i in range(40)]
    owned = owners(proxy.port, [backend.port for backend in backends], tags)
    assert all(len(held) >= 2 for held in owned.values())
    keys = [key for held in owned.values() for key in held[:2]]
    a, b = keys[0], keys[2]  # on different servers
    with Redis(proxy.port) as client:
        for key in keys:
            client.ask("SADD", "set" + key, "shared", key)
            client.ask("PFADD", "hll" + key, key)
        assert client.ask("EXISTS", *keys) == 8
        assert client.ask("EXISTS", *keys, *keys, "nope") == 16
        assert client.ask("TOUCH", *keys) == 8
        assert client.ask("MGET", *keys) == [key.encode() for key in keys]
        assert client.ask("SINTER", "set" + keys[0], "set" + keys[1]) == [b"shared"]
        assert client.ask("PFCOUNT", "hll" + keys[0], "hll" + keys[1]) == 2
        assert client.ask("SINTER", *["set" + key for key in keys]) == [b"shared"]
        assert client.ask("PFCOUNT", *["hll" + key for key in keys]) == 8
        for words in (["SINTERSTORE", *["set" + key for key in keys]],
                      ["SUNIONSTORE", *["set" + key for key in keys]],
                      ["PFMERGE", *["hll" + key for key in keys]],
                      ["MSETNX", *[word for key in keys for word in (key, "x")]],
                      ["SMOVE", "set" + a, "set" + b, "shared"], ["RENAME", a, b], ["COPY", a, b],
                      ["BITOP", "AND", *keys], ["ZUNION", "8", *keys],
                      ["LMPOP", "8", *keys, "LEFT"], ["EVAL", "return 1", "8", *keys],
                      ["SORT", a, "STORE", b],
                      ["GEORADIUS", a, "1", "1", "1", "m", "STORE", b],
                      ["XREAD", "STREAMS", *keys, *["0"] * 8], ["RPOPLPUSH", a, b]):
            assert client.error(*words).startswith("CROSSSLOT "), words
        assert client.ask("UNLINK", *keys[:4]) == 4
        assert client.ask("DEL", *keys) == 4


def test_b7_noreply_is_silent_for_every_command(start):
    proxy = start.proxy(start.memcached(), "memcached")
    with Memcached(proxy.port) as client:
        client.socket.sendall(
            b"set a 0 0 1 noreply\r\n1\r\ndelete a noreply\r\ndelete a noreply\r\n"
            b"add a 0 0 1 noreply\r\n1\r\nincr a 1 noreply\r\ntouch a 0 noreply\r\n"
            b"cas a 0 0 1 9 noreply\r\n1\r\nflush_all 100 noreply\r\nverbosity 0 noreply\r\n")
        assert client.get(b"a") == {b"a": b"2", None: b"END"}
        assert client.ask(b"incr a 1") == b"3"


@pytest.mark.parametrize("key_bytes", [16 * 1024, 17 * 1024, 1024 * 1024])
def test_b8_long_redis_keys_pass(start, key_bytes):
    proxy = start.proxy(start.redis(4))
    with Redis(proxy.port) as client:
        key = b"k" * key_bytes
        assert client.ask("SET", key, "v") == b"OK"
        assert client.ask("MGET", "a", key, "b") == [None, b"v", None]
        assert client.ask("DEL", key, "a") == 1


def test_b10_a_value_that_is_too_large_is_swallowed_and_the_stream_stays_in_step(start):
    proxy = start.proxy(start.memcached(), "memcached")
    too_large = b"SERVER_ERROR object too large for cache"
    with Memcached(proxy.port) as writer, Memcached(proxy.port) as other:
        assert other.set(b"mine", b"v") == b"STORED"
        for size in (1 << 20, 3 << 20, 17 << 20):
            body = b"set evil 0 0 1\r\nx\r\n" * (size // 19 + 1)
            request = b"set big 0 0 %d\r\n%s\r\nget mine\r\n" % (size, body[:size])
            sender = threading.Thread(target=writer.socket.sendall, args=(request,))
            sender.start()
            for _ in range(50):
                assert other.get(b"mine") == {b"mine": b"v", None: b"END"}
            assert writer.line() == too_large
            sender.join()
            assert [writer.line() for _ in range(3)] == [b"VALUE mine 0 1", b"v", b"END"]
        assert other.get(b"evil", b"big") == {None: b"END"}
        # Above our own limit the body is never kept.
        writer.socket.sendall(b"set big 0 0 %d\r\n" % (200 << 20))
        assert writer.line() == too_large
        block = b"z" * (4 << 20)
        for _ in range(50):
            writer.socket.sendall(block)
        writer.socket.sendall(b"\r\n")
        assert writer.get(b"mine") == {b"mine": b"v", None: b"END"}
    if not servers.is_sanitized():
        assert proxy.rss_bytes() < 150 << 20
    assert proxy.metric("consort_shard_connects_total") == 1
