"""Configurations that are wrong: every error at once, where it is, and what was meant."""
import json
import re
import subprocess

import pytest

from asking import ask
from support import servers
from support.leaves import answering


def run(*words, env=None):
    """(exit code, lines of output) of a root that is to end at once."""
    done = subprocess.run([servers.CONSORT, "gather-root", *map(str, words)], capture_output=True,
                          text=True, timeout=20, env=env)
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.fixture
def check(tmp_path):
    """A file's text -> (exit code, complaints with the file's name taken off)."""
    def check(text, *words):
        path = tmp_path / "root.yaml"
        path.write_text(text)
        code, lines = run("--config", path, *words, "--check-config")
        return code, [line.removeprefix(f"{path}:") for line in lines]
    return check


MANY = """\
listn: ":8080"
timeout: 5x
leaf:
- http://a:80
- ftp://b
routes:
- match: GET /search
  scatter: {to: key:heder:X, pth: /x}
  leaf: {timeout: 400ms, hedge: {percentil: 95}}
  gather: {min_covrage: 90, ok_statuses: [ok]}
  merge: {type: top-q}
- match: search
max_inflight: many
"""


def test_every_error_at_once_with_its_place_and_what_was_meant(check):
    code, lines = check(MANY)
    assert code == 78
    expected = {
        '1:1: unknown key "listn" (did you mean "listen"?)',
        '2:10: timeout: "5x" is not a duration (try 250ms, 10s or 5m)',
        '5:3: leaf: "ftp://b" is not a URL (try http://host:8080, https://host or unix:/path)',
        '8:30: unknown key "pth" in scatter (did you mean "path"?)',
        '9:34: unknown key "percentil" in hedge (did you mean "percentile"?)',
        '10:12: unknown key "min_covrage" in gather (did you mean "min_coverage"?)',
        '11:10: merge: "top-q" is no merge (did you mean "top-k"?)',
        '12:10: match: "search" is no match: a path begins with "/" '
        '(try "GET /search", "/api/*" or "*")',
        '13:15: max_inflight: "many" is not a number (try 8)',
    }
    assert expected - set(lines) == set()
    assert any(line.startswith('8:17: to: "key:heder:X" is not a selection of shards: "heder" is '
                               'not header, query, path or body') for line in lines)
    assert any(line.startswith("10:") and '"ok"' in line for line in lines)
    assert all(re.match(r"\d+:\d+: ", line) for line in lines)


def test_a_root_with_a_bad_configuration_does_not_start(tmp_path):
    path = tmp_path / "root.yaml"
    path.write_text(MANY)
    code, lines = run("--config", path)
    assert code == 78
    assert sum(line.startswith(str(path)) for line in lines) >= 9


@pytest.mark.parametrize("text,place", [
    ("min_coverage: 190", "2:"), ("attempts: 9", "2:"), ("timeout: 0", "2:"),
    ("max_fanout: 9999", "2:"), ("max_header_bytes: 10", "2:"), ("ok_status: [99]", "2:"),
    ("path: '/{shrd}'", "2:"), ("merge_url: ftp://x", "2:"), ("hash_tag: abc", "2:"),
], ids=lambda text: text.split(":")[0])
def test_a_value_that_is_out_of_range_has_a_place_too(check, text, place):
    code, lines = check(f"leaf: http://a:80\n{text}\n")
    assert code == 78
    assert len(lines) == 1
    assert lines[0].startswith(place), lines[0]


def test_errors_of_routes_name_the_route(check):
    code, lines = check("""\
leaf: http://a:80
routes:
  a: {match: /a, attempts: 9, to: "key:query:x", distribution: random}
  b: {match: /b, merge_url: "http://x", merge_exec: foo, path: "/{shrd}"}
""")
    assert code == 78
    for place, what in [("3:", "it must be 1 to 5"), ("", 'route "a": distribution: a key has one place'),
                        ("4:", '"{shrd}" is not one of {shard}, {index}, {shards}, {path}'),
                        ("", 'route "b": merge_url, merge_exec and merge_coprocess exclude')]:
        assert any(line.startswith(place) and what in line for line in lines), (what, lines)


