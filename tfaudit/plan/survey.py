"""Which changes are listed, how many are there of which action, and which strings do they give away as secret?

The first look at every resource change, without decoding what neither is secret nor names a secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Final

import msgspec

from tfaudit.errors import InputError
from tfaudit.plan import exactjson, found_secrets
from tfaudit.plan.exactjson import Json
from tfaudit.plan.forked import Forked, processes_for
from tfaudit.plan.model import derive_action
from tfaudit.plan.names import NameRules

_WORTH_A_PROCESS: Final = 20_000


class _GlanceChange(msgspec.Struct):
    actions: Json = None
    importing: Json = None
    before_sensitive: msgspec.Raw = found_secrets.ABSENT
    after_sensitive: msgspec.Raw = found_secrets.ABSENT


class _Glance(msgspec.Struct):
    change: _GlanceChange | None = None
    previous_address: Json = None


class Survey(msgspec.Struct):
    """What the first look found; two halves can be joined."""

    listed: bytes = b""
    """One byte a change: 1 if it is listed, 0 for a no-op that neither moves nor imports."""
    actions: dict[str, int] = {}
    moved: int = 0
    imported: int = 0
    secrets: set[str] = set()

    def followed_by(self, other: Survey) -> Survey:
        """Return the survey of this part and the next one together."""
        return Survey(
            self.listed + other.listed,
            dict(Counter(self.actions) + Counter(other.actions)),
            self.moved + other.moved,
            self.imported + other.imported,
            self.secrets | other.secrets,
        )


_glance: Final = msgspec.json.Decoder(_Glance)
_survey: Final = msgspec.msgpack.Decoder(Survey)


def survey(changes: Sequence[msgspec.Raw], names: NameRules) -> Survey:
    """Return what is to be known of ``changes`` before any of them is shown; large plans are read by several processes.

    Raises :class:`InputError` for an entry that is no change.
    """
    processes = processes_for(len(changes), at_least=_WORTH_A_PROCESS)
    bounds = [len(changes) * number // processes for number in range(processes + 1)]

    def encoded(start: int, stop: int) -> Iterator[bytes]:
        yield msgspec.msgpack.encode(_part(changes[start:stop], names))

    with ExitStack() as stack:
        others = [stack.enter_context(Forked(encoded(start, stop))) for start, stop in pairwise(bounds[1:])]
        whole = _part(changes[: bounds[1]], names)
        for other in others:
            whole = whole.followed_by(_survey.decode(other.next_part()))
    return whole


def _part(changes: Sequence[msgspec.Raw], names: NameRules) -> Survey:
    found = Survey()
    actions: Counter[str] = Counter()
    listed = bytearray(len(changes))
    for at, raw in enumerate(changes):
        try:
            seen = _glance.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError("a resource change of the plan JSON can't be read") from error
        change = seen.change or _GlanceChange()
        spelled = change.actions if isinstance(change.actions, list) else []
        action = derive_action([str(each) for each in spelled])
        actions[action] += 1
        found.moved += seen.previous_address is not None
        found.imported += change.importing is not None
        listed[at] = action != "no-op" or seen.previous_address is not None or change.importing is not None
        marked = found_secrets.is_marked(change.before_sensitive) or found_secrets.is_marked(change.after_sensitive)
        if marked or names.custom or found_secrets.names_a_secret(bytes(raw)):
            found.secrets.update(_secrets(raw, names))
    found.listed, found.actions = bytes(listed), dict(actions)
    return found


def _secrets(raw: msgspec.Raw, names: NameRules) -> list[str]:
    entry = exactjson.decode(raw, what="a resource change of the plan JSON")
    change, kind = entry.get("change"), entry.get("type")
    if not isinstance(change, dict):
        return []
    try:
        return list(found_secrets.in_change(change, names, kind if isinstance(kind, str) else ""))
    except RecursionError as error:
        raise InputError("a resource change of the plan JSON is nested too deeply") from error
