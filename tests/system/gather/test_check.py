"""gather-check: containers of all kinds, good ones and bad ones, and what it says of each."""
import asyncio
import http.server
import json
import sys
import threading

import pytest

from checking import LEAF_CHECKS, MERGE_CHECKS, check
from support import leaves, servers
from support.certificates import Authority
from support.leaves import answering, by_path
from support_tls import TlsLeaf


def check_leaf(leaf, *words):
    return check("--leaf", leaf.url, *words)


# ---- leaves ----

@pytest.mark.parametrize("where", ["tcp", "unix"])
def test_a_good_leaf_passes(gather, tmp_path, where):
    leaf = gather.leaf(by_path, **({"unix": str(tmp_path / "leaf")} if where == "unix" else {}))
    check_leaf(leaf, "--path", "/search?q=%20x").fine(LEAF_CHECKS)
    assert leaf.requests[0].target == "/search?q=%20x"
    assert leaf.requests[0].header("Consort-Shard") == "s0"
    assert leaf.requests[0].header("grpc-timeout") == "5S"


def test_gather_leaf_passes_its_own_check(gather, start):
    port = servers.free_port()
    leaf = servers.Consort(["gather-leaf"], ["--listen", f"127.0.0.1:{port}", "--exec",
                                             "echo '[1, 2]'", "--max-waiting", "64"])
    start.stack.callback(start.end_proxy, leaf)
    check("--leaf", f"http://127.0.0.1:{port}").fine(LEAF_CHECKS)


def test_nginx_passes(gather):
    nginx = gather.ending(leaves.Nginx("""location / { default_type application/json;
      return 200 '[]'; }""", options="large_client_header_buffers 4 32k;"))
    check_leaf(nginx).fine(LEAF_CHECKS)


def test_a_leaf_by_its_name_is_found(gather):
    leaf = gather.leaf(by_path)
    check("--leaf", f"http://localhost:{leaf.port}").fine(LEAF_CHECKS)


def test_a_leaf_behind_tls_passes_where_its_authority_is_trusted(gather, tmp_path):
    authority = Authority(tmp_path)
    leaf = gather.ending(TlsLeaf(authority.issue(), by_path))
    check_leaf(leaf, "--ca-file", authority.file).fine(LEAF_CHECKS)
    found = check_leaf(leaf).only("FAIL  leaf: answers a request of a root: cannot connect")
    assert "certificate" in found


def test_nobody_there(gather):
    refusing = gather.ending(leaves.Refusing())
    found = check_leaf(refusing)
    found.only("FAIL  leaf: answers a request of a root: cannot connect")
    assert found.total == "0 passed, 1 failed, 0 warnings"


def for_method(method, behave):
    async def either(request):
        await (behave if request.method == method else by_path)(request)
    return either


async def bytes_behind(request):
    request.send([])
    if request.method == "GET":
        request.raw(b"\n")


async def closing_after(request):
    request.send([])
    request.close()


async def slow(request):
    await asyncio.sleep(0.15)
    request.send([])


async def no_long_query(request):
    request.send([], status=414 if len(request.target) > 8000 else 200)


def few_at_once(most):
    busy = 0

    async def behave(request):
        nonlocal busy
        busy += 1
        try:
            await asyncio.sleep(0.02)
            request.send([], status=200 if busy <= most else 500)
        finally:
            busy -= 1
    return behave


async def wedged_by_leavers(request):
    """Like a server with one thread that waits for a client which has left."""
    await asyncio.sleep(0.01)  # the end of a connection is seen a turn later than its data
    if any(each.gone_at for each in request.leaf.requests):
        await asyncio.sleep(3600)
    request.send([])


BAD_LEAVES = [
    ("FAIL  leaf: answers a request of a root: no answer in time", leaves.black_hole),
    ("FAIL  leaf: answers a request of a root", leaves.closing),
    ("FAIL  leaf: answers a request of a root", leaves.resetting),
    ("FAIL  leaf: answers a request of a root: no whole answer", leaves.dripping_body),
    ("FAIL  leaf: answers a request of a root", leaves.never_ending),
    ("FAIL  leaf: answers a request of a root: it answers 404", leaves.failing(404)),
    ("FAIL  leaf: answers a request of a root",
     leaves.saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]")),
    ("FAIL  leaf: says what its answers are", for_method("GET", answering(b"[1,]"))),
    ("warn  leaf: says what its answers are", answering(b"caf\xe9", content_type="text/plain")),
    ("FAIL  leaf: sends them in identity coding", answering([], headers=[
        ("Content-Encoding", "br")])),
    ("FAIL  leaf: sends well-formed headers", answering([], headers=[
        ("Consort-Weight", "-1")])),
    ("FAIL  leaf: keeps the connection", closing_after),
    ("FAIL  leaf: answers HEAD: no answer", for_method("HEAD", leaves.black_hole)),
    ("FAIL  leaf: answers an unknown method: no answer",
     for_method("CONSORT-CHECK", leaves.black_hole)),
    ("warn  leaf: answers an unknown method: it closed",
     for_method("CONSORT-CHECK", leaves.closing)),
    ("warn  leaf: gives up at its deadline", slow),
    ("warn  leaf: takes a query of 8 KiB: it answers 414", no_long_query),
    ("FAIL  leaf: takes 20 requests at once", few_at_once(8)),
    ("FAIL  leaf: survives clients that leave", wedged_by_leavers),
]


