"""What a run's environment says of where it changes things is part of what is approved."""

from __future__ import annotations

import pytest

from tfaudit.runs.gaterequest import target_of


@pytest.mark.parametrize(
    ("account", "environ", "target"),
    [
        (None, {}, None),
        ("123456789012", {}, "123456789012"),
        (None, {"GOOGLE_CLOUD_PROJECT": "acme-prod"}, "gcp:acme-prod"),
        (None, {"GOOGLE_PROJECT": "acme-prod", "GCLOUD_PROJECT": "acme-test"}, "gcp:acme-prod"),
        (None, {"GOOGLE_PROJECT": "", "CLOUDSDK_CORE_PROJECT": "acme-prod"}, "gcp:acme-prod"),
        (
            None,
            {"ARM_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001"},
            "azure:" + "0" * 8 + "-0000-0000-0000-" + "0" * 11 + "1",
        ),
        ("123456789012", {"GOOGLE_PROJECT": "p", "ARM_SUBSCRIPTION_ID": "s"}, "123456789012, gcp:p, azure:s"),
        (None, {"GOOGLE_PROJECT": "p\udcff"}, "gcp:p\\xff"),
    ],
)
def test_the_target_is_every_account_that_is_told(
    account: str | None, environ: dict[str, str], target: str | None
) -> None:
    """AWS says its own; of Google and Azure it is what their providers take where the configuration says none."""
    assert target_of(account, environ) == target
