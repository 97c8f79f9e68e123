"""Which types of resources are about access, networks, keys, or hold what can't be made again; what is production?

What each list holds stands in docs/schemas.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from tfaudit.policy.builtin import STATEFUL

_IAM: Final = re.compile(
    r"""
    aws_(iam|identitystore|ssoadmin|organizations|rolesanywhere|ram|verifiedaccess)_.*
    | aws_cognito_(identity_pool.*|identity_provider|user_group|user_in_group)
    | aws_(lambda|apigatewayv2|cloudwatch_event|sns_topic|sqs_queue|s3_bucket|s3_access_point|ecr_repository
      |ecrpublic_repository|secretsmanager_secret|efs_file_system|backup_vault|glacier_vault|opensearch_domain|elasticsearch_domain
      |api_gateway_rest_api|media_store_container|cloudwatch_log_resource|dynamodb_resource|kinesis_resource
      |glue_resource|vpc_endpoint|networkfirewall_resource|schemas_registry|sesv2_email_identity|ses_identity)
      _(permission|policy)
    | aws_(s3_bucket|s3_account)_public_access_block | aws_s3_bucket_(acl|ownership_controls)
    | aws_lakeformation_(permissions|data_lake_settings|opt_in) | aws_eks_(access|pod_identity)_.*
    | aws_lambda_permission | aws_cloudwatch_event_permission | aws_quicksight_(user|group|iam_policy).*
    | awscc_(iam|sso|identitystore|organizations|rolesanywhere|ram)_.*
    | google_.*_(iam_(member|binding|policy|audit_config|custom_role|deny_policy).*|iam_member|iam_binding|iam_policy)
    | google_(iam|service_account|access_context_manager|identity_platform|cloud_identity|org_policy).*
    | google_organization_(policy|iam.*) | google_(project|folder)_organization_policy
    | google_storage_(bucket|object|default_object)_(acl|access_control)
    | azuread_.* | azurerm_(role|pim|federated_identity|user_assigned_identity|policy|management_lock).*
    | azurerm_.*_policy_(assignment|exemption)
    | kubernetes_(cluster_)?role(_binding)?(_v1)? | kubernetes_service_account(_v1)?
    | vault_(policy|identity|auth|approle|jwt_auth|kubernetes_auth|github|ldap|okta_auth|token).*
    | github_(team|membership|repository_collaborator|organization_role|branch_protection|repository_ruleset).*
    | gitlab_(user|group_membership|project_membership|branch_protection).*
    | okta_.* | auth0_.* | keycloak_.* | googleworkspace_.* | hcp_iam_.* | hcp_service_principal.* | tfe_team.*
    | oci_identity_.* | alicloud_(ram|resource_manager_policy).* | snowflake_(grant|role|user).*
    | databricks_(permissions|grant|group|user|service_principal).* | .*_rbac_.*
    """,
    re.VERBOSE,
)
_NETWORK: Final = re.compile(
    r"""
    aws_((default_)?security_group.*|vpc|vpc_.*|default_(vpc|subnet|route_table|network_acl|vpc_dhcp_options)|subnet
      |route|route_table.*|main_route_table_association|network_acl.*|network_interface.*|internet_gateway.*
      |egress_only_internet_gateway|nat_gateway.*|eip.*|vpn_.*|customer_gateway|dx_.*|ec2_transit_gateway.*
      |ec2_managed_prefix_list.*|ec2_client_vpn.*|networkfirewall_.*|networkmanager_.*|waf.*|shield_.*|fms_.*
      |lb|alb|elb|lb_listener.*|alb_listener.*|route53_.*|cloudfront_distribution)
    | awscc_ec2_(security_group|vpc|subnet|route|network_acl|internet_gateway|nat_gateway|transit_gateway).*
    | google_compute_(network|subnetwork|firewall|route|router|vpn|ha_vpn|security_policy|interconnect|external_vpn
      |(global_)?forwarding_rule|(global_)?address|service_attachment|packet_mirroring|shared_vpc).*
    | google_(dns|network|vpc_access|service_networking)_.*
    | azurerm_(virtual_network|subnet|network|application_security_group|route|firewall|virtual_wan|virtual_hub|vpn
      |express_route|public_ip|private_endpoint|private_link|private_dns|dns|nat_gateway|application_gateway|lb
      |web_application_firewall|frontdoor|cdn_frontdoor|bastion|local_network_gateway|point_to_site).*
    | kubernetes_(network_policy|ingress|service)(_v1)?
    | openstack_(networking|lb|fw|vpnaas|dns)_.* | hcloud_(firewall|network|load_balancer|floating_ip|primary_ip).*
    | digitalocean_(firewall|vpc|loadbalancer|domain|record|reserved_ip).*
    | cloudflare_.* | alicloud_(vpc|vswitch|security_group|route|nat|eip|slb|alb|nlb|cen|vpn).*
    | oci_core_(vcn|subnet|security_list|network_security_group|route_table|internet_gateway|nat_gateway|drg).*
    | fortios_.* | panos_.* | tailscale_.*
    """,
    re.VERBOSE,
)
_KEY_POLICY: Final = re.compile(
    r"""
    aws_(kms_(key|key_policy|grant|replica_key|external_key|replica_external_key|alias|ciphertext)|cloudhsm_v2_.*)
    | awscc_kms_.* | google_kms_.* | azurerm_key_vault(_access_policy|_key|_certificate.*|_managed_hardware.*)?
    | azurerm_disk_encryption_set | alicloud_kms_.* | oci_kms_.* | vault_transit_.* | aws_ebs_default_kms_key
    | aws_ebs_encryption_by_default
    """,
    re.VERBOSE,
)
_STATEFUL: Final = frozenset(STATEFUL)

_PRODUCTION: Final = frozenset({"prod", "production", "prd", "live"})
_NOT: Final = frozenset({"non", "not", "no", "pre"})
_WORD: Final = re.compile(r"[a-z]+")


@lru_cache(maxsize=4096)
def is_iam(kind: str | None) -> bool:
    """Tell whether resources of a type say who may do what: identities, roles, grants, resource policies."""
    return kind is not None and _IAM.fullmatch(kind) is not None


@lru_cache(maxsize=4096)
def is_network(kind: str | None) -> bool:
    """Tell whether resources of a type say what can be reached from where."""
    return kind is not None and _NETWORK.fullmatch(kind) is not None


@lru_cache(maxsize=4096)
def is_key_policy(kind: str | None) -> bool:
    """Tell whether resources of a type are keys that encrypt, or say who may use them."""
    return kind is not None and _KEY_POLICY.fullmatch(kind) is not None


def is_stateful(kind: str | None) -> bool:
    """Tell whether resources of a type hold what no apply can bring back."""
    return kind in _STATEFUL


@lru_cache(maxsize=1024)
def is_production(stack: str | None, workspace: str | None) -> bool:
    """Tell whether the name of a stack or workspace has the word prod, production, prd or live in it.

    Words end where letters do; ``non-prod``, ``preprod`` and the name of the host do not count.
    """
    names = (stack or "").split("/")
    if "." in names[0]:
        names = names[1:]
    return any(map(_names_production, [*names, workspace or ""]))


def _names_production(name: str) -> bool:
    before = ""
    for word in _WORD.findall(name.lower()):
        if word in _PRODUCTION and before not in _NOT:
            return True
        before = word
    return False
