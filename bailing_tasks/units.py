"""Numbers and names as people read them. Pure."""

from __future__ import annotations

import re

UNITS = ("B", "kB", "MB", "GB", "TB")
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # such as colours (ECMA-48, control sequences)
    r"|\x1b[P\]X^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # such as a window's title
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def size(count: float) -> str:
    """Return a number of bytes as Docker shows it, in powers of a thousand."""
    value = float(count)
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            return f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def in_one_line(name: str) -> str:
    """Return a name, of a file perhaps, with what ends a line or controls a terminal escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )


def without_controls(text: str) -> str:
    """Return a text less what controls a terminal; tabs and ends of lines stay."""
    return _CONTROLS.sub("", text)
