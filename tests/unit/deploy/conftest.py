"""Fixtures of the tests of deploy/aws: an engine, and the policies that it renders."""

from __future__ import annotations

import json
import os

import pytest
from deploykit import ACCOUNT, MODULE, PLAIN, REPLICA, planned

from tfaudit.engine import find
from tfaudit.errors import UnavailableError


@pytest.fixture(scope="session")
def engine():
    """The argv prefix of an engine; the policies need no provider."""
    try:
        return find.command({"PATH": os.environ["PATH"]}, name=None, own="")
    except UnavailableError:
        pytest.skip("there is no terraform or tofu on PATH, and no embedded one")


@pytest.fixture(scope="session")
def render(engine, tmp_path_factory):
    """A function from the ledger's variables to its policies."""
    rendered = planned(engine, MODULE / "modules" / "policies", tmp_path_factory.mktemp("policies"))
    return lambda code=0, **changes: rendered(json.dumps({**PLAIN, **changes}), code)


@pytest.fixture(scope="session")
def replica(engine, tmp_path_factory):
    """The policies of a copy in the second account."""
    rendered = planned(engine, MODULE / "modules" / "replica" / "policies", tmp_path_factory.mktemp("replica"))
    values = {"account_id": REPLICA["account_id"], "bucket": "acme-replica", "source_account_id": ACCOUNT}
    return rendered(json.dumps({**values, "source_role": "/tfaudit/acme-replication"}), 0)
