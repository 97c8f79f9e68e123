"""What do the policy's rules say: that it was evaluated at all, and whether it forbids the plan?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfaudit.gate.model import Reason
from tfaudit.gate.words import line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfaudit.policy.model import Evaluation


def objections(evaluations: Iterable[Evaluation] | None) -> Iterator[Reason]:
    """Yield why the policy stands in the way: it could not be evaluated, it checked nothing, or a rule forbids."""
    if evaluations is None:
        message = "the policy was not evaluated, so nothing is known of it; run it again where its engine is installed"
        yield Reason(code="policy-error", message=message)
        return
    for one in evaluations:
        if one.error is not None:
            message = f"the {line(one.engine)} policy could not be evaluated: {line(one.error)}; mend it or its engine"
            yield Reason(code="policy-error", message=message)
        elif one.rules < 1:
            message = (
                f"the {line(one.engine)} policy evaluated no rule, so it has not passed; check where its rules are"
            )
            yield Reason(code="policy-error", message=message)
        for finding in one.findings:
            if finding.severity == "deny":
                where = f" ({line(finding.address)})" if finding.address else ""
                message = f"rule {line(finding.rule)!r} forbids it{where}: {line(finding.message)}"
                yield Reason(code="policy-deny", message=f"{message}; change the plan, or the rule by its owners")
