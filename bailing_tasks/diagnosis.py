"""What a failed build's log means, and what to check: the seeds' troubleshooting. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bailing_tasks.dockerfile import instructions
from bailing_tasks.recipes import Recipe

COMPILERS = ("gcc", "g++", "libc6-dev")
AUDIO_HEADERS = ("portaudio19-dev", "libasound2-dev")

_COMPILE_FAILED = re.compile(
    r"command '\S*(?:gcc|cc|g\+\+)' failed|unable to execute '\S*(?:gcc|cc)'|portaudio\.h"
    r"|failed building wheel for pyaudio|failed to build [`']?pyaudio|gcc: (?:command )?not found",
    re.IGNORECASE,
)
_PYAUDIO = re.compile(r"pyaudio|portaudio", re.IGNORECASE)
_NOT_FOUND = re.compile(r'failed to calculate checksum of ref \S+: "/?(?P<path>.*)": not found')
_ERROR = re.compile(r"^(?:#\d+ )?(?:\d+\.\d+ )?\s*((?:ERROR|error|E):? .+)$")


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Why a build failed, as far as its log and its Dockerfile tell.

    Attributes:
        cause: In one line.
        advice: What to do, and what was checked already, one line each.
    """

    cause: str
    advice: tuple[str, ...]


def diagnose(log: str, recipe: Recipe) -> Diagnosis:
    """Return what a failed build's log means.

    Args:
        log: What BuildKit printed.
        recipe: What was built.
    """
    if "no space left on device" in log.lower():
        return Diagnosis(
            cause="the engine's disk is full",
            advice=("free disk space: `docker system df` shows what takes it",),
        )
    if _COMPILE_FAILED.search(log):
        return Diagnosis(
            cause="a C extension does not compile" + (": PyAudio" if _PYAUDIO.search(log) else ""),
            advice=_compile_checks(recipe),
        )
    if "exec format error" in log:
        return Diagnosis(
            cause=f"this machine cannot run {recipe.variant.platform}",
            advice=("install emulation: `apt-get install qemu-user-static binfmt-support`",),
        )
    if absent := _NOT_FOUND.search(log):
        advice = (
            "it is looked for in the image or stage that the line names with --from, without that "
            f"in the build context ({recipe.variant.target.context}), where a .dockerignore may "
            "leave it out"
        )
        return Diagnosis(cause=f"{absent['path']!r} is not there to be copied", advice=(advice,))
    return Diagnosis(cause=_last_error(log), advice=())


def _compile_checks(recipe: Recipe) -> tuple[str, ...]:
    """Check what the seeds' troubleshooting says to check."""
    text = "\n".join(instructions(recipe.text, **recipe.selection))
    target = recipe.variant.target
    needed = AUDIO_HEADERS if _installs(text, "build-essential") else (*COMPILERS, *AUDIO_HEADERS)
    missing = [name for name in needed if not _installs(text, name)]
    checks = {
        "the lock file is compiled in the builder, not in what is built on it": (
            target.name == "builder" or not recipe.own
        ),
        "the builder is built with its own stage (`--target builder`)": (
            bool(target.stage) or target.name != "builder"
        ),
        "compilers and audio headers are installed in that stage"
        + (f": {', '.join(missing)} missing" if missing else ""): not missing,
    }
    return tuple(f"{'ok' if good else 'CHECK'}: {what}" for what, good in checks.items())


def _installs(text: str, package: str) -> bool:
    return re.search(rf"(?<![\w.+-]){re.escape(package)}(?![\w.+-])", text) is not None


def _last_error(log: str) -> str:
    found = [match[1] for line in log.splitlines() if (match := _ERROR.match(line))]
    return found[-1] if found else "BuildKit did not say why"
