"""What goes wrong, on a real engine: each failure by name, with its remedy and exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bailing_tasks import process
from bailing_tasks.state import State
from tests.engine.support import HOST, TRUE, Workspace, unique

ONE_IMAGE = "FROM {image} AS builder\nCOPY lock /lock\n"


def with_builder(workspace: Workspace, folder: Path, image: str = "") -> Workspace:
    """Give a workspace a builder on one tiny image, and a name of its own."""
    image = image or workspace.engine.push_tiny(folder / "base", unique(folder, "base") + ":1")
    workspace.write("docker/dockerfile.dev", ONE_IMAGE.format(image=image))
    workspace.write("Dockerfile", "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE}\n")
    workspace.write("lock", "one")
    workspace.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(folder, "b")
    workspace.environment["BAILING_TASKS_APP_IMAGE"] = unique(folder, "a")
    return workspace


# Pulls


def test_a_failed_pull_is_reported_and_the_run_goes_on(plain: Workspace, tmp_path: Path) -> None:
    good = plain.engine.push_tiny(tmp_path / "base", unique(tmp_path, "base") + ":1")
    with_builder(plain, tmp_path, f"{HOST}/not/there:1")
    plain.write("Dockerfile", f"FROM {good}\n")
    result = plain.invoke("prefetch", "--json")
    assert result.returncode == 0
    (found,) = json.loads(result.stdout)["results"]
    assert (found["pulled"], found["failed"]) == (1, 1)
    failed = next(image for image in found["images"] if image["status"] == "failed")
    assert "no such image or tag" in failed["cause"]
    assert "check the spelling" in failed["remedy"]
    assert "no such image or tag" in result.stderr
    assert result.seconds < 60


def test_strict_makes_a_failed_pull_fatal(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path, f"{plain.engine.registry}/not/there:1")
    for flags in (["--strict"], ["--on-failure", "stop"]):
        result = plain.invoke("prefetch", *flags, "build-builder")
        assert result.returncode == 5
        assert f"{plain.engine.registry}/not/there:1" in result.stderr
        assert "building" not in result.stdout


def test_a_wish_nobody_knows_is_refused(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    result = plain.invoke("prefetch", "--on-failure", "panic")
    assert result.returncode == 2
    assert "retry, continue, stop or ask" in result.stderr


def test_a_person_on_a_terminal_is_asked(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path, f"{plain.engine.registry}/not/there:1")
    output = on_a_terminal(plain, ["prefetch"], answers=["retry", "stop"])
    assert output.count("What now? [retry/continue/stop]") == 2
    assert "remedy: check the spelling" in output
    assert "exit 5" in output


def on_a_terminal(workspace: Workspace, argv: list[str], answers: list[str]) -> str:
    """Run `invoke` on a pseudo-terminal, answer its questions, return all it showed."""
    import pty

    environment = {**workspace.engine.environment, **workspace.environment, "TERM": "xterm"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(workspace.root)
        os.execve(sys.executable, [sys.executable, "-m", "invoke", *argv], environment)
    shown = b""
    left = list(answers)
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
        if left and shown.count(b"What now?") == len(answers) - len(left) + 1:
            os.write(terminal, left.pop(0).encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return shown.decode(errors="replace") + f"\nexit {os.waitstatus_to_exitcode(status)}"


def test_a_mirror_that_is_down_is_passed_over(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    registry = f"http://{plain.engine.registry}/{HOST}"
    mirrors = json.dumps({HOST: ["http://127.0.0.1:9", f"{registry}/wrong", registry]})
    found = plain.document("prefetch", "--json", BAILING_TASKS_MIRRORS=mirrors)
    image = found["prefetch"]["images"][0]
    assert image["status"] == "pulled"
    assert image["served_from"].startswith(f"{plain.engine.registry}/{HOST}/base-")


def test_an_image_that_only_the_engine_can_reach_is_pulled_through_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    platforms = ("linux/amd64", "linux/arm64")
    name = unique(tmp_path, "base") + ":1"
    image = workspace.engine.push_tiny(tmp_path / "base", name, *platforms)
    with_builder(workspace, tmp_path, f"{workspace.engine.registry}/{image}")
    # In a network namespace of its own, a process reaches nothing but the engine's socket.
    argv = ["unshare", "--net", sys.executable, "-m", "invoke", "prefetch", "--json"]
    argv += [part for platform in platforms for part in ("--platform", platform)]
    environment = {**workspace.engine.environment, **workspace.environment}
    result = process.run(argv, env=environment, cwd=workspace.root)
    assert result.ok, result.stderr
    (found,) = json.loads(result.stdout)["results"]
    # The engine finds the index alone; the containerd store shows one platform's image of it.
    assert found["pulled"] == (2 if workspace.engine.store == "classic" else 1)
    built = workspace.document("build-builder", "--json")["build-builder"]["images"][0]
    assert built["result"] == "built"
    assert workspace.document("prefetch", "--json")["prefetch"]["present"] == 1


def test_an_image_for_another_platform_only_is_a_failure(plain: Workspace, tmp_path: Path) -> None:
    image = plain.engine.push_tiny(
        tmp_path / "base", unique(tmp_path, "base") + ":1", "linux/arm64"
    )
    with_builder(plain, tmp_path, image)
    found = plain.document("prefetch", "--json")
    assert found["prefetch"]["failed"] == 1
    assert "not for linux/amd64" in found["prefetch"]["images"][0]["cause"]


def test_what_is_here_by_name_counts_when_no_registry_answers(
    plain: Workspace, tmp_path: Path
) -> None:
    name = f"{unique(tmp_path, 'local')}:1"
    plain.write("image/Dockerfile", "FROM scratch\nCOPY Dockerfile /x\n")
    argv = ["buildx", "build", "-q", "--provenance=false", "-t", f"{HOST}/{name}"]
    plain.engine.must(*argv, str(plain.root / "image"))
    with_builder(plain, tmp_path, f"{HOST}/{name}")
    found = plain.document("prefetch", "--json", BAILING_TASKS_MIRRORS="{}")
    assert found["prefetch"]["present"] == 1
    assert found["prefetch"]["images"][0]["digest"] == ""


# The builder that the app takes


def test_without_a_builder_the_app_says_what_comes_first(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    result = plain.invoke("prefetch", "build-app")
    assert result.returncode == 6
    assert "there is no builder image for linux/amd64" in result.stderr
    assert "run `invoke build-builder` first" in result.stderr
    # One that was made by hand is not taken unseen.
    by_hand = plain.environment["BAILING_TASKS_BUILDER_IMAGE"]
    file, context = str(plain.root / "docker" / "dockerfile.dev"), str(plain.root)
    plain.write("docker/dockerfile.dev", "FROM scratch AS builder\nCOPY lock /lock\n")
    plain.engine.must("buildx", "build", "-q", "-f", file, "-t", by_hand, context)
    result = plain.invoke("build-app")
    assert result.returncode == 6
    assert f"--builder-image {by_hand}:latest" in result.stderr
    assert plain.invoke("build-app", "--builder-image", f"{by_hand}:latest").returncode == 0


def test_the_registrys_builder_is_taken(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    repository = f"{HOST}/{unique(tmp_path, 'voice')}"
    plain.environment["BAILING_TASKS_REPOSITORY"] = repository
    built = plain.document("prefetch", "build-builder", "--json")["build-builder"]["images"][0]
    pushed = f"{plain.engine.registry}/{repository}-builder:latest"
    plain.engine.must("tag", built["kept"], pushed)
    plain.engine.must("push", "-q", pushed)
    plain.engine.must("rmi", pushed, built["kept"], built["image"])
    result = plain.invoke("build-app")
    assert result.returncode == 0, result.stderr
    assert f"{repository}-builder:latest was pulled: the same inputs" in result.stdout
    assert plain.engine.has(built["kept"])
    assert "app linux/amd64 (Python 3.11): skipped" in plain.invoke("build-app").stdout
    # Now the workspace's builder has changed: the registry's is taken, with a warning.
    plain.write("lock", "two")
    result = plain.invoke("build-app")
    assert result.returncode == 0, result.stderr
    assert "was made from other inputs" in result.stdout


def test_a_builder_can_be_named(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    image = plain.engine.push_tiny(tmp_path / "own", unique(tmp_path, "own") + ":7", content="own")
    result = plain.invoke("build-app", "--builder-image", image)
    assert result.returncode == 0, result.stderr
    assert f"{image} was named, and was pulled" in result.stdout
    local = unique(tmp_path, "named") + ":1"
    plain.engine.must("tag", plain.environment["BAILING_TASKS_APP_IMAGE"], local)
    result = plain.invoke("build-app", "--builder-image", local)
    assert result.returncode == 0, result.stderr
    assert f"{local} was named, and is here" in result.stdout
    result = plain.invoke("build-app", "--builder-image", f"{HOST}/not/there:1")
    assert result.returncode == 5
    assert "no such image or tag" in result.stderr
    result = plain.invoke("build-app", "--builder-image", "Not::A::Name")
    assert result.returncode == 2


# Builds


def test_a_failed_build_says_where_its_log_is(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    plain.write("docker/dockerfile.dev", 'FROM scratch AS builder\nRUN ["/not-there"]\n')
    result = plain.invoke("build-builder")
    assert result.returncode == 6
    assert "could not be built" in result.stderr
    assert "not-there" in result.stderr
    log = next((plain.root / ".bailing-tasks" / "logs").iterdir())
    assert str(log) in result.stderr
    assert "not-there" in log.read_text()
    assert "docker/dockerfile.dev:2" in log.read_text()


def test_a_secret_reaches_the_build_and_nothing_else(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    plain.environment["BAILING_TASKS_BUILDER_SECRETS"] = '{"ca-bundle": "certs.pem"}'
    result = plain.invoke("build-builder")
    assert result.returncode == 2
    assert "certs.pem" in result.stderr
    plain.write("certs.pem", "the secret words")
    result = plain.invoke("prefetch", "build-builder")
    assert result.returncode == 0, result.stderr
    kept = [
        path.read_text() for path in (plain.root / ".bailing-tasks").rglob("*") if path.is_file()
    ]
    assert not any("the secret words" in text for text in (result.stdout, *kept))


def test_a_platform_without_emulation_is_refused_before_the_build(
    plain: Workspace, tmp_path: Path
) -> None:
    with_builder(plain, tmp_path)
    plain.write("docker/dockerfile.dev", "FROM scratch AS builder\nCOPY lock /lock\n")
    result = plain.invoke("build-builder", "--platform", "linux/s390x")
    assert result.returncode == 4
    assert "linux/s390x cannot be built on this machine" in result.stderr
    assert "qemu-user-static" in result.stderr


@pytest.mark.parametrize(
    ("task", "path", "text", "code", "said"),
    [
        ("prefetch", "docker/dockerfile.dev", None, 3, "docker/dockerfile.dev: the Dockerfile"),
        ("prefetch", "docker/dockerfile.dev", "", 3, "docker/dockerfile.dev"),
        ("prefetch", "docker/dockerfile.dev", "FROM a\nNONSENSE\n", 3, "docker/dockerfile.dev:2"),
        ("prefetch", "docker/dockerfile.dev", "FROM A::b AS builder\n", 3, "dockerfile.dev:1"),
        ("build-builder", "docker/dockerfile.dev", "FROM a AS compile\n", 3, "compile"),
        ("prefetch", "pyproject.toml", "[tool.bailing-tasks]\nplatform = 1\n", 2, "'platforms'"),
        ("prefetch", "pyproject.toml", "[tool.bailing-tasks]\npython = 1\n", 2, "Python versions"),
        ("build-app", "pyproject.toml", '[tool.bailing-tasks.app]\ncontext = "no"\n', 2, "'no'"),
    ],
)
def test_bad_input_is_answered_with_place_and_exit_code(
    plain: Workspace, tmp_path: Path, task: str, path: str, text: str | None, code: int, said: str
) -> None:
    with_builder(plain, tmp_path)
    if text is None:
        (plain.root / path).unlink()
    else:
        plain.write(path, text)
    result = plain.invoke(task)
    assert result.returncode == code, result.stderr
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    goes_on = (task, code) == ("prefetch", 3)  # with the images of the app's Dockerfile
    assert goes_on or not (plain.root / ".bailing-tasks").exists()


# The engine


def test_no_engine_a_stopped_one_and_no_buildx(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    result = plain.invoke("prefetch", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert result.returncode == 4
    assert "there is no Docker engine" in result.stderr
    assert "invoke sandbox-up" in result.stderr
    stopped = tmp_path / "stopped.sock"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import socket; s=socket.socket(socket.AF_UNIX); s.bind({str(stopped)!r})",
        ],
        check=True,
    )
    result = plain.invoke("prefetch", DOCKER_HOST=f"unix://{stopped}")
    assert result.returncode == 4
    assert "the Docker engine is stopped" in result.stderr
    result = plain.invoke("prefetch", DOCKER_HOST="tcp://127.0.0.1:9")
    assert result.returncode == 4
    assert "does not answer" in result.stderr
    result = plain.invoke("build-builder", DOCKER_CONFIG=str(tmp_path))
    assert result.returncode == 4
    assert "docker buildx is missing" in result.stderr
    result = plain.invoke("build-builder", PATH="/nonexistent")
    assert result.returncode == 4
    assert "the docker command is not there" in result.stderr


def test_images_are_listed_without_an_engine(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    result = plain.invoke("images", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert result.returncode == 0
    assert "presence is unknown: there is no Docker engine" in result.stdout
    assert "unknown" in result.stdout


# Interruptions


def test_an_interrupted_run_ends_with_130_and_the_next_goes_on(
    plain: Workspace, tmp_path: Path
) -> None:
    with_builder(plain, tmp_path)
    assert plain.invoke("prefetch").returncode == 0
    codes = []
    for moment in (0.2, 0.4, 0.7, 1.0, 1.4):
        plain.write("lock", f"changed {moment}")
        child = subprocess.Popen(
            [sys.executable, "-m", "invoke", "prefetch", "build-builder", "build-app"],
            cwd=plain.root,
            env={**plain.engine.environment, **plain.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Where the tests run in the background, Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        time.sleep(moment)
        os.killpg(child.pid, signal.SIGINT)
        _, errors = child.communicate(timeout=60)
        # Before the task has begun, Invoke or Python itself ends by the signal.
        assert child.returncode in (0, 1, 130, -signal.SIGINT), errors
        codes.append(child.returncode)
        if child.returncode == 130:
            assert "run the same command again" in errors
            assert "Traceback" not in errors
    assert 130 in codes
    found = plain.document("prefetch", "--json", "build-builder", "--json", "build-app", "--json")
    assert found["prefetch"]["present"] == 1
    assert plain.engine.has(found["build-app"]["images"][0]["image"])


def test_two_runs_at_once_take_turns(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    argv = [sys.executable, "-m", "invoke", "prefetch", "build-builder"]
    environment = {**plain.engine.environment, **plain.environment}
    children = [
        subprocess.Popen(argv, cwd=plain.root, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [child.communicate(timeout=120)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs


# Verify


def with_app(workspace: Workspace, folder: Path, command: str) -> Workspace:
    """Give a workspace an app of one program that ends at once."""
    (workspace.root / "true").write_bytes(TRUE)
    (workspace.root / "true").chmod(0o755)
    workspace.write("Dockerfile", f"FROM scratch\nCOPY true /true\n{command}\n")
    workspace.write(
        "pyproject.toml",
        '[tool.bailing-tasks.verify]\nabsent-commands = ["true", "gcc"]\n'
        'user = ""\nimports = []\nsmaller-than-builder = false\n',
    )
    workspace.environment["BAILING_TASKS_APP_IMAGE"] = unique(folder, "a")
    return workspace


@pytest.mark.parametrize(
    ("command", "said"),
    [('CMD ["/true"]', "the container ended"), ("", "no container could be made")],
    ids=["ends at once", "has no command"],
)
def test_an_app_that_does_not_run_fails_the_check_and_leaves_nothing(
    plain: Workspace, tmp_path: Path, command: str, said: str
) -> None:
    with_app(plain, tmp_path, command)
    result = plain.invoke("build-app", "verify")
    assert result.returncode == 7, result.stderr
    assert f"FAIL answers /health: {said}" in result.stdout
    assert "ok   no true" in result.stdout  # /true is in no bin folder
    assert "ok   no gcc" in result.stdout
    label = f"label=io.bailing-tasks.owner={State(plain.root).workspace}"
    assert plain.engine.must("ps", "-aq", "--filter", label) == ""


def test_checks_that_need_no_running_app_pass_where_its_process_ends(
    plain: Workspace, tmp_path: Path
) -> None:
    with_app(plain, tmp_path, 'COPY passwd /etc/passwd\nUSER app\nCMD ["/true"]')
    (plain.root / "passwd").write_text("root:x:0:0::/:\napp:x:10001:10001::/:\n")
    settings = plain.root / "pyproject.toml"
    more = 'commands = [["/true"], ["/gone"]]\n'
    settings.write_text(settings.read_text().replace('user = ""', 'user = "app"') + more)
    plain.document("build-app", "--json")
    verdicts = []
    for _ in range(3):
        found = json.loads(plain.invoke("verify", "--json").stdout)["results"][0]
        verdicts.append({each["name"]: each["ok"] for each in found["checks"]})
    assert verdicts == 3 * [
        {
            "no true": True,
            "no gcc": True,
            "user is app": True,
            "runs without root": True,
            "answers /health": False,
            "runs /true": True,
            "runs /gone": False,
        }
    ]
    details = {each["name"]: each["detail"] for each in found["checks"]}
    assert details["runs without root"] == "user id 10001"
    assert details["answers /health"].startswith("the container ended with exit code 0")
    assert "/gone" in details["runs /gone"]


def test_verify_without_an_image_says_what_comes_first(plain: Workspace, tmp_path: Path) -> None:
    with_app(plain, tmp_path, "")
    result = plain.invoke("verify")
    assert result.returncode == 7
    assert "run `invoke build-app` first" in result.stderr


def test_what_a_killed_verify_left_is_removed(plain: Workspace, tmp_path: Path) -> None:
    with_app(plain, tmp_path, 'CMD ["/true"]')
    plain.document("build-app", "--json")
    label = f"io.bailing-tasks.owner={State(plain.root).workspace}"
    name = plain.environment["BAILING_TASKS_APP_IMAGE"]
    left = plain.engine.must("create", "--label", label, name)
    plain.invoke("verify")
    assert left[:12] not in plain.engine.must("ps", "-aq")


# Output that nobody reads


def test_a_reader_that_goes_away_stops_nothing(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    environment = {**plain.engine.environment, **plain.environment}
    chain = f"{sys.executable} -m invoke prefetch build-builder --json"
    for redirect in ("| head -c 1", ">&-", "2>&-", "2>&1 >&- | head -c 1"):
        script = f"set -o pipefail; {chain} {redirect}"
        result = process.run(["bash", "-c", script], env=environment, cwd=plain.root)
        assert result.returncode in (0, 120), (redirect, result.stderr)
        assert "Traceback" not in result.stderr, redirect
    assert plain.engine.has(plain.environment["BAILING_TASKS_BUILDER_IMAGE"])


@pytest.mark.parametrize(
    "text",
    ["{broken", "[]", '{"auths": 5}', '{"auths": {"h": "x"}}', '{"credHelpers": 3}'],
)
def test_a_damaged_docker_configuration_is_named(
    plain: Workspace, tmp_path: Path, text: str
) -> None:
    with_builder(plain, tmp_path)
    (tmp_path / "config.json").write_text(text)
    result = plain.invoke("prefetch", DOCKER_CONFIG=str(tmp_path))
    assert result.returncode == 2, result.stderr
    assert "config.json is damaged" in result.stderr


def test_a_context_that_is_not_there_is_named(plain: Workspace, tmp_path: Path) -> None:
    with_builder(plain, tmp_path)
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text('{"currentContext": "gone"}')
    result = plain.invoke("prefetch", DOCKER_CONFIG=str(config), DOCKER_HOST="")
    assert result.returncode == 4, result.stderr
    assert "no context 'gone'" in result.stderr
