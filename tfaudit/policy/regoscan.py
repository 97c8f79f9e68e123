"""Which rules does a Rego module have that deny or warn, by conftest's and OPA's convention?

Told from the text, since ``opa`` has no command that lists rules. The scan errs on the side of more: a name that turns
out to be no rule is undefined when it is asked for, and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from tfaudit.errors import ConfigError
from tfaudit.policy.model import Severity
from tfaudit.policy.rulefiles import RegoFile

DENY: Final = re.compile(r"(deny|violation)(_\w+)?", re.ASCII)
WARN: Final = re.compile(r"warn(_\w+)?", re.ASCII)

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<name>[A-Za-z_]\w*)|(?P<mark>.)""",
    re.DOTALL | re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegoRule:
    """A rule to ask for."""

    path: str
    """As in ``data.main.deny``, ready for a query."""
    name: str
    severity: Severity


class _Word(NamedTuple):
    text: str
    is_name: bool
    is_string: bool


def rules(files: Iterable[RegoFile]) -> tuple[RegoRule, ...]:
    """Return the rules of a policy, in order. Raises :class:`ConfigError` for a module that has no package."""
    found: dict[str, RegoRule] = {}
    for file in files:
        if file.is_data:
            continue
        words = list(_words(file.content.decode("utf-8", "replace")))
        package = _package(words, file.path)
        for rule in _heads(words, package):
            found.setdefault(rule.path, rule)
    return tuple(found.values())


def uses(files: Iterable[RegoFile], name: str) -> bool:
    """Return whether a module calls a built-in function such as ``http.send``."""
    head, _, tail = name.partition(".")
    for file in files:
        words = [] if file.is_data else list(_words(file.content.decode("utf-8", "replace")))
        for at in range(len(words) - 2):
            if [one.text for one in words[at : at + 3]] == [head, ".", tail]:
                return True
    return False


def query(found: Iterable[RegoRule]) -> str:
    """Return the one query that asks for all of them: a list each, empty where a rule is undefined."""
    return "[" + ", ".join(f"[value | value := {rule.path}]" for rule in found) + "]"


def _words(text: str) -> Iterator[_Word]:
    for match in _TOKEN.finditer(text):
        if match["space"] is None:
            yield _Word(match[0], match["name"] is not None, match["string"] is not None)


def _package(words: list[_Word], path: str) -> str:
    """Return the package's path from ``data`` on: ``package a["b-c"].d`` is ``data.a["b-c"].d``."""
    end = _Word("", False, False)
    words = [*words, end, end, end]
    if words[0].text != "package" or not words[1].is_name:
        raise ConfigError(f"{path} has no package", hint='a Rego module begins with one, as in "package main"')
    found, at = f"data.{words[1].text}", 2
    while True:
        if words[at].text == "." and words[at + 1].is_name:
            found, at = f"{found}.{words[at + 1].text}", at + 2
        elif words[at].text == "[" and words[at + 1].is_string and words[at + 2].text == "]":
            found, at = f"{found}[{words[at + 1].text}]", at + 3
        else:
            return found


def _heads(words: list[_Word], package: str) -> Iterator[RegoRule]:
    for at, word in enumerate(words):
        follows = words[at + 1].text if at + 1 < len(words) else ""
        if not word.is_name or (at and words[at - 1].text == ".") or follows == "(":
            continue  # a member, or a function
        # The head of a rule, or a name in the body of one, which is a rule too, or nothing.
        severity: Severity | None = (
            "deny" if DENY.fullmatch(word.text) else "warn" if WARN.fullmatch(word.text) else None
        )
        if severity is not None:
            yield RegoRule(path=f"{package}.{word.text}", name=f"{package[5:]}.{word.text}", severity=severity)
