"""``tfaudit reject``: a person's signed word that a plan must not be applied."""

from __future__ import annotations

from typing import Unpack

import click

from tfaudit.cli.approve import Given, signing_options, vote
from tfaudit.cli.main import Options


@click.command("reject")
@click.argument("what", metavar="PLANFILE|RUN")
@signing_options
@click.pass_obj
def command(options: Options, /, what: str, **given: Unpack[Given]) -> int:
    """Reject a plan, with your own key: approvals of it no longer count.

    PLANFILE is what plan -out wrote, RUN the id of the run that planned (tfaudit log lists them), or the start of one.
    A rejection counts as soon as it is in the ledger's store, before any commit.
    """
    return vote(options, what, "rejection", given)
