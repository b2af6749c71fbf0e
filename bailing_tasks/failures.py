"""What a failed pull or push means, and what to do about it. Pure.

The causes and remedies are those of the seeds' troubleshooting: is the image there, is its name
right, may this login have it, does the network reach it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bailing_tasks.errors import PullError, RegistryError
from bailing_tasks.references import DEFAULT_HOST, OFFICIAL_PREFIX, Reference

ANSWERS_PLAIN = "answers in plain HTTP"
"""The sign of a registry that was asked by TLS and does not speak it."""
SENT_TO_PLAIN = "sends on to plain HTTP"
"""The sign of an answer that leads from where the settings let it go."""


LOGIN = "login"
IMMUTABLE = "immutable"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A kind of failure.

    Attributes:
        pattern: What an engine or a registry says (case does not matter).
        cause: Why it happened.
        remedy: What to do.
        transient: Whether asking again may help.
        kind: `LOGIN` or `IMMUTABLE`, where that is asked for; empty otherwise.
    """

    pattern: str
    cause: str
    remedy: str
    transient: bool
    kind: str = ""


_LOGIN = "check the image's name; log in with `docker login {host}` if it is private"
_NETWORK = (
    "check the network and the registry's name; a mirror in the settings "
    '(mirrors = {{ "{origin}" = ["https://mirror.example"] }}) can stand in for {origin}'
)

_HELPER = Failure(
    pattern=r"(?<!no basic auth )credential",
    cause="the credential helper that Docker's configuration names failed",
    remedy="check `credsStore` and `credHelpers` in Docker's config.json, or log in anew with "
    "`docker login {host}`",
    transient=False,
)

_CONNECTION = (
    Failure(
        pattern=ANSWERS_PLAIN,
        cause="{host} speaks plain HTTP, where everybody on the way can read along",
        remedy='give it a certificate; or let it be, by the setting plain-http = ["{host}"] (a '
        "mirror is written with http://) and `insecure-registries` in the engine's daemon.json",
        transient=False,
    ),
    Failure(
        pattern=SENT_TO_PLAIN,
        cause="{host} sends on to plain HTTP, where everybody on the way can read along",
        remedy="a registry behind a proxy has to be told its own https:// address; or let it be: "
        "name the host that it sends to in the setting `plain-http`",
        transient=False,
    ),
    Failure(
        pattern=r"server gave http response to https client",
        cause="{host} speaks plain HTTP, and the engine does not",
        remedy="give it a certificate; or name it in the engine's daemon.json: "
        '"insecure-registries": ["{host}"], and restart the engine',
        transient=False,
    ),
    Failure(
        pattern=r"x509|certificate",
        cause="the certificate of {host} is not trusted here",
        remedy="put the registry's certificate into the machine's trust store "
        "(or /etc/docker/certs.d/{host}/ca.crt) and restart the engine",
        transient=False,
    ),
    Failure(
        pattern=r"no such host|name or service not known|nodename nor servname",
        cause="the name {host} cannot be resolved",
        remedy=_NETWORK,
        transient=False,
    ),
    Failure(
        pattern=r"wrong digest|failed to verify|verification failed|failed size validation|digest",
        cause="{host} answered with something else than was asked for",
        remedy="run it again; if it stays so, {host} serves a wrong or damaged image: leave it out",
        transient=True,
    ),
    Failure(
        pattern=r"\bredirects\b|sent elsewhere",
        cause="{host} redirects in a circle, or to nowhere",
        remedy=_NETWORK,
        transient=True,
    ),
    Failure(
        pattern=r"timeout|timed out|deadline exceeded|connection refused|unreachable|reset by peer"
        r"|\beof\b|broken pipe|connection (?:aborted|broken)|name resolution|server misbehaving"
        r"|\b5\d\d\b",
        cause="{host} did not answer, or the connection broke",
        remedy=_NETWORK,
        transient=True,
    ),
)

