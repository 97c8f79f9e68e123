"""How does a ledger come into being: keys, genesis, configuration, and a line that keeps them out of git."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfaudit.config import FILE_NAME, NO_S3_SETTINGS, Retention, S3Settings
from tfaudit.errors import ConfigError, LedgerError
from tfaudit.identity import git

if TYPE_CHECKING:
    from tfaudit.ledger.store import Store
    from tfaudit.runs.run import World
    from tfaudit.signing.keys import Algorithm

FOLDER: Final = ".tfaudit"
IGNORED: Final = f"{FOLDER}/"
_NOT_IN_ORIGIN: Final = re.compile(r"[^A-Za-z0-9._/-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What setup is going to make; every part may be chosen, none must be."""

    root: Path
    """The folder that gets ``tfaudit.toml``."""
    ledger: str
    working: str
    """As they will stand in the file: relative to ``root``, or absolute."""
    stack: str | None
    """What ``stack`` is set to; None where the repository's remote gives the name."""
    origin: str
    algorithm: Algorithm = "ed25519"
    post_quantum: bool = False
    """Whether checkpoints carry an ML-DSA-44 signature beside the first."""
    s3: S3Settings = NO_S3_SETTINGS
    """What the file will say of S3; None where the environment does."""
    retention: Retention | None = None
    create_buckets: bool = False

    @property
    def in_bucket(self) -> bool:
        """Whether the ledger is to lie in a bucket."""
        return self.ledger.startswith("s3://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What setup has made."""

    config_file: Path
    ledger: str
    """The folder or the URL."""
    genesis: str
    """The trust anchor, ``sha256:…``."""
    origin: str
    root_key: Path
    gitignore: bool
    """Whether a line was added to ``.gitignore``."""


def propose(root: Path, world: World, *, ledger: str | None = None, working: str | None = None) -> Plan:
    """Return what setup would make in ``root``: a folder ledger below it, named after the repository.

    Raises :class:`ConfigError` for a ledger in a bucket without a working store.
    """
    if ledger is not None and ledger.startswith("s3://") and working is None:
        raise ConfigError(
            "a ledger in a bucket needs a working store for the disclosures, which must stay erasable",
            hint="--working s3://ANOTHER-BUCKET/PREFIX, a bucket without default retention",
        )
    repository = git.read(root, world.environ)
    remote = repository.remote if repository else None
    name = _NOT_IN_ORIGIN.sub("-", remote or root.name).strip("-./") or "ledger"
    # A folder's name is not unique: two ledgers of one name would look like a fork of each other.
    origin = f"tfaudit/{name}" if remote else f"tfaudit/{name}-{world.entropy(4).hex()}"
    return Plan(
        root=root,
        ledger=ledger or f"{FOLDER}/ledger",
        working=working or f"{FOLDER}/working",
        stack=None if remote else f"{name}/{{path}}:{{workspace}}",
        origin=origin[:200],
    )


def make(plan: Plan, world: World) -> Made:
    """Make the ledger, its keys and the configuration; whatever was made is removed again when a later step fails.

    Raises :class:`ConfigError` when there is one already, :class:`LedgerError` when the folder can't be written.
    """
    from tfaudit.ledger import genesis as genesis_
    from tfaudit.ledger import ids
    from tfaudit.ledger.keyset import AcceptedSigner, KeySet
    from tfaudit.ledger.log import create_ledger
    from tfaudit.ledger.store import read
    from tfaudit.runs import bucketing
    from tfaudit.runs.ledgers import evidence_store
    from tfaudit.signing.note import NoteKey
    from tfaudit.signing.signer import create_key_file

    config_file = plan.root / FILE_NAME
    if config_file.exists():
        raise ConfigError(f"{config_file} is there already", hint="tfaudit doctor says whether it works")
    if plan.in_bucket:
        location = plan.ledger
        evidence: Store = bucketing.prepare(plan, world)
    else:
        location = str(plan.root / plan.ledger)
        evidence = evidence_store(location)
    with suppress(LedgerError):
        # A folder that can't be read may not be there yet, or the first write will tell.
        if read(evidence, ids.GENESIS_KEY, limit=1) is not None:
            raise ConfigError(f"there is a ledger in {location} already", hint=f"write a {FILE_NAME} that names it")
    keys = plan.root / FOLDER / "keys"
    with ExitStack() as undo:
        _new_folder(plan.root / FOLDER, undo)
        _new_folder(keys, undo)
        root_signer = create_key_file(_removed_on(undo, keys / "root.pem"), algorithm=plan.algorithm)
        record_signer = create_key_file(_removed_on(undo, keys / "record.pem"), algorithm=plan.algorithm)
        log_signers = [create_key_file(_removed_on(undo, keys / "log.pem"), algorithm=plan.algorithm)]
        if plan.post_quantum:
            log_signers.append(create_key_file(_removed_on(undo, keys / "log-pq.pem"), algorithm="ml-dsa-44"))
        keyset = KeySet(
            generation=0,
            root=root_signer.public,
            log=tuple(NoteKey(name=plan.origin, public=signer.public) for signer in log_signers),
            signers=(AcceptedSigner(public=record_signer.public, writers=()),),
        )
        if not plan.in_bucket:
            _new_folder(Path(location), undo)
        genesis = create_ledger(
            evidence,
            genesis_.create(
                origin=plan.origin, keys=keyset, nonce=world.entropy(32), time=ids.milliseconds(world.clock())
            ),
        )
        _write_new(config_file, _text(plan, genesis.digest))
        undo.pop_all()
    return Made(
        config_file=config_file,
        ledger=location,
        genesis=genesis.digest,
        origin=plan.origin,
        root_key=keys / "root.pem",
        gitignore=_ignore(plan.root),
    )


def _text(plan: Plan, genesis: str) -> str:
    lines = [
        "# tfaudit: where the record of every plan and apply goes, and which keys sign it.",
        f"ledger = {_quoted(plan.ledger)}",
        f"working = {_quoted(plan.working)}",
    ]
    if plan.stack is not None:
        lines.append(f"stack = {_quoted(plan.stack)}")
    lines += [
        f"genesis = {_quoted(genesis)}",
        "",
        "[signer]",
        f'record = "file:{FOLDER}/keys/record.pem"',
        f'log = "file:{FOLDER}/keys/log.pem"',
    ]
    if plan.post_quantum:
        lines.append(f'second = "file:{FOLDER}/keys/log-pq.pem"')
    lines += _table("s3", asdict(plan.s3))
    if plan.retention is not None:
        rule = asdict(plan.retention)
        lines += _table("retention", {**rule, "days": None} if plan.retention.profile else rule)
    return "\n".join(lines) + "\n"


def _table(name: str, members: Mapping[str, str | int | None]) -> list[str]:
    """Return the lines of a table of what is set; none where nothing is."""
    given = [f"{key} = {_quoted(value)}" for key, value in members.items() if value is not None]
    return ["", f"[{name}]", *given] if given else []


def _quoted(text: str | int) -> str:
    """Return a TOML basic string or number: JSON's form is one."""
    return json.dumps(text, ensure_ascii=False)


def _new_folder(folder: Path, undo: ExitStack) -> None:
    if folder.is_dir():
        return
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise ConfigError(f"can't make the folder {folder}: {error.strerror}") from error
    undo.callback(shutil.rmtree, folder, ignore_errors=True)


def _removed_on(undo: ExitStack, path: Path) -> Path:
    if not path.exists():
        undo.callback(path.unlink, missing_ok=True)
    return path


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"can't write {path}: {error.strerror}") from error


def _ignore(root: Path) -> bool:
    """Add the private folder to ``.gitignore`` unless it is there; return whether a line was added."""
    path = root / ".gitignore"
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if any(line.strip().strip("/") == FOLDER for line in text.splitlines()):
            return False
        with path.open("a", encoding="utf-8") as file:
            file.write(("" if not text or text.endswith("\n") else "\n") + IGNORED + "\n")
    except (OSError, UnicodeDecodeError):
        return False
    return True
