"""The management interface of real processes: probes, guards, verbs, signals, reload, commands."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest

from managed import (CONSORT, STALL_ROLE, Managed, Process, StallRole, context_switches, free_port,
                     needs_consort, needs_exact_sleep, needs_stall_role, wait_until)


@pytest.fixture
def role():
    with StallRole() as process:
        yield process
        process.kill()


@pytest.fixture
def proxy():
    """A proxy whose only server is not there: the management has to work all the same."""
    admin = free_port()
    argv = [CONSORT, "ambassador", "shard-proxy", "--listen", f"127.0.0.1:{free_port()}",
            "--protocol", "redis", "--server", f"127.0.0.1:{free_port()}"]
    with Managed(argv, admin, f"proxy-{admin}", wait="/livez") as process:
        yield process
        process.kill()


# --- any role: the shard proxy ----------------------------------------------------------------

@needs_consort
def test_probes_of_a_real_role(proxy):
    assert proxy.get("/livez").text == "ok\n"
    wait_until(lambda: proxy.status("/startupz") == 200, "the start")
    health = json.loads(proxy.get("/health").text)
    assert health["role"] == "shard-proxy"
    assert health["name"] == proxy.name
    assert proxy.request("HEAD", "/livez").text == ""


@needs_consort
def test_metrics_are_clean(proxy):
    proxy.get("/nonsense")
    answer = proxy.get("/metrics")
    for name in ("consort_build_info", "consort_state", "consort_transitions_total",
                 "consort_loop_lag_seconds_bucket", "consort_loop_utilization_ratio",
                 "consort_config_last_reload_successful", "consort_admin_requests_total",
                 "consort_admin_connections_total", "consort_admin_open_connections",
                 "consort_log_lines_lost_total",
                 "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds",
                 "process_start_time_seconds"):
        assert f"\n{name}" in answer.text, name
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    check = subprocess.run(["promtool", "check", "metrics"], input=answer.text, text=True,
                           capture_output=True)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


@needs_consort
def test_terminate_ends_a_real_role_with_0(proxy):
    proxy.send_signal(signal.SIGTERM)
    assert proxy.wait() == 0
    assert proxy.transitions()[-3:] == ["DRAINING", "STOPPING", "STOPPED"]


@needs_consort
@needs_exact_sleep
def test_an_idle_role_sleeps(proxy):
    time.sleep(0.5)  # the start is over by then
    before = context_switches(proxy.pid)
    time.sleep(2)
    # Retries to reach the missing server are the role's own business: a few a second at most.
    assert context_switches(proxy.pid) - before < 20


# --- guards -----------------------------------------------------------------------------------

@needs_stall_role
def test_every_reading_path_answers_to_local_peers(role):
    for path in ("/", "/config", "/logs", "/loop", "/lifecycle", "/health", "/metrics"):
        answer = role.get(path)
        assert answer.status == 200, path
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@needs_stall_role
def test_a_get_never_changes_anything(role):
    for path in ("/lifecycle/stop", "/lifecycle/drain", "/reload", "/quitquitquit"):
        answer = role.get(path)
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
    assert role.state() == "READY"


@needs_stall_role
def test_browser_tricks_are_refused(role):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"},
                    {"Sec-Fetch-Site": "cross-site"}):
        answer = role.post("/lifecycle/stop", headers=headers)
        assert answer.status == 403, headers
        assert json.loads(answer.text)["error"]["hint"]
    assert role.state() == "READY"


def own_address():
    """An address of this machine that is not loopback; connecting to it makes a remote peer."""
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    return next((word for word in words if ":" not in word), None)


@needs_stall_role
@pytest.mark.skipif(own_address() is None, reason="no address but loopback")
def test_remote_peers_need_the_token(tmp_path):
    token = tmp_path / "token"
    token.write_text("first\n")
    admin = free_port()
    argv = [STALL_ROLE, "--listen", f"127.0.0.1:{free_port()}", "--admin-token-file", token]
    with Process([*argv, "--admin", f"0.0.0.0:{admin}", "--name", f"open-{admin}"]) as process:
        def status(path, bearer=None):
            client = http.client.HTTPConnection(own_address(), admin, timeout=5)
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            try:
                client.request("GET", path, headers=headers)
                return client.getresponse().status
            except OSError:
                return 0
            finally:
                client.close()
        wait_until(lambda: status("/readyz") == 200, "readiness")
        assert status("/metrics") == 200
        assert status("/config") == 403
        assert status("/config", "first") == 200
        assert status("/config", "wrong") == 401
        token.write_text("another\n")
        assert status("/config", "first") == 401
        assert status("/config", "another") == 200
        assert process.running()


# --- stops ------------------------------------------------------------------------------------

@pytest.mark.alone
@needs_stall_role
def test_terminate_drains_and_exits_0():
    with StallRole("--drain-time", "700ms") as role:
        started = time.monotonic()
        role.send_signal(signal.SIGTERM)
        wait_until(lambda: role.status("/readyz") == 503, "unreadiness", 0.3)
        assert role.status("/livez") == 200
        lifecycle = json.loads(role.get("/lifecycle").text)
        assert lifecycle["state"] == "DRAINING"
        assert lifecycle["cause"] == "signal TERM"
        assert lifecycle["deadline"]
        assert role.wait() == 0
        assert 0.6 < time.monotonic() - started < 3
        assert role.transitions()[-3:] == ["DRAINING", "STOPPING", "STOPPED"]


@pytest.mark.alone
@needs_stall_role
def test_a_drain_is_dropped_by_the_end_of_the_grace_period():
    with StallRole("--drain-time", "1h", "--grace", "1s") as role:
        started = time.monotonic()
        role.send_signal(signal.SIGTERM)
        assert role.wait() == 0
        assert 0.8 < time.monotonic() - started < 1.5
        assert "drain.unfinished" in role.output()


@pytest.mark.alone
@needs_stall_role
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(number):
    with StallRole("--drain-time", "1h") as role:
        role.send_signal(number)
        wait_until(lambda: role.state() == "DRAINING", "draining")
        started = time.monotonic()
        role.send_signal(number)
        assert role.wait() == 0
        assert time.monotonic() - started < 1


@pytest.mark.alone
@needs_stall_role
def test_the_shutdown_delay_keeps_serving():
    with StallRole("--shutdown-delay", "500ms") as role:
        role.send_signal(signal.SIGTERM)
        wait_until(lambda: role.status("/readyz") == 503, "unreadiness", 0.3)
        assert role.tell("hello") == "hello"
        assert role.wait() == 0


@needs_stall_role
def test_a_stop_during_the_start():
    with StallRole("--start-time", "1h", wait="/livez") as role:
        assert role.status("/startupz") == 503
        role.send_signal(signal.SIGTERM)
        assert role.wait() == 0


@needs_stall_role
def test_stop_and_drain_by_http():
    with StallRole("--drain-time", "300ms") as role:
        assert role.post("/lifecycle/drain").status == 202
        assert role.status("/readyz") == 503
        answer = role.post("/lifecycle/stop?grace=5s&wait=5s")
        assert answer.status in (200, 202)
        assert json.loads(answer.text)["deadline"]
        assert role.wait() == 0


@needs_stall_role
def test_a_waiting_stop_answers_before_the_process_is_gone():
    with StallRole("--drain-time", "300ms") as role:
        answer = role.post("/quitquitquit?wait=5s")
        assert answer.status == 200
        assert role.wait() == 0


@needs_stall_role
def test_a_second_stop_is_a_conflict():
    with StallRole("--drain-time", "2s") as role:
        assert role.post("/lifecycle/stop").status == 202
        answer = role.post("/lifecycle/stop")
        assert answer.status == 409
        error = json.loads(answer.text)["error"]
        assert error["code"] == "already_stopping"
        assert error["since"]
        role.kill()


@needs_stall_role
def test_work_that_ends_and_work_that_fails(role):
    role.tell("end")
    assert role.wait() == 0
    with StallRole() as other:
        other.tell("die")
        assert other.wait() == 1
        assert other.transitions()[-1] == "FAILED"
        assert "told to die" in other.output()


# --- stalls -----------------------------------------------------------------------------------

@pytest.mark.alone
@needs_stall_role
def test_livez_answers_while_the_loop_hangs():
    with StallRole("--stall-limit", "500ms") as role:
        role.tell("block 1500")
        slowest = 0
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            started = time.monotonic()
            assert role.status("/livez") == 200
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 0.1
        wait_until(lambda: role.status("/livez") == 503, "the stall", 2)
        assert "has not turned for" in role.get("/livez").text
        wait_until(lambda: role.status("/livez") == 200, "recovery", 5)


@pytest.mark.alone
@needs_stall_role
def test_signals_work_while_the_loop_hangs():
    with StallRole("--grace", "1s") as role:
        role.tell("block 600000")
        time.sleep(0.1)
        role.send_signal(signal.SIGTERM)
        wait_until(lambda: role.status("/readyz") == 503, "unreadiness", 0.3)
        started = time.monotonic()
        assert role.wait() == 1
        assert 0.5 < time.monotonic() - started < 1.5
        assert "stop.forced" in role.output()


@pytest.mark.alone
@needs_stall_role
def test_a_second_signal_ends_a_hanging_loop():
    with StallRole() as role:
        role.tell("block 600000")
        time.sleep(0.1)
        role.send_signal(signal.SIGTERM)
        wait_until(lambda: role.status("/readyz") == 503, "unreadiness", 0.3)
        role.send_signal(signal.SIGTERM)
        assert role.wait(2) == 0


# --- checks, reload, start --------------------------------------------------------------------

@needs_stall_role
def test_readiness_follows_the_checks(role):
    role.tell("check fail")
    wait_until(lambda: role.status("/readyz") == 503, "unreadiness")
    assert "[-]backend told so" in role.get("/readyz?verbose").text
    assert role.state() == "UNREADY"
    role.tell("check pass")
    wait_until(lambda: role.status("/readyz") == 200, "readiness")


@needs_stall_role
def test_reload_keeps_the_old_configuration_when_the_new_one_is_broken(tmp_path):
    file = tmp_path / "stall.yaml"
    file.write_text("greeting: hello\n")
    # By order only: a change that is noticed by itself would come between the steps.
    with StallRole("--config", file, "--watch-config", "false") as role:
        file.write_text("greeting: [unfinished\n")
        role.send_signal(signal.SIGHUP)
        wait_until(lambda: role.metric("consort_config_last_reload_successful") == 0, "a refusal")
        assert "stall.yaml:" in role.output()
        assert role.status("/readyz") == 200
        assert json.loads(role.get("/health").text)["checks"]["config"]["status"] == "warn"
        assert role.tell("nothing") == "hello"

        file.write_text("greeting: good day\nnote: new\nlog_level: debug\n")
        answer = json.loads(role.post("/reload").text)
        assert answer["needs_restart"] == ["note"]
        assert sorted(answer["changed"]) == ["greeting", "log_level"]
        assert role.metric("consort_config_last_reload_successful") == 1
        assert role.tell("nothing") == "good day"

        file.write_text("greting: x\n")
        answer = role.post("/reload")
        assert answer.status == 422
        assert "greeting" in "".join(json.loads(answer.text)["error"]["problems"])
        assert role.tell("nothing") == "good day"


@needs_stall_role
def test_a_taken_admin_port_is_one_clear_line(role):
    with StallRole(admin=role.admin, wait=None) as other:
        assert other.wait() == 69
        errors = [line for line in other.output().splitlines() if '"level":"error"' in line]
        assert len(errors) == 1
        assert f"127.0.0.1:{role.admin}" in errors[0]
        assert "--admin" in errors[0]


@needs_stall_role
def test_a_taken_listen_port_is_exit_69(role):
    argv = [STALL_ROLE, "--listen", f"127.0.0.1:{role.port}", "--admin", "none", "--name", "taken"]
    with Process(argv) as other:
        assert other.wait() == 69
        assert f"127.0.0.1:{role.port}" in other.output()


@needs_stall_role
def test_two_of_one_name_get_two_sockets(role):
    with StallRole(name=role.name) as other:
        assert "admin.name_taken" in other.output()
        names = pathlib.Path("/proc/net/unix").read_text()
        assert f"@consort/{socket.gethostname()}/{role.name}.{other.pid}" in names


@needs_stall_role
@needs_exact_sleep
def test_an_idle_process_does_not_wake(role):
    time.sleep(0.3)
    before = context_switches(role.pid)
    time.sleep(2)
    assert context_switches(role.pid) - before < 5


@needs_stall_role
def test_a_level_of_debug_and_an_admin_of_none():
    argv = [STALL_ROLE, "--listen", f"127.0.0.1:{free_port()}", "--admin", "none", "--name",
            f"none-{os.getpid()}"]
    with Process(argv) as process:
        wait_until(lambda: '"to":"READY"' in process.output(), "readiness")
        assert "admin.listening" not in process.output()
        assert process.stop() == 0


# --- commands ---------------------------------------------------------------------------------

def consort(*words):
    done = subprocess.run([CONSORT, *words], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout


@needs_consort
@needs_stall_role
def test_health_command(role):
    assert consort("health", role.name) == (0, f"ok {role.name} READY\n")
    assert consort("health", "--ready", role.name) == (0, f"ok {role.name} READY\n")
    code, line = consort("health", f"http://127.0.0.1:{role.admin}/livez")
    assert (code, line.split()[0]) == (0, "ok")
    role.tell("check fail")
    wait_until(lambda: role.status("/readyz") == 503, "unreadiness")
    assert consort("health", role.name)[0] == 0
    code, line = consort("health", "--ready", role.name)
    assert code == 1
    assert line.startswith(f"fail {role.name} 503 UNREADY")
    assert f"ok {role.name} UNREADY\n" in consort("health")[1]


@needs_consort
def test_health_of_nobody():
    assert consort("health", "no-such-name")[0] == 1
    unshare = [shutil.which("unshare") or "unshare", "-rn"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespaces here")
    done = subprocess.run([*unshare, CONSORT, "health"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "no consort process found" in done.stdout + done.stderr


@needs_consort
@needs_stall_role
def test_status_command(role):
    code, table = consort("status", role.name)
    assert code == 0
    assert all(len(line) <= 80 for line in table.splitlines())
    assert table.splitlines()[1].split()[1:3] == ["stall", "READY"]
    code, text = consort("status", "--json", role.name)
    assert code == 0
    assert json.loads(text)[0]["name"] == role.name
