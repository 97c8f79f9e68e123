"""Tests of the rules that come with tfaudit: on changes as providers write them, and on every plan of the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plankit import change
from policykit import ACTOR, found, judged, only

from tfaudit.config.gating import PolicySettings
from tfaudit.errors import InputError
from tfaudit.plan.parse import read_plan
from tfaudit.policy import builtin, cel, celchild
from tfaudit.policy.celscan import EVERYTHING
from tfaudit.policy.ruleview import Seen

ROOT = Path(__file__).resolve().parents[3]
CORPUS = ROOT.parent / "shared" / "corpus"
PLANS = sorted((*CORPUS.glob("plan/*"), *CORPUS.glob("bad/*"), *ROOT.glob("fixtures/*/*.plan.json")))


def warned(*changes):
    """Return the rules that warn of these changes."""
    return [finding.rule for finding in found(only(judged(None, *changes)))]


def made(kind, **after):
    """Return the creation of a resource."""
    return change(f"{kind}.a", ("create",), None, after)


def gone(kind, *actions):
    """Return the deletion of a resource."""
    return change(f"{kind}.a", actions or ("delete",), {"id": "x"}, {"id": "y"} if len(actions) > 1 else None)


@pytest.mark.parametrize(
    "kind", ["aws_db_instance", "aws_s3_bucket", "google_sql_database_instance", "azurerm_key_vault"]
)
@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("create", "delete")])
def test_losing_data_is_warned_of(kind, actions):
    """A deletion and both spellings of a replacement lose what a resource holds."""
    assert warned(gone(kind, *actions)) == ["data-loss"]


@pytest.mark.parametrize(
    "harmless",
    [
        change("aws_db_instance.a", ("update",), {"x": 1}, {"x": 2}),
        change("aws_db_instance.a", ("forget",), {"x": 1}, None),
        gone("aws_instance"),
        change("aws_db_instance.a", ("delete",), {"x": 1}, None, entry={"mode": "data"}),
    ],
)
def test_other_changes_lose_nothing(harmless):
    """Updates, forgetting, other types and data sources are not warned of."""
    assert warned(harmless) == []


def opening(*cidrs, ports=(22, 22), **more):
    """Return an ingress block as the AWS provider writes it."""
    return {
        "cidr_blocks": list(cidrs),
        "ipv6_cidr_blocks": [],
        "from_port": ports[0],
        "to_port": ports[1],
        "protocol": "tcp",
        "security_groups": None,
        **more,
    }


@pytest.mark.parametrize(
    "public",
    [
        made("aws_security_group", ingress=[opening("10.0.0.0/8"), opening("0.0.0.0/0")]),
        made("aws_security_group", ingress=[opening(ipv6_cidr_blocks=["::/0"])]),
        made("aws_security_group", ingress=[opening("0.0.0.0/0", ports=(80, 443))]),
        made("aws_security_group_rule", type="ingress", cidr_blocks=["0.0.0.0/0"], from_port=0, to_port=65535),
        made("aws_vpc_security_group_ingress_rule", cidr_ipv4="0.0.0.0/0", ip_protocol="-1", from_port=None),
        made("aws_vpc_security_group_ingress_rule", cidr_ipv6="::/0", from_port=22, to_port=22),
        made("google_compute_firewall", source_ranges=["0.0.0.0/0"], allow=[{"protocol": "tcp", "ports": ["22"]}]),
        made("google_compute_firewall", source_ranges=["0.0.0.0/0"], allow=[{"protocol": "all", "ports": []}]),
        made("google_compute_firewall", direction="INGRESS", source_ranges=["::/0"], allow=[{"protocol": "icmp"}]),
        made(
            "azurerm_network_security_rule",
            access="Allow",
            direction="Inbound",
            source_address_prefix="*",
            destination_port_range="3389",
        ),
        made(
            "azurerm_network_security_group",
            security_rule=[
                {
                    "access": "Allow",
                    "direction": "Inbound",
                    "source_address_prefix": "Internet",
                    "destination_port_range": "22",
                }
            ],
        ),
    ],
)
def test_public_ingress_is_warned_of(public):
    """Whatever a cloud calls it: the whole internet may come in, on more than the ports of a web server."""
    assert warned(public) == ["public-ingress"]


@pytest.mark.parametrize(
    "private",
    [
        made("aws_security_group", ingress=[opening("10.0.0.0/8")]),
        made("aws_security_group", ingress=[opening("0.0.0.0/0", ports=(443, 443))]),
        made("aws_security_group", name="none at all"),
        change("aws_security_group.a", ("create",), None, {"name": "x"}, unknown={"ingress": True}),
        made("aws_security_group_rule", type="egress", cidr_blocks=["0.0.0.0/0"], from_port=0, to_port=0),
        made("aws_vpc_security_group_ingress_rule", cidr_ipv4="10.0.0.0/8", from_port=22, to_port=22),
        made("google_compute_firewall", source_ranges=["10.0.0.0/8"], allow=[{"protocol": "all"}]),
        made("google_compute_firewall", source_ranges=["0.0.0.0/0"], allow=[{"protocol": "tcp", "ports": ["443"]}]),
        made("google_compute_firewall", source_ranges=["0.0.0.0/0"], deny=[{"protocol": "all"}]),
        made(
            "azurerm_network_security_rule",
            access="Deny",
            direction="Inbound",
            source_address_prefix="*",
            destination_port_range="*",
        ),
        change("aws_security_group.a", ("delete",), {"ingress": [opening("0.0.0.0/0")]}, None),
    ],
)
def test_other_openings_are_not_warned_of(private):
    """Inner networks, web ports, outgoing traffic, what is denied or deleted, and what isn't known."""
    assert warned(private) == []


