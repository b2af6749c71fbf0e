"""Settings: what beats what, where values come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.configuration import flatten, load, resolve
from bailing_tasks.errors import SettingsError
from bailing_tasks.options import OPTIONS
from bailing_tasks.platforms import Platform
from bailing_tasks.settings import Settings

AMD64 = Platform.parse("linux/amd64")
ARM64 = Platform.parse("linux/arm64")


def settings(
    root: Path = Path("/workspace"),
    document: dict[str, Any] | None = None,
    environment: dict[str, str] | None = None,
    overrides: dict[str, Any] | None = None,
    remote: str = "",
    licenses: str = "",
    project_name: str = "bailing",
) -> Settings:
    return resolve(
        root,
        document=document or {},
        environment=environment or {},
        overrides=overrides or {},
        remote=remote,
        licenses=licenses,
        project_name=project_name,
    )


def test_without_a_table_the_seeds_layout_is_meant() -> None:
    found = settings()
    assert found.builder.dockerfile == "docker/dockerfile.dev"
    assert found.builder.stage == "builder"
    assert found.builder.image == "bailing-builder"
    assert found.app.dockerfile == "Dockerfile"
    assert found.app.image == "bailing"
    assert found.app.builder_arg == "BUILDER_IMAGE"
    assert found.app.context == found.builder.context == "."
    assert [target.name for target in found.targets] == ["builder", "app"]


def test_the_app_dockerfile_is_looked_for_at_the_root_and_then_in_docker(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FROM scratch\n")
    assert settings(tmp_path).app.dockerfile == "docker/Dockerfile"
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    assert settings(tmp_path).app.dockerfile == "Dockerfile"
    given = settings(tmp_path, document={"app": {"dockerfile": "other/Dockerfile"}})
    assert given.app.dockerfile == "other/Dockerfile"


def test_command_line_beats_environment_beats_file_beats_default() -> None:
    document = {"platforms": ["linux/s390x"], "default-branch": "trunk"}
    environment = {"BAILING_TASKS_PLATFORMS": "linux/arm64, linux/amd64"}
    overrides = {"platforms": ["arm64"]}
    assert settings().default_branch == "main"
    assert settings(document=document).default_branch == "trunk"
    assert settings(document=document).platforms == (Platform.parse("linux/s390x"),)
    found = settings(document=document, environment=environment)
    assert found.platforms == (ARM64, AMD64)
    assert found.origins["platforms"] == "environment BAILING_TASKS_PLATFORMS"
    found = settings(document=document, environment=environment, overrides=overrides)
    assert found.platforms == (ARM64,)
    assert found.origins["platforms"] == "command line"
    assert found.origins["default-branch"] == "pyproject.toml"
    assert found.origins["python"] == "default"


def test_a_run_is_for_the_host_unless_something_else_was_chosen() -> None:
    document = {"platforms": ["linux/amd64", "linux/arm64"], "python": ["3.11", "3.12"]}
    found = settings(document=document)
    assert found.chosen_platforms(ARM64) == (ARM64,)
    assert found.chosen_pythons() == ("3.11",)
    assert settings(document={"platforms": ["linux/s390x"]}).chosen_platforms(AMD64) == (
        Platform.parse("linux/s390x"),
    )
    chosen = settings(document=document, overrides={"platforms": ["all"], "python": ["all"]})
    assert chosen.chosen_platforms(ARM64) == (AMD64, ARM64)
    assert chosen.chosen_pythons() == ("3.11", "3.12")
    other = settings(document=document, overrides={"python": ["3.12"]})
    assert other.chosen_pythons() == ("3.12",)
    assert other.plain_python == "3.11"


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("platform", "perhaps you meant 'platforms'"),
        ("mirors", "perhaps you meant 'mirrors'"),
        ("zzz", "`invoke settings` lists every key"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(key: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(document={key: "x"})
    assert repr(key) in caught.value.message
    assert caught.value.remedy == remedy
    assert caught.value.exit_code == 2


def test_an_unknown_key_of_a_target_is_answered_as_well() -> None:
    with pytest.raises(SettingsError, match=r"perhaps you meant 'app\.dockerfile'"):
        settings(document={"app": {"dockerfle": "x"}})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"repository": 1}, "expected a string, got 1"),
        ({"platforms": "linux/amd64"}, "expected a list of strings, got 'linux/amd64'"),
        ({"platforms": []}, "expected at least one platform"),
        ({"platforms": ["linux//amd64"]}, "is not a platform"),
        ({"platforms": [1]}, "expected a list of strings"),
        ({"python": ["three"]}, "expected a list of Python versions"),
        ({"python": [3.11]}, "expected a list of strings"),
        ({"plain-http": ["http://a.example"]}, "expected a list of hosts"),
        ({"plain-http": ["registry"]}, "expected a list of hosts"),
        ({"mirrors": []}, "expected a table of lists of strings"),
        ({"mirrors": {"docker.io": "x"}}, "expected a list of strings"),
        ({"latest": "tag"}, "expected branch or version, got 'tag'"),
        ({"app": "x"}, "expected a table, got 'x'"),
        ({"app": {"build-args": {"A": 1}}}, "expected a table of strings"),
        ({"app": {"image": "Bad::Name"}}, "is not an image reference"),
        ({"app": {"image": "name:tag"}}, "without tag or digest"),
        ({"app": {"image": "localhost:5000/x"}}, "a name without registry"),
        ({"app": {"dockerfile": "a\0b"}}, "expected a string"),
        ({"verify": {"port": -1}}, "expected a whole number"),
        ({"verify": {"port": True}}, "expected a whole number"),
        ({"verify": {"port": 70000}}, "from 0 to 65535"),
        ({"prefetch": {"jobs": 0}}, "from 1 to 65535"),
        ({"prefetch": {"jobs": -3}}, "from 1 to 65535"),
        ({"prefetch": {"jobs": "abc"}}, "from 1 to 65535"),
        ({"app": {"image": ""}}, "a name without registry"),
        ({"app": {"image": "bailing-builder"}}, "both called 'bailing-builder'"),
        ({"mirrors": {"docker.io": ["ftp://x"]}}, "is no address"),
        ({"mirrors": {"docker.io": ["http://registry"]}}, "no image can be named after"),
        ({"builders": ["arm-machine"]}, "expected a table of names by platform"),
        ({"builders": {"linux/arm64": 1}}, "expected a string"),
        ({"builders": {"linux/arm64": ""}}, "the name of a buildx builder or a Docker context"),
        ({"builders": {"linux//arm64": "x"}}, "is not a platform"),
        ({"builders": {"linux/arm64": "x", "arm64": "y"}}, "linux/arm64 has two builders"),
        ({"verify": {"smaller-than-builder": "x"}}, "expected true or false"),
        ({"verify": {"commands": "ls"}}, "expected a list of commands"),
        ({"before-build": [["make"], []]}, "begins with a program"),
    ],
)
def test_a_value_of_another_type_is_refused(document: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(document=document)
    assert message in str(caught.value)


def test_environment_variables_are_read_by_type() -> None:
    found = settings(
        environment={
            "BAILING_TASKS_MIRRORS": '{"docker.io": ["https://mirror.example"]}',
            "BAILING_TASKS_BUILDERS": '{"aarch64": "arm-machine"}',
            "BAILING_TASKS_VERIFY_PORT": "8080",
            "BAILING_TASKS_VERIFY_SMALLER_THAN_BUILDER": "false",
            "BAILING_TASKS_VERIFY_COMMANDS": '[["true"]]',
            "BAILING_TASKS_APP_BUILD_ARGS": '{"A": "1"}',
            "BAILING_TASKS_PYTHON": "3.12,3.13",
        }
    )
    assert found.mirrors == {"docker.io": ("https://mirror.example",)}
    assert found.builders == {ARM64: "arm-machine"}
    assert found.verify.port == 8080
    assert found.verify.smaller_than_builder is False
    assert found.verify.commands == (("true",),)
    assert found.app.build_args == {"A": "1"}
    assert found.python == ("3.12", "3.13")


def test_an_environment_variable_that_is_no_json_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="BAILING_TASKS_MIRRORS is not valid JSON"):
        settings(environment={"BAILING_TASKS_MIRRORS": "{"})


@pytest.mark.parametrize(
    "text",
    [
        '{"docker.io": "https://user:secret@a.example"}',
        '{"docker.io": [1, "user:secret@a.example"], "x": ["https://user:secr/et@b.example"]}',
        '{"docker.io": ["https://user:secret@a.example"]}',
        '{"docker.io": ["https://user:secr/et@a.example"]}',
        '{"docker.io": ["https://user:secret@[a.example"]}',
        '{"docker.io": ["https://user:secret@a.example"]',
    ],
)
def test_credentials_in_a_mirror_are_not_shown(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(environment={"BAILING_TASKS_MIRRORS": text})
    assert "BAILING_TASKS_MIRRORS" in str(caught.value)
    assert "user" not in str(caught.value).replace("without user", "")
    assert "secr" not in str(caught.value)


def test_an_environment_variable_that_sets_nothing_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="BAILING_TASKS_BILDER_IMAGE") as caught:
        settings(environment={"BAILING_TASKS_BILDER_IMAGE": "x", "OTHER": "y"})
    assert caught.value.remedy == "perhaps you meant 'BAILING_TASKS_BUILDER_IMAGE'"
    settings(environment={"BAILING_TASKS_SANDBOX_HOME": "/x"})


@pytest.mark.parametrize(
    ("remote", "origin", "repository"),
    [
        ("git@github.com:Owner/Bailing.git", "github.com/Owner/Bailing", "ghcr.io/owner/bailing"),
        (
            "https://user:secret@gitlab.com/group/sub/bailing.git",
            "gitlab.com/group/sub/bailing",
            "registry.gitlab.com/group/sub/bailing",
        ),
    ],
)
def test_the_repository_is_that_of_the_git_remote(
    remote: str, origin: str, repository: str
) -> None:
    found = settings(remote=remote)
    assert found.app.repository == repository
    assert found.builder.repository == f"{repository}-builder"
    assert found.origins["app.repository"] == f"git remote {origin}"
    given = settings(document={"repository": "ghcr.io/Owner/Voice"}, remote=remote)
    assert given.app.repository == "ghcr.io/owner/voice"
    assert given.builder.repository == "ghcr.io/owner/voice-builder"
    own = settings(document={"builder": {"repository": "ghcr.io/a/own"}}, remote=remote)
    assert own.builder.repository == "ghcr.io/a/own"


@pytest.mark.parametrize(
    "remote",
    [
        "https://gitlab.example.com/acme/voice.git",
        "git@ssh.dev.azure.com:v3/org/proj/repo",
        "git@bitbucket.org:acme/voice.git",
        "/srv/git/acme/voice.git",
    ],
)
def test_any_other_remote_is_no_repository(remote: str) -> None:
    found = settings(remote=remote)
    assert found.app.repository == found.builder.repository == ""
    assert found.origins["repository"] == "default"


def test_gitlab_names_the_repository_in_its_own_ci() -> None:
    image = {"CI_REGISTRY_IMAGE": "registry.intranet:5050/Acme/voice"}
    gitlab = {"GITLAB_CI": "true", **image}
    for remote in ("https://ci:secret@git.intranet/acme/voice.git", "git@github.com:a/b.git"):
        found = settings(environment=gitlab, remote=remote)
        assert found.app.repository == "registry.intranet:5050/acme/voice"
        assert found.builder.repository == "registry.intranet:5050/acme/voice-builder"
        assert found.origins["app.repository"] == "environment CI_REGISTRY_IMAGE"
    own = settings(document={"repository": "r.example/a"}, environment=gitlab)
    assert own.app.repository == "r.example/a"
    assert settings(environment=image).app.repository == ""
    # The registry of a project may be switched off.
    assert settings(environment={"GITLAB_CI": "true"}).app.repository == ""
    with pytest.raises(SettingsError, match="CI_REGISTRY_IMAGE"):
        settings(environment={"GITLAB_CI": "true", "CI_REGISTRY_IMAGE": "a/b:1"})


@pytest.mark.parametrize(
    ("given", "name", "origin"),
    [
        ({"document": {"name": "Our Voice"}, "project_name": "p"}, "our-voice", "pyproject.toml"),
        (
            {"project_name": "Acme.Voice_2", "remote": "git@github.com:a/b"},
            "acme.voice_2",
            "[project] name",
        ),
        (
            {"document": {"repository": "r.example/a/B"}, "remote": "https://git.example/c.git"},
            "b",
            "repository",
        ),
        ({"remote": "git@github.com:owner/voice.git"}, "voice", "repository"),
        ({"project_name": "語", "remote": "/srv/git/c d.git"}, "c-d", "git remote"),
        ({"root": Path("/w/My Project")}, "my-project", "folder"),
        ({"root": Path("/w/_ai.infra-")}, "ai.infra", "folder"),
        ({"root": Path("/w/größe")}, "gr-e", "folder"),
        ({"root": Path(f"/w/{'ab' * 32}")}, "project", "default"),
    ],
)
def test_images_are_named_after_the_project(given: dict[str, Any], name: str, origin: str) -> None:
    found = settings(**{"project_name": "", **given})
    assert (found.name, found.origins["name"]) == (name, origin)
    assert (found.app.image, found.builder.image) == (name, f"{name}-builder")
    assert found.origins["app.image"] == found.origins["builder.image"] == origin
    own = settings(document={"name": "x", "app": {"image": "voice"}})
    assert (own.app.image, own.builder.image) == ("voice", "x-builder")


def test_a_name_that_no_image_can_have_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"name: expected a name with letters or digits"):
        settings(document={"name": "語"})


def test_source_and_licenses_are_what_git_and_the_project_say() -> None:
    found = settings(remote="git@git.example:a/b.git", licenses="MIT")
    assert (found.source, found.licenses) == ("https://git.example/a/b", "MIT")
    assert (found.origins["source"], found.origins["licenses"]) == (
        "git remote",
        "[project] license",
    )
    given = settings(
        document={"source": "https://a.example", "licenses": "Apache-2.0"},
        remote="https://git.example/a/b",
        licenses="c",
    )
    assert (given.source, given.licenses) == ("https://a.example", "Apache-2.0")
    assert settings().source == settings().licenses == ""


def test_the_project_file_names_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Voice"\n')
    assert load(tmp_path, environment={}, remote="/srv/git/other").app.image == "voice"
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 1\n")
    assert load(tmp_path, environment={}, remote="/srv/git/other").app.image == "other"


@pytest.mark.parametrize(
    ("project", "licenses"),
    [
        ('[project]\nlicense = "MIT OR Apache-2.0"\n', "MIT OR Apache-2.0"),
        ('[project]\nlicense = { file = "LICENSE" }\n', ""),
        ("project = 1\n", ""),
        ("", ""),
    ],
)
def test_a_license_is_taken_where_it_is_an_expression(
    tmp_path: Path, project: str, licenses: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(project)
    assert load(tmp_path, environment={}).licenses == licenses


@pytest.mark.parametrize(
    ("sbom", "scanner"),
    [
        (False, ""),
        ("", ""),
        (True, "docker.io/docker/buildkit-syft-scanner:stable-1"),
        ("registry.example/scanner:2", "registry.example/scanner:2"),
    ],
)
def test_an_sbom_is_made_by_a_scanner(sbom: object, scanner: str) -> None:
    assert settings(document={"sbom": sbom}).sbom == scanner


@pytest.mark.parametrize("sbom", [1, ["a"], "A b"])
def test_a_scanner_is_an_image(sbom: object) -> None:
    with pytest.raises(SettingsError, match="sbom"):
        settings(document={"sbom": sbom})


def test_a_variable_switches_the_sbom_on() -> None:
    found = settings(environment={"BAILING_TASKS_SBOM": "true"})
    assert found.sbom.startswith("docker.io/docker/buildkit-syft-scanner:")
    assert not found.is_default("sbom")
    assert found.is_default("provenance")


def test_every_option_can_be_printed_with_its_origin() -> None:
    document = {"mirrors": {"docker.io": ["a.example"]}, "builders": {"arm64": "arm-machine"}}
    found = settings(document=document)
    values = flatten(found)
    assert list(values) == [option.key for option in OPTIONS] == list(found.origins)
    assert values["mirrors"] == {"docker.io": ["a.example"]}
    assert values["builders"] == {"linux/arm64": "arm-machine"}
    assert values["platforms"] == ["linux/amd64", "linux/arm64"]


def test_the_table_is_read_from_pyproject(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    assert load(tmp_path, environment={}).default_branch == "main"
    file.write_text('[project]\nname = "x"\n')
    assert load(tmp_path, environment={}).default_branch == "main"
    file.write_text('[tool.bailing-tasks]\ndefault-branch = "trunk"\n')
    assert load(tmp_path, environment={}).default_branch == "trunk"


@pytest.mark.parametrize(
    "text", ["[tool", "[tool]\nbailing-tasks = 1\n", "\xff"], ids=["no TOML", "no table", "latin"]
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"pyproject\.toml"):
        load(tmp_path, environment={})


def test_a_tool_key_that_is_no_table_has_no_settings(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("tool = 1\n")
    assert load(tmp_path, environment={}).default_branch == "main"
