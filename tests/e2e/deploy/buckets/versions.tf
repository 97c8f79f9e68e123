# deploy/aws/modules/buckets in the words of provider 3.39, where a bucket's settings were its own arguments. The tests put
# it in that module's place, so that all the rest runs on a real provider as it stands.
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "3.39.0"
    }
  }
}
