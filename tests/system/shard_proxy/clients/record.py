"""What the client scripts in Python share: one line per call, `call -> answer` in JSON.

A script empties the server at PORT of 127.0.0.1, walks what its library offers and prints what came
back, exceptions too. Lines of two runs can be compared: what a server chooses by itself (ids,
times, ports, sizes) is replaced where the call is made, by name, and no wider than needed.
"""
import json
import re
import time
import zlib

BINARY = bytes(range(256))
ONE_MIB = b"\x00\xffmebibyte" * 104858


def canonical(value):
    """Bytes become text that keeps every byte, sets and maps are sorted, long texts a checksum."""
    if isinstance(value, (bytes, bytearray)):
        text = bytes(value).decode("latin-1")
        if len(text) > 600:
            return f"{len(text)} bytes, CRC {zlib.crc32(bytes(value))}"
        return text
    if isinstance(value, (set, frozenset)):
        return sorted((canonical(item) for item in value), key=json.dumps)
    if isinstance(value, dict):
        return dict(sorted((str(canonical(key)), canonical(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def shown(value):
    text = json.dumps(canonical(value))
    return text if len(text) <= 4000 else f"{text[:200]}... {len(text)} characters, CRC {crc(text)}"


def crc(text):
    return zlib.crc32(text.encode())


def call_text(name, words, options):
    parts = [json.dumps(canonical(word)) for word in words]
    parts += [f"{key}={json.dumps(canonical(item))}" for key, item in options.items()]
    text = f"{name}({', '.join(parts)})"
    return text if len(text) <= 100 else f"{text[:80]}..{crc(text)}"


class Record:
    """Calls methods of a client by name and prints what came back."""

    def __init__(self, client):
        self.client = client

    def __call__(self, name, *words, **options):
        return self.note(call_text(name, words, options),
                         lambda: getattr(self.client, name)(*words, **options))

    def changed(self, change, name, *words, **options):
        """The same with `change` applied to what came back, to hide what the server chose."""
        return self.note(call_text(name, words, options),
                         lambda: getattr(self.client, name)(*words, **options), change)

    def note(self, name, action, change=None):
        try:
            value = action()
            answer = shown(change(value) if change else value)
        except Exception as error:  # noqa: BLE001: whatever the library raises is the result
            value, answer = None, shown(f"raises {type(error).__name__}: {error}")
        print(f"{name} -> {answer}", flush=True)
        return value


def about(limit, room=3):
    """A time that is left or has passed."""
    return lambda left: f"about {limit}" if limit - room <= left <= limit + room else left


def near_now(seconds):
    return "now" if abs(seconds - time.time()) < 60 else seconds


def kind(value):
    """Of what only the type is the same everywhere."""
    return f"a {type(value).__name__}"


def hide_ids(value):
    """Stream ids that the server made of its clock."""
    if isinstance(value, (bytes, str)):
        blank = "ID" if isinstance(value, str) else b"ID"
        pattern = r"^1[67]\d{11}-\d+$" if isinstance(value, str) else rb"^1[67]\d{11}-\d+$"
        return re.sub(pattern, blank, value)
    if isinstance(value, dict):
        return {hide_ids(key): hide_ids(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide_ids(item) for item in value]
    return value


def without(*names):
    """Maps, or lists of maps, without the fields that a server chooses."""
    def change(value):
        if isinstance(value, list):
            return [change(item) for item in value]
        return {key: item for key, item in value.items() if key not in names}
    return change
