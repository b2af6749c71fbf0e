"""What is said beside an image: how it was made (provenance), and what is in it (SBOM)."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.engine.support import HOST, Engine, Workspace, made, started, unique

STATEMENT = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://spdx.dev/Document",
    "predicate": {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "scanned"},
}


def program(path: str, text: str) -> bytes:
    """Return a program for linux/amd64 that writes a file."""
    start, base = 0x78, 0x400000
    name, said = path.encode() + b"\0", text.encode()
    at = start + 66
    code = b"\xb8\x02\0\0\0\xbf" + struct.pack("<I", base + at)  # open(path,
    code += b"\xbe\x41\0\0\0\xba\xa4\x01\0\0\x0f\x05"  # O_WRONLY | O_CREAT, 0644)
    code += b"\x89\xc7\xb8\x01\0\0\0\xbe" + struct.pack("<I", base + at + len(name))  # write(fd,
    code += b"\xba" + struct.pack("<I", len(said)) + b"\x0f\x05"  # text, its length)
    code += b"\xb8\x3c\0\0\0\x31\xff\x0f\x05"  # exit(0)
    code = code.ljust(at - start, b"\x90") + name + said
    size = start + len(code)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096) + code


def push_scanner(engine: Engine, folder: Path) -> str:
    """Put a scanner into the registry that always finds the same; return its name."""
    folder.mkdir()
    scan = folder / "scan"
    scan.write_bytes(program("/run/out/found.spdx.json", json.dumps(STATEMENT)))
    scan.chmod(0o755)
    folder.joinpath("Dockerfile").write_text('FROM scratch\nCOPY scan /scan\nCMD ["/scan"]\n')
    name = f"{HOST}/{unique(folder, 'scanner')}:1"
    tag = f"{engine.registry}/{name}"
    engine.must("buildx", "build", "-q", "--provenance=false", "-t", tag, str(folder))
    engine.must("push", "-q", tag)
    engine.must("rmi", tag)
    return name


def app(engine: Engine, folder: Path) -> Workspace:
    """A workspace whose app is all there is, and no builder."""
    found = made(folder, engine)
    found.environment["BAILING_TASKS_APP_IMAGE"] = unique(folder, "a")
    found.environment["BAILING_TASKS_BUILDER_IMAGE"] = unique(folder, "b")
    found.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    return found


def published(engine: Engine, image: str, name: str, what: str) -> dict[str, Any]:
    """Publish an image as people do by hand; return what buildx finds beside it."""
    tag = f"{engine.registry}/attested/{name}"
    engine.must("tag", image, tag)
    engine.must("push", "-q", tag)
    engine.must("rmi", tag)
    said = engine.must("buildx", "imagetools", "inspect", tag, "--format", f"{{{{json .{what}}}}}")
    return dict(json.loads(said))


def test_a_scanner_is_prefetched_and_its_finding_is_beside_the_image(
    containerd: Engine, tmp_path: Path
) -> None:
    scanner = push_scanner(containerd, tmp_path / "scanner")
    workspace = app(containerd, tmp_path)
    workspace.environment["BAILING_TASKS_SBOM"] = scanner
    (image,) = workspace.document("images", "--json")["images"]["images"]
    assert image["reference"] == scanner
    # The host of its name is nowhere: the build finds what was prefetched.
    found = workspace.document("prefetch", "build-app", "--json")
    (built,) = found["build-app"]["images"]
    beside = published(
        containerd, built["kept"], workspace.environment["BAILING_TASKS_APP_IMAGE"], "SBOM"
    )
    assert beside == {"SPDX": STATEMENT["predicate"]}
    (again,) = workspace.document("build-app", "--json")["build-app"]["images"]
    assert again["result"] == "skipped"
    (without,) = workspace.document("build-app", "--json", BAILING_TASKS_SBOM="")["build-app"][
        "images"
    ]
    assert without["result"] == "built"
    assert without["fingerprint"] != built["fingerprint"]


@pytest.mark.parametrize(("provenance", "says"), [("min", False), ("max", True)])
def test_provenance_says_as_much_as_it_is_asked_for(
    containerd: Engine, tmp_path: Path, provenance: str, says: bool
) -> None:
    workspace = app(containerd, tmp_path)
    workspace.write("pyproject.toml", "[tool.bailing-tasks.app]\nbuild-args = { X = 'seen' }\n")
    workspace.environment["BAILING_TASKS_PROVENANCE"] = provenance
    (built,) = workspace.document("build-app", "--json")["build-app"]["images"]
    beside = published(
        containerd, built["kept"], workspace.environment["BAILING_TASKS_APP_IMAGE"], "Provenance"
    )
    assert beside["SLSA"]["buildType"].startswith("https://mobyproject.org/buildkit")
    assert ("seen" in json.dumps(beside)) is says


def test_what_an_engine_cannot_say_is_told_to_who_asked_for_it(home: None, tmp_path: Path) -> None:
    workspace = app(started("classic"), tmp_path)
    result = workspace.invoke("build-app")
    assert result.ok, result.stderr
    assert "built without" not in result.stdout + result.stderr
    result = workspace.invoke("build-app", "--force", BAILING_TASKS_PROVENANCE="max")
    assert result.ok, result.stderr
    assert "built without provenance" in result.stdout + result.stderr
