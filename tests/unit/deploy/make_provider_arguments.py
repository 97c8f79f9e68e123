"""Record which arguments the current AWS provider's resources take, from bindings that were generated from its schema.

    pip download --no-deps cdktf-cdktf-provider-aws==21.22.1
    python make_provider_arguments.py cdktf_cdktf_provider_aws-*.whl > aws-provider-6.25.json

That provider itself can't be had where these tests run, so that its schema has to stand for it.
"""

from __future__ import annotations

import ast
import json
import sys
import zipfile

PACKAGE = "cdktf_cdktf_provider_aws"
RESOURCES = (
    "iam_openid_connect_provider",
    "iam_role",
    "iam_role_policy",
    "kms_alias",
    "kms_key",
    "s3_bucket",
    "s3_bucket_lifecycle_configuration",
    "s3_bucket_object_lock_configuration",
    "s3_bucket_ownership_controls",
    "s3_bucket_policy",
    "s3_bucket_public_access_block",
    "s3_bucket_replication_configuration",
    "s3_bucket_server_side_encryption_configuration",
    "s3_bucket_versioning",
)
META = {"connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioners", "timeouts"}


def arguments(classes: dict[str, ast.ClassDef], name: str) -> dict[str, object]:
    """Return each argument of the bindings' class: whether it must be given, and a block's own arguments."""
    found: dict[str, object] = {}
    init = next(each for each in classes[name].body if isinstance(each, ast.FunctionDef) and each.name == "__init__")
    for argument, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True):
        if argument.arg in META:
            continue
        told: dict[str, object] = {"required": default is None}
        named = [
            node.value
            for node in ast.walk(argument.annotation)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in classes
        ]
        if named:
            told["block"] = arguments(classes, named[0])
        # Python's own words have an underscore behind them.
        found[argument.arg.rstrip("_")] = told
    return found


def main(wheel: str) -> None:
    """Print the arguments of all resources that the module uses."""
    recorded: dict[str, object] = {}
    with zipfile.ZipFile(wheel) as packed:
        for resource in RESOURCES:
            module = ast.parse(packed.read(f"{PACKAGE}/{resource}/__init__.py"))
            classes = {each.name: each for each in module.body if isinstance(each, ast.ClassDef)}
            # "A" marks a name that the bindings have twice.
            plain = resource.replace("_", "")
            (config,) = [name for name in classes if name.lower() in (f"{plain}config", f"{plain}aconfig")]
            recorded[f"aws_{resource}"] = arguments(classes, config)
    json.dump(recorded, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main(sys.argv[1])
