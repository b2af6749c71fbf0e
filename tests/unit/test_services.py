"""Services: which there are, what they are called, and what their settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.configuration import flatten, load, resolve
from bailing_tasks.errors import SettingsError
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import read_recipe
from bailing_tasks.services import as_tag, find, name_of
from bailing_tasks.settings import Settings, Target
from bailing_tasks.variants import Variant

AMD64 = Platform.parse("linux/amd64")
PATTERNS = ["src/*/Dockerfile"]


def settings(root: Path, describe: str = "", **document: Any) -> Settings:
    return resolve(
        root,
        document={key.replace("_", "-"): value for key, value in document.items()},
        environment={},
        overrides={},
        describe=lambda: describe,
        rendered=lambda patterns: ["src/rendered/Dockerfile"],
    )


def services(root: Path, describe: str = "", **document: Any) -> dict[str, Target]:
    return {each.name: each for each in settings(root, describe, **document).services}


def refused(root: Path, **document: Any) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        settings(root, **document)
    assert caught.value.exit_code == 2
    return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository called `ai-infra` with two services."""
    found = tmp_path / "ai-infra"
    for name in ("backend", "frontend"):
        (found / "src" / name).mkdir(parents=True)
        (found / "src" / name / "Dockerfile").write_text("FROM scratch\n")
    return found


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("src/backend/Dockerfile", "backend"),
        ("src/Back-End/dockerfile", "back-end"),
        ("src/backend/Containerfile", "backend"),
        ("docker/Dockerfile.backend", "backend"),
        ("docker/Dockerfile.Backend.v2", "backend.v2"),
        ("docker/backend.Dockerfile", "backend"),
        ("docker/Front_End.containerfile", "front_end"),
        ("src/web/build.docker", "web"),
        ("Dockerfile", ""),
        ("src/-x/Dockerfile", ""),
        ("src/a b/Dockerfile", ""),
        ("src/größe/Dockerfile", ""),
        ("docker/Dockerfile.-", ""),
    ],
)
def test_a_service_is_called_after_its_folder_or_its_file(path: str, name: str) -> None:
    assert name_of(path) == name


def test_services_are_found_by_pattern_and_have_defaults(root: Path) -> None:
    found = services(root, services=PATTERNS, repository="ghcr.io/Team/AI-Infra")
    assert list(found) == ["backend", "frontend"]
    assert found["backend"] == Target(
        name="backend",
        dockerfile="src/backend/Dockerfile",
        stage="",
        context="src/backend",
        image="ai-infra-backend",
        repository="ghcr.io/team/ai-infra-backend",
        build_args={},
        secrets={},
        triggers=(),
        tags=("latest", "{version}", "{branch}"),
        tag="latest",
        per_python=False,
    )
    assert services(root) == {}
    assert services(root, services=PATTERNS)["backend"].repository == ""


def test_patterns_exclude_and_one_that_finds_nothing_is_an_error(root: Path) -> None:
    assert list(services(root, services=["src/*/Dockerfile", "!src/front*/*"])) == ["backend"]
    assert list(services(root, services=["!src/backend/*", *PATTERNS])) == ["backend", "frontend"]
    error = refused(root, services=["srv/*/Dockerfile"])
    assert error.message == "[tool.bailing-tasks] services: no file is called 'srv/*/Dockerfile'"
    assert str(root) in error.cause
    assert '"src/*/Dockerfile"' in error.remedy
    assert "not below the workspace" in refused(root, services=["../*/Dockerfile"]).message


def test_what_is_ignored_for_a_dockerfile_is_no_service(root: Path) -> None:
    for name in ("Dockerfile.dockerignore", "Dockerfile.slim", "Dockerfile.slim.dockerignore"):
        (root / "src/backend" / name).write_text("FROM scratch\n")
    assert list(services(root, services=["src/backend/Dockerfile*"])) == ["backend", "slim"]


def test_a_dockerfile_that_a_template_makes_need_not_be_there(root: Path) -> None:
    found = services(root, services=PATTERNS, templates=["src/**/*.tpl"])
    assert list(found) == ["backend", "frontend", "rendered"]
    assert list(services(root, services=PATTERNS)) == ["backend", "frontend"]
    assert find(root, ["src/rendered/*"], ["src/rendered/Dockerfile"]) == (
        "src/rendered/Dockerfile",
    )
    assert find(root, ["src/**", "!src/rendered/**", "!src/f*/*"], ["src/rendered/Dockerfile"]) == (
        "src/backend/Dockerfile",
    )


