"""What became of the builds of a workspace is told afterwards."""

from __future__ import annotations

from pathlib import Path

from tests.engine.support import Workspace, unique


def test_builds_are_told_with_reasons_and_failures_with_causes(
    plain: Workspace, tmp_path: Path
) -> None:
    plain.environment["BAILING_TASKS_APP_IMAGE"] = unique(tmp_path, "history")
    plain.write("a", "one")
    plain.write("b", "one")
    plain.write("Dockerfile", 'FROM scratch\nCOPY a b /\nRUN ["/b"]\n')
    assert plain.invoke("build-app").returncode == 6
    plain.write("Dockerfile", "FROM scratch\nCOPY a b /\n")
    built = plain.document("build-app", "--json")["build-app"]["images"][0]
    assert plain.invoke("build-app").ok  # nothing changed
    plain.write("b", "two")
    assert plain.invoke("build-app").ok
    failed, first, second = plain.document("history", "--json")["history"]["builds"]
    assert (failed["result"], failed["target"], failed["task"]) == ("failed", "app", "build-app")
    assert "/b" in failed["cause"]
    assert (plain.root / failed["log"]).is_file()
    assert (first["result"], first["reason"]) == ("built", built["reason"])
    assert (first["digest"], first["fingerprint"]) == (built["digest"], built["fingerprint"])
    assert "b" in second["reason"]
    plain.write("b", "three")
    assert plain.invoke("build-all").ok
    (third,) = plain.document("history", "--last", "1", "--json")["history"]["builds"]
    assert (third["task"], third["result"]) == ("build-all", "built")
    table = plain.invoke("history", "--last", "1").stdout.splitlines()
    assert len(table) == 2
    assert third["reason"] in table[1]
    assert plain.invoke("history", "--last", "no").returncode == 2
