"""Do the sinks take what is recorded here, are they behind, and can the alerts be sent?"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit.errors import ConfigError, InternalError, TfauditError, UnavailableError
from tfaudit.runs.doctor import Check

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.config.delivering import SinkSettings
    from tfaudit.runs.run import World
    from tfaudit.runs.standing import Standing

SECONDS: Final = 40.0
"""For all sinks, each of which bounds its own time by less."""


@dataclass(slots=True, kw_only=True)
class _Asked:
    """What a sink says of itself."""

    settings: SinkSettings
    error: TfauditError | None = None
    """Why it takes nothing from us; None where it does."""
    installed: str | None = None
    """What ``--fix`` put there."""


def examine(config: Config, world: World, *, fix: bool) -> Iterator[Check]:
    """Yield a line for each sink and each alert; no document and no alert is sent.

    ``fix`` lets a sink install what it needs: Elasticsearch its index template and retention.
    """
    if config.sinks:
        asked = _ask(config.sinks, world, fix=fix)
        known: dict[str, Standing] = {}
        try:
            known = _standings(config, world)
        except TfauditError as error:
            yield _failed("delivery", error)
        for each in asked:
            yield _sink(each, known.get(each.settings.name))
    if config.alerts:
        yield from _alerts(config, world)


def _ask(sinks: tuple[SinkSettings, ...], world: World, *, fix: bool) -> list[_Asked]:
    """Ask all at once; one that does not come back has failed."""
    late = UnavailableError(f"no answer in {SECONDS:.0f} seconds", hint="is the network slow, or a proxy in between?")
    asked = [_Asked(settings=settings, error=late) for settings in sinks]
    threads = [
        threading.Thread(target=_look, args=(each, world, fix), name=f"sink {each.settings.name}", daemon=True)
        for each in asked
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return asked


def _look(asked: _Asked, world: World, fix: bool) -> None:
    try:
        asked.installed = _opened(asked.settings, world, fix)
    except TfauditError as error:
        asked.error = error
    except Exception as error:  # noqa: BLE001 - what breaks one sink is a line of its own; its text may hold a value
        asked.error = InternalError(f"the sink broke: {type(error).__name__}", hint="report it")
    else:
        asked.error = None


def _opened(settings: SinkSettings, world: World, fix: bool) -> str | None:
    from tfaudit.sinks import schemes
    from tfaudit.sinks.model import Later, Misconfigured

    sink = schemes.open_sink(settings, environ=world.environ)
    try:
        install = getattr(sink, "install", None)
        installed = str(install()) if fix and install is not None else None
        match sink.check():
            case Misconfigured(reason=reason, hint=hint):
                raise ConfigError(reason, hint=hint)
            case Later(reason=reason):
                raise UnavailableError(reason, hint="nothing is lost: what is left is delivered later")
        return installed
    finally:
        close = getattr(sink, "close", None)
        if close is not None:
            with suppress(TfauditError, OSError):
                close()


def _standings(config: Config, world: World) -> dict[str, Standing]:
    if config.ledger is None:
        return {}
    from tfaudit.runs.standing import standings

    return {each.name: each for each in standings(config, world)}


def _sink(asked: _Asked, standing: Standing | None) -> Check:
    name = f"sink {asked.settings.name}"
    if asked.error is not None:
        return _failed(name, asked.error)
    told = [f"{asked.settings.url} answers and does not refuse us"]
    if asked.installed:
        told.insert(0, asked.installed)
    behind = _behind(asked.settings.name, standing)
    if behind is not None:
        return Check(name=name, result="warning", message="; ".join([*told, behind[0]]), hint=behind[1])
    if standing is not None:
        told.append("it has everything")
    return Check(name=name, result="ok", message="; ".join(told))


def _behind(name: str, standing: Standing | None) -> tuple[str, str] | None:
    """Return what a sink does not have, and what to do about it; None where it has everything."""
    if standing is None:
        return None
    if standing.dead:
        documents = "1 document" if standing.dead == 1 else f"{standing.dead} documents"
        return (
            f"it has refused {documents} for good",
            f"tfaudit deliver --sink {name} --status says why; once that is mended, --retry-dead sends them",
        )
    if standing.left == 0:
        return None
    records = (
        "many records" if standing.left is None else "1 record" if standing.left == 1 else f"{standing.left} records"
    )
    if standing.busy is not None:
        return f"{records} are on their way by another job", "nothing, unless it stays so"
    return f"{records} are left for it", f"tfaudit deliver --sink {name}"


def _alerts(config: Config, world: World) -> Iterator[Check]:
    from tfaudit.runs import alerting

    found = alerting.examine(config, world)
    for alert in config.alerts:
        name = f"alert {alert.name}"
        own = [each for each in found if each.alert == alert.name]
        wrong = [each for each in own if each.problem is not None]
        for each in wrong:
            yield _failed(name, ConfigError(f"{each.what} {each.problem}", hint=each.hint))
        if not wrong:
            targets = "1 target" if len(alert.to) == 1 else f"{len(alert.to)} targets"
            yield Check(name=name, result="ok", message=f"{targets} can be used; nothing was sent")


def _failed(name: str, error: TfauditError) -> Check:
    return Check(name=name, result="failed", message=error.message, hint=error.hint, exit_code=error.exit_code)
