#!/usr/bin/env python3
"""pylibmc (Debian python3-pylibmc, on libmemcached) through everything that it offers.

    py_libmc.py PORT    EMPTIES the server; prints one line per call, see record.py
"""
import sys

import pylibmc

from record import BINARY, Record


def hide_cas(pair):
    value, cas = pair
    return (value, "CAS" if cas is not None else None)


def sorted_items(found):
    return sorted(found.items())


def hits_and_answers(run):
    run("flush_all")
    run("set", "a", "text")
    run("get", "a")
    run("get", "missing")
    run("get", "missing", "default")
    run("set", "a", {"a dict": [1, 2.5, None]})
    run("get", "a")
    run("set", "int", 12345678901234567890)
    run("get", "int")
    run("set", "compressed", "abc" * 20000, min_compress_len=100)
    run("get", "compressed")
    run("set", "empty", b"")
    run("get", "empty")
    run("set", "bin", BINARY + b"\r\nEND\r\n")
    run("get", "bin")
    run("set", "big", b"x" * 1000000)
    run("get", "big")
    run("set", "too_big", b"x" * (2 << 20))
    run("get", "too_big")
    run("add", "a", 1)
    run("add", "b", b"m")
    run("replace", "b", b"n")
    run("replace", "missing", b"n")
    run("append", "b", b"z")
    run("prepend", "b", b"a")
    run("append", "missing", b"z")
    run("get", "b")
    run("set", "n", 5)
    run("incr", "n")
    run("incr", "n", 10)
    run("decr", "n", 3)
    run("decr", "n", 100)
    run("incr", "missing")
    run("incr", "b")
    run("touch", "b", 100)
    run("touch", "missing", 100)
    run("set", "gone", 1, time=-1)
    run("get", "gone")
    _, cas = run.client.gets("b")
    run.note("gets", lambda: run.client.gets("b"), hide_cas)
    run("gets", "missing")
    run.note("b cas c", lambda: run.client.cas("b", b"c", cas))
    run.note("b cas d", lambda: run.client.cas("b", b"d", cas))
    run.note("missing cas d", lambda: run.client.cas("missing", b"d", cas))
    run("set_multi", {f"m{i}": i for i in range(300)})
    run.note("get_multi", lambda: run.client.get_multi([f"m{i}" for i in range(310)]), sorted_items)
    run.note("get_multi with a prefix",
             lambda: run.client.get_multi([str(i) for i in range(5)], key_prefix="m"), sorted_items)
    run("add_multi", {"m1": 1, "new": 2})
    run("incr_multi", ["m1", "m2"], delta=7)
    run("get", "m2")
    run("delete_multi", [f"m{i}" for i in range(300)])
    run("get_multi", ["m1", "m2"])
    run("get_multi", [])
    run("delete", "b")
    run("delete", "b")
    run("set", "k" * 250, b"long")
    run("get", "k" * 250)
    run("get", "k" * 251)


def without_answers(run):
    """The next get would meet a line too many."""
    run.client.behaviors["_noreply"] = True
    for i in range(100):
        run("set", f"q{i}", i)
    run("delete", "q1")
    run("delete", "missing")
    run("append", "missing", b"x")
    run.client.behaviors["_noreply"] = False
    run.note("get_multi", lambda: run.client.get_multi([f"q{i}" for i in range(5)]), sorted_items)


def whole_server(run):
    run.note("stats", lambda: sorted(run.client.get_stats()[0][1]))
    run("flush_all")
    run("get", "q5")
    run("set", "q5", 1)
    run("disconnect_all")
    run("get", "q5")
    run.note("clone", lambda: run.client.clone().get("q5"))


def main(port):
    run = Record(pylibmc.Client([f"127.0.0.1:{port}"],
                                behaviors={"cas": True, "tcp_nodelay": True}))
    for part in (hits_and_answers, without_answers, whole_server):
        print(f"# {part.__name__}")
        part(run)


if __name__ == "__main__":
    main(int(sys.argv[1]))
