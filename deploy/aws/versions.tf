terraform {
  required_version = ">= 1.5"

  required_providers {
    # Which versions will do is said by modules/buckets: all the rest is the same in all of them.
    aws = {
      source = "hashicorp/aws"
    }
  }
}
