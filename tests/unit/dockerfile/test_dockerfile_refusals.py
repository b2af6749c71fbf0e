"""What BuildKit refuses, and where; and its neighbours, which it takes."""

from __future__ import annotations

import pytest

from bailing_tasks.dockerfile import DockerfileError, external_images

F = "FROM a\n"

#: A file, the line to blame, and a part of the cause.
REFUSED = {
    # The file as a whole.
    "empty": ("", 0, "empty"),
    "comments only": ("# a\n\n# b\n", 0, "comments"),
    "no stage": ("ARG A=1\n", 0, "no stage"),
    "line too long": (f"{F}RUN {'x' * 65_535}\n", 2, "longer"),
    "unknown instruction": (f"{F}RUM x", 2, "no instruction"),
    "the rest of a broken line": (f"{F}RUN if x; then\n  y\nfi", 3, "no instruction"),
    "escape character alone": (f"{F}\\\n", 2, "no instruction"),
    "instruction before FROM": ("RUN x\nFROM a", 1, "before the first FROM"),
    # Directives.
    "escape twice": ("# escape=`\n# escape=\\\nFROM a", 2, "twice"),
    "syntax twice": ("# syntax=a\n# syntax=a\nFROM a", 2, "twice"),
    "unknown escape": ("# escape=x\nFROM a", 1, "escape character"),
    "unknown check option": ("# check=foo=bar\nFROM a", 1, "check"),
    "check option without value": ("# check=skip\nFROM a", 1, "check"),
    "check error neither true nor false": ("# check=error=maybe\nFROM a", 1, "error"),
    # FROM.
    "no image": ("FROM", 1, "at least 1"),
    "two words": ("FROM a b", 1, "AS a name"),
    "no AS": ("FROM a is b", 1, "AS a name"),
    "AS without name": ("FROM a AS", 1, "AS a name"),
    "four words": ("FROM a AS b c", 1, "AS a name"),
    "stage name that begins with a digit": ("FROM a AS 1x", 1, "no name"),
    "stage name with a slash": ("FROM a AS x/y", 1, "no name"),
    "upper-case repository": ("FROM Alpine", 1, "lower case"),
    "stage named with another case": ("FROM a AS build\nFROM Build", 2, "lower case"),
    "malformed image of a stage nobody reaches": ("FROM a:\nFROM b", 1, "image reference"),
    "blank image": ("FROM ${X}", 1, "blank"),
    "stage ARG in FROM": ("FROM b\nARG V=a\nFROM $V", 3, "blank"),
    "open brace": ("FROM ${X", 1, "not closed"),
    "empty platform": ("FROM --platform=$X a", 1, "empty"),
    "unknown platform": ("FROM --platform=v9 a", 1, "platform"),
    "malformed platform": ("FROM --platform=a/b/c/d a", 1, "platform"),
    "unknown flag of FROM": ("FROM --from=x a", 1, "no flag --from"),
    "flag without value": ("FROM --platform a", 1, "no value"),
    "flag twice": ("FROM --platform=linux --platform=linux a", 1, "twice"),
    "required ARG": ("ARG V\nFROM a:${V:?needed}", 2, "needed"),
    "malformed default": ("ARG V=${x\nFROM a", 1, "not closed"),
    # ARG, ENV, LABEL.
    "ARG of nothing": ("ARG\nFROM a", 1, "at least 1"),
    "blank ARG": ("ARG =x\nFROM a", 1, "blank"),
    "ENV of nothing": (f"{F}ENV", 2, "at least 1"),
    "ENV of one word": (f"{F}ENV a", 2, "two arguments"),
    "ENV with a word that has no =": (f"{F}ENV a=b c", 2, "no ="),
    "blank ENV": (f"{F}ENV =x", 2, "blank"),
    "flag of ENV": (f"{F}ENV --x a=b", 2, "no flag"),
    "LABEL with a comment": (f"{F}LABEL a=b # c", 2, "no ="),
    "open quote in ENV": (f"{F}ENV a='b", 2, "single quote"),
    "open quote in LABEL": (f'{F}LABEL a="b', 2, "double quote"),
    "malformed expansion in a stage's ARG": (f"{F}ARG a=${{x!}}", 2, "no form"),
    # COPY and ADD.
    "no destination": (f"{F}COPY a", 2, "at least 2"),
    "ADD without destination": (f"{F}ADD a", 2, "at least 2"),
    "variable in --from": (f"ARG X=b\n{F}COPY --from=$X a b", 3, "variable"),
    "quotes left in --from": (f'{F}COPY --from=\\"b\\" a b', 2, "variable"),
    "open brace in --from": (f"{F}COPY --from=${{X a b", 2, "not closed"),
    "stage number too high": (f"{F}COPY --from=1 a b", 2, "no stage number"),
    "negative stage number": (f"{F}COPY --from=-1 a b", 2, "no stage number"),
    "upper-case image": (f"{F}COPY --from=B a b", 2, "lower case"),
    "from itself": ("FROM a AS x\nCOPY --from=x a b", 1, "itself"),
    "from itself by number": (f"{F}COPY --from=0 a b", 1, "itself"),
    "in a circle": ("FROM a AS x\nCOPY --from=y a b\nFROM b AS y\nCOPY --from=x a b", 1, "itself"),
    "from a later stage": (
        "FROM a AS x\nCOPY --from=y a b\nFROM b AS y\nFROM x",
        2,
        "stands later",
    ),
    "heredoc as destination": (f"{F}COPY a <<EOF\nEOF\n", 2, "heredoc"),
    "not only strings": (f'{F}COPY ["a", 1]', 2, "strings"),
    "URL": (f"{F}COPY https://example.com/a b", 2, "no URL"),
    "Git repository": (f"{F}COPY git@example.com:a/b.git c", 2, "no Git"),
    "Git over HTTPS": (f"{F}COPY https://example.com/a.git c", 2, "no Git"),
    "unknown query of Git": (f"{F}ADD https://example.com/a.git?x=y c", 2, "no query"),
    "query of Git without value": (f"{F}ADD git://example.com/a.git?ref= c", 2, "no value"),
    "query of Git twice": (f"{F}ADD git://example.com/a?ref=b&ref=c d", 2, "twice"),
    "tag and branch of Git": (f"{F}ADD ssh://x@y/a?tag=b&branch=c d", 2, "tag and a branch"),
    "switch of Git": (f"{F}ADD git@y:a?submodules=x d", 2, "submodules"),
    "checksum of a path": (f"{F}ADD --checksum=sha256:{'0' * 64} a b", 2, "local source"),
    "checksum of two": (f"{F}ADD --checksum=x http://a/b http://a/c d", 2, "several sources"),
    "malformed checksum": (f"{F}ADD --checksum=x http://a/b c", 2, "--checksum is 'x'"),
    "mode out of bounds": (f"{F}COPY --chmod=17777 a b", 2, "--chmod"),
    "malformed mode": (f"{F}COPY --chmod=u=q a b", 2, "--chmod"),
    "mode through a variable": (f"{F}ARG M=9\nCOPY --chmod=$M a b", 3, "--chmod"),
    "switch with another value": (f"{F}COPY --link=maybe a b", 2, "neither true nor false"),
    "switch with none": (f"{F}COPY --link= a b", 2, "no value"),
    "--from of ADD": (f"{F}ADD --from=b c d", 2, "no flag --from"),
    "open quote in a path": (f"{F}COPY a'b c", 2, "single quote"),
    "open brace in a heredoc": (f"{F}COPY <<EOF b\n${{x:-\nEOF\n", 2, "not closed"),
    # RUN.
    "unknown flag of RUN": (f"{F}RUN --user x", 2, "no flag --user"),
    "no arguments": (f"{F}RUN []", 2, "empty list"),
    "numbers": (f"{F}RUN [1]", 2, "strings"),
    "nested arrays": (f'{F}RUN ["a", ["b", {{"c": [null, true, -1.5e3]}}]]', 2, "strings"),
    "unknown network": (f"{F}RUN --network=x y", 2, "--network"),
    "unknown security": (f"{F}RUN --security=x y", 2, "--security"),
    "device with an unknown field": (f"{F}RUN --device=a,b=c y", 2, "device"),
    "device, which is for the labs frontend": (f"{F}RUN --device=a/b=c y", 2, "labs"),
    "device neither required nor not": (f"{F}RUN --device=a,required=x y", 2, "device"),
    "not UTF-8": (b"FROM a\nRUN echo \xff", 2, "UTF-8"),
    "heredoc that is not UTF-8": (b"FROM a\nRUN <<E\n\xff\nE\n", 2, "UTF-8"),
    "open heredoc": (f"{F}RUN <<EOF\nx\n", 2, "not closed"),
    "open heredoc with space before its end": (f"{F}RUN <<EOF\n EOF\n", 2, "not closed"),
    "heredoc with an open quote": (f"{F}RUN <<'${{a b'c\nx\n", 2, ""),
    "escape at the end of a flag": (f"{F}RUN --network=none\\\\\\", 2, "--network"),
    # Mounts.
    "mount of nothing": (f"{F}RUN --mount= x", 2, "no fields"),
    "mount without value": (f"{F}RUN --mount x", 2, "no value"),
    "unknown field": (f"{F}RUN --mount=foo=bar,target=/x y", 2, "no field 'foo'"),
    "field without value": (f"{F}RUN --mount=target y", 2, "has no value"),
    "unknown type": (f"{F}RUN --mount=type=x,target=/x y", 2, "no type"),
    "variable in from": (f"{F}RUN --mount=from=$X,target=/x y", 2, "variable"),
    "variable in from of a stage nobody reaches": (
        f"{F}RUN --mount=from=$X,target=/x y\nFROM b",
        2,
        "variable",
    ),
    "bare quote": (f'{F}RUN --mount=a\\"b y', 2, "bare"),
    "open quoted field": (f'{F}RUN --mount=\\"a y', 2, "not closed"),
    "text behind a quoted field": (f'{F}RUN --mount=\\"a\\"b y', 2, "follows a quoted"),
    "mount from a later stage": (
        "FROM a AS x\nRUN --mount=from=y,target=/y z\nFROM b AS y\nFROM x",
        2,
        "stands later",
    ),
    "mount over the root": (f"{F}RUN --mount=target=/ x", 2, "root"),
    "mount over the root of scratch": ("FROM scratch\nRUN --mount=target=. x", 2, "root"),
    "size of a bind": (f"{F}RUN --mount=size=1,target=/x y", 2, "no field size"),
    "malformed size": (f"{F}RUN --mount=type=tmpfs,size=x,target=/x y", 2, "size"),
    "env of a bind": (f"{F}RUN --mount=env=X,target=/x y", 2, "no field env"),
    "mode of a bind": (f"{F}RUN --mount=mode=1,target=/x y", 2, "no field mode"),
    "malformed mode of a cache": (f"{F}RUN --mount=type=cache,mode=9,target=/x y", 2, "mode"),
    "malformed uid": (f"{F}RUN --mount=type=cache,uid=-1,target=/x y", 2, "uid"),
    "required of a bind": (f"{F}RUN --mount=required,target=/x y", 2, "no field required"),
    "malformed truth": (f"{F}RUN --mount=ro=x,target=/x y", 2, "readonly"),
    "unknown sharing": (f"{F}RUN --mount=type=cache,sharing=x,target=/x y", 2, "share"),
    "sharing of a bind": (f"{F}RUN --mount=sharing=shared,target=/x y", 2, "cannot be shared"),
    "secret from an image": (f"{F}RUN --mount=type=secret,id=x,from=b y", 2, "no image"),
    "secret of nothing": (f"{F}RUN --mount=type=secret y", 2, "no secret"),
    "secret with two names": (f"{F}RUN --mount=type=secret,id=x,source=y z", 2, "both"),
    "source of ssh": (f"{F}RUN --mount=type=ssh,source=x y", 2, "no source"),
    "open brace in a field": (f"{F}RUN --mount=target=${{x y", 2, "not closed"),
    # The others.
    "flag of EXPOSE": (f"{F}EXPOSE --x 80", 2, "no flag"),
    "EXPOSE of nothing": (f"{F}EXPOSE", 2, "at least 1"),
    "port that is none": (f"{F}EXPOSE http", 2, "port"),
    "port too high": (f"{F}EXPOSE 65536", 2, "port"),
    "range backwards": (f"{F}EXPOSE 81-80", 2, "port"),
    "range of three": (f"{F}EXPOSE 1-2-3", 2, "port"),
    "no port": (f"{F}EXPOSE /tcp", 2, "port"),
    "unknown protocol": (f"{F}EXPOSE 80/http", 2, "protocol"),
    "malformed host port": (f"{F}EXPOSE x:80", 2, "host port"),
    "ranges of two lengths": (f"{F}EXPOSE 1-2:3-5", 2, "different lengths"),
    "malformed address": (f"{F}EXPOSE 1.2.3:80:80", 2, "address"),
    "address with a zone": (f"{F}EXPOSE [fe80::1%1]:80:80", 2, "address"),
    "open quote in EXPOSE": (f"{F}EXPOSE '80", 2, "single quote"),
    "blank VOLUME": (f'{F}VOLUME [""]', 2, "empty string"),
    "VOLUME that becomes blank": (f"{F}VOLUME $X", 2, "empty string"),
    "unknown signal": (f"{F}STOPSIGNAL SIGX", 2, "signal"),
    "signal zero": (f"{F}STOPSIGNAL 0", 2, "signal"),
    "SHELL that is no array": (f"{F}SHELL /bin/sh -c", 2, "JSON array"),
    "SHELL of nothing": (f"{F}SHELL []", 2, "at least 1"),
    "USER of nothing": (f"{F}USER", 2, "at least 1"),
    "open quote in USER": (f"{F}USER 'x", 2, "single quote"),
    "WORKDIR of nothing": (f"{F}WORKDIR", 2, "at least 1"),
    "open quote in WORKDIR": (f"{F}WORKDIR 'x", 2, "single quote"),
    "HEALTHCHECK of nothing": (f"{F}HEALTHCHECK", 2, "at least 1"),
    "HEALTHCHECK NONE and more": (f"{F}HEALTHCHECK NONE x", 2, "NONE"),
    "unknown HEALTHCHECK": (f"{F}HEALTHCHECK RUN x", 2, "no kind"),
    "HEALTHCHECK without command": (f"{F}HEALTHCHECK CMD", 2, "missing"),
    "malformed interval": (f"{F}HEALTHCHECK --interval=30 CMD x", 2, "--interval"),
    "interval too short": (f"{F}HEALTHCHECK --interval=1us CMD x", 2, "out of bounds"),
    "interval below zero": (f"{F}HEALTHCHECK --timeout=-5s CMD x", 2, "out of bounds"),
    "interval too long": (f"{F}HEALTHCHECK --timeout=9999999h CMD x", 2, "out of bounds"),
    "malformed retries": (f"{F}HEALTHCHECK --retries=x CMD y", 2, "--retries"),
    "retries below zero": (f"{F}HEALTHCHECK --retries=-1 CMD y", 2, "--retries"),
    "too many retries": (f"{F}HEALTHCHECK --retries={'9' * 50} CMD y", 2, "--retries"),
    # ONBUILD.
    "ONBUILD of nothing": (f"{F}ONBUILD", 2, "at least 1"),
    "ONBUILD ONBUILD": (f"{F}ONBUILD ONBUILD RUN x", 2, "another ONBUILD"),
    "ONBUILD FROM": (f"{F}ONBUILD FROM x", 2, "cannot be held back"),
    "ONBUILD MAINTAINER": (f"{F}ONBUILD MAINTAINER x", 2, "cannot be held back"),
    "malformed even though held back": (f"{F}ONBUILD ENV a", 2, "two arguments"),
    "malformed once let go": ("FROM a AS x\nONBUILD COPY b\nFROM x", 2, "at least 2"),
    "unknown once let go": ("FROM a AS x\nONBUILD FOO b\nFROM x", 2, "no instruction"),
    "a comment let go": ("FROM a AS x\nONBUILD #b\nFROM x", 2, "comments"),
    "two instructions let go": (
        "# escape=`\nFROM a AS x\nONBUILD RUN x <<A \\\n'\nRUN y\nA\nFROM x",
        3,
        "more than one",
    ),
    "source let go": ("FROM a AS x\nONBUILD COPY --from=B b c\nFROM x", 2, "lower case"),
    "refused when carried out": ("FROM a AS x\nONBUILD STOPSIGNAL b\nFROM x", 2, "signal"),
}

