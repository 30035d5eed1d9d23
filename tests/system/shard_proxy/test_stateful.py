"""What has state beyond one request: SCAN's walks, subscriptions, blocked clients.

Transactions have a file of their own: test_transactions.py.
"""
import asyncio
import collections
import multiprocessing
import socket
import struct
import time

import pytest

import walks
from crowd import Consumer, Peer, Subscriber, open_all, until
from stateful import OPTIONS, ask_direct, blocked_on, by_server, client_list, subscriptions_on
from support import servers
from support.servers import wait_until
from talk import Redis, command

PLENTY = ["--private-connections", "1000"]
TAKEN = "needs a connection of its own, and all private_connections are taken"

# ---- SCAN ----

WALKS = [
    {"COUNT": 10, "MATCH": "stay:*"},
    {"COUNT": 100},
    {"COUNT": 100, "MATCH": "stay:*7"},
    {"COUNT": 100, "TYPE": "hash"},
    {"COUNT": 1000},
    {"COUNT": 1000, "MATCH": "stay:1*", "TYPE": "string"},
]


def test_scan_misses_no_key_that_stays_while_tables_grow_and_shrink(start):
    backends = start.redis(4, extra=("--enable-debug-command", "local"))
    proxy = start.proxy(backends, options=OPTIONS)
    walks.load_staying(proxy.port)
    tide = walks.Tide(proxy.port, [backend.port for backend in backends])
    end = time.time() + 40
    # The quick walks again and again: each meets another moment of the tide.
    tasks = [(proxy.port, options, end) for options in WALKS
             for _ in range(min(options["COUNT"] // 20, 10) or 1)]
    results = []
    with multiprocessing.get_context("fork").Pool(3) as pool:
        while min(tide.floods, tide.ebbs) < 2 and time.time() < end:
            under_way = pool.map_async(walks.walk, tasks, chunksize=1)
            while not under_way.ready() and time.time() < end:
                tide.flood(under_way.ready)
                tide.ebb(under_way.ready)
            results += under_way.get(10)
    tide.close()
    slowest = max(results, key=lambda result: result["seconds"])
    print(f"{len(results)} walks, {sum(r['calls'] for r in results)} calls, "
          f"{sum(r['returned'] for r in results)} keys, {sum(r['twice'] for r in results)} of them "
          f"again; tables grew {tide.floods} and shrank {tide.ebbs} times; slowest walk "
          f"{slowest['seconds']:.1f} s {slowest['options']}")
    for result in results:
        assert result["missed"] == [], result
        assert result["foreign"] == [], result
    assert tide.floods >= 2
    assert tide.ebbs >= 2


def test_scans_inside_a_key_are_the_servers_own(start):
    backends = start.redis(4)
    proxy = start.proxy(backends, options=OPTIONS)
    members = 3000
    calls = 0
    with Redis(proxy.port) as client:
        for name, add in (("HSCAN", "HSET"), ("SSCAN", "SADD"), ("ZSCAN", "ZADD")):
            words = []
            for i in range(members):
                words += {"HSET": [f"m{i}", i], "SADD": [f"m{i}"], "ZADD": [i, f"m{i}"]}[add]
            assert client.ask(add, name, *words) == members
            owner = next(b for b in backends if ask_direct(b, "EXISTS", name))
            for extra in ([], ["COUNT", 100], ["COUNT", 50, "MATCH", "m*5"]):
                calls += compare_walks(proxy.port, owner.port, name, extra)
    print(f"{calls} calls of HSCAN, SSCAN and ZSCAN gave the server's own bytes")


def compare_walks(port, server_port, name, extra):
    """Each step through the proxy and directly; the number of steps."""
    cursor, calls = b"0", 0
    with servers.connect(port) as ours, servers.connect(server_port) as direct:
        while calls == 0 or cursor != b"0":
            request = command(name, name, cursor, *extra)
            answers = []
            for client in (ours, direct):
                # A PING behind it tells where the reply ends.
                client.sendall(request + command("PING"))
                data = b""
                while not data.endswith(b"+PONG\r\n"):
                    chunk = client.recv(1 << 16)
                    assert chunk, "closed"
                    data += chunk
                answers.append(data)
            assert answers[0] == answers[1]
            cursor = answers[0].split(b"\r\n")[2]
            calls += 1
            assert calls < 5000
    return calls


# ---- subscribers and blocked clients ----

QUEUES = 20
NAMES = [f"queue{i}" for i in range(QUEUES)]
KINDS = ["subscribe"] * 50 + ["psubscribe"] * 20 + ["ssubscribe"] * 30


class Crowd:
    """100 subscribers, 100 consumers of QUEUES queues, and one more client that feeds them."""

    def __init__(self, start):
        self.start = start
        self.backends = start.redis(4)
        self.proxy = start.proxy(self.backends, options=[*OPTIONS, *PLENTY])
        self.pushed = collections.Counter()
        self.published = 0

    async def gather(self):
        queues = by_server(self.proxy, self.backends, NAMES)
        channels = [f"{kind}:{i}" for i, kind in enumerate(KINDS)]
        placed = by_server(self.proxy, self.backends, channels)
        self.victim = self.backends[0]
        self.others = self.backends[1:]
        self.victim_queues = set(queues[0])
        self.victim_channels = set(placed[0])
        assert len(self.victim_queues) >= 2 and len(self.victim_channels) >= 10
        self.feeder = await Peer.open(self.proxy.port)
        peers = await open_all(self.proxy.port, len(KINDS))
        self.subscribers = [Subscriber(peer, kind, number)
                            for number, (peer, kind) in enumerate(zip(peers, KINDS))]
        await asyncio.gather(*(subscriber.start() for subscriber in self.subscribers))
        peers = await open_all(self.proxy.port, 100)
        self.consumers = [Consumer(peer, NAMES[i % QUEUES]) for i, peer in enumerate(peers)]
        for consumer in self.consumers:
            consumer.start()
        await self.all_blocked()

    async def all_blocked(self, backends=None):
        live = self.backends if backends is None else backends
        want = sum(not consumer.task.done() for consumer in self.consumers)
        await until(lambda: sum(blocked_on(backend) for backend in live) == want,
                    f"{want} clients being blocked")

    async def push(self, queues, each):
        """Elements that no other push has; returns when all have been taken."""
        for queue in queues:
            for _ in range(each):
                element = f"e{len(self.pushed)}"
                self.pushed[element] += 1
                assert (await self.feeder.ask("RPUSH", queue, element)).startswith(":")
        await until(lambda: self.taken() == self.pushed, "every element being taken once")

    def taken(self):
        return collections.Counter(e for consumer in self.consumers for e in consumer.taken)

    async def publish(self, channels=None):
        """One message to each channel, which its subscriber gets and nobody else."""
        for subscriber in self.subscribers:
            if channels is not None and subscriber.channel not in channels:
                continue
            text = f"text{self.published}"
            self.published += 1
            self.feeder.send(subscriber.publish, subscriber.channel, text)
            assert await self.feeder.reply() == ":1", subscriber.channel
            assert await subscriber.peer.reply() == subscriber.message(text)
        assert all(subscriber.peer.frames.empty() for subscriber in self.subscribers)

    def close(self):
        for one in [self.feeder, *(s.peer for s in self.subscribers)]:
            one.close()


def test_100_subscribers_and_100_blocked_clients_while_a_server_restarts(start):
    asyncio.run(asyncio.wait_for(live_through_a_restart(Crowd(start)), 40))


async def live_through_a_restart(crowd):
    await crowd.gather()
    await crowd.publish()
    await crowd.push(NAMES, 10)
    subscribed = subscriptions_on(crowd.victim)
    down_seconds, noticed_seconds = await kill_and_restart(crowd)
    # Without a word of theirs.
    back_seconds = await until(lambda: subscriptions_on(crowd.victim) == subscribed,
                               "the subscriptions being back")
    await crowd.publish()
    await block_again(crowd)
    await crowd.push(NAMES, 10)
    killed = await kill_consumers(crowd)
    await crowd.push(NAMES, 4)
    assert not any(s.peer.is_closed for s in crowd.subscribers)
    private = await leave(crowd)
    print(f"server away {down_seconds:.2f} s: errors within {noticed_seconds:.3f} s, subscriptions "
          f"back after {back_seconds:.2f} s; {crowd.published} messages, {len(crowd.pushed)} "
          f"elements, {killed} blocked clients killed; {private} private connections at the end")


async def kill_and_restart(crowd):
    victims = [c for c in crowd.consumers if c.queue in crowd.victim_queues]
    begin = time.monotonic()
    crowd.victim.kill()
    noticed = await until(lambda: all(c.task.done() for c in victims), "the errors", 2)
    name = f"127.0.0.1:{crowd.victim.port}"
    assert {error for c in victims for error in c.errors} == {
        f"-ERR {name} connection closed by the server"}
    # The others notice nothing, neither now nor while it is away.
    live_queues = set(NAMES) - crowd.victim_queues
    live_channels = {s.channel for s in crowd.subscribers} - crowd.victim_channels
    await crowd.push(live_queues, 5)
    await crowd.publish(live_channels)
    assert (await victims[0].peer.ask("BLPOP", victims[0].queue, 0)).startswith(f"-ERR {name} ")
    crowd.victim = crowd.backends[0] = crowd.start.redis(port=crowd.victim.port)[0]
    down = time.monotonic() - begin
    await until(lambda: crowd.proxy.output().count("server.up") == 5, "the server's return")
    assert [c for c in crowd.consumers if c.errors and c not in victims] == []
    return down, noticed


async def block_again(crowd):
    """One error each, and the same connection works again."""
    victims = [c for c in crowd.consumers if c.queue in crowd.victim_queues]
    for consumer in victims:
        assert len(consumer.errors) == 1 and consumer.peer.frames.empty()
        consumer.errors.clear()
        consumer.start()
    await crowd.all_blocked()


async def kill_consumers(crowd):
    """Two of the five of each queue; what is pushed then must go to the others."""
    dying = crowd.consumers[:2 * QUEUES]
    done = sum((c.taken for c in dying), [])
    for number, consumer in enumerate(dying):
        await consumer.stop(by_reset=number % 2 == 1)
    await crowd.all_blocked()
    assert sum((c.taken for c in dying), []) == done
    return len(dying)


async def leave(crowd):
    """Every client leaves; nothing of theirs stays on the servers."""
    for consumer in crowd.consumers[2 * QUEUES:]:
        assert consumer.errors == []
        await consumer.stop()
    crowd.close()
    await until(lambda: crowd.proxy.metric("consort_clients") == 0, "all clients being gone")
    await until(lambda: sum(blocked_on(b) + subscriptions_on(b) for b in crowd.backends) == 0,
                "the servers being left alone", 3)
    private = crowd.proxy.metric("consort_private_connections")
    assert private <= 10
    # And the shared ones: of RESP2 and RESP3 to each server.
    assert sum(len(client_list(b)) for b in crowd.backends) <= private + 8
    lengths = [ask_direct(b, "LLEN", name) for b in crowd.backends for name in NAMES]
    assert sum(lengths) == 0
    return int(private)


def test_a_blocked_client_is_told_of_its_own_timeout_in_its_own_protocol(start):
    async def run(port):
        old, new = await open_all(port, 2)
        assert await old.ask("BLPOP", "nothing", 0.05) == "*null"
        assert await new.ask("BLPOP", "nothing", 0.05) == "_"
        assert await old.ask("BLMOVE", "nothing", "nothing", "LEFT", "LEFT", 0.05) in ("$null",
                                                                                    "*null")
        for peer in (old, new):
            assert await peer.ask("PING") == "+PONG"
            peer.close()

    asyncio.run(asyncio.wait_for(
        run(start.proxy(start.redis(4), options=OPTIONS).port), 10))


def depart(client, how):
    if how == "reset":
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.file.close()
    client.socket.close()


@pytest.mark.parametrize("behind", [b"", command("PING")], ids=["alone", "with_more_behind"])
@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_blocked_client_that_goes_pops_nothing_any_more(start, how, behind):
    """A killed process sends a FIN like any other; the server then forgets what it waited for."""
    backend = start.redis()[0]
    proxy = start.proxy([backend], options=OPTIONS)
    client = Redis(proxy.port)
    client.socket.sendall(command("BLPOP", "queue", 0) + behind)
    wait_until(lambda: blocked_on(backend) == 1, "being blocked")
    depart(client, how)
    wait_until(lambda: blocked_on(backend) == 0, f"the server being told of a {how}", 10)
    with Redis(proxy.port) as other:
        assert other.ask("RPUSH", "queue", "element") == 1
        assert other.ask("LLEN", "queue") == 1
        assert other.ask("LPOP", "queue") == b"element"
    wait_until(lambda: proxy.metric("consort_private_connections") == 0, "its connection's end", 10)


# ---- the limit of private connections ----

def test_above_private_connections_clients_are_refused_and_the_others_work(start):
    backends = start.redis(4)
    proxy = start.proxy(backends, options=[*OPTIONS, "--private-connections", "10"])
    owned = by_server(proxy, backends, [f"list{i}" for i in range(100)])
    asyncio.run(asyncio.wait_for(meet_the_limit(proxy, backends, owned), 20))
    print(f"10 of 20 blocked clients refused, "
          f"{int(proxy.metric('consort_private_connections'))} private connections at the end")


async def meet_the_limit(proxy, backends, owned):
    peers = await open_all(proxy.port, 20)
    names = [keys[i] for i in range(5) for keys in owned]
    for peer, name in zip(peers, names):
        peer.send("BLPOP", name, 0)
    await until(lambda: sum(not peer.frames.empty() for peer in peers) == 10, "ten refusals")
    refused = [peer for peer in peers if not peer.frames.empty()]
    held = [(peer, name) for peer, name in zip(peers, names) if peer.frames.empty()]
    for peer in refused:
        assert await peer.reply() == f"-ERR 'BLPOP' {TAKEN}"
    await refused_otherwise(refused[0], names[0])
    await until(lambda: sum(blocked_on(b) for b in backends) == 10, "ten being blocked")
    assert proxy.metric("consort_private_connections") == 10
    # Two come free: one by its element, one by its client's end.
    (first, first_name), (second, _) = held[0], held[1]
    assert await refused[0].ask("RPUSH", first_name, "element") == ":1"
    assert await first.reply() == f"*[${first_name}, $element]"
    second.close()
    await until(lambda: sum(blocked_on(b) for b in backends) == 8, "eight being blocked")
    for peer in refused[:3]:
        peer.send("BLPOP", "again", 0)
    await until(lambda: sum(not peer.frames.empty() for peer in refused[:3]) == 1, "one refusal")
    await until(lambda: sum(blocked_on(b) for b in backends) == 10, "ten being blocked again")
    await all_on_one_server(proxy, backends, peers, owned[2])


async def refused_otherwise(peer, key):
    """Whatever else needs one is refused too; what needs none goes on."""
    assert await peer.ask("SUBSCRIBE", "news") == (
        "-ERR a subscription needs a connection of its own, and all private_connections are taken")
    assert await peer.ask("WATCH", key) == f"-ERR 'WATCH' {TAKEN}"
    assert await peer.ask("MULTI") == "+OK"
    assert (await peer.ask("SET", key, "x")) == f"-ERR 'SET' {TAKEN}"
    assert (await peer.ask("EXEC")).startswith("-EXECABORT")
    assert await peer.ask("EXISTS", key) == ":0"
    assert await peer.ask("SET", "other", "x") == "+OK"
    assert await peer.ask("DEL", "other") == ":1"


async def all_on_one_server(proxy, backends, peers, names):
    """Idle connections to other servers make room."""
    for peer in peers:
        peer.close()
    await until(lambda: proxy.metric("consort_clients") == 0, "all being gone")
    await until(lambda: sum(blocked_on(b) for b in backends) == 0, "none being blocked")
    peers = await open_all(proxy.port, 10)
    for peer, name in zip(peers, names):
        peer.send("BLPOP", name, 0)
    await until(lambda: blocked_on(backends[2]) == 10, "ten being blocked on one server")
    assert all(peer.frames.empty() for peer in peers)
    for peer in peers:
        peer.close()
    await until(lambda: blocked_on(backends[2]) == 0, "none being blocked there")
