# Who may take a role. A condition on a claim that the token lacks fails, so that a misspelt one lets nobody in.
locals {
  # GitHub's subject names the repository, with ids behind an @ where it is immutable, then the environment or the branch.
  github_subjects = {
    for writer, its in var.writers : writer => [
      for trust in its.github : trust.subject != null ? trust.subject : join(":", [
        "repo",
        trust.owner_id == null || trust.repository_id == null ? trust.repository : format(
          "%s@%s/%s@%s",
          split("/", trust.repository)[0],
          trust.owner_id,
          split("/", trust.repository)[1],
          trust.repository_id,
        ),
        trust.environment != null ? "environment:${replace(trust.environment, ":", "%3A")}" : "ref:refs/heads/${coalesce(trust.branch, "-")}",
      ])
    ]
  }
  # GitLab's is made of the claims that the project chose; project_path always comes first.
  gitlab_subjects = {
    for writer, its in var.writers : writer => [
      for trust in its.gitlab : trust.subject != null ? trust.subject : join(":", concat(
        ["project_path", trust.project],
        trust.project_id == null ? [] : ["project_id", trust.project_id],
        ["ref_type", trust.ref_type, "ref", trust.ref],
        trust.environment == null ? [] : ["environment", trust.environment],
      ))
    ]
  }

  # Patterns can't be principals: the account is one, and the pattern a condition.
  assumed_by = merge(
    { for writer, its in var.writers : "writer/${writer}" => { arns = its.principals, external_id = null } },
    {
      for name in ["auditor"] : name => { arns = var.auditors.principals, external_id = var.auditors.external_id }
      if var.auditors != null
    },
    {
      for name in ["approver"] : name => { arns = var.approvers.principals, external_id = var.approvers.external_id }
      if var.approvers != null
    },
  )
  trust_principals = {
    for role, its in local.assumed_by : role => [
      {
        Sid       = "TrustPrincipals"
        Effect    = "Allow"
        Principal = { AWS = sort(distinct([for arn in its.arns : "arn:${var.partition}:iam::${split(":", arn)[4]}:root"])) }
        Action    = ["sts:AssumeRole", "sts:SetSourceIdentity"]
        Condition = merge(
          { ArnLike = { "aws:PrincipalArn" = its.arns } },
          { for operator, id in { StringEquals = its.external_id } : operator => { "sts:ExternalId" = id } if id != null },
        )
      }
    ] if length(its.arns) > 0
  }

  trust_github = {
    for writer, its in var.writers : "writer/${writer}" => [
      for index, trust in its.github : {
        Sid       = "TrustGithub${index}"
        Effect    = "Allow"
        Principal = { Federated = "arn:${var.partition}:iam::${var.account_id}:oidc-provider/${var.oidc.github_issuer}" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            for claim, value in {
              aud              = var.oidc.github_audience
              sub              = local.github_subjects[writer][index]
              repository_id    = trust.repository_id
              job_workflow_ref = trust.job_workflow_ref
            } : "${var.oidc.github_issuer}:${claim}" => value if value != null
          }
        }
      }
    ]
  }
  trust_gitlab = {
    for writer, its in var.writers : "writer/${writer}" => [
      for index, trust in its.gitlab : {
        Sid       = "TrustGitlab${index}"
        Effect    = "Allow"
        Principal = { Federated = "arn:${var.partition}:iam::${var.account_id}:oidc-provider/${var.oidc.gitlab_issuer}" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${var.oidc.gitlab_issuer}:aud" = var.oidc.gitlab_audience
            "${var.oidc.gitlab_issuer}:sub" = local.gitlab_subjects[writer][index]
          }
        }
      }
    ]
  }
  trust_service = {
    for role in ["replication"] : role => [
      {
        Sid       = "TrustS3"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account_id }
          ArnEquals    = { "aws:SourceArn" = local.evidence_arn }
        }
      }
    ] if var.replica != null
  }
  trust_policies = {
    for role in keys(local.role_names) : role => {
      Version = "2012-10-17"
      Statement = concat(
        try(local.trust_github[role], []),
        try(local.trust_gitlab[role], []),
        try(local.trust_principals[role], []),
        try(local.trust_service[role], []),
      )
    }
  }
}
