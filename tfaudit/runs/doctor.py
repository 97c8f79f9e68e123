"""Does tfaudit work on this machine, in this folder? One check after the other, each with what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tfaudit.engine import argv, brand, find, process
from tfaudit.engine.signals import Relay
from tfaudit.errors import ConfigError, LedgerError, TfauditError, UnavailableError
from tfaudit.runs.stack import stack_here

if TYPE_CHECKING:
    from tfaudit.config import Config
    from tfaudit.runs.run import World

Result = Literal["ok", "warning", "failed"]

CLOCK_TOLERANCE_SECONDS: Final = 60.0
LOW_SPACE_BYTES: Final = 256 << 20
WAIT_SECONDS: Final = 20
_PROBE: Final = "probe"
_NOT_IN_FORCE: Final = (
    "tfaudit keys list shows those in force; after a rotation that was cut off, run tfaudit keys rotate again"
)
# It counts the SIGTERMs that reach it, and says so when nothing more came for a while.
_COUNTING: Final = """
import signal, sys, time
seen = []
signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
print("ready", flush=True)
until = time.monotonic() + 10
while not seen and time.monotonic() < until:
    time.sleep(0.02)
time.sleep(0.2)
print(len(seen), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    result: Result
    message: str
    hint: str | None = None
    """What to do about it."""
    exit_code: int = 0
    """What doctor ends with if this is the first failure."""


def examine(config: Config, world: World, *, expires_within: int = 30, fix: bool = False) -> Iterator[Check]:
    """Yield what is found, in the order in which a run would need it; nothing raises.

    ``expires_within`` so many days a lock may end before that is said; ``fix`` installs what a sink needs.
    """
    yield _configuration(config)
    command: tuple[str, ...] | None = None
    try:
        command = find.command(world.environ, name=None, own=find.own_path())
        engine = brand.identify(command, world.environ, cache=brand.default_cache(world.environ))
    except TfauditError as error:
        yield _failed("engine", error)
    else:
        yield _engine(engine)
        yield from _guarded("stdout", lambda: _pass_through(command, world.environ))
        yield from _guarded("signals", lambda: _signals(world.environ))
    yield from _guarded("stack", lambda: _stack(config, world))
    if config.ledger is not None:
        if config.ledger.startswith("s3://"):
            yield from _bucket_checks(config, world, expires_within)
        else:
            yield from _guarded("keys", lambda: _keys(config, world))
            yield from _guarded("ledger", lambda: _ledger(config, world))
            yield from _guarded("working", lambda: _working(config))
            yield from _guarded("clock", lambda: _clock(config, world))
        yield from _guarded("spool", lambda: _spool(config, world))
        yield from _guarded("space", lambda: _space(config))
    yield from _gate_checks(config, world)
    if config.sinks or config.alerts:
        from tfaudit.runs import sink_doctor

        yield from sink_doctor.examine(config, world, fix=fix)


def _gate_checks(config: Config, world: World) -> Iterator[Check]:
    from tfaudit.runs import gate_doctor

    try:
        yield from gate_doctor.examine(config, world)
    except TfauditError as error:
        yield _failed("gate", error)
    except OSError as error:
        yield _failed("gate", LedgerError(f"{error.filename or 'gate'}: {error.strerror}"))


def _bucket_checks(config: Config, world: World, expires_within: int) -> Iterator[Check]:
    from tfaudit.runs import s3_doctor

    yield from _guarded("bucket", lambda: s3_doctor.bucket(config))
    yield from _guarded("retention", lambda: s3_doctor.retention(config))
    yield from _guarded("policy", lambda: s3_doctor.policy(config))
    yield from _guarded("working", lambda: s3_doctor.working(config))
    yield from _guarded("kms", lambda: s3_doctor.kms(config, world))
    yield from _guarded("keys", lambda: _keys(config, world))
    yield from _guarded("ledger", lambda: s3_doctor.ledger(config, world))
    yield from _guarded("expiry", lambda: s3_doctor.expiring(config, world, within=expires_within))
    yield from _guarded("clock", lambda: s3_doctor.clock(config))


def _guarded(name: str, check: Callable[[], Check]) -> Iterator[Check]:
    try:
        yield check()
    except TfauditError as error:
        yield _failed(name, error)
    except OSError as error:
        yield _failed(name, LedgerError(f"{error.filename or name}: {error.strerror}"))


def _failed(name: str, error: TfauditError) -> Check:
    return Check(name=name, result="failed", message=error.message, hint=error.hint, exit_code=error.exit_code)


def _configuration(config: Config) -> Check:
    if config.ledger is None:
        error = ConfigError(f"no ledger is set up for {config.root}", hint="run tfaudit setup")
        return _failed("configuration", error)
    if config.genesis is None:
        return Check(
            name="configuration",
            result="warning",
            message="no trust anchor is pinned: another ledger in this place would not be noticed",
            hint='set genesis = "sha256:…" in tfaudit.toml',
        )
    return Check(name="configuration", result="ok", message=str(config.file or "from the environment"))


def _engine(engine: brand.Engine) -> Check:
    if engine.brand == "unknown":
        return Check(
            name="engine",
            result="failed",
            message=f"{engine.path} does not say that it is Terraform or OpenTofu",
            hint="set TFAUDIT_ENGINE to the engine",
            exit_code=UnavailableError.exit_code,
        )
    return Check(name="engine", result="ok", message=f"{engine.brand} {engine.version} at {engine.path}")


def _pass_through(command: tuple[str, ...], environ: Mapping[str, str]) -> Check:
    """Compare a passed-through command with the engine's own: bytes of stdout, and the exit code of a mistake."""
    ours = (sys.executable, "-m", "tfaudit.entry")
    for arguments in (("version",), ("no-such-command",)):
        bare, wrapped = (_run((*start, *arguments), environ) for start in (command, ours))
        if bare.stdout != wrapped.stdout or bare.returncode != wrapped.returncode:
            return Check(
                name="stdout",
                result="failed",
                message=f"{arguments[0]} prints {len(wrapped.stdout)} bytes and ends with {wrapped.returncode} through "
                f"tfaudit, {len(bare.stdout)} and {bare.returncode} without",
                hint="is the engine on PATH itself a wrapper? set TFAUDIT_ENGINE to the real one",
                exit_code=UnavailableError.exit_code,
            )
    return Check(name="stdout", result="ok", message="stdout and exit codes are the engine's own")


def _run(command: tuple[str, ...], environ: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command,
            env={**environ, "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WAIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{Path(command[0]).name} did not answer in {WAIT_SECONDS} seconds") from error


def _signals(environ: Mapping[str, str]) -> Check:
    """Send this process a SIGTERM while a child runs as an engine would, and see how many arrive there."""
    lines: list[bytes] = []

    def on_line(line: bytes) -> None:
        lines.append(line)
        if line == b"ready":
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGTERM), daemon=True).start()

    started = time.monotonic()
    with Relay() as relay:
        call = argv.Call(args=("-c", _COUNTING), env=dict(environ))
        process.run_lines((sys.executable,), call, relay=relay, on_line=on_line)
    arrived = lines[-1].decode(errors="replace") if lines else "none"
    if arrived != "1":
        return Check(
            name="signals",
            result="failed",
            message=f"of one SIGTERM the engine would get {arrived}",
            hint="report it with the output of uname -a",
            exit_code=UnavailableError.exit_code,
        )
    took = round((time.monotonic() - started) * 1000)
    return Check(name="signals", result="ok", message=f"a signal reaches the engine exactly once ({took} ms)")


