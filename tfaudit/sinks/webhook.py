"""How do documents reach a receiver of your own, so that it knows that they are ours?

CloudEvents 1.0 in JSON, structured or (with ``batch``) many in one request, signed as Standard Webhooks has it: HMAC of
SHA-256 over id, time and body. https://www.standardwebhooks.com, https://cloudevents.io.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from tfaudit import secret
from tfaudit.errors import ConfigError
from tfaudit.events import shapes
from tfaudit.events.shapes import cloudevents
from tfaudit.sinks.address import address
from tfaudit.sinks.fitting import fitted
from tfaudit.sinks.https import Reply, Server
from tfaudit.sinks.model import SLOW, Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused
from tfaudit.sinks.narrowing import Doubtful, narrowed

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

SIZE: Final = 1_000_000
"""Bytes of a request."""
BATCH: Final = 100
ONE_BY_ONE: Final = 20
"""Requests of one document each that are made in a row."""
LEAST_KEY: Final = 24
"""Bytes of a key (Standard Webhooks, "Signature scheme")."""

_ENVELOPE: Final = 8_192
_PREFIX: Final = "whsec_"
_GONE: Final = 410
_REFUSED: Final = (400, 413, 422)


class WebhookSink:
    """A receiver of CloudEvents."""

    def __init__(
        self, settings: SinkSettings, server: Server, keys: Sequence[bytes], *, clock: Callable[[], float] = time.time
    ) -> None:
        """``keys`` sign each request, all of them: a receiver that knows one is content."""
        self._server = server
        self._shape = settings.schema or "native"
        self._batch = settings.options.get("batch") is True
        self._keys = tuple(keys)
        self._clock = clock
        self.limits = Limits(documents=BATCH if self._batch else ONE_BY_ONE, size=SIZE, overhead=1)

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the event in structured JSON; values are left out of one that would not fit into a request."""
        shaped = fitted(document.body, self._shape, SIZE - _ENVELOPE)
        if isinstance(shaped, Refused):
            return shaped
        event = cloudevents.envelope(document.body, self._shape) | {"data": msgspec.Raw(shaped.content)}
        return Encoded(document.id, document.time, shapes.encode(event), shaped.note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send the batch in one request, or each document in one of its own."""
        return narrowed(batch, self._post) if self._batch else self._one_by_one(batch)

    def check(self) -> Misconfigured | Later | None:
        """Ask for the receiver's options: it is there, whatever it says to that, unless it says that nothing is."""
        reply = self._server.ask("OPTIONS", "")
        if not isinstance(reply, Reply):
            return reply
        if reply.status in (401, 403, 405, 501):
            return None
        return _gone(reply) if reply.status == _GONE else reply.trouble()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _one_by_one(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        until = time.monotonic() + SLOW
        answers: list[Answer] = []
        for one in batch:
            if answers and time.monotonic() > until:
                return [*answers, *[Later(reason="the receiver is slow", after=0.0)] * (len(batch) - len(answers))]
            said = self._post([one])
            answer = Refused(reason=said.reason) if isinstance(said, Doubtful) else said
            if isinstance(answer, Later | Misconfigured):
                return [*answers, *[answer] * (len(batch) - len(answers))]
            answers.append(answer)
        return answers

    def _post(self, part: Sequence[Encoded]) -> Answer | Doubtful:
        if self._batch:
            body = b"[%b]" % b",".join(one.content for one in part)
            kind, name = cloudevents.BATCH_CONTENT_TYPE, _name(part)
        else:
            body, kind, name = part[0].content, cloudevents.CONTENT_TYPE, part[0].id
        headers = {"Content-Type": kind, **signed(self._keys, name, int(self._clock()), body)}
        reply = self._server.ask("POST", "", body=body, headers=headers)
        if not isinstance(reply, Reply):
            return reply
        if 200 <= reply.status < 300:
            return Accepted(receipt=name)
        if reply.status in _REFUSED:
            return Doubtful(reason=f"the receiver refuses it (status {reply.status})")
        return _meaning(reply)


def signed(keys: Sequence[bytes], name: str, moment: int, body: bytes) -> dict[str, str]:
    """Return the three headers of Standard Webhooks; ``moment`` in seconds since the epoch."""
    message = b"%b.%d.%b" % (name.encode(), moment, body)
    made = [base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": name,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
    }


def keys(text: str, settings: SinkSettings) -> tuple[bytes, ...]:
    """Return the keys of a secret, one a line: ``whsec_`` and base64, or the key's own characters.

    More than one is for a change of keys. :class:`ConfigError` for a key that is too short to be one.
    """
    found: list[bytes] = []
    for line in text.split("\n"):
        if not (word := line.strip()):
            continue
        try:
            encoded = word.removeprefix(_PREFIX)
            key = base64.b64decode(encoded, validate=True) if word.startswith(_PREFIX) else word.encode()
        except (binascii.Error, ValueError):
            key = b""
        if len(key) < LEAST_KEY:
            raise ConfigError(
                f'the secret of sink "{settings.name}" signs nothing: a key has at least {LEAST_KEY} bytes',
                hint='make one with `echo "whsec_$(openssl rand -base64 32)"`',
            )
        found.append(key)
    return tuple(found)


def _name(part: Sequence[Encoded]) -> str:
    """Return what a request is known by: the same for the same documents, so that a receiver can tell a repetition."""
    return "batch_" + hashlib.sha256("\n".join(one.id for one in part).encode()).hexdigest()[:32]


def _gone(reply: Reply) -> Misconfigured:
    return Misconfigured(
        reason=f"{reply.where} wants no more (status {_GONE})",
        hint="remove the sink, or give the receiver's new address",
    )


def _meaning(reply: Reply) -> Later | Misconfigured:
    if reply.status == _GONE:
        return _gone(reply)
    if reply.status == 415:
        return Misconfigured(
            reason=f"{reply.where} does not take this form of CloudEvents (status 415)",
            hint="it may know the structured one only, or the batched one: see the sink's batch",
        )
    return reply.trouble() or Misconfigured(
        reason=f"{reply.where} answers in a way that is not understood (status {reply.status})",
        hint="a receiver answers 2xx where it has the events",
    )


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> WebhookSink:
    """Return the sink; nothing is asked of it yet.

    Raises :class:`ConfigError` for a wrong address or key, :class:`UnavailableError` where the key's own keeper can't
    be asked.
    """
    at = address(settings)
    if settings.secret is None:
        raise ConfigError(f'sink "{settings.name}" has no key to sign with', hint='as in secret = "env:WEBHOOK_SECRET"')
    found = keys(secret.read(settings.secret, environ), settings)
    return WebhookSink(settings, Server(settings, at, environ=environ), found)
