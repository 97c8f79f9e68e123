"""Which rules hold for which changes: the evaluation itself, in a process that may be killed.

Reads lines of JSON from stdin: the rules and the limits; the plan and the actor; lists of changes; at the end what the
whole plan says. Writes one object of numbers and fixed words: nothing that a rule saw comes back.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable
from typing import IO, Any, Final

MAX_HITS: Final = 50
"""Changes that are named for one rule; of the others only the number is told."""

_MISSING: Final = object()


def main(stdin: IO[bytes], stdout: IO[bytes]) -> None:
    """Answer one request."""
    import msgspec

    from tfaudit.policy.child import limit_self

    decode = msgspec.json.Decoder().decode
    asked = decode(stdin.readline())
    limit_self(asked["memory_mb"], asked["seconds"])
    evaluator = Evaluator(asked["rules"])
    line = stdin.readline()
    if line:
        evaluator.begin(decode(line))
        # Read ahead of, the changes come as they are made.
        while line := stdin.readline():
            said = decode(line)
            if isinstance(said, list):
                for change in said:
                    evaluator.change(change)
            else:
                evaluator.end(said)
    stdout.write(json.dumps(evaluator.answer()).encode())


class Evaluator:
    """Rules, compiled once, and what came of them so far."""

    def __init__(self, rules: list[dict[str, Any]]) -> None:
        cel = _cel()
        self._context = cel.Context(functions=self._functions())
        self._sides: dict[str, Any] = {}
        self._seen = 0
        self._done = False
        self._found: list[dict[str, Any]] = [{"hits": [], "count": 0, "error": None} for _ in rules]
        self._by_change: list[tuple[int, Any]] = []
        self._at_end: list[tuple[int, Any]] = []
        self._names: list[frozenset[str]] = []
        for number, rule in enumerate(rules):
            self._names.append(frozenset(rule["names"]))
            try:
                program = cel.compile(rule["when"])
            except BaseException as error:  # noqa: BLE001 - a panic of the engine's is no Exception
                self._fail(number, None, "syntax", _column(str(error)))
                continue
            (self._at_end if rule["scope"] == "plan" else self._by_change).append((number, program))

    def begin(self, said: dict[str, Any]) -> None:
        """Take what every rule sees."""
        self._plan = said["plan"]
        self._context.add_variable("plan", self._plan)
        self._context.add_variable("actor", said["actor"])

    def change(self, change: dict[str, Any]) -> None:
        """Evaluate the rules over one change."""
        self._sides = change
        self._context.add_variable("change", change)
        number, self._seen = self._seen, self._seen + 1
        for rule, program in self._by_change:
            self._evaluate(rule, program, number)

    def end(self, said: dict[str, Any]) -> None:
        """Evaluate the rules over the whole plan."""
        self._done = True
        if self._at_end:
            self._context.add_variable("plan", self._plan | said)
        for rule, program in self._at_end:
            self._evaluate(rule, program, None)

    def answer(self) -> dict[str, Any]:
        """Return what came of it; ``whole`` is false where the end was never told."""
        return {"whole": self._done, "changes": self._seen, "rules": self._found}

    def _evaluate(self, rule: int, program: Any, number: int | None) -> None:  # noqa: ANN401 - has no types
        found = self._found[rule]
        if found["error"] is not None:
            return
        try:
            holds = program.execute(self._context)
        except BaseException as error:  # noqa: BLE001 - a panic of the engine's is no Exception
            self._fail(rule, number, *self._reason(rule, error))
            return
        if holds is True:
            found["count"] += 1
            if number is not None and len(found["hits"]) < MAX_HITS:
                found["hits"].append(number)
        elif holds is not False:
            self._fail(rule, number, "not-boolean", None)

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

    def _functions(self) -> dict[str, Callable[..., Any]]:
        return {
            "after": lambda pointer, default=_MISSING: _at(self._sides.get("after"), pointer, default),
            "before": lambda pointer, default=_MISSING: _at(self._sides.get("before"), pointer, default),
            "get": _get,
            "json": _parsed,
            "many": lambda value: value if isinstance(value, list) else [value],
            "lower": lambda text: text.lower(),
        }


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
