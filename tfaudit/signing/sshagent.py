"""Which keys does the SSH agent hold, and what is its signature over these bytes?

https://datatracker.ietf.org/doc/html/draft-ietf-sshm-ssh-agent, over the socket that ``SSH_AUTH_SOCK`` names.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from tfaudit.canonical import frame
from tfaudit.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MESSAGE: Final = 256 * 1024
"""What OpenSSH's agent takes and sends at most."""
TIMEOUT: Final = 60.0
"""Seconds: a person may have to confirm, or to touch a device."""

_REQUEST_IDENTITIES: Final = 11
_IDENTITIES_ANSWER: Final = 12
_SIGN_REQUEST: Final = 13
_SIGN_RESPONSE: Final = 14
_MAX_IDENTITIES: Final = 2048


class Identity(NamedTuple):
    """One key that the agent holds."""

    blob: bytes
    """The public key in SSH's wire form (RFC 4253, section 6.6)."""
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An SSH agent; each call is a connection of its own."""

    path: str
    """Its socket."""

    def identities(self) -> tuple[Identity, ...]:
        """Return the keys it holds now; :class:`UnavailableError` when it can't be asked."""
        answer = self._ask(bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER, "it does not list its keys")
        count = answer.number()
        if count > _MAX_IDENTITIES:
            raise self._unusable()
        return tuple(Identity(answer.text(), answer.text().decode("utf-8", "replace")) for _ in range(count))

    def sign(self, blob: bytes, message: bytes) -> tuple[str, bytes]:
        """Return (algorithm, signature) of the key with this public half over ``message``.

        Raises :class:`ConfigError` where the agent refuses, :class:`UnavailableError` when it can't be asked.
        """
        request = bytes([_SIGN_REQUEST]) + frame(blob, message) + bytes(4)
        answer = self._ask(request, _SIGN_RESPONSE, "it refuses to sign, or someone did not confirm")
        parts = Wire(answer.text())
        return parts.text().decode("ascii", "replace"), parts.text()

    def _ask(self, request: bytes, wanted: int, refusal: str) -> Wire:
        if len(request) > MAX_MESSAGE:
            raise ConfigError(f"the SSH agent can't sign {len(request)} bytes", hint="sign with a file: or awskms: key")
        with self._connected() as connection:
            connection.sendall(frame(request))
            length = int.from_bytes(_receive(connection, 4), "big")
            if not 1 <= length <= MAX_MESSAGE:
                raise self._unusable()
            answer = _receive(connection, length)
        if answer[0] != wanted:
            raise ConfigError(f"the SSH agent at {self.path}: {refusal}", hint="ssh-add -l lists the agent's keys")
        return Wire(answer[1:])

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(TIMEOUT)
                connection.connect(self.path)
                yield connection
        except OSError as error:
            raise UnavailableError(
                f"the SSH agent at {self.path} does not answer: {error.strerror or type(error).__name__}",
                hint="is ssh-agent running, and SSH_AUTH_SOCK its socket?",
            ) from error

    def _unusable(self) -> UnavailableError:
        return UnavailableError(f"what answers at {self.path} is no SSH agent")


def _receive(connection: socket.socket, count: int) -> bytes:
    parts: list[bytes] = []
    while count:
        part = connection.recv(min(count, 1 << 16))
        if not part:
            raise ConnectionResetError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Wire:
    """Numbers and strings of SSH's wire form, read from the front (RFC 4251, section 5)."""

    def __init__(self, content: bytes) -> None:
        self._rest = content

    def number(self) -> int:
        """Return the next four bytes as a number."""
        return int.from_bytes(self._take(4), "big")

    def text(self) -> bytes:
        """Return the next string."""
        return self._take(self.number())

    def integer(self) -> int:
        """Return the next mpint."""
        return int.from_bytes(self.text(), "big", signed=True)

    def _take(self, count: int) -> bytes:
        if count > len(self._rest):
            raise UnavailableError("the SSH agent's answer is cut off")
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