TAKEN = {
    "RUN of nothing": f"{F}RUN",
    "CMD of nothing": f"{F}CMD\nENTRYPOINT\nCMD []",
    "unknown instruction held back": f"{F}ONBUILD FOO b",
    "malformed command of a stage nobody reaches": f"{F}EXPOSE x\nSTOPSIGNAL y\nFROM b",
    "text behind a JSON array": f'{F}CMD ["a"] # b',
    "almost a JSON array": (
        f'{F}CMD ["a", ]\nCMD [1\nCMD [1e999]\nCMD ["a" "b"]\nCMD [1 2]\nCMD {{}}\n'
        f'CMD [{{1: 2}}]\nCMD [{{"a" 2}}]\nCMD [}}\nCMD [1],\nCMD ["\\x"]\nCMD [:]\nCMD [1] x'
    ),
    "deep JSON": f"{F}CMD {'[' * 20_000}{']' * 20_000}",
    "JSON with escapes": f'{F}COPY ["\\u00e9", "\\ud800", "b"]',
    "check options": "# check=skip=all;error=true\nFROM a",
    "check that skips rules": "# check=skip=A,B\nFROM a",
    "ports": f"{F}EXPOSE 80 80/UDP 8000-8010/tcp 1.2.3.4:80:80 [::1]:1:1 81:80 1-2:3-4 1-5:3 80/",
    "port through a variable": f'{F}ENV P="80 81/udp"\nEXPOSE $P',
    "signals": f"{F}STOPSIGNAL SIGTERM\nSTOPSIGNAL 9\nSTOPSIGNAL rtmin+3\nSTOPSIGNAL $X-5",
    "modes": f"{F}COPY --chmod=755 a b\nCOPY --chmod=u=rwX,go-w a b\nADD --chmod= a b",
    "health": f"{F}HEALTHCHECK --interval=1m30s --timeout=0 --retries=3 CMD x\nHEALTHCHECK NONE",
    "health in microseconds": b"FROM a\nHEALTHCHECK --interval=5000\xb5s --start-period=.5s CMD x",
    "health with flags that NONE ignores": f"{F}HEALTHCHECK --foo NONE",
    "flags of STOPSIGNAL": f"{F}STOPSIGNAL --x 9",
    "old ENV": f"{F}ENV a b c\nENV d e=f",
    "quoted ENV": f'{F}ENV a=\'b c\' d="e \\" f" g=h\\ i',
    "a word that ends in an escape": f"{F}ENV a=b\\\\\\\\ c=d",
    "mounts": (
        f"{F}RUN --mount=type=tmpfs,size=64MiB,target=/a --mount=type=cache,id=x,sharing=locked,"
        "mode=0755,uid=1,gid=1,dst=/b,rw --mount=type=secret,id=x,env=Y,required "
        "--mount=type=ssh,required=true --mount=ro=1,readwrite=0,src=.,destination=/c x"
    ),
    "quotes in a quoted field": f'{F}RUN --mount=target=/x,\\"source=a\\"\\"\\"\\"b\\" y',
    "mount at a working directory that only the image knows": f"{F}RUN --mount=target=. x",
    "mount at a working directory": f"{F}WORKDIR /x\nRUN --mount=target=. x",
    "mount at a working directory below": f"{F}WORKDIR x\nWORKDIR $PATH\nRUN --mount=target=. x",
    "mount at an unknown place": f"{F}RUN --mount=target=/$X x",
    "tmpfs from an image": f"{F}RUN --mount=type=tmpfs,from=b,target=/x y",
    "devices where nobody builds": (
        "FROM a AS x\nRUN --device=a/b=c,required --device=name=d --device=required,e y\nFROM b\n"
    ),
    "quoted flag at the end": f'{F}RUN --network="none"',
    "network and security": f"{F}RUN --network=none --security=insecure x",
    "switches": f"{F}COPY --link --parents=FALSE --exclude=a --exclude=b c d",
    "half a heredoc nobody reaches": f"{F}COPY x <<'a\nFROM b",
    "a heredoc that is not expanded": f"{F}COPY <<'A' x\n${{\nA\n",
    "arguments without a value": f"{F}ARG X\nUSER $X\nVOLUME /a /b\nLABEL a=b c=d",
    "URLs": (
        f"{F}ADD http://a/b https://a/c.git?ref=x&keep-git-dir&submodules=false "
        f"git@a:b.git#c git://a/b ./d github.com/a/b ftp://a/b http://[::1/x.git e\n"
        f"ADD --checksum=sha256:{'0' * 64} http://a/b c\nADD --checksum=x git@a:b c"
    ),
    "script that is not UTF-8": b"FROM a\nRUN <<E\n#!/bin/sh\n\xff\nE\n",
    "comment and label that are not UTF-8": b"# \xff\nFROM a\nLABEL a=\xff\nCOPY \xff b",
    "longest line": f"{F}RUN {'x' * 65_531}\n",
}


