"""A DNS server of the test's own, and roots that ask it.

Roots read /etc/resolv.conf, which knows no ports: dnsmasq gets an address of its own on port 53,
and the root a mount namespace in which that file names it. Both need root; who is not is skipped.
"""
import os
import random
import shutil
import subprocess

import pytest

from support import leaves, servers

CAN_SERVE = (os.geteuid() == 0 and shutil.which("dnsmasq") is not None and
             shutil.which("unshare") is not None and
             subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0)
needs_dns = pytest.mark.skipif(not CAN_SERVE, reason="needs root, dnsmasq and mount namespaces")
TTL_S = 1


def loopback_address():
    return f"127.{random.randint(2, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"


class LeafAt(leaves.Leaf):
    """A leaf on an address of its own, so that several can have one port."""

    def __init__(self, host, port, behave=None):
        self.host = host
        super().__init__(behave, port=port)
        self.url = f"http://{host}:{port}"

    async def listen(self):
        loop = leaves.asyncio.get_running_loop()
        return await loop.create_server(lambda: leaves.Connection(self), self.host, self.port)


class Dns:
    """dnsmasq with these records: words of its command line, as host-record=NAME,IP."""

    def __init__(self, tmp_path, *records):
        self.address = loopback_address()
        self.process = None
        resolv = tmp_path / "resolv.conf"
        resolv.write_text(f"nameserver {self.address}\n")
        # Takes the place of the executable in servers.GatherRoot.
        self.consort = tmp_path / "consort-with-dns"
        self.consort.write_text(
            "#!/bin/sh\nexec unshare -m sh -c "
            "'mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"' "
            f"'{resolv}' '{servers.CONSORT}' \"$@\"\n")
        self.consort.chmod(0o755)
        self.serve(*records)

    def serve(self, *records):
        """Only these, from now on."""
        self.stop()
        self.process = servers.Process(
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-daemon",
             "--bind-interfaces", f"--listen-address={self.address}", "--user=root",
             "--conf-file=/dev/null", "--local=/test/", f"--local-ttl={TTL_S}",
             *(f"--{record}" for record in records)])
        servers.wait_until(lambda: not self.process.running() or self.listens(), "dnsmasq")
        assert self.process.running(), self.process.output()

    def listens(self):
        try:
            servers.connect((self.address, 53), 0.2).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process = None
