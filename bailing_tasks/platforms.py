"""Platforms: operating system, architecture and variant, as in ``linux/arm64``.

The names and their normal forms are those of containerd's module ``platforms``, which Docker and
BuildKit use.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

from bailing_tasks.errors import UsageError

_OS = re.compile(r"(?P<os>[A-Za-z0-9_-]+)(?:\((?P<version>[A-Za-z0-9_.%-]*)\))?")
_PART = re.compile(r"[A-Za-z0-9_.-]+")
#: As ``uname -m`` has them: armv7l, i686.
_ARM_MACHINE = re.compile(r"arm(v[5-8])")
_X86 = re.compile(r"i[3-6]86")
_PLAIN = re.compile(r"[a-z0-9]+(?:-v[0-9]+)?")
_SYSTEMS = re.compile(
    "aix|android|darwin|dragonfly|freebsd|hurd|illumos|ios|js|linux|nacl|netbsd|openbsd|plan9"
    "|solaris|windows|zos"
)
_ARCHITECTURES = re.compile(
    "386|amd64|amd64p32|arm|armbe|arm64|arm64be|ppc64|ppc64le|loong64|mips|mipsle|mips64|mips64le"
    "|mips64p32|mips64p32le|ppc|riscv|riscv64|s390|s390x|sparc|sparc64|wasm"
)


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image is built for.

    Attributes:
        os: As Go names it: ``linux``, ``windows``, ``darwin``.
        architecture: As Go names it: ``amd64``, ``arm64``, ``arm``.
        variant: ``v7`` in ``linux/arm/v7``; empty where the usual one is meant.
        os_version: ``10.0.17763`` in ``windows(10.0.17763)/amd64``.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str, *, architecture: str = "amd64") -> Platform:
        """Read a platform in any of the ways Docker takes one, into its normal form.

        Args:
            text: ``arm64``, ``linux``, ``linux/arm64``, ``linux/arm/v6`` and the like.
            architecture: The machine's own, taken where the text names only a system.

        Raises:
            UsageError: The text is no platform.
        """
        system, *rest = text.split("/")
        match = _OS.fullmatch(system)
        if match is None or len(rest) > 2 or not all(map(_PART.fullmatch, rest)):
            raise _malformed(text, "it does not follow os/architecture[/variant]")
        os = _normal_os(match["os"])
        version = match["version"] or ""
        if rest:
            return cls(os, *_normal_architecture(*rest), version)
        if _SYSTEMS.fullmatch(os):
            return cls(os, *_normal_architecture(architecture), version)
        name, variant = _normal_architecture(system)
        if not _ARCHITECTURES.fullmatch(name):
            raise _malformed(text, "neither an operating system nor an architecture has that name")
        return cls("linux", name, variant)

    @classmethod
    def from_machine(cls, machine: str) -> Platform:
        """The Linux platform of a machine, by the name its kernel gives (``x86_64``)."""
        if arm := _ARM_MACHINE.match(machine):
            return cls("linux", "arm", arm[1])
        return cls("linux", *_normal_architecture("386" if _X86.fullmatch(machine) else machine))

    @property
    def short(self) -> str:
        """The platform in the names of images and sessions: ``arm64``, ``arm-v7``.

        No two have the same: what is not Linux, or of an unusual form, ends in a digest.
        """
        name = "-".join(part for part in (self.architecture, self.variant) if part)
        if self.os == "linux" and not self.os_version and _PLAIN.fullmatch(name):
            return name
        return f"{name[:10]}-{hashlib.sha256(str(self).encode()).hexdigest()[:8]}"

    def takes(self, other: Platform) -> bool:
        """Whether an image for another platform runs here."""
        return other in self.preferences()

    def preferences(self) -> tuple[Platform, ...]:
        """The platforms whose images are taken for this one, the best first.

        As in containerd's ``platformVector``: an older variant of the same architecture runs as
        well, a 32-bit Arm image on 64-bit Arm, and a 386 image on amd64.
        """
        found = [self]
        if self.architecture == "amd64":
            level = int(self.variant[1:]) if re.fullmatch(r"v[2-9]", self.variant) else 1
            lower = [f"v{number}" if number > 1 else "" for number in range(level - 1, 0, -1)]
            found += [replace(self, variant=variant) for variant in lower]
            found.append(replace(self, architecture="386", variant=""))
        elif self.architecture == "arm":
            found += self._older_arm(self.variant)
        elif self.architecture == "arm64" and not self.variant:
            eight = replace(self, architecture="arm", variant="v8")
            found += [eight, *eight._older_arm("v8")]
        return tuple(found)

    def _older_arm(self, variant: str) -> list[Platform]:
        order = ("v8", "v7", "v6", "v5")
        older = order[order.index(variant) + 1 :] if variant in order else ()
        return [replace(self, architecture="arm", variant=name) for name in older]

    def __str__(self) -> str:
        system = f"{self.os}({self.os_version})" if self.os_version else self.os
        return "/".join(part for part in (system, self.architecture, self.variant) if part)


def _normal_os(name: str) -> str:
    lower = name.lower()
    return "darwin" if lower == "macos" else lower


def _normal_architecture(name: str, variant: str = "") -> tuple[str, str]:
    """An architecture and its variant, by the names that images carry."""
    name, variant = name.lower(), variant.lower()
    if name == "i386":
        return "386", ""
    if name in ("x86_64", "x86-64", "amd64"):
        return "amd64", "" if variant == "v1" else variant
    if name in ("aarch64", "arm64"):
        return "arm64", "" if variant in ("8", "v8") else variant
    if name == "armhf":
        return "arm", "v7"
    if name == "armel":
        return "arm", "v6"
    if name == "arm":
        return "arm", {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    return name, variant


def _malformed(text: str, cause: str) -> UsageError:
    return UsageError(
        f"{text!r} is not a platform", cause=cause, remedy="write it as in linux/amd64"
    )
