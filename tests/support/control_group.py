"""A control group that limits the processor or the memory of what joins it, of either version.

    with Group("cpu", {"cpu.max": "10000 100000"}, {"cpu.cfs_quota_us": 10000}) as group: ...

Of version 1 only a controller in whose root we are is used: a group further down belongs to who
runs us, and so does what is below it.
"""
import pathlib

from support.logs import NotHere

ROOT = pathlib.Path("/sys/fs/cgroup")


def read(path):
    return path.read_text() if path.exists() else ""


def directory_for(controller):
    """Where a group can be made, and its version; (None, 0) when nowhere."""
    own = dict(line.split(":", 2)[1:] for line in read(pathlib.Path("/proc/self/cgroup"))
               .splitlines())
    for base in (ROOT, ROOT / "unified"):
        parent = base / own.get("", "").lstrip("/")
        if controller in read(parent / "cgroup.subtree_control").split():
            return parent, 2
    if own.get(controller) == "/" and (ROOT / controller / "cgroup.procs").exists():
        return ROOT / controller, 1
    return None, 0


class Group:
    def __init__(self, controller, version_2, version_1=None):
        """Names and values of the settings; NotHere says why there is none."""
        parent, version = directory_for(controller)
        settings = version_2 if version == 2 else version_1
        if not parent or not settings:
            raise NotHere(f"no control group of ours may limit {controller} here")
        self.directory = parent / f"consort-test-{id(self)}"
        try:
            self.directory.mkdir()
            for name, value in settings.items():
                (self.directory / name).write_text(str(value))
        except OSError as error:
            self.close()
            raise NotHere(f"control group: {error}") from error

    def read(self, name):
        return read(self.directory / name)

    def close(self):
        if self.directory.exists():
            self.directory.rmdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
