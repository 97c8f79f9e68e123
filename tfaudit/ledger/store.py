"""What must a store be able to do: create once, read, list; and for the working store also replace and remove.

Keys are relative paths with ``/``. An object appears whole or not at all. A folder is one store
(:mod:`tfaudit.ledger.folder`); an object store with conditional creates is another, with the same keys and bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, runtime_checkable

from tfaudit.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfaudit.ledger.ids import Clock


class NoObjectError(LedgerError):
    """What is at the key is no object and can't be one: a folder, a symlink, a pipe. To a log it is litter."""


class ForbiddenError(LedgerError):
    """The store is there, and whoever asks may not do this."""


class Entry(NamedTuple):
    """One object of a listing."""

    key: str
    size: int | None
    """Bytes; None for what can't be opened: a folder of a shallow listing, a symlink, a socket."""


class Location(NamedTuple):
    """Where an object lies in a store that keeps versions; both are None where it does not."""

    version_id: str | None
    retain_until: int | None
    """When its lock ends, milliseconds since the epoch."""


class Lock(NamedTuple):
    """What keeps a version of an object from being removed."""

    mode: str | None
    """``GOVERNANCE`` or ``COMPLIANCE``; None where it is not locked."""
    until: int | None
    """When it ends, milliseconds since the epoch."""
    held: bool
    """Whether there is a legal hold."""


class Store(Protocol):
    """Objects that are created once and never change. Every method may be called again after any failure.

    ``str()`` of it names the place for people.
    """

    def create(self, key: str, head: bytes, tail: BinaryIO | None = None) -> bool:
        """Create the object of ``head`` and then what is left to read of ``tail``; True when it is durable.

        False when something is at the key already, whatever it is, or another create is going on at this moment: then
        nothing was written. Raises
        :class:`LedgerError` when the store failed; then the object may or may not be there, whole, now or later, and
        the caller must read to know. Does not retry.
        """

    def open(self, key: str, *, limit: int | None = None, settled: bool = False) -> BinaryIO | None:
        """Return the object's bytes as a stream to close; None when there is none.

        The caller reads at most ``limit`` bytes. With ``settled`` the object is durable when this returns, even if
        another process is only just creating it: ask for it before building on an object that is not one's own.
        Raises :class:`LedgerError` when the store failed, and :class:`NoObjectError` when what is there is no object.
        """

    def list(self, prefix: str, *, after: str = "", shallow: bool = False) -> Iterator[Entry]:
        """Yield what is under ``prefix`` (which ends in ``/`` or is empty) and sorts after ``after``, by key.

        With ``shallow`` only the next level: what lies deeper shows as one entry, its key ending in ``/``.
        Keys sort by their UTF-8 bytes. What is created during the listing may or may not show. Raises
        :class:`LedgerError` when the store failed.
        """


class Working(Store, Protocol):
    """A store whose objects may also change: disclosures that are erased, derived pointers, cursors."""

    def replace(self, key: str, content: bytes, *, durable: bool = False, forget: bool = False) -> None:
        """Put ``content`` at ``key``, whatever was there.

        With ``durable`` it is durable on return, and the old or the new content is there whatever happens. Without, for
        what can be derived again, a crash or :class:`LedgerError` may also leave nothing, and a store that is far away
        may do it while the caller goes on: then nobody is told of a failure. With ``forget``, which is durable as well,
        the old content is gone for good on return, also from a store that keeps versions.
        """

    def remove(self, key: str) -> None:
        """Remove the object if it is there; raises :class:`LedgerError` when the store failed."""


class Listing(NamedTuple):
    """What :meth:`Store.list` is going to be asked."""

    prefix: str
    after: str = ""
    shallow: bool = False


@runtime_checkable
class Looking(Protocol):
    """A store where each look takes a while, and several at once take no longer."""

    def look(self, slot: int | None, listings: Sequence[Listing]) -> None:
        """Look at a slot of the log and begin listings, so that they soon take no time; once each.

        They tell how it was at this moment, until something is created. What fails is left for the calls to come.
        """


@runtime_checkable
class Fetching(Protocol):
    """A store where each read takes a while, and many at once take no longer."""

    def fetch(self, keys: Sequence[str], *, limit: int) -> None:
        """Read the first ``limit`` bytes of these objects ahead, so that opening them soon takes no time.

        What can't be read is left for :meth:`Store.open` to tell. Raises :class:`LedgerError` when the store failed.
        """


@runtime_checkable
class Beginning(Protocol):
    """A store where opening takes a while, and goes on while something else is done."""

    def begin(self, keys: Sequence[str]) -> None:
        """Begin to open these objects, after those begun before; :meth:`Store.open` without a limit takes them, once.

        They are to be opened in this order; some may be left out. Raises :class:`LedgerError` when the store failed.
        """


@runtime_checkable
class Located(Protocol):
    """A store that keeps versions and locks them."""

    def locate(self, keys: Sequence[str]) -> tuple[Location, ...]:
        """Return where each object lies; raises :class:`LedgerError` when the store failed."""

    def written(self, key: str) -> Location | None:
        """Return where an object lies that this process has created; None for any other. Asks nobody."""


@runtime_checkable
class Locking(Protocol):
    """A store whose objects can't be removed before a time of their own, nor while they are held."""

    def extend(self, key: str, until: int) -> bool:
        """Lock the object until then at least (milliseconds since the epoch); False where it is locked longer already.

        Raises :class:`LedgerError` when the store failed or there is no such object.
        """

    def hold(self, key: str, *, on: bool) -> None:
        """Set or lift the object's legal hold; errors as :meth:`extend`."""

    def prune(self, key: str) -> None:
        """Remove the object in all its versions, if its lock has ended and it is not held; errors as :meth:`extend`."""


@runtime_checkable
class Timed(Protocol):
    """A store with a clock of its own."""

    def clock(self, local: Clock) -> Clock:
        """Return this machine's clock, put right by what the store has told of its time so far and will tell."""


def fetch(store: Store, keys: Sequence[str], *, limit: int) -> None:
    """Read objects ahead where that saves time; errors as :meth:`Fetching.fetch`."""
    if isinstance(store, Fetching):
        store.fetch(keys, limit=limit)


def look(store: Store, listings: Sequence[Listing], *, slot: int | None = None) -> None:
    """Look at what will be asked for next where that saves time; see :meth:`Looking.look`."""
    if isinstance(store, Looking):
        store.look(slot, listings)


def begin(store: Store, keys: Sequence[str]) -> None:
    """Begin to open objects where that saves time; errors as :meth:`Beginning.begin`."""
    if isinstance(store, Beginning):
        store.begin(keys)


def read(store: Store, key: str, *, limit: int, settled: bool = False) -> bytes | None:
    """Return the first ``limit`` bytes of an object, or None when there is none; errors as :meth:`Store.open`."""
    stream = store.open(key, limit=limit, settled=settled)
    if stream is None:
        return None
    with stream:
        return stream.read(limit)
