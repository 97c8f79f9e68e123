# A ledger for the jobs of GitLab projects, each project with a role, a prefix and a key of its own.
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
  source = "../.."

  name      = "acme-tfaudit"
  retention = { days = 400 }

  oidc = {
    gitlab_issuer   = "gitlab.com" # or your own GitLab's host
    gitlab_audience = "sts.amazonaws.com"
  }

  writers = {
    ci-network = {
      gitlab = [{ project = "acme/network", ref = "main" }]
    }
    ci-platform = {
      # Where the project's subject has these components: project_path, project_id, ref_type, ref, environment.
      gitlab = [{ project = "acme/platform", project_id = "4711", ref = "main", environment = "production" }]
    }
  }

  auditors = { principals = ["arn:aws:iam::210987654321:role/auditor"] }
  founders = var.founders
}

variable "founders" {
  description = "Who runs tfaudit setup."
  type        = list(string)
  default     = []
}

output "ledger" {
  value = module.ledger
}