@pytest.mark.parametrize("beginning, behave", BAD_LEAVES,
                         ids=[str(i) for i in range(len(BAD_LEAVES))])
def test_each_thing_that_is_wrong_with_a_leaf_is_said(gather, beginning, behave):
    leaf = gather.leaf(behave)
    check_leaf(leaf, "--timeout", "1s").only(beginning)


def test_bytes_behind_an_answer_are_seen_however_they_arrive(gather):
    found = check_leaf(gather.leaf(bytes_behind))
    assert [line.split(":")[1] for line in found.troubles] == [" frames its answers",
                                                               " keeps the connection"]
    assert "1 byte follows" in found.troubles[0]


def test_a_server_of_http_1_0_is_warned_about():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", servers.free_port()), Handler) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, daemon=True).start()
        check("--leaf", f"http://127.0.0.1:{server.server_port}").only(
            "warn  leaf: keeps the connection")
        server.shutdown()


# ---- merges ----

# What a command is given: a line with the request, then one for each part.
EXEC = """
import base64, fcntl, json, pathlib, sys, time
text = sys.stdin.read()
meta, *parts = [json.loads(line) for line in text.splitlines()]
ok = [part for part in parts if "error" not in part]
raw = [base64.b64decode(part["body"]["base64"]) for part in ok if "base64" in part["body"]]
here = pathlib.Path(__file__).parent
answer = {"parts": len(ok)}
TROUBLE
print(json.dumps(answer))
"""
ONE_AT_A_TIME = """
lock = open(here / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
time.sleep(0.1)
"""
BAD_COMMANDS = [
    ("FAIL  merge: answers when all parts are there: exit code 3", "sys.exit(3)"),
    ("FAIL  merge: answers when all parts are there", "time.sleep(60)"),
    ("FAIL  merge: answers without parts", "assert parts"),
    ("FAIL  merge: answers when a part failed", "assert len(ok) == len(parts)"),
    ("FAIL  merge: takes a part with an empty body", "assert b'' not in raw"),
    ("FAIL  merge: takes a part that is no JSON", "assert not any(b'plain' in r for r in raw)"),
    ("FAIL  merge: takes a part that is not UTF-8", "[r.decode() for r in raw]"),
    ("FAIL  merge: takes 1000 parts", "assert len(parts) < 1000 or time.sleep(0.1)"),
    ("FAIL  merge: takes a part of 8 MiB", "assert len(text) < 8 << 20"),
    ("FAIL  merge: takes 8 requests at once", ONE_AT_A_TIME),
    ("warn  merge: gives the same bytes again", "answer['at'] = time.time_ns()"),
]


def command(tmp_path, text, trouble="pass"):
    path = tmp_path / "merge.py"
    path.write_text(text.replace("TROUBLE", trouble))
    return f"{sys.executable} {path}"


def test_a_good_command_passes(tmp_path):
    check("--merge", command(tmp_path, EXEC)).fine(MERGE_CHECKS)


def test_a_good_command_with_files_and_one_with_headers_pass():
    check("--merge", 'cat /dev/null "$CONSORT_PARTS_DIR"/*.body 2>/dev/null | wc -c',
          "--merge-files").fine(MERGE_CHECKS)
    check("--merge", "echo 'Content-Type: text/x'; echo; wc -l", "--merge-cgi").fine(MERGE_CHECKS)


@pytest.mark.parametrize("beginning, trouble", BAD_COMMANDS,
                         ids=[str(i) for i in range(len(BAD_COMMANDS))])
def test_each_thing_that_is_wrong_with_a_command_is_said(tmp_path, beginning, trouble):
    check("--merge", command(tmp_path, EXEC, trouble), "--timeout", "3s").only(beginning)


def test_json_that_is_none_is_seen():
    check("--merge", "echo 'Content-Type: application/json'; echo; echo '[1,]'",
          "--merge-cgi").only("FAIL  merge: says what its answers are")


