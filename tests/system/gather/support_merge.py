"""Merges of the user's as programs, and the processes that a root starts for them."""
import base64
import json
import pathlib
import shlex
import sys

from asking import ask
from support.leaves import answering, failing


def python(tmp_path, code, name="merge.py"):
    """A command line that runs this text."""
    path = tmp_path / name
    path.write_text(code)
    return shlex.join([sys.executable, "-S", "-E", str(path)])


def shell(tmp_path, code, name="merge.sh"):
    path = tmp_path / name
    path.write_text("#!/bin/sh\n" + code)
    path.chmod(0o755)
    return str(path)


def coprocess(body):
    """A program that answers each line: `body` makes `answer` of `asked` and may use `state`."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    return f"""
import base64, json, os, sys, time
state = {{}}
for line in sys.stdin:
    asked = json.loads(line)
    answer = {{"id": asked["id"]}}
{lines}
    if answer is not None:
        print(json.dumps(answer), flush=True)
"""


def children(consort):
    """Processes that it has started and that run, orphans too: all are in its session."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # It has ended meanwhile.
        if int(session) == consort.pid and int(path.parent.name) != consort.pid and state != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def ndjson(body):
    """The meta line and the parts."""
    lines = body.split(b"\n")
    assert lines.pop() == b""
    first, *parts = [json.loads(line) for line in lines]
    return first, parts


# ---- four leaves and what is told of them, in every form ----

# JSON that is not as a printer would print it, then text, then nothing at all.
SPACED = b'{ "n" : 1.50 ,\n "s": "\\u00e4" }'
BINARY = b"\x00\xff no JSON"


def four_kinds(gather):
    """What a merge may get: JSON, something else, nothing, and a failure."""
    return [gather.leaf(answering(SPACED)),
            gather.leaf(answering(BINARY, content_type="text/x-odd; a=b")),
            gather.leaf(answering(b"", content_type="text/plain")),
            gather.leaf(failing(500))]


# The last leaf, which fails, is waited for.
PARTIAL = ["--min-coverage", "75", "--wait-factor", "1:1"]


def check_document(document, method="GET"):
    """What all carriers say of the request and of its coverage."""
    assert document["version"] == 1
    assert document["id"] == "me-1"
    request = document["request"]
    assert (request["method"], request["path"], request["query"]) == (method, "/p q", "a=1&b")
    assert request["headers"]["x-client"] == "one, two"
    assert document["coverage"] == {"total": 4, "ok": 3, "failed": 1, "timeout": 0, "skipped": 0,
                                    "hedged": 0, "percent": 75.0}


def check_parts(parts, bodies=True):
    assert [part["shard"] for part in parts] == ["s0", "s1", "s2", "s3"]
    assert [part["index"] for part in parts] == [0, 1, 2, 3]
    assert [part["status"] for part in parts] == [200, 200, 200, 500]
    assert all(0 <= part["ms"] < 10_000 for part in parts)
    assert parts[1]["content_type"] == "text/x-odd; a=b"
    assert "body" not in parts[3] and parts[3]["error"] == "failed"
    if bodies:
        assert parts[0]["body"] == {"n": 1.5, "s": "\u00e4"}
        assert parts[1]["body"] == {"base64": base64.b64encode(BINARY).decode()}
        assert parts[2]["body"] == {"base64": ""}
    else:
        assert all("body" not in part for part in parts)


def ask_as_me(root, **more):
    headers = [("Consort-Request-Id", "me-1"), ("X-Client", "one"), ("X-Client", "two")]
    return ask(root, "/p%20q?a=1&b", headers=headers, **more)
