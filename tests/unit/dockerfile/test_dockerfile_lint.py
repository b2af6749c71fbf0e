"""Lint rules: with ``# check=error=true``, what warns is refused."""

from __future__ import annotations

import re

import pytest

from bailing_tasks.dockerfile import DockerfileError, external_images

S = "FROM scratch\n"
TRIAL = ";experimental=all"

#: By rule: what it warns of, what it does not warn of, and what is added to the directive.
RULES: dict[str, tuple[list[str], list[str], str]] = {
    "StageNameCasing": (["FROM scratch AS Base"], ["FROM scratch AS base"], ""),
    "FromAsCasing": (
        ["FROM scratch as base", "from scratch AS base", "from scratch As base"],
        ["FROM scratch AS base", "from scratch as base"],
        "",
    ),
    "NoEmptyContinuation": (
        [
            f"{S}LABEL a=b \\\n\n  c=d",
            f"{S}LABEL a=b \\\n# x\n \t\n# x\n  c=d",
            f"{S}USER a \\\n\n",
        ],
        [f"{S}LABEL a=b \\\n# x\n  c=d\n\n", f"{S}COPY <<E /a\n\n\nE\n", f"{S}USER a \\\n# x"],
        "",
    ),
    "ConsistentInstructionCasing": (
        [f"{S}user a", "from scratch\nUSER a\nuser b", "From scratch", f"{S}onbuild USER a"],
        [f"{S}USER a", "from scratch\nuser a", f"arg A=b\n{S}ONBUILD user a"],
        "",
    ),
    "DuplicateStageName": (
        ["FROM scratch AS a\nFROM scratch AS a"],
        ["FROM scratch AS a\nFROM scratch AS b\nFROM scratch\nFROM scratch"],
        "",
    ),
    "ReservedStageName": (
        ["FROM alpine AS scratch", "FROM alpine AS context"],
        ["FROM alpine AS scratches"],
        "",
    ),
    "JSONArgsRecommended": (
        [
            f"{S}CMD a b",
            f"{S}ENTRYPOINT a",
            "FROM alpine\nCMD a",
            f"{S}CMD",
            "FROM scratch AS a\nFROM a\nCMD a",
            "FROM scratch AS a\nONBUILD CMD a\nFROM a",
        ],
        [
            f'{S}CMD ["a"]',
            f'{S}SHELL ["/bin/bash", "-c"]\nCMD a',
            'FROM scratch AS a\nSHELL ["/bin/bash", "-c"]\nFROM a\nENTRYPOINT a',
            f"{S}HEALTHCHECK CMD a",
            f"{S}RUN a",
            f"{S}ONBUILD CMD a",
            f"{S}CMD in a stage nobody reaches\n{S}",
        ],
        "",
    ),
    "MaintainerDeprecated": (
        [f"{S}MAINTAINER a", f"{S}MAINTAINER in a stage nobody reaches\n{S}"],
        [f"{S}LABEL org.opencontainers.image.authors=a"],
        "",
    ),
    "UndefinedArgInFrom": (
        ["FROM a$TAG", "FROM a${TAG:-b}", "FROM a$TAG\nFROM scratch"],
        ["ARG TAG\nFROM a$TAG", "ARG TAG=b\nFROM a$TAG", "FROM a:$TARGETARCH$BUILDOS"],
        "",
    ),
    "WorkdirRelativePath": (
        [f"{S}WORKDIR a/", "FROM alpine\nWORKDIR a", f"{S}ENV A=b\nWORKDIR $A\nWORKDIR c"],
        [
            f"{S}WORKDIR /a\nWORKDIR b",
            "FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b",
            "FROM alpine\nWORKDIR $OF_THE_IMAGE\nWORKDIR a",
            f"{S}ENV A=/b\nWORKDIR $A",
        ],
        "",
    ),
    "UndefinedVar": (
        [
            f"{S}COPY $A /b",
            f"{S}COPY a$A /b\nARG A=c",
            f"{S}COPY ${{A:-b}} /c",
            f"{S}ENV A=b B=$A",
            f"{S}ARG A=$A",
            f"{S}COPY <<E /a\n$A\nE\n",
            f"{S}RUN --mount=target=/x$A b",
            "ARG A=b\nFROM scratch\nUSER $A",
            "FROM scratch AS a\nONBUILD USER $A\nFROM a",
        ],
        [
            f"{S}ARG A\nCOPY a$A /b",
            f"{S}ARG A B=$A\nUSER b$B",
            "FROM scratch AS a\nARG A\nFROM a\nUSER b$A",
            f"{S}USER $PATH",
            f"{S}USER a$BUILDKIT_SBOM_SCAN_STAGE",
            f"{S}COPY --from=alpine a b",
            f"{S}EXPOSE 80 $A",
            f"{S}RUN echo $A",
            f"{S}ONBUILD USER $A",
            "FROM alpine\nUSER $OF_THE_IMAGE",
            f"{S}USER $A\n{S}",
        ],
        "",
    ),
    "MultipleInstructionsDisallowed": (
        [
            f'{S}CMD ["a"]\nUSER b\nCMD ["a"]',
            f'{S}ENTRYPOINT ["a"]\nENTRYPOINT ["a"]',
            f"{S}HEALTHCHECK NONE\nHEALTHCHECK CMD a",
            'FROM scratch AS a\nONBUILD CMD ["a"]\nFROM a\nCMD ["b"]',
        ],
        [
            f'{S}CMD ["a"]\nENTRYPOINT ["a"]\nUSER a\nUSER b',
            'FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]',
        ],
        "",
    ),
    "LegacyKeyValueFormat": (
        [
            f"{S}ENV a b",
            f"{S}LABEL a  b=c",
            f"{S}ENV \\\n  a \\\n  b",
            "FROM scratch AS a\nENV a b\nFROM a",
        ],
        [f"{S}ENV a=b", f"{S}LABEL a=b c=d", f"{S}LABEL \\\n  a=b", f"{S}ENV a b\n{S}"],
        "",
    ),
    "RedundantTargetPlatform": (
        ["FROM --platform=$TARGETPLATFORM a", "FROM --platform=${TARGETPLATFORM} a"],
        ["FROM --platform=$BUILDPLATFORM a", "FROM --platform=$TARGETOS/$TARGETARCH a", "FROM a"],
        "",
    ),
    "SecretsUsedInArgOrEnv": (
        [
            f"{S}ARG SECRET_X",
            f"{S}ENV GIT_key=",
            f"{S}ARG a=b AUTH=b",
            f"{S}ENV A=token\nENV x_$A=b",
        ],
        [
            f"{S}ENV DB_PASSWORD_FILE=a",
            f"{S}ENV PUBLIC_KEY=",
            f"{S}ARG public_token",
            f"{S}ARG keys",
            f"ARG TOKEN\n{S}",
            f"{S}ARG TOKEN\n{S}",
            "FROM alpine\nENV key$OF_THE_IMAGE=a",
        ],
        "",
    ),
    "InvalidDefaultArgInFrom": (
        ["ARG A\nFROM $A", "ARG A\nFROM b:$A", 'ARG A="b:"\nFROM b$A'],
        ["ARG A=b\nFROM $A", "ARG B\nFROM b$B", "ARG A=${B:?b}\nFROM $A", "ARG A\nFROM ${A:?b}"],
        "",
    ),
    "FromPlatformFlagConstDisallowed": (
        ["FROM --platform=linux/amd64 a", "FROM --platform=linux/amd64 a AS b"],
        [
            "FROM --platform=linux/amd64 a AS b_amd64",
            "FROM --platform=linux/amd64 a AS linux",
            "FROM --platform=linux/$TARGETARCH a",
        ],
        "",
    ),
    "InvalidDefinitionDescription": (
        [
            "# b\nFROM scratch AS a",
            "# BASE x\nFROM scratch AS base",
            "# b\nARG A=c\nFROM scratch",
            f"{S}# b\nARG A B=c",
            f"{S}# b\n\nARG A",
            f"{S}\n  # A is indented\nARG A",
        ],
        [
            "# a is the base\nFROM scratch AS a",
            "# b\nFROM scratch",
            f"{S}# B is that\nARG A B=c",
            f"{S}# b\n#\nARG A",
            f"{S}# b\nUSER c",
            "ARG A\nFROM scratch",
        ],
        TRIAL,
    ),
    "ExposeProtoCasing": (
        [f"{S}EXPOSE 80/TCP", f"{S}ENV A=80/Udp\nEXPOSE $A"],
        [f"{S}EXPOSE 80/tcp 80", "FROM alpine\nEXPOSE 80/TCP$OF_THE_IMAGE"],
        "",
    ),
    "ExposeInvalidFormat": (
        [f"{S}EXPOSE 80:80", f"{S}EXPOSE 127.0.0.1:80:80", f"{S}EXPOSE 1.2.3.4::80"],
        [f"{S}EXPOSE 80-90", f"{S}EXPOSE :80"],
        "",
    ),
}
#: For arguments that have no value by default.
GIVEN = {"A": "given", "OTHER": "x"}
WARNS = [(rule, text) for rule, (texts, _, _) in RULES.items() for text in texts]
PASSES = [(rule, text) for rule, (_, texts, _) in RULES.items() for text in texts]


