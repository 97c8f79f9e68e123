"""Would two plans do the same? The digest of all that an apply does, whichever way the plan was written down.

:func:`summarise` hashes the canonical change stream that docs/format.md specifies; :func:`change_digest` keys the
result, so that what is stored tells nothing to whoever lacks the key. The summary itself tells whoever can guess a plan
that the guess is right: it is never stored and never shown.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Final

import msgspec

from tfaudit.canonical import frame
from tfaudit.errors import InputError, InternalError
from tfaudit.plan import canonicalform, exactjson
from tfaudit.plan.forked import Forked, processes_for
from tfaudit.plan.model import Counts
from tfaudit.plan.modules import SourceDigest
from tfaudit.plan.parse import Plan

KEY_SIZE: Final = 32
_STREAM: Final = b"tfaudit/change-stream/v1\n"
_DOMAIN: Final = b"tfaudit/change/v1\n"
_SIZE: Final = hashlib.sha256().digest_size
_WORTH_A_PROCESS: Final = 10_000
_WHAT: Final = "a change of the plan JSON"


def new_key(entropy: Callable[[int], bytes]) -> bytes:
    """Return a fresh key of 256 bits, each for one plan record; ``entropy(n)`` gives n random bytes."""
    return entropy(KEY_SIZE)


def change_digest(key: bytes, summary: bytes) -> str:
    """Return the change digest, 64 hexadecimal digits: HMAC-SHA-256 of a ``summary`` under a record's key."""
    if len(key) != KEY_SIZE or len(summary) != _SIZE:
        raise InternalError("a change digest takes a key and a summary of 32 bytes each")
    return hmac.new(key, _DOMAIN + summary, hashlib.sha256).hexdigest()


def summarise(
    plan: Plan,
    *,
    engine: str,
    engine_version: str,
    lock_sha256: str | None,
    providers: Mapping[str, str],
    sources: Iterable[SourceDigest],
) -> bytes:
    """Return the SHA-256, 32 bytes, of the plan's canonical change stream.

    ``lock_sha256`` is None without a lock file, ``providers`` maps provider to version, ``sources`` are the modules'
    (:func:`tfaudit.plan.modules.source_digests`): of an expression with a reference in it, the plan JSON's
    ``configuration`` says only what it refers to. Raises :class:`InputError` for a part that can't be read.
    """
    parts = plan.parts
    stream = hashlib.sha256(_STREAM)

    def add(name: str, content: bytes) -> None:
        stream.update(frame(name.encode(), content))

    add("engine", frame(engine.encode(), engine_version.encode()))
    add("lock", (lock_sha256 or "").encode())
    add("providers", b"".join(frame(name.encode(), providers[name].encode()) for name in sorted(providers)))
    add("sources", b"".join(frame(*(part.encode() for part in source)) for source in sorted(sources)))
    add("resource_changes", _joined(_digests(parts.changes)))
    add("resource_drift", b"" if _changes_any(plan.counts) else _joined(_digests(parts.drift)))
    add("deferred_changes", _joined(_digests(parts.deferred)))
    add("output_changes", _joined(_outputs(parts.outputs)))
    add("action_invocations", _joined(_digests(parts.actions)))
    add("deferred_action_invocations", _joined(_digests(parts.deferred_actions)))
    add("checks", _joined(_checked(parts.checks)))
    add("variables", _text_digest(parts.variables, "the plan's variables"))
    add("configuration", _text_digest(parts.configuration, "the plan's configuration"))
    return stream.digest()


def _changes_any(counts: Counts) -> bool:
    """Return whether any resource changes but in name; else the apply writes what the refresh found, and no more."""
    changing = counts.create + counts.read + counts.update + counts.delete + counts.replace
    return bool(changing + counts.forget + counts.unknown)


def _joined(digests: Iterable[bytes]) -> bytes:
    """Return the digests in ascending order: an array's own order says nothing."""
    return b"".join(sorted(digests))


def _digests(entries: Sequence[msgspec.Raw]) -> list[bytes]:
    """Return the digest of each entry's JSON text; those of a large plan are made by several processes."""
    processes = processes_for(len(entries), at_least=_WORTH_A_PROCESS)
    bounds = [len(entries) * number // processes for number in range(processes + 1)]

    def packed(start: int, stop: int) -> Iterator[bytes]:
        yield b"".join(map(_digest, entries[start:stop]))

    with ExitStack() as stack:
        others = [stack.enter_context(Forked(packed(start, stop))) for start, stop in pairwise(bounds[1:])]
        found = list(map(_digest, entries[: bounds[1]]))
        for other in others:
            part = other.next_part()
            found += [part[at : at + _SIZE] for at in range(0, len(part), _SIZE)]
    return found


def _digest(raw: msgspec.Raw) -> bytes:
    return hashlib.sha256(canonicalform.change_text(raw, what=_WHAT)).digest()


def _outputs(outputs: Mapping[str, msgspec.Raw]) -> Iterator[bytes]:
    for name, raw in outputs.items():
        change, text = canonicalform.read(raw, what=_WHAT)
        if not isinstance(change, dict):
            raise InputError(f"{_WHAT} is not an object")
        if change.get("actions") != ["no-op"]:
            yield hashlib.sha256(frame(name.encode(), text)).digest()


def _checked(raw: msgspec.Raw | None) -> Iterator[bytes]:
    """Yield what is checked. How a check came out may change from one minute to the next, and changes nothing."""
    for each in exactjson.elements(raw, what="checks") if raw is not None else ():
        check = exactjson.decode(each, what="a check of the plan JSON")
        address = check.get("address") if isinstance(check, dict) else None
        yield hashlib.sha256(canonicalform.text_of(address, what="a check of the plan JSON")).digest()


def _text_digest(raw: msgspec.Raw | None, what: str) -> bytes:
    return b"" if raw is None else hashlib.sha256(canonicalform.read(raw, what=what)[1]).digest()
