"""How is a message handed over, so that no target can keep the run waiting or have it say a secret?

A child process does it (:mod:`tfaudit.alerts.sendchild`): it has a limited time, and goes on if the run is killed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfaudit import secret
from tfaudit.alerts import sendchild, targets
from tfaudit.errors import TfauditError
from tfaudit.policy.child import Child, ChildError, Limits

if TYPE_CHECKING:
    from tfaudit.alerts.message import Message

SECONDS: Final = 8.0
"""What all targets of a message together may take."""
_START_SECONDS: Final = 4.0
_MEMORY_MB: Final = 1_024
_MAX_ANSWER: Final = 1 << 16
_PASSED: Final = frozenset(
    {
        "PATH",
        "HOME",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
    }
)
"""Of the environment, what reaching a target may need, beside ``AWS_*`` for a topic: names in capitals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where one copy of a message goes."""

    reference: str
    """Where its URL is, as the configuration has it: no secret."""
    url: str | None
    """None where it can't be read."""
    problem: str | None = None
    """Why."""


def resolve(references: Sequence[str], environ: Mapping[str, str]) -> tuple[Target, ...]:
    """Return the targets behind the references, each once; what can't be read is said by name."""
    return tuple(_target(reference, environ) for reference in dict.fromkeys(references))


def _target(reference: str, environ: Mapping[str, str]) -> Target:
    try:
        return Target(reference=reference, url=secret.read(reference, environ).strip())
    except TfauditError as error:
        # Whoever tells of it names the reference first.
        return Target(reference=reference, url=None, problem=str(error).removeprefix(f"the secret {reference} "))


def send(message: Message, references: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Send a message to the targets behind the references; return those that did not get it, each with the reason.

    Takes twelve seconds at most, and three times that where secrets are to be had from Secrets Manager. Never raises.
    """
    resolved = resolve(references, environ)
    failed = {each.reference: each.problem for each in resolved if each.url is None and each.problem}
    urls = [(each.reference, each.url) for each in resolved if each.url is not None]
    if urls:
        words = _words(message, [url for _, url in urls], environ)
        failed |= {reference: word for (reference, _), word in zip(urls, words, strict=True) if word != sendchild.SENT}
    return failed


def problem(url: str) -> tuple[str, str] | None:
    """Return what is wrong with a target's URL and what to do about it; None where it looks right. Asks nobody."""
    match targets.kind(url):
        case None:
            return "it is no URL that an alert can go to", "https://…, arn:aws:sns:…, or one of apprise's"
        case "apprise" if not targets.has_apprise():
            return "it is one of apprise's URLs, and that is not installed", "pip install 'tfaudit[alerts]'"
        case _:
            return None


def _words(message: Message, urls: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    asked = {"seconds": SECONDS, "targets": list(urls), "message": message.to_json()}
    limits = Limits(seconds=SECONDS + _START_SECONDS, memory_mb=_MEMORY_MB, output=_MAX_ANSWER)
    passes_aws = any(targets.kind(url) == "sns" for url in urls)
    command = [sys.executable, "-I", "-m", "tfaudit.alerts.sendchild"]
    try:
        with Child(command, limits, environ=_passed(environ, aws=passes_aws)) as child:
            output, code = child.ask([json.dumps(asked).encode() + b"\n"])
        words = json.loads(output) if code == 0 else None
    except ChildError as error:
        return [f"could not be sent to: {error.message}"] * len(urls)
    except ValueError:
        words = None
    if not isinstance(words, list) or len(words) != len(urls) or not all(isinstance(word, str) for word in words):
        return ["could not be sent to: the process for it ended"] * len(urls)
    return [word[:200] for word in words]


def _passed(environ: Mapping[str, str], *, aws: bool) -> dict[str, str]:
    return {
        name: value for name, value in environ.items() if name.upper() in _PASSED or (aws and name.startswith("AWS_"))
    }
