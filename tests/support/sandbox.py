"""A logsaver as a cluster runs it: another user, no capabilities, a read-only root of its own.

    box = Sandbox(empty_directory)
    box.bind(logs, "/logs", is_writable=False)
    box.tmpfs("/state", 256 << 10)
    with box.saver(["/logs/*.log"], sink, "/state") as follower:
        box.outside(follower, "/state/journal").stat()

The root has the executable at /consort and what was bound, nothing else: no /proc, no /dev, no
libraries. All mounts are in a mount namespace of that process and end with it. Control groups for
it are in control_group.py.
"""
import functools
import json
import os
import pathlib
import subprocess
import sys

from support import collectors, servers

USER = 65533


@functools.cache
def unavailable():
    """Why none can be made here; empty when one can."""
    if servers.is_sanitized():
        return "the root has no libraries, which a sanitized executable needs"
    if os.geteuid() != 0:
        return "only root can make mount namespaces"
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs",
                           "none", "/mnt"], text=True, capture_output=True)
    return f"no mount namespaces: {done.stderr.strip()}" if done.returncode else ""


class Sandbox:
    def __init__(self, root, files_max=None):
        self.root = pathlib.Path(root)
        self.root.mkdir(mode=0o755)
        self.plan = {"root": str(self.root), "user": USER, "files_max": files_max, "mounts": [],
                     "groups": []}
        self.bind(servers.CONSORT.resolve(), "/consort", is_writable=False)

    def bind(self, there, inside, is_writable=True):
        """A directory, or a file."""
        place = self.root / inside[1:]
        if pathlib.Path(there).is_dir():
            place.mkdir(parents=True)
        else:
            place.touch()
        self.plan["mounts"].append(["bind", str(there), inside, is_writable])

    def tmpfs(self, inside, size_bytes):
        (self.root / inside[1:]).mkdir(parents=True)
        self.plan["mounts"].append(["tmpfs", str(size_bytes), inside, True])

    def join(self, group):
        """A control_group.Group, from before it begins."""
        self.plan["groups"].append(str(group.directory))

    def wrap(self, words):
        program = pathlib.Path(__file__).with_name("sandboxed.py")
        return ["unshare", "-m", "--propagation", "private", sys.executable, program,
                json.dumps(self.plan), "/consort", *words[1:]]

    def saver(self, paths, target, state, options=(), **more):
        return Boxed(self, paths, target, state, options, **more)

    @staticmethod
    def outside(process, path):
        """A path to what a running process has there."""
        return pathlib.Path(f"/proc/{process.pid}/root{path}")


class Boxed(collectors.Logsaver):
    """Its paths are those within the sandbox."""

    def __init__(self, box, *arguments, **options):
        self.box = box
        super().__init__(*arguments, **options)

    def wrap(self, words):
        return self.box.wrap(words)

    def privileges(self):
        """Name -> text of what /proc/PID/status says of users and capabilities."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        pairs = [line.split(":", 1) for line in status.splitlines()]
        return {name: text.strip() for name, text in pairs
                if name in ("Uid", "Gid", "Groups", "NoNewPrivs") or name.startswith("Cap")}
