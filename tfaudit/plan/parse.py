"""What does this plan change? Plan JSON (``show -json PLANFILE``) to a :class:`Plan`.

A plan JSON can be hundreds of megabytes, each resource four times in it. Only ``resource_changes`` and its like are
looked at, as undecoded slices of the caller's bytes; no-ops are only counted; the others are decoded one at a time,
when asked for. Formats 0.1 to 1.x are read, unknown keys ignored; an unknown major version is refused by name.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson, found_secrets
from tfaudit.plan.attributes import Differ
from tfaudit.plan.checks import check_results
from tfaudit.plan.detect import Kind, detect_bytes, detect_keys, refuse, unwrapped
from tfaudit.plan.exactjson import Buffer, Json
from tfaudit.plan.model import (
    ActionInvocation,
    CheckResult,
    Counts,
    OutputChange,
    ResourceChange,
)
from tfaudit.plan.names import NameRules
from tfaudit.plan.personal import is_personal
from tfaudit.plan.redact import Redactor
from tfaudit.plan.resources import ChangeReader
from tfaudit.plan.survey import Survey, survey

MAX_SIZE: Final = 4 << 30
"""A plan JSON beyond this many bytes is refused, unless the caller says otherwise."""

_WHAT: Final = "the plan JSON"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The plan's own bytes, part by part and undecoded: full of secrets, not to be stored or shown."""

    changes: Sequence[msgspec.Raw]
    """The entries of ``resource_changes`` but for no-ops that neither move nor import."""
    drift: Sequence[msgspec.Raw]
    deferred: Sequence[msgspec.Raw]
    outputs: dict[str, msgspec.Raw]
    actions: Sequence[msgspec.Raw]
    deferred_actions: Sequence[msgspec.Raw]
    checks: msgspec.Raw | None
    variables: msgspec.Raw | None
    configuration: msgspec.Raw | None
    """None where the key is absent or null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A parsed plan. Whatever it hands out is redacted; it keeps the caller's buffer alive, and reads it on demand."""

    format_version: str
    engine_version: str | None
    """The key ``terraform_version``, which OpenTofu uses too; None where it is absent."""
    timestamp: str | None
    """When it was planned, RFC 3339; None before Terraform 1.5."""
    applyable: bool | None
    complete: bool | None
    errored: bool | None
    """None where the engine doesn't say: absent is not false."""
    counts: Counts
    withheld: bool
    """True for formats 0.x, whose marks are missing or incomplete: every value is withheld."""
    redactor: Redactor
    """Knows the secrets of this plan: to be used for all that this run records from here on."""
    parts: Parts = field(repr=False)
    _checks: tuple[CheckResult, ...]
    _personal: Callable[[str], bool]
    _own_secrets: frozenset[str] = field(repr=False)

    @property
    def size(self) -> int:
        """How many resource changes are listed: all but those no-ops that neither move nor import."""
        return len(self.parts.changes)

    def resource_changes(self, start: int = 0, stop: int | None = None) -> Iterator[ResourceChange]:
        """Yield the listed resource changes from number ``start`` up to ``stop``, each parsed as it is asked for.

        Raises :class:`InputError` for a change that can't be read.
        """
        reader = self.reader()
        for at in range(start, len(self.parts.changes) if stop is None else min(stop, len(self.parts.changes))):
            yield reader.resource(self.parts.changes[at], "resource-change")

    def drift(self) -> Iterator[ResourceChange]:
        """Yield what the refresh found changed outside the engine."""
        reader = self.reader()
        return (reader.resource(raw, "drift") for raw in self.parts.drift)

    def deferred_changes(self) -> Iterator[ResourceChange]:
        """Yield the changes that the engine put off, with the reason it gives."""
        reader = self.reader()
        return (reader.deferred(raw) for raw in self.parts.deferred)

    def output_changes(self) -> Iterator[OutputChange]:
        """Yield the outputs that change."""
        reader = self.reader()
        found = (reader.output(name, raw) for name, raw in self.parts.outputs.items())
        return (change for change in found if change.action != "no-op")

    def action_invocations(self) -> Iterator[ActionInvocation]:
        """Yield the provider actions that the apply will invoke, then those put off."""
        reader = self.reader()
        for raw in self.parts.actions:
            yield reader.invocation(raw)
        for raw in self.parts.deferred_actions:
            yield reader.deferred_invocation(raw)

    def checks(self) -> tuple[CheckResult, ...]:
        """Return the results of the checks, as far as they are known at plan time."""
        return self._checks

    def judging(self, *, speaks: bool = False) -> Redactor:
        """Return what withholds from rules only what the plan itself gives away as a secret: by mark, name or form.

        Not what came by an option or the environment, stands in the backend's configuration or has a name that the user
        withholds: none of this must hide from a rule what a change does. From rules whose messages may repeat what they
        see (``speaks``) such a name still withholds its value.
        """
        names = self.redactor.names
        return Redactor(names=names if speaks else names.without_redact()).knowing(self._own_secrets)

    def reader(self) -> ChangeReader:
        """Return what reads this plan's entries, one after the other, and withholds what is to be withheld."""
        return ChangeReader(Differ(self.redactor, self._personal, withhold=self.withheld))


