"""What counts as widening: a table of cases, and that a change which only narrows never does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.alerts import networks, statements, widening

WORLD = ["0.0.0.0/0"]
OFFICE = ["203.0.113.0/24"]


def _view(kind: str, before: Any, after: Any, *, unknown: tuple[str, ...] = (), address: str | None = None) -> Any:
    action = "create" if before is None else "delete" if after is None else "update"
    return {
        "address": address or f"{kind}.x",
        "type": kind,
        "mode": "managed",
        "action": action,
        "before": before,
        "after": after,
        "unknown": list(unknown),
    }


def _found(*views: Any) -> list[tuple[str, ...]]:
    return [each.why for each in widening.find(views)]


def _rule(cidrs: list[str], low: int = 443, high: int = 443, protocol: str = "tcp") -> dict[str, Any]:
    return {"cidr_blocks": cidrs, "from_port": low, "to_port": high, "protocol": protocol, "self": False}


def _policy(*said: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(said)})


def _allow(actions: Any, resources: Any = "arn:aws:s3:::b/*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _trust(principal: Any, **more: Any) -> str:
    return _policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **more})


READ = _allow("s3:GetObject")
DENY = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
LAMBDA = {"Service": "lambda.amazonaws.com"}
CLOSED = dict.fromkeys(
    ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"), True
)

SG = "aws_security_group"
IAM = "aws_iam_role_policy"
ROLE = "aws_iam_role"
WIDER = [
    (SG, None, {"ingress": [_rule(WORLD)]}, networks.ANYWHERE),
    (SG, {"ingress": []}, {"ingress": [_rule(WORLD)]}, networks.ANYWHERE),
    (SG, {"ingress": [_rule(OFFICE)]}, {"ingress": [_rule([*OFFICE, *WORLD])]}, networks.ANYWHERE),
    (SG, {"ingress": [_rule(WORLD)]}, {"ingress": [_rule(WORLD, 0, 65535)]}, networks.ANYWHERE),
    (SG, {"ingress": [_rule(OFFICE)]}, {"ingress": [_rule(OFFICE, 1, 1024)]}, networks.MORE_PORTS),
    (SG, {"ingress": [_rule(OFFICE)]}, {"ingress": [_rule(OFFICE, 0, 0, "-1")]}, networks.MORE_PORTS),
    (SG, {"ingress": [_rule(OFFICE)]}, {"ingress": [_rule(["203.0.112.0/20"])]}, networks.WIDER_SOURCE),
    (SG, {"ingress": []}, {"ingress": [_rule(["0.0.0.0/1", "128.0.0.0/1"])]}, networks.ANYWHERE),
    (SG, None, {"ingress": [{**_rule([]), "ipv6_cidr_blocks": ["::/0"]}]}, networks.ANYWHERE),
    ("aws_security_group_rule", None, {**_rule(WORLD), "type": "ingress"}, networks.ANYWHERE),
    (
        "aws_vpc_security_group_ingress_rule",
        {"cidr_ipv4": "10.0.0.0/8", "ip_protocol": "tcp", "from_port": 22, "to_port": 22},
        {"cidr_ipv4": "0.0.0.0/0", "ip_protocol": "tcp", "from_port": 22, "to_port": 22},
        networks.ANYWHERE,
    ),
    (
        "google_compute_firewall",
        None,
        {"direction": "INGRESS", "source_ranges": WORLD, "allow": [{"protocol": "tcp", "ports": ["22"]}]},
        networks.ANYWHERE,
    ),
    (
        "azurerm_network_security_rule",
        None,
        {
            "access": "Allow",
            "direction": "Inbound",
            "protocol": "Tcp",
            "source_address_prefix": "*",
            "destination_port_range": "22",
        },
        networks.ANYWHERE,
    ),
    (IAM, None, {"policy": _policy(_allow("*", "*"))}, statements.WILDCARD_ACTIONS),
    (IAM, None, {"policy": _policy(_allow("s3:*"))}, statements.WILDCARD_ACTIONS),
    (IAM, None, {"policy": _policy(_allow("s3:PutObject", "*"))}, statements.ALL_RESOURCES),
    (IAM, None, {"policy": _policy(_allow("s3:PutObject", "arn:aws:s3:::*"))}, statements.ALL_RESOURCES),
    (IAM, {"policy": _policy(READ)}, {"policy": _policy(READ, _allow("iam:*", "*"))}, statements.WILDCARD_ACTIONS),
    (IAM, {"policy": _policy(READ)}, {"policy": _policy(_allow("s3:GetObject", "*"))}, statements.ALL_RESOURCES),
    (IAM, {"policy": _policy(READ, DENY)}, {"policy": _policy(READ)}, statements.DENY_GONE),
    (
        IAM,
        {"policy": _policy(_allow("s3:GetObject", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))},
        {"policy": _policy(READ)},
        statements.CONDITION_GONE,
    ),
    (
        IAM,
        None,
        {"policy": _policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})},
        statements.WILDCARD_ACTIONS,
    ),
    ("aws_s3_bucket_policy", None, {"policy": _policy(_allow("s3:GetObject", Principal="*"))}, statements.ANYBODY),
    (
        "aws_kms_key",
        {"policy": _policy(_allow("kms:Decrypt", "*", Principal={"AWS": "111122223333"}))},
        {"policy": _policy(_allow("kms:Decrypt", "*", Principal={"AWS": ["111122223333", "*"]}))},
        statements.ANYBODY,
    ),
    (IAM, {"policy": _policy(READ)}, {"policy": "no JSON"}, statements.UNREADABLE),
    (ROLE, None, {"assume_role_policy": _trust("*")}, statements.ANYBODY),
    (
        ROLE,
        {"assume_role_policy": _trust(LAMBDA)},
        {"assume_role_policy": _trust({**LAMBDA, "AWS": "111122223333"})},
        statements.MORE_TRUST,
    ),
    (
        ROLE,
        None,
        {"assume_role_policy": _trust({"Federated": "arn:aws:iam::1:oidc-provider/token.example.com"})},
        statements.UNCONDITIONAL,
    ),
    (
        ROLE,
        {"inline_policy": [{"name": "a", "policy": _policy(READ)}]},
        {"inline_policy": [{"name": "a", "policy": _policy(READ)}, {"name": "b", "policy": _policy(_allow("*", "*"))}]},
        statements.WILDCARD_ACTIONS,
    ),
    (
        "aws_iam_role_policy_attachment",
        None,
        {"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        widening.GREAT_POLICY,
    ),
    (
        "aws_s3_bucket_public_access_block",
        CLOSED,
        {**CLOSED, "block_public_policy": False},
        widening.BLOCK_GONE,
    ),
    ("aws_s3_bucket_public_access_block", {**CLOSED, "bucket": "b"}, None, widening.BLOCK_GONE),
    ("aws_s3_bucket_acl", {"acl": "private"}, {"acl": "public-read"}, widening.PUBLIC_ACL),
    ("aws_db_instance", {"publicly_accessible": False}, {"publicly_accessible": True}, widening.PUBLIC_ADDRESS),
    ("aws_lambda_function_url", None, {"authorization_type": "NONE"}, widening.NO_AUTH),
    ("aws_lambda_permission", None, {"principal": "*"}, statements.ANYBODY),
    (
        "google_project_iam_member",
        None,
        {"role": "roles/viewer", "member": "allUsers"},
        widening.PUBLIC_MEMBER,
    ),
    (
        "google_project_iam_binding",
        {"role": "roles/owner", "members": ["a"]},
        {"role": "roles/owner", "members": ["a", "b"]},
        widening.GREAT_ROLE,
    ),
    ("azurerm_role_assignment", None, {"role_definition_name": "Owner"}, widening.GREAT_ROLE),
]

SAME_OR_LESS = [
    (SG, None, {"ingress": [_rule(OFFICE)]}),
    (SG, {"ingress": [_rule(OFFICE)]}, {"ingress": [_rule([*OFFICE, "198.51.100.7/32"])]}),
    (SG, {"ingress": [_rule(WORLD)]}, {"ingress": [_rule(WORLD)]}),
    (SG, {"ingress": [_rule(WORLD)]}, {"ingress": []}),
    (SG, {"ingress": [_rule(WORLD, 0, 65535)]}, {"ingress": [_rule(WORLD)]}),
    (SG, {"ingress": [_rule(WORLD, 1, 50), _rule(WORLD, 51, 99)]}, {"ingress": [_rule(WORLD, 1, 99)]}),
    (SG, {"ingress": [_rule(WORLD)]}, None),
    ("aws_security_group_rule", None, {**_rule(WORLD), "type": "egress"}),
    (IAM, None, {"policy": _policy(READ)}),
    (IAM, None, {"policy": _policy(_allow(["ec2:DescribeInstances", "s3:ListBucket"], "*"))}),
    (IAM, {"policy": _policy(_allow("*", "*"))}, {"policy": _policy(_allow("s3:*", "*"))}),
    (IAM, {"policy": _policy(_allow("s3:*", "*"))}, {"policy": _policy(_allow(["s3:Get*", "s3:Put*"], "*"))}),
    (IAM, {"policy": _policy(_allow("*", "*"))}, {"policy": _policy(_allow("*", "*"), DENY)}),
    (IAM, {"policy": _policy(READ)}, {"policy": ""}),
    (
        IAM,
        {"policy": _policy(_allow("s3:*", "*", Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1", "o-2"]}}))},
        {"policy": _policy(_allow("s3:*", "*", Condition={"StringEquals": {"aws:PrincipalOrgID": ["o-1"]}}))},
    ),
    (
        IAM,
        {"policy": _policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})},
        {"policy": _policy({"Effect": "Allow", "NotAction": ["iam:*", "kms:*"], "Resource": "*"})},
    ),
    (ROLE, None, {"assume_role_policy": _trust(LAMBDA)}),
    (ROLE, {"assume_role_policy": _trust({**LAMBDA, "AWS": "1"})}, {"assume_role_policy": _trust(LAMBDA)}),
    (
        ROLE,
        {"assume_role_policy": _trust({"AWS": "111122223333"})},
        {"assume_role_policy": _trust({"AWS": "arn:aws:iam::111122223333:root"})},
    ),
    ("aws_kms_key", None, {"policy": _policy(_allow("kms:Decrypt", "*", Principal={"AWS": "111122223333"}))}),
    ("aws_s3_bucket_public_access_block", {**CLOSED, "block_public_policy": False}, CLOSED),
    ("aws_s3_bucket_acl", {"acl": "public-read-write"}, {"acl": "public-read"}),
    ("aws_iam_role_policy_attachment", None, {"policy_arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
    ("azurerm_role_assignment", None, {"role_definition_name": "Reader"}),
    ("aws_s3_bucket", None, {"policy": None, "acl": "private"}),
    ("terraform_data", None, {"policy": _policy(_allow("*", "*"))}),
]


@pytest.mark.parametrize(("kind", "before", "after", "why"), WIDER)
def test_what_lets_more_in_is_told_and_why(kind: str, before: Any, after: Any, why: str) -> None:
    """Each case of the table is widening, for the reason it gives."""
    [found] = widening.find([_view(kind, before, after)])
    assert found.certain
    assert why in found.why


@pytest.mark.parametrize(("kind", "before", "after"), SAME_OR_LESS)
def test_what_lets_in_the_same_or_less_is_not(kind: str, before: Any, after: Any) -> None:
    """Nor is what is new and narrow."""
    assert _found(_view(kind, before, after)) == []


@pytest.mark.parametrize(("kind", "before", "after", "why"), WIDER)
def test_the_other_way_round_it_only_narrows(kind: str, before: Any, after: Any, why: str) -> None:
    """Undoing a case of the table takes away what it gave, unless one couldn't be compared at all."""
    if before is None or after is None or why in (statements.UNREADABLE,):
        return
    assert why not in [reason for found in _found(_view(kind, after, before)) for reason in found]


