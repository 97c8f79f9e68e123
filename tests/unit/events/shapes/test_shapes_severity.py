"""How grave is each kind of document?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from shapekit import attribute, bodies, document, every_kind, outcome_document, record_document

from tfaudit.events import shapes
from tfaudit.events.shapes import kinds, severity
from tfaudit.policy.builtin import STATEFUL

PRODUCTION = "github.com/acme/prod/network"
POLICY = {"engine": "cel", "version": "1", "digest": "ab" * 32, "rules": 4, "denied": 0, "required": 0, "warned": 0}


def plan(**counts: int) -> dict[str, Any]:
    """Return a record's plan with these counts."""
    return {"sha256": "ab" * 32, "counts": counts}


GRADES: dict[str, tuple[int, dict[str, Any]]] = {
    "no-op": (1, document(action="no-op")),
    "read": (1, document(action="read", mode="data", type="aws_iam_policy_document")),
    "create": (2, document(action="create")),
    "update": (2, document()),
    "forget": (2, document(action="forget")),
    "move": (2, document(action="no-op", previous_address="a.b")),
    "import": (2, document(action="no-op", importing={"id": None})),
    "iam": (3, document(type="aws_iam_role_policy")),
    "network": (3, document(action="create", type="aws_security_group_rule")),
    "key policy": (3, document(type="aws_kms_key_policy")),
    "iam moved": (3, document(type="aws_iam_role", action="no-op", previous_address="a.b")),
    "iam unchanged": (1, document(type="aws_iam_role", action="no-op")),
    "delete": (4, document(action="delete")),
    "replace": (4, document(action="replace", type="aws_iam_role")),
    "unknown": (4, document(action="unknown")),
    "stateful delete": (5, document(action="delete", type="aws_db_instance")),
    "stateful replace": (5, document(action="replace", type="google_storage_bucket")),
    "stateful update": (2, document(type="aws_db_instance")),
    "production delete": (5, document(action="delete", stack=PRODUCTION)),
    "production workspace": (5, document(action="delete", workspace="production")),
    "production update": (2, document(stack=PRODUCTION)),
    "production output": (2, document(kind="output-change", action="delete", type=None, stack=PRODUCTION)),
    "break-glass": (5, document(break_glass=True)),
    "break-glass no-op": (1, document(break_glass=True, action="no-op")),
    "drift deleted": (4, document(kind="drift", action="delete")),
    "denied change": (2, document(record="plan", decision="deny")),
    "outcome": (2, outcome_document()),
    "outcome of a delete": (4, outcome_document("errored", action="delete")),
    "check passed": (1, document(kind="check", action=None, status="pass")),
    "check failed": (3, document(kind="check", action=None, status="fail")),
    "engine's error": (3, document(kind="diagnostic", action=None, diagnostic_severity="error")),
    "engine's warning": (2, document(kind="diagnostic", action=None, diagnostic_severity="warning")),
    "unplanned": (5, document(kind="note", action=None, code="unplanned")),
    "state mv": (2, document(kind="operation", action=None, command="state mv")),
    "state rm": (3, document(kind="operation", action=None, command="state rm")),
    "state push": (4, document(kind="operation", action=None, command="state push")),
    "state push in production": (5, document(kind="operation", action=None, command="state push", stack=PRODUCTION)),
    "record no changes": (1, record_document(plan=plan(**{"no-op": 9}))),
    "record creates": (2, record_document(plan=plan(create=1))),
    "record outputs": (2, record_document(plan=plan(outputs=1))),
    "record deletes": (4, record_document(plan=plan(create=1, delete=2))),
    "record deletes in production": (5, record_document(plan=plan(replace=2), stack=PRODUCTION)),
    "record unseen": (4, record_document(plan=None)),
    "record warned": (3, record_document(policy=[POLICY | {"warned": 1}])),
    "record not warned": (2, record_document(policy=[POLICY])),
    "record policy failed": (3, record_document(policy=[POLICY | {"failed": True}])),
    "record denied": (5, record_document("plan", decision="deny")),
    "record refused": (5, record_document("plan", decision=None, result={"status": "denied"})),
    "record break-glass": (5, record_document(break_glass=True)),
    "record unrecorded": (5, record_document(unrecorded={"from": 1, "to": 3})),
    "record declined": (1, record_document("outcome", result={"status": "declined"})),
    "record applied": (2, record_document("outcome", result={"status": "applied"})),
    "record destroyed": (4, record_document("outcome", command="destroy", result={"status": "applied"})),
    "record approval": (2, record_document("approval")),
    "record access": (1, record_document("access")),
    "record config": (3, record_document("config")),
    "record erasure": (4, record_document("erasure")),
    "record hold": (2, record_document("retention", retention={"action": "hold"})),
    "record prune": (4, record_document("retention", retention={"action": "prune"})),
    "record finding": (5, record_document("finding")),
}


