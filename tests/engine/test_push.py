"""What is built gets into a registry: whole, once, and under its tags last of all."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.engine.base import Engine, Limits
from bailing_tasks.engine.labels import read_labels
from bailing_tasks.engine.registry import ACCEPT, Registries
from bailing_tasks.errors import EngineError, RegistryError, ReleaseError
from bailing_tasks.image_index import is_image, said_of_it
from bailing_tasks.mirrors import sources
from bailing_tasks.names import LABEL, REVISION_LABEL
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release.commands import commands
from bailing_tasks.release.journal import SEND, opened
from bailing_tasks.release.model import BuiltImage
from bailing_tasks.release.registry import Registry
from bailing_tasks.settings import Target
from bailing_tasks.state import State
from tests.engine import tiny
from tests.engine.proxy import Fault, RegistryProxy
from tests.engine.pushing import PLATFORMS, Holder, holder, planned, write_config
from tests.engine.support import started, unique

SENDING = ("POST", "PUT", "PATCH")


@pytest.fixture(params=["classic", "containerd", "buildkit"])
def held(
    request: pytest.FixtureRequest, home: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Holder]:
    """An engine that holds images: with each store, and a BuildKit of its own."""
    store = "classic" if request.param == "classic" else "containerd"
    with holder(request.param, started(store), tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def proxy(held: Holder) -> Iterator[RegistryProxy]:
    with RegistryProxy(held.under.registry) as found:
        yield found


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again."""
    monkeypatch.setattr("bailing_tasks.retry.ATTEMPTS", 1)


def target(registry: str, folder: Path, name: str = "app") -> Target:
    image = unique(folder, name)
    return Target(
        name=name,
        dockerfile="Dockerfile",
        stage="",
        context=".",
        image=image,
        repository=f"{registry}/pushed/{image}",
        build_args={},
        secrets={},
        triggers=(),
        tags=(),
    )


def index(repository: str, tag: str) -> dict[str, Any]:
    """Return what a registry has under a tag."""
    host, _, path = repository.partition("/")
    request = urllib.request.Request(f"http://{host}/v2/{path}/manifests/{tag}")
    request.add_header("Accept", ACCEPT)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return dict(json.loads(answer.read()))


def is_free(held: Holder, repository: str, tag: str) -> bool:
    path = repository.partition("/")[2]
    try:
        index(f"{held.under.registry}/{path}", tag)
    except urllib.error.HTTPError as error:
        return error.code == 404
    return False


def assert_pulled(held: Holder, image: BuiltImage, name: str, digest: str) -> None:
    """Check that what a name stands for can be pulled, and is what was built."""
    reference = Reference.parse(name)
    *_, source = sources(reference, {})
    pulled = f"{reference.repository}@{digest}"
    held.engine.pull(
        pulled,
        source=source,
        wanted=reference,
        platform=None,
        on_progress=lambda progress: None,
        limits=Limits(),
    )
    found = held.engine.image(pulled)
    assert found
    assert found.platform == image.variant.platform
    assert found.labels[LABEL] == image.label


