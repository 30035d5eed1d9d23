"""S3 for tests: a signing client of the standard library only, and OpenStack Swift as the server.

    with s3.Swift() as swift:                    # about 4 s; several in a row are fine
        swift.endpoint, swift.access_key, swift.secret_key, swift.region, swift.bucket
        swift.objects()                          # {key: bytes}
        swift.request("GET", "/logs/a%20b")      # (status, headers, body), signed

Swift verifies signatures and payload hashes strictly, answers conditional PUTs with 501 and knows
multipart uploads. It needs root and the packages swift-proxy swift-account swift-container
swift-object memcached; `Swift.missing()` says what is not there.
"""
import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import xml.etree.ElementTree

from support import servers


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-._~")


def encode_query(parameters):
    pairs = sorted((quote(name), quote(value)) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


class Client:
    """Signs each request with Signature Version 4 (path style)."""

    def __init__(self, endpoint, access_key, secret_key, region="us-east-1"):
        self.endpoint = endpoint
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region

    def signature_headers(self, method, path, query, body, headers, at):
        stamp = at.strftime("%Y%m%dT%H%M%SZ")
        signed = {name.lower(): value for name, value in headers.items()}
        signed["host"] = urllib.parse.urlsplit(self.endpoint).netloc
        signed["x-amz-date"] = stamp
        signed["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = "\n".join(
            [method, path, query, lines, names, signed["x-amz-content-sha256"]])
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + self.secret_key.encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}")
        return signed

    def request(self, method, path, query=None, body=b"", headers=None, at=None):
        """path is encoded already; returns (status, headers in lower case, body)."""
        at = at or datetime.datetime.now(datetime.timezone.utc)
        text = encode_query(query or {})
        signed = self.signature_headers(method, path, text, body, headers or {}, at)
        host = signed.pop("host")
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            connection.request(method, f"{path}?{text}" if text else path, body,
                               {"Host": host, **signed})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def checked(self, *arguments, **options):
        status, headers, body = self.request(*arguments, **options)
        if status >= 300:
            raise RuntimeError(f"{arguments[:2]}: {status} {body[:500]!r}")
        return headers, body

    def make_bucket(self, bucket):
        self.checked("PUT", f"/{quote(bucket)}")

    def get(self, bucket, key):
        return self.checked("GET", f"/{quote(bucket)}/{quote(key, '/')}")[1]

    def head(self, bucket, key):
        """Headers, or None for what is not there."""
        status, headers, _ = self.request("HEAD", f"/{quote(bucket)}/{quote(key, '/')}")
        return headers if status == 200 else None

    def keys(self, bucket, prefix=""):
        """All of them, in the server's order."""
        found, token = [], None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            tree = self.parsed(self.checked("GET", f"/{quote(bucket)}", query)[1])
            found += [each.findtext("Key") for each in tree.iter("Contents")]
            token = tree.findtext("NextContinuationToken")
            if tree.findtext("IsTruncated") != "true":
                return found

    def uploads(self, bucket):
        """(key, id) of each multipart upload that has neither been completed nor aborted."""
        tree = self.parsed(self.checked("GET", f"/{quote(bucket)}", {"uploads": ""})[1])
        return [(each.findtext("Key"), each.findtext("UploadId")) for each in tree.iter("Upload")]

    def begin_upload(self, bucket, key):
        path = f"/{quote(bucket)}/{quote(key, '/')}"
        return self.parsed(self.checked("POST", path, {"uploads": ""})[1]).findtext("UploadId")

    @staticmethod
    def parsed(body):
        tree = xml.etree.ElementTree.fromstring(body)
        for element in tree.iter():
            element.tag = element.tag.rpartition("}")[2]
        return tree


SWIFT_PARTS = ("account", "container", "object")
MAKE_RINGS = """
import sys
from swift.common.ring import RingBuilder
directory, host = sys.argv[1], "127.0.0.1"
for name, port in zip(("account", "container", "object"), map(int, sys.argv[2:])):
    builder = RingBuilder(4, 1, 1)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": host, "port": port,
                     "replication_ip": host, "replication_port": port, "device": "disk",
                     "meta": ""})
    builder.rebalance()
    builder.get_ring().save(f"{directory}/{name}.ring.gz")
"""
PART_CONFIG = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = root
workers = 0
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
recon_cache_path = {directory}/recon
lock_path = {directory}/lock

[pipeline:main]
pipeline = {name}-server

[app:{name}-server]
use = egg:swift#{name}
"""
PROXY_CONFIG = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = root
workers = 0
swift_dir = {directory}

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth
    copy slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
allowable_clock_skew = 900
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
"""
SWIFT_CONFIG = """
[swift-hash]
swift_hash_path_suffix = consort
swift_hash_path_prefix = test

[storage-policy:0]
name = only
default = yes
"""


class Swift(Client):
    """Proxy, account, container and object server on loopback ports, with one bucket."""

    PROGRAMS = ("memcached", "swift-proxy-server",
                *(f"swift-{name}-server" for name in SWIFT_PARTS))

    @classmethod
    def missing(cls):
        """Why it cannot run here; empty when it can."""
        absent = [name for name in cls.PROGRAMS if shutil.which(name) is None]
        if absent:
            return f"not installed: {', '.join(absent)}"
        return "" if os.geteuid() == 0 else "Swift needs root"

    def __init__(self, bucket="logs"):
        self.bucket = bucket
        self.processes = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="consort-swift-"))
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self):
        for name in ("devices/disk", "recon", "lock"):
            (self.directory / name).mkdir(parents=True)
        (self.directory / "swift.conf").write_text(SWIFT_CONFIG)
        memcached = servers.Memcached()
        self.processes.append(memcached)
        ports = {name: servers.free_port() for name in (*SWIFT_PARTS, "proxy")}
        subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE_RINGS, self.directory,
                        *(str(ports[name]) for name in SWIFT_PARTS)],
                       check=True, capture_output=True, timeout=60)
        for name, port in ports.items():
            config = self.directory / f"{name}-server.conf"
            text = PROXY_CONFIG if name == "proxy" else PART_CONFIG
            config.write_text(text.format(name=name, port=port, directory=self.directory,
                                          memcached=memcached.port))
            self.processes.append(servers.Process([f"swift-{name}-server", config, "-v"]))
        self.port = ports["proxy"]
        super().__init__(f"http://127.0.0.1:{self.port}", "test:tester", "testing")
        servers.wait_until(lambda: self.ended() or all(map(servers.answers, ports.values())),
                           "Swift listening", 60)
        if self.ended():
            raise RuntimeError(f"Swift ended at once:\n{self.ended().output()}")
        self.make_bucket(self.bucket)

    def ended(self):
        return next((each for each in self.processes if not each.running()), None)

    def objects(self, prefix=""):
        return {key: self.get(self.bucket, key) for key in self.keys(self.bucket, prefix)}

    def pause(self):
        """No answers any more, on connections that stand."""
        self.processes[-1].send_signal(servers.signal.SIGSTOP)

    def resume(self):
        self.processes[-1].send_signal(servers.signal.SIGCONT)

    def output(self):
        return "\n".join(each.output() for each in self.processes)

    def stop(self):
        # They keep nothing that is worth an orderly end.
        for process in reversed(self.processes):
            process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self):
        self.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
