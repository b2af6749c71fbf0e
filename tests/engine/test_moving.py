"""Tags move last, never back, and nobody else's move goes unnoticed: on a real registry."""

from __future__ import annotations

import fcntl
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bailing_tasks.console import Console
from bailing_tasks.engine.uploads import Uploads
from bailing_tasks.errors import FindingsError, RegistryError, ReleaseError, UsageError
from bailing_tasks.events import Event
from bailing_tasks.platforms import Platform
from bailing_tasks.references import Reference
from bailing_tasks.release.journal import journals
from bailing_tasks.release.model import ROLLBACK, Index, Plan, ReleaseTag, in_order
from bailing_tasks.release.mover import Judge
from bailing_tasks.release.publisher import read_index
from bailing_tasks.release.registry import Registry
from bailing_tasks.release.releasing import Release, Releaser
from bailing_tasks.release.status import status
from bailing_tasks.state import State
from bailing_tasks.tag_moves import BRANCH, VERSION, Move
from bailing_tasks.tag_names import LATEST
from tests.engine import tiny
from tests.engine.proxy import Fault, RegistryProxy, SendingFault
from tests.engine.support import Engine, unique

PLATFORMS = ("linux/amd64", "linux/arm64")
MOVES = Move(True, "it moves")


@dataclass
class Place:
    """A repository, where the indexes `old`, `new` and `other` are published."""

    proxy: RegistryProxy
    folder: Path
    name: str
    said: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.console = Console(self.said, live=False, folded=False)
        self.registry = Registry(self.console)
        for tag in ("old", "new", "other"):
            self.let(tag, tag)

    def let(self, tag: str, content: str) -> None:
        """Let a tag stand for an index, past the proxy."""
        files = {platform: {"file": f"{content} {platform}".encode()} for platform in PLATFORMS}
        tiny.push_index(self.proxy.registry, f"{self.name}:{tag}", files)

    def reference(self, tag: str) -> Reference:
        return Reference.parse(f"{self.proxy.address}/{self.name}:{tag}")

    def digest(self, tag: str) -> str:
        return self.registry.digest(self.reference(tag))

    def index(self, tag: str) -> Index:
        reference = self.reference(tag)
        by_digest = Reference.parse(f"{reference.repository}@{self.digest(tag)}")
        return read_index(self.registry, by_digest, [Platform.parse(each) for each in PLATFORMS])

    def release(
        self,
        tags: Sequence[str],
        *,
        judge: Judge = lambda tag: MOVES,
        replace: bool = False,
        before: Callable[[], None] = lambda: None,
    ) -> Release:
        """Move tags to `new`; `before` is called when it is known where they stand."""
        event = Event(name="push", ref="refs/heads/main", commit="c" * 40)
        every = in_order(
            ReleaseTag(
                target="app",
                python="3.11",
                reference=self.reference(tag),
                kind=LATEST if tag == LATEST else VERSION if tag[0].isdigit() else BRANCH,
                rule=tag,
                event=event,
            )
            for tag in tags
        )
        plan = Plan(kind=ROLLBACK, title="a move", tags=every, annotations={}, replace=replace)
        standing = {tag.name: self.registry.digest(tag.reference) for tag in every}
        before()

        def engine_for(platform: Platform) -> None:
            raise AssertionError(f"no engine is needed ({platform})")

        releaser = Releaser(
            state=State(self.folder),
            registry=self.registry,
            engine_for=engine_for,  # type: ignore[arg-type]
            console=self.console,
        )
        return releaser.move(plan, standing, {("app", "3.11"): self.index("new")}, judge)


@pytest.fixture
def place(containerd: Engine, tmp_path: Path) -> Iterator[Place]:
    with RegistryProxy(containerd.registry) as proxy:
        yield Place(proxy, tmp_path, f"moving/{unique(tmp_path, 'tags')}")


def puts(place: Place) -> list[str]:
    """Return the tags that were put, in order."""
    return [
        path.rpartition("/")[2]
        for method, path, _ in place.proxy.log
        if method == "PUT" and "/manifests/" in path
    ]


