"""What the tests of the HTTP sinks share: settings, and sinks that are opened as the outbox opens them."""

from __future__ import annotations

from tfaudit.config.delivering import SinkSettings
from tfaudit.sinks import schemes
from tfaudit.sinks.address import address
from tfaudit.sinks.https import Server


def settings(scheme, url, **more):
    """The settings of a sink at ``url``; what SinkSettings has no field for is an option."""
    fields = {key: more.pop(key) for key in ("schema", "values", "name", "secret") if key in more}
    return SinkSettings(**{"name": "copy", "url": f"{scheme}:{url}", "scheme": scheme, **fields}, options=more)


def open_at(scheme, url, secret=None, environ=None, **more):
    """A sink of this scheme at ``url``, its secret in a variable."""
    named = {} if secret is None else {"secret": "env:SINK_SECRET"}
    given = {} if secret is None else {"SINK_SECRET": secret}
    return schemes.open_sink(settings(scheme, url, **named, **more), environ={**given, **(environ or {})})


def server_at(url, *, seconds=5.0, environ=None, **more):
    """A server at ``url`` that is waited for so long."""
    told = settings("webhook", url, **more)
    return Server(told, address(told), environ=environ or {}, seconds=seconds)
