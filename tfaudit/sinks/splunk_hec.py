"""How do documents get into Splunk, by its HTTP Event Collector?

``POST /services/collector/event``: JSON objects one after the other, gzip, ``Authorization: Splunk TOKEN``. Splunk does
not drop what it has already: the document's id goes along as the indexed field ``uid``, for a search that does. With
``acknowledge``, a document counts as taken once Splunk says that it is indexed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from tfaudit import secret
from tfaudit.errors import ConfigError
from tfaudit.sinks.address import address, header
from tfaudit.sinks.fitting import fitted
from tfaudit.sinks.https import Reply, Server
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused
from tfaudit.sinks.narrowing import Doubtful, narrowed

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

PORT: Final = 8088
SIZE: Final = 1_000_000
"""Bytes of a request: what Splunk Cloud recommends, and older Splunks' limit."""
DOCUMENTS: Final = 500
ENVELOPE: Final = 4_096
"""Bytes of a request that stay for what stands around an event."""
ACKNOWLEDGED_WITHIN: Final = 10.0
"""Seconds that one request's acknowledgements are waited for; after that the batch is asked about again."""
LOST_AFTER: Final = 300.0
"""Seconds after which what was never acknowledged is sent again."""

_EVENT: Final = "/services/collector/event"
_ACK: Final = "/services/collector/ack"
_HEALTH: Final = "/services/collector/health"
_OK, _NO_DATA, _BUSY, _ACK_DISABLED = 0, 5, 9, 14
_BUSY_CODES: Final = frozenset({8, 9, 18, 19, 20, 23, 24, 25, 26, 27})
_DATA: Final = {
    5: "Splunk finds no data in it (code 5)",
    6: "Splunk says that its format is invalid (code 6)",
    12: "Splunk misses its event (code 12)",
    13: "Splunk says that its event is blank (code 13)",
}
_CONFIGURATION: Final = {
    1: ("the token is disabled", "enable it in Splunk's settings, or give another"),
    2: ("a token is required", "give the sink a secret"),
    3: ("the token is not understood", "the sink's secret is the token's value alone"),
    4: ("the token is not known", "give the sink the token of this Splunk"),
    7: ("the token may not write to the index", "see the sink's index, and the indexes that the token allows"),
    10: ("the token wants acknowledgements", "set acknowledge = true, or switch them off for the token"),
    11: ("the channel is not accepted", "switch acknowledgements off, or on again, for the token and the sink"),
    14: ("the token gives no acknowledgements", "remove acknowledge, or switch them on for the token"),
    16: ("the token was sought in the address", "is there a proxy that drops the Authorization header?"),
}


