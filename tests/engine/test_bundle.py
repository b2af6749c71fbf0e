"""Bundles between two machines, the second one with no registry in reach."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bailing_tasks.bundle.reading import opened
from bailing_tasks.bundle.writing import write
from bailing_tasks.engine.saving import layers_of
from bailing_tasks.names import kept_name
from tests.engine.registries import running
from tests.engine.remote import remote
from tests.engine.support import HOST, Engine, Workspace, made, started, unique
from tests.engine.tiny import push_index

BOTH = ("linux/amd64", "linux/arm64")
BUILDER = """\
FROM {base} AS builder
COPY lock /opt/venv/lock
"""
APP = """\
ARG BUILDER_IMAGE
FROM ${{BUILDER_IMAGE}} AS builder
FROM {base}
COPY --from=builder /opt/venv /opt/venv
COPY code /code
"""
SERVICE = """\
[tool.bailing-tasks.service.cache]
image = "{name}-cache"
from-image = "{base}"
"""
BUILD = ("build-all", "--json", "--platform", "all")


@pytest.fixture(scope="module")
def machines(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """Engines of each kind."""
    containerd = started("containerd")
    with remote(containerd, tmp_path_factory.mktemp("buildkit")) as buildkit:
        yield {"containerd": containerd, "classic": started("classic"), "buildkit": buildkit}


@contextlib.contextmanager
def written(folder: Path, engine: Engine) -> Iterator[Workspace]:
    """Return a workspace of two platforms, and a registry of its own until the end of the block."""
    found = made(folder, engine)
    with running(folder / "registry") as address:
        base = f"{HOST}/{unique(folder, 'bundled')}:1"
        files = {platform: {"file": f"{base} {platform}".encode() * 1000} for platform in BOTH}
        push_index(address, base, files)
        found.write("docker/dockerfile.dev", BUILDER.format(base=base))
        found.write("Dockerfile", APP.format(base=base))
        found.write("lock", "one")
        found.write("code", "one")
        name = unique(folder, "bundle")
        found.write("pyproject.toml", SERVICE.format(name=name, base=base))
        found.environment |= {
            "BAILING_TASKS_MIRRORS": json.dumps({HOST: [f"http://{address}/{HOST}"]}),
            "BAILING_TASKS_PLATFORMS": ",".join(BOTH),
            "BAILING_TASKS_APP_IMAGE": name,
            "BAILING_TASKS_BUILDER_IMAGE": f"{name}-builder",
        }
        yield found


def elsewhere(first: Workspace, folder: Path, engine: Engine) -> Workspace:
    """Return the same workspace on another machine."""
    root = folder / "elsewhere"
    shutil.copytree(first.root, root, ignore=shutil.ignore_patterns(".bailing-tasks"))
    return Workspace(root, engine, dict(first.environment))


def assert_each_layer_once(bundle: Path) -> None:
    """Check that no layer is in a bundle twice, packed in two ways."""
    with opened(bundle) as found:
        layers: dict[str, set[str]] = {}
        for image in found.contents.images:
            for content, layer in layers_of(found, image.digest).items():
                layers.setdefault(content, set()).add(layer["digest"])
    assert {len(digests) for digests in layers.values()} == {1}


def forge(bundle: Path, forged: Path) -> tuple[Path, str]:
    """Write a bundle whose app would get the tag of a pin; return it with that tag."""
    with opened(bundle) as found:
        base, *_ = found.contents.external
        tag = kept_name(*base.pin.key, base.pinned)
        app = next(each for each in found.contents.built if each.target == "app")
        write(forged, replace(found.contents, built=(replace(app, kept=tag),)), found)
    return forged, tag


@pytest.mark.parametrize(
    ("of", "to"),
    [("classic", "buildkit"), ("containerd", "classic"), ("buildkit", "containerd")],
)
def test_a_machine_without_a_network_builds_on_what_a_bundle_brought(
    machines: dict[str, Engine], tmp_path: Path, of: str, to: str
) -> None:
    bundle = tmp_path / "all.tar"
    with written(tmp_path, machines[of]) as first:
        first.document(*BUILD)
        saved = first.document("bundle-save", str(bundle), "--json")["bundle-save"]
    assert (len(saved["external"]), len(saved["built"])) == (2, 6)
    assert saved["bytes"] == bundle.stat().st_size
    assert [each["digest"] for each in saved["external"]] == [
        each["pinned"] for each in saved["external"]
    ]
    assert_each_layer_once(bundle)
    second = elsewhere(first, tmp_path, machines[to])
    if (of, to) == ("containerd", "classic"):
        forged, tag = forge(bundle, tmp_path / "forged.tar")
        refused = second.invoke("bundle-load", str(forged))
        assert refused.returncode == 2
        assert f"{tag} is not a name of app" in refused.stderr
        assert not second.engine.has(tag)
    loaded = second.document("bundle-load", str(bundle), "--json")["bundle-load"]
    assert (loaded["loaded"], loaded["present"], loaded["pinned"]) == (8, 0, 2)
    found = second.document("bundle-load", str(bundle), "--json", "plan", "--platform", "all")
    assert (found["bundle-load"]["loaded"], found["bundle-load"]["present"]) == (0, 8)
    steps = found["plan"]["steps"]
    assert {step["action"] for step in steps if step["step"] != "verify"} == {"skip"}
    if (of, to) == ("buildkit", "containerd"):
        for image in saved["built"]:  # what attests an image comes with it
            assert (
                second.engine.must("image", "inspect", "-f", "{{.Id}}", image["kept"])
                == (image["digest"])
            )
    second.write("code", "two")
    built = second.document(*BUILD)["build-all"]["images"]
    results = {(image["target"], image["result"]) for image in built}
    assert results == {("builder", "skipped"), ("cache", "skipped"), ("app", "built")}
    if (of, to) == ("containerd", "classic"):
        name = first.environment["BAILING_TASKS_APP_IMAGE"]
        back = second.invoke("bundle-load", str(bundle))
        assert f"{name}:latest was another image" in back.stdout
        assert f"{name}-builder:latest was another" not in back.stdout


def test_what_no_registry_has_any_more_is_taken_from_the_engine(
    machines: dict[str, Engine], tmp_path: Path
) -> None:
    bundle = tmp_path / "all.tar"
    with written(tmp_path, machines["classic"]) as first:
        first.environment["BAILING_TASKS_PLATFORMS"] = BOTH[0]
        first.document("prefetch", "lock", "--json")  # which says what is in another manifest
    unbuilt = first.invoke("bundle-save", str(bundle))
    assert unbuilt.returncode == 6
    assert "build-app --platform all --python all" in unbuilt.stderr
    assert not bundle.exists()
    first.document(*BUILD)
    saved = first.document("bundle-save", str(bundle), "--json")["bundle-save"]
    assert saved["external"][0]["digest"] != saved["external"][0]["pinned"]
    assert_each_layer_once(bundle)
    second = elsewhere(first, tmp_path, machines["containerd"])
    found = second.document("bundle-load", str(bundle), "--json", "plan")
    steps = found["plan"]["steps"]
    assert {step["action"] for step in steps if step["step"] != "verify"} == {"skip"}
    second.write("Dockerfile", f"FROM {HOST}/nobody:1\n")
    lost = second.invoke("bundle-save", str(tmp_path / "other.tar"))
    assert lost.returncode == 5
    assert f"1 images cannot be had: {HOST}/nobody:1 (linux/amd64)" in lost.stderr
    assert not (tmp_path / "other.tar").exists()


def test_a_bundle_fills_a_registry_that_builds_are_made_from(
    machines: dict[str, Engine], tmp_path: Path
) -> None:
    bundle = str(tmp_path / "all.tar")
    with written(tmp_path, machines["buildkit"]) as first:
        first.document(*BUILD)
        saved = first.document("bundle-save", bundle, "--json")["bundle-save"]
    with running(tmp_path / "other") as address:
        second = elsewhere(first, tmp_path, machines["classic"])
        to = ("bundle-load", bundle, "--to", f"{address}/team/images", "--json")
        sent = second.document(*to)["bundle-load"]
        assert (sent["sent"], sent["present"]) == (4, 0)
        assert sent["images"][0]["digest"] == saved["external"][0]["index_digest"]
        again = second.document(*to)["bundle-load"]
        assert (again["sent"], again["present"]) == (0, 4)
        mirror = [f"http://{address}/team/images/{HOST}"]
        second.environment["BAILING_TASKS_MIRRORS"] = json.dumps({HOST: mirror})
        fetched = second.document("prefetch", "--platform", "all", "--json")["prefetch"]
        assert (fetched["pulled"], fetched["failed"]) == (2, 0)
        digests = {(each["reference"], each["digest"]) for each in fetched["images"]}
        assert digests == {(each["reference"], each["pinned"]) for each in saved["external"]}
        for image in sent["images"][1:]:
            assert second.engine.must("pull", "-q", image["name"]) == image["name"]
