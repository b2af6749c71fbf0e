"""The index over the images of several platforms."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from bailing_tasks import image_index
from bailing_tasks.image_index import Attestation, Entry
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


def test_the_images_of_an_index_are_listed_without_what_attests_them() -> None:
    said = Attestation(digest=f"sha256:{9:064}", size=1, media_type=image_index.OCI_MANIFEST)
    entries = [replace(entry("linux/amd64", 1), attested_by=(said,)), entry("linux/arm64", 2)]
    raw = image_index.index(entries, {"a": "1"})
    assert image_index.images(raw) == {entries[0].digest, entries[1].digest}
    assert image_index.images(b"{}") == frozenset()


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


PROVENANCE = Attestation(
    digest=f"sha256:{9:064}", size=900, media_type="application/vnd.oci.image.manifest.v1+json"
)


def test_what_attests_an_image_is_listed_behind_all_images_and_found_there() -> None:
    attested = replace(entry("linux/amd64", 1), attested_by=(PROVENANCE,))
    document = json.loads(image_index.index([attested, entry("linux/arm64", 2)], {}))
    assert [image_index.is_image(each) for each in document["manifests"]] == [True, True, False]
    assert document["manifests"][2] == {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{9:064}",
        "size": 900,
        "annotations": {
            "vnd.docker.reference.digest": f"sha256:{1:064}",
            "vnd.docker.reference.type": "attestation-manifest",
        },
        "platform": {"architecture": "unknown", "os": "unknown"},
    }
    assert image_index.attestations(document, f"sha256:{1:064}") == (PROVENANCE,)
    assert image_index.attestations(document, f"sha256:{2:064}") == ()
    with pytest.raises(ValueError, match="too many"):
        image_index.parts(document)


def test_an_entry_is_what_a_manifest_and_its_index_say() -> None:
    raw = b'{"config": {}}'
    plain = image_index.entry(Platform.parse("linux/amd64"), raw)
    assert plain.digest == image_index.digest(raw)
    assert (plain.size, plain.media_type) == (len(raw), image_index.OCI_MANIFEST)
    attested = replace(plain, attested_by=(PROVENANCE,))
    listed = image_index.index([attested], {})
    assert image_index.entry(Platform.parse("linux/amd64"), raw, listed) == attested
    assert image_index.parts(json.loads(listed)) == (plain.digest, PROVENANCE.digest)


@pytest.mark.parametrize("document", [{}, {"manifests": [1]}, {"manifests": 5}])
def test_what_is_no_index_has_no_parts(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no index"):
        image_index.parts(document)


def test_what_makes_no_sense_attests_nothing() -> None:
    odd = {"manifests": [{"annotations": {"vnd.docker.reference.digest": "sha256:1"}}]}
    with pytest.raises(ValueError, match="no index"):
        image_index.attestations(odd, "sha256:1")
