"""Which shards a request goes to: all, the one of its key, those of a range or with tags, or those
that it names."""
import collections
import json

import pytest

from asking import ask
from support.leaves import answering

SHARDS = 5


@pytest.fixture
def shards(gather):
    """Leaves that answer with their own number."""
    return gather.leaves(SHARDS)


def asked(answer):
    """The numbers of the leaves in an `array`."""
    assert answer.status == 200, answer.body
    assert answer.coverage()["total"] == len(answer.json())
    return answer.json()


def refusal(answer):
    """What is wrong with the request, in words."""
    assert (answer.status, answer.problem_type()) == (400, "bad-request")
    assert answer.header("Consort-Coverage") is None  # Nobody was asked.
    return answer.problem()["detail"]


# ---- by key ----

@pytest.mark.parametrize("source,request_of", [
    ("header:X-User", lambda key: ("/", {"headers": [("x-user", key)]})),
    ("query:user", lambda key: (f"/?a=1&user={key}", {})),
    ("path:2", lambda key: (f"/users/{key}/orders", {})),
    ("body:/user/id", lambda key: ("/", {
        "method": "POST", "body": json.dumps({"user": {"id": key}}).encode()})),
], ids=["header", "query", "path", "body"])
def test_a_key_goes_to_one_shard_always_to_the_same(gather, shards, source, request_of):
    root = gather.root(shards, "--to", f"key:{source}")
    places = {}
    for _ in range(2):
        for number in range(60):
            target, more = request_of(f"user{number}")
            [place] = asked(ask(root, target, **more))
            assert places.setdefault(number, place) == place
    counts = collections.Counter(places.values())
    assert len(counts) == SHARDS
    assert max(counts.values()) <= 30
    # Keys are where they are by their text, not by where they stand in a request.
    other = gather.root(shards, "--to", "key:query:k")
    assert {n: asked(ask(other, f"/?k=user{n}"))[0] for n in range(20)} == {
        n: places[n] for n in range(20)}


def test_a_number_in_a_body_is_a_key_as_well_as_its_text(gather, shards):
    root = gather.root(shards, "--to", "key:body:/id")
    for number in range(20):
        found = [asked(ask(root, method="POST", body=json.dumps({"id": key}).encode()))
                 for key in (number, str(number))]
        assert found[0] == found[1]


def test_a_key_is_the_text_behind_its_escapes(gather, shards):
    root = gather.root(shards, "--to", "key:query:k")
    for one, other in [("ab", "%61b"), ("a+b", "a%20b"), ("%c3%a4", "%C3%A4")]:
        assert asked(ask(root, f"/?k={one}")) == asked(ask(root, f"/?k={other}"))


def test_keys_with_a_hash_tag_stay_together(gather, shards):
    root = gather.root(shards, "--to", "key:query:k", "--hash-tag", "<>")
    places = {asked(ask(root, f"/?k=%3Cuser7%3E:{i}"))[0] for i in range(30)}
    assert len(places) == 1
    root = gather.root(shards, "--to", "key:query:k")
    assert len({asked(ask(root, f"/?k=%3Cuser7%3E:{i}"))[0] for i in range(30)}) > 1


@pytest.mark.parametrize("distribution", ["jump", "ketama", "rendezvous", "modula"])
def test_one_more_shard_moves_few_keys(gather, shards, distribution):
    def places(leaves):
        root = gather.root(leaves, "--to", "key:query:k", "--distribution", distribution)
        return [asked(ask(root, f"/?k=key{i}"))[0] for i in range(150)]

    before, after = places(shards[:4]), places(shards)
    moved = sum(a != b for a, b in zip(before, after))
    if distribution == "modula":  # as its name says
        assert moved > 75
    else:
        assert 10 <= moved <= 60
        assert all(b == 4 for a, b in zip(before, after) if a != b)


def test_a_request_without_its_key(gather, shards):
    root = gather.root(shards, "--to", "key:query:user")
    for target in ["/", "/?user=", "/?other=1"]:
        assert 'query parameter "user" is missing' in refusal(ask(root, target))
    root = gather.root(shards, "--to", "key:query:user", "--on-missing-key", "all")
    assert asked(ask(root)) == [0, 1, 2, 3, 4]
    assert len(asked(ask(root, "/?user=x"))) == 1
    root = gather.root(shards, "--to", "key:body:/user")
    for body in [b"", b"{", b'{"user":null}', b'{"user":{}}', b'{"user":[1]}', b"[]"]:
        assert '"/user"' in refusal(ask(root, method="POST", body=body))


# ---- by what the topology says ----

@pytest.fixture
def topology(shards, tmp_path):
    """Years: shard a to 1999, b 2000 to 2009, c from 2005 on, d says nothing, e is of letters."""
    about = [
        {"id": "a", "range": {"year": [None, 1999]}, "tags": {"zone": "x", "tier": "cold"}},
        {"id": "b", "range": {"year": [2000, 2009]}, "tags": {"zone": "y", "tier": "cold"}},
        {"id": "c", "range": {"year": [2005, None]}, "tags": {"zone": "y", "tier": "hot"}},
        {"id": "d", "tags": {"zone": "x", "tier": "hot"}},
        {"id": "e", "range": {"year": ["m", "z"], "name": ["m", "z"]}},
    ]
    for leaf, shard in zip(shards, about):
        shard["replicas"] = [leaf.url]
    path = tmp_path / "shards.json"
    path.write_text(json.dumps({"shards": about}))
    return str(path)


