"""What docker/metadata-action makes of its inputs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bailing_tasks.errors import UsageError
from bailing_tasks.events import Event
from bailing_tasks.handlebars import render
from bailing_tasks.metadata import evaluate

COMMIT = "860c190" + "1" * 33
MOMENT = datetime(2020, 1, 10, 0, 30, 5, tzinfo=UTC)

MAIN = Event(name="push", ref="refs/heads/main", commit=COMMIT)
DEV = Event(name="push", ref="refs/heads/dev", commit=COMMIT)
ODD = Event(name="push", ref="refs/heads/my/feature#1245@x", commit=COMMIT)
PULL = Event(name="pull_request", ref="refs/pull/2/merge", commit=COMMIT, base_branch="main")
NIGHT = Event(name="schedule", ref="refs/heads/main", commit=COMMIT)
ISSUE = Event(name="issues", ref="refs/heads/x", commit=COMMIT)
BARE = Event(name="push", ref="refs/heads/main", commit="")


def tag(name: str) -> Event:
    return Event(name="push", ref=f"refs/tags/{name}", commit=COMMIT)


def made(event: Event, lines: str, flavor: str = "") -> str:
    """Return the tags for lines that are separated by `;`."""
    found = evaluate(
        lines.split(";"), flavor.split(";"), event, default_branch="main", moment=MOMENT
    )
    return " ".join(found)


@pytest.mark.parametrize(
    ("event", "tags"),
    [
        (MAIN, "main"),
        (ODD, "my-feature-1245-x"),
        (tag("v1.2.3"), "v1.2.3 latest"),
        (tag("release/x"), "release-x latest"),
        (PULL, "pr-2"),
        (NIGHT, "nightly main"),
    ],
)
def test_without_lines_it_goes_by_the_ref(event: Event, tags: str) -> None:
    assert made(event, "") == tags
    assert made(event, "# type=sha") == tags


SEMVER = "type=semver,pattern={{version}};type=semver,pattern={{major}}.{{minor}}"


@pytest.mark.parametrize(
    ("event", "lines", "tags"),
    [
        (tag("v1.2.3"), SEMVER, "1.2.3 1.2 latest"),
        (tag("v1.2.3+build.5"), SEMVER, "1.2.3 1.2 latest"),
        (tag("v1.2.3-rc.1"), SEMVER, "1.2.3-rc.1"),
        (tag("v2.0.8-beta.67"), "type=semver,pattern={{raw}}", "v2.0.8-beta.67"),
        (tag("v2.0.8-beta.67"), "type=semver,pattern={{{ raw }}}", "v2.0.8-beta.67"),
        (tag("v2.0.8-beta.67"), "type=semver,pattern=x{{raw}}", "2.0.8-beta.67"),
        (tag("v1.2.3"), "type=semver,pattern=v{{major}}", "v1 latest"),
        (tag("v1.2.3"), "type=semver,pattern={{patch}}-{{nothing}}", "3- latest"),
        (tag("1.2"), SEMVER, ""),
        (tag("app-v1.2.3"), SEMVER, ""),
        (tag("app/v1.2.3"), "type=semver,pattern={{version}},match=app/(.*)", "1.2.3 latest"),
        (tag("v1.2.3"), "type=semver,pattern={{version}},match=app/(.*)", "1.2.3 latest"),
        (MAIN, SEMVER, ""),
        (MAIN, "type=semver,pattern={{major}},value=v4.5.6", "4 latest"),
        (MAIN, "type=semver,pattern={{major}},value={{branch}}", ""),
        (tag("1.2"), "type=pep440,pattern={{version}}", "1.2 latest"),
        (tag("v1.2"), "type=pep440,pattern={{major}}.{{minor}}.{{patch}}", "1.2.0 latest"),
        (tag("1.1beta2"), "type=pep440,pattern={{major}}", "1.1b2"),
        (tag("1.1beta2"), "type=pep440,pattern={{raw}}", "1.1beta2"),
        (tag("1.2post1"), "type=pep440,pattern={{version}}", "1.2.post1"),
        (tag("1.0dev4"), "type=pep440,pattern={{version}}", "1.0.dev4"),
        (tag("v1.2.3-rc.1"), "type=pep440,pattern={{version}}", "1.2.3rc1"),
        (tag("v1.2.3"), "type=match,pattern=v(.*),group=1", "1.2.3 latest"),
        (tag("v1.2.3"), r"type=match,pattern=\d.\d", "1.2 latest"),
        (tag("V1.2.3"), r"type=match,pattern=/v(\d)/i,group=1", "1 latest"),
        (tag("v1.2.3"), r"type=match,pattern=(?<=v)(?<one>\d),group=1", "1 latest"),
        (tag("v1.2.3"), "type=match,pattern=x(.*),group=1", ""),
        (tag("v1.2.3"), "type=match,pattern=v(.*),group=3", ""),
        (tag("v1.2.3"), "type=match,pattern=v(x)?,group=1", ""),
        (MAIN, "type=match,pattern=.*", ""),
        (MAIN, "type=match,pattern=m.*,value={{branch}}", "main latest"),
        (MAIN, "type=edge", "edge"),
        (DEV, "type=edge", ""),
        (DEV, "type=edge,branch=dev", "edge"),
        (PULL, "type=edge", ""),
        (tag("x"), "type=ref,event=branch;type=ref,event=pr", ""),
        (PULL, "type=ref,event=pr,prefix=", "2"),
        (DEV, "type=ref,event=tag;type=ref,event=pr", ""),
        (DEV, "type=raw,value=foo", "foo"),
        (DEV, "foo", "foo"),
        (DEV, "type=raw,value=a b/c", "a-b-c"),
        (DEV, '"type=raw","value=a,b"', "a-b"),
        (DEV, "type=raw,value=a=b", "a-b"),
        (DEV, "type=raw,value={{tag}}", ""),
        (DEV, "type=sha", "sha-860c190"),
        (DEV, "type=sha,format=long,prefix=", COMMIT),
        (BARE, "type=sha", ""),
        (NIGHT, "type=schedule,pattern={{date 'YYYYMMDD'}}", "20200110"),
        (DEV, "type=schedule", ""),
    ],
)
def test_each_type_makes_its_tag(event: Event, lines: str, tags: str) -> None:
    assert made(event, lines) == tags


@pytest.mark.parametrize(
    ("event", "lines", "flavor", "tags"),
    [
        # The first one that makes a tag names the version and decides about `latest`.
        (tag("v1.2.3"), "type=sha;type=semver,pattern={{version}}", "", "1.2.3 sha-860c190 latest"),
        (
            tag("v1.2.3"),
            "type=semver,pattern={{version}};type=sha,priority=2000",
            "",
            "sha-860c190 1.2.3",
        ),
        (
            tag("x"),
            "type=semver,pattern={{version}};type=sha;type=ref,event=tag",
            "",
            "x sha-860c190 latest",
        ),
        (DEV, "type=raw,value=a;type=raw,value=b;type=raw,value=a", "", "a b"),
        (DEV, "type=raw,value=latest", "latest=true", "latest"),
        (DEV, "type=sha", "latest=true", "sha-860c190 latest"),
        (tag("v1.2.3"), "", "latest=false", "v1.2.3"),
        (tag("v1.2.3"), "", "latest=auto;suffix=-slim", "v1.2.3-slim latest"),
        (tag("v1.2.3"), "", "suffix=-slim,onlatest=true", "v1.2.3-slim latest-slim"),
        (tag("v1.2.3"), "", "prefix=a-,onlatest=true,labelprefix=x", "a-v1.2.3 a-latest"),
        (tag("v1.2.3"), "", "prefix=a-,onlatest=false", "a-v1.2.3 latest"),
        (DEV, "type=sha", "prefix=a-", "sha-860c190"),
        (DEV, "type=raw,value=x,prefix={{branch}}-,suffix=-{{sha}}", "", "dev-x-860c190"),
        (DEV, "type=raw,value=x,enable=false;y", "", "y"),
        (DEV, "type=raw,value=latest,enable={{is_default_branch}}", "", ""),
        (MAIN, "type=raw,value=latest,enable={{is_default_branch}}", "", "latest"),
        (PULL, "type=raw,value=latest,enable={{is_default_branch}}", "", ""),
        (tag("main"), "type=raw,value=latest,enable={{is_default_branch}}", "", ""),
        (NIGHT, "type=raw,value=latest,enable={{is_default_branch}}", "", "latest"),
        (ISSUE, "type=raw,value=latest,enable={{is_default_branch}}", "", "latest"),
        (PULL, "type=raw,value={{base_ref}}-{{ sha }}", "", "main-860c190"),
    ],
)
def test_priority_and_flavor_decide_together(
    event: Event, lines: str, flavor: str, tags: str
) -> None:
    assert made(event, lines, flavor) == tags


@pytest.mark.parametrize(
    ("lines", "flavor", "said"),
    [
        ("type=semvre,pattern=x", "", "'type=semvre,pattern=x': there is no type semvre"),
        ("type=semver", "", "needs the attribute pattern"),
        ("type=match", "", "needs the attribute pattern"),
        ("type=ref", "", "needs the attribute event"),
        ("type=raw", "", "needs the attribute value"),
        ("type=ref,event=branches", "", "write branch or tag or pr"),
        ("type=sha,format=medium", "", "write short or long"),
        ("type=match,pattern=x,group=a", "", "group=a is no number"),
        ("type=sha,priority=high", "", "priority=high is no number"),
        ("type=sha,enabled=false", "", "type=sha has no attribute enabled"),
        ("type=sha,enable=yes", "", "'type=sha,enable=yes': enable=yes is neither"),
        ("type=sha,enable={{is_default_branch", "", "is neither true nor false"),
        ("type=raw,value=${{ github.sha }}", "", "the expression {{github.sha}} is not understood"),
        ("type=raw,value={{date 'YYYY-Q'}}", "", "Q is none of"),
        ("type=match,pattern=(,value=x", "", "( is no regular expression"),
        ("type=semver,pattern=x,value=v1.2.3,match=v", "", "match=v has no group"),
        ("type=sha", "latest=maybe", "'latest=maybe': latest is no flavor"),
        ("type=sha", "onlatest=true", "onlatest is no flavor"),
        ("type=sha", "true", "true is no flavor"),
    ],
)
def test_what_it_would_refuse_or_overlook_is_an_error(lines: str, flavor: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(MAIN, lines, flavor)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ a }}-{{{a}}}-{{& a}}", "x&amp;&#x3D;-x&=-x&="),
        ("{{date 'YYYY.YY.MM.M.DD.D' tz='Asia/Tokyo'}}", "2020.20.01.1.10.10"),
        ('{{commit_date "HH:H:mm:m:ss:s"}}', "00:0:30:30:05:5"),
        ("{{date '[at] MMMM MMM X'}}", "at January Jan 1578616205"),
        ("{{date ''}}", ""),
        ("{ {a} }", "{ {a} }"),
    ],
)
def test_expressions_are_those_of_handlebars(text: str, shown: str) -> None:
    assert render(text, {"a": "x&="}, MOMENT) == shown
