"""What do the requests that an append and a reading need look like on the wire, and what do the answers say?

In the words of botocore: its operations, parameters and answers, so that either can be asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element

    from tfaudit.ledger.s3_objects import Body

_HEADERS: Final = {
    "IfNoneMatch": "If-None-Match",
    "Range": "Range",
    "ChecksumAlgorithm": "x-amz-sdk-checksum-algorithm",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ObjectLockMode": "x-amz-object-lock-mode",
    "ObjectLockRetainUntilDate": "x-amz-object-lock-retain-until-date",
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "BucketKeyEnabled": "x-amz-server-side-encryption-bucket-key-enabled",
}
_QUERY: Final = {
    "VersionId": "versionId",
    "Prefix": "prefix",
    "Delimiter": "delimiter",
    "MaxKeys": "max-keys",
    "KeyMarker": "key-marker",
    "VersionIdMarker": "version-id-marker",
    "StartAfter": "start-after",
    "ContinuationToken": "continuation-token",
}
_ENTRIES: Final = {"Version": "Versions", "DeleteMarker": "DeleteMarkers", "Contents": "Contents"}
_ELSEWHERE: Final = {"Bucket", "Key", "Body", "ContentLength"}


class Operation(NamedTuple):
    """How one of the operations is sent."""

    method: str
    query: Mapping[str, str] = {}


OPERATIONS: Final = {
    "put_object": Operation("PUT"),
    "get_object": Operation("GET"),
    "head_object": Operation("HEAD"),
    "delete_object": Operation("DELETE"),
    "list_objects_v2": Operation("GET", {"list-type": "2", "encoding-type": "url"}),
    "list_object_versions": Operation("GET", {"versions": "", "encoding-type": "url"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request, but for what depends on where it goes."""

    method: str
    key: str | None
    """None: it is about the bucket."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body | None


def request(operation: str, parameters: Mapping[str, Any]) -> Sent | None:
    """Return the request of a botocore operation; None for one, or a parameter, that is not known here."""
    known = OPERATIONS.get(operation)
    if known is None or not parameters.keys() <= _ELSEWHERE | _HEADERS.keys() | _QUERY.keys():
        return None
    query = {_QUERY[name]: str(value) for name, value in parameters.items() if name in _QUERY}
    headers = {_HEADERS[name]: _text(value) for name, value in parameters.items() if name in _HEADERS}
    return Sent(
        method=known.method,
        key=parameters.get("Key"),
        query={**known.query, **query},
        headers=headers,
        body=parameters.get("Body"),
    )


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case _:
            return str(value)


def about(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what an answer's headers say, whose names are in lower case; :class:`ValueError` for what is no answer."""
    found: dict[str, Any] = {}
    for name, header in (
        ("VersionId", "x-amz-version-id"),
        ("ContentRange", "content-range"),
        ("ObjectLockMode", "x-amz-object-lock-mode"),
        ("ObjectLockLegalHoldStatus", "x-amz-object-lock-legal-hold"),
    ):
        if header in headers:
            found[name] = headers[header]
    if "content-length" in headers:
        found["ContentLength"] = int(headers["content-length"])
    if "x-amz-object-lock-retain-until-date" in headers:
        found["ObjectLockRetainUntilDate"] = _time(headers["x-amz-object-lock-retain-until-date"])
    if headers.get("x-amz-delete-marker") == "true":
        found["DeleteMarker"] = True
    return found


def listing(content: bytes) -> dict[str, Any]:
    """Return what the answer to a listing says, as far as anybody asks; :class:`ValueError` for what is none."""
    entries: dict[str, list[dict[str, Any]]] = {name: [] for name in _ENTRIES.values()}

    def take(element: Element) -> None:
        name = _ENTRIES.get(element.tag.rpartition("}")[2])
        if name is not None:
            entries[name].append(_entry(element))
            element.clear()

    root = parse(content, take)
    if not root.tag.endswith("Result"):
        raise ValueError(f"{root.tag} is no listing")
    decode = unquote_plus if _value(root, "EncodingType") == "url" else str
    found: dict[str, Any] = {"IsTruncated": _needed(root, "IsTruncated") == "true"}
    for name in ("NextKeyMarker", "NextVersionIdMarker", "NextContinuationToken"):
        value = _value(root, name)
        if value is not None:
            found[name] = decode(value) if name == "NextKeyMarker" else value
    for name, some in entries.items():
        if some:
            found[name] = [{**one, "Key": decode(one["Key"])} for one in some]
    prefixes = [{"Prefix": decode(_needed(one, "Prefix"))} for one in root.iterfind("{*}CommonPrefixes")]
    if prefixes:
        found["CommonPrefixes"] = prefixes
    return found


def must_be_no_error(content: bytes) -> None:
    """Raise :class:`ValueError` for a success whose body is an error after all, or broke off."""
    if content and parse(content).tag.rpartition("}")[2] == "Error":
        raise ValueError("the store says both")


def error_code(content: bytes, status: int) -> str:
    """Return the code of an error's body, without one the status as text; :class:`ValueError` for another body."""
    return _needed(parse(content), "Code") if content else str(status)


def parse(content: bytes, take: Callable[[Element], None] = lambda _: None) -> Element:
    """Return the document's root; :class:`ValueError` for what is no XML.

    ``take`` is given each element once it is whole, and may clear it: a page of a listing is large as a tree.
    """
    from xml.etree.ElementTree import ParseError, iterparse

    if b"<!" in content:
        raise ValueError("the store's documents declare nothing")
    root: Element | None = None
    try:
        # Without declarations there is nothing to expand.
        for _, root in iterparse(BytesIO(content)):  # noqa: S314
            take(root)
    except ParseError as error:
        raise ValueError(str(error)) from error
    if root is None:
        raise ValueError("the document is empty")
    return root


def _entry(one: Element) -> dict[str, Any]:
    entry: dict[str, Any] = {"Key": _needed(one, "Key")}
    for child in one:
        name = child.tag.rpartition("}")[2]
        if name == "VersionId":
            entry["VersionId"] = child.text or ""
        elif name == "Size":
            entry["Size"] = int(child.text or "")
        elif name == "LastModified":
            entry["LastModified"] = _time(child.text or "")
    return entry


def _value(root: Element, name: str) -> str | None:
    found = root.find(f"{{*}}{name}")
    return None if found is None else found.text or ""


def _needed(root: Element, name: str) -> str:
    found = _value(root, name)
    if found is None:
        raise ValueError(f"there is no {name}")
    return found


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