@pytest.mark.parametrize("value,expected", [
    ("1999", [0, 3]), ("2000", [1, 3]), ("2007", [1, 2, 3]), ("2010", [2, 3]), ("-5", [0, 3]),
    ("1999.5", [3]), ("1990-2000", [0, 1, 3]), ("1990..2000", [0, 1, 3]), ("2004..", [1, 2, 3]),
    ("..1950", [0, 3]), ("2005-2005", [1, 2, 3]), ("2e3", [1, 3]),
])
def test_a_range_meets_the_shards_that_may_have_it(gather, topology, value, expected):
    root = gather.root([], "--topology", topology, "--to", "range:year")
    # A shard that says nothing of the field is asked too. Text and numbers do not meet.
    assert [n for n in asked(ask(root, f"/?year={value}")) if n != 4] == expected


def test_a_range_of_text(gather, topology):
    root = gather.root([], "--topology", topology, "--to", "range:name:header:X-Name")
    for name, is_there in [("maria", True), ("z", True), ("anna", False), ("zz", False)]:
        found = asked(ask(root, headers=[("X-Name", name)]))
        assert found == [0, 1, 2, 3] + [4] * is_there


def test_a_range_that_makes_no_sense(gather, topology):
    root = gather.root([], "--topology", topology, "--to", "range:year")
    assert "runs backwards" in refusal(ask(root, "/?year=2000..1990"))
    assert "missing" in refusal(ask(root))


@pytest.mark.parametrize("tags,expected", [
    ("zone=x", [0, 3]), ("zone=y,tier=cold", [1]), ("tier=hot", [2, 3]), ("zone=z", []),
    ("color=red", []),
])
def test_tags(gather, topology, tags, expected):
    fixed = gather.root([], "--topology", topology, "--to", f"tags:{tags}")
    assert asked(ask(fixed)) == expected
    asking = gather.root([], "--topology", topology, "--to", "tags:header:X-Tags")
    assert asked(ask(asking, headers=[("X-Tags", tags.replace(",", ", "))])) == expected


def test_tags_that_make_no_sense(gather, topology):
    root = gather.root([], "--topology", topology, "--to", "tags:query:t")
    assert "NAME=VALUE" in refusal(ask(root, "/?t=zone"))


def test_nothing_that_fits_is_an_empty_answer(gather, topology, shards):
    root = gather.root([], "--topology", topology, "--to", "tags:header:X-Tags", "--merge", "sum")
    answer = ask(root, headers=[("X-Tags", "zone=nowhere")])
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.coverage() == {"total": 0, "percent": 100.0}
    assert all(leaf.requests == [] for leaf in shards)


# ---- by name ----

@pytest.mark.parametrize("names,expected", [
    ("s1", [1]), ("s3,s0", [0, 3]), ("s2,s2", [2]), ("s4,%20s1,", [1, 4]),
])
def test_a_request_may_name_its_shards(gather, shards, names, expected):
    for to in ["all", "key:query:user"]:
        root = gather.root(shards, "--to", to)
        assert asked(ask(root, f"/?shards={names}")) == expected
        header = names.replace("%20", " ")
        assert asked(ask(root, headers=[("Consort-Shards-Wanted", header)])) == expected


def test_a_shard_that_does_not_exist_cannot_be_named(gather, shards):
    root = gather.root(shards)
    assert refusal(ask(root, "/?shards=s1,s9")) == 'there is no shard "s9"'
    assert all(leaf.requests == [] for leaf in shards)


def test_coverage_counts_the_shards_that_were_chosen(gather, shards):
    """A dead leaf that nobody needs lowers nothing."""
    root = gather.root(shards)
    shards[4].stop()
    assert asked(ask(root, "/?shards=s0,s1")) == [0, 1]
    answer = ask(root)
    assert (answer.status, answer.coverage()["total"]) == (502, 5)


def test_routes_choose_in_their_own_ways(gather, shards, tmp_path):
    path = tmp_path / "root.yaml"
    path.write_text("leaf:\n" + "".join(f"- {leaf.url}\n" for leaf in shards) + """
routes:
- match: GET /users/*
  scatter: {to: "key:path:2", path: "/shard/{shard}{path}", headers: {X-Index: "{index}/{shards}"}}
- match: /search
""")
    root = gather.root([], "--config", str(path))
    [place] = asked(ask(root, "/users/jo?x=1"))
    seen = shards[place].requests[-1]
    assert (seen.target, seen.header("X-Index")) == (f"/shard/s{place}/users/jo?x=1", f"{place}/5")
    assert asked(ask(root, "/search")) == [0, 1, 2, 3, 4]
    assert ask(root, "/other").status == 404


def test_first_shard_that_a_key_needs_is_down(gather, shards):
    """There is no other place for a key: the answer is an error, never another shard's."""
    root = gather.root(shards, "--to", "key:query:k", "--min-coverage", "50")
    [place] = asked(ask(root, "/?k=x"))
    shards[place].behave = answering({}, status=500)
    answer = ask(root, "/?k=x")
    assert answer.status == 502
    assert list(answer.missing()) == [f"s{place}"]
