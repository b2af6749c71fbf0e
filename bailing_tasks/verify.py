"""Checks an app image as it would run: each check is named and passes or fails by itself."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bailing_tasks.engine.base import Container, Engine, Image
from bailing_tasks.errors import EngineError, VerifyError
from bailing_tasks.names import BUILDER_LABEL
from bailing_tasks.settings import VerifySettings
from bailing_tasks.units import size
from bailing_tasks.variants import Variant

POLL_SECONDS = 0.5
NOT_STARTED = (126, 127)
"""The exit codes of a program that cannot be run, or is not there."""
USERS = "/etc/passwd"

_HEALTH = """
import socket, sys, urllib.request
host = socket.gethostbyname(socket.gethostname())
url = f"http://{host}:{sys.argv[1]}{sys.argv[2]}"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with opener.open(url, timeout=10) as answer:
    print(answer.status, url, answer.read(200).decode(errors="replace").strip())
"""
"""Asks by the container's own address: a server on its loopback alone serves nobody."""


Made = Callable[..., AbstractContextManager[Container]]
"""Makes a container of the image, as `Engine.container`."""
Probe = Callable[[], tuple[bool, str]]


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
    container = functools.partial(engine.container, app, variant.platform, owner=owner)
    with container(start=False) as still:
        checks = [
            *_still_checks(engine, still, image, builder, settings),
            *_live_checks(engine, container, settings),
        ]
    return Verification(
        image=app,
        platform=str(variant.platform),
        python=variant.python,
        checks=tuple(checks),
        seconds=time.monotonic() - started,
    )


def _still_checks(
    engine: Engine, container: Container, image: Image, builder: str, settings: VerifySettings
) -> Iterator[Check]:
    """Check what can be seen without running it."""
    if settings.absent_commands:
        programs = [path for path in container.files() if _in_bin(path)]
        for command in settings.absent_commands:
            found = [path for path in programs if is_command(path, command)]
            yield Check(
                name=f"no {command}",
                ok=not found,
                detail=f"found {', '.join(found)}" if found else "in no bin folder",
            )
    if settings.user:
        user = image.user.partition(":")[0]
        yield Check(
            name=f"user is {settings.user}",
            ok=user == settings.user,
            detail=f"the image's user is {image.user or 'root'}",
        )
        uid = user_id(user, container.read(USERS) or b"")
        detail = f"{USERS} has no user {user}" if uid is None else f"user id {uid}"
        yield Check(name="runs without root", ok=bool(uid), detail=detail)
    if settings.smaller_than_builder:
        compared = _its_builder(engine, image) or (engine.image(builder) if builder else None)
        yield _smaller(image, compared)


def user_id(user: str, passwd: bytes) -> int | None:
    """Return the id of an image's user as a runtime finds it; None where there is no such user.

    Args:
        user: Its name or its number; empty for root.
        passwd: The image's `/etc/passwd` (passwd(5)).
    """
    for line in passwd.decode(errors="replace").splitlines():
        name, _, number, *_ = [*line.split(":"), "", "", ""]
        if name == (user or "root") and number.isdecimal():
            return int(number)
    if not user or user.isdecimal():
        return int(user or "0")
    return None


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


def _live_checks(engine: Engine, container: Made, settings: VerifySettings) -> Iterator[Check]:
    """Check what it does: the health page of what the image runs, and programs in its place."""
    for name, check in _probes(container, settings):
        try:
            ok, detail = check()
        except EngineError as error:
            if not engine.answers():
                raise
            ok, detail = False, f"{error.message}: {error.cause}"
        yield Check(name=name, ok=ok, detail=detail)


def _probes(container: Made, settings: VerifySettings) -> Iterator[tuple[str, Probe]]:
    if settings.port:
        yield f"answers {settings.health_path}", lambda: _healthy(container, settings)
    for module in settings.imports:
        argv = (settings.python, "-c", f"import {module}")
        yield f"imports {module}", functools.partial(_runs, container, argv, settings.timeout)
    for command in settings.commands:
        check = functools.partial(_runs, container, command, settings.timeout)
        yield f"runs {' '.join(command)}", check


def _healthy(container: Made, settings: VerifySettings) -> tuple[bool, str]:
    """Ask for the health page until it answers, or until nothing can change that."""
    probe = (settings.python, "-c", _HEALTH, str(settings.port), settings.health_path)
    deadline = time.monotonic() + settings.timeout
    with container(start=True) as box:
        while (ended := box.ended()) is None:
            try:
                code, output = box.run(probe)
            except EngineError:
                if box.ended() is None:
                    raise
                continue
            if code == 0:
                return True, output.strip()
            if code in NOT_STARTED and box.ended() is None:
                return False, _tail(output)
            if time.monotonic() > deadline:
                return False, f"no answer in {settings.timeout} s: {_tail(output)}"
            time.sleep(POLL_SECONDS)
        return False, f"the container ended with exit code {ended}: {_tail(box.log())}"


def _runs(container: Made, argv: Sequence[str], seconds: int) -> tuple[bool, str]:
    """Run a program as the image's user, whatever the image would run."""
    with container(start=True, argv=argv) as box:
        code = box.ended(seconds)
        if code is None:
            return False, f"it did not end in {seconds} s: {_tail(box.log())}"
        return code == 0, _tail(box.log()) if code else "done"


def _in_bin(path: str) -> bool:
    return "bin" in path.split("/")[:-1] or "sbin" in path.split("/")[:-1]


def is_command(path: str, command: str) -> bool:
    """Whether a file is a program, by any name compilers go by: `gcc-12`, `…-linux-gnu-gcc`."""
    pattern = rf"(?:[\w.]+-)*{re.escape(command)}(?:-\d[\d.]*)?"
    return re.fullmatch(pattern, path.rpartition("/")[2]) is not None


def _tail(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
