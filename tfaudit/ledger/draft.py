"""What is a record before it is signed: event lines and disclosures, streamed to private files."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from tfaudit.errors import InputError, InternalError, LedgerError
from tfaudit.events import commitment
from tfaudit.ledger import commit, ids, merkle, record
from tfaudit.ledger.commit import RecordLine
from tfaudit.signing import envelope, statement
from tfaudit.signing.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from tfaudit.events.model import EventLine
    from tfaudit.signing.signer import Signer

MAX_EVENT: Final = 32 << 20
"""Bytes of one event line."""
_BUFFER: Final = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A signed record that is not in the log yet, and where its bytes are."""

    record: RecordLine
    line: bytes
    """Line 1, without its newline."""
    seen: str | None
    events: BinaryIO
    events_at: int
    """Where the event lines start in ``events``."""
    disclosures: BinaryIO | None
    """The disclosure file's bytes from its start; None where nothing is disclosed."""


class Draft:
    """A record that is being written. Close it (or leave its ``with`` block) to forget what was not appended.

    The files have mode 0600 and no name, so that nothing of them is left after a crash.
    """

    def __init__(self, *, record_id: str, kind: str, folder: Path, entropy: Callable[[int], bytes]) -> None:
        if not commit.is_kind(kind):
            raise InternalError(f"{kind!r} is no kind of record")
        self.record_id = record_id
        self.kind = kind
        self._folder = folder
        self._entropy = entropy
        self._events = private_file(folder, f"{record_id}.events")
        self._disclosures: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._tree = merkle.Growing()
        self._statement_values: list[bytes] = []

    @property
    def next_line(self) -> int:
        """The number that the next event line gets, from 1."""
        return self._tree.size + 1

    def add(self, event: EventLine) -> str:
        """Add an event line with its disclosure and return its event id, ``<record id>/<number>``.

        Raises :class:`LedgerError` when the file can't be written, :class:`InputError` for a line that is too long.
        """
        number = self.next_line
        if b"\n" in event.line:
            raise InternalError("an event line holds a newline")
        if len(event.line) > MAX_EVENT:
            raise InputError(f"an event takes {len(event.line)} bytes, more than {MAX_EVENT}")
        self._tree.add(event.line)
        self._write(self._events, event.line)
        if event.disclosure:
            self._disclose(commitment.encode_disclosure(number, event.disclosure))
        return f"{self.record_id}/{number}"

    def disclose(self, pointer: str, json_text: bytes) -> dict[str, str]:
        """Commit to a value of the statement and return what stands for it there, ``{"digest": …}``.

        ``pointer`` is the JSON pointer within the predicate at which the returned object is put.
        """
        salt = self._entropy(commitment.SALT_SIZE)
        opening = commitment.commit(self.record_id, "", None, pointer, json_text, salt)
        self._statement_values.append(opening.member)
        return {"digest": opening.digest}

    def seal(
        self,
        facts: Mapping[str, object],
        *,
        subjects: Sequence[tuple[str, str]],
        origin: str,
        writer: str,
        time: int,
        seen: str | None,
        previous: record.Previous | None,
        spooled: int | None,
        signer: Signer,
    ) -> Sealed:
        """Return the signed record; may be called again with other facts.

        Raises :class:`LedgerError` when a file can't be written, :class:`InputError` for too large a statement.
        """
        clash = record.FIXED & facts.keys()
        if clash:
            raise InternalError(f"the ledger itself sets {min(clash)!r} in a record")
        disclosures, digest = self._close_disclosures()
        self._flush(self._events)
        root = self._tree.root().hex()
        predicate = {
            **facts,
            "format": record.FORMAT,
            "origin": origin,
            "record_id": self.record_id,
            "writer": writer,
            "kind": self.kind,
            "time": ids.time_text(time),
            "events": {"count": self._tree.size, "root": root},
            "disclosures": {"sha256": digest} if digest else None,
            "seen": seen,
            "previous": {"record_id": previous.record_id, "leaf": previous.leaf} if previous else None,
            "spooled": None if spooled is None else {"at": ids.time_text(spooled)},
        }
        claim = Statement(
            subjects=((record.EVENTS, root), *subjects), predicate_type=record.PREDICATE_TYPE, predicate=predicate
        )
        line = envelope.seal(statement.build(claim), signer)
        return Sealed(
            record=record.line_of(record.parse(line)),
            line=line,
            seen=seen,
            events=self._events,
            events_at=0,
            disclosures=disclosures,
        )

    def close(self) -> None:
        """Forget the draft's files."""
        self._events.close()
        if self._disclosures is not None:
            self._disclosures.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A full disk may still hold back buffered bytes; they are to be forgotten anyway.
        with suppress(OSError):
            self.close()

    def _write(self, file: BinaryIO, line: bytes) -> None:
        try:
            file.write(line + b"\n")
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _flush(self, file: BinaryIO) -> None:
        try:
            file.flush()
        except OSError as error:
            raise _unwritable(self._folder, error) from error

    def _disclose(self, line: bytes) -> None:
        if self._disclosures is None:
            self._disclosures = private_file(self._folder, f"{self.record_id}.disclosures")
        self._write(self._disclosures, line)
        self._digest.update(line + b"\n")

    def _close_disclosures(self) -> tuple[BinaryIO | None, str | None]:
        """Write the statement's own disclosures, the file's last line, and return the file with its SHA-256."""
        if self._statement_values:
            self._disclose(commitment.encode_disclosure(0, commitment.encode_values(self._statement_values)))
            self._statement_values = []
        if self._disclosures is None:
            return None, None
        self._flush(self._disclosures)
        return self._disclosures, self._digest.hexdigest()


def private_file(folder: Path, name: str) -> BinaryIO:
    """Return an empty file of mode 0600 in ``folder`` (made with 0700) that has lost its name already.

    Raises :class:`LedgerError` when it can't be made.
    """
    path = folder / f".{name}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        path.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from error
    return os.fdopen(descriptor, "w+b", buffering=_BUFFER)


def _unwritable(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(f"can't write the record's draft in {folder}: {error.strerror}")