def _stack(config: Config, world: World) -> Check:
    return Check(name="stack", result="ok", message=stack_here(config, world))


def _keys(config: Config, world: World) -> Check:
    from tfaudit.runs.ledgers import open_ledger
    from tfaudit.signing.signer import open_signer

    keys = open_ledger(config, world).reader().state.keys
    record = open_signer(config.signer_record, base=config.root).public.keyid
    if keys.signer(record) is None:
        raise ConfigError(f"the ledger does not accept the record key {record[:16]}…", hint=_NOT_IN_FORCE)
    if config.signer_log is None:
        return Check(name="keys", result="ok", message="the record key is accepted; a sequencer holds the log's key")
    log = open_signer(config.signer_log, base=config.root).public.keyid
    if all(key.public.keyid != log for key in keys.log):
        raise ConfigError(f"the ledger does not accept the log key {log[:16]}…", hint=_NOT_IN_FORCE)
    return Check(
        name="keys",
        result="ok",
        message="record and log key are accepted; who holds both can sign another history: keep checkpoints elsewhere",
    )


def _ledger(config: Config, world: World) -> Check:
    """Write, read back, and look at the head."""
    from tfaudit.ledger import ids
    from tfaudit.ledger.folder import FolderStore
    from tfaudit.ledger.store import read
    from tfaudit.runs.ledgers import evidence_location, open_reader

    reader = open_reader(config)
    store = FolderStore(Path(evidence_location(config)))
    key = f"probe/{ids.new_record_id(ids.milliseconds(world.clock()), world.entropy)}"
    content = world.entropy(32)
    if not store.create(key, content) or read(store, key, limit=64) != content:
        raise LedgerError(f"what is written to {config.ledger} does not read back")
    if store.create(key, b"again"):
        raise LedgerError(f"{config.ledger} lets an object be written twice", hint="it can't be trusted with a ledger")
    store.remove(key)
    return Check(name="ledger", result="ok", message=f"{reader.origin}, size {reader.state.size}, can be written")