def read_plan(
    data: Buffer,
    *,
    redactor: Redactor | None = None,
    given: Collection[str] = (),
    personal: Callable[[str], bool] = is_personal,
    limit: int = MAX_SIZE,
) -> Plan:
    """Return the plan that ``data`` (bytes, a memory view or a mapped file) spells.

    ``redactor`` knows the secrets from outside the plan (variables in the environment, backend configuration) and the
    user's patterns; ``given`` are the input variables whose values came by the environment, to be withheld like
    sensitive ones; ``personal`` says which map keys are personal data. ``data`` must not change while the plan is used.
    Raises :class:`InputError`, one line, for whatever is not plan JSON of a known format.
    """
    if len(memoryview(data)) > limit:
        raise InputError(f"{_WHAT} is larger than {limit} bytes")
    view = unwrapped(data)
    kind = detect_bytes(view)
    if kind is not None:
        raise refuse(kind, _WHAT)
    members = exactjson.members(view, what=_WHAT)
    kind = detect_keys(members)
    if kind is not Kind.PLAN:
        raise refuse(kind, _WHAT)
    exactjson.check_utf8(view, what=_WHAT)
    mapped = data.obj if isinstance(data, memoryview) else data
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)  # what is looked at again comes back by itself; most of it isn't
    try:
        return _plan(members, redactor or Redactor(), personal, given)
    except RecursionError as error:
        raise InputError(f"{_WHAT} is nested too deeply") from error


def _plan(
    members: dict[str, msgspec.Raw], redactor: Redactor, personal: Callable[[str], bool], given: Collection[str]
) -> Plan:
    # A remote platform's redacted plan has the same shape under another key.
    format_version = _scalar(members, "format_version", str) or _scalar(members, "plan_format_version", str)
    _check_format(format_version)
    changes = _array(members, "resource_changes")
    drift = _array(members, "resource_drift")
    outputs = (
        exactjson.members(members["output_changes"], what="output_changes") if _has(members, "output_changes") else {}
    )
    seen = survey(changes, redactor.names)
    variables, configuration = _raw(members, "variables"), _raw(members, "configuration")

    def secrets(names: NameRules, found: Survey) -> set[str]:
        own = found.secrets | survey(drift, names).secrets
        for raw in outputs.values():
            own.update(found_secrets.in_change(_object(raw), names, "output"))
        own.update(found_secrets.in_state(_raw(members, "prior_state")))
        own.update(found_secrets.in_variables(variables, configuration, names))
        return own

    own = secrets(redactor.names, seen)
    from_outside = found_secrets.in_variables(variables, configuration, redactor.names, given) if given else ()
    knowing = redactor.knowing((*own, *from_outside))
    plain = redactor.names.without_redact()
    if plain is not redactor.names:
        own = secrets(plain, survey(changes, plain))
    deferred = _array(members, "deferred_changes")
    actions = _array(members, "action_invocations")
    deferred_actions = _array(members, "deferred_action_invocations")
    checks = check_results(_decoded(members, "checks"), _decoded(members, "condition_results"), knowing)
    changed_outputs = sum(_object(raw).get("actions") != ["no-op"] for raw in outputs.values())
    return Plan(
        format_version=format_version or "",
        engine_version=_scalar(members, "terraform_version", str),
        timestamp=_scalar(members, "timestamp", str),
        applyable=_scalar(members, "applyable", bool),
        complete=_scalar(members, "complete", bool),
        errored=_scalar(members, "errored", bool),
        counts=_counts(
            seen,
            drift=len(drift),
            outputs=changed_outputs,
            deferred=len(deferred),
            action_invocations=len(actions) + len(deferred_actions),
            checks=len(checks),
        ),
        withheld=(format_version or "").startswith("0."),
        redactor=knowing,
        parts=Parts(
            changes=[raw for raw, listed in zip(changes, seen.listed, strict=True) if listed],
            drift=drift,
            deferred=deferred,
            outputs=outputs,
            actions=actions,
            deferred_actions=deferred_actions,
            checks=_raw(members, "checks"),
            variables=variables,
            configuration=configuration,
        ),
        _checks=checks,
        _personal=personal,
        _own_secrets=frozenset(own),
    )


def _counts(seen: Survey, **others: int) -> Counts:
    of = seen.actions.get
    return Counts(
        no_op=of("no-op", 0),
        create=of("create", 0),
        read=of("read", 0),
        update=of("update", 0),
        delete=of("delete", 0),
        replace=of("replace", 0),
        forget=of("forget", 0),
        unknown=of("unknown", 0),
        moved=seen.moved,
        imported=seen.imported,
        **others,
    )


def _check_format(version: str | None) -> None:
    major = (version or "").split(".")[0]
    if major not in ("0", "1"):
        said = f"has the unknown format {version[:32]!r}" if version else "has no format_version"
        raise InputError(f"{_WHAT} {said}", hint="tfaudit reads formats 0.1 to 1.x")


def _has(members: dict[str, msgspec.Raw], key: str) -> bool:
    return key in members and bytes(members[key]) != b"null"


def _raw(members: dict[str, msgspec.Raw], key: str) -> msgspec.Raw | None:
    return members[key] if _has(members, key) else None


def _decoded(members: dict[str, msgspec.Raw], key: str) -> Json:
    return exactjson.decode(members[key], what=key) if key in members else None


def _array(members: dict[str, msgspec.Raw], key: str) -> list[msgspec.Raw]:
    return exactjson.elements(members[key], what=key) if key in members else []


def _object(raw: msgspec.Raw) -> dict[str, Json]:
    value = exactjson.decode(raw, what="a change of the plan JSON")
    if not isinstance(value, dict):
        raise InputError("a change of the plan JSON is not an object")
    return value


def _scalar(members: dict[str, msgspec.Raw], key: str, kind: type[T]) -> T | None:
    value = _decoded(members, key)
    if value is not None and not isinstance(value, kind):
        raise InputError(f"{key} of the plan JSON is not a {kind.__name__}")
    return value
