"""``tfaudit doctor`` on sinks and alerts: each line tells what is so and what to do; nothing is sent."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import TFAUDIT, story
from syslogkit import Authority, Receiver, receiver


class Place:
    """A ledger with a story, a configuration, and tfaudit in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = story(folder / "place").folder
        self._text = 'ledger = "ledger"\nworking = "working"\n'

    def add(self, kind: str, **keys: object) -> None:
        """Configure a ``sink`` or an ``alert``."""
        told = "\n".join(f"{key} = {json.dumps(value)}" for key, value in keys.items())
        self._text += f"\n[[{kind}]]\n{told}\n"

    def tfaudit(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a verb."""
        (self.folder / "tfaudit.toml").write_text(self._text)
        return subprocess.run(
            [TFAUDIT, *args],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **environ},
        )

    def doctor(self, *args: str, **environ: str) -> dict[str, dict[str, str]]:
        """Return what doctor says of sinks and alerts, by the names of its lines."""
        lines = [json.loads(line) for line in self.tfaudit("doctor", "--json", *args, **environ).stdout.splitlines()]
        return {each["check"]: each for each in lines if each["check"].split()[0] in ("sink", "alert", "delivery")}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who signs the receivers' certificates."""
    return Authority(tmp_path)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Eight records to deliver."""
    return Place(tmp_path)


@pytest.fixture
def syslog(place: Place, authority: Authority) -> Callable[[str, Receiver], None]:
    """Configure a syslog sink; what doctor asks of it, it asks of every kind."""

    def add(name: str, state: Receiver) -> None:
        place.add("sink", name=name, url=f"syslog:localhost:{state.port}", ca=str(authority.file))

    return add


def test_a_sink_that_has_everything(
    place: Place, authority: Authority, syslog: Callable[[str, Receiver], None]
) -> None:
    """Behind before the first delivery, and how to mend it; fine after it. Doctor itself sends nothing."""
    with receiver(authority) as state:
        syslog("siem", state)
        before = place.doctor()["sink siem"]
        assert (before["result"], before["hint"]) == ("warning", "tfaudit deliver --sink siem")
        assert "answers and does not refuse us; 8 records are left for it" in before["message"]
        assert state.messages == []
        assert place.tfaudit("deliver").returncode == 0
        delivered = len(state.messages)
        assert delivered >= 8
        after = place.doctor()["sink siem"]
        assert (after["result"], after["hint"]) == ("ok", None)
        assert after["message"].endswith("it has everything")
    assert len(state.messages) == delivered
    assert state.mistakes == []


def test_sinks_that_do_not_work(
    place: Place, authority: Authority, syslog: Callable[[str, Receiver], None], tmp_path: Path
) -> None:
    """One that is away, one that isn't trusted, one whose secret is missing: each a line with what to do."""
    with receiver(authority) as away:
        pass
    with receiver(Authority(tmp_path, "other")) as stranger:
        syslog("away", away)
        syslog("stranger", stranger)
        place.add("sink", name="hook", url="webhook:https://hooks.example.test/", secret="env:ABSENT_SECRET")
        found = place.doctor()
    assert {name: line["result"] for name, line in found.items()} == dict.fromkeys(
        ("sink away", "sink stranger", "sink hook"), "failed"
    )
    assert "refused" in found["sink away"]["message"]
    assert "nothing is lost" in found["sink away"]["hint"]
    assert "ca =" in found["sink stranger"]["hint"]
    assert "ABSENT_SECRET" in found["sink hook"]["message"]


def test_a_failure_is_an_exit_code(place: Place, authority: Authority, syslog: Callable[[str, Receiver], None]) -> None:
    """A sink that does not answer is told in words as well, and by doctor's exit code."""
    with receiver(authority) as away:
        pass
    syslog("away", away)
    told = place.tfaudit("doctor")
    assert told.returncode != 0
    assert "failed  sink away: " in told.stdout


def test_no_sinks_no_lines(place: Place) -> None:
    """Without sinks and alerts nothing is said of them."""
    assert place.doctor() == {}


def test_alerts(place: Place) -> None:
    """A target whose secret is there and understood is fine; a missing one is told, and no URL ever shown."""
    pytest.importorskip("apprise", reason="the extra alerts is not installed")
    place.add("alert", name="team", to=["env:GOOD"])
    place.add("alert", name="absent", to=["env:GOOD", "env:ABSENT"])
    place.add("alert", name="strange", to=["env:STRANGE"])
    place.add("alert", name="wrong", to=["env:GOOD"], when="record.nothing(")
    url = "json://canary-user:canary-password@127.0.0.1:1/"
    found = place.doctor(GOOD=url, STRANGE="canary-no-url")
    assert {name: line["result"] for name, line in found.items()} == {
        "alert team": "ok",
        "alert absent": "failed",
        "alert strange": "failed",
        "alert wrong": "failed",
    }
    assert "env:ABSENT" in found["alert absent"]["message"]
    assert "when" in found["alert wrong"]["message"]
    assert "canary" not in json.dumps(found)
