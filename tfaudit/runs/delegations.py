"""Did a person's own key sign that an agent acts for them, and how do they sign it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfaudit import canonical
from tfaudit.errors import ConfigError, InputError
from tfaudit.identity.delegation import MAX_BYTES, NAMESPACE, PAYLOAD_TYPE, Signed

if TYPE_CHECKING:
    from pathlib import Path

    from tfaudit.config import Config
    from tfaudit.gate.model import ApproverKey
    from tfaudit.identity.delegation import Delegation
    from tfaudit.runs.run import World
    from tfaudit.signing.person import PersonKey
    from tfaudit.signing.sshkeys import SshKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StackChecker:
    """Checks delegations for a run on one stack."""

    approvers: tuple[ApproverKey, ...]
    """Whose keys are known; none: only ``[identities]`` tells."""
    stack: str | None
    """None: whatever the stack."""
    now: int
    """Milliseconds since the epoch, at which a key must be valid."""

    def open(self, envelope: bytes) -> Signed:
        """Return what an envelope holds; :class:`InputError` for a broken one and for a signature that is wrong."""
        from tfaudit.gate import allowed_signers
        from tfaudit.signing import b64

        if len(envelope) > MAX_BYTES:
            raise InputError(f"the delegation is longer than {MAX_BYTES} bytes")
        match canonical.decode(envelope, what="the delegation's envelope"):
            case {
                "payload": str(text),
                "payloadType": str(kind),
                "signatures": [{"keyid": str(keyid), **member}],
                **rest,
            } if kind == PAYLOAD_TYPE and not rest:
                payload = b64.decode(text, what="the delegation's payload")
                key = _signer(keyid, member, payload)
            case _:
                raise InputError("this is no envelope of a delegation with one signature")
        lines = allowed_signers.find(self.approvers, key.fingerprint, self.now)
        principals = tuple(dict.fromkeys(name for line in lines for name in line.principals))
        return Signed(payload=payload, fingerprint=key.fingerprint, principals=principals)

    def covers(self, stacks: tuple[str, ...]) -> bool:
        """Tell whether the stack at hand is among the patterns; no pattern means every stack."""
        from tfaudit.config.stackpattern import matches

        return not stacks or self.stack is None or any(matches(pattern, self.stack) for pattern in stacks)


def write(
    config: Config,
    world: World,
    path: Path,
    *,
    agent: str,
    person: str | None,
    key: str | None,
    stacks: tuple[str, ...],
    expires: str,
) -> Delegation:
    """Write a person's signed word that an agent acts for them, and return what it says.

    ``key`` and ``person`` (as in the approvers file) may be left out where git's signing key and that file tell them.
    Raises :class:`ConfigError` for a key that can't sign or is nobody's, :class:`InputError` where the file exists.
    """
    from datetime import timedelta

    from tfaudit.config import durations
    from tfaudit.export.whole import whole_file
    from tfaudit.identity.delegation import Delegation, build
    from tfaudit.runs.approver import default_key
    from tfaudit.signing.person import open_person

    lasts = durations.parse(expires, what="--expires", most=timedelta(days=30))
    mine = open_person(key or default_key(world.environ, world.cwd), base=world.cwd)
    made = world.clock().replace(microsecond=0)
    delegation = Delegation(
        agent=agent,
        person=person or _owner(config, mine.key),
        stacks=stacks,
        made=made,
        expires=made + lasts,
        nonce=world.entropy(16).hex(),
    )
    envelope = sign(build(delegation), mine)
    with whole_file(path) as stream:
        stream.write(envelope + b"\n")
    return delegation


def _owner(config: Config, key: SshKey) -> str:
    """Return whose key it is by the approvers file, where that leaves no doubt."""
    from tfaudit.gate import allowed_signers

    path = config.gate.approvers if config.gate else None
    lines = [line for line in (allowed_signers.read(path) if path else ()) if line.key == key.fingerprint]
    found = {name for line in lines for name in line.principals}
    if len(found) != 1:
        raise ConfigError(f"whose key {key.fingerprint} is, no approvers file says", hint="--as NAME")
    return found.pop()


def sign(payload: bytes, key: PersonKey) -> bytes:
    """Return the envelope of a delegation's document, signed by a person's key, as one line without its newline."""
    from tfaudit.signing import b64
    from tfaudit.signing.envelope import pae

    signature = key.sign(pae(PAYLOAD_TYPE, payload), NAMESPACE)
    member = {"keyid": signature.key.fingerprint}
    if signature.sshsig is not None:
        member["sshsig"] = signature.sshsig
    else:
        member |= {"public": signature.key.text, "sig": b64.encode(signature.plain or b"")}
    return canonical.encode({"payload": b64.encode(payload), "payloadType": PAYLOAD_TYPE, "signatures": [member]})


def _signer(keyid: str, member: Mapping[Any, Any], payload: bytes) -> SshKey:
    """Return the key that signed the document, its signature checked."""
    from tfaudit.signing import b64, sshkeys, sshsig
    from tfaudit.signing.envelope import pae

    message = pae(PAYLOAD_TYPE, payload)
    match member:
        case {"sshsig": str(armored), **rest} if not rest:
            found = sshsig.parse(armored, what="the delegation's signature")
            key, good = found.key, found.verified(message, NAMESPACE) is not None
        case {"public": str(text), "sig": str(encoded), **rest} if not rest:
            key = sshkeys.parse_text(text, what="the delegation's key")
            public = sshkeys.record_key(key)
            signature = b64.decode(encoded, what="the delegation's signature")
            good = public is not None and public.verify(signature, message)
        case _:
            raise InputError("the delegation has no signature of a known form")
    if not good or key.fingerprint != keyid:
        raise InputError(f"the delegation's signature is not by {key.fingerprint}")
    return key
