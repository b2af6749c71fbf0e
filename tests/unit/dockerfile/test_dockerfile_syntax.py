"""New syntax, with what BuildKit v0.32 says of it (`syntax.jsonl`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.dockerfile import DockerfileError, external_images

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("syntax.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_images_are_those_of_buildkit_or_it_is_refused(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(DockerfileError) as caught:
            external_images(
                case["text"], target=case.get("target"), build_args=case.get("args", {})
            )
        assert caught.value.remedy
        return
    images = external_images(case["text"], target=case.get("target"))
    found = sorted([str(image.reference), str(image.platform)] for image in images)
    assert found == sorted(case["images"])