def test_two_platforms_are_one_image_under_each_tag(held: Holder, tmp_path: Path) -> None:
    app = target(held.under.registry, tmp_path)
    images = [held.built(app, platform) for platform in PLATFORMS]
    tags = {("app", "3.11"): ("latest", "1.2.3", "main")}
    release = held.release(images, tags, annotations=said_of_it(revision="a" * 40))
    found, index_of = release.tags, release.indexes["app", "3.11"]
    assert [each.name.rpartition(":")[2] for each in found] == ["1.2.3", "main", "latest"]
    assert {each.digest for each in found} == {found[0].digest}
    for each in found:
        assert each.before == ""
        assert (
            f"{each.name} is {each.digest[:19]} for linux/amd64, linux/arm64"
            in held.said.getvalue()
        )
        document = index(app.repository, each.name.rpartition(":")[2])
        assert document["annotations"] == {REVISION_LABEL: "a" * 40}
        digests = {
            f"{entry['platform']['os']}/{entry['platform']['architecture']}": entry["digest"]
            for entry in document["manifests"]
            if is_image(entry)
        }
        assert digests == dict(index_of.platforms)
    for image in images:
        assert_pulled(held, image, found[-1].name, index_of.platforms[str(image.variant.platform)])
    labels = read_labels(Registries(), Reference.parse(f"{app.repository}:latest"))
    assert labels[REVISION_LABEL] == "a" * 40
    if held.engine.attests:
        argv = ("buildx", "imagetools", "inspect", found[-1].name)
        said = json.loads(held.under.must(*argv, "--format", "{{json .Provenance}}"))
        assert {platform: list(said[platform]) for platform in said} == {
            platform: ["SLSA"] for platform in PLATFORMS
        }
    assert labels[LABEL] == images[0].label


def test_an_image_is_found_by_its_fingerprint_and_leaves_no_name_here(
    held: Holder, tmp_path: Path
) -> None:
    app = target(held.under.registry, tmp_path)
    image = held.built(app, "linux/arm64")
    assert held.release([image]).tags == ()
    *_, source = sources(image.reference, {})
    arm = Platform.parse("linux/arm64")
    digest = Registries().resolve(image.reference, arm, source).digest
    assert held.engine.image(str(image.reference)) is None
    assert held.engine.image(image.name)
    assert_pulled(held, image, str(image.reference), digest)


def test_what_is_there_is_not_sent_again(
    held: Holder, proxy: RegistryProxy, tmp_path: Path
) -> None:
    app = target(proxy.address, tmp_path)
    images = [held.built(app, platform) for platform in PLATFORMS]
    tags = {("app", "3.11"): ("1.2.3", "latest")}
    first = held.release(images, tags).tags
    before = len(proxy.log)
    second = held.release(images, tags).tags
    again = [method for method, path, _ in proxy.log[before:] if "/fp-" in path or "/1.2" in path]
    assert again
    assert not set(again) & set(SENDING)
    assert [each.before for each in second] == [each.digest for each in first]
    assert f"{app.repository}:latest stays at {first[0].digest[:19]}" in held.said.getvalue()
    assert "was there" in held.said.getvalue()


def test_a_new_image_with_known_layers_sends_none_of_them(
    held: Holder, proxy: RegistryProxy, tmp_path: Path
) -> None:
    name = Reference.parse(f"{proxy.address}/pushed/{unique(tmp_path, 'layers')}:1")
    held.build("localhost/layers:one", "linux/amd64", "the same", x="1")
    held.build("localhost/layers:two", "linux/amd64", "the same", x="2")
    held.engine.push("localhost/layers:one", name)
    before = len(proxy.log)
    held.engine.push("localhost/layers:two", Reference.parse(f"{name.repository}:2"))
    sent = [path for method, path, _ in proxy.log[before:] if method == "PUT" and "/blobs/" in path]
    assert len(sent) <= (3 if held.engine.attests else 1), "configuration and provenance are new"


