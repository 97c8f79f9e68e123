"""``tfaudit inspect``: one run, with all that its records say."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from tfaudit.cli import changeview
from tfaudit.cli.log import principal
from tfaudit.cli.looking import Looked, json_line, looking
from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, style

if TYPE_CHECKING:
    from tfaudit.export.view import Run, View

_IN_MEMORY: Final = 32 << 20


@click.command("inspect")
@click.argument("name", metavar="RUN|RECORD")
@click.option("--json", "as_json", is_flag=True, help="Print records and change events as one JSON object.")
@click.pass_obj
def command(options: Options, name: str, as_json: bool) -> int:
    """Show a run: who, when, what command, which changes, what came of them.

    RUN is a run's id or the start of one; a record's id shows the run that it belongs to.
    """
    looked = Looked()
    with looking(options, looked) as view:
        run = view.run(name)
        if as_json:
            _write_json(view, run)
        else:
            _show(view, run)
    return looked.exit_code


def _write_json(view: View, run: Run) -> None:
    """Write the object when all of it is read: only then is it known that the events are those which were signed."""
    import shutil
    from tempfile import SpooledTemporaryFile

    from tfaudit.export.inspection import described

    records = [json_line(described(view, row))[:-1] for row in run.records]
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as whole:
        whole.write(b'{"events":[')
        for number, event in enumerate(view.run_events(run)):
            whole.write((b"," if number else b"") + json_line(event)[:-1])
        whole.write(b'],"records":[' + b",".join(records) + b"]}\n")
        whole.seek(0)
        shutil.copyfileobj(whole, sys.stdout.buffer)


def _show(view: View, run: Run) -> None:
    from tfaudit.events.native import plain
    from tfaudit.export.inspection import described

    records = [plain(described(view, row)) for row in run.records]
    title = f"run {run.run_id}" if run.run_id else f"record {records[0]['record_id']}"
    sys.stdout.write(style(title, "bold") + "\n")
    changeview.write([f"{name:<10} {printable(text)}" for name, text in _facts(records) if text], "  ")
    sys.stdout.write(f"  {'records':<10} " + f"\n{'':13}".join(printable(_record(one)) for one in records) + "\n")
    shown = 0
    for event in view.run_events(run):
        if not shown:
            sys.stdout.write("\n")
        shown += 1
        known = changeview.decoded(event)
        changeview.write([changeview.headline(known)], "  ")
        changeview.write(changeview.details(known), "      ")
    if not shown:
        sys.stdout.write("\n  no changes\n")


def _facts(records: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what is to be told of a run: of each thing what the first record that knows it says."""
    first, last = records[0], records[-1]
    statement = first["statement"]
    yield "what", _command(statement)
    yield "outcome", _outcome(records)
    yield "when", f"{first['time'].replace('T', ' ')}{_took(last['statement'])}"
    yield "who", _actor(first["actor"])
    workspace = f"  workspace {first['workspace']}" if first["workspace"] else ""
    yield "stack", f"{first['stack']}{workspace}" if first["stack"] else ""
    yield "reason", _text(first["reason"], statement.get("reason"))
    yield "ticket", _text(first["ticket"], statement.get("ticket"))
    yield "decision", _decision(records)
    yield from _judged(records)
    yield "engine", _engine(statement)
    source = _first(records, "source") or {}
    yield "source", " ".join(str(source[key]) for key in ("repository", "commit", "path") if source.get(key))
    plan = _first(records, "plan") or {}
    yield "plan", f"sha256:{plan['sha256']}" if plan.get("sha256") else ""
    yield "", next((f"as planned by record {one['plan_record']}" for one in records if one["plan_record"]), "")
    yield "state", _state(records)
    yield "capture", f"{first['capture']}: not all of the run could be seen" if first["capture"] == "partial" else ""


def _first(records: list[dict[str, Any]], name: str) -> dict[str, Any] | None:
    found = (one["statement"].get(name) for one in records)
    return next((value for value in found if isinstance(value, dict)), None)


