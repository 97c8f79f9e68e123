"""Which changes let more people, or more of the network, in than before?

Pure: it compares the two sides of each change as a rule sees them (:mod:`tfaudit.plan.policyview`) and says so in fixed
words. A change that only takes away never counts. A new resource counts where it is open to anybody, or nearly so.
What is known only after the apply counts as what *may* widen access.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tfaudit.alerts import networks, statements

View = Mapping[str, Any]

MENTIONED: Final = re.compile(
    rb'"type"\s*:\s*"(?:'
    rb"aws_(?:iam|s3|kms|sqs|sns|secretsmanager|ecr|lambda|vpc|efs|backup|glacier|elasticsearch|opensearch|cloudwatch"
    rb"|ssoadmin|organizations|db|rds|redshift|iot|ses|dynamodb|kinesis|api_gateway|default_security|security"
    rb"|[a-z0-9_]*polic)[a-z0-9_]*"
    rb"|google_[a-z0-9_]*(?:_iam_|firewall)[a-z0-9_]*"
    rb'|azurerm_(?:network_security|role)[a-z0-9_]*)"'
)
"""What the JSON of a change holds that may be one of these: all others need not be decoded."""

_POLICIES: Final = (
    "policy",
    "policy_document",
    "access_policies",
    "access_policy",
    "inline_policy",
    "policy_text",
    "resource_policy",
)
_TRUST: Final = "assume_role_policy"
_POLICY_PLACES: Final = frozenset(f"/{name}" for name in (*_POLICIES, _TRUST))
_SOURCE_PLACE: Final = re.compile(r"(?:/ingress/\d+)?/(?:ipv6_)?cidr_(?:blocks|ipv4|ipv6)(?:/\d+)?")
_BLOCKS: Final = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
_AWS_GROUPS: Final = ("aws_security_group", "aws_default_security_group")
_AWS_RULES: Final = ("aws_security_group_rule", "aws_vpc_security_group_ingress_rule")
_PUBLIC_ACLS: Final = ("authenticated-read", "public-read", "public-read-write")
"""From the narrowest: every AWS account, everybody, everybody to write as well."""
_PUBLIC_GROUPS: Final = ("/AllUsers", "/AuthenticatedUsers")
_PUBLIC_MEMBERS: Final = ("allUsers", "allAuthenticatedUsers")
_GREAT_ROLES: Final = frozenset({"roles/owner", "roles/editor", "Owner", "Contributor", "User Access Administrator"})
_GREAT_POLICIES: Final = re.compile(
    r"arn:[a-z-]+:iam::aws:policy/(?:AdministratorAccess|IAMFullAccess|PowerUserAccess|job-function/SystemAdministrator)"
)
MEMBERS: Final = frozenset(
    {
        *_POLICIES,
        _TRUST,
        *_BLOCKS,
        *("ingress", "type", "protocol", "ip_protocol", "from_port", "to_port", "cidr_blocks", "ipv6_cidr_blocks"),
        *("cidr_ipv4", "cidr_ipv6", "self", "security_groups", "source_security_group_id", "prefix_list_ids"),
        *("referenced_security_group_id", "prefix_list_id"),
        *("bucket", "id", "acl", "grant", "access_control_policy", "publicly_accessible", "policy_arn"),
        *("managed_policy_arns", "policy_arns", "principal", "authorization_type"),
        *("role", "member", "members", "direction", "disabled", "allow", "source_ranges"),
        *("access", "source_address_prefix", "source_address_prefixes", "destination_port_range"),
        *("destination_port_ranges", "security_rule", "role_definition_name"),
    }
)
"""The attributes that are compared."""

BLOCK_GONE: Final = "a block of public access is taken off"
PUBLIC_ACL: Final = "an ACL lets the public in"
PUBLIC_ADDRESS: Final = "it gets a public address"
GREAT_POLICY: Final = "a managed policy that allows nearly everything is attached"
GREAT_ROLE: Final = "a role that allows nearly everything is given"
PUBLIC_MEMBER: Final = "everybody is given a role"
NO_AUTH: Final = "it may be called without authentication"
UNKNOWN_POLICY: Final = "its policy is known only after the apply"
UNKNOWN_SOURCE: Final = "who it lets in is known only after the apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """One resource that will let more in."""

    address: str
    why: tuple[str, ...]
    """In fixed words."""
    certain: bool
    """False where it can't be told before the apply."""