def test_a_block_that_goes_with_its_bucket_guards_nothing_any_more() -> None:
    """Destroying everything takes no block off."""
    views = [
        _view("aws_s3_bucket_public_access_block", {**CLOSED, "bucket": "b"}, None),
        _view("aws_s3_bucket", {"bucket": "b", "id": "b"}, None),
    ]
    assert _found(*views) == []


@pytest.mark.parametrize(
    ("kind", "before", "unknown", "why"),
    [
        (IAM, None, "/policy", widening.UNKNOWN_POLICY),
        (IAM, {"policy": _policy(READ)}, "/policy", widening.UNKNOWN_POLICY),
        ("aws_kms_key", {"policy": _policy(READ)}, "/policy", widening.UNKNOWN_POLICY),
        (ROLE, None, "/assume_role_policy", widening.UNKNOWN_POLICY),
        (SG, None, "/ingress/0/cidr_blocks/0", widening.UNKNOWN_SOURCE),
    ],
)
def test_what_is_known_only_after_the_apply_may_widen(kind: str, before: Any, unknown: str, why: str) -> None:
    """It is told as what it is: nobody can hide a policy by having it depend on something."""
    [found] = widening.find([_view(kind, before, {}, unknown=(unknown,))])
    assert not found.certain
    assert found.why == (why,)


