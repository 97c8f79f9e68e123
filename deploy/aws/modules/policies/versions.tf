# Nothing but functions: no provider, no resource. What stands here can be planned, and tested, without an account.
terraform {
  required_version = ">= 1.5"
}
