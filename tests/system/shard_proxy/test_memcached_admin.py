"""memcached commands that concern whole servers: the proxy must look like one server.

With one server behind it every form of every such command is asked directly, through the proxy,
and directly again: what did not change between the direct answers must be the proxy's as well, and
what may change by itself is named here. With four servers the proxy's numbers are compared with
those that the test adds up by rules of its own.
"""
import contextlib
import re

import pytest

from support import servers
from talk import Memcached

# Names whose values change while nobody but the test asks.
RESTLESS = {"uptime", "time", "rusage_user", "rusage_system", "bytes_read", "bytes_written",
            "response_obj_count", "response_obj_bytes", "read_buf_count", "read_buf_bytes",
            "read_buf_bytes_free", "lru_maintainer_juggles", "lru_crawler_starts",
            "lru_crawler_running", "crawler_items_checked", "cmd_flush", "age", "age_hot",
            "age_warm", "number_hot", "number_warm", "number_cold", "moves_to_cold",
            "moves_to_warm", "secs_since_last_cmd", "state", "oldest"}
# Of these, the ones that come and go, so that two equal answers say nothing about one between.
FLEETING = {"state", "secs_since_last_cmd", "lru_crawler_running", "response_obj_count",
            "response_obj_bytes", "read_buf_count", "read_buf_bytes", "read_buf_bytes_free"}

FORMS = """stats
stats items
stats slabs
stats sizes
stats conns
stats settings
stats extstore
stats reset
stats detail
stats detail on
stats detail dump
stats detail nonsense
stats detail on x
stats detail off
stats cachedump
stats cachedump 1
stats cachedump 1 0
stats cachedump 1 1
stats cachedump 1 -1
stats cachedump x 1
stats cachedump 99 1
stats proxy
stats nonsense
stats nonsense noreply
stats ITEMS
stats items x
stats reset x
stats noreply
version
version x
verbosity
verbosity 0
verbosity 0 x
verbosity x
verbosity -1
verbosity 0 noreply
verbosity noreply
cache_memlimit
cache_memlimit 64
cache_memlimit 64 x
cache_memlimit 1
cache_memlimit x
cache_memlimit 64 noreply
cache_memlimit x noreply
flush_all x
flush_all x noreply
flush_all 1 2 3
flush_all 1000
flush_all 1000 x
flush_all 1000 noreply
shutdown
shutdown graceful
shutdown nonsense
misbehave
debugtime 1
lru
lru nonsense
lru noreply
lru mode
lru mode flat
lru mode segmented
lru mode nonsense
lru mode segmented noreply
lru mode noreply
lru tune 10 25 0.1
lru tune 10 25 0.1 2.0
lru tune 90 20 0.1 2.0
lru tune x 25 0.1 2.0
lru tune 10 25 0.1 2.0 noreply
lru temp_ttl 60
lru temp_ttl -1
lru temp_ttl x
lru_crawler
lru_crawler nonsense
lru_crawler enable x
lru_crawler enable noreply
lru_crawler crawl
lru_crawler crawl x
lru_crawler crawl 99999
lru_crawler crawl noreply
lru_crawler sleep
lru_crawler sleep 100
lru_crawler sleep 99999999
lru_crawler sleep x
lru_crawler sleep noreply
lru_crawler sleep 100 noreply
lru_crawler tocrawl 0
lru_crawler tocrawl x
lru_crawler metadump
slabs
slabs nonsense
slabs noreply
slabs reassign
slabs reassign 1 1
slabs reassign -1 1
slabs reassign 1 2
slabs reassign x y
slabs reassign 1 noreply
slabs reassign 1 2 noreply
slabs automove
slabs automove 1
slabs automove 1 2
slabs automove 5
slabs automove x
slabs automove ratio 0.8
slabs automove noreply
slabs automove 1 noreply
extstore
extstore nonsense
extstore noreply
extstore item_size 512
extstore item_size x
extstore item_size 512 noreply
refresh_certs
refresh_certs x
watch nonsense
watch fetchers nonsense
watch noreply
config get cluster""".splitlines()

