"""Which bytes are a commit: the text format, parsed strictly and built.

A commit says only what it says; whether it is part of the log is for :mod:`tfaudit.ledger.live` to judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tfaudit.errors import InputError
from tfaudit.ledger import checkpoint, ids, merkle
from tfaudit.signing import b64

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfaudit.ledger.checkpoint import SignedCheckpoint

FORMAT: Final = "tfaudit-commit/v1"
PAYLOAD_TYPE: Final = "application/vnd.tfaudit.commit.v1"
"""What the committer signs is DSSE's PAE of this type and the header up to the ``own`` line."""
MAX_COMMIT: Final = 1024 * 1024
MAX_CHECKPOINT: Final = 16 * 1024
MAX_LINES: Final = 128
"""``record``, ``foreign`` and ``duplicate`` lines together."""

_VERSION: Final = re.compile(rb"(tfaudit-commit/v[1-9][0-9]{0,3})\n")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_KIND: Final = re.compile(r"[a-z][a-z-]{0,31}")

StrayReason = Literal["foreign", "duplicate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLine:
    """One adopted record."""

    leaf: bytes
    """The log's leaf hash: SHA-256(0x00 || the record's line 1)."""
    writer: str
    record_id: str
    kind: str
    refers: str | None
    """The digest that the record's statement refers to, 64 hexadecimal digits."""
    state: str | None
    """The state whose chain the record belongs to, 64 hexadecimal digits."""

    @property
    def key(self) -> str:
        """The record's key in the evidence store."""
        return ids.record_key(self.writer, self.record_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """One object that the committer looked at and did not adopt."""

    reason: StrayReason
    digest: bytes
    """SHA-256 of the object's first 64 KiB."""
    writer: str
    record_id: str

    @property
    def name(self) -> str:
        """``record id, space, writer``: how the window remembers it."""
        return f"{self.record_id} {self.writer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a commit says, apart from the signatures."""

    number: int
    previous: tuple[int, str] | None
    """Number and SHA-256 of the last live commit before this one."""
    keys: int | None
    """The last live commit before this one with a ``config`` record; None while genesis' keys are in force."""
    size: int
    """The tree size before."""
    time: int
    """The store's time, milliseconds since the epoch."""
    cursor: int
    """Records staged with an id before this time are no longer looked for, but by sweeping."""
    held: bytes
    """The ids from the cursor on that this or an earlier live commit adopted, packed to 16 bytes each, ascending."""
    passed: tuple[str, ...]
    """``record id, space, writer`` of strays that this or an earlier live commit names, likewise."""
    records: tuple[RecordLine, ...]
    envelope: bytes | None
    """Line 1 of the last record, present exactly when that is a ``config`` record."""
    strays: tuple[Stray, ...]
    frontier: tuple[bytes, ...]
    """The tree's frontier after the records and before this header's own leaf."""
    committer: str
    """Id of the record key that signs this header."""
    own: str | None
    """The committer's own record in this batch."""

    def text(self) -> bytes:
        """Return the header up to and with the ``own`` line: what the committer signs."""
        return "".join(f"{line}\n" for line in self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        yield FORMAT
        yield f"number {self.number}"
        yield f"previous {self.previous[0]} {self.previous[1]}" if self.previous else "previous -"
        yield f"keys {'-' if self.keys is None else self.keys}"
        yield f"size {self.size}"
        yield f"time {ids.time_text(self.time)}"
        yield f"cursor {ids.time_text(self.cursor)}"
        yield f"held {b64.encode(self.held) or '-'}"
        for name in self.passed:
            yield f"passed {name}"
        for line in self.records:
            yield f"record {line.leaf.hex()} {line.key} {line.kind} {line.refers or '-'} {line.state or '-'}"
        if self.envelope is not None:
            yield f"envelope {b64.encode(self.envelope)}"
        for stray in self.strays:
            yield f"{stray.reason} {stray.digest.hex()} {ids.record_key(stray.writer, stray.record_id)}"
        for node in self.frontier:
            yield f"frontier {node.hex()}"
        yield f"committer {self.committer}"
        yield f"own {self.own or '-'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A parsed commit; nothing about it is verified."""

    header: Header
    signed: bytes
    """The bytes that the committer signed."""
    signature: bytes
    leaf: bytes
    """The leaf hash of the header with its signature line: the batch's last leaf."""
    checkpoint: SignedCheckpoint


def build(header: Header, signature: bytes) -> bytes:
    """Return the commit's bytes up to its checkpoint: its leaf's entry."""
    return header.text() + f"signature {b64.encode(signature)}\n".encode()


def join(entry: bytes, signed_checkpoint: bytes) -> bytes:
    """Return the whole commit of what :func:`build` returned and its checkpoint."""
    return entry + b"\n" + signed_checkpoint


def version(raw: bytes) -> str | None:
    """Return the format that the bytes say they are of, ``tfaudit-commit/v…``; None for bytes of no commit at all."""
    match = _VERSION.match(raw)
    return match[1].decode() if match else None


def split(raw: bytes) -> tuple[bytes, SignedCheckpoint]:
    """Return a commit's entry and its checkpoint; this much holds for every format version.

    Raises :class:`InputError` unless the bytes start as a commit, and a blank line and a checkpoint follow.
    """
    if len(raw) > MAX_COMMIT:
        raise InputError(f"commit is longer than {MAX_COMMIT} bytes")
    entry, blank, rest = raw.partition(b"\n\n")
    if not blank or version(raw) is None:
        raise InputError("commit does not start as one or has no checkpoint")
    if len(rest) > MAX_CHECKPOINT:
        raise InputError(f"commit has a checkpoint of more than {MAX_CHECKPOINT} bytes")
    return entry + b"\n", checkpoint.parse(rest)


def parse(raw: bytes) -> Commit:
    """Return the commit of a stored object's bytes; :class:`InputError` unless they are its one exact spelling."""
    entry, signed_checkpoint = split(raw)
    header, signed, signature = parse_entry(entry)
    return Commit(
        header=header,
        signed=signed,
        signature=signature,
        leaf=merkle.leaf_hash(entry),
        checkpoint=signed_checkpoint,
    )


def parse_entry(entry: bytes) -> tuple[Header, bytes, bytes]:
    """Return what a commit says apart from its checkpoint: the header, the bytes that are signed, and the signature.

    Raises :class:`InputError` unless ``entry`` is its one exact spelling.
    """
    signed, _, last = entry[:-1].rpartition(b"\n")
    signed += b"\n"
    try:
        reader = _Lines(signed.decode("ascii").split("\n")[:-1])
        word, _, encoded = last.decode("ascii").partition(" ")
    except UnicodeDecodeError as error:
        raise InputError("commit is not ASCII text") from error
    if word != "signature" or entry[-1:] != b"\n":
        raise InputError("commit has no signature line")
    header = reader.header()
    if header.text() != signed:
        raise InputError("commit is not in its one exact spelling")
    return header, signed, b64.decode(encoded, what="commit signature")


def peek(raw: bytes) -> tuple[tuple[int, str] | None, int]:
    """Return (previous, size before) of a commit that is known to be live; :class:`InputError` for other bytes."""
    return _Lines(raw[:512].decode("ascii", "replace").split("\n")).start()


def skim(raw: bytes) -> tuple[int, int, tuple[RecordLine, ...]]:
    """Return (size before, time, records) of a commit known to be live, many times faster than :func:`parse`."""
    reader = _Lines(raw[:512].decode("ascii", "replace").split("\n"))
    _, size = reader.start()
    time = ids.parse_time(reader.time(), what="commit time")
    start = raw.find(b"\nrecord ")
    if start < 0:
        return size, time, ()
    lines = raw[start + 1 : raw.find(b"\ncommitter ", start)].decode("ascii").split("\n")
    return size, time, tuple([_known_record(line.split(" ")) for line in lines if line.startswith("record ")])


def cursor(raw: bytes) -> int:
    """Return the cursor of a commit known to be live."""
    reader = _Lines(raw[:512].decode("ascii", "replace").split("\n"))
    reader.start()
    reader.time()
    return ids.parse_time(reader.cursor(), what="commit cursor")


def _known_record(fields: list[str]) -> RecordLine:
    _, leaf, key, kind, refers, state = fields
    _, writer, *_, name = key.split("/")
    return RecordLine(
        leaf=bytes.fromhex(leaf),
        writer=writer,
        record_id=name[:36],
        kind=kind,
        refers=None if refers == "-" else refers,
        state=None if state == "-" else state,
    )


class _Lines:
    """The lines of a header, taken one after the other."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def start(self) -> tuple[tuple[int, str] | None, int]:
        self._at = 1
        self._one("number", 1)
        previous = _previous(self._one("previous"))
        self._one("keys", 1)
        return previous, _number(self._one("size", 1)[0])

    def time(self) -> str:
        return self._one("time", 1)[0]

    def cursor(self) -> str:
        return self._one("cursor", 1)[0]

    def header(self) -> Header:
        if self._lines[0] != FORMAT:
            raise InputError(f"commit is of format {self._lines[0][:40]!r}")
        self._at = 1
        header = Header(
            number=_number(self._one("number", 1)[0]),
            previous=_previous(self._one("previous")),
            keys=_optional_number(self._one("keys", 1)[0]),
            size=_number(self._one("size", 1)[0]),
            time=ids.parse_time(self._one("time", 1)[0], what="commit time"),
            cursor=ids.parse_time(self._one("cursor", 1)[0], what="commit cursor"),
            held=_held(self._one("held", 1)[0]),
            passed=self._passed(),
            records=tuple(_record(fields) for fields in self._many("record", 5)),
            envelope=self._envelope(),
            strays=(
                *(_stray("foreign", fields) for fields in self._many("foreign", 2)),
                *(_stray("duplicate", fields) for fields in self._many("duplicate", 2)),
            ),
            frontier=tuple(_digest(fields[0]) for fields in self._many("frontier", 1)),
            committer=_hex(self._one("committer", 1)[0]),
            own=_optional_id(self._one("own", 1)[0]),
        )
        if self._at != len(self._lines):
            raise InputError(f"commit has an unexpected line {self._at + 1}")
        if len(header.records) + len(header.strays) > MAX_LINES:
            raise InputError(f"commit names more than {MAX_LINES} objects")
        return header

    def _one(self, word: str, count: int | None = None) -> list[str]:
        line = self._lines[self._at] if self._at < len(self._lines) else ""
        found, *fields = line.split(" ")
        if found != word or (count is not None and len(fields) != count):
            raise InputError(f"commit has no {word!r} line where one is due")
        self._at += 1
        return fields

    def _many(self, word: str, count: int) -> Iterator[list[str]]:
        start = word + " "
        while self._at < len(self._lines) and self._lines[self._at].startswith(start):
            yield self._one(word, count)

    def _passed(self) -> tuple[str, ...]:
        """Take the rest of each line as it is: the live rule knows what the window must hold."""
        return tuple(" ".join(fields) for fields in self._many("passed", 2))

    def _envelope(self) -> bytes | None:
        for fields in self._many("envelope", 1):
            return b64.decode(fields[0], what="envelope in a commit")
        return None


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > checkpoint.MAX_SIZE:
        raise InputError("commit has a number that is none")
    return int(text)


def _optional_number(text: str) -> int | None:
    return None if text == "-" else _number(text)


def _previous(fields: list[str]) -> tuple[int, str] | None:
    match fields:
        case ["-"]:
            return None
        case [number, digest]:
            return _number(number), _hex(digest)
    raise InputError("commit has no 'previous' line where one is due")


def _hex(text: str) -> str:
    if not _HEX.fullmatch(text):
        raise InputError("commit has a digest that is none")
    return text


def _digest(text: str) -> bytes:
    return bytes.fromhex(_hex(text))


def _record_id(text: str) -> str:
    if not ids.is_record_id(text):
        raise InputError("commit has a record id that is none")
    return text


def _held(text: str) -> bytes:
    return b"" if text == "-" else b64.decode(text, what="window of a commit")


def _optional_id(text: str) -> str | None:
    return None if text == "-" else _record_id(text)


def _key(text: str) -> tuple[str, str]:
    found = ids.parse_record_key(text)
    if found is None:
        raise InputError("commit has a record key that is none")
    return found


def _record(fields: list[str]) -> RecordLine:
    leaf, key, kind, refers, state = fields
    writer, record_id = _key(key)
    if not is_kind(kind):
        raise InputError("commit has a record kind that is none")
    return RecordLine(
        leaf=_digest(leaf),
        writer=writer,
        record_id=record_id,
        kind=kind,
        refers=None if refers == "-" else _hex(refers),
        state=None if state == "-" else _hex(state),
    )


def is_kind(text: object) -> bool:
    """Tell whether ``text`` may be a record's kind: lower-case letters and hyphens."""
    return isinstance(text, str) and bool(_KIND.fullmatch(text))


def is_digest(text: object) -> bool:
    """Tell whether ``text`` is a SHA-256 in 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and bool(_HEX.fullmatch(text))


def _stray(reason: StrayReason, fields: list[str]) -> Stray:
    writer, record_id = _key(fields[1])
    return Stray(reason=reason, digest=_digest(fields[0]), writer=writer, record_id=record_id)
