"""The runs that must look the same with and without tfaudit."""

from __future__ import annotations

from dataclasses import dataclass, field

_BASIC = """
variable "x" { default = "1" }

resource "terraform_data" "a" {
  input = var.x
}

output "o" { value = terraform_data.a.output }
"""

_OUTPUTS = r"""
output "strings" {
  value = {
    for i, s in [
      "", "a", "EOT\nEOT_", "\u00a0x", "\u2028", "tab\tx", "\U0001F600", "\u00ad soft", "a\r\nb", "$${x} %%{y}", "\\",
      "\u0001\u007f\u0080\ufeff", "<&>",
    ] : i => s
  }
}
output "multi" { value = "line1\n  EOT  \nline3" }
output "trail" { value = "line1\n" }
output "deep"  { value = [[[{ a = ["x\ny"] }]]] }
output "nums"  { value = [0, -1, 1e100, 1.5e-7, 3.14159265358979323846264338327950288, 12345678901234567890123] }
output "types" {
  value = {
    b = true, n = null, l = tolist([]), s = toset([]), m = tomap({}), ts = tolist(["x"]), o = {}, t = [],
    nl = [null, "x"], tn = tolist([tostring(null), "z"]), mixed = [1, "a", [true]],
    lo = tolist([{ a = 1, b = null }, { a = 2, b = "x" }]), so = toset([3, 1, 2]),
    "key with space" = 1, "multi\nkey" = 2, "é" = tomap({ x = tolist([1]), y = tolist([]) }),
    xl = tolist(null), xn = tonumber(null), xm = tomap(null), xs = toset(null), xb = tobool(null),
  }
}
output "secret" {
  value     = ["not shown"]
  sensitive = true
}
output "empty" { value = "" }
output "gone"  { value = tostring(null) }
"""

_WARNINGS = """
variable "x" { default = "q" }

resource "terraform_data" "b" {
  input = var.x
  lifecycle { ignore_changes = [output] }
}

resource "terraform_data" "c" {
  count = 2
  input = var.x
  lifecycle { ignore_changes = [output, id] }
}

check "now" {
  assert {
    condition     = var.x == "z"
    error_message = "This is not as it should be: the value [bold]must[reset] be z, and it is something else."
  }
}

check "later" {
  assert {
    condition     = terraform_data.b.output == "z"
    error_message = "bad"
  }
}
"""

_REPLACED = """
variable "t" { default = "1" }

resource "terraform_data" "first_destroyed" {
  triggers_replace = var.t
}

resource "terraform_data" "updated" {
  input = var.t
}
"""

_FAILING_PROVISIONER = """
resource "terraform_data" "ok" { input = "é" }

resource "terraform_data" "bad" {
  depends_on = [terraform_data.ok]
  provisioner "local-exec" {
    command = "echo to stdout; echo '  to [bold] stderr  ' >&2; exit 3"
  }
}

resource "terraform_data" "never" {
  depends_on = [terraform_data.bad]
}

output "x" { value = terraform_data.never.id }

check "foo" {
  assert {
    condition     = terraform_data.ok.output == "e"
    error_message = "hm"
  }
}
"""

_FAILED_PLAN = """
variable "x" { default = "1" }

resource "terraform_data" "a" {
  input = var.x
  lifecycle {
    precondition {
      condition     = var.x == "2"
      error_message = "Not é: this message is so long that it does not fit.\\n  this stays\\nnext paragraph"
    }
  }
}

resource "terraform_data" "ok" {}
"""

_EMPTY_FAILED_PLAN = """
variable "x" { default = "q" }

resource "terraform_data" "b" {
  input = tonumber(var.x)
}
"""

_BROKEN = """
resource "terraform_data" "b" {
  input = nope.x
}
"""

_INVALID_VARIABLE = """
variable "n" {
  type    = number
  default = 1
  validation {
    condition     = var.n > 5
    error_message = "Must be more than 5: [bold]x[reset] and many words é ü here, so that the line is broken somewhere."
  }
}

resource "terraform_data" "a" { input = var.n }
"""

_ASKS = """
variable "asked" {
  description = "A thing\\nto [bold] ask for"
}

variable "secret" {
  sensitive = true
  default   = "sss"
}

resource "terraform_data" "a" {
  input = var.asked
  provisioner "local-exec" { command = "echo ${var.secret}" }
}

output "o" { value = var.asked }
"""

_KEYS = """
resource "terraform_data" "k" {
  for_each = toset(["q\\"uo", "new\\nline", "$${x}", "[bold]", "日本語 é", "%s"])
  input    = each.key
}
"""

_BEFORE_MOVING = """
resource "terraform_data" "old" { input = "1" }
resource "terraform_data" "gone" { input = "1" }
"""

