# A ledger for the GitHub jobs of one repository's environment, for people on call, and for an auditor.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

module "ledger" {
  source = "../.." # git::https://…/tfaudit.git//deploy/aws?ref=vX.Y.Z

  name      = "acme-tfaudit"
  retention = { profile = "soc2" }

  writers = {
    ci-github = {
      github = [{
        repository       = "acme/infra"
        environment      = "production"
        job_workflow_ref = "acme/infra/.github/workflows/apply.yml@refs/heads/main"
        # owner_id       = "1234567"   # both, where the repository's tokens have immutable subjects:
        # repository_id  = "7654321"   # gh api repos/acme/infra --jq '.owner.id, .id'
      }]
    }
    people = {
      keeper     = true
      principals = ["arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Platform_*"]
    }
  }

  # Who may approve, where a gate asks for it: they write under records/people/ alone, and sign with keys of their own.
  approvers = {
    principals = ["arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_Developer_*"]
  }

  auditors = {
    principals  = ["arn:aws:iam::210987654321:role/auditor"]
    external_id = "acme-2026"
    disclosures = true # without them values can't be checked, everything else can
  }

  # While the ledger is set up; then [].
  founders = var.founders
  # Told by `tfaudit setup`.
  genesis = var.genesis
}

variable "founders" {
  description = "Who runs tfaudit setup."
  type        = list(string)
  default     = []
}

variable "genesis" {
  description = "The trust anchor."
  type        = string
  default     = null
}

output "ledger" {
  value = module.ledger
}
