#!/usr/bin/env python3
"""Client libraries cannot tell the proxy from one server.

Each script in clients/ walks what one library offers and prints one line per call. It runs against
one server directly, and through the proxy before one server: the lines must be identical. Before
four servers they must be too, but for the calls in documented.py, each with its answer and reason
(pytest -s prints those that were met). By hand, against anything that is running:

    python3 tests/system/shard_proxy/test_clients.py PORT [PORT...]

runs the scripts that fit on each port of 127.0.0.1 (they EMPTY it), and compares with the first.
"""
import concurrent.futures
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import pytest

from documented import FOUR_SERVERS
from support import servers

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
PYTHON = "/usr/bin/python3"
# {name: (protocol, command with PORT in place of the port, calls at least)}
SCRIPTS = {
    "redis_py": ("redis", [PYTHON, "redis_py.py", "PORT"], 500),
    "hiredis": ("redis", ["hiredis", "PORT", CLIENTS / "redis_commands.txt"], 900),
    "node_redis RESP2": ("redis", ["node", "node_redis.mjs", "PORT", "2"], 440),
    "node_redis RESP3": ("redis", ["node", "node_redis.mjs", "PORT", "3"], 440),
    "ioredis RESP2": ("redis", ["node", "ioredis.mjs", "PORT", "2"], 560),
    "ioredis RESP3": ("redis", ["node", "ioredis.mjs", "PORT", "3"], 560),
    "py_memcache": ("memcached", [PYTHON, "py_memcache.py", "PORT"], 100),
    "py_libmc": ("memcached", [PYTHON, "py_libmc.py", "PORT"], 160),
    "npm memcached": ("memcached", ["node", "memcached.mjs", "PORT"], 70),
    "php_memcached": ("memcached", ["php", "php_memcached.php", "PORT"], 210),
}
# A script's own limit for an answer is 5 s or 10 s; this one is for a script that hangs.
SCRIPT_SECONDS = 60


