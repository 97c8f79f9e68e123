"""Which checks (preconditions, postconditions, ``check`` blocks, variable validations) passed, failed or are open?"""

from __future__ import annotations

from typing import Final

from tfaudit.errors import InputError
from tfaudit.plan.exactjson import Json
from tfaudit.plan.model import CheckInstance, CheckResult
from tfaudit.plan.redact import Redactor

_WHAT: Final = "a check of the plan JSON"


def check_results(checks: object, conditions: object, redactor: Redactor) -> tuple[CheckResult, ...]:
    """Return the results in ``checks``, or in the ``condition_results`` that Terraform 1.2 wrote instead.

    Raises :class:`InputError` where they are not the arrays of objects that they should be.
    """
    if checks is not None:
        return tuple(_check(entry, redactor) for entry in _objects(checks))
    return tuple(_condition(entry, redactor) for entry in _objects(conditions))


def _check(entry: dict[str, Json], redactor: Redactor) -> CheckResult:
    address = _object(entry.get("address"))
    instances = [_instance(instance, redactor) for instance in _objects(entry.get("instances"))]
    return CheckResult(
        address=redactor.address(_text(address, "to_display")),
        kind=_text(address, "kind"),
        status=_text(entry, "status") or "unknown",
        instances=tuple(instance for instance in instances if instance.status != "pass"),
        passed=sum(instance.status == "pass" for instance in instances),
    )


def _instance(entry: dict[str, Json], redactor: Redactor) -> CheckInstance:
    problems = (_text(problem, "message") for problem in _objects(entry.get("problems")))
    return CheckInstance(
        address=redactor.address(_text(_object(entry.get("address")), "to_display")),
        status=_text(entry, "status") or "unknown",
        problems=tuple(redactor.text(problem) for problem in problems if problem),
    )


def _condition(entry: dict[str, Json], redactor: Redactor) -> CheckResult:
    status = "unknown" if entry.get("unknown") is True else "pass" if entry.get("result") is True else "fail"
    message = _text(entry, "error_message")
    address = redactor.address(_text(entry, "address"))
    problems = (redactor.text(message),) if message and status != "pass" else ()
    return CheckResult(
        address=address,
        kind=_text(entry, "condition_type"),
        status=status,
        instances=() if status == "pass" else (CheckInstance(address, status, problems),),
        passed=int(status == "pass"),
    )


def _objects(value: object) -> list[dict[str, Json]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, dict) for member in value):
        raise InputError(f"{_WHAT} has an unknown shape")
    return value


def _object(value: object) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _text(entry: dict[str, Json], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
