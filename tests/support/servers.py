"""Real servers on free loopback ports, for tests, benchmarks and the quickstart.

Every process is started in its own session (setsid), since the kernel's autogroup scheduling would
otherwise let it share the caller's CPU time, and is stopped by the object that started it.
"""
import itertools
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONSORT = pathlib.Path(os.environ.get("CONSORT", ROOT / "build" / "consort"))
# Below the range from which the kernel takes ports for outgoing connections.
PORT_RANGE = range(20000, 32000)


def is_sanitized():
    """A sanitizer's shadow and quarantine make memory figures meaningless."""
    return b"__asan_init" in CONSORT.read_bytes()


def own_ports():
    """The ports of this process, from a place that is another one each time.

    One after the other, so that no test gets a port twice, and each of several workers of
    pytest-xdist from a part of the range that is its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = len(PORT_RANGE) // workers
    own = PORT_RANGE[worker * size:(worker + 1) * size]
    start = random.randrange(size)
    return itertools.cycle([*own[start:], *own[:start]])


PORTS = own_ports()


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_port(count=1):
    """A port on which nobody listens now; with a count the first of that many neighbours."""
    found = []
    for _ in range(1000):
        port = next(PORTS)
        if not is_free(port):
            found = []
            continue
        found = [*found, port] if found and found[-1] == port - 1 else [port]
        if len(found) == count:
            return found[0]
    raise RuntimeError("no free port found")


def wait_until(is_true, what, seconds=30.0):
    """Polls a condition; a readiness check, never a fixed sleep."""
    end = time.monotonic() + seconds
    while True:
        result = is_true()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds} s")
        time.sleep(0.005)


def connect(address, timeout=30.0):
    """address: a port on 127.0.0.1, (host, port), a unix path, or "@" and an abstract name."""
    if isinstance(address, int):
        address = ("127.0.0.1", address)
    family = socket.AF_INET
    if isinstance(address, str):
        family = socket.AF_UNIX
        address = "\0" + address[1:] if address.startswith("@") else address
    elif ":" in address[0]:
        family = socket.AF_INET6
    client = socket.socket(family)
    client.settimeout(timeout)
    client.connect(address)
    if family != socket.AF_UNIX:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def answers(port):
    try:
        connect(port, 0.2).close()
        return True
    except OSError:
        return False


class Process:
    """A program in its own session; its output goes to a file that `output()` reads."""

    def __init__(self, argv, env=None, cwd=None):
        self.argv = [str(word) for word in argv]
        self.log = tempfile.NamedTemporaryFile(prefix="consort-test-", suffix=".log")
        self.child = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            env=env, cwd=cwd, start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def output(self):
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def running(self):
        return self.child.poll() is None

    def send_signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=30):
        return self.child.wait(seconds)

    def stop(self, number=signal.SIGTERM, seconds=30):
        """Ends it, by force when it does not obey; returns the exit code."""
        if self.running():
            self.child.send_signal(signal.SIGCONT)
            self.child.send_signal(number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait(seconds)

    def kill(self):
        self.stop(signal.SIGKILL)

    def cpu_seconds(self):
        """User and system time of all its threads, from /proc."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no VmRSS")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Server(Process):
    """A process that listens on 127.0.0.1:port; ready when the constructor returns."""

    def __init__(self, argv, port, **options):
        super().__init__(argv, **options)
        self.port = port
        try:
            wait_until(lambda: answers(port) or not self.running(), f"{self.argv[0]} listening")
        except TimeoutError:
            self.kill()
            raise
        if not self.running():
            raise RuntimeError(f"{' '.join(self.argv)} ended at once:\n{self.output()}")


class Memcached(Server):
    def __init__(self, port=None, extra=()):
        port = port or free_port()
        user = ["-u", "root"] if os.geteuid() == 0 else []
        super().__init__(["memcached", "-l", "127.0.0.1", "-p", port, "-U", 0, "-m", 256,
                          "-c", 4096, *user, *extra], port)


