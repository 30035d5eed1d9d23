"""Processes with an admin interface, for the tests of the management layer.

CONSORT names the binary (default build/consort). Tests of stalls and drains use the program
stall_role, which lies beside it or is named by CONSORT_STALL_ROLE; without it they are skipped.
"""
import http.client
import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from support.servers import CONSORT, Process, connect, free_port, wait_until  # noqa: E402

STALL_ROLE = pathlib.Path(os.environ.get("CONSORT_STALL_ROLE", CONSORT.parent / "stall_role"))
needs_stall_role = pytest.mark.skipif(not STALL_ROLE.exists(), reason=f"{STALL_ROLE} is not built")
needs_consort = pytest.mark.skipif(not CONSORT.exists(), reason=f"{CONSORT} is not built")


class Managed(Process):
    """A process with an admin interface on `admin`."""

    def __init__(self, argv, admin, name, wait="/readyz", env=None):
        self.admin = admin
        self.name = name
        super().__init__([*argv, "--admin", f"127.0.0.1:{admin}", "--name", name], env=env)
        if wait:
            wait_until(lambda: not self.running() or self.status(wait) == 200, f"{wait} of {name}")
            assert self.running(), self.output()

    def request(self, method, path, headers=(), host="127.0.0.1", timeout=30):
        client = http.client.HTTPConnection(host, self.admin, timeout=timeout)
        try:
            client.request(method, path, headers=dict(headers))
            answer = client.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            client.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def status(self, path):
        try:
            return self.get(path).status
        except (OSError, http.client.HTTPException):
            return 0

    def state(self):
        return json.loads(self.get("/lifecycle").text)["state"]

    def metric(self, name):
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise KeyError(name)

    def transitions(self):
        lines = [json.loads(line) for line in self.output().splitlines() if '"msg":"state"' in line]
        return [line["to"] for line in lines]


class StallRole(Managed):
    def __init__(self, *options, admin=None, name=None, wait="/readyz", env=None):
        self.port = free_port()
        admin = admin or free_port()
        super().__init__([STALL_ROLE, "--listen", f"127.0.0.1:{self.port}", *options], admin,
                         name or f"stall-{admin}", wait, env)

    def tell(self, command):
        """Sends a command; returns the greeting."""
        with connect(self.port) as client:
            greeting = client.recv(100).decode().strip()
            client.sendall(command.encode() + b"\n")
        return greeting


def has_own_waking_thread(program):
    """ThreadSanitizer's background thread wakes ten times a second."""
    return program.exists() and b"__tsan_init" in program.read_bytes()


needs_exact_sleep = pytest.mark.skipif(has_own_waking_thread(STALL_ROLE), reason="TSan wakes")


def context_switches(pid):
    """Voluntary ones, of all threads: each sleep that ended is one."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total
