"""Runs of gather-check, and what they said."""
import subprocess

from support import servers

LEAF_CHECKS = 12
MERGE_CHECKS = 12


class Checked:
    def __init__(self, code, out, errors):
        self.code = code
        self.out = out
        self.errors = errors
        lines = out.splitlines()
        self.total = lines[-1] if lines else ""
        self.troubles = [line for line in lines if line.startswith(("warn ", "FAIL "))]

    def only(self, beginning):
        """Nothing but this is wrong."""
        assert len(self.troubles) == 1, self.out + self.errors
        assert self.troubles[0].startswith(beginning), self.troubles
        assert self.code == (1 if beginning.startswith("FAIL") else 0)
        return self.troubles[0]

    def fine(self, checks):
        assert self.troubles == [], self.out + self.errors
        assert self.total == f"{checks} passed, 0 failed, 0 warnings"
        assert self.code == 0


def check(*words, text=None):
    done = subprocess.run([servers.CONSORT, "gather-check", *words], input=text,
                          capture_output=True, text=True, timeout=120)
    return Checked(done.returncode, done.stdout, done.stderr)