_MOVING = """
import {
  to = terraform_data.imported
  id = "the-id"
}

resource "terraform_data" "imported" {}

moved {
  from = terraform_data.old
  to   = terraform_data.moved
}

resource "terraform_data" "moved" { input = "1" }

removed {
  from = terraform_data.gone
  lifecycle { destroy = false }
}
"""

_IMPORTED = """
import {
  to = terraform_data.imported
  id = "the-id"
}
"""

_UNSAVED_STATE = """
resource "terraform_data" "a" {
  input = "v"
  provisioner "local-exec" { command = "rm -rf terraform.tfstate; mkdir -p terraform.tfstate/x" }
}
"""

_OUTPUT_ONLY = """
output "o" { value = 1 }
"""

APPLIED = ("apply", "-auto-approve", "-no-color")
ENTER = "Enter a value:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One command on one configuration."""

    name: str
    text: str
    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    """Engine commands run first, in both copies."""
    before_text: str | None = None
    """The configuration that they run on, when it is another one."""
    typed: str | None = None
    answers: tuple[tuple[str, str], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    drift: tuple[str, str] | None = None
    """A replacement in the state file before the command."""
    unordered: bool = False
    """The engine itself gives its last words in one order or another."""


PIPES = (
    Case(name="create", text=_BASIC, command=("apply", "-auto-approve")),
    Case(name="approved", text=_BASIC, command=("apply",), typed="yes\n"),
    Case(name="declined", text=_BASIC, command=("apply",), typed="no\n"),
    Case(name="almost yes", text=_BASIC, command=("apply",), typed="Yes\n"),
    Case(name="end of file at the prompt", text=_BASIC, command=("apply",), typed=""),
    Case(name="no newline at the prompt", text=_BASIC, command=("apply",), typed="yes"),
    Case(name="no input", text=_BASIC, command=("apply", "-input=false"), typed="yes\n"),
    Case(name="nothing to do", text=_BASIC, command=("apply",), before=(APPLIED,)),
    Case(name="outputs only", text=_OUTPUT_ONLY, command=("apply",), typed="yes\n"),
    Case(name="all outputs", text=_OUTPUTS, command=("apply", "-auto-approve")),
    Case(name="keys", text=_KEYS, command=("apply", "-auto-approve")),
    Case(name="update and replace", text=_REPLACED, command=("apply", "-auto-approve", "-var=t=2"), before=(APPLIED,)),
    Case(
        name="replace on request",
        text=_REPLACED,
        command=("apply", "-replace=terraform_data.updated", "-auto-approve"),
        before=(APPLIED,),
    ),
    Case(name="destroy", text=_BASIC, command=("destroy", "-auto-approve"), before=(APPLIED,)),
    Case(name="destroy approved", text=_BASIC, command=("destroy",), before=(APPLIED,), typed="yes\n"),
    Case(name="destroy declined", text=_BASIC, command=("destroy",), before=(APPLIED,), typed="no\n"),
    Case(name="nothing to destroy", text=_BASIC, command=("destroy",)),
    Case(name="apply -destroy", text=_BASIC, command=("apply", "-destroy"), before=(APPLIED,), typed="yes\n"),
    Case(
        name="refresh only",
        text=_BASIC,
        command=("apply", "-refresh-only"),
        before=(APPLIED,),
        drift=('"value": "1"', '"value": "other"'),
        typed="yes\n",
    ),
    Case(name="refresh only, no drift", text=_BASIC, command=("apply", "-refresh-only"), before=(APPLIED,)),
    Case(
        name="drift",
        text=_BASIC,
        command=("apply",),
        before=(APPLIED,),
        drift=('"value": "1"', '"value": "other"'),
        typed="yes\n",
    ),
    Case(
        name="workspace",
        text=_BASIC,
        command=("apply",),
        before=(("workspace", "new", "work-1"),),
        typed="no\n",
    ),
    Case(
        name="destroy in a workspace",
        text=_BASIC,
        command=("destroy",),
        before=(("workspace", "new", "work-1"), APPLIED),
        typed="no\n",
    ),
    Case(name="warnings", text=_WARNINGS, command=("apply",), typed="yes\n"),
    Case(name="warnings unasked", text=_WARNINGS, command=("apply", "-auto-approve")),
    Case(name="warnings of nothing to do", text=_WARNINGS, command=("apply",), before=(APPLIED,)),
    Case(name="compact warnings", text=_WARNINGS, command=("apply", "-compact-warnings"), typed="yes\n"),
    Case(
        name="compact warnings unasked",
        text=_WARNINGS,
        command=("apply", "-compact-warnings", "-auto-approve"),
    ),
    Case(
        name="undeclared variable",
        text=_BASIC,
        command=("apply", "-auto-approve"),
        files={"terraform.tfvars": "nope = 1\n"},
    ),
    Case(
        name="undeclared variable asked",
        text=_BASIC,
        command=("apply",),
        files={"terraform.tfvars": "nope = 1\n"},
        typed="yes\n",
    ),
    Case(name="target", text=_BASIC, command=("apply", "-target=terraform_data.a"), typed="yes\n"),
    Case(name="target unasked", text=_BASIC, command=("apply", "-auto-approve", "-target=terraform_data.a")),
    Case(name="failing provisioner", text=_FAILING_PROVISIONER, command=("apply", "-auto-approve")),
    Case(name="failing provisioner asked", text=_FAILING_PROVISIONER, command=("apply",), typed="yes\n"),
    Case(
        name="failing provisioner, compact",
        text=_FAILING_PROVISIONER,
        command=("apply", "-auto-approve", "-compact-warnings"),
    ),
    Case(name="unsaved state", text=_UNSAVED_STATE, command=("apply", "-auto-approve")),
    Case(name="failed plan", text=_FAILED_PLAN, command=("apply",)),
    Case(name="failed plan with nothing in it", text=_EMPTY_FAILED_PLAN, command=("apply", "-auto-approve")),
    Case(name="broken configuration", text=_BROKEN, command=("apply",)),
    Case(name="invalid variable", text=_INVALID_VARIABLE, command=("apply",)),
    Case(name="variable asked for", text=_ASKS, command=("apply",), typed="line\n"),
    Case(name="variable asked for, no input", text=_ASKS, command=("apply", "-input=false")),
    Case(
        name="import, move, forget",
        text=_MOVING,
        command=("apply", "-auto-approve"),
        before_text=_BEFORE_MOVING,
        before=(APPLIED,),
    ),
    Case(name="state elsewhere", text=_BASIC, command=("apply", "-auto-approve", "-state-out=other.tfstate")),
    Case(name="automation", text=_BASIC, command=("apply",), environment={"TF_IN_AUTOMATION": "1"}, typed="yes\n"),
)

ARGUMENTS_BY_ENVIRONMENT = (
    Case(
        name="arguments for apply",
        text=_REPLACED,
        command=("apply",),
        environment={"TF_CLI_ARGS_apply": "-auto-approve -no-color -var 't=a b'"},
    ),
    Case(
        name="arguments for all",
        text=_REPLACED,
        command=("apply", "-auto-approve"),
        environment={"TF_CLI_ARGS": "-no-color", "TF_CLI_ARGS_plan": "-var=t=not-for-apply"},
    ),
    Case(name="unknown option", text=_BASIC, command=("apply", "-bogus")),
    Case(name="bad target", text=_BASIC, command=("apply", "-target=x y")),
    Case(name="plan", text=_BASIC, command=("plan",)),
    Case(name="plan to a file", text=_BASIC, command=("plan", "-out=the.tfplan")),
    Case(name="plan in automation", text=_BASIC, command=("plan",), environment={"TF_IN_AUTOMATION": "1"}),
    Case(name="plan with nothing to do", text=_BASIC, command=("plan",), before=(APPLIED,)),
    Case(name="plan with an exit code", text=_BASIC, command=("plan", "-detailed-exitcode")),
    Case(name="plan with warnings", text=_WARNINGS, command=("plan",)),
    Case(name="failed plan alone", text=_FAILED_PLAN, command=("plan",)),
    Case(
        name="plan that generates configuration",
        text=_IMPORTED,
        command=("plan", "-generate-config-out=generated.tf"),
    ),
    Case(name="plan as JSON", text=_BASIC, command=("plan", "-json")),
    Case(name="saved plan", text=_BASIC, command=("apply", "saved"), before=(("plan", "-out=saved"),)),
    Case(
        name="missing CLI configuration",
        text=_BASIC,
        command=("apply",),
        typed="yes\n",
        environment={"TF_CLI_CONFIG_FILE": "/nonexistent/cli.tfrc"},
    ),
    Case(name="refresh", text=_BASIC, command=("refresh",), before=(APPLIED,)),
    Case(name="taint", text=_BASIC, command=("taint", "terraform_data.a"), before=(APPLIED,)),
    Case(name="state rm", text=_BASIC, command=("state", "rm", "terraform_data.a"), before=(APPLIED,)),
    Case(
        name="state mv", text=_BASIC, command=("state", "mv", "terraform_data.a", "terraform_data.b"), before=(APPLIED,)
    ),
    Case(name="output", text=_OUTPUTS, command=("output",), before=(APPLIED,)),
    Case(name="import", text=_BASIC, command=("import", "terraform_data.a", "some-id")),
    Case(name="workspace new", text=_BASIC, command=("workspace", "new", "w")),
    Case(name="chdir", text=_BASIC, command=("-chdir=.", "apply", "-auto-approve")),
)
"""What takes a whole command line, not only an apply in two halves."""

JSON = (
    Case(name="json create", text=_BASIC, command=("apply", "-auto-approve", "-json")),
    Case(name="json warnings", text=_WARNINGS, command=("apply", "-auto-approve", "-json")),
    Case(name="json nothing to do", text=_BASIC, command=("apply", "-auto-approve", "-json"), before=(APPLIED,)),
    Case(name="json destroy", text=_WARNINGS, command=("destroy", "-auto-approve", "-json"), before=(APPLIED,)),
    Case(name="json failing provisioner", text=_FAILING_PROVISIONER, command=("apply", "-auto-approve", "-json")),
    Case(name="json failed plan", text=_FAILED_PLAN, command=("apply", "-auto-approve", "-json")),
    Case(name="json empty failed plan", text=_EMPTY_FAILED_PLAN, command=("apply", "-auto-approve", "-json")),
    Case(name="json broken", text=_BROKEN, command=("apply", "-auto-approve", "-json")),
    Case(
        name="json import, move, forget",
        text=_MOVING,
        command=("apply", "-auto-approve", "-json"),
        before_text=_BEFORE_MOVING,
        before=(APPLIED,),
    ),
)

TERMINAL = (
    Case(name="approved at a terminal", text=_BASIC, command=("apply",), answers=((ENTER, "yes\n"),)),
    Case(name="declined at a terminal", text=_BASIC, command=("apply",), answers=((ENTER, "no\n"),)),
    Case(name="without colour", text=_BASIC, command=("apply", "-no-color"), answers=((ENTER, "yes\n"),)),
    Case(name="end of file at a terminal", text=_BASIC, command=("apply",), answers=((ENTER, "\x04"),)),
    Case(name="interrupt at the prompt", text=_BASIC, command=("apply",), answers=((ENTER, "\x03"),), unordered=True),
    Case(name="unasked at a terminal", text=_WARNINGS, command=("apply", "-auto-approve")),
    Case(name="warnings at a terminal", text=_WARNINGS, command=("apply",), answers=((ENTER, "yes\n"),)),
    Case(
        name="warnings at a terminal, no colour",
        text=_WARNINGS,
        command=("apply", "-no-color"),
        answers=((ENTER, "yes\n"),),
    ),
    Case(name="failed plan at a terminal", text=_FAILED_PLAN, command=("apply",)),
    Case(name="failed plan at a terminal, no colour", text=_FAILED_PLAN, command=("apply", "-no-color")),
    Case(name="empty failed plan at a terminal", text=_EMPTY_FAILED_PLAN, command=("apply",)),
    Case(name="empty failed plan, no colour", text=_EMPTY_FAILED_PLAN, command=("apply", "-no-color")),
    Case(name="failing provisioner at a terminal", text=_FAILING_PROVISIONER, command=("apply", "-auto-approve")),
    Case(
        name="variable asked for at a terminal",
        text=_ASKS,
        command=("apply",),
        answers=((ENTER, "some value\n"), (ENTER, "yes\n")),
    ),
    Case(
        name="interrupt at a variable",
        text=_ASKS,
        command=("apply",),
        answers=((ENTER, "\x03"),),
        unordered=True,
    ),
    Case(name="all outputs at a terminal", text=_OUTPUTS, command=("apply", "-auto-approve")),
    Case(name="invalid variable at a terminal", text=_INVALID_VARIABLE, command=("apply",)),
)

_ODD = 'a "plan" \\ é\t\u00a0'
NO_PLAN = [
    Case(name="no plan: a text", text=_BASIC, command=("apply", "main.tf")),
    Case(name="no plan: nothing there", text=_BASIC, command=("apply", "no-such-file")),
    Case(name="no plan: below a file", text=_BASIC, command=("apply", "main.tf/below")),
    Case(name="no plan: a folder", text=_BASIC, command=("apply", ".terraform")),
    Case(name="no plan: empty", text=_BASIC, files={"empty": ""}, command=("apply", "-auto-approve", "empty")),
    Case(name="no plan: a long name", text=_BASIC, files={"n" * 200: "no plan"}, command=("apply", "n" * 200)),
    Case(name="no plan: an odd name", text=_BASIC, files={_ODD: "no plan"}, command=("apply", _ODD)),
    Case(name="no plan: without colour", text=_BASIC, command=("apply", "-no-color", "main.tf")),
    Case(name="no plan: as JSON", text=_BASIC, files={_ODD: "no plan"}, command=("apply", "-json", _ODD)),
    Case(name="no plan: with a variable", text=_BASIC, command=("apply", "-var=x=2", "main.tf")),
]
"""Applies of what is no plan file."""