class SplunkSink:
    """An HTTP Event Collector."""

    limits = Limits(documents=DOCUMENTS, size=SIZE)

    def __init__(self, settings: SinkSettings, server: Server, token: str, *, channel: str) -> None:
        """``channel`` is a UUID that no other client uses: Splunk counts its acknowledgements by it."""
        self._server = server
        self._shape = settings.schema or "native"
        options = settings.options
        self._marks = {
            "source": str(options.get("source", "tfaudit")),
            "sourcetype": str(options.get("sourcetype", f"tfaudit:{self._shape}")),
            **({"index": str(options["index"])} if "index" in options else {}),
        }
        self._acknowledge = options.get("acknowledge") is True
        self._channel = channel
        self._headers = {"Authorization": f"Splunk {token}", "Content-Type": "application/json"}
        if self._acknowledge:
            self._headers["X-Splunk-Request-Channel"] = channel
        self.acknowledged_within = ACKNOWLEDGED_WITHIN
        """Seconds."""
        self._sent: dict[str, tuple[int, float]] = {}
        """By document: the acknowledgement that is waited for, and since when."""

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the event object; values are left out of one that would not fit into a request."""
        shaped = fitted(document.body, self._shape, SIZE - ENVELOPE)
        if isinstance(shaped, Refused):
            return shaped
        stack = document.body.get("stack")
        marks = {
            # The stack is where the change was made; which machine ran the engine says nothing.
            "host": stack[:500] if isinstance(stack, str) and stack else "tfaudit",
            **self._marks,
            "fields": {"uid": document.id},
        }
        moment = f"{document.time // 1000}.{document.time % 1000:03d}"
        around = json.dumps(marks, ensure_ascii=False, separators=(",", ":")).encode()
        content = b'{"time":%b,%b,"event":%b}\n' % (moment.encode(), around[1:-1], shaped.content)
        return Encoded(document.id, document.time, content, shaped.note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send the batch, and wait for its acknowledgements where the sink has them."""
        if not self._acknowledge:
            return narrowed(batch, self._post)
        since = time.monotonic()
        self._sent = {name: sent for name, sent in self._sent.items() if sent[1] > since - LOST_AFTER}
        new = [one for one in batch if one.id not in self._sent]
        posted = dict(zip((one.id for one in new), narrowed(new, self._post), strict=True))
        # What was sent before, and is given again since nobody had acknowledged it, is asked about and not sent again.
        answers = [posted.get(one.id) or Accepted(receipt=str(self._sent[one.id][0])) for one in batch]
        acks = {int(answer.receipt) for answer in answers if isinstance(answer, Accepted) and answer.receipt}
        confirmed = self._confirmed(acks, since + self.acknowledged_within)
        return [self._settled(one, answer, confirmed) for one, answer in zip(batch, answers, strict=True)]

    def check(self) -> Misconfigured | Later | None:
        """Ask whether the collector is well, and by a request without data whether the token is good."""
        reply = self._server.ask("GET", _HEALTH)
        if not isinstance(reply, Reply):
            return reply
        if reply.status != 200 and (trouble := self._meaning(reply)) is not None and not isinstance(trouble, Doubtful):
            return trouble
        reply = self._server.ask("POST", _EVENT, body=b"", headers=self._headers)
        if not isinstance(reply, Reply):
            return reply
        if _code(reply) not in (_OK, _NO_DATA):
            meaning = self._meaning(reply)
            return meaning if isinstance(meaning, Misconfigured | Later) else _misunderstood(reply)
        if self._acknowledge:
            said = self._asked({0})
            return said if isinstance(said, Misconfigured | Later) else None
        return None

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _post(self, part: Sequence[Encoded]) -> Answer | Doubtful:
        body = b"".join(one.content for one in part)
        reply = self._server.ask("POST", _EVENT, body=body, headers=self._headers, compress=True)
        if not isinstance(reply, Reply):
            return reply
        meaning = self._meaning(reply)
        if meaning is not None:
            return meaning
        if not self._acknowledge:
            return Accepted()
        ack = reply.members().get("ackId")
        if not isinstance(ack, int) or isinstance(ack, bool):
            return _configuration(self._server.at.where, _ACK_DISABLED)
        self._sent.update(dict.fromkeys((one.id for one in part), (ack, time.monotonic())))
        return Accepted(receipt=str(ack))

    def _meaning(self, reply: Reply) -> Doubtful | Misconfigured | Later | None:
        """Return what an answer to events means; None where they are taken."""
        code = _code(reply)
        if code in _CONFIGURATION:
            return _configuration(reply.where, code)
        if code in _DATA:
            at = reply.members().get("invalid-event-number")
            return Doubtful(reason=_DATA[code], at=at if isinstance(at, int) else None)
        if code in _BUSY_CODES:
            return Later(reason=f"{reply.where} is busy (code {code})", after=reply.after())
        if reply.status == 200 and code == _OK:
            return None
        if reply.status == 413:
            return Doubtful(reason="it is larger than Splunk takes (status 413)")
        return reply.trouble() or _misunderstood(reply)

    def _confirmed(self, acks: set[int], until: float) -> set[int] | Later | Misconfigured:
        """Return those of ``acks`` that Splunk gives before ``until``."""
        found: set[int] = set()
        pause = 0.25
        while True:
            if not (missing := acks - found):
                return found
            said = self._asked(missing)
            if not isinstance(said, set):
                return said
            found |= said
            if acks <= found or time.monotonic() + pause > until:
                return found
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def _asked(self, acks: set[int]) -> set[int] | Later | Misconfigured:
        body = json.dumps({"acks": sorted(acks)}).encode()
        reply = self._server.ask("POST", f"{_ACK}?channel={self._channel}", body=body, headers=self._headers)
        if not isinstance(reply, Reply):
            return reply
        said = reply.members().get("acks")
        if reply.status == 200 and isinstance(said, dict):
            return {ack for ack in acks if said.get(str(ack)) is True}
        meaning = self._meaning(reply)
        return meaning if isinstance(meaning, Misconfigured | Later) else _misunderstood(reply)

    def _settled(self, one: Encoded, answer: Answer, confirmed: set[int] | Later | Misconfigured) -> Answer:
        if not isinstance(answer, Accepted) or answer.receipt is None:
            return answer
        if not isinstance(confirmed, set):
            return confirmed
        if int(answer.receipt) in confirmed:
            self._sent.pop(one.id, None)
            return Accepted(receipt=f"{self._channel}/{answer.receipt}")
        return Later(reason=f"{self._server.at.where} has not acknowledged it yet", after=1.0)


def _code(reply: Reply) -> int | None:
    code = reply.members().get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _configuration(where: str, code: int) -> Misconfigured:
    reason, hint = _CONFIGURATION[code]
    return Misconfigured(reason=f"{where}: {reason} (code {code})", hint=hint)


def _misunderstood(reply: Reply) -> Later | Misconfigured:
    if reply.status == 200:
        return Later(reason=f"{reply.where} gives an answer that is not Splunk's")
    return Misconfigured(
        reason=f"{reply.where} gives an answer that is not Splunk's (status {reply.status})", hint="see the sink's url"
    )


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> SplunkSink:
    """Return the sink; nothing is asked of it yet.

    Raises :class:`ConfigError` for a wrong address, token or option, :class:`UnavailableError` where the token's own
    keeper can't be asked.
    """
    at = address(settings, port=PORT)
    if settings.secret is None:
        raise ConfigError(f'sink "{settings.name}" has no token', hint='as in secret = "env:SPLUNK_HEC_TOKEN"')
    token = header(secret.read(settings.secret, environ), settings)
    if " " in token:
        raise ConfigError(
            f'the secret of sink "{settings.name}" is no token', hint="it is the token's value alone, without a word"
        )
    return SplunkSink(settings, Server(settings, at, environ=environ), token, channel=str(uuid.uuid4()))
