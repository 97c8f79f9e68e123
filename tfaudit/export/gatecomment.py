"""How does the gate's answer read in a comment on a pull request: GitHub-flavoured Markdown that nobody can steer?

Names, messages and addresses were chosen by others: whatever Markdown or the platform would read something into (links,
mentions, references, HTML, table cells) is taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]()<>#+\-!|~&$]")
_LIVE: Final = re.compile(r"@|#(?=\w)|://|(?i:\bwww\.)|(?i:\b(?:mailto|xmpp):)")
_APART: Final = "\u200b"
"""A space of no width: what it stands in is no mention and no link any more."""


def markdown(document: Mapping[str, Any], predicate: Mapping[str, Any]) -> str:
    """Return the comment: what the gate says, why, who approved, and how many changes of each kind there are.

    ``document`` is ``gate.v1``, ``predicate`` that of the plan's record.
    """
    return "\n".join(_blocks(document, predicate)) + "\n"


def text(value: object) -> str:
    """Return a text for running Markdown or a table's cell, on one line and without a meaning of its own."""
    plain = "".join(ch if ch.isprintable() else " " for ch in str(value))
    apart = _LIVE.sub(lambda match: f"{match.group()[0]}{_APART}{match.group()[1:]}", plain)
    return _SPECIAL.sub(lambda match: f"\\{match.group()}", apart)


def code(value: object) -> str:
    """Return a text as code, also within a table's cell."""
    plain = "".join(ch if ch.isprintable() else " " for ch in str(value)).replace("|", "\u2223")
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    return f"{fence} {plain} {fence}" if "`" in plain else f"`{plain or ' '}`"


def _blocks(document: Mapping[str, Any], predicate: Mapping[str, Any]) -> Iterator[str]:
    allowed = document["decision"] == "allow"
    mark = "✅ This plan may be applied" if allowed else "⛔ This plan may not be applied"
    yield f"### {mark}"
    yield ""
    count = len({one["approver"] for one in document["approvals"]})
    yield f"Stack {code(document['stack'])}, {count} of {document['required']} approvals."
    if "break_glass" in document:
        yield ""
        yield f"**Break-glass**: another person has to review it by {code(document['break_glass']['review_by'])}."
    if document["reasons"]:
        yield from _table(
            ("Reason", "What to do"), [(code(one["code"]), text(one["message"])) for one in document["reasons"]]
        )
    if document["approvals"]:
        yield from _table(
            ("Approved by", "With", "At", "Valid until"),
            [
                (code(one["approver"]), code(one["key"] or one["source"]), code(one["made"]), code(one["expires"]))
                for one in document["approvals"]
            ],
        )
    counts = _counts(predicate)
    if counts:
        yield from _table(("Change", "Count"), [(text(name), str(number)) for name, number in counts])
    yield ""
    yield f"<sub>plan record {code(document['plan_record'])} · plan file {code(document['plan_digest'][:16])}</sub>"


def _counts(predicate: Mapping[str, Any]) -> list[tuple[str, int]]:
    plan = predicate.get("plan")
    counts = plan.get("counts") if isinstance(plan, dict) else None
    if not isinstance(counts, dict):
        return []
    return [(name, number) for name, number in counts.items() if isinstance(number, int) and number]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
