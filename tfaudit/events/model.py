"""What is an event line, and what goes with it?"""

from __future__ import annotations

from typing import NamedTuple


class EventLine(NamedTuple):
    """One event, ready for a record.

    ``line`` is the event line's canonical JSON, without newline. ``disclosure`` is the ``values`` array of its
    disclosure line (``[["/pointer","before","<salt>",<text>],...]``), empty where there is nothing to disclose; the
    draft that gives the event its number writes it by ``commitment.encode_disclosure(number, disclosure)``.
    """

    line: bytes
    disclosure: bytes