def test_versions_move_first_and_latest_last(place: Place) -> None:
    place.let("latest", "old")
    found = place.release(["latest", "main", "1.2.3"])
    assert puts(place) == ["1.2.3", "main", "latest"]
    assert {place.digest(tag) for tag in ("1.2.3", "main", "latest")} == {place.digest("new")}
    assert [tag.before for tag in found.tags] == ["", "", place.digest("old")]
    assert [tag.result for tag in found.tags] == ["moved"] * 3


def test_a_tag_that_stands_right_is_not_put_again(place: Place) -> None:
    place.release(["latest", "main"])
    found = place.release(["latest", "main"])
    assert [tag.result for tag in found.tags] == ["there", "there"]
    assert puts(place) == ["main", "latest"]


def test_a_tag_that_may_not_move_is_left_with_its_reason(place: Place) -> None:
    place.let("latest", "old")
    late = Move(False, "it stands at a later commit")
    by_kind = {LATEST: late, BRANCH: MOVES}
    found = place.release(["main", "latest"], judge=lambda tag: by_kind[tag.kind])
    assert place.digest("latest") == place.digest("old")
    assert place.digest("main") == place.digest("new")
    assert [(tag.result, tag.why) for tag in found.tags][1] == ("left", late.why)
    assert f"latest is left at {place.digest('old')[:19]}: {late.why}" in place.said.getvalue()


def test_a_version_is_taken_from_no_other_image(place: Place) -> None:
    place.let("1.2.3", "old")
    taken = Move(False, "it stands for another image")
    with pytest.raises(UsageError, match="a version stands for one image for good") as caught:
        place.release(["1.2.3", "main", "latest"], judge=lambda tag: taken)
    assert "1.2.3: it stands for another image" in caught.value.cause
    assert "--replace" in caught.value.remedy
    assert puts(place) == []
    place.release(["1.2.3"], judge=lambda tag: taken, replace=True)
    assert place.digest("1.2.3") == place.digest("new")


def test_a_version_of_the_same_images_stays_whatever_its_index_says(place: Place) -> None:
    files = {platform: {"file": f"new {platform}".encode()} for platform in PLATFORMS}
    name = f"{place.name}:1.2.3-rc1"
    tiny.push_index(place.proxy.registry, name, files, annotations={"version": "1.2.3-rc1"})
    before = place.digest("1.2.3-rc1")
    same_commit = Move(None, "it stands for a build of this commit")
    by_rule = {"1.2.3-rc1": same_commit, "1.2.3": MOVES}
    found = place.release(["1.2.3-rc1", "1.2.3"], judge=lambda tag: by_rule[tag.rule])
    assert [(tag.result, tag.digest) for tag in found.tags] == [
        ("there", before),
        ("moved", place.digest("new")),
    ]
    assert place.digest("1.2.3-rc1") == before
    status(journals(State(place.folder))[0], place.registry).check()
    place.let("1.2.4", "old")
    with pytest.raises(UsageError, match="a version stands for one image for good"):
        place.release(["1.2.4"], judge=lambda tag: same_commit)


def test_who_moved_a_tag_meanwhile_is_named_and_the_policy_is_asked_again(place: Place) -> None:
    place.let("main", "old")
    asked: list[str] = []

    def judge(tag: ReleaseTag) -> Move:
        asked.append(place.digest(tag.reference.tag or ""))
        return Move(False, "it stands at a later commit")

    found = place.release(["main"], judge=judge, before=lambda: place.let("main", "other"))
    other = place.digest("other")
    assert asked == [other]
    assert (
        f"main was moved by somebody else: it stands for {other[:19]} now" in place.said.getvalue()
    )
    assert place.digest("main") == other
    assert found.tags[0].result == "left"