def policy(**statement):
    """Return an IAM policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.mark.parametrize(
    "wide",
    [
        made("aws_iam_policy", policy=policy(Action="*", Resource="*")),
        made("aws_iam_role_policy", policy=policy(Action=["s3:Get*", "iam:*"], Resource=["arn:x", "*"])),
        made(
            "aws_iam_user_policy", policy=json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
        ),
        made("aws_iam_role_policy_attachment", policy_arn="arn:aws:iam::aws:policy/AdministratorAccess"),
        made("google_project_iam_member", role="roles/owner", member="user:a@example.com"),
        made("azurerm_role_assignment", role_definition_name="Owner"),
    ],
)
def test_wide_grants_are_warned_of(wide):
    """Statements may be one or a list, actions and resources too."""
    assert warned(wide) == ["iam-wildcard"]


@pytest.mark.parametrize(
    "narrow",
    [
        made("aws_iam_policy", policy=policy(Action="s3:GetObject", Resource="*")),
        made("aws_iam_policy", policy=policy(Action="*", Resource="arn:aws:s3:::x/*")),
        made("aws_iam_policy", policy=policy(Effect="Deny", Action="*", Resource="*")),
        made("aws_iam_policy", policy=policy(NotAction="iam:*", Resource="*")),
        made("aws_iam_policy", policy="not json"),
        made("aws_iam_policy", policy='["a", 1]'),
        made("aws_iam_policy", policy='{"Statement": ["a", {"Action": 3}]}'),
        change("aws_iam_policy.a", ("create",), None, {"name": "x"}, unknown={"policy": True}),
        made("google_project_iam_member", role="roles/viewer"),
        made("azurerm_role_assignment", role_definition_name="Reader"),
    ],
)
def test_other_grants_are_not_warned_of(narrow):
    """Narrow, denied, unknown and broken policies."""
    assert warned(narrow) == []


def test_destroying_a_lot_is_warned_of():
    """From ten resources on, deleted or replaced."""
    few = [gone("aws_x", *(("delete", "create") if number % 2 else ())) for number in range(builtin.MANY - 1)]
    assert warned(*few) == []
    assert warned(*few, gone("aws_x")) == ["mass-destroy"]


def test_they_are_turned_off_by_the_configuration():
    """With defaults = false there is nothing to evaluate."""
    assert judged(PolicySettings(defaults=False), gone("aws_db_instance")) == ()


def test_an_error_in_one_of_them_is_but_a_warning():
    """They can warn and nothing more, so a plan that they can't judge is not denied for it."""
    odd = made("aws_security_group", ingress=7)
    (finding,) = found(only(judged(None, odd)))
    assert (finding.rule, finding.severity) == ("public-ingress", "warn")
    assert finding.message.startswith("could not be told: ")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name[:60])
def test_every_plan_of_the_corpus_can_be_judged(path):
    """No plan, old, foreign or odd, makes one of them fail."""
    try:
        seen = Seen(of=read_plan(path.read_bytes()), reveal=False, actor=ACTOR)
    except InputError:
        pytest.skip("it is no plan")
    # As the child does it, without a process for each of hundreds of plans.
    evaluator = celchild.Evaluator([cel.listed(rule) for rule in builtin.RULES])
    evaluator.begin({"plan": seen.plan, "actor": seen.actor})
    for part in seen.changes(EVERYTHING):
        for view in part.views:
            evaluator.change(celchild.without_null(view))
    evaluator.end({"changes": [], "outputs": seen.outputs})
    assert [one["error"] for one in evaluator.answer()["rules"]] == [None] * len(builtin.RULES)
