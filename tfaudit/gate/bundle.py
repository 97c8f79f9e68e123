"""What does an organisation pin: its bundle, parsed strictly, built, digested.

The bundle is canonical JSON, format ``tfaudit-bundle/v1``. Its ``gate`` has the shape of ``[gate]`` in tfaudit.toml,
and its ``approvers`` is the text of the approvers file, so that everything that decides is in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from tfaudit import canonical
from tfaudit.config import gate as gates
from tfaudit.config import tables
from tfaudit.config.gating import GateSettings, IdentitySettings
from tfaudit.config.place import Place
from tfaudit.errors import ConfigError, InputError
from tfaudit.gate import allowed_signers

if TYPE_CHECKING:
    from tfaudit.gate.model import ApproverKey

FORMAT: Final = "tfaudit-bundle/v1"
MAX_BUNDLE: Final = 4 << 20
"""Bytes."""

_KEYS: Final = (
    "format",
    "origin",
    "on_ledger_failure",
    "gate",
    "approvers",
    "identities",
    "identity",
    "policies",
)
_IDENTITY: Final = ("issuers", "audience", "jwks", "agents")
_WHAT: Final = "the bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """The least that holds for every stack of an organisation."""

    origin: str
    """The ledger that it is for."""
    gate: GateSettings
    """Whole, nothing left to defaults; its ``stacks`` say what some stacks get instead; without a file of approvers."""
    on_ledger_failure: Literal["stop", "spool"] = "stop"
    """What an apply may at most do while the ledger is away."""
    approvers: str | None = None
    """The approvers file's text; None where nothing asks for an approval."""
    identities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Person to the names that are theirs."""
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    policies: tuple[str, ...] = ()
    """Digests of the sets of rules that may be used, 64 hexadecimal digits; none: any."""

    def keys(self) -> tuple[ApproverKey, ...] | None:
        """Return the approvers' keys, None without a file; :class:`ConfigError` for one that is not understood."""
        return None if self.approvers is None else allowed_signers.parse(self.approvers, what=f"approvers of {_WHAT}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A bundle that a ``config`` record of the log has put in force."""

    record_id: str
    position: int
    """Its place in the log: the leaf's index."""
    bundle: Bundle


def whole(gate: GateSettings) -> GateSettings:
    """Return the gate with its defaults said by it, as a least gate must have them, and without a file's path."""
    stacks = tuple(replace(stack, gate=replace(stack.gate, absent=frozenset())) for stack in gate.stacks)
    return replace(gate, stacks=stacks, approvers=None, absent=frozenset())


def build(bundle: Bundle) -> bytes:
    """Return the bundle's canonical JSON; :class:`ConfigError` where :func:`parse` would refuse it."""
    identity = bundle.identity
    text = canonical.encode(
        {
            "format": FORMAT,
            "origin": bundle.origin,
            "on_ledger_failure": bundle.on_ledger_failure,
            "gate": gates.document(bundle.gate),
            "approvers": bundle.approvers,
            "identities": {person: list(names) for person, names in bundle.identities.items()},
            "identity": {
                "issuers": list(identity.issuers),
                "audience": identity.audience,
                "jwks": identity.jwks,
                "agents": None if identity.agents is None else list(identity.agents),
            },
            "policies": sorted(bundle.policies),
        }
    )
    try:
        parse(text)
    except InputError as error:
        raise ConfigError(error.message, hint=error.hint) from error
    return text


def digest(bundle: Bundle) -> str:
    """Return the SHA-256 of the bundle's canonical JSON, 64 hexadecimal digits."""
    return canonical.sha256_hex(build(bundle))


def parse(text: bytes) -> Bundle:
    """Return the bundle of its canonical JSON.

    Raises :class:`InputError` for another format, an unknown or missing key or a wrong value, and where it asks for
    approvals that nobody could give.
    """
    if len(text) > MAX_BUNDLE:
        raise InputError(f"{_WHAT} is larger than {MAX_BUNDLE} bytes")
    document = canonical.decode(text, what=_WHAT)
    try:
        found = _bundle(document)
        _check(found)
    except ConfigError as error:
        raise InputError(error.message, hint=error.hint) from error
    return found


def _bundle(document: object) -> Bundle:
    place = Place("", _WHAT)
    match document:
        case {"format": str(version)} if version != FORMAT:
            raise InputError(f"{_WHAT} is of format {version[:60]!r}, which this version of tfaudit does not know")
    entries = place.table(document, _KEYS)
    missing = set(_KEYS) - entries.keys()
    if missing:
        raise ConfigError(f"{_WHAT} has no {min(missing)}")
    failure = entries["on_ledger_failure"]
    if failure not in ("stop", "spool"):
        raise ConfigError(f"{place.of('on_ledger_failure')} is neither of its words", hint='"stop" or "spool"')
    approvers = entries["approvers"]
    if approvers is not None and not isinstance(approvers, str):
        raise ConfigError(f"{place.of('approvers')} is not a text")
    return Bundle(
        origin=place.name(entries["origin"], "origin"),
        gate=whole(gates.settings(entries["gate"], _WHAT, None)),
        on_ledger_failure=failure,
        approvers=approvers,
        identities=tables.people(entries["identities"], _WHAT),
        identity=_identity(entries["identity"], place.under("identity")),
        policies=_policies(entries["policies"], place),
    )


def _identity(value: object, place: Place) -> IdentitySettings:
    entries = place.table(value, _IDENTITY)
    audience, jwks, agents = (entries.get(key) for key in ("audience", "jwks", "agents"))
    return IdentitySettings(
        issuers=place.names(entries.get("issuers"), "issuers"),
        audience=None if audience is None else place.name(audience, "audience"),
        jwks=None if jwks is None else place.name(jwks, "jwks"),
        agents=None if agents is None else place.names(agents, "agents"),
    )


def _policies(value: object, place: Place) -> tuple[str, ...]:
    found = place.names(value, "policies")
    for one in found:
        if len(one) != 64 or not set(one) <= set("0123456789abcdef"):
            raise ConfigError(f"{place.of('policies')} has one that is no SHA-256")
    return tuple(sorted(found))


def _check(bundle: Bundle) -> None:
    """Raise :class:`ConfigError` where the parts don't fit: who would approve must be in the bundle as well."""
    keys = bundle.keys()
    asking = _asking(bundle)
    if keys is None and asking is not None:
        raise ConfigError(f"{asking} asks for approvals, and no approvers are named", hint="set approvers in [gate]")
    principals = {name for key in keys or () for name in key.principals}
    for group, members in bundle.gate.groups.items():
        for member in members:
            if member not in principals:
                raise ConfigError(f"{member!r} of the group {group!r} is not in the approvers file")
    for group in _groups(bundle.gate):
        if group not in bundle.gate.groups:
            raise ConfigError(f"there is no group {group!r}", hint="define it in [gate.groups]")
    patterns = [stack.pattern for stack in bundle.gate.stacks]
    if len(set(patterns)) != len(patterns):
        raise ConfigError("two of [[gate.stack]] have one pattern", hint="join them")


def _asking(bundle: Bundle) -> str | None:
    """Return what in the bundle asks, or may ask, for an approval."""
    for name, gate in (("[gate]", bundle.gate), *((stack.pattern, stack.gate) for stack in bundle.gate.stacks)):
        if gate.approvals:
            return name
        if gate.rules:
            return f"the rule {gate.rules[0].name!r}"
    return "the policy" if bundle.policies else None


def _groups(gate: GateSettings) -> Iterator[str]:
    for one in (gate, *(stack.gate for stack in gate.stacks)):
        for rule in one.rules:
            yield from rule.groups
        if one.break_glass is not None:
            yield from one.break_glass.groups


def readable(bundle: Bundle) -> dict[str, Any]:
    """Return the bundle as plain JSON, for a reader."""
    return cast("dict[str, Any]", canonical.decode(build(bundle), what=_WHAT))
