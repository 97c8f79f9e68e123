"""Which rules come with tfaudit: a few that hold nearly everywhere, as warnings."""

from __future__ import annotations

import json
from typing import Final

from tfaudit.policy.rules import Rule

MANY: Final = 10
"""From how many resources on a plan is said to destroy a lot."""

STATEFUL: Final = (
    "aws_athena_database",
    "aws_backup_vault",
    "aws_cloudwatch_log_group",
    "aws_cognito_user_pool",
    "aws_db_instance",
    "aws_docdb_cluster",
    "aws_docdb_cluster_instance",
    "aws_dynamodb_global_table",
    "aws_dynamodb_table",
    "aws_ebs_snapshot",
    "aws_ebs_volume",
    "aws_ecr_repository",
    "aws_efs_file_system",
    "aws_elasticache_cluster",
    "aws_elasticache_replication_group",
    "aws_elasticsearch_domain",
    "aws_fsx_lustre_file_system",
    "aws_fsx_ontap_file_system",
    "aws_fsx_openzfs_file_system",
    "aws_fsx_windows_file_system",
    "aws_glacier_vault",
    "aws_keyspaces_table",
    "aws_kinesis_stream",
    "aws_kms_key",
    "aws_memorydb_cluster",
    "aws_msk_cluster",
    "aws_mq_broker",
    "aws_neptune_cluster",
    "aws_opensearch_domain",
    "aws_qldb_ledger",
    "aws_rds_cluster",
    "aws_redshift_cluster",
    "aws_route53_zone",
    "aws_s3_bucket",
    "aws_s3_object",
    "aws_secretsmanager_secret",
    "aws_timestreamwrite_table",
    "azurerm_cosmosdb_account",
    "azurerm_data_lake_store",
    "azurerm_dns_zone",
    "azurerm_eventhub",
    "azurerm_key_vault",
    "azurerm_key_vault_key",
    "azurerm_key_vault_secret",
    "azurerm_managed_disk",
    "azurerm_mariadb_server",
    "azurerm_mssql_database",
    "azurerm_mysql_flexible_server",
    "azurerm_mysql_server",
    "azurerm_postgresql_flexible_server",
    "azurerm_postgresql_server",
    "azurerm_recovery_services_vault",
    "azurerm_redis_cache",
    "azurerm_resource_group",
    "azurerm_sql_database",
    "azurerm_storage_account",
    "azurerm_storage_container",
    "azurerm_storage_share",
    "digitalocean_database_cluster",
    "digitalocean_volume",
    "google_alloydb_cluster",
    "google_bigquery_dataset",
    "google_bigquery_table",
    "google_bigtable_instance",
    "google_bigtable_table",
    "google_compute_disk",
    "google_dns_managed_zone",
    "google_filestore_instance",
    "google_firestore_database",
    "google_kms_crypto_key",
    "google_kms_key_ring",
    "google_pubsub_topic",
    "google_redis_instance",
    "google_secret_manager_secret",
    "google_spanner_database",
    "google_spanner_instance",
    "google_sql_database",
    "google_sql_database_instance",
    "google_storage_bucket",
    "hcloud_volume",
    "kubernetes_namespace",
    "kubernetes_namespace_v1",
    "kubernetes_persistent_volume",
    "kubernetes_persistent_volume_claim",
    "kubernetes_persistent_volume_claim_v1",
    "kubernetes_stateful_set",
    "kubernetes_stateful_set_v1",
    "mongodbatlas_cluster",
    "openstack_blockstorage_volume_v3",
    "vault_mount",
)
"""Types whose resources hold what no apply can bring back."""

_ANYWHERE: Final = '["0.0.0.0/0", "::/0", "*", "Internet", "Any", "any"]'
_WRITES: Final = 'change.action in ["create", "update", "replace"]'

_LOSING: Final = 'change.action in ["delete", "replace"] && change.mode == "managed" && change.type in ' + json.dumps(
    STATEFUL
)