@pytest.mark.parametrize(
    ("fault", "words", "cause"),
    [
        (Fault.FORBIDDEN, "requested access is denied", "does not let this login push"),
        (Fault.UNAUTHORIZED, "", "wants a login"),
        (Fault.NOT_FOUND, "project not found", "has no such project"),
        (Fault.FORBIDDEN, "it will exceed the configured upper limit", "no space left"),
        (Fault.SERVER_ERROR, "no space left on device", "no space left"),
        (Fault.TOO_MANY, "", "limits how often"),
    ],
)
@pytest.mark.parametrize("held", ["buildkit"], indirect=True)
def test_a_refusal_is_told_by_its_kind(
    held: Holder,
    proxy: RegistryProxy,
    tmp_path: Path,
    once: None,
    fault: Fault,
    words: str,
    cause: str,
) -> None:
    # Whichever engine sends: this process asks before.
    app = target(proxy.address, tmp_path)
    image = held.built(app, "linux/amd64")
    proxy.fault(fault, on="blobs", method="POST", words=words)
    with pytest.raises(ReleaseError) as caught:
        held.release([image], {("app", "3.11"): ("1.2.3",)})
    assert cause in caught.value.cause
    assert words in caught.value.cause
    assert caught.value.remedy
    assert image.reference.familiar in caught.value.message
    assert is_free(held, app.repository, "1.2.3")


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.TOO_MANY])
def test_an_engine_that_is_refused_keeps_no_name(
    held: Holder, proxy: RegistryProxy, tmp_path: Path, fault: Fault
) -> None:
    app = target(proxy.address, tmp_path)
    image = held.built(app, "linux/amd64")
    proxy.fault(fault, on="blobs", method="POST")
    with pytest.raises(RegistryError, match="could not be pushed") as caught:
        held.engine.push(image.name, image.reference)
    assert caught.value.transient is (fault is Fault.TOO_MANY)
    assert held.engine.image(str(image.reference)) is None
    assert is_free(held, app.repository, str(image.reference.tag))


def test_a_registry_that_is_gone_is_named(
    held: Holder, proxy: RegistryProxy, tmp_path: Path, once: None
) -> None:
    image = held.built(target(proxy.address, tmp_path), "linux/amd64")
    proxy.stop()
    with pytest.raises(RegistryError, match="could not be pushed") as caught:
        held.engine.push(image.name, image.reference)
    assert "did not answer" in caught.value.cause
    with pytest.raises(ReleaseError, match="could not be read"):
        held.release([image])


def test_the_login_is_used_and_told_to_nobody(
    held: Holder, proxy: RegistryProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: None
) -> None:
    proxy.login = "somebody:secret-words"
    app = target(proxy.address, tmp_path)
    images = [held.built(app, platform) for platform in PLATFORMS]
    tags = {("app", "3.11"): ("1.2.3",)}
    with pytest.raises(RegistryError) as caught:
        held.release(images, tags)
    assert f"docker login {proxy.address}" in caught.value.remedy
    login = base64.b64encode(proxy.login.encode()).decode()
    write_config(tmp_path, monkeypatch, {"auths": {proxy.address: {"auth": login}}})
    again = held.again()
    (found,) = again.release(images, tags).tags
    assert found.name == f"{app.repository}:1.2.3"
    assert "secret-words" not in again.said.getvalue()
    assert login not in again.said.getvalue()


def test_a_registry_that_is_busy_is_asked_again(
    held: Holder, proxy: RegistryProxy, tmp_path: Path
) -> None:
    app = target(proxy.address, tmp_path)
    image = held.built(app, "linux/amd64")
    proxy.fault(Fault.TOO_MANY, on="manifests", path="/fp-", method="HEAD", times=1)
    release = held.release([image], {("app", "3.11"): ("1.2.3",)})
    assert "attempt 2 of 4" in held.said.getvalue()
    entries = filter(is_image, index(app.repository, "1.2.3")["manifests"])
    assert [entry["digest"] for entry in entries] == [
        release.indexes["app", "3.11"].platforms["linux/amd64"]
    ]


def test_latest_stays_where_another_tag_is_refused(
    held: Holder, proxy: RegistryProxy, tmp_path: Path, once: None
) -> None:
    app = target(proxy.address, tmp_path)
    image = held.built(app, "linux/amd64")
    proxy.fault(Fault.FORBIDDEN, on="manifests", path="/1.2.3", method="PUT", words="immutable")
    with pytest.raises(ReleaseError, match=r"1\.2\.3 could not be pushed") as caught:
        held.release([image], {("app", "3.11"): ("latest", "1.2.3")})
    assert "immutable" in caught.value.cause
    assert is_free(held, app.repository, "latest")


