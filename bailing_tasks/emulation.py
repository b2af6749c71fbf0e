"""A word about platforms that a machine builds by emulation. Pure."""

from __future__ import annotations

from bailing_tasks.platforms import Platform

SLOWER = 5
"""How many times slower: the reference app, which compiles PyAudio, for arm64 on x86-64."""


def word(platform: Platform, machine: Platform) -> str:
    """Return what people should know before a build; nothing where the machine runs it itself.

    Args:
        platform: What is built for.
        machine: The platform of the machine that builds.
    """
    if machine.takes(platform):
        return ""
    return (
        f"{platform} is emulated on a machine of {machine}: what compiles takes about {SLOWER} "
        "times as long\n"
        f'with a machine of that architecture it need not be: builders = {{ "{platform}" = '
        '"NAME" } in [tool.bailing-tasks], a buildx builder or a Docker context'
    )
