"""What engines and registries say, and what people are told."""

from __future__ import annotations

import pytest

from bailing_tasks.errors import PullError
from bailing_tasks.failures import (
    ANSWERS_PLAIN,
    IMMUTABLE,
    LOGIN,
    SENT_TO_PLAIN,
    pull_error,
    push_error,
)
from bailing_tasks.references import Reference
from bailing_tasks.retry import ATTEMPTS, retried

ALPINE = Reference.parse("alpine:3.20")


@pytest.mark.parametrize(
    ("said", "cause", "transient"),
    [
        ("write /layer: no space left on device", "disk is full", False),
        ("Credentials store error: docker-credential-x not installed", "helper", False),
        ("toomanyrequests: You have reached your pull rate limit", "limits how often", True),
        ("429 Too Many Requests from https://r.example/v2/", "limits how often", True),
        ("unauthorized: authentication required", "wants a login", False),
        ("pull access denied for x, repository does not exist", "this login may not", False),
        ("403 Forbidden from https://r.example/v2/", "this login may not", False),
        ("manifest unknown: manifest unknown", "no such image or tag", False),
        ("404 Not Found from https://r.example/v2/", "no such image or tag", False),
        ("no matching manifest for linux/s390x in the manifest list", "not for linux/arm64", False),
        ("x509: certificate signed by unknown authority", "is not trusted", False),
        ("dial tcp: lookup r.example: no such host", "cannot be resolved", False),
        ("server gave HTTP response to HTTPS client", "speaks plain HTTP", False),
        ("net/http: TLS handshake timeout", "did not answer", True),
        ("connect: connection refused", "did not answer", True),
        ("read: connection reset by peer", "did not answer", True),
        ("unexpected EOF", "did not answer", True),
        ("500 Internal Server Error from https://r.example", "did not answer", True),
        ("received unexpected HTTP status: 502 Bad Gateway", "did not answer", True),
        ("filesystem layer verification failed for digest sha256:00", "something else", True),
        ("failed open: authorization failed: no basic auth credentials", "wants a login", False),
        ("unknown blob", "no such image or tag", False),
        ("commit failed: failed size validation: 617 != 582", "something else", True),
        ("Connection broken: IncompleteRead(291 bytes read)", "did not answer", True),
        ("stopped after 10 redirects", "redirects in a circle", True),
        ("something nobody has seen", "something nobody has seen", True),
    ],
)
def test_each_kind_of_failure_has_cause_and_remedy(said: str, cause: str, transient: bool) -> None:
    error = pull_error(said, reference=ALPINE, platform="linux/arm64", host="r.example")
    assert error.message == "alpine:3.20 for linux/arm64 could not be pulled"
    assert cause in error.cause
    assert said in error.cause
    assert error.remedy
    assert "{" not in error.remedy.replace('{ "docker.io" =', "")
    assert error.transient is transient


@pytest.mark.parametrize(
    ("name", "said", "sign", "cause"),
    [
        ("r.example/denied-app:1", "500 from /v2/denied-app/manifests/1", None, "did not answer"),
        ("r.example/x:404", "500 from /v2/x/manifests/404", None, "did not answer"),
        ("r.example/certificate:429", "not found: r.example/certificate:429", None, "no such"),
        ("r.example/x:1", "500 Sorry, access denied from /v2", "500", "did not answer"),
    ],
)
def test_an_images_own_name_tells_nothing(name: str, said: str, sign: str, cause: str) -> None:
    reference = Reference.parse(name)
    error = pull_error(said, reference=reference, platform="", host="r.example", sign=sign)
    assert cause in error.cause


def test_a_full_disk_is_final_and_a_silent_sandbox_is_named() -> None:
    full = pull_error("no space left on device", reference=ALPINE, platform="", host="r.example")
    assert full.final
    assert full.message == "alpine:3.20 could not be pulled"
    gone = pull_error("connection refused", reference=ALPINE, platform="", host="127.0.0.1:5000")
    assert '{ "docker.io" =' in gone.remedy
    assert gone.remedy.endswith("`invoke sandbox-up` starts it")


