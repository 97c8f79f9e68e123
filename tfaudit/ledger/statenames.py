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


def names(reader: Reader, state: str) -> tuple[str, ...]:
    """Return the names, those of the latest records first.

    Each record is read, back to the last intent or the last record that carries the names on, which every plan under a
    pinned gate does. There is no other end: whoever runs enough of what no gate holds back would reach it. Raises
    :class:`VerificationError` where a record is missing or altered, :class:`LedgerError` when the store failed.
    """
    found: dict[str, None] = {}
    seen = reader.last_of_state(state)
    while seen is not None:
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
