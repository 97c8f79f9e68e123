"""How do documents get into a data stream of Elasticsearch or OpenSearch?

``POST /STREAM/_bulk`` with ``create`` and the document's own id: what is there already answers 409, which is as good as
taken. An answer of 200 tells of each document apart. Neither's client is used: each refuses the other's server.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfaudit import secret
from tfaudit.errors import ConfigError
from tfaudit.sinks import elasticsearch_setup
from tfaudit.sinks.address import address, header
from tfaudit.sinks.elasticsearch_setup import kind_of_error
from tfaudit.sinks.fitting import fitted
from tfaudit.sinks.https import Reply, Server
from tfaudit.sinks.model import Accepted, Answer, Document, Encoded, Later, Limits, Misconfigured, Refused
from tfaudit.sinks.narrowing import Doubtful, narrowed

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings

PORT: Final = 9200
SIZE: Final = 5_000_000
"""Bytes of a request; the smallest servers that AWS offers take 10 MB."""
DOCUMENTS: Final = 500
STREAM: Final = "logs-tfaudit-default"
"""Where documents go unless ``stream`` says otherwise: type, dataset and namespace, as Elastic names data streams."""

_ENVELOPE: Final = 4_096
_STREAM: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_API_KEY: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_FIELD: Final = re.compile(r"failed to parse field \[([A-Za-z0-9_.@-]{1,200})\] of type \[([a-z_]{1,40})\]")
# Of hundreds of documents each costs a line of the answer: no more than what is looked at.
_WANTED: Final = "items.*._id,items.*._index,items.*.status,items.*.error.type,items.*.error.reason"


class ElasticsearchSink:
    """A data stream."""

    limits = Limits(documents=DOCUMENTS, size=SIZE)

    def __init__(self, settings: SinkSettings, server: Server, headers: Mapping[str, str], stream: str) -> None:
        self._server = server
        self._shape = settings.schema or "ecs"
        self._headers = dict(headers)
        self._stream = stream
        self._ready = False

    def encode(self, document: Document) -> Encoded | Refused:
        """Return the action's line and the document's; values are left out of one that would not fit."""
        shaped = fitted(document.body, self._shape, SIZE - _ENVELOPE)
        if isinstance(shaped, Refused):
            return shaped
        content = shaped.content
        if self._shape != "ecs":
            # No data stream takes a document without it.
            content = b'{"@timestamp":%d,%b' % (document.time, content[1:])
        action = json.dumps({"create": {"_id": document.id}}, separators=(",", ":")).encode()
        return Encoded(document.id, document.time, b"%b\n%b\n" % (action, content), shaped.note)

    def send(self, batch: Sequence[Encoded]) -> Sequence[Answer]:
        """Send the batch; what one answers says nothing of the others."""
        if not self._ready:
            # Without a template, OpenSearch makes an ordinary index of that name, which is never let go of.
            missing = elasticsearch_setup.missing(self._server, self._headers, self._stream)
            if missing is not None:
                return [missing] * len(batch)
            self._ready = True
        return narrowed(batch, self._post)

    def check(self) -> Misconfigured | Later | None:
        """Ask who is there, whether documents may be created, and whether there is a data stream or its template."""
        return elasticsearch_setup.check(self._server, self._headers, self._stream)

    def install(self) -> str:
        """Install index template, retention and data stream where they are not, and return what was done, in a line.

        Raises :class:`ConfigError` where that can't be, :class:`UnavailableError` where it can't be now.
        """
        return elasticsearch_setup.install(self._server, self._headers, self._stream)

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _post(self, part: Sequence[Encoded]) -> Answer | Sequence[Answer] | Doubtful:
        reply = self._server.ask(
            "POST",
            f"/{self._stream}/_bulk?filter_path={_WANTED}",
            body=b"".join(one.content for one in part),
            headers={**self._headers, "Content-Type": "application/x-ndjson"},
        )
        if not isinstance(reply, Reply):
            return reply
        if reply.status == 413:
            return Doubtful(reason="it is larger than the server takes (status 413)")
        if reply.status != 200:
            return reply.trouble() or elasticsearch_setup.refused(reply, "it can't be written to")
        results = _results(reply)
        if [result.get("_id") for result in results] != [one.id for one in part]:
            return Later(reason=f"{reply.where} gives an answer that is not of these documents")
        return [self._answer(result, one.id) for result, one in zip(results, part, strict=True)]

    def _answer(self, result: Mapping[str, Any], name: str) -> Answer:
        status = result.get("status")
        if status in (200, 201, 409):
            return Accepted(receipt=f"{result.get('_index', self._stream)}/{name}"[:600])
        kind = kind_of_error(result)
        if status in (429, 503) or kind == "cluster_block_exception":
            return Later(reason=f"{self._server.at.where} can't take it now: {kind}")
        if status in (401, 403, 404):
            return Misconfigured(
                reason=f"{self._server.at.where} takes nothing for {self._stream}: {kind} (status {status})",
                hint="the sink's secret needs create_doc and auto_configure on the data stream",
            )
        error = result.get("error")
        field = _FIELD.search(str(error.get("reason"))) if isinstance(error, dict) else None
        where = f", of field {field[1]}, which is {field[2]}" if field else ""
        return Refused(reason=f"it is refused with status {status}: {kind}{where}")


def _results(reply: Reply) -> list[Mapping[str, Any]]:
    items = reply.members().get("items")
    found = [item.get("create") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [result for result in found if isinstance(result, dict)]


def authorization(text: str) -> str:
    """Return the header for a secret: a word and its token as they are, ``USER:PASSWORD`` as basic, else an API key.

    An API key is the ``encoded`` one of those that creating it gives.
    """
    word, _, rest = text.partition(" ")
    if rest and word in ("ApiKey", "Basic", "Bearer"):
        return text
    if ":" in text:
        return "Basic " + base64.b64encode(text.encode()).decode()
    if not _API_KEY.fullmatch(text):
        raise ConfigError(
            "the secret is neither an API key nor a user and a password",
            hint='the "encoded" of an API key, or USER:PASSWORD',
        )
    return f"ApiKey {text}"


def open_sink(settings: SinkSettings, *, environ: Mapping[str, str]) -> ElasticsearchSink:
    """Return the sink; nothing is asked of it yet.

    Raises :class:`ConfigError` for a wrong address, secret or name of a data stream, :class:`UnavailableError` where
    the secret's own keeper can't be asked.
    """
    at = address(settings, port=PORT)
    stream = str(settings.options.get("stream", STREAM))
    if not _STREAM.fullmatch(stream) or stream.startswith(".ds-"):
        raise ConfigError(
            f'the stream of sink "{settings.name}" is "{stream}"', hint=f'the name of a data stream, as in "{STREAM}"'
        )
    headers = {}
    if settings.secret is not None:
        text = secret.read(settings.secret, environ).strip()
        if not text.isprintable():
            text = ""
        try:
            headers["Authorization"] = header(authorization(text), settings)
        except ConfigError as error:
            raise ConfigError(f'the secret of sink "{settings.name}" can\'t be used', hint=error.hint) from None
    return ElasticsearchSink(settings, Server(settings, at, environ=environ), headers, stream)
