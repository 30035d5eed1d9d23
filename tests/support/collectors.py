"""Who follows logs, consort and rsyslog, behind one interface; and rsyslog as who receives them.

    with Logsaver([directory / "app.log"], FileTarget(out)) as follower:
        expected = case.write(directory, 20000, follower)
        follower.finish(expected)
    logs.tally(expected, follower.lines())

A target is what a follower saves to: `url` for consort's --sink, `count()` and `lines()` of what
has arrived. FileTarget here, HttpSink and others in log_stores.py.
"""
import json
import os
import pathlib
import shutil
import signal
import tempfile
import time

from support import logs, servers
from support.certificates import Authority


class FileTarget:
    """Lines in one file, or in all files of a directory."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.url = f"file://{self.path}"
        self.counted = None  # (size and time of each file, lines)

    def files(self):
        if self.path.is_dir():
            return sorted(path for path in self.path.rglob("*") if path.is_file())
        return [self.path] if self.path.exists() else []

    def count(self):
        """Counted again only when something has changed: this is asked every few milliseconds."""
        state = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files()]
        if self.counted is None or self.counted[0] != state:
            lines = sum(path.read_bytes().count(b"\n") for path, _, _ in state)
            self.counted = (state, lines)
        return self.counted[1]

    def lines(self):
        """A last line without an end counts too: it is one that nobody wrote."""
        data = b"".join(path.read_bytes() for path in self.files())
        return data.removesuffix(b"\n").split(b"\n") if data else []


class Follower:
    """What log_cases.Unfollowed says, for a servers.Process with a `target` that can begin() again.

    quiet_seconds: when nothing has come for so long, nothing more will.
    """

    quiet_seconds = 10.0
    target = None

    def lines(self):
        return self.target.lines()

    def settle(self, expected):
        seen, since = -1, time.monotonic()
        while True:
            now = self.target.count()
            if now != seen:
                seen, since = now, time.monotonic()
                # Repeated lines make up the number before all are there.
                if now >= len(expected) and not logs.tally(expected, self.lines()).lost:
                    return
            if time.monotonic() - since > self.quiet_seconds or not self.running():
                return
            time.sleep(0.005)

    def freeze(self):
        """SIGSTOP, which is not there at once: one thread may still run."""
        self.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        servers.wait_until(lambda: all(path.read_text().rsplit(")", 1)[1].split()[0] == "T"
                                       for path in tasks.glob("*/stat")), "its being stopped")

    def thaw(self):
        if self.running():
            self.send_signal(signal.SIGCONT)

    def start(self):
        if not self.running():
            self.begin()

    def restart(self, number=signal.SIGTERM):
        code = self.stop(number)
        self.start()
        return code

    def finish(self, expected):
        """Until all has arrived; then it ends, and nothing more can come: its exit code."""
        self.settle(expected)
        return self.stop()


class Logsaver(Follower, servers.Consort):
    """`consort sidecar logsaver`. paths: globs; target: where to, or a URL as in --sink.

    said: what all its processes printed that have ended. ends: (signal, exit code) of those that
    were stopped.
    """

    def __init__(self, paths, target, state, options=(), env=None, wait=True):
        self.target = target
        self.said = ""
        self.ends = []
        self.env = env
        words = []
        for path in paths:
            words += ["--path", path]
        self.words = [*words, "--sink", getattr(target, "url", target), "--state-dir", state,
                      *options]
        self.begin(wait)

    def begin(self, wait=True):
        servers.Consort.__init__(self, ["sidecar", "logsaver"], self.words, wait=wait,
                                 env=self.env)

    def stop(self, number=signal.SIGTERM, **options):
        was_running = self.running()
        code = super().stop(number, **options)
        if was_running:
            self.said += self.output()
            self.ends.append((number, code))
        return code

    def once(self, *options):
        """What is there now and no more, with the same state: the exit code."""
        assert not self.running()
        self.begin_once(*options)
        code = self.wait(60)
        self.said += self.output()
        return code

    def begin_once(self, *options):
        servers.Consort.__init__(self, ["sidecar", "logsaver"], [*self.words, "--once", *options],
                                 wait=False, env=self.env)


# ---- rsyslog ----

class Rsyslogd(servers.Process):
    """A daemon with a configuration of ours alone; ready when `ready` has a file that says so."""

    GLOBAL = """
      global(workDirectory="{directory}" maxMessageSize="8m" {more}
             parser.escapeControlCharactersOnReceive="off")
    """

    def __init__(self, directory, config, more=""):
        if not shutil.which("rsyslogd"):
            raise RuntimeError("rsyslogd is missing: scripts/deps test")
        self.config = directory / "rsyslog.conf"
        self.config.write_text(self.GLOBAL.format(directory=directory, more=more) + config)
        super().__init__(["rsyslogd", "-n", "-i", "NONE", "-f", self.config])

    def wait_for(self, is_ready, what):
        try:
            servers.wait_until(lambda: is_ready() or not self.running(), what)
        except TimeoutError:
            self.kill()
            raise
        if not self.running():
            raise RuntimeError(f"rsyslogd ended at once:\n{self.output()}")


class Rsyslog(Follower, Rsyslogd):
    """imfile -> omfile with what serves it best: from the beginning, by inotify, without a queue.

    A queue would be in memory, and lost by a kill. State is saved each hundred lines: with each
    line it becomes so slow that it loses rotated files.
    """

    CONFIG = """
      module(load="imfile" mode="inotify")
      template(name="line" type="string" string="%msg%\\n")
      ruleset(name="save" queue.type="Direct") {{
        action(type="omfile" file="{out}" template="line" flushOnTXEnd="on" asyncWriting="off")
      }}
      ruleset(name="ready" queue.type="Direct") {{ action(type="omfile" file="{ready}.out") }}
      input(type="imfile" File="{ready}" Tag="ready" ruleset="ready")
    """
    INPUT = """
      input(type="imfile" File="{path}" Tag="log" ruleset="save" reopenOnTruncate="on"
            freshStartTail="off" persistStateInterval="100" maxLinesAtOnce="0")
    """

    def __init__(self, paths, target, state, quiet_seconds=10.0):
        self.target = target
        self.quiet_seconds = quiet_seconds
        self.paths = paths
        self.state = pathlib.Path(state)
        self.state.mkdir(parents=True, exist_ok=True)
        self.began = 0
        self.begin()

    def begin(self):
        self.began += 1
        ready = self.state / f"ready-{self.began}"
        ready.write_text("now\n")
        config = self.CONFIG.format(out=self.target.path, ready=ready)
        config += "".join(self.INPUT.format(path=path) for path in self.paths)
        Rsyslogd.__init__(self, self.state, config)
        self.wait_for(pathlib.Path(f"{ready}.out").exists, "rsyslog following")


class SyslogReceiver(Rsyslogd):
    """A real one: imtcp with octet counting, with tls=True under TLS (gtls) only.

    `authority` is then the file that verifies its certificate. It can be stopped and begin() again
    on its port; what has arrived stays. messages(): each a dictionary of RFC 5424's fields.
    """

    FIELDS = ("pri", "timestamp", "hostname", "app-name", "procid", "msgid", "structured-data",
              "msg")
    CONFIG = """
      template(name="all" type="string" string="{fields}\\n")
      module(load="imtcp" {driver})
      ruleset(name="save" queue.type="Direct") {{
        action(type="omfile" file="{out}" template="all" flushOnTXEnd="on" asyncWriting="off")
      }}
      input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="save"
            supportOctetCountedFraming="on" maxFrameSize="8000000")
    """

    def __init__(self, tls=False, port=None):
        self.port = port or servers.free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="consort-syslog-"))
        self.out = self.directory / "received"
        self.target = FileTarget(self.out)
        self.authority = None
        self.driver, self.more = "", ""
        if tls:
            authority = Authority(self.directory)
            self.authority = authority.file
            certificate, key = authority.issue()
            self.driver = ('streamDriver.name="gtls" streamDriver.mode="1" '
                           'streamDriver.authMode="anon"')
            self.more = (f'defaultNetstreamDriver="gtls" '
                         f'defaultNetstreamDriverCAFile="{self.authority}" '
                         f'defaultNetstreamDriverCertFile="{certificate}" '
                         f'defaultNetstreamDriverKeyFile="{key}"')
        self.url = f"syslog+{'tls' if tls else 'tcp'}://localhost:{self.port}"
        self.begin()

    def begin(self):
        fields = ",".join(f'"{name}":"%{name}:::json%"' for name in self.FIELDS)
        fields = fields.replace("%timestamp:::json%", "%timestamp:::date-rfc3339%")
        fields = ("{" + fields + "}").replace('"', '\\"')
        config = self.CONFIG.format(fields=fields, driver=self.driver, out=self.out,
                                    port=self.port)
        Rsyslogd.__init__(self, self.directory, config, self.more)
        self.wait_for(lambda: servers.answers(self.port), "rsyslog listening")

    def messages(self):
        return [json.loads(line.decode(errors="replace")) for line in self.target.lines()]

    def lines(self):
        """The messages, without the mark that RFC 5424 puts before UTF-8."""
        return [message["msg"].removeprefix("\ufeff").encode() for message in self.messages()]

    def count(self):
        return self.target.count()

    def close(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def file_system_of(path):
    """Its type as the kernel calls it: ext4, tmpfs, overlay."""
    best, kind = "", ""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, name, *_ = line.split(" ")
        if os.path.commonpath([place, os.path.realpath(path)]) == place and len(place) > len(best):
            best, kind = place, name
    return kind
