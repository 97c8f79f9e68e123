"""What every test shares: quiet property tests, a clean environment, the optional corpus of foreign files."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell ignores Ctrl-C in what it runs in the background, nohup the end of the terminal, and what is ignored stays so
# in every child: the tests of signals need the usual state, wherever the test run itself was started.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

REPOSITORY = Path(__file__).resolve().parent.parent
CORPUS = REPOSITORY.parent / "shared" / "corpus"

# No deadline: a busy machine must not fail a test. Derandomised in CI, so that the same commit gives the same result.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's own engine and tfaudit settings: what a test needs, it sets."""
    for name in list(os.environ):
        if name.startswith(("TF_", "TFAUDIT_", "AWS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def corpus() -> Path:
    """The folder of plan, state and stream files written by others; they are never copied into the project."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus of foreign plan files is not here")
    return CORPUS
