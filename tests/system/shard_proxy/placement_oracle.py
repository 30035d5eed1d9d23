"""Where do the real programs put a key?

Starts memcached servers and nutcracker on free loopback ports, writes keys through nutcracker and
then asks every memcached itself which keys it holds:

    with Oracle() as oracle:
        ports = oracle.start_memcached(4)
        front = free_port()
        oracle.start_nutcracker(pool_yaml("alpha", front, [f"127.0.0.1:{p}:1" for p in ports]))
        write_keys(front, keys)
        where = holders(ports, keys)        # {b"key": index into ports}

Every process is a child of the caller, known by its handle and ended by stop().
"""

import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time

READY_SECONDS = 10
BATCH = 200
# Below the kernel's range for outgoing connections, so that none of those can take the port first.
PORTS = range(20000, 32768)


def free_port():
    """A loopback port that nothing listens on at the moment."""
    for _ in range(1000):
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port between 20000 and 32768")


def pool_yaml(name, port, servers, **keys):
    """One pool of a nutcracker.yml. `servers` are its own entries, "host:port:weight [name]"."""
    lines = [f"{name}:", f"  listen: 127.0.0.1:{port}", "  timeout: 5000"]
    lines += [f"  {key}: {value}" for key, value in keys.items()]
    lines += ["  servers:"] + [f"   - {server}" for server in servers]
    return "\n".join(lines) + "\n"


class Oracle:
    """The processes and their folder; a context manager."""

    def __init__(self):
        self.children = []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="placement-oracle-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start_memcached(self, count):
        """Starts `count` empty servers; answers their ports."""
        ports = []
        for _ in range(count):
            port = free_port()
            user = ["-u", "nobody"] if os.geteuid() == 0 else []
            self._start(["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user], port)
            ports.append(port)
        return ports

    def start_nutcracker(self, config):
        """Starts nutcracker with this nutcracker.yml, which must name at least one TCP listener."""
        number = len(self.children)
        conf = self.folder / f"nutcracker-{number}.yml"
        conf.write_text(config)
        listeners = [line.split(":")[-1] for line in config.splitlines() if " listen: " in line]
        log = self.folder / f"nutcracker-{number}.log"
        pid = self.folder / f"nutcracker-{number}.pid"
        stats = ["-a", "127.0.0.1", "-s", str(free_port())]
        command = ["nutcracker", "-c", str(conf), "-o", str(log), "-p", str(pid), *stats]
        return self._start(command, *(int(port) for port in listeners))

    def stop(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(READY_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, command, *ports):
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, cwd=self.folder)
        self.children.append(child)
        for port in ports:
            self._wait_for(child, command[0], port)
        return child

    @staticmethod
    def _wait_for(child, name, port):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise RuntimeError(f"{name} ended with {child.returncode} before it listened")
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f"{name} does not listen on {port}")


def write_keys(port, keys):
    """Stores every key at the memcached or proxy on `port`; each answer must be STORED."""
    with socket.create_connection(("127.0.0.1", port), READY_SECONDS) as peer:
        replies = peer.makefile("rb")
        for batch in _batches(keys):
            peer.sendall(b"".join(b"set %s 0 0 1\r\nx\r\n" % key for key in batch))
            for key in batch:
                reply = replies.readline()
                if reply != b"STORED\r\n":
                    raise RuntimeError(f"set {key!r}: {reply!r}")


def holders(ports, keys):
    """Which server holds which key: {key: index into ports}. A key must be on exactly one."""
    found = {}
    for index, port in enumerate(ports):
        for key in _present(port, keys):
            if key in found:
                raise RuntimeError(f"{key!r} is on servers {found[key]} and {index}")
            found[key] = index
    missing = [key for key in keys if key not in found]
    if missing:
        raise RuntimeError(f"{len(missing)} keys are nowhere, first {missing[0]!r}")
    return found


def flush(ports):
    """Empties the servers, for the next pool."""
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), READY_SECONDS) as peer:
            peer.sendall(b"flush_all\r\n")
            if peer.makefile("rb").readline() != b"OK\r\n":
                raise RuntimeError(f"flush_all failed on port {port}")


def _present(port, keys):
    with socket.create_connection(("127.0.0.1", port), READY_SECONDS) as peer:
        replies = peer.makefile("rb")
        for batch in _batches(keys):
            peer.sendall(b"get %s\r\n" % b" ".join(batch))
            while (line := replies.readline()) != b"END\r\n":
                if not line.startswith(b"VALUE "):
                    raise RuntimeError(f"get on port {port}: {line!r}")
                replies.readline()
                yield line.split(b" ")[1]


def _batches(keys):
    keys = list(keys)
    return (keys[at:at + BATCH] for at in range(0, len(keys), BATCH))