def find(views: Iterable[View]) -> tuple[Widening, ...]:
    """Return the changes that widen access, in their order.

    Each view has ``address``, ``type``, ``mode``, ``action``, ``unknown``, and ``before`` and ``after`` with what
    :data:`MEMBERS` names.
    """
    changes = [view for view in views if view["mode"] == "managed"]
    gone = {_text(_side(view, "before"), name) for view in changes if _is_gone(view) for name in ("bucket", "id")}
    found = []
    for view in changes:
        why = tuple(dict.fromkeys(_certain(view, gone - {""})))
        unknown = () if why or _is_gone(view) else tuple(dict.fromkeys(_unknown(view)))
        if why or unknown:
            found.append(Widening(address=view["address"], why=why or unknown, certain=bool(why)))
    return tuple(found)


def _is_gone(view: View) -> bool:
    return view["action"] in ("delete", "forget") and not view["type"].endswith("public_access_block")


def _certain(view: View, gone: set[str]) -> Iterator[str]:
    before, after = _side(view, "before"), _side(view, "after")
    kind, is_new = view["type"], view["before"] is None
    if view["action"] == "delete":
        # What guards something that goes as well guards nothing any more.
        if kind.endswith("public_access_block") and _text(before, "bucket") not in gone and _is_on(before):
            yield BLOCK_GONE
        return
    if view["action"] not in ("create", "update", "replace"):
        return
    for look in _LOOKS:
        yield from look(kind, before, after, is_new)
    yield from _policies(view, before, after, is_new=is_new)


def _policies(view: View, before: View, after: View, *, is_new: bool) -> Iterator[str]:
    if not view["type"].startswith("aws_"):
        return
    for name in (*_POLICIES, _TRUST):
        later = after.get(name)
        if f"/{name}" in view["unknown"]:
            continue
        for earlier, policy in _pairs(before.get(name), later):
            yield from statements.widened(
                statements.parse(earlier),
                statements.parse(policy),
                is_new=is_new or not earlier,
                is_trust=name == _TRUST,
            )


def _pairs(before: object, after: object) -> Iterator[tuple[object, object]]:
    """Yield policies to compare: texts as they are, ``inline_policy`` blocks by their names."""
    if isinstance(after, str) or isinstance(before, str):
        yield before, after
    elif isinstance(after, list):
        earlier = {_text(block, "name"): block.get("policy") for block in _objects(before)}
        for block in _objects(after):
            yield earlier.get(_text(block, "name")), block.get("policy")


def _unknown(view: View) -> Iterator[str]:
    """Yield what can't be told yet of what may well be wide."""
    if view["action"] not in ("create", "update", "replace"):
        return
    kind, places = view["type"], view["unknown"]
    # A new resource of most kinds gets a policy from AWS where none is configured.
    is_given = kind.startswith("aws_") and not (view["before"] is None and _computes_policy(kind))
    if is_given and not _POLICY_PLACES.isdisjoint(places):
        yield UNKNOWN_POLICY
    is_ingress = kind in (*_AWS_GROUPS, *_AWS_RULES) and _text(_side(view, "after"), "type") != "egress"
    if is_ingress and any(_SOURCE_PLACE.fullmatch(place) for place in places):
        yield UNKNOWN_SOURCE


def _computes_policy(kind: str) -> bool:
    """Return whether such a resource has a policy of AWS's where none is configured: then it is unknown, too."""
    return not (kind.endswith("_policy") or kind in ("aws_iam_role", "aws_iam_policy", "aws_organizations_policy"))


# --- one look each ---------------------------------------------------------------------------------------------------


