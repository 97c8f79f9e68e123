"""Which staged records did the cursor leave behind, and how do they still come into the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfaudit.ledger import adopt, commit, head

if TYPE_CHECKING:
    from tfaudit.ledger.adopt import Staged
    from tfaudit.ledger.committer import Committer

HOUR: Final = 60 * 60 * 1000


def sweep(committer: Committer, *, time: int) -> int:
    """Commit the records of whole hours before ``time`` that no commit holds; return how many they were.

    They were staged so late that the cursor had passed them, or named foreign under earlier keys. Reads every commit;
    the committer's head must have been brought up to date. Errors as :meth:`Committer.commit_found`.
    """
    sweeping = _Sweep(committer, before=time // HOUR * HOUR)
    return committer.commit_found(sweeping.find, sweeping.strays)


class _Sweep:
    """What the log names, kept up to date while others commit."""

    def __init__(self, committer: Committer, *, before: int) -> None:
        self._committer = committer
        self._before = before
        self._known = -1
        self._adopted: set[str] = set()
        self.strays: set[str] = set()

    def find(self, _time: int) -> list[Staged]:
        """Return some of what the log does not name, up to the head as it is now."""
        committer = self._committer
        state = committer.head.state
        for number, raw in head.back_from(committer.evidence, state.number, state.digest):
            if number <= self._known:
                break
            header = commit.parse(raw).header
            self._adopted.update(line.record_id for line in header.records)
            if header.keys == state.keys_from:
                # What was foreign under other keys may be a record under those in force now.
                self.strays.update(stray.name for stray in header.strays)
        self._known = state.number
        return adopt.unadopted(
            committer.evidence, before=self._before, adopted=self._adopted, skip=self.strays, limit=commit.MAX_LINES
        )
