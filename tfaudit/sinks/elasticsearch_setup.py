"""What must be in Elasticsearch or OpenSearch before documents are, and is it there?

An index template, which makes the name a data stream's and gives its fields their types, and a retention: the
template's own lifecycle (Elasticsearch 8.14 and later), or a policy of index state management (OpenSearch). Their files
are in ``templates/``. What is there already is left as it is, unless it is an older one of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Final, Literal

from tfaudit.errors import ConfigError, UnavailableError
from tfaudit.sinks.https import Reply, Server
from tfaudit.sinks.model import Later, Misconfigured

Headers = Mapping[str, str]

_OUR_PATTERN: Final = "logs-tfaudit-*"
_OUR_NAME: Final = "logs-tfaudit"
_TYPE: Final = re.compile(r"[a-z_]{1,80}")
_RIGHTS: Final = "installing needs manage_index_templates and, on OpenSearch, the policies of index state management"
_MISSING: Final = "run `tfaudit doctor --fix` once, with a secret that may install index templates"


class _Stopped(Exception):
    """The server gave no answer that can be gone on with."""

    def __init__(self, answer: Later | Misconfigured) -> None:
        super().__init__(answer.reason)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """A server, and who asks it."""

    server: Server
    headers: Headers

    def reply(self, method: str, path: str, body: object = None) -> Reply:
        """Return the answer; :class:`_Stopped` where there is none, or one that no request of ours explains."""
        headers = {**self.headers, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        reply = self.server.ask(method, path, body=content, headers=headers)
        if not isinstance(reply, Reply):
            raise _Stopped(reply)
        if reply.status == 401 or 300 <= reply.status < 400 or reply.status in (408, 425, 429) or reply.status >= 500:
            raise _Stopped(reply.trouble() or refused(reply, "it can't be used"))
        return reply

    def done(self, method: str, path: str, body: object) -> Reply:
        """Return the answer to what changes something; :class:`_Stopped` where it was not done."""
        reply = self.reply(method, path, body)
        if reply.status in (403, 404, 405):
            raise _Stopped(Misconfigured(reason=f"{reply.where} refuses {path} (status {reply.status})", hint=_RIGHTS))
        if reply.status >= 400 and kind_of_error(reply.members()) != "resource_already_exists_exception":
            raise _Stopped(refused(reply, f"it refuses {path}"))
        return reply


def missing(server: Server, headers: Headers, stream: str) -> Misconfigured | Later | None:
    """Return why nothing may be sent: there is neither a data stream of that name nor a template that makes one.

    None where there is, and where whoever asks may not know.
    """
    asking = _Asking(server=server, headers=headers)
    try:
        return _missing(asking, stream)
    except _Stopped as stopped:
        return stopped.answer


def check(server: Server, headers: Headers, stream: str) -> Misconfigured | Later | None:
    """Return what is wrong with the server, the secret, its rights or the data stream; None where nothing is."""
    asking = _Asking(server=server, headers=headers)
    try:
        _product(asking)
        wanted = {"index": [{"names": [stream], "privileges": ["create_doc"]}]}
        said = asking.reply("POST", "/_security/user/_has_privileges", wanted)
        # OpenSearch has no such question, nor has a server without users.
        if said.status == 200 and said.members().get("has_all_requested") is False:
            return Misconfigured(
                reason=f"{server.at.where}: the sink's secret may not create documents in {stream}",
                hint="it needs create_doc and auto_configure on the data stream",
            )
        return _missing(asking, stream)
    except _Stopped as stopped:
        return stopped.answer


def install(server: Server, headers: Headers, stream: str) -> str:
    """Install what is missing and return what was done, in a line.

    Raises :class:`ConfigError` where it can't be, :class:`UnavailableError` where it can't be now.
    """
    asking = _Asking(server=server, headers=headers)
    try:
        done = _installed(asking, stream)
    except _Stopped as stopped:
        if isinstance(stopped.answer, Later):
            raise UnavailableError(stopped.answer.reason) from None
        raise ConfigError(stopped.answer.reason, hint=stopped.answer.hint) from None
    return f"installed {', '.join(done)}" if done else "all was there"


def kind_of_error(told: Mapping[str, Any]) -> str:
    """Return the server's word for an error; its sentence is not shown, since it may quote a document."""
    error = told.get("error")
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else "no reason given"