def check(text: str, options: str, **build_args: str) -> None:
    external_images(f"# check={options}\n{text}", build_args=build_args)


def arguments(rule: str) -> dict[str, str]:
    return GIVEN if rule == "InvalidDefaultArgInFrom" else {}


@pytest.mark.parametrize(("rule", "text"), WARNS)
def test_what_a_rule_warns_of_is_refused(rule: str, text: str) -> None:
    options = f"error=true{RULES[rule][2]}"
    with pytest.raises(DockerfileError) as caught:
        check(text, options, **arguments(rule))
    assert caught.value.line > 1
    assert re.search(rf"[=,]{rule}\b", caught.value.remedy)


@pytest.mark.parametrize(("rule", "text"), PASSES)
def test_its_neighbours_are_taken(rule: str, text: str) -> None:
    others = ",".join(RULES.keys() - {rule})
    check(text, f"skip={others};error=true{RULES[rule][2]}", **arguments(rule))


@pytest.mark.parametrize(("rule", "text"), WARNS)
def test_what_is_skipped_or_no_error_is_taken(rule: str, text: str) -> None:
    check(text, "skip=all;error=true", **arguments(rule))
    check(text, f"error=1;skip={','.join(RULES)}", **arguments(rule))
    check(text, f"error=false{RULES[rule][2]}", **arguments(rule))
    external_images(text, build_args=arguments(rule))


