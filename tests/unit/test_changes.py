"""What changed since the last build, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bailing_tasks.changes import Change, changes, describe
from bailing_tasks.fingerprint import Inputs

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
MANY = {**dict.fromkeys("abcde", "9"), "main.py": "1", "old.py": "2", "same.py": "3"}
BASE = "docker.io/library/base:1 linux/amd64"
BEFORE = Inputs(
    instructions=["FROM base", "COPY . /app", "RUN make"],
    build_args={"A": "1", "GONE": "x"},
    images={BASE: OLD},
    platform="linux/amd64",
    build_platform="",
    files={"main.py": "1", "old.py": "2", "same.py": "3"},
)


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (BEFORE, ""),
        (replace(BEFORE, files={**BEFORE.files, "main.py": "9"}), "file changed: main.py"),
        (
            replace(BEFORE, files={"main.py": "1", "new.py": "9", "same.py": "3"}),
            "files changed: new.py (new), old.py (gone)",
        ),
        (
            replace(BEFORE, files=MANY),
            "files changed: a (new), b (new), c (new) and 2 more",
        ),
        (
            replace(BEFORE, build_args={"A": "2"}),
            "arguments changed: A (1 -> 2), GONE (x -> none)",
        ),
        (
            replace(BEFORE, images={BASE: NEW}),
            f"pin changed: docker.io/library/base:1 linux/amd64 ({OLD[:19]} -> {NEW[:19]})",
        ),
        (
            replace(BEFORE, images={"builder": "localhost/b:fp-1"}),
            f"pins changed: builder (none -> fp-1), {BASE} ({OLD[:19]} -> none)",
        ),
        (
            replace(BEFORE, instructions=["FROM base", "COPY . /app", f"RUN {'x ' * 50}"]),
            f"instructions changed: gone: RUN make, new: RUN {'x ' * 26}x...",
        ),
        (
            replace(BEFORE, build_args={}, files={"main.py": "2", "old.py": "2", "same.py": "3"}),
            "file changed: main.py; arguments changed: A (1 -> none), GONE (x -> none)",
        ),
    ],
)
def test_what_changed_is_named(after: Inputs, text: str) -> None:
    assert describe(changes(BEFORE, after)) == text


def test_an_instruction_keeps_its_whole_text_for_programs() -> None:
    after = replace(BEFORE, instructions=["FROM base", "COPY . /app", "RUN make \\\n  all"])
    gone, new = changes(BEFORE, after)
    assert gone == Change(kind="instruction", name="RUN make", before="RUN make", after="")
    assert (new.name, new.after) == ("RUN make \\ all", "RUN make \\\n  all")


def test_a_name_cannot_end_its_line() -> None:
    after = replace(BEFORE, files={**BEFORE.files, "a\n::error::\x1b[31m": "1"})
    assert describe(changes(BEFORE, after)) == "file changed: a\\n::error::\\x1b[31m (new)"
