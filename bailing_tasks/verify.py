"""Checks an app image as it would run: each check is named and passes or fails by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bailing_tasks.engine.base import Container, Engine, Image
from bailing_tasks.errors import EngineError, VerifyError
from bailing_tasks.names import BUILDER_LABEL
from bailing_tasks.platforms import Platform
from bailing_tasks.settings import VerifySettings
from bailing_tasks.units import size
from bailing_tasks.variants import Variant

POLL_SECONDS = 0.5

_HEALTH = """
import socket, sys, urllib.request
host = socket.gethostbyname(socket.gethostname())
url = f"http://{host}:{sys.argv[1]}{sys.argv[2]}"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(url, timeout=10) as answer:
    print(answer.status, url, answer.read(200).decode(errors="replace").strip())
"""
"""Asks by the container's own address: a server on its loopback alone serves nobody."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: What is checked.
        ok: Whether it passed.
        detail: What was found.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The checks of one image.

    Attributes:
        image: Its local name.
        platform: Its platform.
        python: Its Python version.
        checks: Each check.
        seconds: How long they took.
    """

    image: str
    platform: str
    python: str
    checks: tuple[Check, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether all passed."""
        return all(check.ok for check in self.checks)


def verify(
    engine: Engine,
    app: str,
    builder: str,
    variant: Variant,
    *,
    settings: VerifySettings,
    owner: str,
) -> Verification:
    """Check an app image that the engine holds.

    Args:
        engine: The engine.
        app: The app image.
        builder: The builder image it is compared with, unless its label names the one it has;
            empty for none.
        variant: What both are for.
        settings: What it has to be.
        owner: The workspace, whose containers these are.

    Raises:
        VerifyError: There is no such image.
        EngineError: The engine failed.
    """
    started = time.monotonic()
    engine.remove_containers(owner)
    image = engine.image(app)
    if image is None:
        raise VerifyError(f"there is no image {app}", remedy="run `invoke build-app` first")
    checks = [
        *_still_checks(engine, app, image, builder, variant.platform, settings, owner),
        *_live_checks(engine, app, variant.platform, settings, owner),
    ]
    return Verification(
        image=app,
        platform=str(variant.platform),
        python=variant.python,
        checks=tuple(checks),
        seconds=time.monotonic() - started,
    )


def _still_checks(
    engine: Engine,
    app: str,
    image: Image,
    builder: str,
    platform: Platform,
    settings: VerifySettings,
    owner: str,
) -> Iterator[Check]:
    """Check what can be seen without running it."""
    if settings.absent_commands:
        with engine.container(app, platform, start=False, owner=owner) as container:
            programs = [path for path in container.files() if _in_bin(path)]
        for command in settings.absent_commands:
            found = [path for path in programs if is_command(path, command)]
            yield Check(
                name=f"no {command}",
                ok=not found,
                detail=f"found {', '.join(found)}" if found else "in no bin folder",
            )
    if settings.user:
        yield Check(
            name=f"user is {settings.user}",
            ok=image.user.partition(":")[0] == settings.user,
            detail=f"the image's user is {image.user or 'root'}",
        )
    if settings.smaller_than_builder:
        here = engine.image(builder) if builder else None
        yield _smaller(image, _its_builder(engine, image) or here)


def _its_builder(engine: Engine, app: Image) -> Image | None:
    """Return the builder that an image names; it may have come without it."""
    name, _, content = app.labels.get(BUILDER_LABEL, "").rpartition("@")
    found = engine.image(name) if name else None
    return found if found and found.content == content else None


def _smaller(image: Image, builder: Image | None) -> Check:
    if builder is None:
        return Check(
            name="smaller than the builder", ok=True, detail="no builder is here to compare with"
        )
    return Check(
        name="smaller than the builder",
        ok=image.size < builder.size,
        detail=f"{size(image.size)} against {size(builder.size)}",
    )


def _live_checks(
    engine: Engine, app: str, platform: Platform, settings: VerifySettings, owner: str
) -> Iterator[Check]:
    """Check what it does in a container started from it."""
    probes = dict(_probes(settings))
    try:
        with engine.container(app, platform, start=True, owner=owner) as container:
            for name in list(probes):
                ok, detail = _probed(container, probes.pop(name))
                yield Check(name=name, ok=ok, detail=detail)
    except EngineError as error:
        if not engine.answers():
            raise
        for name in probes:
            yield Check(name=name, ok=False, detail=f"{error.message}: {error.cause}")


def _probed(container: Container, probe: Probe) -> tuple[bool, str]:
    try:
        if container.running():
            return probe(container)
    except EngineError:
        if container.running():
            raise
    return False, f"the container ended: {_tail(container.log())}"


Probe = Callable[[Container], tuple[bool, str]]


def _probes(settings: VerifySettings) -> Iterator[tuple[str, Probe]]:
    if settings.port:
        yield f"answers {settings.health_path}", lambda box: _healthy(box, settings)
    if settings.user:
        yield "runs without root", _without_root
    for module in settings.imports:
        yield f"imports {module}", _command((settings.python, "-c", f"import {module}"))
    for command in settings.commands:
        yield f"runs {' '.join(command)}", _command(command)


def _healthy(container: Container, settings: VerifySettings) -> tuple[bool, str]:
    probe = (settings.python, "-c", _HEALTH, str(settings.port), settings.health_path)
    deadline = time.monotonic() + settings.timeout
    while True:
        code, output = container.run(probe)
        if code == 0:
            return True, output.strip()
        if time.monotonic() > deadline:
            return False, f"no answer in {settings.timeout} s: {_tail(output)}"
        time.sleep(POLL_SECONDS)


def _without_root(container: Container) -> tuple[bool, str]:
    uids = container.uids()
    return bool(uids) and 0 not in uids, f"user id {', '.join(map(str, uids)) or 'unknown'}"


def _command(argv: tuple[str, ...]) -> Probe:
    def probe(container: Container) -> tuple[bool, str]:
        code, output = container.run(argv)
        return code == 0, _tail(output) if code else "done"

    return probe


def _in_bin(path: str) -> bool:
    return "bin" in path.split("/")[:-1] or "sbin" in path.split("/")[:-1]


def is_command(path: str, command: str) -> bool:
    """Whether a file is a program, by any name compilers go by: `gcc-12`, `…-linux-gnu-gcc`."""
    pattern = rf"(?:[\w.]+-)*{re.escape(command)}(?:-\d[\d.]*)?"
    return re.fullmatch(pattern, path.rpartition("/")[2]) is not None


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
