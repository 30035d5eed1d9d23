"""The instruments of the other tests here, tried without what they measure."""
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from support import collectors, logs
from support.fake_log_stores import FakeElasticsearch, FakeLoki, FakeOtlp
from support.log_cases import CASES, NotHere, Unfollowed
from support.log_stores import HttpSink, Trouble
from support.servers import wait_until


# ---- cases and tallies ----

def test_a_tally_tells_lost_repeated_and_foreign_lines_apart():
    expected = logs.Lines().take(5)
    assert str(logs.tally(expected, reversed(expected))) == "exact"
    got = [*expected[1:], expected[4], expected[4], expected[0][:50], b"\0\0" + expected[2]]
    found = logs.tally(expected, got)
    assert (found.lost, found.repeated, found.foreign) == (1, 2, 2)
    assert tuple(found) == (1, 4)
    assert "lost: 0" in str(found) and "repeated: 4" in str(found)
    # What was written twice must come twice.
    assert tuple(logs.tally(expected * 2, expected)) == (5, 0)


@pytest.mark.parametrize("case", CASES.values(), ids=str)
def test_a_case_writes_lines_of_one_width_and_says_which(directory, case):
    try:
        expected = case.write(directory, 2000, Unfollowed())
    except NotHere as why:
        pytest.skip(str(why))
    assert {len(line) for line in expected} <= {logs.LINE_BYTES - 1, logs.LONG_LINE_BYTES - 1}
    left = [line.lstrip(b"\0") for path in directory.iterdir() for line in
            (gzip.decompress(path.read_bytes()) if path.suffix == ".gz"
             else path.read_bytes()).split(b"\n")[:-1]]
    # Nothing is in the files that was not meant; where all of them are kept, all of it is there.
    found = logs.tally(expected, left)
    assert tuple(found)[1] == 0
    if case.name.startswith(("renamed", "lines", "partial", "equal", "killed", "copytruncate")):
        assert str(found) == "exact"


# ---- rsyslog follows and receives ----

@pytest.mark.parametrize("directory", ["ext4"], indirect=True)
def test_rsyslog_follows(directory, tmp_path):
    target = collectors.FileTarget(tmp_path / "out")
    with collectors.Rsyslog([directory / "app.log"], target, tmp_path / "state") as follower:
        expected = CASES["lines_of_1_mb"].write(directory, 2000, follower)
        assert follower.finish(expected) == 0
    assert str(logs.tally(expected, target.lines())) == "exact"


def frame(text, application="web"):
    message = f"<134>1 2026-01-01T00:00:00.5Z host {application} 7 id " \
              f'[consort@32473 f="a" o="0"] {text}'.encode()
    return b"%d %s" % (len(message), message)


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_the_syslog_receiver_takes_counted_octets(tls):
    texts = ["one", "three words here", "two\nlines", '{"json":"ü"}', "x" * 1000000, " blank"]
    with collectors.SyslogReceiver(tls) as receiver:
        try:
            with socket.create_connection(("127.0.0.1", receiver.port)) as client:
                if tls:
                    context = ssl.create_default_context(cafile=receiver.authority)
                    client = context.wrap_socket(client, server_hostname="localhost")
                client.sendall(b"".join(frame(text) for text in texts))
                client.close()
            wait_until(lambda: receiver.count() >= len(texts), "all messages")
            assert receiver.lines() == [text.encode() for text in texts]
            assert receiver.messages()[0] == {
                "pri": "134", "timestamp": "2026-01-01T00:00:00.5Z", "hostname": "host",
                "app-name": "web", "procid": "7", "msgid": "id",
                "structured-data": '[consort@32473 f="a" o="0"]', "msg": "one"}
        finally:
            receiver.close()


# ---- stores ----

