"""How does a document travel as a CloudEvents 1.0 event, structured JSON?

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md. A batch is a JSON array of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from tfaudit.events import shapes
from tfaudit.events.shapes import severity
from tfaudit.events.shapes.reading import Body, text

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
BATCH_CONTENT_TYPE: Final = "application/cloudevents-batch+json; charset=utf-8"
DATA_SCHEMAS: Final[Mapping[str, str]] = {
    "native": "urn:tfaudit:schema:delivered-document.v1",
    "ocsf": "https://schema.ocsf.io/1.8.0/classes/api_activity?profiles=cloud",
    "ecs": "https://www.elastic.co/docs/reference/ecs",
}

# What the type String of CloudEvents may not hold: control characters, surrogates, Unicode's noncharacters.
_NONCHARACTERS: Final = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_FORBIDDEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}]")


def envelope(body: Body, schema: shapes.Shape = "native") -> dict[str, Any]:
    """Return the event whose ``data`` is the document in the schema of that name.

    ``source`` and ``id`` together are the document's own for ever: the same in every delivery.
    """
    stack = text(body.get("stack"))
    kind = str(body.get("kind"))
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": _string(str(body.get("id"))),
        "source": "//tfaudit/" + quote(stack or "", safe="/:@"),
        "type": f"io.tfaudit.{_string(kind)}.v1",
        "time": str(body.get("time")),
        "datacontenttype": "application/json",
        "dataschema": DATA_SCHEMAS[schema],
        "severity": severity.grade(body),
        "data": shapes.shape(schema, body),
    }
    if subject := text(body.get("address")):
        event["subject"] = _string(subject)
    if run := text(body.get("run_id")):
        event["runid"] = _string(run)
    return event


def _string(value: str) -> str:
    """Return a text that every binding can carry, what it may not hold spelled out."""
    return _FORBIDDEN.sub(lambda match: f"\\u{ord(match.group()):04x}", value)
