"""An apply in two halves, made of the renderer and the plan text alone: what tfaudit shows, without its ledger.

Run as ``python split.py ENGINE -- apply|destroy [options]``; it takes the few options that the comparisons use. With
``HALVES=human`` in the environment the second half prints for people itself, as where an engine gives no stream.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from tfaudit.engine import applyview, planview
from tfaudit.engine.human import JsonFilter, Options, Piece, Renderer, import_label

PLAN_ONLY = ("-target", "-replace", "-var", "-refresh", "-destroy", "-compact-warnings")
SHARED = ("-no-color", "-lock", "-state", "-state-out")


def columns(fd: int) -> int:
    """The width that the engine would see."""
    return os.get_terminal_size(fd).columns if os.isatty(fd) else 78


def write(stream: str, data: bytes) -> None:
    """Write through, unbuffered, so that both streams keep their order."""
    os.write(1 if stream == "stdout" else 2, data) if data else None


def ignore(_number: int, _frame: object) -> None:
    """Leave an interrupt to the engine, which a terminal tells of it too."""


def edited(command: list[str], edit: Callable[[bytes], bytes]) -> int:
    """Run a command that prints for people, at our terminal's size if we have one, and show its edited output."""
    read, inside = os.openpty() if os.isatty(1) else os.pipe()
    if os.isatty(1):
        attributes = termios.tcgetattr(inside)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(inside, termios.TCSANOW, attributes)
        termios.tcsetwinsize(inside, termios.tcgetwinsize(1))
    # On one terminal both streams need one channel: an error must not overtake the plan above it.
    errors = inside if os.isatty(1) and os.isatty(2) else None
    child = subprocess.Popen(command, stdout=inside, stderr=errors)
    os.close(inside)
    while True:
        select.select([read], [], [])
        try:
            chunk = os.read(read, 4096)
        except OSError:
            break
        if not chunk:
            break
        write("stdout", edit(chunk))
    return child.wait()


def applyable(plan: dict) -> bool:
    """Whether there is anything to apply; older engines leave it to be found out."""
    changes = [*(one["change"] for one in plan.get("resource_changes", ())), *plan.get("output_changes", {}).values()]
    return plan.get("applyable", any(change["actions"] != ["no-op"] for change in changes))


