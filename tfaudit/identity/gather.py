"""Who is acting in this run, by everything that can be asked here?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from tfaudit.errors import TfauditError
from tfaudit.identity import agents, environment, git, machine
from tfaudit.identity.actor import Actor, Evidence, combine
from tfaudit.identity.people import People

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tfaudit.identity.delegation import Checker, Delegated
    from tfaudit.identity.git import Repository
    from tfaudit.identity.oidc import Verified


class Settings(Protocol):
    """What ``[identity]`` says; see :class:`tfaudit.config.gating.IdentitySettings`."""

    @property
    def issuers(self) -> tuple[str, ...]: ...  # noqa: D102 - as there

    @property
    def audience(self) -> str | None: ...  # noqa: D102

    @property
    def jwks(self) -> str | None: ...  # noqa: D102

    @property
    def agents(self) -> tuple[str, ...] | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A token that is good for this run and nothing else, with the keys it was checked with: evidence for later."""

    issuer: str
    audience: str
    token: str = field(repr=False)
    jwks: str = field(repr=False)

    def to_json(self) -> dict[str, object]:
        """Return ``{issuer, audience, token, jwks}``, all texts."""
        return {"issuer": self.issuer, "audience": self.audience, "token": self.token, "jwks": self.jwks}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Everything that is known of who acts."""

    actor: Actor
    kept: Kept | None
    """None where no token is bound to the run."""
    problems: tuple[str, ...]
    """What could not be checked and why, a line each."""
    repository: Repository | None
    persons: frozenset[str]
    """The persons behind the actor's names."""


def gather(
    environ: Mapping[str, str],
    root: Path,
    settings: Settings,
    identities: Mapping[str, tuple[str, ...]],
    *,
    origin: str,
    run_id: str,
    change_digest: str | None,
    cache: Path | None,
    clock: Callable[[], datetime],
    deep: bool,
    token: bool = True,
    early: Gathered | None = None,
    repository: Repository | Literal["unasked"] | None = "unasked",
    delegations: Checker | None = None,
) -> Gathered:
    """Return who acts in the working directory ``root``, with a problem in place of whatever can't be had.

    ``origin``, ``run_id`` and ``change_digest`` are what a token is bound to; ``cache`` is a folder for issuers' keys.
    With ``deep`` the platform is asked for a token, AWS for the caller, git for the commit's signature, the SSH agent
    for its keys; without it, and with nothing configured about issuers, there is no network and no cost to speak of.
    ``delegations`` checks what persons signed for agents; without it none counts. ``repository`` is what git said, None
    for no repository; git is asked where nobody has.

    Where the change is only known later, all but the token can be asked before: ``token`` False leaves it out, and
    ``early`` is what that gave, so that nothing is asked twice.
    """
    people = People(identities)
    asks = deep or bool(settings.issuers or settings.audience or settings.jwks)
    if early is None:
        early = _without_token(environ, root, settings, people, clock(), deep, repository, delegations)
    if not asks:
        return early
    if not token:
        _warm_up(environ, settings, clock(), cache)
        return early
    problems = list(early.problems)
    bound = (origin, run_id, change_digest)
    found, kept = _token(environ, settings, problems, clock(), cache, bound=bound)
    actor = early.actor if found is None else combine((found, *early.actor.evidence), early.actor.agent)
    return Gathered(
        actor=actor,
        kept=kept,
        problems=tuple(problems),
        repository=early.repository,
        persons=_persons(people, actor),
    )


def _without_token(
    environ: Mapping[str, str],
    root: Path,
    settings: Settings,
    people: People,
    now: datetime,
    deep: bool,
    repository: Repository | Literal["unasked"] | None,
    delegations: Checker | None,
) -> Gathered:
    problems: list[str] = []
    if repository == "unasked":
        repository = git.read(root, environ)
    delegated = _delegated(environ, people, delegations, now, problems)
    agent = agents.recognise(environ, settings.agents, delegated)
    evidence = [environment.recognise(environ), machine.operating_system_user()]
    evidence.append(repository.evidence() if repository else None)
    evidence.append(agents.evidence(agent, delegated) if agent else None)
    if deep:
        evidence += _deep(environ, root, settings, repository, problems)
    actor = combine((each for each in evidence if each is not None), agent)
    return Gathered(
        actor=actor, kept=None, problems=tuple(problems), repository=repository, persons=_persons(people, actor)
    )