NOT_SHARED = b"SERVER_ERROR not available through a shared connection\r\n"
REFUSED = [b"watch", b"watch fetchers mutations", b"lru_crawler metadump all",
           b"lru_crawler mgdump all", b"stats sizes_enable", b"stats sizes_disable"]


class Asker:
    """One connection; an answer is what comes before the answer to `version`."""

    def __init__(self, port):
        self.client = servers.connect(port)

    def ask(self, line, body=b""):
        if line.startswith(b"version"):
            return self.read(line + b"\r\nversion\r\n", 2)
        return self.read(line + b"\r\n" + body + b"version\r\n", 1)

    def read(self, request, versions):
        self.client.sendall(request)
        answer = b""
        while len(re.findall(rb"^VERSION ", answer, re.M)) < versions or answer[-1:] != b"\n":
            chunk = self.client.recv(1 << 20)
            assert chunk, f"closed after {answer!r}"
            answer += chunk
        return answer[:answer.rindex(b"VERSION ")]

    def stats(self, form=b""):
        """{name: value} as text, in the order of the answer."""
        answer = self.ask((b"stats " + form).strip()).decode()
        assert answer.endswith("END\r\n"), answer
        rows = [line.split(" ", 2) for line in answer.splitlines()[:-1]]
        assert all(row[0] == "STAT" for row in rows), answer
        assert len({row[1] for row in rows}) == len(rows), answer
        return {row[1]: row[2] for row in rows}

    def close(self):
        self.client.close()


@pytest.fixture(scope="module")
def start_pool(start_for_module):
    """count -> (direct askers, the proxy's asker), with some keys stored."""
    made = {}

    def get(count):
        if count not in made:
            backends = start_for_module.memcached(count, extra=["-o", "track_sizes"])
            proxy = start_for_module.proxy(backends, "memcached")
            direct = [Asker(backend.port) for backend in backends]
            through = Asker(proxy.port)
            for asker in (*direct, through):
                start_for_module.stack.callback(asker.close)
            fill(through)
            made[count] = direct, through
        return made[count]

    return get


def fill(through):
    for i in range(200):
        value = b"v" * (i * 13 % 700)
        assert through.ask(b"set group%d:key%d 0 0 %d" % (i % 5, i, len(value)),
                           value + b"\r\n") == b"STORED\r\n"
    for i in range(0, 400, 3):
        through.ask(b"get group%d:key%d" % (i % 5, i))


def name_of(line):
    """What a line is about, without its class: "STAT items:12:age 5" -> age."""
    words = line.split()
    return words[1].rsplit(":", 1)[-1] if len(words) > 1 else line


@pytest.mark.parametrize("form", FORMS)
def test_one_server_answers_every_form_as_it_does_directly(start_pool, form):
    (direct,), through = start_pool(1)
    for line in (form.encode(), form.encode().replace(b" ", b"   ") + b"  "):
        before = direct.ask(form.encode()).decode().splitlines()
        ours = through.ask(line).decode().splitlines()
        after = direct.ask(form.encode()).decode().splitlines()
        assert [name_of(row) for row in ours] == [name_of(row) for row in before]
        for old, row, new in zip(before, ours, after):
            if row != old:
                assert name_of(row) in RESTLESS, f"{row!r}, but directly {old!r}"
                assert old != new or name_of(row) in FLEETING, row


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("line", REFUSED, ids=lambda line: line.decode())
def test_what_cannot_share_a_connection_is_refused(start_pool, line, count):
    assert start_pool(count)[1].ask(line) == NOT_SHARED


@pytest.mark.parametrize("form", [form for form in FORMS if not form.startswith("stats")])
def test_four_servers_answer_every_order_as_one_does(start_pool, form):
    direct, through = start_pool(4)
    assert through.ask(form.encode()) == direct[0].ask(form.encode())