def _working(config: Config) -> Check:
    """Write and remove what no reader looks at: without disclosures nothing is recorded."""
    from tfaudit.runs.ledgers import working_of

    store = working_of(config)
    store.replace(_PROBE, b"tfaudit doctor\n")
    store.remove(_PROBE)
    return Check(name="working", result="ok", message=f"{config.working} can be written and erased")


def _clock(config: Config, world: World) -> Check:
    """Compare the machine's clock with the file system's, which is a server's on a network."""
    probe = config.spool / f"clock-{world.entropy(8).hex()}"
    probe.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    probe.touch(mode=0o600)
    try:
        skew = probe.stat().st_mtime - world.clock().timestamp()
    finally:
        probe.unlink()
    if abs(skew) > CLOCK_TOLERANCE_SECONDS:
        return Check(
            name="clock",
            result="warning",
            message=f"the clock and the file system's are {abs(skew):.0f} seconds apart",
            hint="set the clock by NTP: records would look back-dated",
        )
    return Check(name="clock", result="ok", message=f"within {abs(skew):.1f} seconds of the file system's")


def _spool(config: Config, world: World) -> Check:
    from tfaudit.runs.ledgers import open_ledger

    waiting = len(open_ledger(config, world).spool.waiting())
    if waiting:
        return Check(
            name="spool",
            result="warning",
            message=f"{waiting} records wait in {config.spool}",
            hint="tfaudit recover sends them",
        )
    return Check(name="spool", result="ok", message="nothing waits")


def _space(config: Config) -> Check:
    folders = [Path(url) for url in (config.ledger, config.working) if url is not None and "://" not in url]
    places = [config.spool, *(folder for folder in folders if folder.is_dir())]
    free, place = min((_free(place), place) for place in places)
    if free < LOW_SPACE_BYTES:
        return Check(
            name="space",
            result="warning",
            message=f"{free >> 20} MiB are free where {place} lies",
            hint="make room: without it an apply stops before it changes anything",
        )
    return Check(name="space", result="ok", message=f"{free >> 20} MiB free")


def _free(place: Path) -> int:
    status = os.statvfs(place)
    return status.f_bavail * status.f_frsize
