"""What is everything that can be configured: one frozen :class:`Config`.

The types of the gate, the policy and identities are in :mod:`tfaudit.config.gating`, those of sinks and alerts in
:mod:`tfaudit.config.delivering`; each is only imported where something is configured there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from tfaudit.config.delivering import AlertSettings, DeliverySettings, SinkSettings
    from tfaudit.config.gating import GateSettings, IdentitySettings, PolicySettings
    from tfaudit.config.retention import Retention

OnLedgerFailure = Literal["stop", "spool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """What is set for S3 beside the ordinary AWS configuration, which holds where a setting is None."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    kms_key_id: str | None = None
    """The KMS key that objects are encrypted with; None: as the bucket says."""


NO_S3_SETTINGS: Final = S3Settings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that is configured, checked, with paths made absolute. Absent means absent in every source."""

    file: Path | None
    """The ``tfaudit.toml`` that was read, if any."""
    root: Path
    """The folder that relative paths start from: the file's own, else the working directory."""
    ledger: str | None
    """Absolute folder path or ``s3://bucket/prefix`` of the evidence store; None when nothing is set up."""
    working: str
    """The working store: disclosures and derived files."""
    default_working: str
    """Where that is when nothing names it: a folder of this machine."""
    spool: Path
    """Where signed records wait when the ledger can't be reached; always a folder."""
    stack: str | None
    """The stack's name, with ``{path}`` and ``{workspace}`` filled in by the run; None: derived from the repository."""
    writer: str | None
    """The prefix under ``records/`` that this role writes to; None: derived from where the run takes place."""
    on_ledger_failure: OnLedgerFailure
    """Whether an apply stops (default) or goes on with its record in the spool when the ledger is away."""
    failure_is_own: bool = False
    """Whether nobody but the repository's file says so, which its authors can change."""
    stack_is_own: bool = False
    """Whether nobody but the repository's file says what the stack is called, if anybody does."""
    genesis: str | None
    """The trust anchor, ``sha256:`` and 64 hexadecimal digits."""
    signer_record: str
    """URI of the key that signs records."""
    signer_log: str | None
    """URI of the key that signs checkpoints; None: this role only stages, a sequencer commits."""
    signer_second: str | None
    """URI of an ML-DSA-44 key for a second signature on checkpoints; None: one signature."""
    redact: tuple[str, ...]
    """Further attribute-name patterns whose values are withheld."""
    keep: tuple[str, ...]
    """Patterns exempt from the default name patterns; never from the engine's own marks."""
    audit_reads: bool
    """Whether commands that read secrets leave an ``access`` record."""
    s3: S3Settings = NO_S3_SETTINGS
    retention: Retention | None = None
    """None: as the bucket's default says."""
    gate: GateSettings | None = None
    """The ``[gate]`` table of the repository, as the environment tightens it; None: the repository gates nothing."""
    floor: GateSettings | None = None
    """The machine's own ``[gate]``: the repository may only tighten it."""
    policy: PolicySettings | None = None
    identity_set: IdentitySettings | None = None
    """The ``[identity]`` table; None where there is none. :attr:`identity` is what holds."""
    identities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``[identities]``: a person's name to all names that are theirs, such as ``github:583231``."""
    delivery_set: DeliverySettings | None = None
    """The ``[delivery]`` table; None where there is none. :attr:`delivery` is what holds."""
    sinks: tuple[SinkSettings, ...] = ()
    """Where copies of the records go: the machine's own first."""
    alerts: tuple[AlertSettings, ...] = ()
    """Who is told of what."""

    @property
    def delivery(self) -> DeliverySettings:
        """What is configured about delivery, the defaults where nothing is."""
        from tfaudit.config.delivering import DeliverySettings

        return self.delivery_set or DeliverySettings()

    @property
    def identity(self) -> IdentitySettings:
        """What is configured about identities, the defaults where nothing is."""
        from tfaudit.config.gating import IdentitySettings

        return self.identity_set or IdentitySettings()
