"""The images that are named are those that BuildKit takes: generated Dockerfiles, really built.

What BuildKit took is in the provenance of the build. The syntax is what the engine's own frontend
knows; the bases are of a few bytes, with one program that does nothing.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailing_tasks.dockerfile import DockerfileError, external_images
from tests.engine.support import HOST, TRUE, Engine

NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def bases(containerd: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three tiny images for two platforms; returns the repository that they stand below."""
    for name in NAMES:
        folder = tmp_path_factory.mktemp(name)
        folder.joinpath("true").write_bytes(TRUE)
        folder.joinpath("true").chmod(0o755)
        containerd.push_tiny(folder, f"differential/{name}:1", "linux/amd64", "linux/arm64")
    return f"{containerd.registry}/{HOST}/differential"


@dataclass
class Case:
    """A Dockerfile and what it is built with."""

    text: str
    target: str
    args: dict[str, str]


@st.composite
def references(draw: st.DrawFn) -> str:
    """An image below `$R`, written in one of the ways that expansion knows."""
    name = draw(st.sampled_from(NAMES))
    form = draw(st.integers(0, 8))
    return {
        0: f"$R/{name}:1",
        1: f"${{R}}/{name}:1",
        2: f"${{NOPE:-$R}}/{name}:1",
        3: f"${{R:-wrong}}/{name}:${{TAG}}",
        4: f"${{R}}/${{NAME:-{name}}}:1",
        5: f'"$R/{name}:1"',
        6: f"${{R:+${{R}}}}/{name}:${{TAG:-9}}",
        7: f"${{R}}/{name}:${{LONG%%.*}}",
        8: f"${{R}}/{name}:${{LONG/.2.3/}}",
    }[form]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A Dockerfile of some stages that copy from, mount and stand on each other and on images."""
    escape = draw(st.sampled_from(["", "# escape=`\n"]))
    slash = "`" if escape else "\\"
    lines = ["# a comment", "ARG R", "ARG TAG=1 LONG=1.2.3", "ARG NAME"]
    names: list[str] = []
    for index in range(draw(st.integers(1, 5))):
        platform = draw(
            st.sampled_from(["", "", "--platform=linux/arm64 ", "--platform=$BUILDPLATFORM "])
        )
        on_stage = bool(names) and draw(st.booleans())
        base = draw(st.sampled_from(names)) if on_stage else draw(references())
        base = base.upper() if on_stage and draw(st.booleans()) else base
        keyword = draw(st.sampled_from(["FROM", "from", "From"]))
        joint = draw(st.sampled_from([" ", f" {slash}\n  ", f" {slash}\n# inside\n  "]))
        name = f"s{index}" if draw(st.integers(0, 3)) else draw(st.sampled_from(NAMES)) + str(index)
        lines.append(f"{keyword} {'' if on_stage else platform}{base}{joint}AS {name}")
        names.append(name)
        lines += [
            draw(instructions(names[:-1], index, number))
            for number in range(draw(st.integers(0, 3)))
        ]
    target = draw(st.sampled_from(["", *names, names[-1].upper()]))
    args = {"NAME": draw(st.sampled_from(NAMES))} if draw(st.booleans()) else {}
    return Case(escape + "\n".join(lines) + "\n", target, args)


@st.composite
def instructions(draw: st.DrawFn, earlier: list[str], index: int, number: int) -> str:
    """Something that a stage may do."""
    kind = draw(st.integers(0, 5))
    to = f"/{index}-{number}"
    if kind == 0 and earlier:
        source = draw(st.sampled_from([*earlier, *(str(n) for n in range(len(earlier)))]))
        return f"COPY --from={source} /file {to}"
    if kind == 1:
        return f"COPY --from=REPOSITORY/{draw(st.sampled_from(NAMES))}:1 /file {to}"
    if kind == 2:
        return f"COPY <<one <<-'two' {to}/\nFROM nothing\none\n\tCOPY --from=x y z\n\ttwo"
    if kind == 3:
        return "ARG R=images.example/not/this TAG=7"
    if kind == 4:
        source = draw(st.sampled_from([*earlier, "REPOSITORY/one:1", "REPOSITORY/two:1"]))
        return f"COPY --chown=0:0 --from={source} /file {to}"
    return draw(st.sampled_from(["ENV FROM=x", "LABEL a=b", "# FROM nothing", "WORKDIR /w"]))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_the_images_named_are_those_that_buildkit_takes(
    containerd: Engine, bases: str, tmp_path: Path, case: Case
) -> None:
    text = case.text.replace("REPOSITORY", bases)
    args = {"R": bases, **case.args}
    built = taken(containerd, tmp_path, text, case.target, args)
    try:
        named = {
            (str(image.reference), str(image.platform))
            for image in external_images(text, target=case.target or None, build_args=args)
        }
    except DockerfileError:
        assert built is None, text
    else:
        assert named == built, text


def test_mounts_are_taken_from_images_and_stages(
    containerd: Engine, bases: str, tmp_path: Path
) -> None:
    text = (
        f"FROM {bases}/three:1 AS unused\n"
        f"FROM {bases}/two:1 AS stage\n"
        f"FROM {bases}/one:1\n"
        f"RUN --mount=from=stage,target=/a --mount=type=bind,from={bases}/three:1,target=/b "
        '--mount=type=cache,target=/c ["/true"]\n'
    )
    assert taken(containerd, tmp_path, text, "", {}) == {
        (str(image.reference), str(image.platform)) for image in external_images(text)
    }


def taken(
    engine: Engine, folder: Path, text: str, target: str, args: dict[str, str]
) -> set[tuple[str, str]] | None:
    """Build a Dockerfile; return what it took by its provenance, None where it is refused."""
    context = folder / "context"
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    context.mkdir(exist_ok=True)
    context.joinpath("Dockerfile").write_text(text)
    argv = ["buildx", "build", "--platform=linux/amd64", "--provenance=mode=min"]
    argv += [f"--output=type=local,dest={output}"]
    argv += [part for name, value in args.items() for part in ("--build-arg", f"{name}={value}")]
    argv += ["--target", target] if target else []
    result = engine.docker(*argv, str(context))
    if not result.ok:
        return None
    provenance = json.loads(output.joinpath("provenance.json").read_text())
    return {
        as_named(material["uri"])
        for material in provenance["predicate"].get("materials", [])
        if material["uri"].startswith("pkg:docker/")
    }


def as_named(uri: str) -> tuple[str, str]:
    """Return reference and platform of a package URL, as `external_images` has them."""
    parts = urlsplit(uri)
    name, _, tag = unquote(parts.path.removeprefix("docker/")).rpartition("@")
    return f"{name}:{tag}", parse_qs(parts.query)["platform"][0]
