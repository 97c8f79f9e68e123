# Run this with the second account's credentials, before the ledger that is copied there.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.70"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

module "replica" {
  source = "../../modules/replica"

  name              = "acme-tfaudit"
  source_account_id = "123456789012"
  retention         = { mode = "COMPLIANCE", days = 2192 }
}

output "replica" {
  value = module.replica.replica
}
