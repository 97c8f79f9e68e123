"""What does a signed payload claim about which digests (in-toto Statement v1).

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfaudit import canonical
from tfaudit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An in-toto statement: named SHA-256 digests and a predicate about them."""

    subjects: tuple[tuple[str, str], ...]
    """(name, SHA-256 in lower-case hexadecimal), in the statement's order."""
    predicate_type: str
    predicate: Mapping[str, Any]


def build(statement: Statement) -> bytes:
    """Return the statement as canonical JSON, the payload of an envelope."""
    return canonical.encode(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in statement.subjects],
            "predicateType": statement.predicate_type,
            "predicate": dict(statement.predicate),
        }
    )


def parse(payload: bytes) -> Statement:
    """Return the statement of an envelope's payload.

    Raises :class:`InputError` unless it is canonical JSON of exactly an in-toto Statement v1 with SHA-256 subjects.
    """
    match canonical.decode(payload, what="statement"):
        case {
            "_type": str(kind),
            "subject": list(subjects),
            "predicateType": str(predicate_type),
            "predicate": dict(predicate),
            **rest,
        } if kind == STATEMENT_TYPE and not rest:
            return Statement(
                subjects=tuple(_subject(subject) for subject in subjects),
                predicate_type=predicate_type,
                predicate=predicate,
            )
    raise InputError("statement is not an in-toto Statement v1")


def _subject(subject: object) -> tuple[str, str]:
    match subject:
        case {"name": str(name), "digest": {"sha256": str(digest), **others}, **rest} if not others and not rest:
            if _DIGEST.fullmatch(digest):
                return name, digest
    raise InputError("statement has a subject that is not a name with one SHA-256 digest")