LOWEST = {"pid", "uptime", "time", "accepting_conns"}
HIGHEST = {"hash_power_level", "hash_is_expanding", "slab_reassign_running", "lru_crawler_running",
           "age", "age_hot", "age_warm"}
FIRST = {"version", "libevent", "pointer_size", "chunk_size", "chunks_per_page"}


def expected(name, values):
    """One name's values of all servers that have it, as one value."""
    plain = name.rsplit(":", 1)[-1]
    if plain in FIRST:
        return values[0]
    if plain.startswith("rusage_"):
        return f"{sum(float(value) for value in values):.6f}"
    numbers = [int(value) for value in values]
    if plain == "evicted_time":
        return str(min((number for number in numbers if number > 0), default=0))
    if plain in LOWEST:
        return str(min(numbers))
    return str(max(numbers) if plain in HIGHEST else sum(numbers))


def merged(tables):
    """{name: value or None}; None where a server's value changed by itself."""
    rows = {}
    for before, after in tables:
        for name, value in before.items():
            rows.setdefault(name, []).append(value if after.get(name) == value else None)
    return {name: None if None in values else expected(name, values)
            for name, values in rows.items()}


@pytest.mark.parametrize("form", [b"", b"items", b"slabs", b"sizes"],
                         ids=["plain", "items", "slabs", "sizes"])
def test_four_servers_are_added_up(start_pool, form):
    direct, through = start_pool(4)
    before = [asker.stats(form) for asker in direct]
    ours = through.stats(form)
    want = merged(zip(before, [asker.stats(form) for asker in direct]))
    if form == b"":
        assert ours.pop("proxy_servers") == "4"
        assert list(ours) == list(before[0])
        assert int(ours["curr_items"]) == 200
        assert int(ours["threads"]) == 16
    if form == b"slabs":
        classes = {name.split(":")[0] for name in want if ":" in name}
        want["active_slabs"] = str(len(classes))
        assert list(ours)[-2:] == ["active_slabs", "total_malloced"]
    if form != b"":
        classes = [int(re.sub(r"\D*(\d+).*", r"\1", name)) for name in ours
                   if any(letter.isdigit() for letter in name)]
        assert classes == sorted(classes)
        assert len(set(classes)) > 3
    assert set(ours) == set(want)
    changed = {name for name, value in want.items() if value is None or name in FLEETING}
    assert {name.rsplit(":", 1)[-1] for name in changed} <= RESTLESS
    assert {name: ours[name] for name in want if name not in changed} == \
        {name: value for name, value in want.items() if name not in changed}
    assert len(want) - len(changed) > 5


def test_four_servers_lists_stand_one_after_another(start_pool):
    direct, through = start_pool(4)
    assert through.ask(b"stats settings") == direct[0].ask(b"stats settings")
    rows = [len(asker.ask(b"stats conns").splitlines()) - 1 for asker in direct]
    assert len(through.ask(b"stats conns").splitlines()) == sum(rows) + 1
    parts = [asker.ask(b"stats cachedump 1 0") for asker in direct]
    whole = b"".join(part[:-len(b"END\r\n")] for part in parts) + b"END\r\n"
    assert whole.count(b"ITEM ") > 4
    assert through.ask(b"stats cachedump 1 0") == whole
    assert through.ask(b"stats cachedump 1 3").count(b"ITEM ") == 3
    assert through.ask(b"stats extstore") == b"END\r\n"
    assert through.ask(b"stats nonsense") == b"ERROR\r\n"
    assert through.ask(b"stats cachedump") == direct[0].ask(b"stats cachedump")


