"""How does the engine show its errors and warnings: sorted, similar warnings folded into one, boxed in colour."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tfaudit.engine.human.paint import paint
from tfaudit.engine.human.wrap import wrap

_CHECK_SUMMARIES = ("Check block assertion failed", "Check block assertion known after apply")
# The engine builds a box by scanning lines with a fixed buffer; a longer line ends the box.
_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What decides over the look of a diagnostic, the same for a whole run."""

    colour: bool
    width: int
    """Columns of standard error; 0 leaves lines as they are."""
    tags_in_detail: bool = False
    """The engine reads colour tags in the text of a detail too (Terraform 1.14 and later)."""
    brand: str = "Terraform"

    def paint(self, template: str) -> str:
        """The template in this style's colours."""
        return paint(template, colour=self.colour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A piece of configuration, with the part that is meant and the values that were at hand."""

    context: str | None
    code: str
    start_line: int
    highlight: tuple[int, int]
    """Start and end as byte offsets into the UTF-8 text of ``code``."""
    values: tuple[tuple[str, str], ...] = ()
    call: str | None = None
    """``name(parameters)`` of a failing function call: the name and the list, separated by a NUL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One error or warning, from the stream or from text that the engine printed itself."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    filename: str | None = None
    line: int = 0
    span: tuple[int, int] = (0, 0)
    """Start and end byte in the file; (0, 0) when only the line is known."""
    snippet: Snippet | None = None
    origin: str = ""
    printed: str | None = field(default=None, repr=False)
    """The box as the engine printed it, without the line about similar warnings; None when it came from the stream."""
    similar: int = 0
    """How many warnings of the same summary this one stands for besides itself."""
    check: bool = False
    """It comes from an assertion of a ``check`` block: those are never folded, and told again after the apply."""

    @property
    def place(self) -> tuple[str, str | None, int, str]:
        """What tells a repeated warning from another one."""
        return (self.summary, self.filename, self.line, "" if self.filename else self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """The text's letters alone, so that wrapped and unwrapped texts compare equal."""
        if self.printed is not None:
            return _letters(self.printed).removeprefix("Warning:")
        address = f"with {self.address}," if self.address else ""
        return _letters(self.summary + address + self.detail)


def _letters(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m|[│╷╵\s]+", "", text)


def product(brand: str) -> str:
    """The engine's name as it calls itself in its texts."""
    return "OpenTofu" if brand == "tofu" else "Terraform"


class Piece(NamedTuple):
    """Some bytes and the stream they belong on."""

    stream: str
    data: bytes


def parse(raw: object) -> Diagnostic:
    """The diagnostic of a stream line's ``diagnostic`` object; a part of the wrong type counts as absent."""
    top = _object(raw)
    where = _object(top.get("range"))
    start, end = _object(where.get("start")), _object(where.get("end"))
    snippet = _snippet(top.get("snippet")) if isinstance(top.get("snippet"), dict) else None
    summary = _text(top.get("summary"))
    context = snippet.context if snippet else None
    return Diagnostic(
        severity=_text(top.get("severity")),
        summary=summary,
        detail=_text(top.get("detail")),
        address=_text(top.get("address")),
        filename=_text(where.get("filename")) if where else None,
        line=_number(start.get("line")),
        span=(_number(start.get("byte")), _number(end.get("byte"))),
        snippet=snippet,
        origin=_text(top.get("deprecation_origin_description")),
        check=is_check(summary, context),
    )


def is_check(summary: str, context: str | None) -> bool:
    """Whether this is the failed or undecided assertion of a ``check`` block."""
    return summary in _CHECK_SUMMARIES and (context or "").startswith('check "')


def _snippet(raw: object) -> Snippet:
    top = _object(raw)
    values = tuple(
        (_text(_object(value).get("traversal")), _text(_object(value).get("statement")))
        for value in _list(top.get("values"))
    )
    context = top.get("context")
    return Snippet(
        context=context if isinstance(context, str) else None,
        code=_text(top.get("code")),
        start_line=_number(top.get("start_line")),
        highlight=(_number(top.get("highlight_start_offset")), _number(top.get("highlight_end_offset"))),
        values=tuple(sorted(values)),
        call=_call(top.get("function_call")),
    )


def _call(raw: object) -> str | None:
    call = _object(raw)
    signature = call.get("signature")
    if not isinstance(signature, dict):
        return None
    names = [_text(_object(parameter).get("name")) for parameter in _list(signature.get("params"))]
    rest = signature.get("variadic_param")
    if isinstance(rest, dict):
        names.append(_text(rest.get("name")) + "...")
    return f"{_text(call.get('called_as'))}\0{', '.join(names)}"


def _object(raw: object) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def _number(raw: object) -> int:
    return int(raw) if isinstance(raw, int | float) and math.isfinite(raw) else 0


def arrange(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Warnings before errors, those without a place before those with one, by file and position; similar ones folded.

    Similar warnings are those of one summary that have a place, except for assertions of ``check`` blocks.
    """
    arranged: list[Diagnostic] = []
    first: dict[str, int] = {}
    for diagnostic in sorted(diagnostics, key=_order):
        foldable = diagnostic.severity == "warning" and diagnostic.filename is not None and not diagnostic.check
        seen = first.get(diagnostic.summary) if foldable else None
        if seen is not None:
            arranged[seen] = replace(arranged[seen], similar=arranged[seen].similar + 1 + diagnostic.similar)
            continue
        if foldable:
            first[diagnostic.summary] = len(arranged)
        arranged.append(diagnostic)
    return arranged


def _order(diagnostic: Diagnostic) -> tuple[bool, bool, int, str, int, tuple[int, int]]:
    name = diagnostic.filename or ""
    return (
        diagnostic.severity != "warning",
        diagnostic.filename is not None,
        name.count("/"),
        name,
        diagnostic.line,
        diagnostic.span,
    )


def report(diagnostics: Sequence[Diagnostic], style: Style, *, compact: bool) -> list[Piece]:
    """What the engine prints for these diagnostics of one occasion: errors on stderr, warnings on stdout."""
    arranged = arrange(diagnostics)
    if not arranged:
        return []
    if compact and all(diagnostic.severity == "warning" for diagnostic in arranged):
        return [Piece("stdout", _compact(arranged, style).encode())]
    return [
        Piece("stderr" if one.severity == "error" else "stdout", draw(one, style).encode("utf-8", "replace"))
        for one in arranged
    ]


def _compact(diagnostics: Sequence[Diagnostic], style: Style) -> str:
    lines = [style.paint("[bold][yellow]Warnings:[reset]\n\n")]
    for one in diagnostics:
        lines.append(f"- {one.summary}\n")
        if one.filename is not None:
            more = f" (and {one.similar} more)" if one.similar else ""
            lines.append(f"  on {one.filename} line {one.line}{more}\n")
    hint = f"To see the full warning notes, run {style.brand} without -compact-warnings."
    return "\n" + "".join(lines) + f"\n{hint}\n"


def draw(diagnostic: Diagnostic, style: Style) -> str:
    """The text of one diagnostic: a box in colour, plain paragraphs without."""
    if diagnostic.printed is not None:
        return _reprint(diagnostic, style)
    head = {"error": "[bold][red]Error: [reset]", "warning": "[bold][yellow]Warning: [reset]"}.get(
        diagnostic.severity, "\n[reset]" if style.colour else ""
    )
    body = style.paint(head) + style.paint("[bold]%s[reset]\n\n").replace("%s", diagnostic.summary, 1)
    body += _place(diagnostic, style) + _detail(_full_detail(diagnostic), style)
    return _box(body, diagnostic.severity, style) if style.colour else f"\n{body}"


def similar_note(count: int) -> str:
    """The sentence about further warnings of the same summary."""
    if count == 1:
        return "(and one more similar warning elsewhere)"
    return f"(and {count} more similar warnings elsewhere)"


def _full_detail(diagnostic: Diagnostic) -> str:
    if not diagnostic.similar:
        return diagnostic.detail
    note = similar_note(diagnostic.similar)
    return f"{diagnostic.detail}\n\n{note}" if diagnostic.detail else note


def _reprint(diagnostic: Diagnostic, style: Style) -> str:
    text = diagnostic.printed or ""
    if not diagnostic.similar:
        return text
    note = similar_note(diagnostic.similar)
    if not style.colour:
        return f"{text}\n{note}\n"
    lines = text.split("\n")
    bar = _bars(diagnostic.severity, style)[1]
    return "\n".join([*lines[:-2], bar, bar + note, *lines[-2:]])


def _detail(detail: str, style: Style) -> str:
    if not detail:
        return ""
    limit = style.width - (3 if style.colour else 1)
    if limit <= 0:
        return f"{detail}\n"
    lines = []
    for line in detail.split("\n"):
        if line.startswith(" "):
            lines.append(line)
        else:
            lines.append(wrap(style.paint(line) if style.tags_in_detail else line, limit))
    return "\n".join(lines) + "\n"


def _place(diagnostic: Diagnostic, style: Style) -> str:
    text = f"  with {diagnostic.address},\n" if diagnostic.address else ""
    if diagnostic.filename is None:
        return text
    snippet = diagnostic.snippet
    if snippet is None:
        return f"{text}  on {diagnostic.filename} line {diagnostic.line}:\n  (source code not available)\n\n"
    context = f", in {snippet.context}" if snippet.context is not None else ""
    text += f"  on {diagnostic.filename} line {diagnostic.line}{context}:\n{_code(snippet, style)}"
    if snippet.values or snippet.call:
        text += _values(snippet, style)
    if diagnostic.origin:
        text += f"\n  The deprecation originates from {diagnostic.origin}\n"
    return text + "\n"


def _code(snippet: Snippet, style: Style) -> str:
    code = snippet.code.encode()
    start, end = snippet.highlight
    if end < start:
        end = start + 1
    start, end = (min(max(at, 0), len(code)) for at in (start, end))
    parts = [part.decode("utf-8", "replace") for part in (code[:start], code[start:end], code[end:])]
    template = style.paint("\0[underline]\0[reset]\0")
    for part in parts:
        template = template.replace("\0", part.replace("\0", "\ufffd"), 1)
    lines = enumerate(template.split("\n"), snippet.start_line)
    return "".join(f"{number:4d}: {line}\n" for number, line in lines)


def _values(snippet: Snippet, style: Style) -> str:
    bar = "    [dark_gray]│[reset] "
    text = style.paint("    [dark_gray]├────────────────[reset]\n")
    if snippet.call:
        name, _, parameters = snippet.call.partition("\0")
        text += style.paint(bar + "while calling [bold]%s[reset](").replace("%s", name, 1) + parameters + ")\n"
    for traversal, statement in snippet.values:
        first, *rest = statement.split("\n")
        line = style.paint(bar + "[bold]%s[reset] \0\n").replace("%s", traversal, 1)
        text += line.replace("\0", first, 1)
        text += "".join(style.paint(bar + "  \0\n").replace("\0", line, 1) for line in rest)
    return text


def _bars(severity: str, style: Style) -> tuple[str, str, str]:
    hue = {"error": "red", "warning": "yellow"}.get(severity)
    if hue is None:
        return "", "", ""
    return (
        style.paint(f"[{hue}]╷[reset]"),
        style.paint(f"[{hue}]│[reset] "),
        style.paint(f"[{hue}]╵[reset]"),
    )


def _box(body: str, severity: str, style: Style) -> str:
    top, bar, bottom = _bars(severity, style)
    lines = [top]
    body_lines = body.split("\n")
    if body_lines[-1] == "":
        body_lines.pop()
    for line in body_lines:
        if len(line.encode()) >= _LONGEST_LINE:
            break
        lines.append(f"{bar}{line.removesuffix(chr(13))}" if line else bar.strip())
    return "\n".join([*lines, bottom, ""])
