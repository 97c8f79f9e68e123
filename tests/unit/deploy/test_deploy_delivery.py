"""What deploy/aws lets the writers' roles do at sinks: to deliver, there, and nothing more."""

from __future__ import annotations

import json

import iampolicy
import pytest
from deploykit import ACCOUNT, APPROVER, AUDITOR, GITHUB, KEEPER, MODULE, WORKING, WRITERS, case, decided, planned

HERE = f"eu-west-1:{ACCOUNT}"
CHANNEL = f"arn:aws:cloudtrail:{HERE}:channel/01234567-89ab"
GROUP = f"arn:aws:logs:{HERE}:log-group:/tfaudit/changes"
BUS = f"arn:aws:events:{HERE}:event-bus/audit"
TOPIC = f"arn:aws:sns:{HERE}:changes"
ROLE = "arn:aws:iam::210987654321:role/tfaudit-copies"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:splunk-Ab12Cd"
KEY = f"arn:aws:kms:{HERE}:key/of-the-topic"
EVERYWHERE = {
    "cloudtrail_lake": [CHANNEL],
    "cloudwatch_logs": [f"{GROUP}:*"],
    "eventbridge": [BUS],
    "sns": [TOPIC],
    "s3": ["copies/tfaudit"],
    "roles": [ROLE],
    "secrets": [f"{SECRET[:-6]}*"],
    "keys": [KEY],
}
VIA = {"kms:ViaService": "sns.eu-west-1.amazonaws.com"}
STREAM = f"{GROUP}:log-stream:tfaudit"
ALLOWED = [
    ("cloudtrail-data:PutAuditEvents", CHANNEL, {}),
    ("logs:PutLogEvents", STREAM, {}),
    ("logs:CreateLogStream", STREAM, {}),
    ("logs:CreateLogStream", GROUP, {}),
    ("events:PutEvents", BUS, {}),
    ("events:DescribeEventBus", BUS, {}),
    ("sns:Publish", TOPIC, {}),
    ("sns:GetTopicAttributes", TOPIC, {}),
    ("s3:PutObject", "arn:aws:s3:::copies/tfaudit/2026/11/25/x.jsonl", {}),
    ("s3:GetObject", "arn:aws:s3:::copies/tfaudit/2026/11/25/x.jsonl", {}),
    ("sts:AssumeRole", ROLE, {}),
    ("secretsmanager:GetSecretValue", SECRET, {}),
    ("kms:GenerateDataKey", KEY, VIA),
    ("kms:Decrypt", KEY, VIA),
]
REFUSED = [
    ("cloudtrail-data:PutAuditEvents", f"{CHANNEL}-2", {}),
    ("cloudtrail:DeleteChannel", CHANNEL, {}),
    ("logs:PutLogEvents", f"{GROUP}-2:log-stream:tfaudit", {}),
    ("logs:CreateLogGroup", GROUP, {}),
    ("logs:DeleteLogStream", STREAM, {}),
    ("logs:DeleteLogGroup", GROUP, {}),
    ("logs:PutRetentionPolicy", GROUP, {}),
    ("logs:GetLogEvents", STREAM, {}),
    ("events:PutEvents", f"{BUS}-2", {}),
    ("events:PutRule", BUS, {}),
    ("sns:Publish", f"{TOPIC}-2", {}),
    ("sns:Subscribe", TOPIC, {}),
    ("s3:PutObject", "arn:aws:s3:::copies/other/x", {}),
    ("s3:DeleteObject", "arn:aws:s3:::copies/tfaudit/2026/11/25/x.jsonl", {}),
    ("sts:AssumeRole", f"{ROLE}-2", {}),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:other-Ab12Cd", {}),
    ("secretsmanager:PutSecretValue", SECRET, {}),
    ("kms:Decrypt", KEY, {}),
    ("kms:Decrypt", KEY, {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}),
]


def may(made, who, action, resource, context):
    """Whether the role's own policy allows it: sinks have policies of their own, which are not this module's."""
    by_arn = {arn: made["role_policies"][role] for role, arn in made["role_arns"].items()}
    return iampolicy.decide([json.loads(by_arn[who])], iampolicy.Request(who, action, resource, context)) == "allow"