def test_a_command_that_is_not_there_is_named():
    found = check("--merge", "/nonexistent/merge")
    assert "/nonexistent/merge" in found.only("FAIL  merge: answers when all parts are there")
    assert found.total == "0 passed, 1 failed, 0 warnings"


# Waits for more lines after each one, so that those of a crowd come together.
COPROCESS = """
import json, os, select, sys, time
def answer(line):
    request = json.loads(line)
    ok = [part for part in request["parts"] if "error" not in part]
    TROUBLE
    print(json.dumps({"id": request["id"], "body": {"parts": len(ok)}}), flush=True)
data = b""
while chunk := os.read(0, 1 << 20):
    data += chunk
    if data.endswith(b"\\n") and not select.select([0], [], [], 0.02)[0]:
        lines, data = data.splitlines(), b""
        for line in lines:
            answer(line)
"""


# For what must run out of time, and is waited for; all other checks are to be done by then.
SHORT = "8s" if servers.is_sanitized() else "2s"


@pytest.mark.parametrize("beginning, trouble, timeout", [
    (None, "pass", "20s"),
    ("FAIL  merge: answers when all parts are there", "sys.exit(3)", "20s"),
    ("FAIL  merge: answers when all parts are there", "request['id'] += 'x'", SHORT),
    ("FAIL  merge: answers without parts", "if not request['parts']: return", SHORT),
    ("FAIL  merge: takes 8 requests at once", "if len(lines) > 1: return", SHORT),
    ("FAIL  merge: takes a part of 8 MiB", "if len(line) > 8 << 20: sys.exit(1)", "20s"),
], ids=["good", "ends", "other-id", "silent", "one-at-a-time", "small"])
def test_a_coprocess(tmp_path, beginning, trouble, timeout):
    found = check("--merge", command(tmp_path, COPROCESS, trouble), "--coprocess",
                  "--timeout", timeout)
    if beginning is None:
        found.fine(MERGE_CHECKS)
    else:
        found.only(beginning)


class HttpMerge:
    """Answers with the length of what it got; `trouble(handler, body)` may do otherwise."""

    def __init__(self, trouble=None):
        merge = self
        self.types = set()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                merge.types.add(self.headers["Content-Type"].split(";")[0])
                if trouble and trouble(self, body):
                    return
                self.answer(200, json.dumps(len(body)).encode())

            def answer(self, status, data):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self.server.server_port}/merge"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("form, media_type", [("json", "application/json"),
                                              ("ndjson", "application/x-ndjson"),
                                              ("multipart", "multipart/mixed")])
def test_a_good_http_merge_passes_in_every_form(gather, form, media_type):
    merge = gather.ending(HttpMerge())
    check("--merge", merge.url, "--merge-format", form).fine(MERGE_CHECKS)
    assert merge.types == {media_type}


def closes_without_parts(handler, body):
    handler.close_connection = True
    return not json.loads(body)["parts"]


def refuses_empty_bodies(handler, body):
    bodies = [part["body"] for part in json.loads(body)["parts"] if "body" in part]
    if {"base64": ""} not in bodies:
        return False
    handler.answer(422, b"{}")
    return True


def breaks_after_a_deadline():
    was_short = False

    def trouble(handler, _):
        nonlocal was_short
        time_text = handler.headers["grpc-timeout"]
        is_short = time_text.endswith("m") and int(time_text[:-1]) <= 20
        is_broken = was_short and not is_short
        was_short = is_short
        if is_short:
            threading.Event().wait(0.2)
        if is_broken:
            handler.answer(500, b"{}")
        return is_broken
    return trouble


@pytest.mark.parametrize("beginning, trouble", [
    ("FAIL  merge: answers without parts", closes_without_parts),
    ("warn  merge: takes a part with an empty body: it answers 422", refuses_empty_bodies),
    ("FAIL  merge: goes on after a deadline", breaks_after_a_deadline()),
])
def test_what_is_wrong_with_an_http_merge_is_said(gather, beginning, trouble):
    merge = gather.ending(HttpMerge(trouble))
    check("--merge", merge.url).only(beginning)


def test_a_merge_is_tried_with_what_the_leaf_answers(gather, tmp_path):
    leaf = gather.leaf(answering({"mine": 1}))
    merge = command(tmp_path, EXEC, "assert not ok or ok[0]['body'] == {'mine': 1}")
    check("--leaf", leaf.url, "--merge", merge).fine(LEAF_CHECKS + MERGE_CHECKS)
    sample = tmp_path / "sample.json"
    sample.write_text('{"mine": 1}')
    check("--merge", merge, "--sample", sample).fine(MERGE_CHECKS)
    assert check("--merge", merge).code == 1
