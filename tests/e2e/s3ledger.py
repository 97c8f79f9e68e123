"""A small ledger in buckets of an AWS emulator, and how a test lays hands on it and verifies it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import support

from tfaudit.config import Retention, S3Settings
from tfaudit.events.model import EventLine
from tfaudit.ledger import genesis, ids
from tfaudit.ledger.keyset import AcceptedSigner, KeySet
from tfaudit.ledger.log import Ledger, Receipt, create_ledger
from tfaudit.ledger.s3 import Bucket
from tfaudit.ledger.s3_evidence import EvidenceBucket
from tfaudit.ledger.s3_working import WorkingBucket
from tfaudit.signing.note import NoteKey
from tfaudit.signing.signer import FileSigner, create_key_file

ORIGIN = "ledger.example/s3"
REGION = "eu-west-1"
RULE = Retention(mode="GOVERNANCE", days=400)
EVENT = EventLine(b'{"action":"create","address":"a.b","kind":"resource-change"}', b"")
STATE = "5a" * 32
_names = itertools.count()


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Keys:
    """The keys of all ledgers of a test run."""

    root: FileSigner
    log: FileSigner
    record: FileSigner

    @classmethod
    def make(cls, folder: Path) -> Keys:
        """Make them in a folder."""
        return cls(*(create_key_file(folder / f"{name}.pem") for name in ("root", "log", "record")))


class S3Ledger:
    """A ledger in two buckets of its own."""

    def __init__(self, address: str, folder: Path, keys: Keys, *, rule: Retention | None = RULE) -> None:
        self.address = address
        self.folder = folder
        self.keys = keys
        self.rule = rule
        self.name = f"verify{os.getpid()}-{next(_names)}"
        for kind in ("evidence", "working"):
            self.client.create_bucket(
                Bucket=f"{self.name}-{kind}",
                ObjectLockEnabledForBucket=kind == "evidence",
                CreateBucketConfiguration={"LocationConstraint": REGION},
            )
        start = KeySet(
            generation=0,
            root=keys.root.public,
            log=(NoteKey(name=ORIGIN, public=keys.log.public),),
            signers=(AcceptedSigner(public=keys.record.public, writers=("ci", "people")),),
        )
        raw = genesis.create(origin=ORIGIN, keys=start, nonce=bytes(32), time=ids.milliseconds(now()))
        create_ledger(self.evidence(), raw)
        self.anchor = genesis.parse(raw).digest

    @cached_property
    def client(self) -> Any:
        """A client that may do everything."""
        import botocore.session

        return botocore.session.Session().create_client("s3", region_name=REGION, endpoint_url=self.address, **_LOGIN)

    def evidence(self, address: str | None = None) -> EvidenceBucket:
        """Return the evidence store as a new process has it."""
        return EvidenceBucket(LoggedIn(f"s3://{self.name}-evidence/a", self._settings(address)), self.rule)

    def working(self, address: str | None = None) -> WorkingBucket:
        """Return the working store as a new process has it."""
        return WorkingBucket(LoggedIn(f"s3://{self.name}-working/a", self._settings(address)))

    def open(self, writer: str = "ci", **changes: Any) -> Ledger:
        """Open it as a writer."""
        values: dict[str, Any] = {
            "evidence": self.evidence(),
            "working": self.working(),
            "spool": self.folder / f"spool-{self.name}",
            "signer": self.keys.record,
            "log_signer": self.keys.log,
            "writer": writer,
            "genesis_digest": self.anchor,
            "clock": now,
            "entropy": os.urandom,
        }
        return Ledger.open(**{**values, **changes})

    def append(self, ledger: Ledger, kind: str = "plan", **facts: object) -> Receipt:
        """Append a record with an event and a disclosure."""
        with ledger.draft(kind) as draft:
            draft.add(EVENT)
            return ledger.append(draft, {"actor": draft.disclose("/actor", b'"octocat"'), **facts})

    def run(self, ledger: Ledger, serial: int) -> tuple[Receipt, Receipt]:
        """Append the intent and outcome of an apply that found the state at ``serial``."""
        before = {"lineage": "one", "serial": serial} if serial else {"lineage": "", "serial": 0}
        after = {"lineage": "one", "serial": serial + 1}
        decision = {"decision": "not-gated", "reasons": []}
        intent = self.append(ledger, "intent", state={"key": STATE, "before": before}, decision=decision)
        closing = {"intent": intent.record_id, "result": {"status": "applied"}}
        state = {"key": STATE, "before": before, "after": after}
        return intent, self.append(ledger, "outcome", state=state, **closing)

    def object(self, key: str) -> dict[str, str]:
        """Return how a request names an object of the evidence."""
        return {"Bucket": f"{self.name}-evidence", "Key": f"a/{key}"}

    def put(self, key: str, body: bytes, **more: Any) -> str:
        """Put a version on top of what is there, unconditionally, and return its id."""
        answer = self.client.put_object(**self.object(key), Body=body, ChecksumAlgorithm="SHA256", **more)
        return str(answer["VersionId"])

    def get(self, key: str) -> bytes:
        """Return what stands on top."""
        return bytes(self.client.get_object(**self.object(key))["Body"].read())

    def mark_deleted(self, key: str) -> None:
        """Put a delete marker on top."""
        self.client.delete_object(**self.object(key))

    def destroy(self, key: str) -> None:
        """Remove every version, past the lock."""
        listed = self.client.list_object_versions(Bucket=self.object(key)["Bucket"], Prefix=f"a/{key}")
        for one in [*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())]:
            self.client.delete_object(**self.object(key), VersionId=one["VersionId"], BypassGovernanceRetention=True)

    def lock(self, key: str, *, days: int, mode: str = "GOVERNANCE") -> None:
        """Let an object be locked until so many days from now."""
        rule = {"Mode": mode, "RetainUntilDate": now() + timedelta(days=days)}
        self.client.put_object_retention(**self.object(key), Retention=rule, BypassGovernanceRetention=True)

    def keys_under(self, prefix: str) -> list[str]:
        """Return the keys that stand under a prefix."""
        listed = self.client.list_objects_v2(Bucket=f"{self.name}-evidence", Prefix=f"a/{prefix}")
        return [one["Key"][2:] for one in listed.get("Contents", ())]

    def verify(self, *more: str, address: str | None = None, **environment: str) -> Verified:
        """Run ``tfaudit verify --json`` as an auditor without a configuration does."""
        home = self.folder / "auditor"
        home.mkdir(exist_ok=True)
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": "auditor",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": address or self.address,
            "TFAUDIT_LEDGER": f"s3://{self.name}-evidence/a",
            "TFAUDIT_WORKING": f"s3://{self.name}-working/a",
            **environment,
        }
        command = [str(support.TFAUDIT), "verify", "--json", "--genesis", self.anchor, *more]
        done = subprocess.run(
            command, capture_output=True, text=True, env=variables, cwd=home, timeout=120, check=False
        )
        return Verified(done.returncode, done.stdout, done.stderr)

    def _settings(self, address: str | None) -> S3Settings:
        return S3Settings(endpoint_url=address or self.address, region=REGION)


@dataclass(frozen=True)
class Verified:
    """What came of one run of verify."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """What it printed."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        """Code, severity and place of each finding, sorted."""
        return sorted((one["code"], one["severity"], one["where"]) for one in self.report["findings"])


class LoggedIn(Bucket):
    """A bucket with credentials that do not depend on this process's environment."""

    def _connect(self) -> Any:
        saved = {name: os.environ.get(name) for name in _ENVIRONMENT}
        os.environ.update(_ENVIRONMENT)
        try:
            return super()._connect()
        finally:
            for name, value in saved.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


_LOGIN = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
_ENVIRONMENT = {name.upper(): value for name, value in _LOGIN.items()}
