"""Leaves and merges behind https: who is trusted, who is not, and what a client is told of it."""
import os
import subprocess

import pytest

from asking import ask, metric, replicas
from support import leaves, servers
from support.certificates import Authority
from support.leaves import Refusing, answering, in_turn, resetting, saying
from support.servers import wait_until
from support_tls import TlsLeaf


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that no root trusts here."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def identity(authority):
    return authority.issue()


def trusting(authority):
    return ["--ca-file", str(authority.file)]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_https_leaves(gather, authority, identity, name):
    shards = [gather.ending(TlsLeaf(identity, answering(i), name=name)) for i in range(3)]
    root = gather.root(shards, *trusting(authority))
    for _ in range(5):
        answer = ask(root)
        assert (answer.status, answer.body) == (200, b"[0,1,2]")
    assert [leaf.connections for leaf in shards] == [1, 1, 1]
    port = shards[0].port
    assert shards[0].requests[0].header("Host") == f"{name}:{port}"


def test_large_bodies_both_ways(gather, authority, identity):
    async def echo(request):
        request.send(request.body)

    root = gather.root([gather.ending(TlsLeaf(identity, echo)) for _ in range(2)],
                       *trusting(authority), "--timeout", "10s")
    body = b'"' + os.urandom(1 << 20).hex().encode() + b'"'
    answer = ask(root, method="POST", body=body)
    assert answer.body == b"[" + body + b"," + body + b"]"


def test_plain_and_tls_leaves_side_by_side(gather, authority, identity, tmp_path):
    root = gather.root([gather.ending(TlsLeaf(identity, answering(0))),
                        gather.leaf(answering(1)),
                        gather.leaf(answering(2), unix=str(tmp_path / "leaf.sock"))],
                       *trusting(authority))
    assert ask(root).body == b"[0,1,2]"


def identities(authority, stranger):
    return {
        "unknown authority": lambda: stranger.issue(),
        "wrong name": lambda: authority.issue("DNS:other.test"),
        "no name": lambda: authority.issue("email:a@b.test"),
        "expired": lambda: authority.issue(days=-1),
        "of a client": lambda: authority.issue(usage="clientAuth"),
    }


@pytest.mark.parametrize("name", list(identities(None, None)),
                         ids=lambda name: name.replace(" ", "_"))
def test_a_leaf_that_is_not_who_it_should_be(gather, authority, stranger, name):
    bad = gather.ending(TlsLeaf(identities(authority, stranger)[name](), answering("secret"),
                                name="127.0.0.1"))
    root = gather.root([bad, gather.leaf(answering(1))], *trusting(authority), "--min-coverage",
                       "50", "--wait-factor", "1:1")
    answer = ask(root, method="POST", body=b"password")
    assert (answer.status, answer.body) == (200, b"[1]")
    assert answer.coverage() == {"total": 2, "ok": 1, "failed": 1, "percent": 50.0}
    assert 'error=tls_certificate_error; next-hop="s0"' in answer.header("Proxy-Status")
    assert bad.requests == []
    # For a person: what is wrong with it.
    strict = ask(root, headers=[("Prefer", "handling=strict")])
    assert strict.status == 502
    details = strict.problem()["leaves"][0]["details"]
    assert "certificate" in details, details


def test_a_name_is_not_proved_by_an_address(gather, authority):
    leaf = gather.ending(TlsLeaf(authority.issue("IP:127.0.0.1"), answering(1)))
    answer = ask(gather.root([leaf], *trusting(authority)))
    assert answer.missing() == {"s0": ("failed", "tls_certificate_error")}
    leaf.url = leaf.url.replace("localhost", "127.0.0.1")
    assert ask(gather.root([leaf], *trusting(authority))).body == b"[1]"


def test_another_replica_stands_in_for_one_that_is_not_trusted(gather, authority, identity,
                                                               stranger):
    bad = gather.ending(TlsLeaf(stranger.issue(), answering("bad")))
    good = gather.ending(TlsLeaf(identity, answering("good")))
    root = gather.root([[bad, good]], *trusting(authority))
    for _ in range(4):
        assert ask(root).body == b'["good"]'