def post(store, path, body, kind="application/json", **headers):
    """(status, body); a status of 0 when the connection was closed."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{store.port}{path}", data, {
        "Content-Type": kind, **{name.replace("_", "-"): text for name, text in headers.items()}})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_the_sink_takes_a_batch_once_and_reports_other_bytes():
    with HttpSink() as sink:
        body = b'{"message":"one","offset":0}\n{"message":"two","offset":4}\n'
        coded = gzip.compress(body[:29], mtime=0) + gzip.compress(body[29:], mtime=0)
        kind = "application/x-ndjson"
        for _ in range(2):
            assert post(sink, "/logs", coded, kind, Content_Encoding="gzip",
                        Idempotency_Key="a")[0] == 200
        assert (sink.lines(), sink.repeats, sink.conflicts) == ([b"one", b"two"], 1, [])
        assert post(sink, "/logs", body, kind, Idempotency_Key="a")[0] == 200
        assert (sink.count(), sink.conflicts) == (2, ["a"])
        assert post(sink, "/logs", b"no end", "text/plain")[0] == 400
        assert post(sink, "/logs", coded[:-3], kind, Content_Encoding="gzip")[0] == 400
        assert post(sink, "/logs", b"raw\nlines\n", "text/plain")[0] == 200
        assert sink.lines() == [b"one", b"two", b"raw", b"lines"]
        assert sink.errors == []


@pytest.mark.skipif(not shutil.which("zstd"), reason="the zstd program is missing")
def test_the_sink_reads_zstd():
    with HttpSink() as sink:
        parts = [subprocess.run(["zstd", "-q"], input=text, capture_output=True).stdout
                 for text in (b"one\n", b"two\n")]
        assert post(sink, "/", b"".join(parts), "text/plain", Content_Encoding="zstd")[0] == 200
        assert post(sink, "/", b"junk", "text/plain", Content_Encoding="zstd")[0] == 400
        assert sink.lines() == [b"one", b"two"]


def test_trouble_is_what_was_asked_for_and_the_same_each_time():
    def statuses():
        with HttpSink(Trouble(share=0.3, mute_share=0.2, statuses=(503, 429), seed=5)) as sink:
            for i in range(100):
                post(sink, "/", b"%d\n" % i, "text/plain")
            return sink.answered, sink.lines()
    first, lines = statuses()
    assert set(first) == {200, 503, 429, 0}
    assert first[503] + first[429] in range(20, 40) and first[0] in range(10, 30)
    # What was not answered is stored.
    assert len(lines) == first[200] + first[0]
    assert statuses() == (first, lines)


def test_a_store_comes_back_on_its_port_with_what_it_has():
    with HttpSink() as sink:
        assert post(sink, "/", b"one\n", "text/plain")[0] == 200
        sink.stop()
        assert post(sink, "/", b"two\n", "text/plain")[0] == 0
        sink.begin()
        assert post(sink, "/", b"three\n", "text/plain")[0] == 200
        assert sink.lines() == [b"one", b"three"]


def test_loki_refuses_what_loki_refuses():
    def push(stream, *values):
        return post(loki, "/loki/api/v1/push",
                    {"streams": [{"stream": stream, "values": list(values)}]})
    hour = 3600 * 10**9
    with FakeLoki() as loki:
        labels = {"job": "a"}
        assert push({}, ["1", "x"]) == (400,
                                        "error at least one label pair is required per stream")
        assert push({"a-b": "x"}, ["1", "x"])[0] == 400
        assert push(labels, [1, "x"])[0] == 400
        assert push(labels, ["1"])[0] == 400
        assert push(labels, ["1", "x", {"n": 1}])[0] == 400
        assert push(labels, [str(5 * hour), "x"], [str(5 * hour), "x"]) == (204, "")
        assert push(labels, [str(5 * hour), "x"], [str(5 * hour + 1), "x", {"n": "1"}])[0] == 204
        assert (loki.lines(), loki.duplicates) == ([b"x", b"x"], 2)
        status, text = push(labels, [str(hour), "late"], [str(5 * hour), "in time"])
        assert status == 400
        assert "entry too far behind" in text and "total ignored: 1 out of 2" in text
        assert loki.lines()[2:] == [b"in time"]
        assert post(loki, "/loki/api/v1/push", b"{}", "text/plain")[0] == 400
        assert post(loki, "/elsewhere", {})[0] == 404


def test_elasticsearch_answers_for_each_item():
    def bulk(*lines, kind="application/x-ndjson", end="\n"):
        text = "\n".join(json.dumps(line) for line in lines) + end
        status, answer = post(store, "/logs/_bulk", text.encode(), kind)
        if status != 200:
            return status
        answer = json.loads(answer)
        found = [next(iter(item.values()))["status"] for item in answer["items"]]
        assert answer["errors"] == any(status >= 400 for status in found)
        return found
    with FakeElasticsearch(data_streams=("stream",), numbers=("size",),
                           body_bytes_max=2000) as store:
        one = {"create": {"_id": "1"}}
        assert bulk(one, {"message": "x"}, one, {"message": "y"}) == [201, 409]
        assert bulk({"create": {"_id": "2"}}, {"size": "large"}) == [400]
        assert bulk({"index": {"_index": "stream"}}, {"@timestamp": 1}) == [400]
        assert bulk({"create": {"_index": "stream"}}, {"message": "no time"}) == [400]
        assert bulk({"create": {"_index": "stream"}}, {"@timestamp": 1, "message": "z"}) == [201]
        assert bulk(one, {}, end="") == 400
        assert bulk(one, {}, kind="text/plain") == 406
        assert bulk(one) == 400
        assert bulk(one, {"message": "x" * 2000}) == 413
        assert store.lines() == [b"x", b"z"]
        store.busy_share = 1.0
        assert bulk({"create": {"_id": "3"}}, {}) == [429]
        assert store.items == {201: 2, 409: 1, 400: 3, 429: 1}


def test_otlp_is_strict_about_numbers_and_names():
    def export(record, kind="application/json", **more):
        status, text = post(store, "/v1/logs", {"resourceLogs": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]},
            "scopeLogs": [{"scope": {"name": "x"}, "logRecords": [record]}], **more}]}, kind)
        return (status, json.loads(text)) if status == 200 else status
    good = {"timeUnixNano": "1", "body": {"stringValue": "x"}, "severityNumber": 9,
            "attributes": [{"key": "offset", "value": {"intValue": "7"}}], "traceId": "0a" * 16}
    with FakeOtlp(reject=lambda record: record["severityNumber"] > 20) as store:
        assert export(good) == (200, {})
        assert export({**good, "severityNumber": 21}) == (200, {"partialSuccess": {
            "rejectedLogRecords": "1", "errorMessage": "not wanted"}})
        for bad in ({"timeUnixNano": 1}, {"time": "1"}, {"traceId": "xyz"}, {"body": "x"},
                    {"body": {"intValue": 1}}, {"body": {}}, {"severityNumber": 25},
                    {"attributes": [{"key": "a", "value": {"intValue": "x"}}]}):
            assert export({**good, **bad}) == 400, bad
        assert export(good, unknown=1) == 400
        assert export(good, "application/x-protobuf") == 415
        assert store.lines() == [b"x"]
        assert store.records[0][0] == {"service.name": "a"}
