"""The demo: builds and verifies the workspace's app, then shows what there is.

It takes the Docker engine that is reachable if it can get the external images, else the sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bailing_tasks import git, hosting, needs, process
from bailing_tasks.configuration import load
from bailing_tasks.console import Console
from bailing_tasks.errors import BailingError, EngineError, PullError
from bailing_tasks.interruption import interruptible
from bailing_tasks.settings import Settings
from bailing_tasks.units import size

CHAIN = ("prefetch", "build-builder", "build-app", "verify")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return its exit code."""
    parser = argparse.ArgumentParser(prog="nox -s demo --", description=__doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--sandbox", action="store_true", help="use the private engine in any case")
    where.add_argument(
        "--no-sandbox", action="store_true", help="use the Docker engine in any case"
    )
    parser.add_argument("--platform", action="append", default=[], help="platform to build for")
    parser.add_argument("--python", action="append", default=[], help="Python to build for")
    options = parser.parse_args(arguments)
    console = Console.standard(json=False)
    try:
        with interruptible():
            return _demo(options, console)
    except BailingError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; run it again, it goes on from here", file=sys.stderr)
        return 130


def _demo(options: argparse.Namespace, console: Console) -> int:
    settings = load(
        Path.cwd(),
        environment=os.environ,
        overrides={"platforms": options.platform, "python": options.python},
        remote_path=git.remote_path(Path.cwd()),
        remote_name=hosting.repository_name(git.remote_url(Path.cwd()) or ""),
    )
    if options.sandbox or not (options.no_sandbox or _docker_will_do(settings, console)):
        environment = _sandbox(settings, console)
    else:
        environment = {}
    return _run(settings, options.platform, options.python, environment, console)


def _docker_will_do(settings: Settings, console: Console) -> bool:
    """Whether a Docker engine is reachable that can get every external image."""
    from bailing_tasks.engine.choice import choose
    from bailing_tasks.engine.connect import check_buildx
    from bailing_tasks.kept import is_present
    from bailing_tasks.resolver import Resolver
    from bailing_tasks.state import State

    state = State(settings.root)
    pins = state.pins()
    try:
        engine = choose(
            os.environ,
            builder=settings.buildx_builder,
            layout=state.folder / "oci",
            plain_http=settings.plain_http,
        )
        check_buildx()
        resolver = Resolver(
            engine=engine,
            mirrors=settings.mirrors,
            plain_http=settings.plain_http,
            trust_mirrors=settings.prefetch.trust_mirrors,
            warn=console.warn,
        )
        for image in needs.wanted(settings, engine.platform):
            if not is_present(engine, pins.get(image.key), image):
                resolver.resolve(image)
    except EngineError as error:
        console.say(f"taking the sandbox: {error.message}")
        return False
    except PullError as error:
        console.say(f"taking the sandbox: {error.message}: {error.cause}")
        return False
    console.say("taking the Docker engine that is reachable")
    return True


def _sandbox(settings: Settings, console: Console) -> dict[str, str]:
    from bailing_tasks import sandbox

    references, platforms = needs.standin_needs(settings)
    with console.group("sandbox: a private engine, registry and stand-in base images"):
        status = sandbox.up(references=references, platforms=platforms, report=console.say)
    return sandbox.environment(status)


def _run(
    settings: Settings,
    platforms: Sequence[str],
    pythons: Sequence[str],
    environment: Mapping[str, str],
    console: Console,
) -> int:
    options = [part for name in platforms for part in ("--platform", name)]
    options += [part for name in pythons for part in ("--python", name)]
    argv = [sys.executable, "-m", "invoke"]
    for name in CHAIN:
        argv += [name, *options, "--json"]
    console.say(f"==> invoke {' '.join(part for part in argv[3:] if part != '--json')}")
    result = process.run(
        argv, env={**os.environ, **environment}, cwd=settings.root, show_stderr=True
    )
    if not result.ok:
        return result.returncode
    _show(json.loads(result.stdout), environment, console)
    return 0


def _show(document: Mapping[str, Any], environment: Mapping[str, str], console: Console) -> None:
    results = document["results"]
    rows = [
        (
            image["image"],
            image["platform"],
            size(image["size"]),
            image["digest"].removeprefix("sha256:")[:12],
            f"{image['seconds']:.1f}",
            _cache(image),
        )
        for result in results
        for image in result.get("images", ())
        if "image" in image
    ]
    fetched = next(result for result in results if result["task"] == "prefetch")
    checks = [check["ok"] for result in results for check in result.get("checks", ())]
    console.say()
    console.table(("image", "platform", "size", "digest", "seconds", "from a cache"), rows)
    console.say()
    console.say(
        f"base images: {fetched['pulled']} pulled, {fetched['present']} present, "
        f"{fetched['failed']} failed; checks: {sum(checks)} of {len(checks)} passed"
    )
    app = rows[-1][0]
    docker = process.find("docker", path=environment.get("PATH")) or "docker"
    host = f"DOCKER_HOST={environment['DOCKER_HOST']} " if environment else ""
    console.say(f"run it: {host}{docker} run --rm -p 5000:5000 {app}")
    console.say("then open http://127.0.0.1:5000/ (Ctrl-C ends it)")
    if environment:
        invoke = os.path.relpath(Path(sys.executable).parent / "invoke")
        console.say(
            f"the sandbox goes on running: `{invoke} sandbox-status` shows it, "
            f"`{invoke} sandbox-down` stops it"
        )


def _cache(image: Mapping[str, Any]) -> str:
    if image["result"] != "built":
        return "all: nothing changed" if image["result"] == "skipped" else "all: pulled"
    return f"{image['cached']} of {image['steps']} steps"


if __name__ == "__main__":
    sys.exit(main())
