"""Started by sandbox.Sandbox in a mount namespace: makes the root as planned, becomes the rest.

usage: sandboxed.py PLAN PROGRAM [WORDS]     PLAN: JSON, see sandbox.py
"""
import ctypes
import json
import os
import pathlib
import resource
import subprocess
import sys

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38  # linux/prctl.h
CAPABILITIES = 64  # that there may be


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def make_root(root, mounts):
    mount("--bind", root, root)
    for kind, what, inside, is_writable in mounts:
        if kind == "tmpfs":
            mount("-t", "tmpfs", "-o", f"size={what},mode=0777", "none", root + inside)
        else:
            mount("--bind", what, root + inside)
        if not is_writable:
            mount("-o", "remount,bind,ro", root + inside)
    mount("-o", "remount,bind,ro", root)


def become(plan, words):
    for group in plan["groups"]:
        pathlib.Path(group, "cgroup.procs").write_text(str(os.getpid()))
    if plan["files_max"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (plan["files_max"], plan["files_max"]))
    make_root(plan["root"], plan["mounts"])
    os.chroot(plan["root"])
    os.chdir("/")
    libc = ctypes.CDLL(None)
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(plan["user"], plan["user"], plan["user"])
    os.setresuid(plan["user"], plan["user"], plan["user"])
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.execv(words[0], words)


become(json.loads(sys.argv[1]), sys.argv[2:])
