"""`invoke ci-check`, as people and programs run it."""

from __future__ import annotations

import json
import sys

import pytest

from bailing_tasks import process
from tests.unit.workflows.checkout import APP, SHELL, Checkout


def invoke(checkout: Checkout, *argv: str) -> process.Completed:
    """Run the task in a workspace."""
    checkout.write("tasks.py", "from bailing_tasks import namespace\n")
    table = '[tool.bailing-tasks]\nrepository = "ghcr.io/owner/voice"\n'
    checkout.write("pyproject.toml", table)
    process.run(["git", "-C", str(checkout.root), "add", "--all"])
    return process.run([sys.executable, "-m", "invoke", "ci-check", *argv], cwd=checkout.root)


def test_no_finding_is_said(checkout: Checkout) -> None:
    result = invoke(checkout)
    assert (result.returncode, result.stdout) == (0, "no findings in 2 workflows\n")
    document = json.loads(invoke(checkout, "--json").stdout)
    assert (document["schema"], document["findings"]) == (1, [])


def test_findings_end_with_exit_code_1(checkout: Checkout) -> None:
    text = (checkout.root / APP).read_text()
    checkout.write(APP, text.replace("- bailing/**", "- bailing/*.py"))
    line = checkout.line(APP, "bailing/*.py")
    result = invoke(checkout)
    assert result.returncode == 1
    said = result.stdout.splitlines()
    assert said[0].startswith(f"{APP}:{line}: misleading-pattern: 'bailing/*.py' does not mean")
    assert said[1] == "    write 'bailing/**/*.py'"
    assert "error: 1 finding in 2 workflows" in result.stderr
    result = invoke(checkout, "--json")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    (found,) = document["findings"]
    assert found == {
        "file": APP,
        "line": line,
        "rule": "misleading-pattern",
        "message": "'bailing/*.py' does not mean what it seems: a single * stops at /",
        "remedy": "write 'bailing/**/*.py'",
    }
    assert document["results"][0]["task"] == "ci-check"
    assert document["error"]["exit_code"] == 1


@pytest.mark.parametrize("argv", [(), ("--json",)])
def test_bad_input_is_told_without_a_traceback(bare: Checkout, argv: tuple[str, ...]) -> None:
    bare.write(SHELL, "on: [push")
    result = invoke(bare, *argv)
    assert result.returncode == 2
    assert "images.yml:1 is not YAML" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_workflows_it_says_what_to_do(bare: Checkout) -> None:
    result = invoke(bare)
    assert (result.returncode, result.stderr) == (0, "")
    assert "invoke ci-write" in result.stdout


def test_without_git_it_says_so(bare: Checkout) -> None:
    (bare.root / ".git").rename(bare.root / "git")
    result = invoke(bare)
    assert result.returncode == 2
    assert "is in no Git repository" in result.stderr
