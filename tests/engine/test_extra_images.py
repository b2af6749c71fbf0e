"""Images that no Dockerfile names are brought with the rest."""

from __future__ import annotations

from pathlib import Path

from tests.engine.support import HOST, Workspace, unique
from tests.engine.tiny import push


def test_images_of_the_settings_and_of_compose_files_are_brought(
    plain: Workspace, tmp_path: Path
) -> None:
    extra, cache, arm = (
        push(
            plain.engine.registry,
            f"{HOST}/{unique(tmp_path, name)}:1",
            20,
            architecture="arm64" if name == "arm" else "amd64",
        ).name
        for name in ("extra", "cache", "arm")
    )
    plain.write("Dockerfile", "FROM scratch\nCOPY tasks.py /\n")
    plain.write(
        "pyproject.toml",
        '[tool.bailing-tasks]\nname = "bailing"\n'
        f'extra-images = ["{extra}"]\ncompose-files = ["compose.yaml"]\n',
    )
    plain.write(
        "compose.yaml",
        "services:\n"
        f"  cache: {{image: '{cache.removesuffix(':1')}:${{TAG}}'}}\n"
        f"  arm: {{image: '{arm}', platform: linux/arm64}}\n"
        "  app: {image: bailing}\n"
        "  made: {image: 'made:1', build: .}\n",
    )
    refused = plain.invoke("prefetch")
    assert refused.returncode == 2
    assert "compose.yaml:2: " in refused.stderr
    plain.write(".env", "TAG=1\n")
    fetched = plain.document("prefetch", "--json", "--strict")["prefetch"]
    assert {(each["reference"], each["platform"]) for each in fetched["images"]} == {
        (extra, "linux/amd64"),
        (cache, "linux/amd64"),
        (arm, "linux/arm64"),
    }
    assert all(map(plain.engine.has, (extra, cache)))
    listed = plain.document("images", "--json")["images"]["images"]
    assert {tuple(each["named_at"]): each["present"] for each in listed} == {
        ("extra-images in pyproject.toml",): True,
        ("compose.yaml:2",): True,
        ("compose.yaml:3",): True,
    }