@pytest.mark.parametrize(("action", "resource", "context"), ALLOWED)
def test_a_writer_may_deliver(render, action, resource, context):
    """Where sinks are named, each writer may deliver to them; nobody else, and nobody where none is named."""
    made = render(delivery=EVERYWHERE)
    assert may(made, GITHUB, action, resource, context)
    assert may(made, KEEPER, action, resource, context)
    assert not may(made, AUDITOR, action, resource, context)
    assert not may(made, APPROVER, action, resource, context)
    assert not may(render(), GITHUB, action, resource, context)


@pytest.mark.parametrize(("action", "resource", "context"), REFUSED)
def test_a_writer_may_do_nothing_else_there(render, action, resource, context):
    """No other sink, nothing that reads back, changes or removes."""
    assert not may(render(delivery=EVERYWHERE), GITHUB, action, resource, context)


def test_a_sink_that_is_not_named_needs_no_statement(render):
    """One sink gives one statement; the policies stay well-formed and as short as a role takes them."""
    plain, one, all_of_them = (
        json.loads(made["role_policies"]["writer/ci-github"])
        for made in (render(), render(delivery={"sns": [TOPIC]}), render(delivery=EVERYWHERE))
    )
    assert [each for each in one["Statement"] if each not in plain["Statement"]] == [
        {
            "Sid": "DeliverToSns",
            "Effect": "Allow",
            "Action": ["sns:GetTopicAttributes", "sns:Publish"],
            "Resource": [TOPIC],
        }
    ]
    iampolicy.check(all_of_them)
    assert len(json.dumps(all_of_them)) < 10_240


@pytest.mark.parametrize("key", ["delivery/splunk/cursor.json", "delivery/splunk/dead/x.json", "alerts/rate/x"])
def test_where_delivery_stands_is_the_writers_to_write(render, key):
    """Cursors, receipts and dead letters lie in the working bucket; approvers and auditors don't write them."""
    place = f"{WORKING}/ledger/{key}"
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert decided(render(), case(GITHUB, action, place, allowed=True))
    for who in (APPROVER, AUDITOR):
        assert not decided(render(), case(who, "s3:PutObject", place, allowed=False))


@pytest.fixture(scope="session")
def variables(engine, tmp_path_factory):
    """A function from the whole module's variables to nothing, or to why they are refused."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("variables")
    output = 'output "name" {\n  value = var.name\n}\n'
    (source / "variables.tf").write_text((MODULE / "variables.tf").read_text() + output)
    checked = planned(engine, source, folder)
    return lambda code, delivery: checked(json.dumps({"name": "acme", "writers": WRITERS, "delivery": delivery}), code)


def test_sinks_by_their_arns_are_taken(variables):
    """Every kind that the policies know can be given to the module, also in GovCloud and China."""
    variables(0, EVERYWHERE)
    variables(0, {"sns": [f"{TOPIC}.fifo".replace("arn:aws:", "arn:aws-us-gov:")], "s3": ["copies"]})
    variables(0, {"cloudwatch_logs": [GROUP.replace("arn:aws:", "arn:aws-cn:")]})


@pytest.mark.parametrize(
    "delivery",
    [
        {"cloudtrail_lake": ["*"]},
        {"cloudtrail_lake": [CHANNEL.replace("/0123", "/*")]},
        {"cloudwatch_logs": [f"arn:aws:logs:{HERE}:log-group:*"]},
        {"cloudwatch_logs": [f"arn:aws:logs:{HERE}:log-group:/tfaudit/*"]},
        {"eventbridge": ["audit"]},
        {"sns": [BUS]},
        {"roles": ["arn:aws:iam::*:role/x"]},
        {"secrets": [f"arn:aws:secretsmanager:{HERE}:secret:*"]},
        {"keys": [f"arn:aws:kms:{HERE}:alias/x"]},
        {"s3": ["arn:aws:s3:::copies"]},
        {"s3": ["copies/*"]},
    ],
    ids=str,
)
def test_a_sink_that_is_everything_is_refused(variables, delivery):
    """A wildcard, or an ARN of another kind, would let writers do more than deliver."""
    told = variables(1, delivery)
    assert "without wildcards" in told or "bucket/prefix" in told