@pytest.mark.parametrize("text,what", [
    ("leaf: [", "1:"), ("leaf: http://a:80\n\tb: 1", "2:"), ("- a\n- b", "1:1"),
    ("leaf: {a: 1}", "1:"), ('{"leaf": "http://a", }}', "1:"), ("routes: 5\nleaf: http://a", "1:"),
    ("routes: [5]\nleaf: http://a", "1:"), ("routes: []\nleaf: http://a", "routes"),
    ("leaf: http://a\nroutes: [{match: /a}, {match: /a}]", "2:"), ("", "no leaf"),
    ("topology: {dns: a}", "1:"), ("topology: ftp://x", "1:"),
], ids=range(12))
def test_files_of_another_shape(check, text, what):
    code, lines = check(text)
    assert code == 78
    assert any(line.startswith(what) or what in line for line in lines), lines
    assert not any("internal" in line for line in lines)


@pytest.mark.parametrize("bad,near", [
    ("--leef", "--leaf"), ("--min-covrage", "--min-coverage"), ("--max-memry", "--max-memory"),
])
def test_an_unknown_flag_is_a_usage_error(bad, near):
    code, lines = run(bad, "x")
    assert code == 64
    assert lines == [f'consort: unknown option "{bad}", did you mean "{near}"?']


@pytest.mark.parametrize("words,what", [
    ([], "no leaf; give --leaf URL for each shard, or --topology"),
    (["--leaf", "ftp://x"], '--leaf: "ftp://x"'),
    (["--leaf", "http://a:{1..}"], "--leaf"),
    (["--leaf", "http://a:{1..5000}"], "4096"),
    (["--leaf", "a=http://a", "--leaf", "a=http://b"], '"a"'),
    (["--leaf", "http://a", "--merge", "to-k"], 'did you mean "top-k"?'),
    (["--leaf", "http://a", "--merge", "top-k:score:0"], "k"),
    (["--leaf", "http://a", "--merge", "sum:a:b"], "--merge"),
    (["--leaf", "http://a", "--timeout", "5"], "--timeout"),
    (["--leaf", "http://a", "--timeout", "11m"], "it must be more than 0 and at most 10m"),
    (["--leaf", "http://a", "--hedge", "p195:5%"], "--hedge"),
    (["--leaf", "http://a", "--mode", "first-n:0"], "--mode"),
    (["--leaf", "http://a", "--select", "adaptiv"], '"adaptive"'),
    (["--leaf", "http://a", "--wait-factor", "1:0"], "LEAST:MOST"),
    (["--leaf", "http://a", "--topology", "/x"], "give --leaf or --topology"),
    (["--topology", "dns://a"], "port"),
    (["--leaf", "http://a", "--mode", "quorum", "--merge-exec", "x"], "quorum"),
    (["--leaf", "http://a", "--leaf"], "--leaf"),
    (["http://a"], "http://a"),
], ids=range(19))
def test_flags_that_are_wrong_are_usage_errors(words, what):
    code, lines = run(*words)
    assert code == 64
    assert any(what in line for line in lines), lines


def test_a_variable_that_is_wrong_is_named(monkeypatch):
    monkeypatch.setenv("CONSORT_GATHER_ROOT_TIMEOUT", "5y")
    code, lines = run("--leaf", "http://a")
    assert code == 78
    assert lines == ['consort: CONSORT_GATHER_ROOT_TIMEOUT: "5y" is not a duration (try 250ms, '
                     "10s or 5m)"]


def test_a_file_that_is_not_there(tmp_path):
    code, lines = run("--config", tmp_path / "none.yaml")
    assert code == 78
    assert "none.yaml" in lines[0]


def test_a_flag_beside_routes_is_not_lost_in_silence(check):
    """A flag is stronger than the file. Where it cannot be, somebody has to be told."""
    text = "leaf: http://a:80\nroutes:\n- {match: /a, timeout: 1s}\n"
    code, lines = check(text, "--timeout", "7s")
    assert code != 0 or any("timeout" in line for line in lines), lines


# ---- what is right ----

