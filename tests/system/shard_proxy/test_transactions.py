"""MULTI, EXEC and WATCH through the proxy: conflicts, several servers, servers that die."""
import asyncio
import collections
import random
import signal
import time

import pytest

from crowd import open_all, until
from stateful import OPTIONS, ask_direct, by_server
from support.servers import wait_until
from talk import Redis, owners

COUNTERS = [f"{{counter{i}}}" for i in range(8)]
CLIENTS = 20
INCREMENTS = 40


async def increment(peer, counter, outcomes):
    """One WATCH/GET/MULTI/SET/EXEC; the log next to the counter tells half transactions."""
    assert await peer.ask("WATCH", counter) == "+OK"
    value = await peer.ask("GET", counter)
    number = 1 if value in ("$null", "_") else int(value[1:]) + 1
    for words in (["MULTI"], ["SET", counter, number], ["RPUSH", counter + "log", number],
                  ["EXEC"]):
        peer.send(*words)
    assert [await peer.reply() for _ in range(3)] == ["+OK", "+QUEUED", "+QUEUED"]
    result = await peer.reply()
    if result in ("*null", "_"):
        outcomes["conflict"] += 1
        return False
    assert result == f"*[+OK, :{number}]"
    outcomes[counter] += 1
    return True


async def increment_often(peer, seed, outcomes):
    draw = random.Random(seed)
    done = 0
    while done < INCREMENTS:
        counter = draw.choice(COUNTERS)
        if draw.random() < 0.1:
            # What is discarded must leave no trace, in the data or on the connection.
            for words in (["WATCH", counter], ["MULTI"], ["SET", counter, "wrong"], ["DISCARD"]):
                peer.send(*words)
            assert [await peer.reply() for _ in range(4)] == ["+OK", "+OK", "+QUEUED", "+OK"]
        done += await increment(peer, counter, outcomes)


def test_watch_makes_every_increment_count(start):
    backends = start.redis(4)
    proxy = start.proxy(backends, options=OPTIONS)
    outcomes = collections.Counter()

    async def run():
        peers = await open_all(proxy.port, CLIENTS)
        await asyncio.gather(*(increment_often(peer, seed, outcomes)
                               for seed, peer in enumerate(peers)))
        for peer in peers:
            peer.close()

    begin = time.monotonic()
    asyncio.run(asyncio.wait_for(run(), 30))
    seconds = time.monotonic() - begin
    used = sum(ask_direct(backend, "DBSIZE") > 0 for backend in backends)
    print(f"{CLIENTS * INCREMENTS} transactions on {used} servers in {seconds:.1f} s, "
          f"{outcomes['conflict']} conflicts")
    with Redis(proxy.port) as client:
        for counter in COUNTERS:
            assert int(client.ask("GET", counter)) == outcomes[counter]
            log = client.ask("LRANGE", counter + "log", 0, -1)
            assert log == [b"%d" % (i + 1) for i in range(outcomes[counter])]
    assert sum(outcomes[counter] for counter in COUNTERS) == CLIENTS * INCREMENTS
    assert outcomes["conflict"] >= 20
    assert used >= 3


def test_a_transaction_over_two_servers_is_refused_and_changes_nothing(start):
    backends = start.redis(4)
    proxy = start.proxy(backends, options=OPTIONS)
    names = [keys[0] for keys in by_server(proxy, backends, [f"key{i}" for i in range(100)])]
    cross = "CROSSSLOT Keys in request don't hash to the same slot"
    refused = 0
    with Redis(proxy.port) as client:
        for one in names:
            for other in names:
                if one == other:
                    continue
                for watched in (None, one, other):
                    if watched:
                        assert client.ask("WATCH", watched) == b"OK"
                    assert client.ask("MULTI") == b"OK"
                    # The keys of a watched server come first; others spoil it at once.
                    first = client.ask if watched != other else client.error
                    assert first("SET", one, "x") in (b"QUEUED", cross)
                    last = client.error if watched != other else client.ask
                    assert last("SET", other, "x") in (b"QUEUED", cross)
                    assert client.error("EXEC") == (
                        "EXECABORT Transaction discarded because of previous errors.")
                    refused += 1
                assert client.error("WATCH", one, other) == cross
                assert client.ask("MULTI") == b"OK"
                assert client.error("MSET", one, "x", other, "x") == cross
                assert client.ask("DISCARD") == b"OK"
        assert client.ask("EXISTS", *names) == 0
        assert client.ask("SET", names[0], "fine") == b"OK"
    assert sum(ask_direct(backend, "DBSIZE") for backend in backends) == 1
    print(f"{refused} transactions over two servers refused, nothing changed")


ACCOUNTS = [f"{{bank}}{i}" for i in range(5)]
BEFORE = 1000