def test_any_certificate_is_taken_when_asked_for_and_warned_about(gather, stranger):
    root = gather.root([gather.ending(TlsLeaf(stranger.issue("DNS:other.test"), answering(1)))],
                       "--insecure-skip-verify")
    assert ask(root).body == b"[1]"
    assert "tls.unverified" in root.output()


def test_ssl_cert_file_names_the_authorities(gather, authority, identity):
    leaf = gather.ending(TlsLeaf(identity, answering(1)))
    root = gather.root([leaf], env={**os.environ, "SSL_CERT_FILE": str(authority.file)})
    assert ask(root).body == b"[1]"
    untrusting = gather.root([leaf])
    assert ask(untrusting).status == 502


# ---- certificates of ours ----

def test_a_leaf_that_demands_a_certificate(gather, authority, identity):
    leaf = gather.ending(TlsLeaf(identity, answering(1), clients=authority))
    certificate, key = authority.issue("DNS:root.test", usage="clientAuth")
    known = ["--client-cert", str(certificate), "--client-key", str(key)]
    root = gather.root([leaf], *trusting(authority), *known)
    for _ in range(3):
        assert ask(root).body == b"[1]"
    anonymous = gather.root([leaf], *trusting(authority))
    answer = ask(anonymous)
    assert answer.status == 502
    assert len(leaf.requests) == 3


def test_a_certificate_and_its_key_may_be_in_one_file(gather, authority, identity, tmp_path):
    leaf = gather.ending(TlsLeaf(identity, answering(1), clients=authority))
    certificate, key = authority.issue("DNS:root.test", usage="clientAuth")
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    root = gather.root([leaf], *trusting(authority), "--client-cert", str(both))
    assert ask(root).body == b"[1]"


def test_a_leaf_that_does_not_like_our_certificate(gather, authority, stranger, identity):
    leaf = gather.ending(TlsLeaf(identity, answering(1), clients=authority))
    certificate, key = stranger.issue("DNS:root.test", usage="clientAuth")
    root = gather.root([leaf], *trusting(authority), "--client-cert", str(certificate),
                       "--client-key", str(key))
    answer = ask(root)
    assert answer.status == 502
    assert list(answer.missing()) == ["s0"]
    assert leaf.requests == []


# ---- what is no TLS ----

@pytest.mark.parametrize("behave", [answering(1), saying(b"\x16\x03\x03\x00\x02hi"), resetting],
                         ids=["plain_http", "garbage", "reset"])
def test_a_server_without_tls_behind_https(gather, authority, behave):
    """What it says to the first bytes of a handshake, which it takes for the end of a request."""
    async def at_once(request):
        await behave(request)

    leaf = gather.leaf(at_once)
    leaf.url = leaf.url.replace("http:", "https:").replace("127.0.0.1", "localhost")
    # The handshake's bytes are no request line; a server of that kind says 400 or hangs up.
    root = gather.root([leaf], *trusting(authority), "--timeout", "500ms")
    answer = ask(root)
    assert answer.status in (502, 504)
    assert answer.seconds < 1


def test_a_tls_server_behind_http(gather, identity):
    leaf = gather.ending(TlsLeaf(identity, answering(1)))
    leaf.url = leaf.url.replace("https:", "http:")
    answer = ask(gather.root([leaf], "--timeout", "500ms"))
    assert answer.status == 502
    assert answer.missing()["s0"][0] == "failed"


def test_a_refused_connection_is_told_as_such(gather, authority):
    nobody = gather.ending(Refusing())
    url = nobody.url.replace("http:", "https:")
    answer = ask(gather.root([url], *trusting(authority)))
    assert answer.missing() == {"s0": ("failed", "connection_refused")}