@pytest.mark.parametrize(
    ("describe", "version", "tag"),
    [
        ("v0.3.7", "", "v0.3.7"),
        ("", "", "latest"),
        ("v0.3.7-4-gabcdef0", "", "v0.3.7-4-gabcdef0"),
        ("v0.3.7", "2.0", "2.0"),
        ("release/1.0+build 5", "", "release-1.0-build-5"),
        ("-.1", "", "1"),
        ("ä", "", "latest"),
        ("x" * 200, "", "x" * 100),
    ],
)
def test_the_local_name_has_the_version(root: Path, describe: str, version: str, tag: str) -> None:
    document: dict[str, Any] = {"version": version} if version else {}
    found = services(
        root,
        describe,
        services=PATTERNS,
        service_image="ai-infra-{service}:{version}",
        **document,
    )["backend"]
    assert (found.image, found.tag) == ("ai-infra-backend", tag)
    assert as_tag(version or describe or "latest") == tag


def test_names_are_made_by_patterns(root: Path) -> None:
    found = services(
        root,
        "v1",
        services=PATTERNS,
        service_image="Team/{project}-{service}-x",
        service_repository="r.example:5000/{project}/{service}",
        service_context=".",
        service={
            "frontend": {
                "image": "web:{version}-{service}",
                "repository": "r.example/Web",
                "context": "src",
                "build-args": {"NAME": "{service}", "V": "{project}:{version}"},
            }
        },
    )
    backend, frontend = found["backend"], found["frontend"]
    assert (backend.image, backend.tag) == ("team/ai-infra-backend-x", "latest")
    assert backend.repository == "r.example:5000/ai-infra/backend"
    assert backend.context == "."
    assert (frontend.image, frontend.tag) == ("web", "v1-frontend")
    assert frontend.repository == "r.example/web"
    assert frontend.build_args == {"NAME": "frontend", "V": "ai-infra:v1"}
    assert frontend.context == "src"


def test_without_a_repository_no_name_is_made_of_it(root: Path) -> None:
    for pattern in ("{repository}/{service}", "{repository}{service}", "r.example/{repository}"):
        assert (
            services(root, services=PATTERNS, service_repository=pattern)["backend"].repository
            == ""
        )
    named = {"backend": {"repository": "r.example/api"}}
    found = services(root, services=PATTERNS, service=named)
    assert found["backend"].repository == "r.example/api"
    error = refused(
        root,
        services=PATTERNS,
        service={"backend": {"build-args": {"BASE": "{repository}-base:1"}}},
    )
    assert "backend names {repository}, which is not known" in error.message
    assert "set `repository`" in error.remedy


def test_the_project_is_called_after_its_remote_wherever_that_is(root: Path) -> None:
    found = resolve(
        root,
        document={"services": PATTERNS},
        environment={},
        overrides={},
        remote="https://gitlab.example.com/acme/Voice.git",
    )
    assert [each.image for each in found.services] == ["voice-backend", "voice-frontend"]
    assert [each.repository for each in found.services] == ["", ""]


def test_git_is_not_asked_for_a_version_that_nothing_shows(root: Path) -> None:
    def describe() -> str:
        raise AssertionError("it was asked")

    document = {"services": PATTERNS, "service-image": "{service}"}
    resolve(root, document=document, environment={}, overrides={}, describe=describe)


def test_a_service_shares_its_image_with_no_other_target(root: Path) -> None:
    (root / "Dockerfile").write_text("FROM scratch\n")
    for image in ("voice", "library/voice:1"):
        with pytest.raises(SettingsError, match="app and backend are both called"):
            settings(
                root,
                services=PATTERNS,
                service={"backend": {"image": image}},
                app={"image": "voice"},
            )


def test_tables_refine_add_and_name_services(root: Path) -> None:
    document = {
        "services": PATTERNS,
        "service": {
            "backend": {"stage": "run", "secrets": {"t": "env:T"}, "tags": ["{version}"]},
            "web": {"dockerfile": "src/frontend/Dockerfile"},
            "Tool".lower(): {"dockerfile": "tools/Dockerfile", "needs": ["backend"]},
            "redis": {"from-image": "redis:7"},
        },
    }
    whole = resolve(root, document=document, environment={}, overrides={})
    found = {each.name: each for each in whole.services}
    assert list(found) == ["backend", "frontend", "redis", "tool", "web"]
    assert found["backend"].dockerfile == "src/backend/Dockerfile"
    assert (found["backend"].stage, found["backend"].tags) == ("run", ("{version}",))
    assert found["backend"].secrets == {"t": "env:T"}
    assert found["web"].dockerfile == "src/frontend/Dockerfile"
    assert (found["tool"].context, found["tool"].needs) == ("tools", ("backend",))
    redis = found["redis"]
    assert (redis.from_image, redis.dockerfile, redis.context) == ("redis:7", "", ".")
    shown = flatten(whole)
    assert shown["service.backend.stage"] == "run"
    assert shown["service.tool.needs"] == ["backend"]
    assert whole.origins["service.backend.stage"] == "pyproject.toml"
    # What it is, is read as if it were a Dockerfile.
    recipe = read_recipe(whole, Variant(target=redis, platform=AMD64, python=""), AMD64)
    assert [each.reference.familiar for each in recipe.external] == ["redis:7"]


