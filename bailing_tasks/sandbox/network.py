"""The network of an engine: a bridge with a subnet of its own, and its way out.

dockerd is told to leave iptables alone: two daemons that both keep Docker's chains break each
other. What containers need is three rules that name our own bridge and subnet.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bailing_tasks import process
from bailing_tasks.errors import EngineError
from bailing_tasks.sandbox.home import Home, Network, State
from bailing_tasks.sandbox.model import Report

Subnet = ipaddress.IPv4Network

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_RESOLVERS = (
    Path("/etc/resolv.conf"),
    Path("/run/systemd/resolve/resolv.conf"),
    Path("/run/NetworkManager/resolv.conf"),
)
_POOL = Subnet("10.128.0.0/9")
_PREFIX = 24
_DEFAULT_MTU = 1500
_CHAINS = (("nat", "POSTROUTING"), ("filter", "FORWARD"))
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def bridge_name(home: Home, store: str) -> str:
    """Return the name of an engine's bridge; the kernel allows 15 characters."""
    return f"bt{store[:2]}-{home.key}"


def candidates(seed: int) -> Iterator[Subnet]:
    """Yield every subnet a bridge may have, in an order that differs between sandboxes."""
    count = 1 << (_PREFIX - _POOL.prefixlen)
    base = int(_POOL.network_address)
    for offset in range(count):
        number = (seed + offset) % count
        yield Subnet((base + (number << (32 - _PREFIX)), _PREFIX))


def free_subnet(seed: int, taken: Iterable[Subnet]) -> Subnet:
    """Return a subnet that overlaps with none of those taken.

    Raises:
        EngineError: There is none.
    """
    used = list(taken)
    for subnet in candidates(seed):
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise EngineError(
        f"no free subnet in {_POOL} for the sandbox's network",
        remedy="see what is routed there with: ip route",
    )


def resolvers(text: str) -> tuple[str, ...]:
    """Return the name servers in a resolv.conf that a container can reach: no loopback ones."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1].partition("%")[0])
        except ValueError:
            continue
        if not address.is_loopback and address.version == 4:
            found.append(str(address))
    return tuple(found)


def container_resolvers(report: Report) -> tuple[str, ...]:
    """Return the name servers for containers; empty, and said, where there is none to give."""
    for path in _RESOLVERS:
        if path.is_file():
            found = resolvers(path.read_text(encoding="utf-8", errors="replace"))
            if found:
                return found
    report("warning: this machine's name servers cannot be reached from containers")
    return ()


def mtu() -> int:
    """Return the largest packet of the way out, in bytes."""
    for route in _ip("route", "show", "default"):
        for link in _ip("link", "show", "dev", str(route.get("dev"))):
            return int(str(link.get("mtu", _DEFAULT_MTU)))
    return _DEFAULT_MTU


def ensure(home: Home, store: str, state: State, report: Report) -> Network:
    """Return the engine's network, made if it is not there.

    Raises:
        EngineError: The machine does not allow it.
    """
    network = state.networks.get(store)
    name = bridge_name(home, store)
    if network is None or not _exists(name):
        network = _choose(home, name, state, network)
        report(f"making the bridge {name} with {network.subnet}")
        if not _exists(name):
            _must(["ip", "link", "add", "name", name, "type", "bridge"])
    subnet = Subnet(network.subnet)
    _must(["ip", "address", "replace", f"{subnet[1]}/{subnet.prefixlen}", "dev", name])
    _must(["ip", "link", "set", "dev", name, "up"])
    if _FORWARDING.read_text(encoding="ascii").strip() == "0":
        report("letting the kernel forward packets (net.ipv4.ip_forward)")
        _FORWARDING.write_text("1\n", encoding="ascii")
    for table, chain, rule in rules(network):
        if not process.run([_iptables(), "-w", "-t", table, "-C", chain, *rule]).ok:
            _must([_iptables(), "-w", "-t", table, "-I", chain, *rule])
    return network


def remove(bridge: str) -> tuple[str, ...]:
    """Take away a bridge of ours and the rules that name it; return what was there."""
    removed = []
    if process.find("iptables", path=_PATH) is not None:
        for table, chain in _CHAINS:
            shown = process.run([_iptables(), "-w", "-t", table, "-S", chain]).stdout
            for line in shown.splitlines():
                words = line.split()
                if bridge in words and words[0] == "-A":
                    _must([_iptables(), "-w", "-t", table, "-D", *words[1:]])
                    removed.append(f"iptables rule {' '.join(words[1:])}")
    if _exists(bridge):
        _must(["ip", "link", "delete", "dev", bridge])
        removed.append(f"bridge {bridge}")
    return tuple(removed)


def rules(network: Network) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Return the packet filter's rules of an engine: table, chain and the rule itself."""
    bridge, subnet = network.bridge, network.subnet
    answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    return (
        ("nat", "POSTROUTING", ("-s", subnet, "!", "-o", bridge, "-j", "MASQUERADE")),
        ("filter", "FORWARD", ("-i", bridge, "-j", "ACCEPT")),
        ("filter", "FORWARD", ("-o", bridge, *answers, "-j", "ACCEPT")),
    )


def _choose(home: Home, name: str, state: State, former: Network | None) -> Network:
    taken = [Subnet(other.subnet) for store, other in state.networks.items() if other != former]
    taken += list(_routed())
    if former is not None:
        before = Subnet(former.subnet)
        if not any(before.overlaps(other) for other in taken):
            return former
    return Network(bridge=name, subnet=str(free_subnet(int(home.key, 16), taken)))


def _routed() -> Iterator[Subnet]:
    """Yield what this machine routes or asks for names; the default route is not one."""
    named = [str(route.get("dst", "")) for route in _ip("route", "show", "table", "all")]
    for path in _RESOLVERS:
        if path.is_file():
            named += resolvers(path.read_text(encoding="utf-8", errors="replace"))
    for text in named:
        try:
            subnet = Subnet(text, strict=False)
        except ValueError:
            continue
        if subnet.prefixlen:
            yield subnet


def _ip(*arguments: str) -> list[dict[str, object]]:
    done = process.run(["ip", "-4", "-json", *arguments], env={"PATH": _PATH})
    if not done.ok or not done.stdout.strip():
        return []
    parsed: list[dict[str, object]] = json.loads(done.stdout)
    return [entry for entry in parsed if entry]


def _exists(name: str) -> bool:
    return Path("/sys/class/net", name).exists()


def _iptables() -> str:
    """Return the iptables that this kernel has the modules for."""
    for name in ("iptables", "iptables-legacy"):
        found = process.find(name, path=_PATH)
        if found and process.run([found, "-w", "-t", "nat", "-S"]).ok:
            return found
    raise EngineError(
        "the sandbox's containers cannot be given a network",
        cause="iptables does not work on this kernel",
        remedy="see what it says to: iptables -t nat -S",
    )


def _must(argv: Sequence[str]) -> None:
    done = process.run(argv, env={"PATH": _PATH})
    if not done.ok:
        raise EngineError(
            "the sandbox's network could not be changed",
            cause=done.stderr.strip(),
            remedy=f"see what stops it with: {process.quote(argv)}",
        )