def cache_folder(what):
    """A folder outside the tree, named by what it is made from."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    name = f"{what.name}-{hashlib.sha256(what.read_bytes()).hexdigest()[:16]}"
    try:
        folder = pathlib.Path(home) / "consort-tests"
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = pathlib.Path(tempfile.gettempdir())
    return folder / name


def make(folder, fill):
    """The folder, made whole or not at all: several runs may want it at once."""
    if not folder.exists():
        beside = pathlib.Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
        fill(beside)
        try:
            beside.rename(folder)
        except OSError:
            shutil.rmtree(beside)
    return folder


def must_succeed(argv, remedy, **options):
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, **options)
    except OSError as error:
        pytest.fail(f"{argv[0]}: {error.strerror}; {remedy}")
    if done.returncode != 0:
        pytest.fail(f"{argv[0]} ended with {done.returncode}; {remedy}\n{done.stderr[-2000:]}")


@functools.cache
def node_modules():
    """The npm clients in the exact versions of clients/package.json."""
    def install(folder):
        shutil.copy(CLIENTS / "package.json", folder)
        must_succeed(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund",
                      "--ignore-scripts"], "the npm clients need npm and its registry", cwd=folder)
    return make(cache_folder(CLIENTS / "package.json"), install)


@functools.cache
def hiredis_program():
    def build(folder):
        must_succeed(["clang-19", "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-Wall",
                      "-Wextra", "-Werror", "-o", folder / "hiredis", CLIENTS / "hiredis.c",
                      "-lhiredis"], "scripts/deps test installs what it needs")
    return make(cache_folder(CLIENTS / "hiredis.c"), build) / "hiredis"


def run(script, port):
    """The lines that the script prints."""
    _, words, _ = SCRIPTS[script]
    argv = [str(port) if word == "PORT" else str(word) for word in words]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
    if argv[0] == "node":
        environment["CLIENT_MODULES"] = str(node_modules())
    if argv[0] == "hiredis":
        argv[0] = str(hiredis_program())
    else:
        argv[1] = str(CLIENTS / argv[1])
    try:
        done = subprocess.run(argv, capture_output=True, timeout=SCRIPT_SECONDS, env=environment)
    except FileNotFoundError:
        pytest.fail(f"{argv[0]} is not installed; scripts/deps test installs it")
    except subprocess.TimeoutExpired as late:
        last = (late.stdout or b"")[-500:].decode(errors="replace")
        pytest.fail(f"{script} hangs after:\n{last}")
    lines = done.stdout.decode(errors="replace").split("\n")[:-1]
    if done.returncode != 0:
        last = "\n".join(line[:300] for line in lines[-5:])
        pytest.fail(f"{script} ended with {done.returncode} after:\n{last}\n"
                    f"{done.stderr.decode(errors='replace')[-2000:]}")
    return lines


def differences(expected, lines):
    """[(call, answer of one server, answer here)]; calls are compared in their order."""
    found = []
    for one, here in zip(expected, lines):
        if one != here:
            call, _, answer = one.partition(" -> ")
            other_call, _, other = here.partition(" -> ")
            found.append((call, answer, other if call == other_call else here))
            if call != other_call:
                break  # the lines are no longer about the same calls
    if len(expected) != len(lines):
        found.append((f"{len(expected)} lines", "", f"{len(lines)} lines"))
    return found


def told(found):
    return "\n".join(f"{call}\n   one server: {one[:400]}\n   here:       {here[:400]}"
                     for call, one, here in found)


@pytest.fixture(scope="module")
def twice(start_for_module):
    """What one server answers, and another; asked once per script, both at once."""
    @functools.cache
    def ask(script):
        pair = start_for_module.backends(SCRIPTS[script][0], 2)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            return list(pool.map(lambda server: run(script, server.port), pair))
    return ask


@pytest.fixture(scope="module")
def expected_of(twice):
    return lambda script: twice(script)[0]


def fresh_proxy(start, protocol, count):
    # Named servers, or each run would place the keys by its ports.
    backends = [f"127.0.0.1:{server.port}:1 server{i}"
                for i, server in enumerate(start.backends(protocol, count))]
    return start.proxy(backends, protocol, ["--hash-tag", "{}"])


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_gives_the_same_lines_twice(twice, script):
    first, second = twice(script)
    assert len(first) >= SCRIPTS[script][2]
    found = differences(first, second)
    assert not found, told(found)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_client_library_sees_the_answers_of_one_server(start, expected_of, script):
    proxy = fresh_proxy(start, SCRIPTS[script][0], 1)
    expected = expected_of(script)
    found = differences(expected, run(script, proxy.port))
    assert not found, f"{script}: {len(found)} of {len(expected)} differ\n{told(found)}"


@pytest.mark.parametrize("script", SCRIPTS)
def test_over_four_servers_a_library_sees_the_documented_answers(start, expected_of, script):
    proxy = fresh_proxy(start, SCRIPTS[script][0], 4)
    expected = expected_of(script)
    found = differences(expected, run(script, proxy.port))
    table = [entry for entry in FOUR_SERVERS if re.search(entry.script, script)]
    unused = set(table)
    unexplained = []
    for call, one, here in found:
        fitting = [entry for entry in table if entry.explains(call, one, here)]
        unused -= set(fitting)
        if fitting:
            print(f"{script}: {call} -> {here[:100]}: {fitting[0].reason}")
        else:
            unexplained.append((call, one, here))
    assert not unexplained, f"{script}: {len(unexplained)} unexplained\n{told(unexplained)}"
    # An entry for several scripts is used by each of them.
    assert not unused, f"{script} never met: {sorted(entry.call for entry in unused)}"


def speaks(port):
    return "redis" if servers.exchange(port, b"PING\r\n", b"\n") == b"+PONG\r\n" else "memcached"


def main(ports):
    differ = 0
    for script, (protocol, _, _) in SCRIPTS.items():
        fitting = [port for port in ports if speaks(port) == protocol]
        expected = run(script, fitting[0]) if fitting else []
        for port in fitting[1:]:
            found = differences(expected, run(script, port))
            differ += len(found)
            print(f"{script} on {port}: {len(expected)} calls, {len(found)} differ\n{told(found)}")
    return 1 if differ else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main([int(word) for word in sys.argv[1:]]))