def test_a_name_of_a_table_frees_the_one_of_the_folder(root: Path) -> None:
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "app").mkdir()
    (root / "app" / "Dockerfile").write_text("FROM scratch\n")
    found = services(
        root,
        services=["Dockerfile", "app/Dockerfile"],
        service={
            "main": {"dockerfile": "Dockerfile"},
            "server": {"dockerfile": "app/Dockerfile"},
        },
    )
    assert list(found) == ["main", "server"]


def test_stages_are_images_of_their_own(root: Path) -> None:
    table = {"stages": ["run", "Debug"], "needs": ["frontend"], "build-args": {"N": "{service}"}}
    found = services(root, services=PATTERNS, service={"backend": table})
    assert list(found) == ["backend-debug", "backend-run", "frontend"]
    debug = found["backend-debug"]
    assert (debug.stage, debug.image) == ("Debug", "ai-infra-backend-debug")
    assert debug.dockerfile == found["backend-run"].dockerfile == "src/backend/Dockerfile"
    assert debug.needs == ("frontend",)
    assert debug.build_args == {"N": "backend-debug"}


@pytest.mark.parametrize(
    ("paths", "message", "cause"),
    [
        (
            ["Dockerfile"],
            "Dockerfile needs a name for its service: 'its folder' cannot be it",
            "lower",
        ),
        (["app/Dockerfile"], "needs a name for its service: 'app' cannot be it", "builder or app"),
        (["x/Dockerfile.builder"], "'builder' cannot be it", "not builder or app"),
        (
            ["a/x/Dockerfile", "b/x/Dockerfile"],
            "b/x/Dockerfile needs",
            "a/x/Dockerfile is called so",
        ),
    ],
)
def test_a_dockerfile_that_gives_no_name_needs_one(
    root: Path, paths: list[str], message: str, cause: str
) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("FROM scratch\n")
    error = refused(root, services=paths)
    assert message in error.message
    assert cause in error.cause
    assert error.remedy == (
        f'name it: [tool.bailing-tasks.service.NAME] with dockerfile = "{paths[-1]}"'
    )


BACKEND = "[tool.bailing-tasks.service.backend]"