@pytest.mark.parametrize(
    ("said", "cause", "remedy", "transient"),
    [
        (
            "tag invalid: The image tag 'v1' already exists and cannot be overwritten",
            "it is immutable",
            "another tag",
            False,
        ),
        (
            "412: PRECONDITION Failed to process request due to 'b:v1' configured as immutable.",
            "it is immutable",
            "another tag",
            False,
        ),
        ("ImageTagAlreadyExistsException", "it is immutable", "another tag", False),
        ("DENIED: cannot push to a protected tag", "is protected", "the project's settings", False),
        (
            "denied: adding 20.0 MiB of storage resource will exceed the configured upper limit",
            "no space left",
            "quota raised",
            False,
        ),
        ("write /data: no space left on device", "no space left", "quota raised", False),
        ("413 Request Entity Too Large", "no space left", "quota raised", False),
        (
            "unauthorized: project ours not found: project ours not found",
            "no such project",
            "r.example/project/name",
            False,
        ),
        (
            "name unknown: The repository with name 'a/b' does not exist in the registry",
            "no repository a/b",
            "aws ecr create-repository --repository-name a/b",
            False,
        ),
        (
            "404 Not Found from https://r.example/v2/a/b/blobs/uploads/",
            "the name a/b",
            "made",
            False,
        ),
        (
            "Credentials store error: docker-credential-x not installed",
            "helper",
            "config.json",
            False,
        ),
        ("toomanyrequests: retry-after: 1s", "how often", "wait", True),
        (
            "push access denied, repository does not exist: insufficient_scope",
            "does not let this login push to a/b",
            "docker login r.example",
            False,
        ),
        (
            "denied: requested access to the resource is denied",
            "does not let this login push",
            "packages: write",
            False,
        ),
        (
            "unauthorized: unauthorized to access repository: a/b, action: push",
            "no such project as in a/b",
            "make sure that the project is there",
            False,
        ),
        (
            "denied: permission_denied: write_package",
            "write the package a/b",
            "Manage Actions access",
            False,
        ),
        (
            "denied: installation not allowed to Create organization package",
            "write the package a/b",
            "packages: write",
            False,
        ),
        ("unauthorized: authentication required", "wants a login", "docker login r.example", False),
        ("no basic auth credentials", "wants a login", "docker login r.example", False),
        (
            "http: server gave HTTP response to HTTPS client",
            "plain HTTP, and the engine does not",
            '"insecure-registries": ["r.example"]',
            False,
        ),
        (ANSWERS_PLAIN, "speaks plain HTTP", 'plain-http = ["r.example"]', False),
        (SENT_TO_PLAIN, "sends on to plain HTTP", "`plain-http`", False),
        ("x509: certificate signed by unknown authority", "is not trusted", "trust store", False),
        ("dial tcp: connect: connection refused", "did not answer", "run it again", True),
        ("502 Bad Gateway", "did not answer", "not sent again", True),
        ("something nobody has seen", "something nobody has seen", "log", True),
    ],
)
def test_each_kind_of_failed_push_has_cause_and_remedy(
    said: str, cause: str, remedy: str, transient: bool
) -> None:
    reference = Reference.parse("r.example/a/b:v1")
    error = push_error(said, reference=reference, host="r.example")
    assert error.exit_code == 8
    assert error.message == "r.example/a/b:v1 could not be pushed"
    assert cause in error.cause
    assert " ".join(said.split()) in error.cause
    assert remedy in error.remedy
    assert "{" not in error.remedy
    assert error.transient is transient


@pytest.mark.parametrize(
    "said",
    [
        "400 Bad Request: BAD_REQUEST invalid repository name: app",
        "unauthorized: unauthorized to access repository: app, action: push",
        "403 Forbidden: DENIED requested access to the resource is denied",
        "404 Not Found",
    ],
)
def test_a_name_without_a_project_is_explained_where_it_is_refused(said: str) -> None:
    for name, hint in (
        ("r.example:5000/app", "want a project in the path, as in r.example:5000/project/app"),
        ("app", "; on Docker Hub the user or the organization comes first, as in somebody/app"),
    ):
        reference = Reference.parse(f"{name}:1")
        error = push_error(said, reference=reference, host=reference.host)
        assert error.remedy.endswith(hint)
    whole = Reference.parse("r.example:5000/ours/app:1")
    assert "Harbor" not in push_error(said, reference=whole, host=whole.host).remedy


