# Writers that can't commit: one scheduled job holds the log key, in a repository that only the platform team can change.
# With a lock that nobody can lift, and a copy in another account (examples/replica), for what has to be kept so.
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
  retention = { profile = "sec17a4", mode = "COMPLIANCE" }
  replica   = var.replica

  writers = {
    ci-github = {
      read_disclosures = false
      github = [
        { repository = "acme/infra", environment = "production" },
        { repository = "acme/network", environment = "production" },
      ]
    }
    records-office = {
      keeper     = true
      principals = ["arn:aws:iam::123456789012:role/records-office"]
    }
    sequencer = {
      read_disclosures = false
      github = [{
        repository    = "acme/tfaudit-sequencer"
        branch        = "main"
        owner_id      = "1234567"
        repository_id = "7654321"
      }]
    }
  }
  sequencer = "sequencer"

  auditors       = { principals = ["arn:aws:iam::210987654321:role/auditor"] }
  administrators = ["arn:aws:iam::123456789012:role/organisation/infrastructure"]
  founders       = var.founders
}

variable "replica" {
  description = "The output of examples/replica."
  type = object({
    account_id  = string
    bucket_arn  = string
    kms_key_arn = string
  })
}

variable "founders" {
  description = "Who runs tfaudit setup."
  type        = list(string)
  default     = []
}

output "ledger" {
  value = module.ledger
}