def test_a_rule_on_trial_is_not_skipped_but_asked_for() -> None:
    text = "# b\nFROM scratch AS a"
    check(text, "error=true")
    check(text, "error=true;experimental=Other")
    for options in (
        "skip=all;error=true;experimental=all",
        "experimental=A,InvalidDefinitionDescription;error=t",
    ):
        with pytest.raises(DockerfileError):
            check(text, options)


def test_a_directive_is_no_description() -> None:
    external_images("# check=error=true;experimental=all\nFROM scratch AS a")


def test_the_first_place_is_named_and_every_rule() -> None:
    with pytest.raises(DockerfileError) as caught:
        check("FROM scratch AS A\nUSER $B\nMAINTAINER c", "skip=Other;error=true")
    assert caught.value.line == 2
    assert "StageNameCasing warns" in caught.value.cause
    assert "skip=MaintainerDeprecated,StageNameCasing,UndefinedVar;" in caught.value.remedy


def test_an_earlier_refusal_comes_first() -> None:
    with pytest.raises(DockerfileError) as caught:
        check("FROM scratch AS A\nSTOPSIGNAL x", "error=true")
    assert "STOPSIGNAL" in caught.value.message


def test_the_build_argument_stands_in_for_the_directive() -> None:
    text = "FROM scratch AS A"
    check(text, "error=true", BUILDKIT_DOCKERFILE_CHECK="skip=StageNameCasing;error=true")
    check(text, "error=true", BUILDKIT_DOCKERFILE_CHECK="")
    check(text, "malformed", BUILDKIT_DOCKERFILE_CHECK=" skip=all ")
    for given in ("error=true", "error=maybe"):
        with pytest.raises(DockerfileError):
            external_images(text, build_args={"BUILDKIT_DOCKERFILE_CHECK": given})


@pytest.mark.parametrize("options", ["skip=all;skip=A;error=true", "error=true; skip = A , all"])
def test_all_stays_and_is_no_rule_among_others(options: str) -> None:
    text = "# check=" + options + "\nFROM scratch AS A"
    if options.startswith("skip"):
        external_images(text)
    else:
        with pytest.raises(DockerfileError):
            external_images(text)


def test_drives_on_windows_are_no_relative_paths() -> None:
    begin = "# check=error=true\nFROM a\n"
    external_images(f"{begin}WORKDIR C:/a", platform="windows/amd64")
    external_images(f"{begin}WORKDIR \\\\a", platform="windows/amd64")
    with pytest.raises(DockerfileError):
        external_images(f"{begin}WORKDIR a", platform="windows/amd64")
    with pytest.raises(DockerfileError):
        external_images(f"{begin}WORKDIR C:/a")