_PULL_FAILURES = (
    Failure(
        pattern=r"no space left on device|disk quota exceeded",
        cause="the engine's disk is full",
        remedy="free disk space (`docker system df` shows what takes it), then run it again",
        transient=False,
    ),
    _HELPER,
    Failure(
        pattern=r"toomanyrequests|too many requests|rate limit|\b429\b",
        cause="{host} limits how often images may be pulled",
        remedy="log in with `docker login {host}`, wait, or name a mirror in the settings",
        transient=True,
    ),
    Failure(
        pattern=r"unauthorized|authentication required|\b401\b|no basic auth credentials",
        cause="{host} wants a login, or refuses the one it got",
        remedy=_LOGIN,
        transient=False,
    ),
    Failure(
        pattern=r"denied|forbidden|\b403\b",
        cause="{host} says that this login may not have the image, or that there is no such image",
        remedy=_LOGIN,
        transient=False,
    ),
    Failure(
        pattern=r"no matching manifest|does not match the specified platform|does not provide",
        cause="the image is there, but not for {platform}",
        remedy="choose a tag that has {platform}, or build for another platform",
        transient=False,
    ),
    Failure(
        pattern=r"(?:manifest|name|blob) unknown|unknown blob|not found|\b404\b|does not exist",
        cause="{host} has no such image or tag",
        remedy="check the spelling of name and tag, and that the image was pushed",
        transient=False,
    ),
    *_CONNECTION,
)

_REACH = (
    "check the network and the registry's name, then run it again: what is there is not sent again"
)

_PUSH_FAILURES = (
    Failure(
        pattern=r"immutable|immutability|cannot be overwritten|ImageTagAlreadyExists|\b412\b",
        cause="{host} does not let this tag be moved: it is immutable",
        remedy="give it another tag, or change the rule in the registry's settings; what the tag "
        "stands for is as it was",
        transient=False,
        kind=IMMUTABLE,
    ),
    Failure(
        pattern=r"protected (?:tag|container|repositor)|tag is protected",
        cause="{host} does not let this login push that tag: it is protected",
        remedy="log in with `docker login {host}` as somebody whom the rule lets push it, or "
        "change the rule in the project's settings",
        transient=False,
    ),
    Failure(
        pattern=r"quota|configured upper limit|storage limit|no space left|insufficient storage"
        r"|LimitExceeded|\b507\b|too large|\b413\b",
        cause="{host} has no space left for it, or a quota is used up",
        remedy="remove images that nobody needs there, or have the quota raised; then run it again",
        transient=False,
    ),
    Failure(
        pattern=r"project \S* ?not found|project \S* ?does not exist",
        cause="{host} has no such project",
        remedy="make the project there first, or choose another one by the setting `repository`: "
        "some registries (Harbor) want a project in the path, as in {host}/project/name",
        transient=False,
    ),
    Failure(
        pattern=r"repository with name|RepositoryNotFound",
        cause="{host} has no repository {path}",
        remedy="make it there first, as Amazon ECR makes none by itself: "
        "`aws ecr create-repository --repository-name {path}`",
        transient=False,
    ),
    Failure(
        pattern=r"name[ _](?:unknown|invalid)|invalid repository name|repository name not known"
        r"|name not known|\b404\b",
        cause="{host} does not take the name {path}",
        remedy="a project or repository may have to be made there first; the setting `repository` "
        "names it{hint}",
        transient=False,
    ),
    _HELPER,
    Failure(
        pattern=r"toomanyrequests|too many requests|rate limit|rate exceeded|\b429\b",
        cause="{host} limits how often it may be asked",
        remedy="wait, then run it again: what is there is not sent again",
        transient=True,
    ),
    Failure(
        pattern=r"write_package|installation not allowed",
        cause="{host} does not let this login write the package {path}",
        remedy="in GitHub Actions the job needs `permissions: packages: write`, and a package that "
        "was not made by this repository has to let it write (its settings: Manage Actions "
        "access); a token of a person needs the scope write:packages",
        transient=False,
    ),
    Failure(
        pattern=r"unauthorized to access repository",
        cause="{host} has no such project as in {path}, or does not let this login push to it",
        remedy="make sure that the project is there and that this login may push to it "
        "(`docker login {host}`){hint}",
        transient=False,
    ),
    Failure(
        pattern=r"push access denied|insufficient_scope|denied|forbidden|\b403\b",
        cause="{host} does not let this login push to {path}",
        remedy="log in with `docker login {host}` as somebody who may push to {path}; in GitHub "
        "Actions the job needs `permissions: packages: write`{hint}",
        transient=False,
    ),
    Failure(
        pattern=r"unauthorized|authentication required|\b401\b|no basic auth credentials",
        cause="{host} wants a login, or refuses the one it got",
        remedy="log in with `docker login {host}` as somebody who may push to {path}{hint}",
        transient=False,
        kind=LOGIN,
    ),
    *(
        replace(known, remedy=_REACH if known.remedy == _NETWORK else known.remedy)
        for known in _CONNECTION
    ),
)

