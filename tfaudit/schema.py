"""Does a document have the public format that its schema describes?

The schemas are JSON Schema 2020-12, one file a format and version. A wheel carries them inside the package; in an
editable install they are the repository's own ``schemas/``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfaudit.errors import InputError, InternalError

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError
    from referencing import Resource

SUFFIX: Final = ".schema.json"


def folder() -> Path:
    """Return the folder that holds the schema files of this installation.

    Raises :class:`InternalError` if the installation carries none.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "schemas", package.parent / "schemas"):
        if any(candidate.glob(f"*{SUFFIX}")):
            return candidate
    raise InternalError("this installation carries no schemas", hint="install tfaudit again")


def names() -> tuple[str, ...]:
    """Return the names of all schemas with their versions, such as ``verify-report.v1``, in order."""
    return tuple(sorted(path.name.removesuffix(SUFFIX) for path in folder().glob(f"*{SUFFIX}")))


def load(name: str) -> dict[str, Any]:
    """Return the schema called ``name`` as parsed JSON.

    Raises :class:`InternalError` if there is none of that name, or if it is broken.
    """
    path = folder() / f"{name}{SUFFIX}"
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InternalError(f"there is no schema {name!r}", hint=f"known: {', '.join(names())}") from error
    except (OSError, ValueError) as error:
        raise InternalError(f"the schema {path} can't be read") from error
    if not isinstance(document, dict):
        raise InternalError(f"the schema {path} is not an object")
    return document


def validate(name: str, document: object) -> None:
    """Return if ``document``, as parsed from JSON, has the format ``name``.

    Raises :class:`InputError` with one line: where the document departs from the schema, and from which of its rules.
    The line holds no value of the document, since that may be a secret; unknown and missing keys it names.
    """
    from jsonschema.exceptions import best_match

    error = best_match(validator(name).iter_errors(document))
    if error is not None:
        raise InputError(f"not a {name} document: {_explain(error)}")


def validator(name: str) -> Draft202012Validator:
    """Return a validator of the format ``name``, for checking many documents; references are read from here alone."""
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    def retrieve(uri: str) -> Resource[Any]:
        return Resource.from_contents(load(uri.rpartition(":")[2].rpartition("/")[2].removesuffix(SUFFIX)))

    return Draft202012Validator(load(name), registry=Registry(retrieve=retrieve))  # type: ignore[call-arg]


def _explain(error: ValidationError) -> str:
    where = "".join(f"/{step}" for step in error.absolute_path) or "the top"
    return f"at {where}: {_rule(error)}"


def _rule(error: ValidationError) -> str:
    rule, wanted, found = str(error.validator), error.validator_value, error.instance
    match rule:
        case "additionalProperties" | "unevaluatedProperties" if isinstance(found, dict):
            known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            return f"unknown key {', '.join(sorted(repr(key) for key in found if key not in known))}"
        case "required" if isinstance(found, dict) and isinstance(wanted, list):
            return f"missing key {', '.join(repr(key) for key in wanted if key not in found)}"
        case "type" | "enum" | "const" | "pattern" | "minimum" | "maximum" | "minItems" | "minLength" | "maxLength":
            return f"{rule} must be {json.dumps(wanted)}"
        case _:
            return f"breaks the rule {rule!r}"
