"""What a Dockerfile copies has to be in its context, or BuildKit ends there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bailing_tasks import needs
from bailing_tasks.configuration import resolve
from bailing_tasks.missing import complete, missing
from bailing_tasks.platforms import Platform
from bailing_tasks.recipes import Recipe
from bailing_tasks.refusals import Refusal
from bailing_tasks.settings import Settings

AMD64 = Platform.parse("linux/amd64")


def workspace(root: Path, text: str, **document: Any) -> Settings:
    """Return the settings of a workspace whose app has a Dockerfile, and a context of all kinds."""
    context = root / "app"
    for path in ("main.py", "dir/a", "ignored/x", "kept/x", "kept/y", "secret", "st*r"):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(path)
    (context / "empty").mkdir()
    for link, to in {
        "link": "main.py",
        "to-dir": "dir",
        "dangling": "nowhere",
        "absolute": "/main.py",
        "outside": "../../etc/passwd",
        "to-secret": "secret",
        "ignored-link": "main.py",
        "loop": "loop",
        "up": "dir/../main.py",
    }.items():
        (context / link).symlink_to(to)
    (context / ".dockerignore").write_text("ignored*\nsecret\nkept\n!kept/x\n")
    (root / "Dockerfile").write_text(text)
    document = {"app": {"context": "app", **document.pop("app", {})}, **document}
    return resolve(root, document=document, environment={}, overrides={})


def recipe(settings: Settings) -> Recipe:
    (found,) = needs.recipes(settings, settings.app, AMD64)
    assert isinstance(found, Recipe)
    return found


@pytest.mark.parametrize(
    "instruction",
    [
        "COPY main.py /",
        "COPY main.py/ dir empty /x/",
        "COPY . /",
        "COPY ./ /",
        "COPY / /",
        "COPY ./not/../main.py ../main.py /x/",
        "COPY *.nope dir/*.nope ma?n.p[x] /x/",  # nothing is copied, and nothing fails
        "COPY kept /",
        "COPY kept/x /",
        "COPY link to-dir/a absolute up /x/",
        r"COPY st\*r st\\*r /x/",
        "COPY --parents dir/./a /",
        "COPY --exclude=*.py main.py /x/",
        "COPY <<nope /x\nnope",
        "COPY --from=other /nope /",
        "COPY --from=images.example/x /nope /",
        "COPY ${UNKNOWN_TO_ALL_BUT_THE_IMAGE} /",
        "ADD https://files.example/nope /",
        "RUN --mount=type=bind,source=main.py,target=/m true",
        "RUN --mount=type=bind,source=st*r,target=/m true",
        "RUN --mount=type=bind,from=other,source=nope,target=/m true",
        "RUN --mount=type=cache,source=nope,target=/m true",
        "RUN --mount=target=/m true",
    ],
)
def test_what_is_there_is_not_missing(tmp_path: Path, instruction: str) -> None:
    settings = workspace(tmp_path, f"FROM scratch AS other\nFROM debian\n{instruction}\n")
    assert missing(settings, recipe(settings)) == ()


@pytest.mark.parametrize(
    ("instruction", "said", "ignored"),
    [
        ("COPY nope.py /", "COPY nope.py", False),
        ("COPY main.py a/b/ /x/", "COPY a/b", False),
        ("COPY main.py/x /", "COPY main.py/x", False),
        ("COPY Main.py /", "COPY Main.py", False),
        ("COPY --link --chown=1 nope /", "COPY nope", False),
        ("COPY --parents dir/./nope /", "COPY dir/nope", False),
        (r"COPY no\\*pe /", "COPY no*pe", False),
        ("COPY ignored /", "COPY ignored", True),
        ("COPY ignored/x /", "COPY ignored/x", True),
        ("COPY kept/y /", "COPY kept/y", True),
        ("COPY secret /", "COPY secret", True),
        ("COPY to-secret /", "COPY to-secret", True),
        ("COPY ignored-link /", "COPY ignored-link", True),
        ("COPY dangling /", "COPY dangling", False),
        ("COPY to-dir/nope /", "COPY to-dir/nope", False),
        ("COPY outside /", "COPY outside", False),
        ("COPY loop /", "COPY loop", False),
        ("ADD nope.tar /", "ADD nope.tar", False),
        ("ARG NAME=nope\nCOPY $NAME /", "COPY nope", False),
        ("RUN --mount=source=nope,target=/m true", "RUN --mount nope", False),
        ("RUN --mount=source=m*n.py,target=/m true", "RUN --mount m*n.py", False),
        ("RUN --mount=source=ignored,target=/m true", "RUN --mount ignored", True),
    ],
)
def test_what_is_not_there_or_left_out_is_named_with_its_line(
    tmp_path: Path, instruction: str, said: str, ignored: bool
) -> None:
    settings = workspace(tmp_path, f"FROM scratch\n{instruction}\n")
    (error,) = missing(settings, recipe(settings))
    line = 2 + instruction.count("\n")
    assert error.headline == f"Dockerfile:{line}: {said}: not in the build context app"
    assert error.exit_code == 3
    assert error.cause == (".dockerignore leaves it out" if ignored else "")
    assert error.remedy


def test_only_stages_that_are_built_count(tmp_path: Path) -> None:
    text = "FROM scratch AS a\nCOPY nope /\nFROM scratch AS b\n"
    settings = workspace(tmp_path, text)
    assert missing(settings, recipe(settings)) == ()
    settings = workspace(tmp_path / "other", text, app={"stage": "a"})
    assert len(missing(settings, recipe(settings))) == 1


def test_the_ignore_file_beside_the_dockerfile_is_named_where_it_counts(tmp_path: Path) -> None:
    settings = workspace(tmp_path, "FROM scratch\nCOPY main.py secret /x/\n")
    (tmp_path / "Dockerfile.dockerignore").write_text("main.py\n")
    (error,) = missing(settings, recipe(settings))
    assert error.cause == "Dockerfile.dockerignore leaves it out"


def test_an_ignore_file_that_cannot_be_read_ends_the_build_as_well(tmp_path: Path) -> None:
    settings = workspace(tmp_path, "FROM scratch\nCOPY main.py /\n")
    (tmp_path / "app/.dockerignore").write_text("[\n")
    (error,) = missing(settings, recipe(settings))
    assert "in .dockerignore is malformed" in str(error)


def test_what_templates_render_will_be_there(tmp_path: Path) -> None:
    text = "FROM scratch\nCOPY conf/x.conf conf nope secret /x/\n"
    settings = workspace(tmp_path, text, templates=["app/**/*.tpl"])
    (tmp_path / "app/conf").mkdir()
    (tmp_path / "app/conf/x.conf.tpl").write_text("")
    (tmp_path / "app/secret.tpl").write_text("")  # which is left out anyway
    said = [error.headline for error in missing(settings, recipe(settings))]
    assert said == [
        "Dockerfile:2: COPY nope: not in the build context app",
        "Dockerfile:2: COPY secret: not in the build context app",
    ]


def test_a_build_that_would_miss_files_is_refused_with_all_of_them(tmp_path: Path) -> None:
    settings = workspace(tmp_path, "FROM scratch\nCOPY a b /x/\n")
    readings = needs.recipes(settings, settings.app, AMD64)
    (refused,) = complete(settings, readings)
    assert isinstance(refused, Refusal)
    assert refused.reason.count("not in the build context") == 2
    assert complete(settings, [refused]) == (refused,)
    (tmp_path / "app/a").touch()
    (tmp_path / "app/b").touch()
    assert complete(settings, readings) == tuple(readings)
