"""What the tests of stateful commands share: where names lie, and who is connected to a server."""
from talk import Redis, owners

OPTIONS = ["--timeout", "2s", "--server-retry-timeout", "200ms", "--distribution", "jump",
           "--hash", "murmur", "--hash-tag", "{}"]


def by_server(proxy, backends, names):
    """For each backend the names that it owns; nothing stays stored."""
    owned = owners(proxy.port, [backend.port for backend in backends], names)
    with Redis(proxy.port) as client:
        assert client.ask("DEL", *names) == len(names)
    return [owned[backend.port] for backend in backends]


def ask_direct(backend, *words):
    with Redis(backend.port) as client:
        return client.ask(*words)


def client_list(backend):
    """[{field: value}] of the connections to a server, without the one that asks."""
    lines = ask_direct(backend, "CLIENT", "LIST").decode().splitlines()
    fields = [dict(word.split("=", 1) for word in line.split(" ")) for line in lines]
    return [one for one in fields if one["cmd"] != "client|list"]


def blocked_on(backend):
    return sum("b" in one["flags"] for one in client_list(backend))


def subscriptions_on(backend):
    """All names that the connections of a server are subscribed to."""
    return sum(int(one[kind]) for one in client_list(backend) for kind in ("sub", "psub", "ssub"))
