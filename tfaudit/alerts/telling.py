"""Is a fact told, to whom, and what becomes of it where it can't be sent?"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tfaudit.alerts import limiting, message, rules, sending
from tfaudit.alerts.limiting import Unsent
from tfaudit.alerts.message import Message
from tfaudit.errors import TfauditError
from tfaudit.ledger import ids

if TYPE_CHECKING:
    from tfaudit.alerts.facts import Fact, Subject
    from tfaudit.config.delivering import AlertSettings
    from tfaudit.ledger.ids import Clock
    from tfaudit.ledger.store import Working

MAX_RETRIED: Final = 50
"""What could not be sent before that one ``deliver`` tries again."""
MAX_FAILED: Final = 2
"""How often it fails to reach a target before it leaves it in peace: one that is silent costs seconds each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A target or an expression of an alert, looked at."""

    alert: str
    what: str
    """Where the target's URL is (``env:SLACK_URL``), or ``when``."""
    problem: str | None
    """None where nothing is wrong with it."""
    hint: str | None = None


class Teller:
    """Tells of facts whoever asked for them.

    ``store`` opens the working store, where it is remembered what was told; ``environ`` holds the targets' secrets;
    ``say`` is given one line for each thing that went wrong.
    """

    def __init__(
        self,
        alerts: Sequence[AlertSettings],
        *,
        store: Callable[[], Working],
        environ: Mapping[str, str],
        clock: Clock,
        entropy: Callable[[int], bytes],
        say: Callable[[str], None],
    ) -> None:
        self.alerts = tuple(alerts)
        self.say = say
        self._open = store
        self._environ = environ
        self._clock = clock
        self._entropy = entropy

    def wants(self, *events: str) -> bool:
        """Return whether any alert asks for one of these."""
        return any(event in alert.on for alert in self.alerts for event in events)

    @cached_property
    def working(self) -> Working:
        """The working store."""
        return self._open()

    def now(self) -> int:
        """Return this machine's time, milliseconds since the epoch."""
        return ids.milliseconds(self._clock())

    def tell(self, subject: Subject, found: Sequence[Fact]) -> None:
        """Tell the facts to whoever asked for them, all alerts at once; returns when that is done."""
        broken: list[Exception] = []

        def tell(alert: AlertSettings, chosen: Sequence[Fact]) -> None:
            try:
                self._tell(alert, subject, chosen)
            except Exception as error:  # noqa: BLE001 - raised again below: a thread would print it, and a value in it
                broken.append(error)

        wanted = [(alert, chosen) for alert in self.alerts if (chosen := rules.chosen(alert, found))]
        threads = [threading.Thread(target=tell, args=each, daemon=True) for each in wanted[1:]]
        for thread in threads:
            thread.start()
        for each in wanted[:1]:
            tell(*each)
        for thread in threads:
            thread.join()
        if broken:
            raise broken[0]

    def _tell(self, alert: AlertSettings, subject: Subject, found: Sequence[Fact]) -> None:
        who = rules.ident(alert)
        new = [fact for fact in found if self._is_first(who, fact)]
        if not new:
            return
        told = message.compose(subject, new)
        event, now = told.events[0], self.now()
        match self._admitted(who, event, now):
            case "hold":
                self._kept(limiting.hold, self._unsent(told, who, alert.name, alert.to, now), event)
                return
            case "last":
                self._kept(limiting.hold, self._unsent(told, who, alert.name, alert.to, now), event)
                until = limiting.time_text(limiting.end_of_slot(now))
                told = message.held_back(alert.name, event, until)
        self._send(told, who, alert.name, alert.to)

    def _is_first(self, who: str, fact: Fact) -> bool:
        if fact.again is None:
            return True
        try:
            return limiting.is_first(self.working, who, fact, now=self.now())
        except TfauditError:
            return True  # the store is away: rather told twice than not at all

    def _admitted(self, who: str, event: str, now: int) -> limiting.Pass:
        if event in limiting.UNLIMITED:
            return "send"
        try:
            return limiting.admit(self.working, who, event, now=now)
        except TfauditError:
            return "send"

    def _send(self, told: Message, who: str, name: str, to: tuple[str, ...]) -> None:
        failed = sending.send(told, to, self._environ)
        if not failed:
            return
        kept = self._kept(limiting.keep, self._unsent(told, who, name, tuple(failed), self.now()))
        rest = "; the next tfaudit deliver tries again" if kept else ""
        for reference, why in failed.items():
            self.say(f'alert "{name}" ({told.events[0]}) was not sent: {reference} {why}{rest}')

    def _kept(self, keep: Callable[..., None], *what: object) -> bool:
        """Put something into the working store; where that is away, what it would have told is lost, and said."""
        try:
            keep(self.working, *what)
        except TfauditError as error:
            self.say(f"an alert could not be kept for later: {error}")
            return False
        return True

    def _unsent(self, told: Message, who: str, name: str, to: tuple[str, ...], now: int) -> Unsent:
        key = ids.new_record_id(now, self._entropy)
        return limiting.unsent(told, key=key, alert=who, name=name, to=to, now=now)

    def retry(self) -> None:
        """Send what could not be sent, and the summaries of what was held back; remove what is over."""
        try:
            self._resend()
            self._summarise()
            limiting.tidy(self.working, now=self.now())
        except TfauditError as error:
            self.say(f"alerts of earlier runs can't be looked at: {error}")

    def _resend(self) -> None:
        now = self.now()
        known = {target for alert in self.alerts for target in alert.to}
        failures: Counter[str] = Counter()
        for tried, (key, unsent) in enumerate(limiting.waiting(self.working)):
            # Only to where the configuration sends alerts now: the store is no place to name a target.
            to = tuple(target for target in unsent.to if target in known)
            if not to or now - unsent.made > limiting.KEPT:
                self.working.remove(key)
                continue
            if tried >= MAX_RETRIED:
                break
            told = _message(unsent, late=limiting.time_text(unsent.made))
            failed = sending.send(told, [each for each in to if failures[each] < MAX_FAILED], self._environ)
            rest = tuple(each for each in to if each in failed or failures[each] >= MAX_FAILED)
            failures.update(failed.keys())
            if not rest:
                self.working.remove(key)
            elif set(rest) != set(unsent.to):
                limiting.keep(self.working, replace(unsent, to=rest))
            for reference, why in failed.items():
                self.say(f'alert "{unsent.name}" of {limiting.time_text(unsent.made)} was not sent: {reference} {why}')

    def _summarise(self) -> None:
        by_ident = {rules.ident(alert): alert for alert in self.alerts}
        for folder, found in limiting.held(self.working, now=self.now()):
            alert = by_ident.get(found[0].alert) if found else None
            if alert is not None:
                titles = [str(unsent.message["title"]) for unsent in found]
                times = sorted(unsent.made for unsent in found)
                told = message.summary(alert.name, titles, limiting.time_text(times[0]), limiting.time_text(times[-1]))
                self._send(told, found[0].alert, alert.name, alert.to)
            for unsent in found:
                self.working.remove(f"{folder}/{unsent.key}.json")

    def examine(self) -> Iterator[Examined]:
        """Yield every target and expression, looked at; nothing is sent."""
        from tfaudit.alerts import expressions

        for alert in self.alerts:
            for target in sending.resolve(alert.to, self._environ):
                found = sending.problem(target.url) if target.url is not None else None
                problem, hint = found or (target.problem, None)
                yield Examined(alert=alert.name, what=target.reference, problem=problem, hint=hint)
            if alert.when is not None:
                yield Examined(alert=alert.name, what="when", problem=expressions.problem(alert.when))


def _message(unsent: Unsent, *, late: str) -> Message:
    """Return a message that was kept, as it is sent later."""
    found: dict[str, Any] = unsent.message
    events, about = found.get("events"), found.get("about")
    return Message(
        title=found["title"],
        text=f"{found['text']}\n(of {late}, sent late)",
        urgency=found["urgency"],
        events=tuple(event for event in events if isinstance(event, str)) if isinstance(events, list) else (),
        about=about if isinstance(about, dict) else {},
    )