def test_a_tag_that_somebody_takes_back_at_once_is_an_error_that_can_be_repaired(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Registry.put

    def overtaken(registry: Registry, raw: bytes, reference: Reference, before: str = "") -> bool:
        done = put(registry, raw, reference, before)
        if reference.tag == LATEST:
            place.let("main", "other")
        return done

    moving = ["main", "latest"]
    monkeypatch.setattr(Registry, "put", overtaken)
    with pytest.raises(ReleaseError, match="main is not what it was set to") as caught:
        place.release(moving)
    monkeypatch.setattr(Registry, "put", put)
    assert caught.value.exit_code == 9
    found = status(journals(State(place.folder))[0], place.registry)
    assert {tag.name.rpartition(":")[2]: tag.status for tag in found.tags} == {
        "main": "changed",
        "latest": "done",
    }
    with pytest.raises(ReleaseError, match="stopped halfway"):
        found.check()
    place.release(moving)
    assert place.digest("main") == place.digest("new")
    status(journals(State(place.folder))[0], place.registry).check()


def test_a_later_release_right_behind_this_one_is_no_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, later = Registry.put, Move(False, "it stands at a later commit")

    def overtaken(registry: Registry, raw: bytes, reference: Reference, before: str = "") -> bool:
        done = put(registry, raw, reference, before)
        place.let("latest", "other")
        return done

    monkeypatch.setattr(Registry, "put", overtaken)
    place.release(["latest"], judge=lambda tag: later if place.digest("latest") else MOVES)
    assert place.digest("latest") == place.digest("other")
    said = f"latest was moved on by somebody else: {later.why}"
    assert said in place.said.getvalue()


def test_who_moves_a_tag_while_it_is_tried_again_is_not_overwritten(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Move(False, "it stands at a later commit")
    place.let("latest", "old")
    # The first attempt fails; before the second one somebody else has released.
    place.proxy.fault(Fault.BAD_GATEWAY, on="manifests", path="/latest", method="PUT", times=1)
    monkeypatch.setattr(Uploads, "listen_again", lambda uploads: place.let("latest", "other"))

    def judge(tag: ReleaseTag) -> Move:
        return MOVES if place.digest("latest") == place.digest("old") else later

    found = place.release(["latest"], judge=judge)
    assert place.digest("latest") == place.digest("other")
    assert found.tags[0].result == "left"


def test_a_refusal_for_good_puts_back_what_was_moved(place: Place) -> None:
    place.let("main", "old")
    place.let("latest", "old")
    place.proxy.fault(
        Fault.FORBIDDEN, on="manifests", path="/latest", method="PUT", words="immutable"
    )
    with pytest.raises(ReleaseError, match="latest could not be pushed") as caught:
        place.release(["main", "latest"])
    assert "immutable" in caught.value.cause
    assert "no tag was moved" in caught.value.remedy
    assert {place.digest(tag) for tag in ("main", "latest")} == {place.digest("old")}
    assert f"main is put back: {place.digest('old')[:19]}" in place.said.getvalue()
    place.proxy.heal()
    place.release(["main", "latest"])
    assert {place.digest(tag) for tag in ("main", "latest")} == {place.digest("new")}


def test_what_an_earlier_run_of_the_release_moved_is_put_back_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailing_tasks.retry.ATTEMPTS", 1)
    place.let("main", "old")
    place.let("latest", "old")
    put = Registry.put

    def killed(registry: Registry, raw: bytes, reference: Reference, before: str = "") -> bool:
        put(registry, raw, reference, before)
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        place.release(["main", "latest"])
    monkeypatch.setattr(Registry, "put", put)
    assert place.digest("main") == place.digest("new")
    place.proxy.fault(Fault.FORBIDDEN, on="manifests", path="/latest", method="PUT")
    with pytest.raises(ReleaseError, match="latest could not be pushed") as caught:
        place.release(["main", "latest"])
    assert place.digest("main") == place.digest("old")
    assert "no tag was moved" in caught.value.remedy
    assert "by somebody else" not in place.said.getvalue()


def test_a_status_that_cannot_be_asked_for_speaks_of_no_push(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailing_tasks.retry.ATTEMPTS", 1)
    place.release(["main"])
    place.proxy.stop()
    with pytest.raises(RegistryError, match="main could not be read") as caught:
        status(journals(State(place.folder))[0], place.registry)
    assert "check the network" in caught.value.remedy


def test_a_tag_may_have_moved_where_the_answer_was_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailing_tasks.retry.ATTEMPTS", 1)
    place.proxy.fault(SendingFault.LOST, on="manifests", path="/main", method="PUT")
    with pytest.raises(ReleaseError, match="main could not be pushed") as caught:
        place.release(["main", "latest"])
    assert place.digest("main") == place.digest("new")
    assert f"moved so far: {place.reference('main')} (perhaps)" in caught.value.remedy
    place.proxy.heal()
    place.release(["main", "latest"])
    assert "by somebody else" not in place.said.getvalue()


def test_a_tag_is_put_back_to_what_somebody_else_made_of_it(place: Place) -> None:
    place.let("main", "old")
    place.proxy.fault(Fault.FORBIDDEN, on="manifests", path="/latest", method="PUT")
    with pytest.raises(ReleaseError, match="latest could not be pushed"):
        place.release(["main", "latest"], before=lambda: place.let("main", "other"))
    assert place.digest("main") == place.digest("other")


def test_a_version_that_is_taken_while_others_move_puts_them_back(place: Place) -> None:
    place.let("1.2.2", "old")
    verdicts = {"1.2.2": MOVES, "1.2.3": MOVES}

    def judge(tag: ReleaseTag) -> Move:
        found = verdicts[tag.rule]
        if tag.rule == "1.2.3":
            place.let("1.2.3", "other")
            verdicts[tag.rule] = Move(False, "it stands for another image")
        return found

    with pytest.raises(UsageError, match="a version stands for one image for good"):
        place.release(["1.2.2", "1.2.3"], judge=judge)
    assert place.digest("1.2.2") == place.digest("old")
    assert place.digest("1.2.3") == place.digest("other")


def test_a_new_tag_that_cannot_be_taken_away_is_named(place: Place) -> None:
    place.proxy.fault(Fault.FORBIDDEN, on="manifests", path="/latest", method="PUT")
    with pytest.raises(ReleaseError) as caught:
        place.release(["1.2.3", "latest"])
    # Debian's registry takes no tag away.
    assert "1.2.3 could not be put back" in place.said.getvalue()
    assert "moved so far" in caught.value.remedy
    assert place.digest("1.2.3") == place.digest("new")


def test_a_registry_that_is_away_for_a_while_is_no_reason_to_put_anything_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailing_tasks.retry.ATTEMPTS", 1)
    place.let("latest", "old")
    place.proxy.fault(Fault.BAD_GATEWAY, on="manifests", path="/latest", method="PUT")
    with pytest.raises(ReleaseError):
        place.release(["main", "latest"])
    assert place.digest("main") == place.digest("new")
    assert place.digest("latest") == place.digest("old")
    place.proxy.heal()
    found = place.release(["main", "latest"])
    assert [tag.result for tag in found.tags] == ["there", "moved"]
    assert found.tags[1].before == place.digest("old")
    (journal,) = journals(State(place.folder))
    steps = [json.loads(line)["step"] for line in journal.path.read_text().splitlines()]
    assert steps == ["begin", "move", "tag", "move", "failed", "tag", "move", "tag", "end"]


def test_without_a_place_for_the_lock_nothing_is_moved(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place.folder / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    with pytest.raises(UsageError, match="cannot be written to") as caught:
        place.release(["main"])
    assert "XDG_CACHE_HOME" in caught.value.remedy
    assert place.digest("main") == ""


def test_a_later_change_is_found_by_the_journal(place: Place) -> None:
    place.release(["main", "latest"])
    place.let("latest", "other")
    found = status(journals(State(place.folder))[0], place.registry)
    with pytest.raises(FindingsError, match=r"1 tags stand for something else since: .*:latest"):
        found.check()
    assert [(tag.status, tag.found) for tag in found.tags][1] == ("changed", place.digest("other"))


def test_two_releases_to_one_repository_go_one_after_the_other(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place.release(["main"])
    (lock,) = (tmp_path / "cache").glob("*/releases/*.lock")
    file = lock.open("a+")
    fcntl.flock(file, fcntl.LOCK_EX)
    # As from another clone, whose state is another one.
    place.folder = tmp_path / "clone"
    waiting = threading.Thread(target=place.release, args=(["latest"],))
    waiting.start()
    while "another run releases to" not in place.said.getvalue() and waiting.is_alive():
        waiting.join(0.05)
    assert place.digest("latest") == ""
    file.close()
    waiting.join()
    assert place.digest("latest") == place.digest("new")
