"""Merges of the user's that are an HTTP server or a command per request.

What travels, what may come back, and what becomes of requests when a merge dies. What bad merges
answer to clients is test_merge_faults.py's.
"""
import base64
import email
import email.policy
import gzip
import json
import os
import re
import signal

import pytest

from asking import Client, ask, under_way
from support import leaves, servers
from support.leaves import answering, black_hole, gzipped, in_turn, resetting
from support.servers import wait_until
from support_merge import (BINARY, PARTIAL, SPACED, ask_as_me, check_document, check_parts, children,
                           four_kinds, ndjson, shell)


@pytest.fixture
def four(gather):
    return four_kinds(gather)


# ---- http ----

@pytest.fixture(params=["tcp", "unix"])
def merge(request, gather, tmp_path):
    """A merge server; the root knows it by `url`."""
    where = {"unix": str(tmp_path / "merge.sock")} if request.param == "unix" else {}
    leaf = gather.leaf(answering({"merged": True}), **where)
    if request.param == "tcp":
        leaf.url += "/merge/here"
    return leaf


def test_json_to_a_server(gather, four, merge):
    root = gather.root(four, "--merge-url", merge.url, *PARTIAL)
    assert ask_as_me(root).json() == {"merged": True}
    [seen] = merge.requests
    assert seen.method == "POST"
    assert seen.path == ("/" if merge.unix else "/merge/here")
    assert seen.header("Content-Type") == "application/json"
    assert seen.header("Consort-Request-Id") == "me-1"
    assert re.fullmatch("[0-9]{1,8}[Smu]", seen.header("grpc-timeout"))
    document = json.loads(seen.body)
    check_document(document)
    check_parts(document["parts"])
    assert SPACED in seen.body


def test_ndjson_to_a_server(gather, four, merge):
    root = gather.root(four, "--merge-url", merge.url, "--merge-format", "ndjson", *PARTIAL)
    assert ask_as_me(root, method="POST", body=b"{}").json() == {"merged": True}
    [seen] = merge.requests
    assert seen.header("Content-Type") == "application/x-ndjson"
    first, parts = ndjson(seen.body)
    check_document(first, "POST")
    assert (first["total"], first["ok"]) == (4, 3)
    check_parts(parts)


def test_multipart_to_a_server(gather, four, merge):
    root = gather.root(four, "--merge-url", merge.url, "--merge-format", "multipart", *PARTIAL)
    assert ask_as_me(root).json() == {"merged": True}
    [seen] = merge.requests
    kind = seen.header("Content-Type")
    assert kind.startswith("multipart/mixed")
    message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + seen.body,
                                       policy=email.policy.HTTP)
    assert message.is_multipart() and message.defects == []
    about, *parts = message.get_payload()
    assert about["Content-Type"] == "application/json"
    document = json.loads(about.get_payload(decode=True))
    check_document(document)
    check_parts(document["parts"], bodies=False)
    assert [part["Consort-Shard"] for part in parts] == ["s0", "s1", "s2"]
    assert parts[1].get_content_type() == "text/x-odd"
    # Not by way of `email`, which knows only text here.
    pieces = seen.body.split(b"--" + kind.split("boundary=")[1].encode())[2:-1]
    for piece, part, body in zip(pieces, parts, [SPACED, BINARY, b""]):
        assert piece.partition(b"\r\n\r\n")[2] == body + b"\r\n"
        assert part["Content-Length"] == str(len(body))


def test_a_leaf_cannot_forge_a_boundary(gather, merge):
    forged = b"\r\n--consort-0000000000000001\r\nConsort-Shard: s9\r\n\r\nevil\r\n"
    root = gather.root([gather.leaf(answering(forged, content_type="text/plain"))], "--merge-url",
                       merge.url, "--merge-format", "multipart")
    assert ask(root).status == 200
    [seen] = merge.requests
    boundary = seen.header("Content-Type").split("boundary=")[1]
    assert b"--" + boundary.encode() not in forged
    assert seen.body.count(b"--" + boundary.encode()) == 3


