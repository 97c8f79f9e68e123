resource "aws_iam_role" "role" {
  for_each = module.policies.role_names

  name                 = each.value
  path                 = var.role_path
  assume_role_policy   = module.policies.trust_policies[each.key]
  permissions_boundary = var.permissions_boundary
  max_session_duration = var.max_session_seconds
  tags                 = var.tags

  depends_on = [aws_iam_openid_connect_provider.github, aws_iam_openid_connect_provider.gitlab]
}

resource "aws_iam_role_policy" "role" {
  for_each = module.policies.role_names

  name   = "tfaudit"
  role   = aws_iam_role.role[each.key].id
  policy = module.policies.role_policies[each.key]
}

locals {
  uses_github = anytrue([for writer in values(var.writers) : length(writer.github) > 0])
  uses_gitlab = anytrue([for writer in values(var.writers) : length(writer.gitlab) > 0])
}

# An account can have one provider an issuer. Where it is there already, create_oidc_providers = false.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_providers && local.uses_github ? 1 : 0

  url             = "https://${var.oidc.github_issuer}"
  client_id_list  = [var.oidc.github_audience]
  thumbprint_list = var.oidc.thumbprints
  tags            = var.tags
}

resource "aws_iam_openid_connect_provider" "gitlab" {
  count = var.create_oidc_providers && local.uses_gitlab ? 1 : 0

  url             = "https://${var.oidc.gitlab_issuer}"
  client_id_list  = [var.oidc.gitlab_audience]
  thumbprint_list = var.oidc.thumbprints
  tags            = var.tags
}