@pytest.mark.parametrize(("grade", "body"), GRADES.values(), ids=GRADES)
def test_the_grade(grade, body):
    """Each kind of document has the grade that the documentation gives it."""
    assert severity.of(body) == grade


def test_every_schema_has_the_same_grade():
    """The body's own severity stands in each schema; without one, it is judged."""
    for body in every_kind().values():
        grade = severity.of(body)
        assert shapes.shape("ocsf", body)["severity_id"] == grade
        assert shapes.shape("ecs", body)["event"]["severity"] == grade
    assert shapes.shape("ocsf", document(severity=5))["severity"] == "Critical"


@given(body=bodies)
def test_there_is_always_a_grade(body):
    """Whatever the body, it is one of five."""
    assert severity.of(body) in (1, 2, 3, 4, 5)


def test_values_do_not_count():
    """The grade is the same with and without attribute values."""
    one, other = document(attributes=[attribute("/x", 1, 2)]), document(attributes=[])
    assert severity.of(one) == severity.of(other)


@pytest.mark.parametrize(
    ("kind", "iam", "network", "keys"),
    [
        ("aws_iam_role", True, False, False),
        ("aws_s3_bucket_policy", True, False, False),
        ("aws_lambda_permission", True, False, False),
        ("google_project_iam_member", True, False, False),
        ("google_storage_bucket_iam_binding", True, False, False),
        ("google_service_account_key", True, False, False),
        ("azurerm_role_assignment", True, False, False),
        ("azuread_application", True, False, False),
        ("kubernetes_cluster_role_binding_v1", True, False, False),
        ("aws_vpc", False, True, False),
        ("aws_vpc_security_group_ingress_rule", False, True, False),
        ("aws_default_security_group", False, True, False),
        ("google_compute_firewall", False, True, False),
        ("azurerm_network_security_rule", False, True, False),
        ("kubernetes_network_policy", False, True, False),
        ("aws_kms_key", False, False, True),
        ("google_kms_crypto_key", False, False, True),
        ("azurerm_key_vault_access_policy", False, False, True),
        ("aws_instance", False, False, False),
        ("aws_autoscaling_policy", False, False, False),
        ("aws_dlm_lifecycle_policy", False, False, False),
        ("aws_appautoscaling_policy", False, False, False),
        ("terraform_data", False, False, False),
        (None, False, False, False),
    ],
)
def test_types(kind, iam, network, keys):
    """The types that each word covers, and some that only look like it."""
    assert (kinds.is_iam(kind), kinds.is_network(kind), kinds.is_key_policy(kind)) == (iam, network, keys)


def test_stateful_types_are_those_of_the_policy():
    """What the built-in rule calls lost is what is stateful here."""
    assert all(map(kinds.is_stateful, STATEFUL))
    assert not kinds.is_stateful("aws_instance")
    assert not kinds.is_stateful(None)


@pytest.mark.parametrize(
    ("stack", "workspace", "expected"),
    [
        ("github.com/acme/prod/net", None, True),
        ("github.com/acme/infra/eu-prod-1", "default", True),
        ("github.com/acme/infra", "production", True),
        ("acme/live", None, True),
        ("github.com/acme/infra", "PRD", True),
        ("prod.example.com/acme/infra", None, False),
        ("github.com/acme/products", "dev", False),
        ("github.com/acme/infra", "non-prod", False),
        ("github.com/acme/infra", "nonprod", False),
        ("github.com/acme/infra", "pre_prod", False),
        ("github.com/acme/infra", "preprod", False),
        ("github.com/acme/reproduction", None, False),
        (None, None, False),
    ],
)
def test_production(stack, workspace, expected):
    """Production is a word of the stack's or workspace's name."""
    assert kinds.is_production(stack, workspace) is expected