# Ports 80 and 443 alone are what a web server is for.
_INGRESS: Final = f"""{_WRITES} && (
change.type in ["aws_security_group", "aws_default_security_group"] &&
  after("/ingress", []).exists(open,
    (get(open, "cidr_blocks", []).exists(from, from in {_ANYWHERE}) ||
      get(open, "ipv6_cidr_blocks", []).exists(from, from in {_ANYWHERE})) &&
    !(get(open, "from_port", 0) == get(open, "to_port", 0) && get(open, "from_port", 0) in [80, 443]))
|| change.type == "aws_security_group_rule" && after("/type", "") == "ingress" &&
  (after("/cidr_blocks", []) + after("/ipv6_cidr_blocks", [])).exists(from, from in {_ANYWHERE}) &&
  !(after("/from_port", 0) == after("/to_port", 0) && after("/from_port", 0) in [80, 443])
|| change.type == "aws_vpc_security_group_ingress_rule" &&
  (after("/cidr_ipv4", "") in {_ANYWHERE} || after("/cidr_ipv6", "") in {_ANYWHERE}) &&
  !(after("/from_port", 0) == after("/to_port", 0) && after("/from_port", 0) in [80, 443])
|| change.type == "google_compute_firewall" && after("/direction", "INGRESS") == "INGRESS" &&
  after("/source_ranges", []).exists(from, from in {_ANYWHERE}) &&
  after("/allow", []).exists(open, !get(open, "ports", []).exists(port, true) ||
    get(open, "ports", []).exists(port, !(port in ["80", "443"])))
|| change.type == "azurerm_network_security_rule" && after("/access", "") == "Allow" &&
  after("/direction", "") == "Inbound" && after("/source_address_prefix", "") in {_ANYWHERE} &&
  !(after("/destination_port_range", "") in ["80", "443"])
|| change.type == "azurerm_network_security_group" && after("/security_rule", []).exists(open,
  get(open, "access", "") == "Allow" && get(open, "direction", "") == "Inbound" &&
  get(open, "source_address_prefix", "") in {_ANYWHERE} &&
  !(get(open, "destination_port_range", "") in ["80", "443"])))"""

_POLICIES: Final = json.dumps(["aws_iam_policy", "aws_iam_role_policy", "aws_iam_user_policy", "aws_iam_group_policy"])
_WILDCARD: Final = f"""{_WRITES} && (
change.type in {_POLICIES} &&
  many(get(json(after("/policy", ""), {{}}), "Statement", [])).exists(said,
    get(said, "Effect", "") == "Allow" &&
    many(get(said, "Action", [])).exists(one, one in ["*", "*:*", "iam:*"]) &&
    many(get(said, "Resource", [])).exists(one, one == "*"))
|| after("/policy_arn", "") in ["arn:aws:iam::aws:policy/AdministratorAccess",
  "arn:aws:iam::aws:policy/IAMFullAccess"]
|| change.type.startsWith("google_") && after("/role", "") in ["roles/owner", "roles/editor"]
|| change.type == "azurerm_role_assignment" && after("/role_definition_name", "") in
  ["Owner", "User Access Administrator"])"""

RULES: Final = (
    Rule(
        name="data-loss",
        when=_LOSING,
        severity="warn",
        message="{change.action} loses what {change.address} holds",
        lenient=True,
    ),
    Rule(
        name="public-ingress",
        when=_INGRESS,
        severity="warn",
        message="{change.address} lets the whole internet in",
        lenient=True,
    ),
    Rule(
        name="iam-wildcard",
        when=_WILDCARD,
        severity="warn",
        message="{change.address} grants nearly everything",
        lenient=True,
    ),
    Rule(
        name="mass-destroy",
        when=f"plan.counts.delete + plan.counts.replace >= {MANY}",
        severity="warn",
        message=f"the plan destroys or replaces {MANY} resources or more",
        scope="plan",
        lenient=True,
    ),
)
