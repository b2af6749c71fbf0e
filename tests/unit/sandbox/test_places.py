"""Home, state, network and platforms: what can be told without a machine."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from bailing_tasks import sandbox
from bailing_tasks.errors import EngineError, UsageError
from bailing_tasks.sandbox import home, mounts, network, platforms
from bailing_tasks.sandbox.home import Home, Network, State


def image(reference: str, digest: str = "sha256:1") -> sandbox.StandinImage:
    return sandbox.StandinImage(reference=reference, platforms=("linux/amd64",), digest=digest)


def test_the_home_is_where_the_environment_says(tmp_path: Path) -> None:
    assert home.locate({home.VARIABLE: str(tmp_path)}).root == tmp_path.resolve()
    cache = home.locate({"XDG_CACHE_HOME": str(tmp_path)}).root
    assert cache == tmp_path.resolve() / "bailing-tasks" / "sandbox"
    assert home.locate({}).root.parts[-3:] == (".cache", "bailing-tasks", "sandbox")


def test_sockets_are_short_wherever_the_home_is() -> None:
    deep = Home(Path("/") / ("x" * 300))
    assert len(str(deep.socket("containerd"))) < 100
    assert deep.socket("containerd") != deep.socket("classic")
    assert deep.key != Home(Path("/y")).key
    assert len(network.bridge_name(deep, "containerd")) <= 15
    assert network.bridge_name(deep, "containerd") != network.bridge_name(deep, "classic")


def test_state_survives_writing(tmp_path: Path) -> None:
    here = Home(tmp_path)
    assert home.load(here) == State()
    state = (
        State(port=20001)
        .with_network("containerd", Network(bridge="br", subnet="10.1.2.0/24"))
        .with_image(image("b"))
        .with_image(image("a"))
        .with_image(image("b", digest="sha256:2"))
    )
    home.save(here, state)
    assert home.load(here) == state
    assert [(known.reference, known.digest) for known in state.images] == [
        ("a", "sha256:1"),
        ("b", "sha256:2"),
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"port": 1, "networks": {"x": {}}}'])
def test_a_damaged_state_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text, encoding="utf-8")
    with pytest.raises(EngineError, match="damaged"):
        home.load(Home(tmp_path))


def test_a_subnet_avoids_those_taken() -> None:
    subnets = network.candidates(7)
    first, second = next(subnets), next(subnets)
    assert network.free_subnet(7, []) == first
    assert network.free_subnet(7, [first]) == second
    assert len({first, second, *subnets}) == 1 << 15
    with pytest.raises(EngineError, match="no free subnet"):
        network.free_subnet(7, [ipaddress.IPv4Network("10.0.0.0/8")])


def test_containers_get_only_name_servers_they_reach() -> None:
    text = "search x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.7\nnameserver\n"
    assert network.resolvers(text + "nameserver fe80::1%eth0\nnameserver nonsense\n") == (
        "192.0.2.7",
    )
    assert network.resolvers("nameserver 127.0.0.1\n") == ()


def test_rules_name_only_what_is_ours() -> None:
    link = Network(bridge="br-x", subnet="10.1.2.0/24")
    for _, _, rule in network.rules(link):
        assert link.bridge in rule


@pytest.mark.parametrize(
    ("platform", "debian"),
    [("linux/amd64", "amd64"), ("linux/arm64", "arm64"), ("linux/arm64/v8", "arm64")],
)
def test_platforms_by_every_name(platform: str, debian: str) -> None:
    found = platforms.architecture(platform)
    assert found.debian == debian
    assert platforms.host_architecture(found.machine) == found


def test_an_unknown_platform_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="linux/mips") as caught:
        platforms.architecture("linux/mips")
    assert "linux/arm64" in caught.value.remedy
    assert platforms.host_architecture("mips") is None


def test_mount_points_may_have_spaces() -> None:
    line = r"36 35 98:0 / /mnt/with\040space rw,noatime - ext3 /dev/root rw"
    assert mounts.mount_point(line) == "/mnt/with space"


def test_only_what_the_processor_does_not_run_is_emulated() -> None:
    amd64, arm64, i386 = map(platforms.architecture, ("linux/amd64", "linux/arm64/v8", "linux/386"))
    assert platforms.is_foreign(arm64, host=amd64)
    assert platforms.is_foreign(i386, host=arm64)
    assert not platforms.is_foreign(i386, host=amd64)
    assert not platforms.is_foreign(arm64, host=arm64)


def test_nothing_is_started_for_what_cannot_be() -> None:
    with pytest.raises(UsageError, match=r"no stand-in for docker\.io/library/nginx:1"):
        sandbox.planned(["docker.io/library/nginx:1"], ["linux/amd64"])
    with pytest.raises(UsageError, match="no image store"):
        sandbox.planned([], [], store="other")
