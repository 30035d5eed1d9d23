"""The golden cases, the manual's pages and the completion scripts."""

import pathlib
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run  # noqa: E402

SP = ["ambassador", "shard-proxy"]


def consort(*args):
    return subprocess.run(
        [str(run.binary()), *args], capture_output=True, text=True, timeout=20, check=False
    )


def sourced(shell, script, *more):
    return subprocess.run(
        [shell, *more, "-c", script],
        env={"CONSORT": str(run.binary()), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.fixture(scope="module", autouse=True)
def binary_exists():
    if not run.binary().exists():
        pytest.fail(f"{run.binary()} is missing: build it, or name another one in CONSORT")


@pytest.mark.parametrize("case", run.cases(), ids=lambda case: case.name)
def test_golden(case):
    out, code = run.run(case)
    want, want_code = run.expected(case)
    if not run.matches(want, out):
        assert out == want
    assert code == want_code


# --- manual ---------------------------------------------------------------------------------------


def roles():
    return consort("man", "--generate").stdout.split()


def group_of(role):
    """sidecar, of "consort sidecar logsaver: ..."; nothing of a role without a group."""
    return " ".join(consort("help", role).stdout.split(":")[0].split()[1:-1]) or role


def test_every_role_has_a_page_whose_options_equal_its_table():
    assert roles()
    done = subprocess.run(
        [run.ROOT / "scripts/gen-man", "--check"],
        env={"CONSORT": str(run.binary()), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_role_is_in_the_overview_and_has_examples():
    overview = consort("--help").stdout
    for role in roles():
        assert role in overview
        assert "Examples:" in consort("help", role).stdout
        assert f"consort-{role}" in (run.ROOT / "man/consort.1").read_text()


def test_every_role_has_system_tests_and_a_row_in_the_readme():
    readme = (run.ROOT / "README.md").read_text()
    for role in roles():
        # Commands that belong together (gather-root, gather-leaf) share a folder: tests/system/gather;
        # so do the roles of a group (sidecar).
        names = (role.replace("-", "_"), role.split("-")[0], group_of(role))
        folders = [run.ROOT / "tests/system" / name for name in names]
        tests = [test for folder in folders for test in folder.glob("test_*.py")]
        assert any(role in test.read_text() for test in tests), f"{role} has no system tests"
        rows = [line for line in readme.splitlines() if line.startswith("|") and role in line]
        assert rows, f"README's table has no row for {role}"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_the_manual_is_free_of_mandoc_warnings():
    pages = sorted(str(page) for page in (run.ROOT / "man").glob("*.1"))
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", *pages],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout + done.stderr == ""


def test_every_topic_has_a_page():
    listing = consort("man").stdout.splitlines()[1:]
    assert listing
    for line in listing:
        done = consort("man", line.split()[0])
        assert done.returncode == 0 and len(done.stdout) > 200


# --- names of the executable ----------------------------------------------------------------------


def test_the_executable_behaves_as_the_role_it_is_named_after(tmp_path):
    for role in roles():
        link = tmp_path / f"consort-{role}"
        link.symlink_to(run.binary())
        done = subprocess.run(
            [link, "--help"], capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0
        assert done.stdout == consort("help", role).stdout


# --- configuration --------------------------------------------------------------------------------


def without_sources(yaml):
    return [line.split(" # ")[0].rstrip() for line in yaml.splitlines()]


def test_a_printed_configuration_is_accepted_and_prints_the_same(tmp_path):
    first = consort(*SP, "--server", "a:1:2 x", "--hash-tag={}", "--print-config")
    assert first.returncode == 0
    (tmp_path / "c.yaml").write_text(first.stdout)
    second = consort(*SP, "--config", str(tmp_path / "c.yaml"), "--print-config")
    assert second.returncode == 0, second.stderr
    assert without_sources(second.stdout) == without_sources(first.stdout)


def test_the_schema_is_json_and_the_example_is_a_valid_file(tmp_path):
    import json

    schema = json.loads(consort(*SP, "--print-config=schema").stdout)
    assert schema["properties"]["timeout"]["default"] == "1s"
    (tmp_path / "e.yaml").write_text(consort(*SP, "--print-config=example").stdout)
    done = consort(*SP, "--config", str(tmp_path / "e.yaml"), "--server", "a:1", "--check-config")
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_not_success():
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([run.binary(), "version"], stdout=full, timeout=20, check=False)
    assert done.returncode == 74


# --- completion -----------------------------------------------------------------------------------

LINES = [
    ("consort amb", {"ambassador"}, set()),
    ("consort ", {"ambassador", "health", "status", "man", "completion", "version"}, {"--hash"}),
    ("consort ambassador ", {"shard-proxy"}, {"health"}),
    ("consort side", {"sidecar"}, {"ambassador"}),
    ("consort sidecar ", {"logsaver"}, {"shard-proxy"}),
    ("consort sidecar logsaver --st", {"--state-dir", "--stdin"}, {"--sink"}),
    ("consort sidecar logsaver --format ", {"raw", "cri", "docker"}, {"json"}),
    ("consort ambassador shard-proxy --dist", {"--distribution"}, {"--hash"}),
    ("consort ambassador shard-proxy --distribution ", {"ketama", "jump"}, {"--hash"}),
    ("consort ambassador shard-proxy --hash mur", {"murmur"}, {"md5"}),
    ("consort ambassador shard-proxy --log", {"--log-level", "--log-format"}, {"--hash"}),
    ("consort completion ", {"bash", "zsh", "fish"}, set()),
    ("consort health --", {"--ready", "--timeout"}, {"--json"}),
]
IDS = [line for line, _, _ in LINES]


def bash_complete(words):
    quoted = " ".join(f"'{word}'" for word in words)
    done = sourced(
        "bash",
        f"source <($CONSORT completion bash); COMP_WORDS=({quoted}); "
        f"COMP_CWORD={len(words) - 1}; _consort; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        "--norc",
    )
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize(("line", "has", "lacks"), LINES, ids=IDS)
def test_bash_completes(line, has, lacks):
    offered = bash_complete(line.split(" "))
    assert has <= offered and not lacks & offered


def test_bash_completes_behind_an_equals_sign():
    words = ["consort", *SP, "--hash", "=", "mur"]
    assert bash_complete(words) == {"murmur"}
    assert "schema" in bash_complete(["consort", *SP, "--print-config", "="])
    assert "--listen" in bash_complete(["consort", *SP, "--print-config", ""])


def test_a_secret_is_not_offered_as_a_flag():
    assert "--redis-auth" not in bash_complete(["consort", *SP, "--"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_well_formed(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = consort("completion", shell).stdout
    assert script
    done = subprocess.run(
        [shell, "-n"], input=script, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0 and done.stderr == ""


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
@pytest.mark.parametrize(("line", "has", "lacks"), LINES, ids=IDS)
def test_fish_completes(line, has, lacks, tmp_path):
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"$CONSORT completion fish | source; complete -C '{line}'"],
        env={"CONSORT": str(run.binary()), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    offered = {offer.split("\t")[0] for offer in done.stdout.splitlines()}
    assert has <= offered and not lacks & offered


# --- start-up -------------------------------------------------------------------------------------


def fastest_s(command, times=30):
    best = 1.0
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, timeout=20, check=False)
        best = min(best, time.perf_counter() - start)
    return best


def test_help_starts_within_two_milliseconds_of_doing_nothing():
    nothing = fastest_s(["/bin/true"])
    help_s = fastest_s([str(run.binary()), *SP, "--help"])
    assert help_s - nothing < 0.002