@pytest.mark.parametrize(("text", "line", "cause"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_at_its_line_with_cause_and_remedy(
    text: str | bytes, line: int, cause: str
) -> None:
    with pytest.raises(DockerfileError) as caught:
        external_images(text)
    assert caught.value.line == line
    assert cause in caught.value.cause
    assert caught.value.remedy


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN.keys())
def test_is_taken(text: str | bytes) -> None:
    external_images(text)


def test_an_unknown_target_is_refused_with_the_stages_there_are() -> None:
    with pytest.raises(DockerfileError) as caught:
        external_images("FROM a AS one\nFROM b", target="two")
    assert "build one of: one" in caught.value.remedy


@pytest.mark.parametrize("target", ["2", "-1", "\u00b2", "9" * 30])
def test_a_number_without_a_stage_is_refused(target: str) -> None:
    with pytest.raises(DockerfileError):
        external_images("FROM a AS one\nFROM b", target=target)


@pytest.mark.parametrize(
    "text",
    [
        "COPY a D:/x",
        "COPY D:\\\\x a",
        "COPY a C:",
        "WORKDIR //server/share",
        "WORKDIR \\\\\\\\server\\\\share",
        "WORKDIR d:",
    ],
)
def test_other_drives_are_refused_on_windows_only(text: str) -> None:
    external_images(f"FROM a\n{text}")
    with pytest.raises(DockerfileError):
        external_images(f"FROM a\n{text}", platform="windows/amd64")


@pytest.mark.parametrize("text", ["COPY a C:/x", "WORKDIR c:\\\\x", "WORKDIR x", "COPY a $PATH/b"])
def test_drive_c_is_taken_on_windows(text: str) -> None:
    external_images(f"FROM a\n{text}", platform="windows/amd64")