def test_a_fingerprint_that_names_something_else_stays_what_it_is(
    held: Holder, tmp_path: Path
) -> None:
    app = target(held.under.registry, tmp_path)
    image = held.built(app, "linux/amd64")
    tiny.push(held.under.registry, f"{image.reference.path}:{image.reference.tag}", 20)
    other = index(app.repository, str(image.reference.tag))
    release = held.release([image], {("app", "3.11"): ("1.2.3",)})
    assert release.uploads[0].reference == image.by_identity
    assert index(app.repository, str(image.reference.tag)) == other
    assert_pulled(held, image, release.tags[0].name, release.uploads[0].entry.digest)


def test_a_part_that_a_killed_upload_left_under_a_fingerprint_is_replaced(
    held: Holder, tmp_path: Path
) -> None:
    app = target(held.under.registry, tmp_path)
    image = held.built(app, "linux/amd64")
    tiny.push(held.under.registry, f"{image.reference.path}:{image.reference.tag}", 20)
    plan = planned([image], {("app", "3.11"): ("1.2.3",)}, {})
    journal = opened(State(held.folder.parent), plan, {})
    journal.add(SEND, name=str(image.reference), platform="linux/amd64")
    release = held.release([image], {("app", "3.11"): ("1.2.3",)})
    assert release.uploads[0].reference == image.reference
    assert_pulled(held, image, str(image.reference), release.uploads[0].entry.digest)


def test_what_somebody_else_pushes_meanwhile_is_not_released(
    held: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = target(held.under.registry, tmp_path)
    image = held.built(app, "linux/amd64")
    name = f"{image.reference.path}:{image.reference.tag}"
    push, pushed = Registry.push, list[str]()

    def overtaken(registry: Registry, engine: Engine, *names: Any) -> None:
        push(registry, engine, *names)
        if not pushed:
            tiny.push(held.under.registry, name, 20)
        pushed.append(str(names[1]))

    monkeypatch.setattr(Registry, "push", overtaken)
    release = held.release([image], {("app", "3.11"): ("1.2.3",)})
    assert pushed == [str(image.reference), str(image.by_identity)]
    assert_pulled(held, image, release.tags[0].name, release.uploads[0].entry.digest)


def test_an_image_that_is_not_here_cannot_be_pushed(held: Holder, tmp_path: Path) -> None:
    name = Reference.parse(f"{held.under.registry}/pushed/nothing:1")
    with pytest.raises(EngineError):
        held.engine.push("localhost/not/there:1", name)


def test_every_python_has_an_index_and_a_builder_comes_without_tags(
    held: Holder, tmp_path: Path
) -> None:
    app = target(held.under.registry, tmp_path)
    builder = target(held.under.registry, tmp_path, "builder")
    images = [held.built(app, "linux/amd64", python=python) for python in ("3.11", "3.13")]
    tags = {("app", "3.11"): ("latest", "main"), ("app", "3.13"): ("latest-py3.13", "main-py3.13")}
    found = held.release([held.built(builder, "linux/amd64"), *images], tags).tags
    names = [each.name.rpartition(":")[2] for each in found]
    assert names == ["main", "main-py3.13", "latest", "latest-py3.13"]
    assert len({each.digest for each in found}) == 2


def test_a_dry_run_shows_the_commands_and_sends_nothing(
    held: Holder, proxy: RegistryProxy, tmp_path: Path
) -> None:
    app = target(proxy.address, tmp_path)
    image = held.built(app, "linux/amd64")
    tags = {("app", "3.11"): ("latest", "1.2.3")}
    plan = planned([image], tags, said_of_it(revision="abc"))
    lines = list(commands(plan, lambda platform: held.engine))
    assert [line for line in lines if "imagetools" in line] == [
        f"docker buildx imagetools create --annotation index:{REVISION_LABEL}=abc "
        f"--tag {app.repository}:{tag} {image.reference}"
        for tag in ("1.2.3", "latest")
    ]
    assert any("push" in line and str(image.reference) in line for line in lines)
    assert proxy.log == []
