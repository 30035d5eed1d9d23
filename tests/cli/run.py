"""Runs the golden cases of the command line: tests/cli/<case>/{cmd,out,code}.

cmd   one shell command line that uses "$CONSORT"; it runs in the case's own folder
out   what it prints, stdout and stderr in order, exactly; {{VERSION}} stands for a version number
      and {{ANY}} for the rest of a word
code  the exit code

Other files of a folder are what the command reads. `run.py --update [CASE...]` writes out and code
from what the binary does now: read the difference before you commit it.
"""

import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACEHOLDERS = {"{{VERSION}}": r"\d+\.\d+\.\d+", "{{ANY}}": r"[^\s\"]*"}
TIMEOUT_S = 20


def binary():
    path = pathlib.Path(os.environ.get("CONSORT", "build/consort"))
    return path if path.is_absolute() else ROOT / path


def cases():
    return sorted(path.parent for path in HERE.glob("*/cmd"))


def run(case):
    """What a case prints and its exit code; only what it sets itself is in its environment."""
    done = subprocess.run(
        ["bash", "-c", (case / "cmd").read_text()],
        cwd=case,
        env={"CONSORT": str(binary()), "PATH": os.environ["PATH"], "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.stdout.decode(), done.returncode


def expected(case):
    return (case / "out").read_text(), int((case / "code").read_text())


def matches(pattern, text):
    if text == pattern:
        return True
    regex = re.escape(pattern)
    for name, meaning in PLACEHOLDERS.items():
        regex = regex.replace(re.escape(name), meaning)
    return re.fullmatch(regex, text) is not None


def update(case):
    out, code = run(case)
    old = (case / "out").read_text() if (case / "out").exists() else ""
    if not matches(old, out):
        (case / "out").write_text(out)
    (case / "code").write_text(f"{code}\n")


def main(args):
    if args[:1] == ["--update"]:
        for case in [HERE / name for name in args[1:]] or cases():
            update(case)
        return 0
    failed = 0
    for case in cases():
        out, code = run(case)
        want, want_code = expected(case)
        if not matches(want, out) or code != want_code:
            failed += 1
            print(f"{case.name}: exit code {code} (want {want_code})\n{out}")
    print(f"{len(cases()) - failed} of {len(cases())} cases pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
