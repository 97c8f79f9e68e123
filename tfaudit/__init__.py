"""tfaudit: signed, append-only, verifiable records of every Terraform or OpenTofu run."""

__version__ = "0.1.0"
