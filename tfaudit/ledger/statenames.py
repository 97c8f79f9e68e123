"""As which stacks is a state known since something was last applied to it?

A stack's name may come from the repository, a state's place in a shared backend hardly: a repository that calls itself
otherwise is still the stack that its state was last applied as. Only the intent of a gated command settles that, for it
was allowed by the rules of all names before; what anyone may run under any name, a plan or a taint, settles nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfaudit.ledger.reader import Reader

_SETTLING: Final = frozenset({"apply", "destroy", "refresh", "test"})
"""The commands that a gate holds back."""
MAX_RECORDS: Final = 32
"""So many records are followed back; a plan under a pinned gate carries the names on, and ends it."""


def names(reader: Reader, state: str) -> tuple[str, ...]:
    """Return the names, those of the latest records first.

    The cost is a few reads: back to the last intent, or to the last record that carries the names on. Raises
    :class:`VerificationError` where a record is missing or altered, :class:`LedgerError` when the store failed.
    """
    found: dict[str, None] = {}
    seen = reader.last_of_state(state)
    for _ in range(MAX_RECORDS):
        if seen is None:
            break
        match seen.predicate.get("stack"):
            case str(name):
                found[name] = None
        match seen.predicate:
            case {"command": {"name": command}} if seen.kind == "intent" and command in _SETTLING:
                break
            case {"decision": {"known_as": [*carried]}}:
                found |= dict.fromkeys(name for name in carried if isinstance(name, str))
                break
        seen = reader.before(seen)
    return tuple(found)
