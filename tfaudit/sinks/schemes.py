"""Which module sends to which kind of place: a sink is one file and one line of this table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from tfaudit.errors import ConfigError

if TYPE_CHECKING:
    from tfaudit.config.delivering import SinkSettings
    from tfaudit.sinks.model import Sink

Opening = Callable[..., "Sink"]
"""``open_sink(settings, *, environ)``: raises :class:`ConfigError` for what only another configuration mends, and
:class:`UnavailableError` where its secret can't be had now."""

SCHEMES: Final[Mapping[str, str | Opening]] = {
    "s3": "tfaudit.sinks.s3_copy:open_sink",
    "cloudtrail-lake": "tfaudit.sinks.cloudtrail_lake:open_sink",
    "cloudwatch-logs": "tfaudit.sinks.cloudwatch_logs:open_sink",
    "eventbridge": "tfaudit.sinks.eventbridge:open_sink",
    "sns": "tfaudit.sinks.sns:open_sink",
    "splunk-hec": "tfaudit.sinks.splunk_hec:open_sink",
    "elasticsearch": "tfaudit.sinks.elasticsearch:open_sink",
    "webhook": "tfaudit.sinks.webhook:open_sink",
    "otlp": "tfaudit.sinks.otlp:open_sink",
    "syslog": "tfaudit.sinks.syslog:open_sink",
    "kafka": "tfaudit.sinks.kafka:open_sink",
}


def open_sink(
    settings: SinkSettings, *, environ: Mapping[str, str], schemes: Mapping[str, str | Opening] = SCHEMES
) -> Sink:
    """Return the sink that is configured, its secret read from where the settings say.

    Raises :class:`ConfigError` where it is misconfigured or this version has none of its kind, and
    :class:`UnavailableError` where its secret can't be had now.
    """
    known = schemes.get(settings.scheme)
    if known is None:
        raise ConfigError(f'this version has no sink of the kind "{settings.scheme}"')
    if isinstance(known, str):
        module, _, name = known.partition(":")
        try:
            known = cast(Opening, getattr(importlib.import_module(module), name))
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise ConfigError(f'this version has no sink of the kind "{settings.scheme}"') from error
    return known(settings, environ=environ)