def test_four_servers_orders_reach_all_of_them(start_pool):
    direct, through = start_pool(4)
    assert through.ask(b"stats detail on") == b"OK\r\n"
    for i in range(200):
        through.ask(b"get group%d:key%d" % (i % 5, i))
        through.ask(b"get nope%d:x" % (i % 2))
    parts = [asker.ask(b"stats detail dump") for asker in direct]
    dump = through.ask(b"stats detail dump")
    assert sum(b"PREFIX group" in part for part in parts) > 1
    for name in (b"group0", b"group3", b"nope0", b"nope1"):
        gets = [int(count) for part in parts
                for count in re.findall(rb"PREFIX %s get (\d+)" % name, part)]
        assert re.findall(rb"PREFIX %s get (\d+) hit" % name, dump) == [b"%d" % sum(gets)]
        assert sum(gets) == (100 if name.startswith(b"nope") else 40)
    assert all(asker.stats(b"settings")["detail_enabled"] == "yes" for asker in direct)
    assert through.ask(b"stats detail off") == b"OK\r\n"
    assert all(asker.stats(b"settings")["detail_enabled"] == "no" for asker in direct)
    assert through.ask(b"cache_memlimit 128 noreply") == b""
    assert all(asker.stats(b"settings")["maxbytes"] == str(128 << 20) for asker in direct)
    assert through.ask(b"lru temp_ttl 77 noreply") == b""
    assert all(asker.stats(b"settings")["temporary_ttl"] == "77" for asker in direct)
    assert any(asker.stats()["get_hits"] != "0" for asker in direct)
    assert through.ask(b"stats reset") == b"RESET\r\n"
    assert all(asker.stats()["get_hits"] == "0" for asker in direct)


def test_flush_all_empties_every_server_and_waits_when_told_so(start):
    backends = start.memcached(4)
    with contextlib.closing(Asker(start.proxy(backends, "memcached").port)) as through:
        fill(through)
        assert through.ask(b"flush_all 1000") == b"OK\r\n"
        assert through.ask(b"get group1:key1") != b"END\r\n"
        assert through.ask(b"flush_all nonsense") == b"CLIENT_ERROR invalid exptime argument\r\n"
        assert through.ask(b"flush_all noreply") == b""
        for i in range(200):
            assert through.ask(b"get group%d:key%d" % (i % 5, i)) == b"END\r\n"
        for backend in backends:
            with contextlib.closing(Asker(backend.port)) as direct:
                assert direct.stats()["cmd_flush"] == "2"


def test_a_server_that_is_gone_is_not_left_out_of_the_numbers(start):
    backends = start.memcached(4)
    proxy = start.proxy(backends, "memcached")
    backends[2].kill()
    name = b"SERVER_ERROR 127.0.0.1:%d " % backends[2].port
    with Memcached(proxy.port) as client:
        for form in (b"stats", b"stats items", b"stats sizes", b"stats conns", b"stats detail dump",
                     b"stats reset", b"flush_all", b"lru mode segmented"):
            assert client.ask(form).startswith(name), form
        assert client.ask(b"version") == b"VERSION " + version(backends[0])
        assert client.ask(b"stats settings").startswith(b"STAT maxbytes ")


def version(backend):
    with Memcached(backend.port) as direct:
        return direct.ask(b"version").removeprefix(b"VERSION ")


def test_a_pipelined_mixture_keeps_its_order(start_pool):
    direct, through = start_pool(4)
    request = b"".join(
        b"set mix%d 0 0 1\r\n%d\r\nstats\r\nget mix%d\r\nstats nonsense\r\nverbosity 0\r\n"
        b"stats items\r\ndelete mix%d noreply\r\nmg mix%d v q\r\n" % (i, i % 10, i, i, i)
        for i in range(100))
    through.client.sendall(request + b"mn\r\n")
    answer = b""
    while not answer.endswith(b"MN\r\n"):
        answer += through.client.recv(1 << 20)
    answer = re.sub(rb"(STAT [^\r]*\r\n)+", b"STAT\r\n", answer)
    assert answer == b"".join(
        b"STORED\r\nSTAT\r\nEND\r\nVALUE mix%d 0 1\r\n%d\r\nEND\r\nERROR\r\nOK\r\nSTAT\r\nEND\r\n"
        % (i, i % 10) for i in range(100)) + b"MN\r\n"


