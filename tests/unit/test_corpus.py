"""The images named are those that BuildKit itself resolved, for real Dockerfiles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bailing_tasks.dockerfile import DockerfileError, external_images, syntax_frontend
from bailing_tasks.references import Reference

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"

pytestmark = pytest.mark.skipif(
    not CORPUS.is_dir(), reason="needs shared/corpus beside the checkout, and there is none"
)


def cases() -> list[dict[str, Any]]:
    lines = (CORPUS / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def named(case: dict[str, Any]) -> list[list[str]] | str:
    """What is found for a case; a refusal as text."""
    raw = (CORPUS / "dockerfiles" / f"{case['dockerfile']}.Dockerfile").read_bytes()
    try:
        images = external_images(
            raw,
            target=case.get("target"),
            platform=case.get("platform", "linux/amd64"),
            build_args=case.get("args", {}),
        )
    except DockerfileError as error:
        return f"{error.cause}: {error.remedy}"
    return sorted([str(image.reference), str(image.platform)] for image in images)


def test_every_case_names_buildkit_s_images_or_is_refused() -> None:
    wrong = []
    for case in cases():
        found = named(case)
        expected = "refused" if case.get("error") else sorted(case["images"])
        if ("refused" if isinstance(found, str) else found) != expected:
            wrong.append((case, found))
    assert wrong == []


def test_every_frontend_is_named() -> None:
    wrong = []
    for case in cases():
        raw = (CORPUS / "dockerfiles" / f"{case['dockerfile']}.Dockerfile").read_bytes()
        expected = Reference.parse(case["syntax"]) if "syntax" in case else None
        if syntax_frontend(raw) != expected:
            wrong.append(case)
    assert wrong == []
