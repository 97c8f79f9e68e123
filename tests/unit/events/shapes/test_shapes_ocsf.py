"""What stands where in OCSF."""

from __future__ import annotations

import json

import msgspec
import pytest
from shapekit import ACTOR, FACTS, attribute, check_ocsf, document, outcome_document, record_document

from tfaudit.events import shapes


def test_a_change():
    """Who, what, where and why of a change stand in the fields that OCSF has for them."""
    event = check_ocsf(document())
    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (6003, 3, 600303)
    assert event["metadata"]["uid"] == document()["id"]
    assert event["metadata"]["correlation_uid"] == FACTS.run_id
    assert event["actor"]["user"]["name"] == "github:583231"
    assert event["actor"]["session"] == {"issuer": "https://token.actions.githubusercontent.com", "uid": FACTS.run_id}
    assert event["api"]["operation"] == "apply"
    assert event["cloud"] == {
        "provider": "AWS",
        "account": {"uid": "210987654321", "type": "AWS Account", "type_id": 10},
    }
    assert event["src_endpoint"] == {"name": "runner-1", "svc_name": "github-actions"}
    assert event["time"] == 1767323045678
    (resource,) = event["resources"]
    assert (resource["name"], resource["type"]) == ("aws_instance.web[0]", "aws_instance")
    assert [one["name"] for one in event["enrichments"]] == ["approval", "reason", "ticket"]
    assert event["enrichments"][0]["data"] == {"approved_by": "alice@example.com"}


@pytest.mark.parametrize(
    ("action", "activity", "name"),
    [
        ("create", 1, "Create"),
        ("read", 2, "Read"),
        ("update", 3, "Update"),
        ("delete", 4, "Delete"),
        ("replace", 99, "Replace"),
        ("forget", 99, "Forget"),
        ("no-op", 99, "No-op"),
        ("unknown", 0, "Unknown"),
    ],
)
def test_activities(action, activity, name):
    """Each action is the activity that the design gives it."""
    event = check_ocsf(document(action=action))
    assert (event["activity_id"], event["activity_name"]) == (activity, name)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (document(), (99, "Pending")),
        (document(record="plan"), (99, "Planned")),
        (document(record="plan", decision="deny"), (2, "Failure")),
        (outcome_document("applied"), (1, "Success")),
        (outcome_document("errored"), (2, "Failure")),
        (outcome_document("not-reached"), (99, "Not reached")),
        (outcome_document("unknown"), (0, "Unknown")),
        (record_document("outcome", result={"status": "killed"}), (2, "Failure")),
        (record_document("outcome", result={"status": "declined"}), (99, "Not reached")),
        (record_document("approval"), (1, "Success")),
    ],
)
def test_how_it_ended(body, status):
    """A status for each end, and for what has not ended."""
    event = check_ocsf(body)
    assert (event["status_id"], event["status"]) == status


@pytest.mark.parametrize("kind", ["drift", "output-change", "diagnostic"])
def test_what_has_no_outcome_awaits_none(kind):
    """What was seen, and an output, is not pending for ever."""
    assert "status" not in check_ocsf(document(kind=kind))


def test_what_is_deferred_is_planned():
    """A deferred change is nothing that this run is about to do."""
    assert check_ocsf(document(kind="deferred-change"))["status"] == "Planned"


def test_an_operation_is_told_by_its_command():
    """The message says which command it was."""
    event = check_ocsf(document(kind="operation", command="state mv", address="a.b", action=None))
    assert event["message"] == "state mv a.b in github.com/acme/network/vpc"
    assert event["api"]["operation"] == "state mv"


def test_an_outcome():
    """The provider's id, the error and the times of a change come from its outcome."""
    event = check_ocsf(outcome_document("errored"))
    assert event["resources"][0]["uid"] == "i-0123"
    assert event["api"]["response"]["error_message"] == "it broke"
    assert (event["end_time"] - event["start_time"], event["duration"]) == (2000, 2000)
    assert event["metadata"]["original_event_uid"] == document()["event_id"]


def test_a_denial():
    """A denied run fails with its reasons and is critical."""
    policy = {"engine": "cel", "version": "1", "digest": "ab" * 32, "rules": 1, "denied": 1, "required": 0, "warned": 0}
    event = check_ocsf(
        record_document("plan", decision="deny", reasons=["policy-deny", "quorum"], policy=[policy], approvals=[])
    )
    assert (event["status_code"], event["status_detail"]) == ("policy-deny", "denied: policy-deny, quorum")
    assert event["severity"] == "Critical"
    assert event["actor"]["authorizations"] == [
        {"decision": "deny"},
        {"decision": "deny", "policy": {"name": "cel", "uid": "ab" * 32, "version": "1"}},
    ]


