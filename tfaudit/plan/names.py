"""Which attribute names say that their value is a secret, although the engine does not?

A name speaks by its last word: ``master_password`` and ``clientSecret`` do, ``password_policy`` and ``secret_arn``
don't. Users add patterns (``redact``) and take some back (``keep``); the engine's own marks can't be taken back.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tfaudit.errors import ConfigError
from tfaudit.plan.exactjson import Json

_WORDS: Final = (
    r"pass(?:word|wd|phrase|code)|pwd|secret|token|credentials?|(?:private|secret|api|access|account|shared|signing|"
    r"encryption|license|client|ssl|tls|master|auth|deploy|admin|host|ssh_private)_?key|(?:primary|secondary)_access_key|"
    r"key_material|connection_string|conn_?str(?:ing)?|kube_?config(?:_raw)?|psk|pre_?shared_key|dsn|pfx|pkcs12|htpasswd|"
    r"sas_(?:token|url)|webhook_url|jaas_config|community_string|bearer|otp_seed|secret_(?:string|binary|data|value|text)|"
    r"(?:basic|http)_auth"
)
_NAME: Final = re.compile(rf"(?:^|_)(?:{_WORDS})(?:s|_wo|_value|_plain(?:text)?|_base64|_hash|_encrypted|_pem|_?\d+)*$")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CACHED: Final = 65_536

LABELLED: Final = frozenset({"value", "Value", "default", "Default"})

Pattern = Callable[[str, str], bool]


class NameRules:
    """Decides by attribute name; ``redact`` and ``keep`` are the user's patterns.

    A pattern is a glob for the attribute's name (``*_pin``), a glob with a dot for type and path
    (``aws_db_instance.endpoint``, ``*.tags.owner``), or a regular expression between slashes searched in type and path.
    Letter case does not matter. Raises :class:`ConfigError` for a regular expression that can't be read.
    """

    def __init__(self, *, redact: Sequence[str] = (), keep: Sequence[str] = ()) -> None:
        self._kept: Final = tuple(keep)
        self._redact: Final = tuple(_pattern(pattern) for pattern in redact)
        self._keep: Final = tuple(_pattern(pattern) for pattern in keep)
        self.by_path: Final = any("." in pattern or pattern.startswith("/") for pattern in (*redact, *keep))
        self.custom: Final = bool(redact)
        self._cache: Final[dict[tuple[str, str], bool]] = {}

    def withhold(self, resource_type: str, name: str, path: str) -> bool:
        """Return whether the attribute ``name`` at the dotted ``path`` of a ``resource_type`` is secret by its name."""
        key = (resource_type, path) if self.by_path else ("", name)
        known = self._cache.get(key)
        if known is None:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            known = self._cache[key] = self._decide(name, f"{resource_type}.{path}")
        return known

    def without_redact(self) -> NameRules:
        """Return the rules without the user's ``redact``; their ``keep`` stays."""
        return NameRules(keep=self._kept) if self.custom else self

    def _decide(self, name: str, path: str) -> bool:
        if any(matches(name, path) for matches in self._keep):
            return False
        return any(matches(name, path) for matches in self._redact) or is_secret_name(name)


def is_secret_name(name: str) -> bool:
    """Return whether ``name`` by its last word (snake, kebab or camel case) names a secret."""
    return _NAME.search(_CAMEL.sub("_", name).replace("-", "_").replace(".", "_").lower()) is not None


def labels_secret(value: Mapping[str, Json]) -> bool:
    """Return whether an object names its own ``value`` a secret: ``{"name": "DB_PASSWORD", "value": …}``.

    Container environments, app settings and parameter lists are written this way.
    """
    return any(isinstance(value.get(key), str) and is_secret_name(value[key]) for key in ("name", "Name", "key", "Key"))


def _pattern(pattern: str) -> Pattern:
    if len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            expression = re.compile(pattern[1:-1], re.IGNORECASE)
        except re.error as error:
            raise ConfigError(f"the redaction pattern {pattern} is not a regular expression: {error}") from error
        return lambda _name, path: expression.search(path) is not None
    glob = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    if "." in pattern:
        return lambda _name, path: glob.match(path) is not None
    return lambda name, _path: glob.match(name) is not None
