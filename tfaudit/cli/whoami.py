"""``tfaudit whoami``: who acts here, by which evidence, and what could not be checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from tfaudit.cli.main import Options
from tfaudit.cli.output import printable, say, style, write_json
from tfaudit.cli.place import this_config, this_world
from tfaudit.errors import UsageError

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.runs.run import World
    from tfaudit.runs.whoami import Known

_COLOURS: Final = {"verified": "green", "attested-by-runner": "green", "claimed": "yellow"}
_WIDTH: Final = 12


@click.command("whoami")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--delegate", "agent", metavar="AGENT", help="Sign that this software agent acts for you; needs --out.")
@click.option("--as", "person", metavar="NAME", help="Who you are, as in the approvers file.")
@click.option("--key", metavar="KEY", help="Your key, as for tfaudit approve.")
@click.option("--stack", "stacks", metavar="PATTERN", multiple=True, help="Only in these stacks; may be repeated.")
@click.option("--expires", metavar="TIME", default="8h", show_default=True, help="How long it holds, as in 8h.")
@click.option("--out", metavar="FILE", help="Where the delegation is written: the agent's TFAUDIT_DELEGATION.")
@click.pass_obj
def command(options: Options, /, as_json: bool, agent: str | None, out: str | None, **given: Any) -> int:  # noqa: ANN401
    """Show who acts here, and how that is known.

    The platform is asked for an identity token, AWS for the caller, git for the commit's signature, as a gated run
    does. Shown with each claim is where it comes from; what could not be checked is told with its reason.

    With --delegate nothing is shown: your signed word that an agent acts for you is written to a file.
    """
    world = this_world()
    config = this_config(options, world)
    if agent is not None:
        return _delegate(config, world, agent, out, **given)
    if out is not None or given["person"] or given["key"] or given["stacks"]:
        raise UsageError("--as, --key, --stack and --out go with --delegate")
    from tfaudit.runs.whoami import examine

    known = examine(config, world)
    if as_json:
        write_json(known.to_json())
    else:
        click.echo("\n".join(_lines(known)))
    return 0


def _delegate(
    config: Config,
    world: World,
    agent: str,
    out: str | None,
    *,
    person: str | None,
    key: str | None,
    stacks: tuple[str, ...],
    expires: str,
) -> int:
    from tfaudit.runs.delegations import write

    if out is None:
        raise UsageError("--delegate needs --out FILE")
    path = world.cwd / out
    signed = write(config, world, path, agent=agent, person=person, key=key, stacks=stacks, expires=expires)
    say(f"{agent} acts for {signed.person} until {signed.expires:%Y-%m-%d %H:%M:%S} UTC, by {path}")
    return 0


def _lines(known: Known) -> Iterator[str]:
    shown: dict[str, Any] = known.to_json()
    level = shown["level"]
    yield _row("principal", shown["principal"])
    yield f"{'level':{_WIDTH}}{style(level, _COLOURS.get(level, 'cyan'))}"
    yield _row("persons", ", ".join(shown["persons"]) or "none")
    if agent := shown["agent"]:
        acts_for = f", for {agent['on_behalf_of']}" if agent["on_behalf_of"] else ", for nobody who is named"
        yield _row("agent", f"{agent['name']}{acts_for} (told by {agent['recognised']})")
    if bound := shown["bound"]:
        yield _row("token", f"of {bound['issuer']}, bound to this run: it would be kept as evidence")
    for evidence in shown["evidence"]:
        yield ""
        names = f": {evidence['principal']}" if evidence["principal"] else ""
        yield f"{style(evidence['source'], 'bold')} ({evidence['level']}){printable(names)}"
        for name, value in evidence["claims"].items():
            yield f"  {printable(name)} = {printable(value)}"
        if evidence["identities"]:
            yield f"  known as {printable(', '.join(evidence['identities']))}"
    if known.problems:
        yield ""
        yield style("not checked", "bold")
        yield from (f"  {printable(problem)}" for problem in known.problems)


def _row(name: str, text: str) -> str:
    return f"{name:{_WIDTH}}{printable(text)}"
