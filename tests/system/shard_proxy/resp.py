"""Redis replies as text that shows every type and byte, of RESP2 and RESP3."""
import re

AGGREGATES = b"*%~>|"


class Closed(Exception):
    pass


def read(file):
    """(type, value) with bytes or a list as the value; attributes are part of the list."""
    line = file.readline()
    while line == b"\n":  # a sign of life before the answer to PSYNC
        line = file.readline()
    if not line.endswith(b"\n"):
        raise Closed
    kind, rest = line[:1], line[1:-2]
    if kind in (b"$", b"=", b"!"):
        length = int(rest)
        if length < 0:
            return (kind, None)
        data = file.read(length + 2)
        if len(data) < length + 2:
            raise Closed
        return (kind, data[:-2])
    if kind and kind in AGGREGATES:
        count = int(rest)
        if count < 0:
            return (kind, None)
        return (kind, [read(file) for _ in range(count * 2 if kind in b"%|" else count)])
    return (kind, rest)


def shown(reply, how=""):
    """how: the hiding of redis_commands.txt; errors are never hidden."""
    kind, value = reply
    mark = kind.decode("latin-1")
    if kind in b"-!":
        return f"{mark}{text(value)}"
    if how == "=kind":
        return f"{mark}.."
    if how == "=about":
        return f"{mark}about {-(-int(value) // 100) * 100}"
    if how == "=names":
        names = re.findall(rb"^(?!errorstat_|db\d)([^:#\r\n]+):", value, re.MULTILINE)
        return f"{mark}{b' '.join(names).decode()}"
    if value is None:
        return f"{mark}null"
    if isinstance(value, list):
        items = [shown(item, how) for item in value]
        if how == "=sorted":
            items.sort()
        return f"{mark}[{', '.join(items)}]"
    if how == "=ids":
        value = re.sub(rb"^\d{13}-\d+$", b"ID", value)
    return f"{mark}{text(value)}"


def text(data):
    return ascii(data.decode("latin-1"))[1:-1]
