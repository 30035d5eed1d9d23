"""Configuration files that change under a running process, dry runs, and a role's own pages."""
import json
import os
import threading
import time

import pytest

from managed import StallRole, needs_stall_role, wait_until

pytestmark = needs_stall_role


def publish(mount, version, text):
    """As the kubelet updates a ConfigMap: new directory, new link, renamed over `..data`."""
    (mount / version).mkdir()
    (mount / version / "app.yaml").write_text(text)
    old = os.readlink(mount / "..data") if (mount / "..data").is_symlink() else None
    (mount / "..data_tmp").symlink_to(version)
    (mount / "..data_tmp").rename(mount / "..data")
    if old:
        (mount / old / "app.yaml").unlink()
        (mount / old).rmdir()


def greets(role, text):
    wait_until(lambda: role.tell("nothing") == text, f"the greeting {text}")


def reloads(role, result):
    return role.metric(f'consort_config_reloads_total{{result="{result}"}}')


def test_a_file_that_is_written_or_replaced_is_taken_over(tmp_path):
    file = tmp_path / "app.yaml"
    file.write_text("greeting: one\n")
    with StallRole("--config", file) as role:
        file.write_text("greeting: two\n")
        greets(role, "two")
        (tmp_path / "new").write_text("greeting: three\n")
        (tmp_path / "new").rename(file)
        greets(role, "three")
        file.unlink()
        file.write_text("greeting: four\n")
        greets(role, "four")
        assert f"file changed: {file}" in role.output()
        assert reloads(role, "refused") == 0


def test_a_config_map_is_taken_over_again_and_again(tmp_path):
    publish(tmp_path, "..v1", "greeting: v1\n")
    (tmp_path / "app.yaml").symlink_to("..data/app.yaml")
    with StallRole("--config", tmp_path / "app.yaml") as role:
        for version in ("v2", "v3", "v4"):
            publish(tmp_path, f"..{version}", f"greeting: {version}\n")
            greets(role, version)
        assert reloads(role, "applied") == 3


def test_a_broken_file_is_refused_once_and_the_old_configuration_stays(tmp_path):
    file = tmp_path / "app.yaml"
    file.write_text("greeting: one\n")
    with StallRole("--config", file) as role:
        file.write_text("greting: two\n")
        wait_until(lambda: reloads(role, "refused") == 1, "a refusal")
        os.utime(file)
        file.write_text("greting: two\n")
        time.sleep(0.5)  # nothing must happen
        assert reloads(role, "refused") == 1
        assert role.output().count("config.reload_refused") == 1
        assert role.tell("nothing") == "one"
        assert role.status("/readyz") == 200
        file.write_text("greeting: three\n")
        greets(role, "three")
        assert role.metric("consort_config_last_reload_successful") == 1


def test_a_file_that_is_only_touched_changes_nothing(tmp_path):
    file = tmp_path / "app.yaml"
    file.write_text("greeting: one\n")
    with StallRole("--config", file) as role:
        os.utime(file)
        file.write_text("greeting: one\n")
        time.sleep(0.5)  # nothing must happen
        assert json.loads(role.get("/config").text)["generation"] == 1


def test_watching_can_be_switched_off(tmp_path):
    file = tmp_path / "app.yaml"
    file.write_text("greeting: one\n")
    with StallRole("--config", file, "--watch-config", "false") as role:
        file.write_text("greeting: two\n")
        time.sleep(0.5)  # nothing must happen
        assert role.tell("nothing") == "one"


def test_a_configuration_from_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("greeting: piped\n"))
    writer.start()
    with StallRole("--config", pipe) as role:
        writer.join()
        time.sleep(0.3)  # reading it again would hang the loop
        assert role.tell("nothing") == "piped"
        assert role.status("/livez") == 200


def test_a_dry_run_changes_nothing(tmp_path):
    file = tmp_path / "app.yaml"
    file.write_text("greeting: one\n")
    with StallRole("--config", file, "--watch-config", "false") as role:
        file.write_text("greeting: two\nnote: new\n")
        answer = role.post("/reload?dry-run=1")
        assert answer.status == 200
        assert json.loads(answer.text) == {"dry_run": True, "effect": "greet with two",
                                           "generation": 1, "changed": ["greeting"],
                                           "needs_restart": ["note"]}
        assert role.tell("nothing") == "one"
        file.write_text("greting: x\n")
        assert role.post("/reload?dry-run=1").status == 422
        assert reloads(role, "refused") == 0


@pytest.mark.alone
def test_a_role_answers_for_its_own_pages(tmp_path):
    with StallRole() as role:
        assert role.get("/greet?who=you").text == "hello you\n"
        assert role.post("/greet").status == 405
        routes = {route["path"]: route for route in json.loads(role.get("/").text)["routes"]}
        assert routes["/greet"]["guarded"] is True
        # A role that is busy answers when it is free again; the rest of the interface goes on.
        role.tell("block 1000")
        asked = time.monotonic()
        assert role.status("/livez") == 200
        assert time.monotonic() - asked < 0.8
        assert role.get("/greet").text == "hello \n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every directory")
def test_a_directory_that_may_not_be_listed_is_polled(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    file = closed / "app.yaml"
    file.write_text("greeting: one\n")
    closed.chmod(0o311)
    try:
        with StallRole("--config", file) as role:
            assert "config.watch_degraded" in role.output()
            file.write_text("greeting: two\n")
            greets(role, "two")
    finally:
        closed.chmod(0o755)
