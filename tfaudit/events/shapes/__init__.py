"""How does a document look in another schema than our own? Pure functions of its body; the table is in docs/schemas.md.

``native`` is the body itself (schema ``delivered-document.v1``); ``ocsf`` is OCSF 1.8, ``ecs`` the Elastic Common
Schema. CloudTrail Lake's and CloudEvents' own forms are for their sinks: modules ``cloudtrail`` and ``cloudevents``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from tfaudit.events.shapes import ecs, ocsf, severity, writing
from tfaudit.events.shapes.reading import Body

Shape = Literal["native", "ocsf", "ecs"]

SHAPES: Final[Mapping[Shape, Callable[[Body], dict[str, Any]]]] = {
    "native": dict,
    "ocsf": ocsf.shape,
    "ecs": ecs.shape,
}


def shape(name: Shape, body: Body) -> dict[str, Any]:
    """Return the document in the schema of that name; values in it may be ``msgspec.Raw``, for :func:`encode`."""
    return SHAPES[name](body)


def encode(document: Mapping[str, Any]) -> bytes:
    """Return the JSON of a document: UTF-8, keys sorted, numbers as the engine spelled them; one line, no newline."""
    return writing.encode(document)


def of_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that a native change event is as a document of its own, as ``export`` writes it.

    Its id is the event's, its outcome is in it; an engine's word for a diagnostic's severity makes place for ours.
    """
    event_id = str(event["event_id"])
    body = {**event, "id": event_id, "record_id": event_id.partition("/")[0]}
    body["diagnostic_severity"] = body.pop("severity", None)
    body["severity"] = severity.of(body)
    return body