async def transfer(peer, seed, outcomes, stopping):
    """Moves 1 from one account to another, and logs it, until told to stop."""
    draw = random.Random(seed)
    while not stopping.is_set():
        giver, taker = draw.sample(ACCOUNTS, 2)
        if not (await peer.ask("WATCH", giver, taker)).startswith("+OK"):
            await asyncio.sleep(0.01)
            continue
        requests = [["MULTI"], ["DECRBY", giver, 1], ["INCRBY", taker, 1],
                    ["RPUSH", "{bank}log", seed]]
        answers = []
        for words in requests:
            answers.append(await peer.ask(*words))
            # The kill finds clients at every step.
            await asyncio.sleep(draw.random() * 0.004)
        result = await peer.ask("EXEC")
        outcomes[outcome_of(result, answers)] += 1


def outcome_of(result, answers):
    if result.startswith("*[:"):
        assert answers == ["+OK", "+QUEUED", "+QUEUED", "+QUEUED"]
        return "done"
    if result in ("*null", "_"):
        return "null"
    if result == "-EXECABORT Transaction discarded because of previous errors.":
        return "aborted"
    # Lost while EXEC was under way: nobody can know what became of it.
    assert result.startswith("-ERR 127.0.0.1:"), result
    return "unknown"


def test_a_server_killed_between_watch_and_exec_leaves_no_half_transaction(start, tmp_path):
    # What it wrote before the kill is there after it.
    durable = ("--appendonly", "yes", "--appendfsync", "everysec", "--dir", tmp_path)
    backends = start.redis(3)
    backends += start.redis(extra=durable)
    proxy = start.proxy(backends, options=OPTIONS)
    victim = next(b for b in backends if b.port == owner_port(proxy, backends, "{bank}"))
    if victim is not backends[3]:
        victim.kill()
        victim = start.redis(port=victim.port, extra=durable)[0]
        wait_until(lambda: proxy.output().count("server.up") == 5, "the server's return")
    outcomes = asyncio.run(asyncio.wait_for(kill_the_bank(start, proxy, victim, durable), 20))
    with Redis(proxy.port) as client:
        balances = [int(value) for value in client.ask("MGET", *ACCOUNTS)]
        logged = client.ask("LLEN", "{bank}log")
    print(f"transfers {dict(outcomes)}, {logged} logged, balances {balances}")
    assert sum(balances) == BEFORE * len(ACCOUNTS)
    assert outcomes["done"] <= logged <= outcomes["done"] + outcomes["unknown"]
    assert outcomes["null"] > 0 and outcomes["aborted"] > 0
    assert outcomes["done"] > 50


def owner_port(proxy, backends, key):
    owned = owners(proxy.port, [backend.port for backend in backends], [key])
    with Redis(proxy.port) as client:
        client.ask("DEL", key)
    return next(port for port, keys in owned.items() if keys)


async def kill_the_bank(start, proxy, victim, durable):
    outcomes = collections.Counter()
    stopping = asyncio.Event()
    peers = await open_all(proxy.port, CLIENTS)
    for account in ACCOUNTS:
        assert await peers[0].ask("SET", account, BEFORE) == "+OK"
    tasks = [asyncio.create_task(transfer(peer, seed, outcomes, stopping))
             for seed, peer in enumerate(peers)]
    for _ in range(2):
        done = outcomes["done"]
        await until(lambda: outcomes["done"] >= done + 50, "some transfers")
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        victim = start.redis(port=victim.port, extra=durable)[0]
    done = outcomes["done"]
    await until(lambda: outcomes["done"] >= done + 50, "transfers after the restart")
    stopping.set()
    await asyncio.gather(*tasks)
    for peer in peers:
        peer.close()
    return outcomes


@pytest.mark.parametrize("moment", ["watched", "queued"])
def test_what_exec_says_when_the_server_died_before(start, moment):
    backend = start.redis()[0]
    port = backend.port
    other = start.redis()[0]
    proxy = start.proxy([backend, other], options=OPTIONS)
    key = by_server(proxy, [backend, other], [f"key{i}" for i in range(50)])[0][0]
    with Redis(proxy.port) as client:
        assert client.ask("WATCH", key) == b"OK"
        if moment == "queued":
            assert client.ask("MULTI") == b"OK"
            assert client.ask("SET", key, "x") == b"QUEUED"
        backend.kill()
        start.redis(port=port)
        wait_until(lambda: proxy.output().count("server.up") == 3, "the server's return")
        if moment == "watched":
            assert client.ask("MULTI") == b"OK"
            assert client.ask("SET", key, "x") == b"QUEUED"
            client.send("EXEC")
            assert client.file.readline() == b"*-1\r\n"
        else:
            assert client.error("EXEC") == (
                "EXECABORT Transaction discarded because of previous errors.")
        assert client.ask("GET", key) is None
        assert client.ask("SET", key, "y") == b"OK"