def _ingress(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    grants = _INGRESS.get(kind)
    if grants is not None:
        yield from networks.widened([*grants(before)], grants(after), is_new=is_new)


def _group(side: View) -> Iterator[networks.Grant]:
    for rule in _objects(side.get("ingress")):
        yield from networks.aws(rule)


def _rule(side: View) -> Iterator[networks.Grant]:
    if side.get("type", "ingress") == "ingress":
        yield from networks.aws(side)


def _azure_group(side: View) -> Iterator[networks.Grant]:
    for rule in _objects(side.get("security_rule")):
        yield from networks.azure(rule)


def _blocks(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    # A bucket without one has all four from AWS, since April 2023.
    if kind.endswith("public_access_block") and any(
        after.get(name) is False and (is_new or before.get(name) is True) for name in _BLOCKS
    ):
        yield BLOCK_GONE


def _acls(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    if not kind.startswith("aws_s3_"):
        return
    if _openness(after) > _openness(before) or _public_grants(after) - _public_grants(before):
        yield PUBLIC_ACL


def _openness(side: View) -> int:
    """Return how far an S3 ACL is open to the public, 0 where it isn't."""
    acl = side.get("acl")
    return _PUBLIC_ACLS.index(acl) + 1 if acl in _PUBLIC_ACLS else 0


def _public_grants(side: View) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for grant in _objects(side.get("grant")):
        if _text(grant, "uri").endswith(_PUBLIC_GROUPS):
            found |= {(_text(grant, "uri"), one) for one in _list(grant.get("permissions")) if isinstance(one, str)}
    for policy in _objects(side.get("access_control_policy")):
        for grant in _objects(policy.get("grant")):
            for grantee in _objects(grant.get("grantee")):
                if _text(grantee, "uri").endswith(_PUBLIC_GROUPS):
                    found.add((_text(grantee, "uri"), _text(grant, "permission")))
    return found


def _address(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    if after.get("publicly_accessible") is True and before.get("publicly_accessible") is not True:
        yield PUBLIC_ADDRESS


def _attached(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    def great(side: View) -> set[str]:
        named = [side.get("policy_arn"), *_list(side.get("managed_policy_arns")), *_list(side.get("policy_arns"))]
        return {one for one in named if isinstance(one, str) and _GREAT_POLICIES.fullmatch(one)}

    if kind.startswith("aws_") and great(after) - great(before):
        yield GREAT_POLICY


def _open_calls(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    if kind == "aws_lambda_permission" and after.get("principal") == "*" != before.get("principal"):
        yield statements.ANYBODY
    if kind == "aws_lambda_function_url" and after.get("authorization_type") == "NONE" != before.get(
        "authorization_type"
    ):
        yield NO_AUTH


def _members(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    if not kind.startswith("google_"):
        return

    def held(side: View) -> set[tuple[str, str]]:
        named = [side.get("member"), *_list(side.get("members"))]
        return {(_text(side, "role"), one) for one in named if isinstance(one, str)}

    new = held(after) - held(before)
    if any(member in _PUBLIC_MEMBERS for _, member in new):
        yield PUBLIC_MEMBER
    if any(role in _GREAT_ROLES for role, _ in new):
        yield GREAT_ROLE


def _assigned(kind: str, before: View, after: View, is_new: bool) -> Iterator[str]:
    role = _text(after, "role_definition_name")
    if kind == "azurerm_role_assignment" and role in _GREAT_ROLES and before.get("role_definition_name") != role:
        yield GREAT_ROLE


_Look = Callable[[str, View, View, bool], Iterator[str]]
_LOOKS: Final[Sequence[_Look]] = (
    _ingress,
    _blocks,
    _acls,
    _address,
    _attached,
    _open_calls,
    _members,
    _assigned,
)
_INGRESS: Final[Mapping[str, Callable[[View], Iterator[networks.Grant]]]] = {
    **dict.fromkeys(_AWS_GROUPS, _group),
    **dict.fromkeys(_AWS_RULES, _rule),
    "google_compute_firewall": networks.google,
    "azurerm_network_security_rule": networks.azure,
    "azurerm_network_security_group": _azure_group,
}


def _side(view: View, side: str) -> View:
    value = view[side]
    return value if isinstance(value, dict) else {}


def _is_on(block: View) -> bool:
    return any(block.get(name) is True for name in _BLOCKS)


def _text(value: View, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: object) -> list[View]:
    return [one for one in _list(value) if isinstance(one, dict)]
