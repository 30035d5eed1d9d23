"""Small clients over plain sockets, so that the tests see the very bytes."""
import contextlib
import time

from support import servers


def command(*words):
    """A Redis request."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


class Redis:
    """One connection; replies come as bytes, int, None or lists, errors as Failed."""

    class Failed(Exception):
        pass

    def __init__(self, address, timeout=30.0):
        self.socket = servers.connect(address, timeout)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        self.socket.sendall(command(*words))

    def ask(self, *words):
        self.send(*words)
        return self.reply()

    def error(self, *words):
        """The error's text; fails when there is none."""
        try:
            value = self.ask(*words)
        except Redis.Failed as failed:
            return str(failed)
        raise AssertionError(f"{words[0]} answered {value!r}")

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"closed after {line!r}")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Redis.Failed(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self.file.read(length + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        assert kind == b"+", line
        return rest

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Memcached:
    """One connection; ask() sends a line (and a body) and returns the first line of the reply."""

    def __init__(self, address, timeout=30.0):
        self.socket = servers.connect(address, timeout)
        self.file = self.socket.makefile("rb")

    def ask(self, line, body=None):
        self.socket.sendall(line + b"\r\n" + (b"" if body is None else body + b"\r\n"))
        return self.line()

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"closed after {line!r}")
        return line[:-2]

    def set(self, key, value):
        return self.ask(b"set %s 0 0 %d" % (key, len(value)), value)

    def get(self, *keys):
        """{key: value} of the hits; the line that ends the reply under None."""
        line = self.ask(b"get " + b" ".join(keys))
        found = {}
        while line.startswith(b"VALUE "):
            length = int(line.split()[3])
            found[line.split()[1]] = self.file.read(length + 2)[:-2]
            line = self.line()
        found[None] = line
        return found

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def owners(proxy_port, server_ports, keys):
    """{port: [its keys]}, found by storing the keys through the proxy and asking every Redis."""
    found = {}
    with contextlib.ExitStack() as stack:
        through = stack.enter_context(Redis(proxy_port))
        for key in keys:
            assert through.ask("SET", key, key) == b"OK"
        for port in server_ports:
            direct = stack.enter_context(Redis(port))
            found[port] = [key for key in keys if direct.ask("EXISTS", key) == 1]
    assert sorted(sum(found.values(), [])) == sorted(keys)
    return found


def timed(action):
    """(seconds, result or exception)"""
    begin = time.monotonic()
    try:
        result = action()
    except (Redis.Failed, OSError) as failed:
        result = failed
    return time.monotonic() - begin, result
