"""What every system test shares: real servers that are gone when the test ends."""
import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import servers  # noqa: E402

# A sanitizer's report ends a process with another code, but UBSan's may not.
ALARMS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "slow: takes long, much memory or exact times; not run with sanitizers")
    config.addinivalue_line(
        "markers", "alone: its times are too exact for a machine that runs other tests meanwhile")


class Starter:
    """Starts processes and stops them in the opposite order.

    A proxy that is still running at the end must obey SIGTERM and exit 0: a crash, a leak or a hang
    fails the test that caused it.
    """

    def __init__(self, stack):
        self.stack = stack

    def process(self, process):
        # They hold nothing worth keeping, and memcached takes a second to end by itself.
        self.stack.callback(process.kill)
        return process

    def redis(self, count=1, **options):
        return [self.process(servers.Redis(**options)) for _ in range(count)]

    def memcached(self, count=1, **options):
        return [self.process(servers.Memcached(**options)) for _ in range(count)]

    def backends(self, protocol, count=1):
        return self.redis(count) if protocol == "redis" else self.memcached(count)

    def nutcracker(self, config, port):
        return self.process(servers.Nutcracker(config, port))

    def proxy(self, backends=(), protocol="redis", options=(), **more):
        addresses = [getattr(backend, "port", backend) for backend in backends]
        proxy = servers.ShardProxy(addresses, protocol, options, **more)
        self.stack.callback(self.end_proxy, proxy)
        return proxy

    @staticmethod
    def end_proxy(proxy):
        ended_before = not proxy.running()
        code = proxy.stop()
        output = proxy.output()
        assert not any(alarm in output for alarm in ALARMS), output
        assert ended_before or code == 0, f"exit code {code}:\n{output}"


@pytest.fixture
def start():
    with contextlib.ExitStack() as stack:
        yield Starter(stack)


@pytest.fixture(scope="module")
def start_for_module():
    with contextlib.ExitStack() as stack:
        yield Starter(stack)