def _command(statement: Mapping[str, Any]) -> str:
    command = statement.get("command")
    if not isinstance(command, dict):
        return str(statement.get("kind"))
    return " ".join(map(str, [command.get("name"), *command.get("options", ()), *command.get("arguments", ())]))


def _outcome(records: list[dict[str, Any]]) -> str:
    if any(one["kind"] == "intent" and one["closed_by"] is None for one in records):
        return "not known yet: interrupted, or still running"
    closing = {one["closed_by"] for one in records if one["kind"] == "intent"}
    telling = [one for one in records if one["record_id"] in closing] or records
    status, code = telling[-1]["status"], telling[-1]["exit_code"]
    if status is None:
        return ""
    text = f"{status}, exit code {code}" if code is not None else str(status)
    return f"{text}, as another run found it" if telling[-1]["statement"].get("recovered") else text


def _took(statement: Mapping[str, Any]) -> str:
    result = statement.get("result")
    took = result.get("elapsed_ms") if isinstance(result, dict) else None
    return f", took {took / 1000:.1f} s" if isinstance(took, int) else ""


def _actor(actor: object) -> str:
    level = actor.get("level") if isinstance(actor, dict) else None
    return f"{principal(actor)} ({level})" if level else principal(actor)


def _text(disclosed: object, committed: object) -> str:
    return str(disclosed) if disclosed is not None else "(withheld)" if committed else ""


def _decision(records: list[dict[str, Any]]) -> str:
    decision = _first(records, "decision") or {}
    reasons = "; ".join(str(reason) for reason in decision.get("reasons", ()) if isinstance(reason, str))
    return f"{decision.get('decision', '')}{': ' if reasons else ''}{reasons}"


def _judged(records: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield why it was denied, who approved when and with what, and what the rules found."""
    gates = [one["gate"] for one in records if one["gate"] is not None]
    gate = gates[-1] if gates else None
    if gate is not None:
        for reason in gate["reasons"]:
            yield "", f"{reason['code']}: {reason['message']}"
        for vote in gate["approvals"]:
            by = f"with {vote['key']}" if vote["key"] else f"by {vote['source']}"
            yield "approved", f"{vote['approver']} {by}, {vote['made']}" + _broken(vote["kind"])
        for finding in gate["findings"]:
            yield "policy", f"{finding['severity']} {finding['rule']}: {finding['message']}"
    due = next((one["review_by"] for one in records if one["review_by"]), None)
    yield "review by", due or ""
    for one in records:
        vote = one["vote"]
        if vote is not None:
            false = "" if vote["signed"] else ", and the signature does not verify"
            yield vote["kind"], f"{vote['approver']} with {vote['key']}, {vote['made']}{false}"
            yield "", vote["reason"] or ""


def _broken(kind: str) -> str:
    return ", by breaking the glass" if kind == "break-glass" else ""


def _engine(statement: Mapping[str, Any]) -> str:
    engine, tool = statement.get("engine"), statement.get("tfaudit")
    if not isinstance(engine, dict) or not isinstance(tool, dict):
        return ""
    return f"{engine.get('brand')} {engine.get('version') or ''}, by tfaudit {tool.get('version')}"


def _state(records: list[dict[str, Any]]) -> str:
    before = after = None
    for one in records:
        state = one["statement"].get("state")
        if isinstance(state, dict):
            before, after = before or state.get("before"), state.get("after") or after
    if not before and not after:
        return ""
    known = after or before or {}
    serials = [str(version["serial"]) if version else "?" for version in ([before, after] if after else [before])]
    lineage = f" of lineage {known['lineage']}" if known.get("lineage") else ""
    return f"serial {' -> '.join(serials)}{lineage}"


def _record(one: Mapping[str, Any]) -> str:
    where = f"position {one['position']}" if one["position"] is not None else f"{one['place']}, in no commit yet"
    return f"{one['record_id']}  {one['kind']:<9}  {where}"
