"""Which version is the state in now: read from the file where the backend is local, asked of the engine elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import msgspec

from tfaudit.engine import process, stored
from tfaudit.engine.argv import state_pull_call
from tfaudit.engine.signals import Relay
from tfaudit.errors import InputError, TfauditError
from tfaudit.runs.facts import StateId
from tfaudit.runs.run import Run

MAX_STATE_BYTES: Final = 1 << 30


def current(run: Run, relay: Relay, *, after: bool = False) -> StateId | None:
    """Return lineage and serial of the state as it is stored now; ``after`` the command, which may write elsewhere.

    ``StateId("", 0)`` where there is none yet, None where it can't be read: the record then says nothing of it.
    """
    try:
        path = run.workdir.state_path(run.invocation, after=after)
        found = stored.read_state_id(path) if path is not None else _pulled(run, relay)
    except TfauditError:
        return None
    return StateId(lineage=found.lineage, serial=found.serial) if found else StateId(lineage="", serial=0)


def _pulled(run: Run, relay: Relay) -> stored.StateId | None:
    return stored.parse_state_id(_pull(run, relay), what="what state pull printed")


def _pull(run: Run, relay: Relay) -> bytes:
    call = state_pull_call(run.invocation, run.world.environ)
    pulled = process.capture(run.engine.command, call, relay=relay, limit=MAX_STATE_BYTES)
    if pulled.ended.code != 0:
        raise InputError(f"the engine's state pull ended with {pulled.ended.code}")
    return pulled.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A state as it is stored now."""

    id: StateId
    addresses: frozenset[str]
    """Of every current object, with instance keys, as the plan spells them."""
    tainted: frozenset[str]
    """Those of them that were not wholly made."""


class _Instance(msgspec.Struct):
    index_key: str | int | None = None
    deposed: str | None = None
    status: str | None = None


class _Resource(msgspec.Struct):
    type: str
    name: str
    mode: str = "managed"
    module: str | None = None
    instances: list[_Instance] = []


class _Whole(msgspec.Struct):
    lineage: str = ""
    serial: int = 0
    resources: list[_Resource] = []


_whole: Final = msgspec.json.Decoder(_Whole)


def seen(run: Run, relay: Relay) -> Seen | None:
    """Return what the state holds now; None where it can't be read. No value of it is looked at."""
    try:
        path = run.workdir.state_path(run.invocation)
        data = path.read_bytes() if path is not None and path.is_file() else b""
        if path is None:
            data = _pull(run, relay)
        whole = _whole.decode(data) if data.strip() else _Whole()
    except (TfauditError, OSError, msgspec.MsgspecError, RecursionError):
        return None
    found = [
        (_address(resource, instance), instance.status)
        for resource in whole.resources
        for instance in resource.instances
        if instance.deposed is None
    ]
    return Seen(
        id=StateId(lineage=whole.lineage, serial=whole.serial),
        addresses=frozenset(address for address, _ in found),
        tainted=frozenset(address for address, status in found if status == "tainted"),
    )


def _address(resource: _Resource, instance: _Instance) -> str:
    parts = [resource.module] if resource.module else []
    parts += ["data"] if resource.mode == "data" else []
    key = instance.index_key
    suffix = "" if key is None else f"[{key}]" if isinstance(key, int) else f"[{_quoted(key)}]"
    return ".".join([*parts, resource.type, resource.name + suffix])


def _quoted(key: str) -> str:
    """Return an instance key as the engine writes it in an address: HCL's quoting."""
    text = json.dumps(key, ensure_ascii=False)
    return text.replace("${", "$${").replace("%{", "%%{")


def rose(before: StateId | None, after: StateId | None) -> bool | None:
    """Whether the state was written between the two; None where either is not known."""
    if before is None or after is None:
        return None
    return after.lineage != before.lineage or after.serial > before.serial