def test_a_path_of_one_letter_takes_nothing_else_out_of_the_words() -> None:
    reference = Reference.parse("r.example/a:1")
    error = push_error("tag a:1 is immutable", reference=reference, host="r.example")
    assert "it is immutable" in error.cause


def test_what_stands_behind_an_address_is_neither_shown_nor_read() -> None:
    reference = Reference.parse("r.example/a/b:v1")
    said = (
        'failed commit on ref "layer-sha256:16": unexpected status from PUT request to '
        "https://r.example/v2/a/b/blobs/uploads/f1?_state=words&digest=sha256%3A16: 500 Internal"
    )
    error = push_error(said, reference=reference, host="r.example")
    assert "did not answer" in error.cause
    assert "uploads/f1: 500 Internal)" in error.cause
    assert "words" not in error.cause


@pytest.mark.parametrize(
    ("said", "kind"),
    [("401 Unauthorized", LOGIN), ("412 Precondition Failed", IMMUTABLE), ("502 Bad Gateway", "")],
)
def test_kinds_that_are_asked_for_are_known(said: str, kind: str) -> None:
    reference = Reference.parse("r.example/a/b:v1")
    assert push_error(said, reference=reference, host="r.example").kind == kind


def test_a_push_to_a_sandbox_that_is_gone_names_it() -> None:
    reference = Reference.parse("127.0.0.1:5000/x:1")
    gone = push_error("connection refused", reference=reference, host=reference.host)
    assert gone.remedy.endswith("`invoke sandbox-up` starts it")


def test_a_transient_failure_is_tried_again_with_growing_waits() -> None:
    waits: list[float] = []
    tries = iter([PullError("a", transient=True), PullError("b", transient=True), None])

    def attempt() -> str:
        if error := next(tries):
            raise error
        return "done"

    told: list[tuple[str, int]] = []
    result = retried(
        attempt,
        lambda error, number, wait: told.append((error.message, number)),
        sleep=waits.append,
    )
    assert result == "done"
    assert told == [("a", 2), ("b", 3)]
    assert 1.0 <= waits[0] <= 1.25
    assert 2.0 <= waits[1] <= 2.5


def test_a_registry_that_asks_to_wait_is_waited_for() -> None:
    asked = PullError("slow down", transient=True)
    asked.retry_after = 7.0
    waits: list[float] = []
    tries = iter([asked, None])

    def attempt() -> None:
        if error := next(tries):
            raise error

    retried(attempt, lambda *_: None, sleep=waits.append)
    assert waits == [7.0]


@pytest.mark.parametrize("seconds", [4000.0, 1e11, float("inf")])
def test_a_registry_that_asks_to_wait_for_hours_is_not_waited_for(seconds: float) -> None:
    asked = PullError("slow down", transient=True)
    asked.retry_after = seconds

    def attempt() -> None:
        raise asked

    with pytest.raises(PullError, match="slow down"):
        retried(attempt, lambda *_: pytest.fail("waited"))


def test_a_wait_that_is_longer_than_the_time_left_is_not_begun() -> None:
    def attempt() -> None:
        raise PullError("reset", transient=True)

    with pytest.raises(PullError, match="reset"):
        retried(attempt, lambda *_: pytest.fail("waited"), left=lambda: 0.5)


def test_a_failure_that_lasts_is_raised_in_the_end() -> None:
    tried = []

    def attempt() -> None:
        tried.append(1)
        raise PullError("gone", transient=True)

    with pytest.raises(PullError, match="gone"):
        retried(attempt, lambda *_: None, sleep=lambda _: None)
    assert len(tried) == ATTEMPTS


def test_a_failure_that_trying_cannot_help_is_raised_at_once() -> None:
    def attempt() -> None:
        raise PullError("denied")

    with pytest.raises(PullError, match="denied"):
        retried(attempt, lambda *_: pytest.fail("waited"))
