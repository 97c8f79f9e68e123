# The one part that is written for current providers only: since 4.0 each of a bucket's settings is a resource.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.70"
    }
  }
}