class Halves:
    """One run in two halves."""

    def __init__(self, engine: list[str], command: str, options: list[str]) -> None:
        self.engine, self.command, self.options = engine, command, options
        self.colour = "-no-color" not in options
        self.auto = "-auto-approve" in options
        self.json = "-json" in options
        self.destroys = command == "destroy" or "-destroy" in options
        self.compact = "-compact-warnings" in options
        self.mode: planview.Mode = (
            "destroy" if self.destroys else "refresh-only" if "-refresh-only" in options else "normal"
        )

    def plan(self, path: str) -> tuple[int, planview.PlanText]:
        """Plan into the file at ``path``, showing the edited text."""
        text = planview.PlanText(
            mode="apply",
            colour=self.colour,
            width=columns(1),
            error_width=columns(2),
            compact_warnings=self.compact,
        )
        drop = ("-auto-approve", "-compact-warnings", "-json")
        options = [option for option in self.options if option not in drop]
        if self.command == "destroy":
            options.append("-destroy")
        code = edited([*self.engine, "plan", f"-out={path}", *options], text.feed)
        return code, text

    def run(self) -> int:
        """Plan, ask, apply."""
        path = "halves.tfplan"
        if self.json:
            return self.run_json(path)
        code, text = self.plan(path)
        shown = self.show(path)
        asked = code == 0 and not self.auto and applyable(shown)
        recorded = bool(shown.get("resource_changes") or shown.get("output_changes"))
        write("stdout", text.close(exit_code=code, asked=asked, recorded=recorded))
        if code != 0:
            return code
        if asked and not self.approved():
            return 1
        if os.environ.get("HALVES") == "human":
            return self.apply_human(path, text)
        return self.apply(path, text, shown)

    def apply_human(self, path: str, text: planview.PlanText) -> int:
        """Apply the plan by an engine that prints for people itself."""
        second = applyview.ApplyText(
            brand="terraform",
            colour=self.colour,
            error_width=columns(2),
            destroy=self.command == "destroy",
            compact_warnings=self.compact,
            held=text.held,
            told=text.told,
        )
        code = edited([*self.engine, "apply", *self.later_options(), path], second.feed)
        write("stdout", second.close(exit_code=code))
        return code

    def approved(self) -> bool:
        """Ask as the engine asks."""
        workspace = subprocess.run([*self.engine, "workspace", "show"], capture_output=True, text=True, check=True)
        name = workspace.stdout.strip()
        write("stdout", planview.prompt(brand="terraform", colour=self.colour, mode=self.mode, workspace=name))
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            answer = sys.stdin.buffer.readline()
        except KeyboardInterrupt:
            write("stdout", b"\n")
            write("stdout", planview.interrupted(brand="terraform", width=columns(1)))
            write("stderr", planview.ask_failed(reason="interrupted", colour=self.colour, error_width=columns(2)))
            return False
        finally:
            signal.signal(signal.SIGINT, ignore)
        if not answer.endswith(b"\n"):
            write("stderr", planview.ask_failed(reason="EOF", colour=self.colour, error_width=columns(2)))
            return False
        write("stdout", planview.answered())
        if not planview.approves(answer):
            write("stdout", planview.declined(mode=self.mode))
            return False
        return True

    def show(self, path: str) -> dict:
        """The plan as JSON, or nothing when there is none."""
        if not Path(path).exists():
            return {}
        return json.loads(subprocess.run([*self.engine, "show", "-json", path], stdout=-1, check=True).stdout)

    def later_options(self) -> list[str]:
        """The options that the second half takes too."""
        return [option for option in self.options if option.split("=")[0] in SHARED]

    def apply(self, path: str, text: planview.PlanText, shown: dict) -> int:
        """Apply the plan, rendering its stream."""
        state_out = next((o.partition("=")[2] for o in self.options if o.startswith("-state-out=")), None)
        imports = tuple(
            (change["address"], import_label(change["change"]["importing"]["id"]))
            for change in shown.get("resource_changes", ())
            if "importing" in change["change"]
        )
        renderer = Renderer(
            Options(
                colour=self.colour,
                width=columns(1),
                error_width=columns(2),
                destroy=self.command == "destroy",
                compact_warnings=self.compact,
                state_out=state_out,
                held=text.held,
                told=text.told,
                imports=imports,
            )
        )
        command = [*self.engine, "apply", "-json", *self.later_options(), path]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for line in child.stdout:
                self.put(renderer.feed(line))
            self.put(renderer.close())
        return child.returncode

    def run_json(self, path: str) -> int:
        """The same, for the user's own -json."""
        joined = JsonFilter(destroy=self.command == "destroy")
        options = [option for option in self.options if option not in ("-auto-approve",)]
        if self.command == "destroy":
            options.append("-destroy")
        child = subprocess.run([*self.engine, "plan", f"-out={path}", *options], stdout=subprocess.PIPE, check=False)
        for line in child.stdout.splitlines(keepends=True):
            write("stdout", b"".join(joined.plan(line)))
        shown = self.show(path)
        recorded = bool(shown.get("resource_changes") or shown.get("output_changes"))
        write("stdout", b"".join(joined.planned(exit_code=child.returncode, recorded=recorded)))
        if child.returncode != 0:
            return child.returncode
        command = [*self.engine, "apply", "-json", *self.later_options(), path]
        applied = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        for line in applied.stdout.splitlines(keepends=True):
            write("stdout", b"".join(joined.apply(line)))
        write("stdout", b"".join(joined.close()))
        return applied.returncode

    @staticmethod
    def put(pieces: list[Piece]) -> None:
        """Show what the renderer gave."""
        for piece in pieces:
            write(piece.stream, piece.data)


if __name__ == "__main__":
    at = sys.argv.index("--")
    signal.signal(signal.SIGINT, ignore)
    sys.exit(Halves(sys.argv[1:at], sys.argv[at + 1], sys.argv[at + 2 :]).run())
