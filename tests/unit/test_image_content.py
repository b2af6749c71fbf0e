"""What makes two images the same."""

from __future__ import annotations

from typing import Any

import pytest

from bailing_tasks import image_content

CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2023-11-14T22:13:20Z",
    "config": {"Env": ["PATH=/bin"], "Labels": {"a": "b"}},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:1", "sha256:2"]},
    "history": [{"created_by": "x"}],
}
INSPECTED: dict[str, Any] = {
    "Id": "sha256:5",
    "Architecture": "amd64",
    "Os": "linux",
    "Created": "2023-11-14T22:13:20Z",
    "Config": {
        "Env": ["PATH=/bin"],
        "Labels": {"a": "b"},
        "Cmd": None,
        "Hostname": "",
        "Tty": False,
    },
    "RootFS": {"Type": "layers", "Layers": ["sha256:1", "sha256:2"]},
}


def test_an_engine_and_a_configuration_say_the_same() -> None:
    assert image_content.of_inspected(INSPECTED) == image_content.of_config(CONFIG)
    bare = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}}
    assert image_content.of_inspected(
        {"Os": "linux", "Architecture": "amd64"}
    ) == image_content.of_config(bare)


@pytest.mark.parametrize(
    "changed",
    [
        {"architecture": "arm64"},
        {"created": "2023-11-14T22:13:21Z"},
        {"config": {"Env": ["PATH=/bin"], "Labels": {"a": "c"}}},
        {"rootfs": {"diff_ids": ["sha256:2", "sha256:1"]}},
    ],
)
def test_another_image_is_another_one(changed: dict[str, Any]) -> None:
    assert image_content.of_config({**CONFIG, **changed}) != image_content.of_config(CONFIG)


@pytest.mark.parametrize(
    "config", [{}, {"rootfs": None}, {"rootfs": {"diff_ids": []}, "config": 1}]
)
def test_what_is_no_configuration_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no configuration"):
        image_content.of_config(config)
