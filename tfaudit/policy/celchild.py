"""Which rules hold for which changes: the evaluation itself, in a process that may be killed.

Reads lines of JSON from stdin: the rules and the limits; the plan and the actor, or what else every rule sees; lists of
changes, or of what else is looked at one by one; at the end what the whole plan says. Writes one object of numbers and
fixed words: nothing that a rule saw comes back.
"""

from __future__ import annotations

import json
import os
import re
import sys
import types
from collections.abc import Callable
from typing import IO, Any, Final

MAX_HITS: Final = 20
"""Changes that are named for one rule; of the others only the number is told."""
_MAX_KNOWN: Final = 20_000
"""So many different things read are remembered with what came of them."""
_SIDES: Final = ("before", "after")

_MISSING: Final = object()


def main(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """Answer one request."""
    import msgspec

    from tfaudit.policy.child import limit_self

    decode = msgspec.json.Decoder().decode
    asked = decode(stdin.readline())
    limit_self(asked["memory_mb"], asked["seconds"])
    evaluator = Evaluator(asked["rules"], each=asked.get("each", "change"))
    if line := stdin.readline():
        evaluator.begin(decode(line))
    # Up to the last line, not to the end of the input: a forked copy of the parent may hold that open.
    while not evaluator.is_done and (line := stdin.readline()):
        said = decode(line)
        if isinstance(said, list):
            has_null = b"null" in line
            for change in said:
                evaluator.change(without_null(change) if has_null else change)
        else:
            evaluator.end(said)
    stdout.write(json.dumps(evaluator.answer()).encode())


class Group:
    """Rules that read the same of a change, so that their answer is known where that was read before."""

    def __init__(self, fields: list[str] | None, members: list[str] | None) -> None:
        import msgspec

        self.programs: dict[int, Any] = {}
        self.known: dict[bytes, list[int]] = {}
        self._fields = fields
        self._members = members
        self._encode = msgspec.json.Encoder(order="sorted").encode

    def part(self, change: dict[str, Any]) -> dict[str, Any]:
        """Return what the rules read of a change."""
        if self._fields is None:
            return change
        found = {name: change[name] for name in self._fields if name in change}
        if self._members is not None:
            for side in _SIDES:
                if whole := found.get(side):
                    found[side] = {name: whole[name] for name in self._members if name in whole}
        return found

    def key(self, part: dict[str, Any]) -> bytes | None:
        """Return what tells one such part from another; None where it is too much to remember."""
        return None if self._fields is None or self._members is None else self._encode(part)


class Evaluator:
    """Rules, compiled once, and what came of them so far; ``each`` is what they call what they look at one by one."""

    def __init__(self, rules: list[dict[str, Any]], each: str = "change") -> None:
        cel = _cel()
        self._context = cel.Context(functions=self._functions())
        self._each = each
        self._sides: dict[str, Any] = {}
        self._all: list[dict[str, Any]] | None = None
        self._seen = 0
        self.is_done = False
        self._found: list[dict[str, Any]] = [{"hits": [], "count": 0, "error": None} for _ in rules]
        groups: dict[str, Group] = {}
        self._at_end: dict[int, Any] = {}
        self._names: list[frozenset[str]] = []
        for number, rule in enumerate(rules):
            self._names.append(frozenset(rule["names"]))
            try:
                program = cel.compile(rule["when"])
            except BaseException as error:  # noqa: BLE001 - a panic of the engine's is no Exception
                self._fail(number, None, "syntax", _column(str(error)))
                continue
            if rule["scope"] == "plan":
                self._at_end[number] = program
                continue
            fields, members = rule["reads"]
            group = groups.setdefault(json.dumps([fields, members]), Group(fields, members))
            group.programs[number] = program
        self._groups = tuple(groups.values())

    def begin(self, said: dict[str, Any]) -> None:
        """Take what every rule sees."""
        self._plan = said.get("plan", {})
        for name, value in said.items():
            self._context.add_variable(name, value)

    def change(self, change: dict[str, Any]) -> None:
        """Evaluate the rules over one change."""
        self._sides = change
        number, self._seen = self._seen, self._seen + 1
        for group in self._groups:
            part = group.part(change)
            key = group.key(part)
            holding = group.known.get(key) if key is not None else None
            if holding is None:
                # The dear part: every value becomes one of the engine's.
                self._context.add_variable(self._each, part)
                holding = [rule for rule, program in group.programs.items() if self._holds(rule, program, number)]
                if key is not None and len(group.known) < _MAX_KNOWN:
                    group.known[key] = holding
            for rule in holding:
                found = self._found[rule]
                found["count"] += 1
                if len(found["hits"]) < MAX_HITS:
                    found["hits"].append(number)

    def end(self, said: dict[str, Any]) -> None:
        """Evaluate the rules over the whole plan."""
        self.is_done = True
        self._all = said.get("changes", [])
        if said:
            self._context.add_variable("plan", self._plan | said)
        for rule, program in self._at_end.items():
            self._found[rule]["count"] += self._holds(rule, program, None)

    def answer(self) -> dict[str, Any]:
        """Return what came of it; ``whole`` is false where the end was never told."""
        return {"whole": self.is_done, "changes": self._seen, "rules": self._found}

    def _holds(self, rule: int, program: Any, number: int | None) -> bool:  # noqa: ANN401 - has no types
        """Return whether a rule holds; one that failed once has failed, and is not asked again."""
        if self._found[rule]["error"] is not None:
            return False
        try:
            holds = program.execute(self._context)
        except BaseException as error:  # noqa: BLE001 - a panic of the engine's is no Exception
            self._fail(rule, number, *self._reason(rule, error))
            return False
        if not isinstance(holds, bool):
            self._fail(rule, number, "not-boolean", None)
            return False
        return holds

    def _reason(self, rule: int, error: BaseException) -> tuple[str, str | None]:
        text = str(error)
        match error:
            case KeyError():
                # Named only if the rule itself names it: it could be a value that the rule looks something up by.
                name = str(error.args[0]) if error.args else ""
                return "missing", name if name in self._names[rule] else None
            case MemoryError() | RecursionError():
                return "memory", None
            case TypeError():
                return "types", None
            case IndexError():
                return "missing", None
            case RuntimeError() if text.startswith("Undefined "):
                found = re.match(r"Undefined [a-z ]+: '(\w+)'", text)
                return "undefined", found[1] if found and found[1] in self._names[rule] else None
            case RuntimeError() if "KeyError" in text:
                return "missing", None
        return "failed", None

    def _fail(self, rule: int, number: int | None, code: str, detail: str | None) -> None:
        self._found[rule]["error"] = {"change": number, "code": code, "detail": detail}

    def _count(self, action: str, kind: str) -> int:
        """Return how many changes have an action and a type that begins so, empty for any.

        The engine's own filter() takes a time that grows with the square of the number of changes.
        """
        if self._all is None:
            raise ValueError  # while the changes still come, nobody can count them
        return sum(action in ("", one["action"]) and one["type"].startswith(kind) for one in self._all)

    def _functions(self) -> dict[str, Callable[..., Any]]:
        return {
            "after": lambda pointer, default=_MISSING: _at(self._sides.get("after"), pointer, default),
            "before": lambda pointer, default=_MISSING: _at(self._sides.get("before"), pointer, default),
            "count": self._count,
            "get": _get,
            "json": _parsed,
            "many": lambda value: value if isinstance(value, list) else [value],
            "lower": lambda text: text.lower(),
        }


def without_null(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value without the members of objects that are null."""
    if isinstance(value, dict):
        return {name: without_null(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_null(one) for one in value]
    return value


def _at(value: Any, pointer: str, default: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the member at a JSON pointer (RFC 6901), or the default where it isn't there."""
    if pointer and not pointer.startswith("/"):
        raise ValueError
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        elif default is _MISSING:
            raise KeyError
        else:
            return default
    return value


def _get(value: Any, name: Any, default: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return an object's member, or the default where it isn't there or null."""
    found = value.get(name) if isinstance(value, dict) else None
    return default if found is None else found


def _parsed(text: Any, default: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return what a text spells in JSON, or the default where it spells nothing."""
    try:
        return json.loads(text) if isinstance(text, str) else default
    except ValueError:
        return default


def _column(text: str) -> str | None:
    found = re.search(r"<input>:(\d{1,5}):(\d{1,5})", text)
    return f"{found[1]}:{found[2]}" if found else None


def _cel() -> Any:  # noqa: ANN401 - has no types
    """Return the engine's module without its command line, whose imports take a tenth of a second."""
    sys.modules.setdefault("cel.cli", types.ModuleType("cel.cli"))
    import cel

    return cel


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)  # what it holds needs no tidying
