"""Which server holds which key? Asked of the memcached servers themselves.

    write_keys(proxy_port, keys)
    where = holders(memcached_ports, keys)        # {b"key": index into the ports}
"""

import socket

READY_SECONDS = 10
BATCH = 200


def pool_yaml(name, port, servers, **keys):
    """One pool of a nutcracker.yml. `servers` are its own entries, "host:port:weight [name]"."""
    lines = [f"{name}:", f"  listen: 127.0.0.1:{port}", "  timeout: 5000"]
    lines += [f"  {key}: {value}" for key, value in keys.items()]
    lines += ["  servers:"] + [f"   - {server}" for server in servers]
    return "\n".join(lines) + "\n"


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
