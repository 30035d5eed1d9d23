"""A managed process in bad surroundings: no descriptors, no stderr, no /proc, crowds and storms."""
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from managed import (CONSORT, STALL_ROLE, Managed, StallRole, connect, free_port, needs_consort,
                     needs_stall_role, wait_until)

pytestmark = needs_stall_role
F_SETPIPE_SZ = 1031


@contextlib.contextmanager
def stall_role_under(*prefix, wait="/readyz"):
    """A stall_role that is started by the words of `prefix`."""
    admin = free_port()
    argv = [*prefix, STALL_ROLE, "--listen", f"127.0.0.1:{free_port()}"]
    with Managed(argv, admin, f"edge-{admin}", wait) as role:
        yield role
        role.kill()


def connect_admin(role):
    return socket.create_connection(("127.0.0.1", role.admin), timeout=5)


# --- descriptors ------------------------------------------------------------------------------

@pytest.mark.parametrize("limit", [5, 16, 31])
def test_too_few_descriptors_are_one_clear_line(limit):
    shell = f'ulimit -n {limit}; exec "$0" "$@"'
    with stall_role_under("sh", "-c", shell, wait=None) as role:
        if role.wait() == 127:
            pytest.skip("not even the loader has enough")
        assert role.wait() == 69
        assert role.output().count("\n") == 1
        assert "limit of open files" in role.output()


def test_closed_standard_descriptors_are_not_given_to_sockets():
    with stall_role_under("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-') as role:
        for fd in (0, 1, 2):
            assert os.readlink(f"/proc/{role.pid}/fd/{fd}") == "/dev/null"
        assert role.post("/reload").status == 200
        assert role.stop() == 0


def test_running_out_of_descriptors_is_told_and_passes(role_with_few_descriptors):
    role = role_with_few_descriptors
    held = [connect_admin(role) for _ in range(60)]
    wait_until(lambda: "admin.accept_paused" in role.output(), "a pause of accepting")
    assert role.running()
    for client in held:
        client.close()
    wait_until(lambda: role.status("/livez") == 200, "recovery")
    assert role.metric("consort_admin_accept_pauses_total") >= 1


@pytest.fixture
def role_with_few_descriptors():
    with stall_role_under("sh", "-c", 'ulimit -n 48; exec "$0" "$@"') as role:
        yield role


@pytest.mark.slow  # LeakSanitizer needs a thread itself
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root")
def test_a_thread_that_cannot_be_made_is_one_clear_line():
    user = ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"]
    with stall_role_under(*user, "prlimit", "--nproc=0", wait=None) as role:
        if role.wait() in (126, 127):
            pytest.skip("that user may not run the program")
        assert role.wait() == 69
        assert "cannot create a thread" in role.output().splitlines()[-1]


# --- stderr -----------------------------------------------------------------------------------

def test_a_reader_of_stderr_that_stopped_costs_lines_and_nothing_else():
    reader, writer = os.pipe()
    fcntl.fcntl(reader, F_SETPIPE_SZ, 4096)
    shell = 'exec "$@" 2>"$0"'
    with stall_role_under("sh", "-c", shell, f"/proc/{os.getpid()}/fd/{writer}") as role:
        for _ in range(40):
            assert role.post("/reload").status == 200
        assert role.status("/livez") == 200
        assert role.metric("consort_log_lines_lost_total") > 0
        os.set_blocking(reader, False)
        while True:
            try:
                os.read(reader, 65536)
            except BlockingIOError:
                break
        role.post("/reload")  # the line that finds the pipe empty again
        wait_until(lambda: b"log.lines_lost" in os.read(reader, 65536), "the count of lost lines")
        for _ in range(40):
            role.post("/reload")
        role.send_signal(signal.SIGTERM)
        assert role.wait(5) == 0
    os.close(reader)
    os.close(writer)


# --- crowds and storms ------------------------------------------------------------------------

def test_idle_connections_do_not_lock_probes_out():
    with StallRole() as role:
        crowd = [connect_admin(role) for _ in range(100)]
        for _ in range(10):
            assert role.status("/livez") == 200
        assert role.metric("consort_admin_connections_displaced_total") >= 36
        for client in crowd:
            client.close()
        role.kill()


@pytest.mark.slow
def test_large_bodies_are_refused_before_they_cost_memory():
    with StallRole() as role:
        before = role.rss_bytes()
        crowd = [connect_admin(role) for _ in range(50)]
        for client in crowd:
            client.sendall(b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n")
            with contextlib.suppress(OSError):
                client.sendall(b"x" * 900_000)
        wait_until(lambda: role.metric("consort_admin_requests_refused_total") == 50, "refusals")
        assert role.rss_bytes() - before < 8 << 20
        for client in crowd:
            client.close()
        role.kill()


def test_a_storm_of_signals_is_one_reload():
    with StallRole() as role:
        role.tell("block 700")
        time.sleep(0.1)
        for _ in range(1000):
            role.send_signal(signal.SIGHUP)
        role.tell("nothing")  # answered when the loop turns again
        wait_until(lambda: "config.reloaded" in role.output(), "the reload")
        assert role.output().count('"msg":"config.reloaded"') <= 2
        role.kill()


def test_signals_at_the_very_end_do_not_change_the_exit_code():
    for _round in range(20):
        with StallRole() as role:
            role.send_signal(signal.SIGTERM)
            while role.running():
                for _ in range(200):
                    os.kill(role.pid, signal.SIGHUP)
            assert role.wait() == 0


def test_a_client_that_never_reads_is_cut_off_and_others_are_served():
    with StallRole() as role:
        with connect(role.admin) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
            assert role.status("/livez") == 200
        role.send_signal(signal.SIGTERM)
        assert role.wait() == 0


# --- commands ---------------------------------------------------------------------------------

@needs_consort
def test_health_by_every_kind_of_address():
    with StallRole() as role:
        def health(*targets):
            done = subprocess.run([CONSORT, "health", *targets], capture_output=True, text=True)
            return done.returncode, done.stdout
        url = f"http://127.0.0.1:{role.admin}"
        assert health(url) == (0, f"ok {url} READY\n")
        assert health(f"{url}/livez") == (0, f"ok {url}/livez ok\n")
        local = f"unix:@consort/{socket.gethostname()}/{role.name}"
        assert health(local) == (0, f"ok {local} READY\n")
        code, lines = health(role.name, "ftp://x", f"http://127.0.0.1:{free_port()}")
        assert code == 1
        assert lines.splitlines()[0] == f"ok {role.name} READY"
        assert "neither a name nor a URL" in lines.splitlines()[1]
        assert "is not running" in lines.splitlines()[2]
        role.kill()


@needs_consort
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot")
def test_without_proc_health_needs_names(tmp_path):
    program = tmp_path / "consort"
    program.write_bytes(CONSORT.read_bytes())
    program.chmod(0o755)
    chroot = ["chroot", "--userspec=65532:65532", tmp_path, "/consort"]
    tmp_path.chmod(0o755)
    try:
        done = subprocess.run([*chroot, "health"], capture_output=True, text=True)
    except OSError:
        pytest.skip("no chroot here")
    if done.returncode == 127:
        pytest.skip("the program is not static")
    assert done.returncode == 1
    assert "/proc/net/unix" in done.stdout + done.stderr
    with StallRole() as role:
        done = subprocess.run([*chroot, "health", role.name], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"ok {role.name} READY\n")
        role.kill()