def refused(reply: Reply, what: str) -> Misconfigured:
    """Return the answer for a status that nothing else explains."""
    return Misconfigured(
        reason=f"{reply.where}: {what}: {kind_of_error(reply.members())} (status {reply.status})",
        hint="is it Elasticsearch 8 or later, or OpenSearch 2 or later?",
    )


def _product(asking: _Asking) -> Literal["elasticsearch", "opensearch"] | None:
    """Return what is there; None where whoever asks may not know."""
    reply = asking.reply("GET", "/")
    version = reply.members().get("version")
    if reply.status == 200 and isinstance(version, dict):
        return "opensearch" if version.get("distribution") == "opensearch" else "elasticsearch"
    if reply.status == 403:
        return None
    raise _Stopped(reply.trouble() or refused(reply, "it is neither Elasticsearch nor OpenSearch"))


def _missing(asking: _Asking, stream: str) -> Misconfigured | None:
    if asking.reply("GET", f"/_data_stream/{stream}").status != 404:
        return None
    if asking.reply("GET", f"/_index_template/{_name(stream)}").status != 404:
        return None
    return Misconfigured(
        reason=f"{asking.server.at.where} has neither a data stream {stream} nor an index template for one",
        hint=_MISSING,
    )


def _installed(asking: _Asking, stream: str) -> list[str]:
    product = _product(asking)
    if product is None:
        raise _Stopped(
            Misconfigured(reason=f"{asking.server.at.where} does not tell us which server it is", hint=_RIGHTS)
        )
    done: list[str] = []
    name = _name(stream)
    if product == "opensearch":
        # First: a policy is put on the indexes that are made after it.
        policy = f"/_plugins/_ism/policies/{name}"
        if asking.reply("GET", policy).status == 404:
            body = _file("opensearch-ism-policy")
            body["policy"]["ism_template"][0]["index_patterns"] = [_pattern(stream)]
            asking.done("PUT", policy, body)
            done.append(f"the policy {name}")
    template = _file(f"{product}-index-template") | {"index_patterns": [_pattern(stream)]}
    if not _has(asking, name, template["version"]):
        done.append(_put_template(asking, name, template))
    if asking.reply("GET", f"/_data_stream/{stream}").status == 404:
        asking.done("PUT", f"/_data_stream/{stream}", None)
        done.append(f"the data stream {stream}")
    return done


def _has(asking: _Asking, name: str, version: int) -> bool:
    """Whether there is a template of that name that is somebody's own, or of this version of ours or a later one."""
    reply = asking.reply("GET", f"/_index_template/{name}")
    if reply.status == 404:
        return False
    found = reply.members().get("index_templates")
    there = found[0].get("index_template") if isinstance(found, list) and found and isinstance(found[0], dict) else None
    if reply.status != 200 or not isinstance(there, dict):
        raise _Stopped(refused(reply, f"it does not show the index template {name}"))
    ours = isinstance(there.get("_meta"), dict) and there["_meta"].get("managed_by") == "tfaudit"
    has = there.get("version")
    return not ours or (isinstance(has, int) and has >= version)


def _put_template(asking: _Asking, name: str, template: dict[str, Any]) -> str:
    path = f"/_index_template/{name}"
    if "lifecycle" in template["template"]:
        reply = asking.reply("PUT", path, template)
        if reply.status < 400:
            return f"the index template {name}"
        if reply.status != 400:
            asking.done("PUT", path, template)
        # An Elasticsearch before 8.14 knows no such member.
        lesser = {member: value for member, value in template["template"].items() if member != "lifecycle"}
        asking.done("PUT", path, template | {"template": lesser})
        return f"the index template {name} without a retention, which this version does not have"
    asking.done("PUT", path, template)
    return f"the index template {name}"


def _name(stream: str) -> str:
    return _OUR_NAME if fnmatchcase(stream, _OUR_PATTERN) else f"tfaudit-{stream}"


def _pattern(stream: str) -> str:
    return _OUR_PATTERN if fnmatchcase(stream, _OUR_PATTERN) else stream


def _file(name: str) -> dict[str, Any]:
    content = resources.files("tfaudit.sinks").joinpath("templates", f"{name}.json").read_bytes()
    found: dict[str, Any] = json.loads(content)
    return found
