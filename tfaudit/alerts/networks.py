"""Does a firewall let in more than before: from where, by which protocol, to which ports?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

Network = IPv4Network | IPv6Network

ANYWHERE: Final = "ingress from anywhere"
MORE_PORTS: Final = "more ports or protocols for a source that had some"
WIDER_SOURCE: Final = "a wider range of sources"

_ALL_PORTS: Final = (0, 65_535)
_ANY: Final = frozenset({"*", "internet", "any", "0.0.0.0/0", "::/0"})
_ANY_PROTOCOL: Final = frozenset({"-1", "all", "*"})
_NAMED: Final = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
_WIDE_4: Final = 8
"""IPv4 networks with a shorter prefix are as good as anywhere: 0.0.0.0/0 can be written as two halves."""
_WIDE_6: Final = 20
_PORTS: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Grant:
    """One source may reach some ports."""

    source: str
    """A network in CIDR notation, or whatever else names one."""
    protocol: str
    low: int
    high: int

    @property
    def is_from_anywhere(self) -> bool:
        """Whether the source is the whole internet, or most of it."""
        if self.source.lower() in _ANY:
            return True
        network = _network(self.source)
        if network is None:
            return False
        return network.prefixlen < (_WIDE_4 if isinstance(network, IPv4Network) else _WIDE_6)


def grant(source: str, protocol: object, low: object, high: object) -> Grant:
    """Return a grant; ports that can't be read, and those of a protocol without any, are all ports."""
    name = str(protocol).lower()
    name = _NAMED.get(name, name)
    first, last = (_port(low), _port(high)) if name not in _ANY_PROTOCOL else _ALL_PORTS
    if first is None or last is None:
        first, last = _ALL_PORTS
    return Grant(source=source, protocol="*" if name in _ANY_PROTOCOL else name, low=first, high=last)


def ports(text: object) -> tuple[int, int]:
    """Return the first and last port of ``443``, ``8000-9000`` or ``*``."""
    found = _PORTS.fullmatch(text) if isinstance(text, str) else None
    return (int(found[1]), int(found[2] or found[1])) if found else _ALL_PORTS


def widened(before: Sequence[Grant], after: Iterable[Grant], *, is_new: bool) -> tuple[str, ...]:
    """Return in which ways ``after`` lets in more than ``before``.

    ``is_new``: there was nothing before, and then only what comes from anywhere counts. A further source of its own
    does not count either: it is what most changes of a firewall are about.
    """
    found: dict[str, None] = {}
    for one in after:
        if _is_covered(one, before):
            continue
        if one.is_from_anywhere:
            found[ANYWHERE] = None
        elif not is_new:
            if any(_holds(earlier.source, one.source) for earlier in before):
                found[MORE_PORTS] = None
            elif any(_holds(one.source, earlier.source) for earlier in before):
                found[WIDER_SOURCE] = None
    return tuple(found)


def _is_covered(one: Grant, before: Sequence[Grant]) -> bool:
    """Return whether the ports of the earlier grants to the same source, taken together, hold all of these."""
    spans = sorted(
        (earlier.low, earlier.high)
        for earlier in before
        if earlier.protocol in ("*", one.protocol) and _holds(earlier.source, one.source)
    )
    needed = one.low
    for low, high in spans:
        if low > needed:
            return False
        needed = max(needed, high + 1)
        if needed > one.high:
            return True
    return False


def _holds(outer: str, inner: str) -> bool:
    if outer == inner or outer.lower() in ("*", "internet", "any"):
        return True
    match _network(outer), _network(inner):
        case IPv4Network() as wide, IPv4Network() as narrow:
            return narrow.subnet_of(wide)
        case IPv6Network() as wide6, IPv6Network() as narrow6:
            return narrow6.subnet_of(wide6)
    return False


@lru_cache(maxsize=4_096)
def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _port(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= _ALL_PORTS[1] else None


# --- as providers write them -----------------------------------------------------------------------------------------


def aws(rule: Mapping[str, Any]) -> Iterator[Grant]:
    """Yield the grants of an ``ingress`` block or of a rule resource of its own."""
    sources = [*_texts(rule.get("cidr_blocks")), *_texts(rule.get("ipv6_cidr_blocks"))]
    sources += [*_texts(rule.get("cidr_ipv4")), *_texts(rule.get("cidr_ipv6"))]
    for key in ("security_groups", "source_security_group_id", "referenced_security_group_id", "prefix_list_ids"):
        sources += [f"{key}:{one}" for one in _texts(rule.get(key))]
    sources += [f"prefix_list_ids:{one}" for one in _texts(rule.get("prefix_list_id"))]
    sources += ["self"] if rule.get("self") is True else []
    protocol = rule.get("protocol", rule.get("ip_protocol"))
    for source in sources:
        yield grant(source, protocol, rule.get("from_port"), rule.get("to_port"))


def google(firewall: Mapping[str, Any]) -> Iterator[Grant]:
    """Yield the grants of a ``google_compute_firewall``."""
    if firewall.get("direction") == "EGRESS" or firewall.get("disabled") is True:
        return
    for allowed in _objects(firewall.get("allow")):
        spans = [ports(text) for text in _texts(allowed.get("ports"))] or [_ALL_PORTS]
        for source in _texts(firewall.get("source_ranges")):
            for low, high in spans:
                yield grant(source, allowed.get("protocol"), low, high)


def azure(rule: Mapping[str, Any]) -> Iterator[Grant]:
    """Yield the grants of an ``azurerm_network_security_rule``, or of a rule in a group."""
    if rule.get("access") != "Allow" or rule.get("direction") != "Inbound":
        return
    sources = [*_texts(rule.get("source_address_prefix")), *_texts(rule.get("source_address_prefixes"))]
    named = [*_texts(rule.get("destination_port_range")), *_texts(rule.get("destination_port_ranges"))]
    for source in sources:
        for low, high in map(ports, named or ["*"]):
            yield grant(source, rule.get("protocol"), low, high)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