def test_a_policy_that_is_too_large_is_told_and_not_compared() -> None:
    """Whoever writes one must not keep the machine busy with it; while it stays the same, nothing is told."""

    def many(first: int) -> statements.Policy | None:
        names = [f"arn:aws:s3:::b{number}" for number in range(first, first + 3_000)]
        return statements.parse({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": names}]})

    assert statements.widened(many(0), many(5_000), is_new=False) == (statements.TOO_LARGE,)
    assert statements.widened(many(0), many(0), is_new=False) == ()
    assert statements.widened((), many(0), is_new=True) == ()


@pytest.mark.parametrize(("kind", "unknown"), [("aws_s3_bucket", "/policy"), (SG, "/ingress"), (SG, "/id")])
def test_what_every_new_resource_learns_from_its_provider_is_no_news(kind: str, unknown: str) -> None:
    """A new bucket's policy is unknown because none is configured."""
    assert _found(_view(kind, None, {}, unknown=(unknown,))) == []


_words = st.sampled_from(["s3:GetObject", "s3:Put*", "s3:*", "iam:*", "*", "kms:Decrypt", "ec2:Describe*"])
_resources = st.sampled_from(["*", "arn:aws:s3:::a/*", "arn:aws:s3:::a/b", "arn:aws:iam::1:role/x"])
_principals = st.none() | st.lists(st.sampled_from(["*", "1", "2", "arn:aws:iam::1:root"]), min_size=1, unique=True)
_values = st.lists(st.sampled_from(["o-1", "o-2", "o-3"]), min_size=1, unique=True)


@st.composite
def _statements(draw: st.DrawFn) -> dict[str, Any]:
    said: dict[str, Any] = {
        "Effect": "Allow",
        draw(st.sampled_from(["Action", "NotAction"])): draw(st.lists(_words, min_size=1, unique=True)),
        draw(st.sampled_from(["Resource", "NotResource"])): draw(st.lists(_resources, min_size=1, unique=True)),
    }
    principals = draw(_principals)
    if principals is not None:
        said[draw(st.sampled_from(["Principal", "NotPrincipal"]))] = {"AWS": principals}
    if draw(st.booleans()):
        operator = draw(st.sampled_from(["StringEquals", "StringNotEquals"]))
        said["Condition"] = {operator: {"aws:PrincipalOrgID": draw(_values)}}
    return said


@st.composite
def _narrowed(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a policy's statements, and what is left of them after something was taken away."""
    before = draw(st.lists(_statements(), min_size=1, max_size=4))
    after = [_less(draw, said) for said in before if draw(st.booleans())]
    return before, [*after, *draw(st.lists(st.just(DENY), max_size=1))]


def _less(draw: st.DrawFn, said: dict[str, Any]) -> dict[str, Any]:
    less = dict(said)
    for key in ("Action", "Resource"):
        if key in less and len(less[key]) > 1:
            less[key] = less[key][: draw(st.integers(1, len(less[key])))]
    if "NotAction" in less:
        less["NotAction"] = sorted({*less["NotAction"], draw(_words)})
    if "Principal" in less:
        named = less["Principal"]["AWS"]
        less["Principal"] = {"AWS": named[: draw(st.integers(1, len(named)))]}
    if "Condition" not in less and draw(st.booleans()):
        less["Condition"] = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    elif "StringEquals" in less.get("Condition", {}):
        values = less["Condition"]["StringEquals"]["aws:PrincipalOrgID"]
        less["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": values[: draw(st.integers(1, len(values)))]}}
    return less


@given(_narrowed())
def test_a_policy_from_which_something_is_taken_is_never_wider(
    sides: tuple[list[dict[str, Any]], list[dict[str, Any]]],
) -> None:
    """Whatever its statements, however they are spelled."""
    before, after = sides
    assert _found(_view(IAM, {"policy": _policy(*before)}, {"policy": _policy(*after)})) == []


@given(st.lists(_statements(), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_statements_and_words_makes_no_difference(said: list[dict[str, Any]], random: Any) -> None:
    """A policy that says the same in another order is the same."""
    other = [
        {key: sorted(value, reverse=True) if isinstance(value, list) else value for key, value in one.items()}
        for one in said
    ]
    random.shuffle(other)
    assert _found(_view(IAM, {"policy": _policy(*said)}, {"policy": _policy(*other)})) == []


_networks = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "203.0.113.0/24", "203.0.113.7/32", "::/0"])


@st.composite
def _grants(draw: st.DrawFn) -> networks.Grant:
    low = draw(st.integers(0, 65_535))
    high = draw(st.integers(low, 65_535))
    return networks.grant(draw(_networks), draw(st.sampled_from(["tcp", "udp", "-1"])), low, high)


@given(st.lists(_grants(), min_size=1, max_size=5), st.data())
def test_a_firewall_from_which_something_is_taken_is_never_wider(before: list[networks.Grant], data: Any) -> None:
    """Fewer rules, fewer ports, one network within another."""
    after = []
    for one in data.draw(st.lists(st.sampled_from(before), max_size=5)):
        low = data.draw(st.integers(one.low, one.high))
        high = data.draw(st.integers(low, one.high))
        inside = {"10.0.0.0/8": "10.1.0.0/16", "203.0.113.0/24": "203.0.113.7/32"}.get(one.source, one.source)
        source = data.draw(st.sampled_from([one.source, inside]))
        after.append(networks.Grant(source=source, protocol=one.protocol, low=low, high=high))
    assert networks.widened(before, after, is_new=False) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["*", "Allow", "0.0.0.0/0"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["Statement", "Action", "Principal", "Condition", "ingress", "cidr_blocks", "grant", "policy"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from([SG, IAM, ROLE, "aws_s3_bucket_acl", "google_compute_firewall", "azurerm_network_security_group"]),
)
def test_whatever_a_provider_writes_can_be_compared(value: Any, kind: str) -> None:
    """Odd shapes are passed over."""
    sides, texts = (dict.fromkeys(widening.MEMBERS, one) for one in (value, json.dumps(value)))
    for before, after in ((None, sides), (sides, texts), (texts, sides), (texts, None)):
        widening.find([_view(kind, before, after)])


def test_only_what_may_widen_is_looked_at() -> None:
    """The types of the table are recognised in a change's bytes, and a plain resource isn't."""
    for kind in {case[0] for case in WIDER}:
        assert widening.MENTIONED.search(json.dumps({"address": "x", "type": kind}).encode())
    assert not widening.MENTIONED.search(b'{"address":"terraform_data.x","type":"terraform_data"}')
    assert not widening.MENTIONED.search(b'{"type":"aws_instance"}')