def _persons(people: People, actor: Actor) -> frozenset[str]:
    return people.persons(name for name in actor.identities if not name.startswith("agent:"))


def _warm_up(environ: Mapping[str, str], settings: Settings, now: datetime, cache: Path | None) -> None:
    """Load what checking a token takes, and the issuer's keys into the cache, so that nobody has to wait for it later.

    Where that fails the token says so when it is checked.
    """
    from tfaudit.identity import tokens

    if not tokens.is_offered(environ, self_hosted=bool(settings.issuers)):
        return
    import joserfc.jws  # noqa: F401 - to be found loaded

    import tfaudit.identity.claims
    import tfaudit.identity.oidc  # noqa: F401
    from tfaudit.identity import issuers
    from tfaudit.identity.jwks import KeySets

    issuer = issuers.expected(environ, settings.issuers)
    if cache is not None and issuer is not None:
        with suppress(TfauditError):
            KeySets(configured=settings.jwks, environ=environ, cache=cache, now=now.timestamp()).read(issuer)


def _token(
    environ: Mapping[str, str],
    settings: Settings,
    problems: list[str],
    now: datetime,
    cache: Path | None,
    *,
    bound: tuple[str, str, str | None],
) -> tuple[Evidence | None, Kept | None]:
    """Return what the job's token says, and the token itself where it is bound to the run."""
    from tfaudit.identity import claims, issuers, oidc, tokens
    from tfaudit.identity.jwks import KeySets

    audience = oidc.bound_audience(*bound)
    keys = KeySets(configured=settings.jwks, environ=environ, cache=cache, now=now.timestamp())
    try:
        obtained = tokens.obtain(environ, audience, self_hosted=bool(settings.issuers))
        if obtained is None:
            return None, None
        verified = oidc.verify(
            obtained.token,
            is_believed=lambda issuer: issuers.is_believed(issuer, settings.issuers),
            audiences=lambda issuer: issuers.audiences(issuer, settings.audience),
            bound=audience,
            read_keys=lambda issuer, again: keys.read(issuer, again=again),
            now=now,
        )
        level = "verified" if verified.bound else "attested-by-runner"
        evidence = claims.evidence(verified.issuer, verified.claims, level)  # type: ignore[arg-type]
    except TfauditError as error:
        problems.append(str(error))
        return None, None
    return evidence, _kept(verified, obtained.token, audience) if verified.bound else None


def _kept(verified: Verified, token: str, audience: str) -> Kept:
    return Kept(issuer=verified.issuer, audience=audience, token=token, jwks=verified.keys.decode())


def _deep(
    environ: Mapping[str, str], root: Path, settings: Settings, repository: Repository | None, problems: list[str]
) -> Iterator[Evidence]:
    """Yield what git, the SSH agent, the platform and AWS say, all asked at once; each has a time limit of its own."""
    from concurrent.futures import ThreadPoolExecutor

    from tfaudit.identity import platformapi, signedcommit, sshagent, sts

    with ThreadPoolExecutor(max_workers=3, thread_name_prefix="identity") as pool:
        asked: list[Future[Evidence | None]] = [pool.submit(platformapi.job, environ, settings.issuers)]
        if sts.is_configured(environ):
            asked.append(pool.submit(sts.caller, environ))
        asked.append(pool.submit(sshagent.held, environ))
        if repository is not None and repository.commit is not None:
            signed, problem = signedcommit.read(root, environ)
            problems += [problem] if problem else []
            if signed is not None:
                yield signed
        for one in asked:
            try:
                answer = one.result()
            except TfauditError as error:
                problems.append(str(error))
                continue
            if answer is not None:
                yield answer


def _delegated(
    environ: Mapping[str, str], people: People, checker: Checker | None, now: datetime, problems: list[str]
) -> Delegated | None:
    path = environ.get("TFAUDIT_DELEGATION")
    if not path:
        return None
    from tfaudit.identity import delegation

    try:
        return delegation.read(Path(path), checker, people, agents.person_name, now=now)
    except TfauditError as error:
        problems.append(str(error))
        return None
