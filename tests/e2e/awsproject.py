"""A configuration for the real AWS provider, and the provider block that points it at an emulator."""

from __future__ import annotations

import support

ACCOUNT = "123456789012"

_PROVIDER = """
terraform {{
  required_providers {{
    aws = {{
      source  = "{host}/hashicorp/aws"
      version = "3.39.0"
    }}
  }}
}}

provider "aws" {{
  region                      = "eu-west-1"
  access_key                  = "AKIDEXAMPLE"
  secret_key                  = "secret-of-the-example"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  s3_force_path_style         = true
  endpoints {{
    iam = "{endpoint}"
    s3  = "{endpoint}"
    sqs = "{endpoint}"
    sts = "{endpoint}"
    ec2 = "{endpoint}"
  }}
}}
"""


def provider(endpoint: str) -> str:
    """Return the blocks that make the AWS provider talk to ``endpoint`` alone."""
    return _PROVIDER.format(host=support.PROVIDER_HOST, endpoint=endpoint)


def resources(name: str, *, queue_delay: int = 0, queue: str = "jobs", user: str = "deployer") -> str:
    """Return a bucket, a queue, a user and its access key, all named after ``name``."""
    return f"""
resource "aws_s3_bucket" "logs" {{
  bucket = "{name}-logs"
  tags   = {{ team = "platform" }}
}}

resource "aws_sqs_queue" "jobs" {{
  name          = "{name}-{queue}"
  delay_seconds = {queue_delay}
}}

resource "aws_iam_user" "deployer" {{
  name = "{name}-{user}"
  path = "/robots/"
}}

resource "aws_iam_access_key" "deployer" {{
  user = aws_iam_user.deployer.name
}}
"""


# A bucket name that the provider accepts and the service refuses.
FAILING = """
resource "aws_iam_user_policy_attachment" "missing" {
  user       = aws_iam_user.deployer.name
  policy_arn = "arn:aws:iam::aws:policy/NoSuchPolicyAtAll"
}
"""