def test_an_answer_that_is_cut_off_is_no_answer(gather, authority, identity):
    """Without close_notify nobody knows whether that was all of it (RFC 9112, 9.8)."""
    async def cut(request):
        request.raw(b"HTTP/1.1 200 OK\r\n\r\n[1,2")
        request.raw(b",3]")
        await leaves.asyncio.sleep(0.02)
        # Below TLS, so that there is no close_notify.
        request.connection.transport.abort()

    leaf = gather.ending(TlsLeaf(identity, cut))
    answer = ask(gather.root([leaf], *trusting(authority)))
    assert answer.status == 502
    assert list(answer.missing()) == ["s0"]


def test_an_answer_that_ends_with_its_connection_is_an_answer(gather, authority, identity):
    leaf = gather.ending(TlsLeaf(identity, saying(b"HTTP/1.1 200 OK\r\n\r\n[1,2,3]")))
    assert ask(gather.root([leaf], *trusting(authority))).body == b"[[1,2,3]]"


def test_a_kept_connection_that_the_leaf_has_closed_is_replaced(gather, authority, identity):
    leaf = gather.ending(TlsLeaf(identity, in_turn(answering(1), resetting, answering(2))))
    root = gather.root([leaf], *trusting(authority))
    assert ask(root).body == b"[1]"
    assert ask(root).body == b"[2]"
    assert leaf.connections == 2


# ---- a merge ----

def test_a_merge_behind_https(gather, authority, identity, stranger):
    merge = gather.ending(TlsLeaf(identity, answering({"m": 1})))
    root = gather.root(gather.leaves(2), "--merge-url", merge.url + "/m", *trusting(authority))
    assert ask(root).json() == {"m": 1}
    untrusted = gather.ending(TlsLeaf(stranger.issue(), answering({"m": 1})))
    root = gather.root(gather.leaves(2), "--merge-url", untrusted.url, *trusting(authority))
    answer = ask(root)
    assert (answer.status, answer.problem_type()) == (502, "merge-failed")
    assert "certificate" in answer.problem()["detail"]
    assert untrusted.requests == []


# ---- files that are wrong ----

def end_of(*options):
    """(exit code, output) of a root that does not start."""
    done = subprocess.run(
        [servers.CONSORT, "gather-root", "--listen", f"127.0.0.1:{servers.free_port()}", "--admin",
         "none", *options], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_file_of_authorities_that_cannot_be_used_is_told(gather, tmp_path, identity):
    """With a topology that needs it the root is not ready, and /health says why."""
    leaf = gather.ending(TlsLeaf(identity, answering(1)))
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for name, path in [("missing", tmp_path / "missing.pem"), ("empty", empty)]:
        root = gather.root([leaf], "--ca-file", str(path), wait=False)
        wait_until(lambda p=path, r=root: str(p) in r.get("/health")[1] or not r.running(),
                   f"the reason: {name}")
        if root.running():
            assert root.get("/readyz")[0] == 503
            assert ask(root).status == 503
        else:
            assert root.wait() in (64, 78)  # 64: it was typed as a flag
            assert str(path) in root.output()


def test_a_merge_that_needs_them_does_not_start_without(tmp_path):
    code, output = end_of("--leaf", "http://127.0.0.1:1", "--merge-url", "https://localhost:1",
                          "--ca-file", str(tmp_path / "missing.pem"))
    assert code not in (0, 70)
    assert "missing.pem" in output


def test_a_key_of_another_certificate_is_told(authority, tmp_path):
    certificate, _ = authority.issue()
    _, key = authority.issue()
    code, output = end_of("--leaf", "http://127.0.0.1:1", "--merge-url", "https://localhost:1",
                          "--client-cert", str(certificate), "--client-key", str(key))
    assert code not in (0, 70)
    assert certificate.name in output or key.name in output


def test_metrics_know_tls_leaves_like_others(gather, authority, identity):
    leaf = gather.ending(TlsLeaf(identity, answering(1)))
    root = gather.root([leaf], *trusting(authority))
    for _ in range(3):
        assert ask(root).status == 200
    assert replicas(root)[leaf.url]["connections"] == {"idle": 1, "busy": 0, "opened": 1,
                                                       "failed": 0}
    assert metric(root, "consort_gather_leaf_results_total", outcome="ok") == 3
