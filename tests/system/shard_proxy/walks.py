"""SCAN from the first cursor to the last while another client makes the key tables grow and shrink.

A walk runs in a process of its own: threads would hand the interpreter's lock to each other for
longer than a step takes.
"""
import fnmatch
import re
import time

from talk import Redis

STAYING = 20_000
# So many more on each server that its table grows from 8192 places to 65536: below a tenth of them
# in use, the server makes the table small again.
PASSING = 4 * 33_000
BATCH = 1000


def staying_keys():
    """{key: type}"""
    return {b"stay:%d" % i: b"string" if i % 4 else b"hash" for i in range(STAYING)}


def expected_of(options):
    """The keys that a walk with these options must return."""
    pattern = options.get("MATCH", "*")
    kind = options.get("TYPE", "").encode()
    return {key for key, type_ in staying_keys().items()
            if fnmatch.fnmatchcase(key.decode(), pattern) and kind in (b"", type_)}


def walk(task):
    """task: (port, options, deadline). What one walk returned, as figures."""
    port, options, deadline = task
    words = [word for option in options.items() for word in option]
    begin = time.monotonic()
    cursor, returned, calls = b"0", [], 0
    with Redis(port) as client:
        while calls == 0 or cursor != b"0":
            assert time.time() < deadline, f"{words} has not ended after {calls} calls"
            cursor, keys = client.ask("SCAN", cursor, *words)
            assert re.fullmatch(rb"\d{1,20}", cursor)
            returned += keys
            calls += 1
    expected, seen = expected_of(options), set(returned)
    pattern = re.compile(rb"(stay|pass):\d+")
    return {
        "options": options,
        "seconds": time.monotonic() - begin,
        "calls": calls,
        "returned": len(returned),
        "twice": len(returned) - len(seen),
        "missed": sorted(expected - seen)[:10],
        "foreign": [key for key in seen if not pattern.fullmatch(key) or
                    (b"stay" in key and key not in expected)][:10],
    }


def load_staying(port):
    with Redis(port) as client:
        keys = staying_keys()
        strings = [key for key, kind in keys.items() if kind == b"string"]
        for first in range(0, len(strings), BATCH):
            pairs = [word for key in strings[first:first + BATCH] for word in (key, b"v")]
            assert client.ask("MSET", *pairs) == b"OK"
        hashes = [key for key, kind in keys.items() if kind == b"hash"]
        for key in hashes:
            client.send("HSET", key, "field", "v")
        assert all(client.reply() == 1 for _ in hashes)


class Tide:
    """Adds and deletes PASSING keys, and notes the servers' table sizes at each turn."""

    def __init__(self, port, server_ports):
        self.client = Redis(port)
        self.direct = [Redis(port) for port in server_ports]
        self.floods = self.ebbs = 0

    def table_sizes(self):
        """Of the key tables; the new one's while a server moves from one to the other."""
        texts = [direct.ask("DEBUG", "HTSTATS", 0).decode().split("[Expires HT]")[0]
                 for direct in self.direct]
        return [int(re.findall(r"table size: (\d+)", text)[-1]) for text in texts]

    def flood(self, is_over):
        for first in range(0, PASSING, BATCH):
            if is_over():
                return
            keys = [b"pass:%d" % i for i in range(first, first + BATCH)]
            assert self.client.ask("MSET", *(w for key in keys for w in (key, b"v"))) == b"OK"
        if min(self.table_sizes()) >= 65536:
            self.floods += 1

    def ebb(self, is_over):
        for first in range(0, PASSING, BATCH):
            keys = [b"pass:%d" % i for i in range(first, first + BATCH)]
            self.client.ask("UNLINK", *keys)
        end = time.monotonic() + 3
        while not is_over() and time.monotonic() < end:
            if max(self.table_sizes()) <= 16384:
                self.ebbs += 1
                return
            time.sleep(0.02)

    def close(self):
        for client in [self.client, *self.direct]:
            client.close()