GOOD = """\
listen: ":8080"
leaf: ["http://a:80|http://b:80", "x-{0..3}=http://c-{0..3}:80"]
timeout: 500ms
max_fanout: 100
routes:
- match: GET /search
  scatter: {to: "key:query:user", path: "/shard/{shard}/search", headers: {X-Shard: "{shard}"}}
  leaf: {timeout: 400ms, connect_timeout: 50ms, attempts: 2,
         hedge: {percentile: 90, max_extra: 0.1}, select: round-robin}
  gather: {mode: all, min_coverage: 90, wait_factor: [0, 0.5], ok_statuses: [200, 203],
           empty_statuses: [404]}
  merge: {type: top-k, items: /hits, key: /score, order: desc, k: {query: size, default: 7},
          dedup: /id}
- name: other
  match: /other/*
  timeout: 3s
  merge: {exec: "./merge.sh 'a b'", files: true, fallback: "concat:\\\\n"}
"""


def printed(*words):
    """(text, its values without where they came from)"""
    code, lines = run(*words, "--print-config")
    assert code == 0, lines
    return "\n".join(lines) + "\n", [re.sub(r"\s+# .*", "", line) for line in lines
                                     if not line.lstrip().startswith("#")]


def test_check_config_says_that_it_is_right(check):
    assert check(GOOD) == (0, ["configuration ok"])


def test_what_is_printed_reads_back_as_the_same(tmp_path):
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text(GOOD)
    text, values = printed("--config", first)
    second.write_text(text)
    assert printed("--config", second)[1] == values
    for expected in ["    path: \"/shard/{shard}/search\"", "    hedge: p90:10%",
                     "    wait_factor: 0:0.5", "    min_coverage: 90", "    timeout: 3s",
                     "    merge: \"top-k:/score:7:items=/hits:dedup=/id:k-query=size\"",
                     "    select: round-robin", "max_fanout: 100"]:
        assert expected in values, expected


def test_what_is_printed_says_where_it_came_from(tmp_path, monkeypatch):
    path = tmp_path / "root.yaml"
    path.write_text("leaf: http://a:80\nmax_fanout: 7\nmax_inflight: 5\nqueue_time: 1s\n")
    monkeypatch.setenv("CONSORT_GATHER_ROOT_MAX_INFLIGHT", "6")
    monkeypatch.setenv("CONSORT_GATHER_ROOT_QUEUE_TIME", "2s")
    text = printed("--config", path, "--queue-time", "3s")[0]
    assert re.search(rf"^max_fanout: 7 +# file {path}:2:1$", text, re.M)
    assert re.search(r"^max_inflight: 6 +# .*CONSORT_GATHER_ROOT_MAX_INFLIGHT$", text, re.M)
    assert re.search(r"^queue_time: 3s +# flag --queue-time$", text, re.M)
    assert re.search(r"^timeout: 2s +# default$", text, re.M)


def test_the_example_of_the_configuration_is_valid(tmp_path):
    code, lines = run("--print-config=example")
    assert code == 0
    path = tmp_path / "example.yaml"
    path.write_text("\n".join(lines) + "\n")
    code, lines = run("--config", path, "--check-config")
    # It shows options; which leaves there are is the reader's to say.
    assert code == 0 or lines == ["consort: no leaf; give --leaf URL for each shard, or --topology"]


def test_the_schema_knows_every_option():
    code, lines = run("--print-config=schema")
    assert code == 0
    schema = json.loads("\n".join(lines))
    assert {"leaf", "topology", "routes", "merge", "max_fanout", "timeout"} <= set(
        schema["properties"])


def test_json_is_read_as_well(gather, tmp_path):
    path = tmp_path / "root.json"
    path.write_text(json.dumps({"leaf": [leaf.url for leaf in gather.leaves(2)],
                                "merge": {"type": "concat", "separator": "-"}}))
    assert ask(gather.root([], "--config", str(path))).body == b"0-1"


def test_a_bad_reload_changes_nothing(gather, tmp_path):
    leaf = gather.leaf(answering(1))
    path = tmp_path / "root.yaml"
    path.write_text(f"leaf: {leaf.url}\n")
    root = gather.root([], "--config", str(path), "--watch-config=false")
    path.write_text(f"leaf: {leaf.url}\nmerge: summ\nlistn: x\n")
    status, text = root.get("/reload", "POST")
    assert 400 <= status < 500
    assert '2:8: merge: \\"summ\\"' in text or '2:8: merge: "summ"' in text, text
    assert "3:1" in text
    assert ask(root).body == b"[1]"
    path.write_text(f"leaf: {leaf.url}\nmerge: sum\n")
    assert root.get("/reload", "POST")[0] == 200
    assert ask(root).body == b"1"
