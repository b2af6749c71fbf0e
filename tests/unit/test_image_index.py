"""The index over the images of several platforms."""

from __future__ import annotations

import hashlib
import json

from bailing_tasks import image_index
from bailing_tasks.image_index import Entry
from bailing_tasks.platforms import Platform

DOCKERS = "application/vnd.docker.distribution.manifest.v2+json"


def entry(platform: str, number: int) -> Entry:
    return Entry(
        platform=Platform.parse(platform),
        digest=f"sha256:{number:064}",
        size=500 + number,
        media_type=DOCKERS,
    )


def test_an_index_names_each_platform_and_says_what_it_is_of() -> None:
    entries = [entry("linux/amd64", 1), entry("linux/arm/v7", 2)]
    raw = image_index.index(entries, {"b": "2", "a": "1"})
    assert json.loads(raw) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": DOCKERS,
                "digest": f"sha256:{1:064}",
                "size": 501,
                "platform": {"architecture": "amd64", "os": "linux"},
            },
            {
                "mediaType": DOCKERS,
                "digest": f"sha256:{2:064}",
                "size": 502,
                "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
            },
        ],
        "annotations": {"a": "1", "b": "2"},
    }
    assert raw == image_index.index(entries, {"a": "1", "b": "2"})
    assert image_index.digest(raw) == f"sha256:{hashlib.sha256(raw).hexdigest()}"


def test_an_index_without_annotations_has_none() -> None:
    assert "annotations" not in json.loads(image_index.index([entry("linux/amd64", 1)], {}))


def test_what_is_not_known_is_not_said() -> None:
    assert image_index.said_of_it() == {}
    assert image_index.said_of_it(revision="abc", created="2026-01-01T00:00:00Z") == {
        "org.opencontainers.image.revision": "abc",
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
    }
    known = image_index.said_of_it(source="s", version="1", licenses="MIT")
    assert {key.rpartition(".")[2] for key in known} == {"source", "version", "licenses"}
