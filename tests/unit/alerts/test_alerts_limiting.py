"""Nothing is told twice, too often, or lost: over a real working store and a real receiver."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alertkit
import pytest

from tfaudit import canonical
from tfaudit.alerts import facts, limiting
from tfaudit.alerts.facts import Subject
from tfaudit.alerts.telling import Teller
from tfaudit.config.delivering import AlertSettings
from tfaudit.errors import LedgerError
from tfaudit.ledger.folder import FolderStore
from tfaudit.ledger.store import Working

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
_runs = itertools.count()


class World:
    """A clock to turn, a working store, a receiver, and the lines that were said."""

    def __init__(self, folder: Path, receiver: alertkit.Receiver) -> None:
        self.time = START
        self.store = FolderStore(folder, mode=0o600)
        self.receiver = receiver
        self.said: list[str] = []
        self.url = receiver.url()
        self.other = "https://nowhere.invalid/"

    def teller(self, *alerts: AlertSettings, store: Callable[[], Working] | None = None) -> Teller:
        """Return another job's."""
        return Teller(
            alerts or (alert(),),
            store=store or (lambda: self.store),
            environ={"PATH": os.environ["PATH"], "HOOK": self.url, "OTHER": self.other},
            clock=lambda: self.time,
            entropy=os.urandom,
            say=self.said.append,
        )

    @property
    def titles(self) -> list[str]:
        """What came, by title."""
        return [body["title"] for body in self.receiver.bodies]

    def kept(self) -> list[str]:
        """Every key below ``alerts/``."""
        return [entry.key for entry in self.store.list("alerts/")]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Everything that alerts touch."""
    with alertkit.receiver() as receiver:
        yield World(tmp_path / "working", receiver)


def alert(**settings: object) -> AlertSettings:
    """Return an alert of everything to the receiver."""
    return AlertSettings(**{"name": "ops", "to": ("env:HOOK",), **settings})  # type: ignore[arg-type]


def _subject() -> Subject:
    return Subject(run_id=f"run-{next(_runs)}", stack="example.test/a", command="apply", actor="os:x")


def _denied(plan: str = "a") -> tuple[Subject, list[facts.Fact]]:
    subject = _subject()
    return subject, [facts.denied(subject, ["quorum"], plan)]


def _destroys() -> tuple[Subject, list[facts.Fact]]:
    subject = _subject()
    return subject, [facts.destroys(subject, ["a.b"], 1)]


def test_the_same_is_told_once_across_jobs_until_it_may_be_told_again(world: World) -> None:
    """A job that is tried again and again is denied for the same plan: one alert an hour."""
    for _ in range(3):
        world.teller().tell(*_denied())
    assert len(world.titles) == 1
    world.time += timedelta(minutes=61)
    world.teller().tell(*_denied())
    assert len(world.titles) == 2
    world.teller().tell(*_denied("another plan"))
    assert len(world.titles) == 3


def test_two_alerts_are_told_each_for_itself(world: World) -> None:
    """What one has told another may not have."""
    world.teller(alert()).tell(*_denied())
    world.teller(alert(), alert(name="security")).tell(*_denied())
    assert len(world.titles) == 2


def test_what_breaks_beside_is_raised_and_not_printed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody above a thread could keep from stderr what it broke of; the alert beside it is sent all the same."""
    printed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", printed.append)

    def broken() -> Working:
        raise RuntimeError("a canary")

    teller = world.teller(alert(name="first"), alert(name="second"), store=broken)
    with pytest.raises(RuntimeError, match="canary"):
        teller.tell(*_denied())
    assert not printed


def test_what_is_kept_with_no_time_holds_up_nothing(world: World) -> None:
    """An object that somebody put there with a time beyond every calendar is removed, and the others are sent."""
    message = {"title": "t", "text": "x", "urgency": "info"}
    for name, made in (("a", 1 << 52), ("b", int(START.timestamp() * 1000))):
        kept = {"alert": "a", "name": "ops", "to": ["env:HOOK"], "made": made, "message": message}
        world.store.create(f"{limiting.WAITING}{name}.json", canonical.encode(kept))
    world.teller().retry()
    assert world.titles == ["t"]
    assert world.kept() == []


def test_a_burst_becomes_a_few_a_notice_and_one_summary(world: World) -> None:
    """Fifty runs destroy something within a minute: five are told, then that more is held back, then all in one."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: world.teller().tell(*_destroys()), range(50)))
    assert sorted(world.titles) == sorted(
        ["tfaudit: destroy on example.test/a"] * limiting.AT_MOST + ["tfaudit: many alerts (destroy)"]
    )
    world.teller().retry()
    assert len(world.titles) == limiting.AT_MOST + 1
    world.time += timedelta(minutes=11)
    world.teller().retry()
    assert world.titles[-1] == f"tfaudit: {50 - limiting.AT_MOST} alerts in summary"
    assert "destroy on example.test/a" in world.receiver.bodies[-1]["text"]
    world.teller().retry()
    assert len(world.titles) == limiting.AT_MOST + 2


def test_noise_of_one_kind_holds_back_nothing_of_another(world: World) -> None:
    """Whoever has a hundred applies denied can't hide a destroy by it, and nobody can hide a broken glass."""
    for number in range(8):
        world.teller().tell(*_denied(str(number)))
    world.teller().tell(*_destroys())
    assert world.titles[-1].startswith("tfaudit: destroy")
    for _ in range(8):
        subject = _subject()
        world.teller().tell(subject, [facts.break_glass(subject, None)])
    assert [title for title in world.titles if "break-glass" in title] == ["tfaudit: break-glass on example.test/a"] * 8


