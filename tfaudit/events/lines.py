"""Which bytes is the event line of one change, output, check, outcome or diagnostic?

A line is canonical JSON (keys sorted, nothing absent written). It holds no value: each stands in the line's disclosure,
and the line commits to it by a salted digest (see :mod:`tfaudit.events.commitment`). An instance key that is personal
data stands as ``~`` and sixteen digits of the digest of the whole address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from tfaudit import canonical
from tfaudit.canonical import MAX_EXACT_INT, frame
from tfaudit.events.commitment import (
    SALT_SIZE,
    Opening,
    commit,
    digest_after_frames,
    digest_prefix,
    encode_member,
    encode_values,
    json_text,
)
from tfaudit.events.model import EventLine
from tfaudit.plan.attributes import AttributeChange
from tfaudit.plan.messages import Diagnostic
from tfaudit.plan.model import ActionInvocation, CheckResult, OutputChange, ResourceChange
from tfaudit.plan.outcome import Outcome
from tfaudit.plan.personal import is_personal
from tfaudit.plan.source import Source

Entropy = Callable[[int], bytes]

_KEY: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_CACHED: Final = 65_536


class _Pointer(NamedTuple):
    """A pointer's JSON text and its framed ends for either side: the same few come in every resource of a type."""

    text: bytes
    before: bytes
    after: bytes


class _Address(NamedTuple):
    """An address as the line prints it, with what opens it where a key was taken out."""

    printed: str
    pseudonym: str | None
    member: bytes | None