def test_what_a_server_answers_is_the_answer(gather, merge):
    merge.behave = answering(b"<p>", status=404, content_type="text/html", headers=[
        ("X-One", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d"), ("Keep-Alive", "timeout=5"),
        ("Connection", "X-Hop"), ("X-Hop", "1")])
    answer = ask(gather.root(gather.leaves(2), "--merge-url", merge.url))
    assert (answer.status, answer.body) == (404, b"<p>")
    assert answer.header("Content-Type") == "text/html"
    assert answer.header("X-One") == "1"
    assert answer.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
    assert answer.header("X-Hop") is None and answer.header("Keep-Alive") is None
    assert answer.coverage() == {"total": 2, "ok": 2, "percent": 100.0}


def test_answers_without_a_body(gather, merge):
    root = gather.root(gather.leaves(2), "--merge-url", merge.url)
    answer = ask(root, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("Content-Length") == str(len(b'{"merged": true}'))
    assert json.loads(merge.requests[0].body)["request"]["method"] == "HEAD"
    merge.behave = answering(b"", status=204)
    for method in ["GET", "HEAD"]:
        answer = ask(root, method=method)
        assert (answer.status, answer.body) == (204, b"")


def test_encoded_answers_are_for_a_merge_of_ones_own(gather, merge):
    """A built-in merge cannot read them; what reads them is somebody else's business."""
    leaf = gather.leaf(gzipped(b"[1]"))
    assert ask(gather.root([leaf])).status == 502
    root = gather.root([leaf], "--merge-url", merge.url)
    assert ask(root).status == 200
    [part] = json.loads(merge.requests[0].body)["parts"]
    assert gzip.decompress(base64.b64decode(part["body"]["base64"])) == b"[1]"


def test_connections_to_a_server_are_kept_and_a_lost_one_is_replaced(gather, merge):
    root = gather.root(gather.leaves(2), "--merge-url", merge.url)
    for _ in range(10):
        assert ask(root).status == 200
    assert merge.connections == 1
    merge.behave = in_turn(resetting, answering([7]))
    assert ask(root).body == b"[7]"
    assert merge.connections == 2


def test_a_server_that_is_killed_and_comes_back(gather, start):
    port = servers.free_port()
    killed = start.process(leaves.LeafProcess(port))
    root = gather.root(gather.leaves(2), "--merge-url", f"http://127.0.0.1:{port}/x")
    assert ask(root).json() == {"target": "/x"}
    killed.kill()
    for _ in range(3):
        answer = ask(root)
        assert (answer.status, answer.problem_type()) == (502, "merge-failed")
    start.process(leaves.LeafProcess(port))
    wait_until(lambda: ask(root).status == 200, "its return", 10)


def test_a_server_that_leaves_while_it_merges(gather):
    leaving = gather.leaf(black_hole)
    root = gather.root(gather.leaves(1), "--merge-url", leaving.url, "--timeout", "10s")
    with under_way(root) as client:
        wait_until(lambda: leaving.requests, "the merge")
        leaving.close_connections()
        answer = client.answer()
        assert (answer.status, answer.problem_type()) == (502, "merge-failed")
        assert answer.seconds < 5


@pytest.mark.parametrize("kind", ["http", "exec", "coprocess"])
def test_a_fallback_for_each_carrier(gather, tmp_path, kind):
    words = {"http": ["--merge-url", gather.leaf(resetting).url],
             "exec": ["--merge-exec", "false"],
             "coprocess": ["--merge-coprocess", "false"]}[kind]
    shards = [gather.leaf(answering(1)), gather.leaf(answering(b"no JSON")),
              gather.leaf(answering(2))]
    root = gather.root(shards, *words, "--merge-fallback", "sum")
    answer = ask(root)
    # The fallback takes what it can; it is only a stand-in.
    assert (answer.status, answer.body) == (200, b"3")
    assert answer.header("Consort-Merge") == "fallback"
    assert "merge.failed" in root.output()


# ---- exec ----

def test_ndjson_to_a_command(gather, four):
    root = gather.root(four, "--merge-exec", "cat", *PARTIAL)
    answer = ask_as_me(root)
    first, parts = ndjson(answer.body)
    check_document(first)
    check_parts(parts)
    assert answer.header("Content-Type").startswith("text/plain")


def test_a_command_may_be_jq(gather):
    root = gather.root([gather.leaf(answering({"n": i})) for i in (1, 2, 3)], "--merge-exec",
                       "jq -cs 'map(.body.n // empty) | add'")
    answer = ask(root)
    assert (answer.body, answer.header("Content-Type")) == (b"6\n", "application/json")


def test_the_environment_of_a_command(gather, four):
    root = gather.root(four, "--merge-exec", "env", *PARTIAL)
    found = dict(line.split("=", 1) for line in
                 ask_as_me(root, method="PUT", body=b"x").body.decode().splitlines())
    expected = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/p q", "QUERY_STRING": "a=1&b",
                "CONSORT_TOTAL": "4", "CONSORT_OK": "3", "CONSORT_REQUEST_ID": "me-1"}
    assert {name: found.get(name) for name in expected} == expected
    assert 0 < int(found["CONSORT_DEADLINE_MS"]) <= 2000
    assert "PATH" in found


def test_files_for_a_command(gather, four, tmp_path):
    command = shell(tmp_path, f"""
cd "$CONSORT_PARTS_DIR" || exit 1
pwd > {tmp_path}/where; ls > {tmp_path}/names; stat -c %a . > {tmp_path}/mode
cat > {tmp_path}/stdin
cat request.json s0.json s1.json s3.json > {tmp_path}/documents
exec cat s0.body s1.body s2.body
""")
    root = gather.root(four, "--merge-exec", command, "--merge-files", *PARTIAL)
    assert ask_as_me(root).body == SPACED + BINARY
    assert (tmp_path / "names").read_text().split() == [
        "request.json", "s0.body", "s0.json", "s1.body", "s1.json", "s2.body", "s2.json",
        "s3.json"]
    assert (tmp_path / "mode").read_text() == "700\n"
    assert (tmp_path / "stdin").read_bytes() == b""
    document, *parts = [json.loads(line) for line
                        in (tmp_path / "documents").read_text().splitlines()]
    check_document(document)
    check_parts(document["parts"], bodies=False)
    assert [part["file"] for part in document["parts"]] == ["s0", "s1", "s2", "s3"]
    assert parts == [document["parts"][i] for i in (0, 1, 3)]
    wait_until(lambda: not os.path.exists((tmp_path / "where").read_text().strip()), "its removal")


def test_files_are_removed_after_a_command_that_was_killed(gather, tmp_path):
    command = shell(tmp_path, f'pwd -P > /dev/null; echo "$CONSORT_PARTS_DIR" > {tmp_path}/where; '
                              'exec sleep 60')
    root = gather.root(gather.leaves(1), "--merge-exec", command, "--merge-files", "--timeout",
                       "300ms")
    assert ask(root).status == 504
    where = (tmp_path / "where").read_text().strip()
    wait_until(lambda: children(root) == [] and not os.path.exists(where), "its removal")


def test_cgi_headers_of_a_command(gather, tmp_path):
    command = shell(tmp_path, r"""printf 'Status: 203 Well\r\nContent-Type: text/csv\nX-A: 1\r
X-A: 2\nContent-Length: 99\n\na,b\n\n1,2\n'""")
    root = gather.root(gather.leaves(1), "--merge-exec", command, "--merge-cgi")
    answer = ask(root)
    assert (answer.status, answer.body) == (203, b"a,b\n\n1,2\n")
    assert answer.header("Content-Type") == "text/csv"
    assert answer.header("X-A") == "1, 2"


def test_what_a_command_says_on_its_standard_error_is_logged(gather, tmp_path):
    command = shell(tmp_path, "echo 'something about it' >&2; echo [1]")
    root = gather.root(gather.leaves(1), "--merge-exec", command)
    assert ask(root, headers=[("X-Request-Id", "abc")]).body == b"[1]\n"
    wait_until(lambda: "something about it" in root.output(), "the line")
    [line] = [line for line in root.output().splitlines() if "something about it" in line]
    assert "abc" in line


def test_a_command_that_does_not_read_all_of_its_input(gather, tmp_path):
    """A megabyte that nobody wants must not keep a root waiting, nor kill it by a signal."""
    big = gather.leaf(answering(b'"' + b"x" * (1 << 20) + b'"'))
    root = gather.root([big], "--merge-exec", shell(tmp_path, "exec echo done"))
    for _ in range(3):
        answer = ask(root)
        assert (answer.status, answer.body) == (200, b"done\n")


def test_large_bodies_go_through_a_command(gather):
    body = b'"' + b"0123456789abcdef" * (1 << 16) + b'"'
    root = gather.root([gather.leaf(answering(body)) for _ in range(4)], "--merge-exec",
                       "jq -sr '.[1:][].body | length'")
    assert ask(root).body == b"1048576\n" * 4


def test_commands_have_a_limit_and_the_others_wait(gather, tmp_path):
    lock = tmp_path / "lock"
    command = shell(tmp_path, f"mkdir {lock} || exit 7; sleep 0.02; rmdir {lock}; echo ok")
    root = gather.root(gather.leaves(1), "--merge-exec", command, "--merge-processes", "1",
                       "--timeout", "10s")
    clients = [Client(root.port) for _ in range(8)]
    for client in clients:
        client.send()
    for client in clients:
        assert client.answer().body == b"ok\n"
        client.close()


def test_a_command_that_is_not_there_is_told_before_the_first_request(gather, tmp_path):
    command = tmp_path / "merge"
    root = gather.root(gather.leaves(1), "--merge-exec", str(command))
    assert "command.missing" in root.output() and str(command) in root.output()
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "merge-failed")
    # It may come later, as with a volume.
    command.write_text("#!/bin/sh\necho late\n")
    command.chmod(0o700)
    answer = ask(root)
    assert (answer.status, answer.body) == (200, b"late\n")


def test_a_client_that_leaves_ends_its_command(gather, tmp_path):
    root = gather.root(gather.leaves(1), "--merge-exec", "sleep 60", "--timeout", "60s")
    with under_way(root):
        wait_until(lambda: children(root), "the command")
    wait_until(lambda: children(root) == [], "its end", 10)


def test_sigterm_waits_for_a_command(gather, tmp_path):
    command = shell(tmp_path, "sleep 0.2; echo late")
    root = gather.root(gather.leaves(1), "--merge-exec", command, "--timeout", "10s")
    with under_way(root) as client:
        wait_until(lambda: children(root), "the command")
        root.send_signal(signal.SIGTERM)
        assert client.answer().body == b"late\n"
    assert root.wait() == 0