def test_what_could_not_be_sent_is_sent_by_the_next_deliver(world: World) -> None:
    """One line says so; nothing that is kept holds the URL; it is sent once, and says that it is late."""
    world.receiver.status = 503
    world.teller().tell(*_destroys())
    why = "env:HOOK answered with the status 503; the next tfaudit deliver tries again"
    assert world.said == [f'alert "ops" (destroy) was not sent: {why}']
    [waiting] = [key for key in world.kept() if key.startswith(limiting.WAITING)]
    with world.store.open(waiting) as stream:  # type: ignore[union-attr]
        assert b"T0KEN" not in stream.read()
    world.teller().retry()
    assert len(world.said) == 2
    world.receiver.status = 200
    world.time += timedelta(minutes=30)
    world.teller().retry()
    world.teller().retry()
    assert len([body for body in world.receiver.bodies if "sent late" in body["text"]]) == 2
    assert not [key for key in world.kept() if key.startswith(limiting.WAITING)]


def test_only_the_targets_that_failed_are_tried_again(world: World) -> None:
    """The others have it."""
    two = alert(to=("env:HOOK", "env:MISSING"))
    world.teller(two).tell(*_destroys())
    assert len(world.titles) == 1
    assert "env:MISSING" in world.said[0]
    world.teller(two).retry()
    assert len(world.titles) == 1


def test_a_target_that_still_fails_is_left_in_peace(world: World) -> None:
    """One that is silent costs seconds each time: after two failures the rest waits, and goes to the other targets."""
    world.receiver.status = 503
    with alertkit.receiver(status=503) as other:
        world.other = other.url()
        teller = world.teller(alert(to=("env:HOOK", "env:OTHER")))
        for _ in range(limiting.AT_MOST):
            teller.tell(*_destroys())
        world.receiver.got.clear()
        other.status = 200
        other.got.clear()
        teller.retry()
        assert (len(world.receiver.got), len(other.got)) == (2, limiting.AT_MOST)
        world.receiver.status = 200
        world.receiver.got.clear()
        teller.retry()
        assert (len(world.receiver.got), len(other.got)) == (limiting.AT_MOST, limiting.AT_MOST)
    assert not [key for key in world.kept() if key.startswith(limiting.WAITING)]


def test_a_target_that_the_configuration_no_longer_names_is_not_sent_to(world: World) -> None:
    """Whoever can write to the store must not choose which secret is a URL."""
    world.receiver.status = 503
    world.teller().tell(*_destroys())
    world.receiver.status = 200
    world.teller(alert(to=("env:OTHER",))).retry()
    assert len(world.titles) == 1
    assert not [key for key in world.kept() if key.startswith(limiting.WAITING)]


def test_a_working_store_that_is_away_keeps_nothing_from_being_told(world: World) -> None:
    """Rather twice than not at all."""

    def away() -> Working:
        raise LedgerError("the working store can't be reached")

    for _ in range(2):
        world.teller(store=away).tell(*_denied())
    assert len(world.titles) == 2
    world.receiver.status = 503
    world.teller(store=away).tell(*_denied())
    assert any("could not be kept" in line for line in world.said)
    assert any("was not sent: env:HOOK answered" in line for line in world.said)


def test_what_is_over_is_removed(world: World) -> None:
    """The store does not grow with the alerts."""
    world.teller().tell(*_denied())
    world.teller().tell(*_destroys())
    assert world.kept()
    world.time += timedelta(hours=2)
    world.teller().retry()
    assert world.kept() == []


@pytest.mark.parametrize("content", [b"", b"{", b'{"until":"x"}', b'{"message":{}}', b"[]", b"\xff"])
def test_what_somebody_else_put_there_does_no_harm(world: World, content: bytes) -> None:
    """It is neither sent nor believed."""
    world.teller().tell(*_denied())
    for key in [
        *world.kept(),
        f"{limiting.WAITING}x.json",
        f"{limiting.HELD}a/1/x.json",
        f"{limiting.RATE}odd",
        f"{limiting.RATE}a/²/0",
        f"{limiting.HELD}a/²/x.json",
    ]:
        world.store.replace(key, content)
    world.teller().retry()
    world.teller().tell(*_denied())
    assert len(world.titles) == 2
    assert world.said == []
    assert not [key for key in world.kept() if "/x.json" in key or "odd" in key]