def test_break_glass():
    """Break-glass is an enrichment that says until when it must be reviewed."""
    event = check_ocsf(record_document(break_glass=True, review_by="2026-01-05T00:00:00.000Z"))
    assert event["enrichments"][-1]["name"] == "break-glass"
    assert event["enrichments"][-1]["data"] == {"review_by": "2026-01-05T00:00:00.000Z"}


def test_a_record_carries_the_log():
    """A record's document anchors the log outside of it: origin, position, size and root."""
    event = check_ocsf(record_document())
    assert (event["metadata"]["log_name"], event["metadata"]["sequence"]) == ("ledger.example/acme", 7)
    assert event["unmapped"]["tfaudit"]["log"]["root"] == "34" * 32
    assert event["unmapped"]["tfaudit"]["leaf"] == "12" * 32


def test_numbers_keep_their_digits():
    """Values stand in the event with every digit that the engine wrote."""
    text = shapes.encode(shapes.shape("ocsf", document()))
    assert b'"before":1.50,' in text
    assert b'"after":12345678901234567890.10,' in text


def test_withheld_is_not_invented():
    """Without an actor there is no user, without values no value, without approvers no name."""
    body = document(
        actor=None, approved_by=None, reason=None, attributes=[attribute("/x", withheld=True)], provider=None, type=None
    )
    event = check_ocsf(body)
    assert "user" not in event["actor"]
    assert event["src_endpoint"] == {"name": "unknown"}
    assert event["cloud"] == {"provider": "unknown"}
    assert event["enrichments"][0]["data"] == {}
    assert event["resources"][0]["data"]["attributes"][0]["before"] is None


def test_values_left_out_stay_out():
    """Attributes without their sides, as a sink with values = false has them, get none."""
    event = check_ocsf(document(attributes=[{"path": "/x", "sensitive": False}]))
    assert event["resources"][0]["data"]["attributes"] == [{"path": "/x", "sensitive": False}]


def test_nothing_is_lost():
    """Whatever has no place of its own stands in unmapped, by its own name."""
    body = document(action_reason="replace_because_tainted", future={"x": 1})
    own = check_ocsf(body)["unmapped"]["tfaudit"]
    assert (own["action_reason"], own["future"]) == ("replace_because_tainted", {"x": 1})


def test_what_a_sink_left_out_is_said():
    """A document that had to be shortened is truncated, and says where."""
    event = check_ocsf(document(shortened=["attributes"]))
    assert event["metadata"]["is_truncated"] is True
    assert event["unmapped"]["tfaudit"]["shortened"] == ["attributes"]
    assert "is_truncated" not in check_ocsf(document())["metadata"]


def test_an_agent_is_no_person():
    """A software agent is the application, and the principal isn't said to be a person."""
    agent = {"name": "claude-code", "on_behalf_of": "github:1", "recognised": "TFAUDIT_AGENT"}
    actor = check_ocsf(document(actor=ACTOR | {"agent": agent}))["actor"]
    assert (actor["app_name"], actor["user"]["type_id"]) == ("claude-code", 0)


def test_a_hidden_address_that_is_disclosed_is_text():
    """An address that came out of a disclosure is the resource's name."""
    event = check_ocsf(document(address=msgspec.Raw(json.dumps('a.b["me@example.org"]').encode())))
    assert event["resources"][0]["name"] == 'a.b["me@example.org"]'


@pytest.mark.parametrize(
    ("provider", "cloud"),
    [
        ("registry.terraform.io/hashicorp/google-beta", "GCP"),
        ('provider["registry.terraform.io/hashicorp/azurerm"]', "Azure"),
        ("provider.aws", "AWS"),
        ("registry.example.com/acme/thing", "thing"),
        ("terraform.io/builtin/terraform", "terraform"),
    ],
)
def test_clouds(provider, cloud):
    """The cloud is told by the provider, however the engine writes it."""
    assert check_ocsf(document(provider=provider))["cloud"]["provider"] == cloud


def test_other_clouds_get_no_aws_account():
    """The account of AWS credentials says nothing of a change in another cloud."""
    assert "account" not in check_ocsf(document(provider="registry.terraform.io/hashicorp/google"))["cloud"]
