"""Images of a BuildKit of its own are checked in the Docker engine beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bailing_tasks.engine.containers import OWNER_LABEL
from bailing_tasks.errors import EngineError
from bailing_tasks.platforms import Platform
from tests.engine.pushing import PLATFORMS, Holder, holder
from tests.engine.support import Engine


@pytest.fixture
def held(
    engine: Engine, containerd: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Holder]:
    """A BuildKit of its own, beside a Docker engine with each store."""
    with holder("buildkit", containerd, tmp_path, monkeypatch, beside=engine) as found:
        yield found


def left(engine: Engine) -> str:
    """Return what a check has left in an engine."""
    images = engine.must("image", "ls", "-q", "localhost/bailing-tasks/check")
    return images + engine.must("ps", "-aq", "--filter", f"label={OWNER_LABEL}=somebody")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_image_is_loaded_for_a_check_and_removed(
    held: Holder, engine: Engine, platform: str
) -> None:
    held.build("localhost/beside:1", platform, f"for {platform}")
    parsed = Platform.parse(platform)
    with held.engine.container(
        "localhost/beside:1", parsed, start=False, owner="somebody"
    ) as container:
        assert "file" in set(container.files())
        (found,) = engine.must(
            "ps", "-aq", "--filter", f"label={OWNER_LABEL}=somebody"
        ).splitlines()
        image = engine.must("inspect", "-f", "{{.Image}}", found)
        named = engine.must("image", "inspect", "-f", "{{.Architecture}}", image)
        assert named == parsed.architecture
    assert left(engine) == ""


def test_what_a_killed_check_left_is_removed_by_the_next(held: Holder, engine: Engine) -> None:
    held.build("localhost/beside:2", "linux/amd64", "left")
    amd = Platform.parse("linux/amd64")
    check = held.engine.container("localhost/beside:2", amd, start=False, owner="somebody")
    check.__enter__()
    assert left(engine)
    held.engine.remove_containers("somebody")
    with held.engine.container("localhost/beside:2", amd, start=False, owner="somebody"):
        pass
    assert left(engine) == ""


def test_without_a_docker_engine_a_check_is_refused(
    containerd: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holder("buildkit", containerd, tmp_path, monkeypatch) as held:
        held.build("localhost/beside:3", "linux/amd64", "alone")
        held.engine.remove_containers("somebody")
        check = held.engine.container(
            "localhost/beside:3", Platform.parse("linux/amd64"), start=False, owner="somebody"
        )
        with pytest.raises(EngineError, match="no container can be made") as caught, check:
            pass
        assert "DOCKER_HOST" in caught.value.remedy
