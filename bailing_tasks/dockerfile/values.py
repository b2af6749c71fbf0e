"""Small values as Go reads them: durations, numbers, sizes, modes, signals, ports.

Each check refuses what BuildKit refuses; what a value means is of no interest here.
"""

from __future__ import annotations

import re

from bailing_tasks.dockerfile.text import Refused, from_raw

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_UNIT = r"(?:ns|us|\xc2\xb5s|\xce\xbcs|ms|s|m|h)"
_DURATION = re.compile(rf"[+-]?(?:0|(?:{_NUMBER}{_UNIT})+)")
_DURATION_PART = re.compile(rf"({_NUMBER})({_UNIT})")
_MILLISECONDS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}
_MAX_MILLISECONDS = (1 << 63) / 1e6
_INTEGER = re.compile(r"[+-]?[0-9]+")
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SIZE = re.compile(rf"[+-]?{_NUMBER}(?:[eE][+-]?[0-9]+)? ?(?:[kmgtp]?b?|[kmgtp]ib)", re.IGNORECASE)
_OCTAL = re.compile(r"0*[0-7]{1,4}")
_PERMISSION = r"[augo]*(?:[-+=][rstwXxugo]*)+"
_SYMBOLIC = re.compile(rf"{_PERMISSION}(?:,{_PERMISSION})*")
_SIGNAL = re.compile(
    r"(?:SIG)?(?:ABRT|ALRM|BUS|CHLD|CLD|CONT|FPE|HUP|ILL|INT|IO|IOT|KILL|PIPE|POLL|PROF|PWR|QUIT"
    r"|SEGV|STKFLT|STOP|SYS|TERM|TRAP|TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ"
    r"|RTMIN(?:\+(?:[1-9]|1[0-5]))?|RTMAX(?:-(?:[1-9]|1[0-4]))?)"
)
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_MAX_PORT = 65_535


def check_duration(name: str, text: str) -> None:
    """A duration as in ``1m30s``: none at all, zero, or a millisecond and more."""
    if not text:
        return
    if not _DURATION.fullmatch(text):
        raise Refused(f"{name} is {from_raw(text)!r}", "write a duration, as in 30s or 1m30s")
    total = sum(
        float(number) * _MILLISECONDS.get(unit, 1e-3)
        for number, unit in _DURATION_PART.findall(text)
    )
    too_short = total < 1.0 or text.startswith("-")
    if (total and too_short) or total >= _MAX_MILLISECONDS:
        raise Refused(f"{name} is out of bounds", "write a duration of 1ms or more")


def check_integer(name: str, text: str, bits: int) -> None:
    """A number that is not negative, of a signed type of so many bits."""
    if not _INTEGER.fullmatch(text) or not 0 <= integer(text) < 1 << (bits - 1):
        raise Refused(f"{name} is {from_raw(text)!r}", "write a number from 0 up")


def integer(text: str) -> int:
    """The value of digits, of which there may be thousands; then it is just too large."""
    return int(text) if len(text) < 40 else (-1 if text.startswith("-") else 1) * 10**40


def is_integer(text: str) -> bool:
    """Whether Go's ``Atoi`` reads text as a number."""
    return bool(_INTEGER.fullmatch(text)) and -(1 << 63) <= integer(text) < 1 << 63


def check_unsigned(name: str, text: str, base: int) -> None:
    """A number of 32 bits with no sign."""
    digits = "0-7" if base == 8 else "0-9"
    significant = text.lstrip("0")[:40] or "0"
    if not re.fullmatch(f"[{digits}]+", text) or int(significant, base) >= 1 << 32:
        raise Refused(f"{name} is {from_raw(text)!r}", "write a number with no sign")


def check_bool(name: str, text: str) -> None:
    """A truth value as Go's ``ParseBool`` takes them."""
    if text not in _TRUE and text not in _FALSE:
        raise Refused(f"{name} is {from_raw(text)!r}", "write true or false")


def is_true(text: str) -> bool:
    """What a truth value that was checked says."""
    return text in _TRUE


def check_size(name: str, text: str) -> None:
    """A size of memory, as in ``64m``."""
    if not _SIZE.fullmatch(text) or text.startswith("-"):
        raise Refused(f"{name} is {from_raw(text)!r}", "write a size, as in 64m")


def check_mode(text: str) -> None:
    """The value of ``--chmod``: octal digits, or as in ``u=rwX,go=rX``."""
    if text and not _OCTAL.fullmatch(text) and not _SYMBOLIC.fullmatch(text):
        raise Refused(
            f"--chmod is {from_raw(text)!r}", "write octal digits up to 7777, or as in u=rwX,go=rX"
        )


def check_signal(text: str) -> None:
    """The value of STOPSIGNAL: a number, or a name with or without ``SIG``."""
    if is_integer(text) and integer(text):
        return
    if not _SIGNAL.fullmatch(text.upper()):
        raise Refused(f"there is no signal {from_raw(text)!r}", "write it as in SIGTERM or 15")


def check_digest(text: str) -> None:
    """The value of ``--checksum`` for a file from the web."""
    if not _DIGEST.fullmatch(text):
        raise Refused(f"--checksum is {from_raw(text)!r}", "write it as in sha256:<64 hex digits>")


def check_port(text: str) -> None:
    """One port of EXPOSE: ``[[ip:]host:]port[-port][/protocol]``."""
    *outer, inner = text.split(":")
    container, _, protocol = inner.partition("/")
    remedy = "write it as in 80, 80/udp or 8000-8010/tcp"
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise Refused(f"EXPOSE has the protocol {from_raw(protocol)!r}", "use tcp, udp or sctp")
    ports = _port_range(container)
    if ports is None:
        raise Refused(f"EXPOSE has the port {from_raw(text)!r}", remedy)
    host_text = outer.pop() if outer else ""
    host_ports = _port_range(host_text) if host_text else ports
    if host_ports is None:
        raise Refused(f"EXPOSE has the host port {from_raw(host_text)!r}", remedy)
    length, host_length = ports[1] - ports[0], host_ports[1] - host_ports[0]
    if length and length != host_length:
        raise Refused("EXPOSE maps ranges of different lengths", remedy)
    _check_address(":".join(outer))


def _port_range(text: str) -> tuple[int, int] | None:
    first, dash, last = text.partition("-")
    bounds = (first, last if dash else first)
    if not all(part.isascii() and part.isdecimal() for part in bounds):
        return None
    start, end = (integer(part) for part in bounds)
    return (start, end) if start <= end <= _MAX_PORT else None


def _check_address(text: str) -> None:
    if not text:
        return
    import ipaddress  # addresses in EXPOSE are rare, and the module is slow to load

    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        if "%" in bare:
            raise ValueError(bare)
        ipaddress.ip_address(bare)
    except ValueError:
        raise Refused(f"EXPOSE has the address {from_raw(text)!r}", "name the port only") from None