_UNKNOWN = Failure(
    pattern="", cause="", remedy="read the engine's log, then run it again", transient=True
)
_QUERY = re.compile(r"""(https?://[^\s?"]+)\?[^\s"]*?(?=:?(?:[\s")]|$))""")
"""What may be a registry's own secret behind an address, and says nothing of the failure."""
_LOOPBACK = re.compile(r"(?:127\.\d+\.\d+\.\d+|localhost)(?::|$)")
_SANDBOX = "; if it is the sandbox's registry, `invoke sandbox-up` starts it"


def pull_error(
    said: str, *, reference: Reference, platform: str, host: str, sign: str | None = None
) -> PullError:
    """Return the error for what an engine or a registry said of an image.

    Args:
        said: Its words, for people.
        reference: The image that was wanted.
        platform: The platform that was wanted; empty where a digest decides.
        host: The registry that was asked, a mirror's perhaps.
        sign: What tells the kind of failure; by default the words, less the image's own name.
    """
    text, sign = _signs(said, reference, sign)
    failure = _kind(_PULL_FAILURES, sign)
    names = {"host": host, "origin": reference.host, "platform": platform or "this platform"}
    return PullError(
        f"{reference.familiar}{f' for {platform}' if platform else ''} could not be pulled",
        cause=_cause(failure, names, text),
        remedy=_remedy(failure, names, host),
        transient=failure.transient,
        final=failure is _PULL_FAILURES[0],
    )


def push_error(
    said: str, *, reference: Reference, host: str, sign: str | None = None
) -> RegistryError:
    """Return the error for what an engine or a registry said of an image that was to be pushed.

    Args:
        said: Its words, for people.
        reference: The name that the image was to have.
        host: The registry.
        sign: What tells the kind of failure; by default the words, less the image's own name.
    """
    text, sign = _signs(said, reference, sign)
    failure = _kind(_PUSH_FAILURES, sign)
    names = {"host": host, "path": reference.path, "hint": _hint(reference)}
    return RegistryError(
        f"{reference.familiar} could not be pushed",
        cause=_cause(failure, names, text),
        remedy=_remedy(failure, names, host),
        transient=failure.transient,
        kind=failure.kind,
    )


def _hint(reference: Reference) -> str:
    """Return what to add where a name may lack what registries want in front of it."""
    name = reference.path.removeprefix(OFFICIAL_PREFIX)
    if reference.host == DEFAULT_HOST and name != reference.path:
        return f"; on Docker Hub the user or the organization comes first, as in somebody/{name}"
    if "/" not in reference.path:
        return (
            "; some registries (Harbor) want a project in the path, as in "
            f"{reference.host}/project/{name}"
        )
    return ""


def _signs(said: str, reference: Reference, sign: str | None) -> tuple[str, str]:
    text = _QUERY.sub(r"\1", " ".join(said.split()))
    return text, without_names(text, reference) if sign is None else sign


def _kind(failures: Sequence[Failure], sign: str) -> Failure:
    found = (known for known in failures if re.search(known.pattern, sign, re.IGNORECASE))
    return next(found, _UNKNOWN)


def _cause(failure: Failure, names: Mapping[str, str], text: str) -> str:
    cause = failure.cause.format(**names)
    return f"{cause} ({text})" if cause else text


def _remedy(failure: Failure, names: Mapping[str, str], host: str) -> str:
    remedy = failure.remedy.format(**names)
    if failure.remedy in (_NETWORK, _REACH) and _LOOPBACK.match(host):
        remedy += _SANDBOX
    return remedy


def without_names(text: str, reference: Reference) -> str:
    """Take an image's own name out of what was said of it: it may be called `denied` or `:404`."""
    tag = f":{reference.tag}" if reference.tag else ""
    for name in (f"{reference.path}{tag}", f"manifests/{reference.tag}", reference.path):
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "", text)
    return text
