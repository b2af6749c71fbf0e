"""Several builds at once: what comes of BuildKit's cache between runs fails no build."""

from __future__ import annotations

import json

from bailing_tasks.engine.baking import PartLog, _Reader

ABSENT = "[one] importing cache manifest from r.example/one:cache"
REFUSED = "[one] exporting cache to registry"


def log_of(*steps: tuple[str, str]) -> tuple[PartLog, list[str]]:
    """Return the log of one of two builds and its lines, by steps and what is wrong with each."""
    logs = {name: PartLog(name=name) for name in ("one", "two")}
    lines: list[str] = []
    reader = _Reader(logs, lambda log, number, text: lines.append(text))
    for number, (name, error) in enumerate(steps):
        vertex = {"digest": str(number), "name": name, "started": "now", "error": error}
        reader.read(json.dumps({"vertexes": [vertex | {"completed": "now"}]}))
    return logs["one"], lines


def test_a_cache_that_is_not_there_or_not_taken_is_no_error_of_the_build() -> None:
    log, lines = log_of(
        (ABSENT, "not found"), ("[one] exporting to image", ""), (REFUSED, "denied")
    )
    assert log.error == ""
    assert log.ended
    assert "ERROR: not found" in lines  # whoever reads its log sees it
    assert log_of(("[one 1/2] RUN x", "exit code: 1"))[0].error == "exit code: 1"


def test_what_is_put_into_the_cache_is_not_the_image() -> None:
    assert log_of((REFUSED, ""))[0].ended is None