# Each runs with keys of its own: H holds 5, T holds abc, M is not there.
QUIET = ["mg H q", "mg H v q", "mg H q k O1 f s t", "mg M q", "mg M v q k O1", "mg M k O1",
         "mg M N30 v q", "mg H q q", "mg H q X", "mg H T q", "mg H Tx q", "mg H b q",
         "mg !!! b q", "mg %s q" % ("k" * 251), "mg H O%s q" % ("o" * 40), "mg H q v l h",
         "md M q", "md M q k O1", "md H q", "md H k O1 q", "md H q C99999", "md H q Cx", "md H q I",
         "md H q I T30", "md H q q", "md H q X", "md H q v", "md H q b",
         "ma M q", "ma M q k O1", "ma M q v", "ma M q N0", "ma M q N0 J5", "ma M N0 J5 v q",
         "ma M N0 k O1 q t", "ma M N0 q C5", "ma M N0", "ma M N0 v k", "ma H q", "ma H q v",
         "ma H q t", "ma H q N0", "ma H q N0 J7 v k O1", "ma H q MD", "ma H q D5 O9",
         "ma H MI D3 q v", "ma H M- N30 v q", "ma H q C99999", "ma H q N0 C99999", "ma H q MX",
         "ma H q Dx", "ma H q N0 Dx", "ma H q Nx", "ma H q q", "ma H q q N0", "ma T q",
         "ma T q v N0", "ma H q N0 N1", "ma %s q N0" % ("k" * 251), "ma !!! b q N0",
         "ms H 1 q|x", "ms H 1 q k O2|x", "ms M 1 q|x", "ms M 1 q MR|x", "ms M 1 MR|x",
         "ms M 1 q MA|x", "ms M 1 q MA N30|x", "ms H 1 q ME|x", "ms H 1 q C99999|x",
         "ms M 1 q C5|x", "ms H 1 q MX|x", "ms H 1 q Tx|x", "ms H 1 q I C1|x", "ms H 1 q|xyz",
         "ms H 1 q q|x", "ms H q|x", "ms H 1 b q|x", "ms H -1 q", "ms H 2000000 q|" + "x" * 2000000,
         "me H q", "me M q", "me q", "mn q"]
AFTER = b"mg H v f t\r\nmg T v\r\nmg M v\r\nmn\r\n"


@pytest.mark.parametrize("case", QUIET, ids=lambda case: case[:30])
def test_quiet_meta_commands_say_what_the_server_says(start_pool, case):
    line, _, body = case.partition("|")
    encoded = {"H": "SC4=", "M": "TS4=", "T": "VC4="}
    for base64 in (False, True):
        request = "ms H. 1\r\n5\r\nms T. 3\r\nabc\r\nmd M.\r\nmn\r\n"
        words = line.split(" ")
        if words[1] in encoded:
            words[1] = encoded[words[1]] if base64 else words[1] + "."
        elif base64:
            return
        if base64:
            words.append("b")
        request += " ".join(words) + "\r\n" + (body + "\r\n" if body else "")
        answers = {}
        for count in (1, 4):
            direct, through = start_pool(count)
            for where, asker in (("direct", direct[0]), ("proxy", through)):
                answers[where, count] = exchange(asker, request.encode())
        assert answers["proxy", 1] == answers["direct", 1]
        assert answers["proxy", 4] == answers["direct", 1]


def exchange(asker, request):
    """The answers to a request and to a look at what it left; the state before may be any."""
    asker.client.sendall(request + AFTER.replace(b" v", b". v") + b"version\r\n")
    answer = b""
    while not re.search(rb"^VERSION [0-9.]+\r\n\Z", answer, re.M):
        chunk = asker.client.recv(1 << 20)
        assert chunk, f"closed after {answer!r}"
        answer += chunk
    return re.sub(rb"(la|cas)=\d+", rb"\1=?", answer.split(b"MN\r\n", 1)[1])
