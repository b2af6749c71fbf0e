"""Numbers and names as people read them. Pure."""

from __future__ import annotations

UNITS = ("B", "kB", "MB", "GB", "TB")


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