@pytest.mark.parametrize(
    ("table", "message", "remedy"),
    [
        ({"dockerfle": "x"}, f"{BACKEND} has no key 'dockerfle'", "perhaps you meant 'dockerfile'"),
        ({"zzz": 1}, f"{BACKEND} has no key 'zzz'", "keys: dockerfile, stage, stages, context"),
        (7, f"{BACKEND}: expected a table, got 7", ""),
        ({"stage": 7}, f"{BACKEND} stage: expected a string, got 7", "the stage to build"),
        ({"needs": "frontend"}, "needs: expected a list of strings", "built before it"),
        ({"build-args": {"A": 1}}, "build-args: expected a table of strings", ""),
        ({"repository": "r.example/x:1"}, "expected an image name without tag or digest", ""),
        ({"triggers": ["!x"]}, "triggers", ""),
        ({"from-image": "redis"}, "has a dockerfile or is another's image", "one of the two"),
        ({"stage": "a", "stages": ["b"]}, "both stage and stages", "one of the two"),
        (
            {"stages": ["b"], "image": "x"},
            "cannot have one image or repository",
            "a table for each",
        ),
        ({"stages": ["b"], "repository": "x"}, "one image or repository", "a table for each"),
        ({"stages": ["b", "B"]}, "two services are called 'backend-b'", "another name"),
        ({"needs": ["frontent"]}, "there is no service 'frontent'", "you meant 'frontend'"),
        ({"needs": ["zzz"]}, f"{BACKEND} needs: there is no service 'zzz'", "backend, frontend"),
        (
            {"image": "r.example/x"},
            "the local name of backend is 'r.example/x'",
            "service-repository",
        ),
        ({"image": "ai-infra-frontend"}, "backend and frontend are both called", "{service}"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(
    root: Path, table: Any, message: str, remedy: str
) -> None:
    error = refused(root, services=PATTERNS, service={"backend": table})
    assert message in error.message
    assert remedy in error.remedy


def test_what_is_listed_needs_a_dockerfile_or_an_image_and_a_name(root: Path) -> None:
    error = refused(root, service={"x": {"stage": "a"}})
    assert "a service has a dockerfile or is another's image" in error.message
    for name in ("app", "builder", "Backend", "a/b", "-a", ""):
        error = refused(root, service={name: {"dockerfile": "x/Dockerfile"}})
        assert f"no service can be called {name!r}" in error.message
        assert "lower-case" in error.remedy
    error = refused(root, service=7)
    assert error.message == "[tool.bailing-tasks] service: expected a table for each service"


def test_a_pattern_that_makes_one_name_for_all_is_refused(root: Path) -> None:
    error = refused(root, services=PATTERNS, service_image="voice:{version}")
    assert error.message == "backend and frontend are both called 'voice'"
    assert "{service}" in error.remedy
    error = refused(root, services=PATTERNS, service_repository="x y/{service}")
    assert "the repository of backend" in error.message
    error = refused(root, services=PATTERNS, service_image="r.example:5000/{service}:{version}")
    assert "local name of backend is 'r.example:5000/backend'" in error.message
    for key in ("service_image", "service_repository"):
        error = refused(root, services=PATTERNS, **{key: "voice/{service}-{verson}"})
        assert "names the image of backend: {verson} stands for nothing" in error.message
        assert error.remedy == "{project}, {service}, {version} and {repository} are filled in"


def test_services_are_read_from_pyproject(root: Path) -> None:
    (root / "pyproject.toml").write_text(
        '[tool.bailing-tasks]\nservices = ["src/*/Dockerfile"]\n'
        'service-image = "ai-infra-{service}:{version}"\n'
        '[tool.bailing-tasks.service.backend]\nneeds = ["frontend"]\n'
    )
    found = load(root, environment={"BAILING_TASKS_VERSION": "v0.3.7"})
    assert [f"{each.image}:{each.tag}" for each in found.services] == [
        "ai-infra-backend:v0.3.7",
        "ai-infra-frontend:v0.3.7",
    ]
    assert found.services[0].needs == ("frontend",)


@pytest.mark.parametrize(
    ("named", "own"),
    [
        ("ai-infra-backend:v1", True),
        ("ai-infra-backend", True),
        ("localhost/ai-infra-backend:v1", True),
        ("ghcr.io/team/ai-infra-backend:latest", True),
        ("ai-infra-backend:v0", False),
        ("ghcr.io/team/ai-infra-backend@sha256:" + "0" * 64, False),
        ("ghcr.io/team/ai-infra:latest", False),
    ],
)
def test_a_services_image_is_known_by_its_names_and_other_versions_are_a_registrys(
    root: Path, named: str, own: bool
) -> None:
    (root / "src" / "frontend" / "Dockerfile").write_text(f"FROM {named}\n")
    found = settings(
        root,
        "v1",
        services=PATTERNS,
        service_image="{project}-{service}:{version}",
        repository="ghcr.io/team/ai-infra",
    )
    frontend = Variant(target=found.services[1], platform=AMD64, python="")
    recipe = read_recipe(found, frontend, AMD64)
    assert [need.target.name for need in recipe.needs] == (["backend"] if own else [])
    assert len(recipe.images) == (0 if own else 1)


def test_builder_and_app_are_built_where_they_are_there_beside_services(root: Path) -> None:
    assert [each.name for each in settings(root).targets] == ["builder", "app"]
    found = settings(root, services=PATTERNS)
    assert [each.name for each in found.targets] == ["backend", "frontend"]
    (root / "Dockerfile").write_text("FROM ai-infra-backend\n")
    found = settings(root, services=PATTERNS)
    assert [each.name for each in found.targets] == ["app", "backend", "frontend"]
    app = Variant(target=found.app, platform=AMD64, python="3.11")
    recipe = read_recipe(found, app, AMD64)
    assert [need.key for need in recipe.needs] == [("backend", "linux/amd64", "")]
    found = settings(root, services=PATTERNS, service={"main": {"dockerfile": "Dockerfile"}})
    assert [each.name for each in found.targets] == ["backend", "frontend", "main"]