class LineWriter:
    """Writes the event lines of one record; ``entropy(n)`` gives n random bytes for salts."""

    def __init__(self, record_id: str, entropy: Entropy, personal: Callable[[str], bool] = is_personal) -> None:
        self._record_id = record_id
        self._entropy = entropy
        self._personal = personal
        self._texts: dict[str, bytes] = {}
        self._pointers: dict[str, _Pointer] = {}

    def resource(self, change: ResourceChange, source: Source | None = None) -> EventLine:
        """Return the line of a resource change, a drift or a deferred change."""
        address = self._address("/address", change.address, change.deposed)
        module, index = change.module, change.index
        members = [] if address.member is None else [address.member]
        if address.pseudonym is not None:
            module = self._replace_keys(module, address.pseudonym) if module else module
            index = f"~{address.pseudonym}" if isinstance(index, str) and self._personal(index) else index
        text = self._text
        parts = [b'{"action":%b' % text(change.action)]
        if change.action_reason:
            parts.append(b'"action_reason":%b' % text(change.action_reason))
        parts.append(b'"actions":[%b]' % b",".join(map(text, change.actions)))
        parts.append(b'"address":%b' % json_text(address.printed))
        attributes, values = self._attributes(change.attributes, address.printed, change.deposed)
        if attributes:
            parts.append(b'"attributes":[%b]' % attributes)
        if change.deferred_reason:
            parts.append(b'"deferred_reason":%b' % text(change.deferred_reason))
        if change.deposed:
            parts.append(b'"deposed":%b' % json_text(change.deposed))
        if change.importing is not None:
            imported = b"true"
            if change.importing.text is not None:
                salt = self._entropy(SALT_SIZE)
                subject = change.importing.text
                found = commit(self._record_id, address.printed, change.deposed, "/importing", subject, salt)
                imported = b'{"digest":"%b"}' % found.digest.encode()
                members.append(found.member)
            parts.append(b'"importing":%b' % imported)
        if index is not None:
            parts.append(b'"index":%b' % (_integer(index) if isinstance(index, int) else json_text(index)))
        parts.append(b'"kind":%b' % text(change.kind))
        if change.mode:
            parts.append(b'"mode":%b' % text(change.mode))
        if module:
            parts.append(b'"module":%b' % text(module))
        if change.name:
            parts.append(b'"name":%b' % text(change.name))
        if change.previous_address:
            previous = self._address("/previous_address", change.previous_address, change.deposed)
            members += [] if previous.member is None else [previous.member]
            parts.append(b'"previous_address":%b' % json_text(previous.printed))
        if change.provider:
            parts.append(b'"provider":%b' % text(change.provider))
        if source is not None:
            parts.append(b'"source":{"file":%b,"line":%d}' % (text(source.file), source.line))
        if change.type:
            parts.append(b'"type":%b' % text(change.type))
        if change.withheld:
            parts.append(b'"withheld":true')
        return EventLine(b",".join(parts) + b"}", encode_values(values + members))

    def output(self, change: OutputChange) -> EventLine:
        """Return the line of an output change; its address is ``output.NAME``."""
        address = f"output.{change.name}"
        attributes, values = self._attributes(change.attributes, address, None)
        line = _present(
            kind="output-change",
            address=address,
            name=change.name,
            actions=list(change.actions),
            action=change.action,
            attributes=_parsed(attributes),
            withheld=change.withheld,
        )
        return EventLine(canonical.encode(line), encode_values(values))

    def invocation(self, invocation: ActionInvocation) -> EventLine:
        """Return the line of a provider action that is to be invoked, or was put off."""
        address = self._address("/address", invocation.address, None)
        members = [] if address.member is None else [address.member]
        attributes, values = self._attributes(invocation.attributes, address.printed, None)
        trigger = None
        if invocation.triggering_address:
            triggering = self._address("/trigger/address", invocation.triggering_address, None)
            members += [] if triggering.member is None else [triggering.member]
            trigger = _present(address=triggering.printed, event=invocation.trigger_event)
        line = _present(
            kind="deferred-action-invocation" if invocation.deferred_reason else "action-invocation",
            address=address.printed,
            type=invocation.type,
            name=invocation.name,
            provider=invocation.provider,
            attributes=_parsed(attributes),
            trigger=trigger,
            deferred_reason=invocation.deferred_reason,
        )
        return EventLine(canonical.encode(line), encode_values(values + members))

    def check(self, check: CheckResult) -> EventLine:
        """Return the line of a check; instances that passed are counted, the messages of the others committed to."""
        address = self._address("/address", check.address, None)
        members = [] if address.member is None else [address.member]
        instances = []
        for at, instance in enumerate(check.instances):
            pointer = f"/instances/{at}"
            shown = self._address(f"{pointer}/address", instance.address, None)
            members += [] if shown.member is None else [shown.member]
            problems = []
            for number, problem in enumerate(instance.problems):
                found = self._opening(f"{pointer}/problems/{number}", problem, address.printed)
                problems.append({"digest": found.digest})
                members.append(found.member)
            instances.append(_present(address=shown.printed, status=instance.status, problems=problems))
        line = _present(
            kind="check",
            address=address.printed,
            check_kind=check.kind,
            status=check.status,
            instances=instances,
            passed=check.passed,
        )
        return EventLine(canonical.encode(line), encode_values(sorted(members)))

    def outcome(self, outcome: Outcome) -> EventLine:
        """Return the line of what came of one change; it carries the change's event id and printed address."""
        members = []
        committed = {}
        for key, value in (("error", outcome.error), ("id", outcome.id)):
            if value is not None:
                found = self._opening(f"/{key}", value, outcome.address, outcome.deposed)
                committed[key] = {"digest": found.digest}
                members.append(found.member)
        line = _present(
            kind="outcome",
            event_id=outcome.event_id,
            address=outcome.address,
            deposed=outcome.deposed,
            status=outcome.status,
            started=outcome.started,
            inferred=outcome.inferred,
            provisioner=outcome.provisioner,
            steps=[{"action": step.action, "status": step.status} for step in outcome.steps],
            **committed,
        )
        if outcome.elapsed_seconds is not None:
            line["elapsed_seconds"] = outcome.elapsed_seconds
        return EventLine(canonical.encode(line), encode_values(members))

    def diagnostic(self, diagnostic: Diagnostic) -> EventLine:
        """Return the line of an error or warning of the engine, its words committed to."""
        address = self._address("/address", diagnostic.address or "", None)
        members = [] if address.member is None else [address.member]
        committed = {}
        for key, value in (("detail", diagnostic.detail), ("summary", diagnostic.summary)):
            if value:
                found = self._opening(f"/{key}", value, address.printed)
                committed[key] = {"digest": found.digest}
                members.append(found.member)
        source = {"file": diagnostic.file, "line": diagnostic.line} if diagnostic.file and diagnostic.line else None
        line = _present(
            kind="diagnostic", severity=diagnostic.severity, address=address.printed, source=source, **committed
        )
        return EventLine(canonical.encode(line), encode_values(members))

    def note(self, code: str, **facts: object) -> EventLine:
        """Return the line of something worth knowing about the run; ``facts`` hold nothing secret or personal."""
        return EventLine(canonical.encode(_present(kind="note", code=code, facts=facts)), b"")

    def _attributes(
        self, attributes: Sequence[AttributeChange], address: str, deposed: str | None
    ) -> tuple[bytes, list[bytes]]:
        """Return the members of the line's ``attributes`` and those of its disclosure."""
        if not attributes:
            return b"", []
        prefix = digest_prefix(self._record_id, address, deposed)
        salts = self._entropy(2 * SALT_SIZE * len(attributes))
        used = 0
        lines: list[bytes] = []
        values: list[bytes] = []
        for attribute in attributes:
            pointer = self._pointers.get(attribute.path) or self._pointer(attribute.path)
            line = b"{"
            if attribute.before is not None:
                salt = salts[used : used + SALT_SIZE]
                used += SALT_SIZE
                digest = digest_after_frames(prefix + pointer.before, salt, attribute.before)
                line = b'{"before":"%b",' % digest
                values.append(encode_member(pointer.text, b"before", salt, attribute.before))
            if attribute.after is not None:
                salt = salts[used : used + SALT_SIZE]
                used += SALT_SIZE
                digest = digest_after_frames(prefix + pointer.after, salt, attribute.after)
                line = b'{"after":"%b",%b' % (digest, line[1:])
                values.append(encode_member(pointer.text, b"after", salt, attribute.after))
            if attribute.forces_replacement:
                line += b'"forces_replacement":true,'
            line += b'"path":%b' % pointer.text
            if attribute.redacted:
                line += b',"redacted":true'
            if attribute.sensitive:
                line += b',"sensitive":true'
            if attribute.unknown:
                line += b',"unknown":true'
            lines.append(line + b"}")
        return b",".join(lines), values

    def _pointer(self, path: str) -> _Pointer:
        if len(self._pointers) >= _CACHED:
            self._pointers.clear()
        encoded = path.encode()
        found = _Pointer(json_text(path), frame(encoded, b"before"), frame(encoded, b"after"))
        self._pointers[path] = found
        return found

    def _text(self, text: str) -> bytes:
        """Return the JSON text of one of the strings that come again and again: a type, a provider, a module."""
        known = self._texts.get(text)
        if known is None:
            if len(self._texts) >= _CACHED:
                self._texts.clear()
            known = self._texts[text] = json_text(text)
        return known

    def _opening(self, pointer: str, value: str, address: str, deposed: str | None = None) -> Opening:
        return commit(self._record_id, address, deposed, pointer, json_text(value), self._entropy(SALT_SIZE))

    def _address(self, pointer: str, address: str, deposed: str | None) -> _Address:
        if '["' not in address or not any(map(self._personal, _KEY.findall(address))):
            return _Address(address, None, None)
        found = commit(self._record_id, "", deposed, pointer, json_text(address), self._entropy(SALT_SIZE))
        pseudonym = found.digest[:16]
        return _Address(self._replace_keys(address, pseudonym), pseudonym, found.member)

    def _replace_keys(self, address: str, pseudonym: str) -> str:
        return _KEY.sub(lambda key: f'["~{pseudonym}"]' if self._personal(key[1]) else key[0], address)


def _integer(value: int) -> bytes:
    return b"%d" % value if abs(value) <= MAX_EXACT_INT else b'"%d"' % value


def _present(**members: object) -> dict[str, object]:
    return {key: value for key, value in members.items() if value not in (None, "", False, [], (), {})}


def _parsed(attributes: bytes) -> list[object]:
    parsed: list[object] = msgspec.json.decode(b"[" + attributes + b"]")
    return parsed