class Redis(Server):
    def __init__(self, port=None, extra=()):
        port = port or free_port()
        self.directory = tempfile.mkdtemp(prefix="consort-redis-")
        super().__init__(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                          "--appendonly", "no", "--dir", self.directory, *extra], port)

    def stop(self, *arguments, **options):
        code = super().stop(*arguments, **options)
        shutil.rmtree(self.directory, ignore_errors=True)
        return code


class Nutcracker(Server):
    def __init__(self, config_text, port):
        self.config = tempfile.NamedTemporaryFile("w", suffix=".yml")
        self.config.write(config_text)
        self.config.flush()
        stats = free_port()
        super().__init__(["nutcracker", "-c", self.config.name, "-s", stats, "-a", "127.0.0.1"],
                         port)


class Haproxy(Server):
    """The byte relay that parses nothing: the floor of what a proxy can cost."""

    def __init__(self, port, server_ports):
        servers = "".join(f"  server s{i} 127.0.0.1:{p}\n" for i, p in enumerate(server_ports))
        self.config = tempfile.NamedTemporaryFile("w", suffix=".cfg")
        self.config.write(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n"
            "  timeout client 60s\n  timeout server 60s\n"
            f"frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\nbackend b\n{servers}")
        self.config.flush()
        super().__init__(["haproxy", "-db", "-q", "-f", self.config.name], port)


class Consort(Process):
    """A role of consort, ready when the constructor returns.

    role: its command; words, options: what follows. The admin interface has a free port of its own,
    `admin`.
    """

    def __init__(self, role, words=(), options=(), wait=True, env=None):
        self.admin = free_port()
        self.name = f"test-{self.admin}"
        super().__init__(self.wrap([CONSORT, *role, "--admin", f"127.0.0.1:{self.admin}", "--name",
                                    self.name, *words, *options]), env=env)
        if wait:
            self.wait_ready()

    def wrap(self, words):
        """For what prepares its process."""
        return words

    def wait_ready(self):
        wait_until(lambda: self.get("/readyz")[0] == 200 or not self.running(), "readiness")
        if not self.running():
            raise RuntimeError(f"consort ended with {self.child.returncode}:\n{self.output()}")

    def wait_health(self, text):
        """Until /health says that: for what keeps it from being ready."""
        wait_until(lambda: text in self.get("/health")[1] or not self.running(), f'"{text}"')
        if not self.running():
            raise RuntimeError(f"consort ended with {self.child.returncode}:\n{self.output()}")

    def get(self, path, method="GET", headers=()):
        """One admin request: (status, body); (0, "") while nobody answers."""
        try:
            with connect(self.admin, 5) as client:
                lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close",
                         *headers, "", ""]
                client.sendall("\r\n".join(lines).encode())
                data = b""
                while chunk := client.recv(65536):
                    data += chunk
        except OSError:
            return 0, ""
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]) if head else 0, body.decode()

    def metric(self, name):
        """The sum over the labels of one metric."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith((name + "{", name + " ")):
                total += float(line.rsplit(" ", 1)[1])
        return total


class ShardProxy(Consort):
    """`consort ambassador shard-proxy`; options: further command line words."""

    def __init__(self, servers=(), protocol="redis", options=(), listen=None, wait=True, env=None):
        self.port = listen or free_port()
        words = []
        if servers:
            words = ["--listen", f"127.0.0.1:{self.port}", "--protocol", protocol]
            for server in servers:
                words += ["--server", server if isinstance(server, str) else f"127.0.0.1:{server}"]
        super().__init__(["ambassador", "shard-proxy"], words, options, wait, env)


class GatherRoot(Consort):
    """`consort gather-root`; leaves: what --leaf takes; options: further command line words."""

    def __init__(self, leaves=(), options=(), listen=None, wait=True, env=None):
        self.port = listen or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        words = ["--listen", f"127.0.0.1:{self.port}"]
        for leaf in leaves:
            words += ["--leaf", leaf]
        super().__init__(["gather-root"], words, options, wait, env)


def exchange(address, request, replies_end, timeout=30.0):
    """Sends bytes, reads until the answer ends with `replies_end` or the peer closes."""
    with connect(address, timeout) as client:
        client.sendall(request)
        data = b""
        while not data.endswith(replies_end):
            chunk = client.recv(1 << 20)
            if not chunk:
                break
            data += chunk
        return data
