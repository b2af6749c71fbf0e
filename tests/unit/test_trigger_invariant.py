"""What CI builds for a change is what a fingerprint says of it: neither less nor more.

Each file of each workspace is changed and removed, and new ones are added. Where that changes the
fingerprint of a target, or of what it is built on, the event builds the target; where it changes
none, and the file is no lock file, settings file or workflow, it does not. GitHub's `paths` start
no less than that.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from bailing_tasks import dotenv, lockfile, needs, rendering, triggers
from bailing_tasks.errors import BailingError
from bailing_tasks.recipes import OnBuildLookup, unknown
from bailing_tasks.settings import Settings
from bailing_tasks.trigger_reader import TriggerReader
from tests.engine import eight, voice
from tests.unit.fingerprints import fingerprints, read
from tests.unit.workflows import checkout

ROOT = Path(__file__).parents[2]
ALWAYS = re.compile(r"images\.lock|pyproject\.toml|\.github/workflows/docker-build-.*\.yml")
WORKFLOWS = {f".github/workflows/docker-build-{name}.yml": "on: push\n" for name in ("app", "x")}
SERVICES = '[tool.bailing-tasks]\nservices = ["src/*/Dockerfile"]\nservice-image = "w-{service}"\n'

BAILING = {
    "docker/dockerfile.dev": "FROM debian AS builder\nCOPY pyproject.toml uv.lock ./\nRUN make\n",
    "Dockerfile": "ARG BUILDER_IMAGE\nFROM ${BUILDER_IMAGE} AS builder\nFROM debian:slim\n"
    "COPY --from=builder /opt /opt\nCOPY bailing bailing\nCOPY config config\n"
    "COPY plugins plugins\nCOPY server server\nCOPY main.py ./\n",
    **dict.fromkeys(
        (
            "pyproject.toml",
            "uv.lock",
            "main.py",
            "README.md",
        ),
        "",
    ),
    "images.lock": lockfile.render([]),
    **dict.fromkeys(
        ("bailing/a.py", "config/a.yaml", "plugins/a/b.py", "server/x", "tests/t"), "1"
    ),
    **WORKFLOWS,
}
VOICE = {
    "docker/dockerfile.dev": voice.BUILDER.format(base="debian"),
    "Dockerfile": voice.APP.format(base="debian"),
    "pyproject.toml": voice.SETTINGS,
    **dict.fromkeys(("uv.lock", "compilers", "code/main.py", "code/a/b", "README"), "one"),
}
EIGHT_NAMES = {name: f"registry.example/{name}:1" for name in ("debian", "golang", "cache")}
EIGHT = {
    path: text.format(name="w", **EIGHT_NAMES)
    for path, text in {**eight.FILES, "pyproject.toml": eight.SETTINGS, "README": ""}.items()
}
ONBUILD = {
    "pyproject.toml": SERVICES,
    "src/base/Dockerfile": "FROM alpine\nONBUILD COPY conf /\nONBUILD COPY --from=tools /t /t\n",
    "src/web/Dockerfile": "FROM w-base\n",
    "src/grandchild/Dockerfile": "FROM w-web\n",
    "src/external/Dockerfile": "FROM onbuild:1\n",
    **{
        f"src/{name}/{file}": "1"
        for name in ("base", "web", "grandchild", "external")
        for file in ("conf", "other")
    },
}
WHOLE = {
    "pyproject.toml": '[tool.bailing-tasks.service.all]\ndockerfile = "Dockerfile"\n',
    "Dockerfile": "FROM alpine\nCOPY . /app\n",
    ".dockerignore": ".git\ndocs\n**/*.md\n!docs/keep\n*.[ch]\n.github\n",
    **dict.fromkeys(("docs/a", "docs/keep", "a.md", "b/c.md", "d/e/f", "x.c", "d/x.c"), "1"),
    **WORKFLOWS,
}
ODD = {
    "pyproject.toml": SERVICES + 'service-context = "."\n[tool.bailing-tasks.service.needing]\n'
    'dockerfile = "needing.Dockerfile"\nneeds = ["a"]\ncontext = "src/a"\n'
    '[tool.bailing-tasks.service.same]\nfrom-image = "alpine"\n',
    "src/a/Dockerfile": "FROM alpine AS amd64\nCOPY for-amd64 /\nFROM alpine AS arm64\n"
    'COPY for-arm64 /\nFROM ${TARGETARCH}\nCOPY --chmod=755 ["a b", "lib[0-9]/*.so", "/x/"]\n'
    "ADD s?c/*.p[!y] gone nothing/x /x/\nRUN --mount=source=mounted/deep,target=/m y\n",
    "src/b/Dockerfile": "FROM alpine AS unused\nCOPY unused /\nFROM scratch\nCOPY --from=w-a /x /\n"
    "COPY link linked/file /y/\n",
    "src/b/Dockerfile.dockerignore": "*\n!real\n!link\n!linked\n!behind\nreal/not\n",
    ".dockerignore": "lib1/no.so\n",
    "needing.Dockerfile": "FROM alpine\nCOPY *.md /\n",
    "src/a/x.md": "1",
    **dict.fromkeys(("for-amd64", "for-arm64", "for-s390x", "a b", "a", "unused", "src/x.py"), "1"),
    **dict.fromkeys(("lib1/x.so", "lib1/no.so", "lib1/y", "lib1/d.so/z", "libx/x.so"), "1"),
    **dict.fromkeys(("mounted/deep/x", "mounted/x", "real/a", "real/not", "behind/file"), "1"),
    "link": "-> real",
    "linked": "-> behind",
}
TEMPLATES = {
    "pyproject.toml": SERVICES + 'templates = ["src/**/*.tpl", "!src/web/no/*.tpl"]\n',
    ".env.example": "NAME=one\n",
    "src/web/Dockerfile": "FROM alpine\nCOPY conf /conf\nCOPY no /no\n",
    "src/web/conf": "one\n",
    "src/web/conf.tpl": "{{NAME}}\n",
    "src/web/no/x.tpl": "{{NAME}}\n",
    "src/web/other.tpl": "other\n",
    "src/plain/Dockerfile.tpl": "FROM alpine:{{NAME}}\n",
    "src/alone/Dockerfile": "FROM alpine\n",
    "src/alone/x": "1",
}


def external(name: str, *texts: str) -> OnBuildLookup:
    return lambda image: texts if image.reference.familiar == name else ()


@pytest.fixture(
    params=["reference", "bailing", "checkout", "voice", "eight", "onbuild", "whole", "odd"]
)
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, OnBuildLookup]:
    """A workspace, and what its external images bring."""
    files: Mapping[str, str] = {
        "bailing": BAILING,
        "checkout": {**checkout.DOCKERFILES, **dict.fromkeys(checkout.CONTENT, "")},
        "voice": VOICE,
        "eight": EIGHT,
        "onbuild": ONBUILD,
        "whole": WHOLE,
        "odd": ODD,
        "reference": {},
    }[request.param]
    if request.param == "reference":
        ignored = shutil.ignore_patterns(".*", "__pycache__")
        shutil.copytree(ROOT / "docker", tmp_path / "docker", ignore=ignored)
        for name in ("pyproject.toml", "README.md", "noxfile.py"):
            shutil.copy(ROOT / name, tmp_path / name)
        for path in ("docker/app/uv.lock", "docker/app/tests/test_x.py", "docker/README.md"):
            put(tmp_path, path, "1")
    for path, text in files.items():
        put(tmp_path, path, text)
    return tmp_path, external("onbuild:1", "COPY conf /app")


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    if text.startswith("-> "):
        (root / path).symlink_to(text[3:])
    else:
        (root / path).write_text(text)


def changed(path: Path) -> Iterator[Callable[[], object]]:
    """Yield ways to change a file."""
    if path.is_symlink():
        yield lambda: retarget(path)
        yield path.unlink
        return
    if not path.exists():
        yield lambda: path.write_text("new")
        return
    text = path.read_text()
    if path.name.endswith(".dockerignore"):
        yield lambda: path.write_text(f"{text}\n*\n")
    elif "ockerfile" in path.name:
        yield lambda: path.write_text(re.sub(r"(?m)^FROM .*$", r"\g<0>\nENV CHANGED=1", text))
        return
    elif path.name.startswith(".env"):
        yield lambda: path.write_text(text.replace("=", "=changed"))
    elif path.suffix != ".toml":
        yield lambda: path.write_text(f"{text}changed\n")
    if path.suffix != ".toml" and not path.name.endswith(".lock"):
        yield path.unlink


def retarget(link: Path) -> None:
    link.unlink()
    link.symlink_to("elsewhere")


def check(
    root: Path, onbuild: OnBuildLookup = unknown, prepare: Callable[[Settings], object] = id
) -> None:
    """Check all files of a workspace.

    Args:
        root: The workspace.
        onbuild: What external images bring.
        prepare: What a run does before images are built.
    """

    def now() -> tuple[Settings, Mapping[str, tuple[str, ...]]]:
        settings = read(root)
        prepare(settings)
        return settings, fingerprints(settings, onbuild)

    settings, before = now()
    targets = needs.targets(settings, needs.machine())
    reader = TriggerReader(settings, onbuild=onbuild)
    paths = {target.name: reader.of(target).paths for target in targets}
    seen: set[bool] = set()
    files = [path for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file()]
    new = [folder / name for folder in {path.parent for path in files} for name in ("new", "n.py")]
    for path in (*files, *new):
        name, restore = path.relative_to(root).as_posix(), restoring(path)
        builds: dict[str, bool] = {}
        changes = dict.fromkeys(before, False)
        for change in changed(path):
            change()
            with contextlib.suppress(BailingError):  # what cannot be read is not built
                settings, after = now()
                reader = TriggerReader(settings, onbuild=onbuild)
                for target in targets:
                    runs = reader.of(target).decide([name], 1).runs
                    is_other = after[target.name] != before[target.name]
                    assert runs or not is_other, f"{name} does not build {target.name}"
                    if runs:
                        assert triggers.includes(paths[target.name], name), (name, paths)
                    builds[target.name] = runs
                    changes[target.name] |= is_other
            restore()
        seen |= set(builds.values())
        if builds and not ALWAYS.fullmatch(name):
            assert builds == changes, name
    assert seen == {True, False}


def restoring(path: Path) -> Callable[[], None]:
    """Return what puts a file back as it is now."""
    link = path.readlink() if path.is_symlink() else None
    exists = path.is_file() and not link
    content, mode = (path.read_bytes(), path.stat().st_mode) if exists else (b"", 0)

    def restore() -> None:
        path.unlink(missing_ok=True)
        if link:
            path.symlink_to(link)
        elif exists:
            path.write_bytes(content)
            path.chmod(mode)

    return restore


def test_a_change_builds_what_it_changes_and_nothing_else(
    workspace: tuple[Path, OnBuildLookup],
) -> None:
    check(*workspace)


def test_what_is_rendered_is_built_for_its_template_and_its_values(tmp_path: Path) -> None:
    for path, text in TEMPLATES.items():
        put(tmp_path, path, text)

    def render(settings: Settings) -> None:
        values = dotenv.variables(dotenv.planned(tmp_path), {})
        rendering.write(tmp_path, rendering.planned(tmp_path, settings.templates, values))

    check(tmp_path, prepare=render)
