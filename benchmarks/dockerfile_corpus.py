"""Reading a folder of Dockerfiles: time of the whole process, exactness, growth with size.

``python benchmarks/dockerfile_corpus.py [FOLDER]``; the folder holds ``dockerfiles/`` and, for the
exactness, ``cases.jsonl``. Its default is the corpus that lies beside a developer's checkout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"
ROUNDS = 5

OURS = """
import sys
from pathlib import Path
from bailing_tasks.dockerfile import DockerfileError, external_images
for path in Path(sys.argv[1]).iterdir():
    try:
        external_images(path.read_bytes())
    except DockerfileError:
        pass
"""
THEIRS = """
import sys
from pathlib import Path
from dockerfile_parse import DockerfileParser
for path in Path(sys.argv[1]).iterdir():
    with path.open("rb") as file:
        DockerfileParser(fileobj=file).parent_images
"""
NOTHING = """
import sys
from pathlib import Path
for path in Path(sys.argv[1]).iterdir():
    path.read_bytes()
"""


def main() -> int:
    """Print the tables, or why there are none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=CORPUS)
    folder: Path = parser.parse_args().folder
    files = folder / "dockerfiles"
    if not files.is_dir():
        print(f"skipped: there is no folder {files.name} in {folder}")
        return 0
    print_times(files)
    print_growth()
    if (folder / "cases.jsonl").is_file():
        print_exactness(folder)
    return 0


def print_times(files: Path) -> None:
    """Seconds of a whole process that reads every file, the best of some rounds."""
    count = sum(1 for _ in files.iterdir())
    times = {
        "Python that only opens them": seconds(NOTHING, files),
        "bailing_tasks.dockerfile": seconds(OURS, files),
        "dockerfile-parse": seconds(THEIRS, files),
    }
    print(f"\n{count} files, whole process, best of {ROUNDS}\n")
    print("| what | seconds | ratio |")
    print("|---|---|---|")
    for name, taken in times.items():
        print(f"| {name} | {taken:.3f} | {taken / times['bailing_tasks.dockerfile']:.2f} |")


def seconds(script: str, files: Path) -> float:
    """What a process with a script takes, start to end."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        command = [sys.executable, "-W", "ignore", "-c", script, str(files)]
        subprocess.run(command, cwd=ROOT, check=True)
        taken.append(time.perf_counter() - began)
    return min(taken)


def print_growth() -> None:
    """Microseconds a line, for files of growing size: the same throughout where it is linear."""
    from bailing_tasks.dockerfile import external_images

    shapes = {
        "ARG": "ARG A{n}=$A{m}x\n",
        "RUN": "RUN step {n}\n",
        "COPY --from": "COPY --from=i{n} a b\n",
        "FROM": "FROM i{n} AS s{n}\n",
    }
    sizes = (1_000, 10_000, 100_000)
    print("\nmicroseconds a line\n")
    print("| lines | " + " | ".join(f"{size:,}" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name, shape in shapes.items():
        cells = []
        for size in sizes:
            # Values that grow with every line would be quadratic text to begin with.
            lines = (shape.format(n=n, m=n - 1 if n % 50 else "") for n in range(size))
            text = "FROM a\n" + "".join(lines)
            began = time.perf_counter()
            external_images(text)
            cells.append(f"{(time.perf_counter() - began) / size * 1e6:.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_exactness(folder: Path) -> None:
    """How many cases are exactly right, by what they set; dockerfile-parse by names alone."""
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    for line in (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        raw = (folder / "dockerfiles" / f"{case['dockerfile']}.Dockerfile").read_bytes()
        for kind in ("all", kind_of(case)):
            total[kind] += 1
            right[kind] += ours_is_right(case, raw)
            theirs[kind] += theirs_is_right(case, raw)
    print("\nexactly right\n")
    print("| cases | number | bailing_tasks.dockerfile | dockerfile-parse, platforms ignored |")
    print("|---|---|---|---|")
    for kind, number in total.most_common():
        print(f"| {kind} | {number} | {right[kind] / number:.1%} | {theirs[kind] / number:.1%} |")


def kind_of(case: dict[str, Any]) -> str:
    """What a case sets beyond the file."""
    if case.get("error"):
        return "refused"
    names = [name for name in ("target", "platform", "args") if name in case]
    return " and ".join(names) or "last stage, no arguments"


def ours_is_right(case: dict[str, Any], raw: bytes) -> bool:
    """Names and platforms, or a refusal."""
    from bailing_tasks.dockerfile import DockerfileError, external_images

    try:
        images = external_images(
            raw,
            target=case.get("target"),
            platform=case.get("platform", "linux/amd64"),
            build_args=case.get("args", {}),
        )
    except DockerfileError:
        return bool(case.get("error"))
    found = sorted([str(image.reference), str(image.platform)] for image in images)
    return found == sorted(case.get("images", [None]))


def theirs_is_right(case: dict[str, Any], raw: bytes) -> bool:
    """The names alone, with scratch and stages left out for it; a refusal is any exception."""
    import io

    from dockerfile_parse import DockerfileParser

    from bailing_tasks.errors import UsageError
    from bailing_tasks.references import Reference

    try:
        parser = DockerfileParser(fileobj=io.BytesIO(raw), build_args=case.get("args", {}))
        stages = {
            words[2].lower()
            for line in parser.structure
            if line["instruction"] == "FROM" and len(words := line["value"].split()) == 3
        }
        named = {name for name in parser.parent_images if name.lower() not in stages}
        found = {str(Reference.parse(name)) for name in named - {"scratch"}}
    except (UsageError, UnicodeDecodeError, AttributeError, IndexError, ValueError):
        return bool(case.get("error"))
    return found == {name for name, _ in case.get("images", [["", ""]])}


if __name__ == "__main__":
    sys.exit(main())
