#!/usr/bin/env python3
"""pymemcache (Debian python3-pymemcache) through everything that it offers.

    py_memcache.py PORT    EMPTIES the server; prints one line per call, see record.py
"""
import sys

import pymemcache

from record import BINARY, Record


def hide_cas(pair):
    value, cas = pair
    return (value, "CAS" if cas is not None else None)


def sorted_items(found):
    return sorted(found.items())


def hits_and_answers(run):
    run("flush_all", noreply=False)
    run("set", "a", b"1", noreply=False)
    run("get", "a")
    run("get", "missing")
    run("get", "missing", "default")
    run("set", "a", b"flags", flags=77, noreply=False)
    run("get", "a")
    run("add", "a", b"2", noreply=False)
    run("add", "b", b"2", noreply=False)
    run("replace", "missing", b"2", noreply=False)
    run("replace", "b", b"3", noreply=False)
    run("append", "b", b"z", noreply=False)
    run("prepend", "b", b"a", noreply=False)
    run("append", "missing", b"z", noreply=False)
    run("get", "b")
    run("set", "empty", b"", noreply=False)
    run("get", "empty")
    run("set", "bin", BINARY + b"\r\nEND\r\n", noreply=False)
    run("get", "bin")
    run("set", "big", b"x" * 1000000, noreply=False)
    run("get", "big")
    run("set", "too_big", b"x" * (1 << 20), noreply=False)
    run("get", "too_big")
    _, cas = run.client.gets("b")
    run.note("gets", lambda: run.client.gets("b"), hide_cas)
    run("gets", "missing")
    run.note("b cas c", lambda: run.client.cas("b", b"c", cas, noreply=False))
    run.note("b cas d", lambda: run.client.cas("b", b"d", cas, noreply=False))
    run.note("missing cas d", lambda: run.client.cas("missing", b"d", cas, noreply=False))
    run("set", "n", b"5", noreply=False)
    run("incr", "n", 10)
    run("decr", "n", 3)
    run("decr", "n", 100)
    run("incr", "missing", 1)
    run("incr", "bin", 1)
    run("touch", "n", 100, noreply=False)
    run("touch", "missing", 100, noreply=False)
    run("set", "gone", b"x", expire=-1, noreply=False)
    run("get", "gone")
    run("set_many", {f"m{i}": b"%d" % i for i in range(300)}, noreply=False)
    run.note("get_many", lambda: run.client.get_many([f"m{i}" for i in range(310)]), sorted_items)
    run.note("gets_many", lambda: run.client.gets_many(["m1", "m2", "missing"]),
             lambda found: sorted((key, hide_cas(pair)) for key, pair in found.items()))
    run("get_many", [])
    run("delete_many", [f"m{i}" for i in range(0, 300, 2)], noreply=False)
    run.note("get_many", lambda: run.client.get_many([f"m{i}" for i in range(20)]), sorted_items)
    run("delete", "a", noreply=False)
    run("delete", "a", noreply=False)
    run("delete", "missing", noreply=False)


def without_answers(run):
    """Nothing may come back, or the gets would read it."""
    run("set", "q", b"1")
    run("add", "q", b"2")
    run("replace", "missing", b"2")
    run("append", "q", b"3")
    run("prepend", "q", b"4")
    run("get", "q")
    run("cas", "q", b"5", b"1", noreply=True)
    run("incr", "q", 1, noreply=True)
    run("decr", "missing", 1, noreply=True)
    run("touch", "q", 0)
    run("delete", "missing")
    run("set", "too_big", b"x" * (1 << 20), noreply=True)
    run("incr", "bin", 1, noreply=True)
    run("get", "q")
    run("set_many", {f"q{i}": b"x" for i in range(100)})
    run("delete_many", ["q1", "q2"])
    run.note("get_many", lambda: run.client.get_many([f"q{i}" for i in range(5)]), sorted_items)


def keys_and_forms(run):
    run("set", "k" * 250, b"long", noreply=False)
    run("get", "k" * 250)
    run("set", "k" * 251, b"long", noreply=False)
    for key in ("two words", "line\r\nfeed", "\u00fcmlaut", "", b"\x00", "tab\t"):
        run("get", key)
        run("set", key, b"x", noreply=False)
        run("delete", key, noreply=False)
    run("get_many", ["fine", "k" * 251])
    run("incr", "n", -1)
    run("set", "forever", b"x", expire="soon", noreply=False)


def whole_server(run):
    run("version")
    run("cache_memlimit", 64)
    for form in ((), ("settings",), ("reset",)):
        run.note(f"stats {form}", lambda: sorted(key for key in run.client.stats(*form)))
    run.note("stats nosuch", lambda: run.client.stats("nosuch"))
    run("flush_all", noreply=False)
    run("get", "b")
    run("flush_all")
    run("get", "b")
    run("set", "b", b"soon gone", noreply=False)
    run("flush_all", delay=100, noreply=False)
    run("get", "b")
    run("flush_all", noreply=False)
    run("set_multi", {"b": b"1", "c": b"2"}, noreply=False)
    run("get_multi", ["b"])
    run("delete_multi", ["b", "c"], noreply=False)
    run("quit")
    run("get", "b")
    run("close")
    run("get", "b")


def main(port):
    run = Record(pymemcache.Client(("127.0.0.1", port), timeout=20, no_delay=True))
    for part in (hits_and_answers, without_answers, keys_and_forms, whole_server):
        print(f"# {part.__name__}")
        part(run)


if __name__ == "__main__":
    main(int(sys.argv[1]))
