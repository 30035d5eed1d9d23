"""All lines arrive in Loki, Elasticsearch, OTLP and syslog receivers, where possible once."""
import os

import pytest

from support import logs
from support.collectors import SyslogReceiver
from support.fake_log_stores import FakeElasticsearch, FakeLoki, FakeOtlp
from support.log_cases import CASES
from support.log_stores import Trouble

pytestmark = pytest.mark.parametrize("directory", ["ext4"], indirect=True)
FAKES = [FakeLoki, FakeElasticsearch, FakeOtlp]
# Those that know again what they have.
FAITHFUL = [FakeLoki, FakeElasticsearch]


@pytest.mark.parametrize("make", FAKES)
def test_all_lines_arrive(saver, directory, make):
    store = saver.ending(make())
    saver.expect_exact(CASES["renamed"], directory, store)
    assert set(store.answered) <= {200, 204}
    assert store.errors == []


@pytest.mark.parametrize("make", FAKES)
def test_a_busy_store_gets_them_later(saver, directory, make):
    store = saver.ending(make(Trouble(share=0.3, statuses=(429, 503))))
    saver.expect_exact(CASES["renamed"], directory, store)
    assert store.answered[429] > 0 and store.answered[503] > 0


@pytest.mark.parametrize("make", FAITHFUL)
def test_killed_in_mid_stream_each_line_is_stored_once(saver, directory, make):
    store = saver.ending(make(Trouble(share=0.1, mute_share=0.2)))
    saver.expect_exact(CASES["killed_in_mid_stream"], directory, store)


def test_equal_lines_are_all_kept_by_loki(saver, directory):
    store = saver.ending(FakeLoki())
    lines = logs.Lines()
    follower = saver.follow([directory / "app.log"], store)
    with logs.Log(directory / "app.log") as log:
        log.write(lines.take(1) + lines.again(lines.taken * 999))
    follower.finish(lines.taken)
    assert store.lines() == lines.taken
    assert store.duplicates == 0


def test_elasticsearch_stores_the_rest_when_single_items_have_to_wait(saver, directory):
    store = saver.ending(FakeElasticsearch(busy_share=0.05))
    saver.expect_exact(CASES["renamed"], directory, store)
    assert store.items[429] > 0


def test_a_body_that_is_too_large_is_sent_in_parts(saver, directory):
    store = saver.ending(FakeElasticsearch(body_bytes_max=16 * 1024))
    saver.expect_exact(CASES["renamed"], directory, store,
                       options=["--batch-bytes", "256KiB", "--compress", "none"])
    assert store.answered[413] > 0


@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_rsyslog_receives_all_lines(saver, directory, tls):
    receiver = saver.ending(SyslogReceiver(tls))
    saver.stack.callback(receiver.close)
    env = {**os.environ, "SSL_CERT_FILE": str(receiver.authority)} if tls else None
    follower = saver.follow([directory / "app.log"], receiver, env=env)
    expected = CASES["renamed"].write(directory, 20000, follower)
    follower.finish(expected)
    assert str(logs.tally(expected, receiver.lines())) == "exact"
    first = receiver.messages()[0]
    assert f'f="{directory}/app.log"' in first["structured-data"]
    assert 'o="0"' in first["structured-data"]
