"""What is withheld, and what is not."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.errors import ConfigError
from tfaudit.plan import tokens
from tfaudit.plan.names import NameRules, is_secret_name
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import MASK, KnownSecrets

SECRET = 'S3cr<et>&"x/y\\z+w'


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "master_password",
        "adminPassword",
        "db-passwd",
        "client_secret",
        "clientSecret",
        "DB_PASSWORD",
        "token",
        "api_key",
        "apiKeys",
        "private_key_pem",
        "primary_access_key",
        "connection_string",
        "secret_string",
        "password_wo",
        "kube_config_raw",
        "GITHUB_TOKEN",
        "passphrase",
        "credentials",
    ],
)
def test_names_of_secrets(name: str) -> None:
    """A name whose last word says secret is one, in snake, kebab and camel case."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "password_policy",
        "secret_arn",
        "secret_id",
        "key_name",
        "kms_key_id",
        "token_url",
        "public_key",
        "key",
        "password_length",
        "tags",
        "max_password_age",
        "authorization",
        "password_wo_version",
    ],
)
def test_names_that_only_sound_like_it(name: str) -> None:
    """A name that speaks about secrets is not one."""
    assert not is_secret_name(name)


TOKENS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2c3D4" * 4,
    "glpat-" + "abcdefghij0123456789",
    "xoxb-" + "123456789012-abcdefghij",
    "https://hooks.slack.com/services/T000/B000/XXXX",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "sk_live_" + "a1B2c3D4" * 3,
    "AIza" + "a" * 35,
    "npm_" + "a1B2" * 9,
    "hvs." + "a1B2c3D4" * 4,
    "abcdefghijklmn.atlasv1." + "a" * 60,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
    "AGE-SECRET-KEY-1" + "A1" * 20,
]


@pytest.mark.parametrize("token", TOKENS)
def test_tokens_of_known_forms(token: str) -> None:
    """A credential of a known form is masked inside a text, and the quick look never misses it."""
    text = f"export X={token} # done"
    assert tokens.may_hold_one(text.encode())
    masked = tokens.mask(text)
    assert MASK in masked
    assert token.split("\n")[0] not in masked


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgres://app:hunter2hunter2@db:5432/x", "postgres://app:[redacted]@db:5432/x"),
        ("DB_PASSWORD=hunter2hunter2\nPORT=1", "DB_PASSWORD=[redacted]\nPORT=1"),
        ('password: "hunter 2"', "password: [redacted]"),
        ("Server=x;AccountKey=abc123/+==;", "Server=x;AccountKey=[redacted];"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer [redacted]"),
        ("mysql --password=hunter2 -h x", "mysql --password=[redacted] -h x"),
        ("nothing to see: key=1", "nothing to see: key=1"),
    ],
)
def test_only_the_secret_part_of_a_text_goes(text: str, kept: str) -> None:
    """Connection strings, scripts and headers stay readable but for the secret."""
    assert Redactor().text(text) == kept


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(json.dumps(SECRET)),
        json.dumps(SECRET).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        quote(SECRET, safe=""),
        base64.b64encode(b"x" + SECRET.encode() + b"yz").decode(),
        base64.b64encode(b"xy" + SECRET.encode() + b"z").decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_known_secret_is_found_in_any_spelling(spelling: str, many: bool) -> None:
    """Escaped, percent-encoded or base64 at any alignment: it is the same secret, in small sets and large ones."""
    secrets = KnownSecrets([SECRET, *(f"another-{number:05d}" for number in range(300 if many else 0))])
    text = f"before {spelling} after"
    assert secrets.occur_in(text.encode())
    assert MASK in secrets.mask(text)
    assert secrets.mask("nothing here") == "nothing here"


def test_thousands_of_secrets_are_found_plain_and_in_json() -> None:
    """In a very large set the usual spellings are still found."""
    secrets = KnownSecrets([SECRET, *(f"another-{number:05d}" for number in range(5000))])
    for spelling in (SECRET, json.dumps(SECRET), "another-04999"):
        assert secrets.occur_in(f"at any place {spelling}.".encode())
        assert MASK in secrets.mask(f"at any place {spelling}.")
    assert not secrets.occur_in(b"another-05000")


def test_short_strings_are_not_secrets() -> None:
    """Below eight characters a string recurs by chance."""
    assert not KnownSecrets(["1234567"])
    assert KnownSecrets(["12345678"]).mask("a12345678b") == "a[redacted]b"


@given(st.sets(st.text(min_size=8, max_size=14), min_size=1, max_size=40), st.text(max_size=6), st.text(max_size=6))
def test_large_sets_find_what_small_ones_find(values: set[str], before: str, after: str) -> None:
    """Sampling misses nothing: each secret is found wherever it stands."""
    try:
        for value in values:
            value.encode()
        (before + after).encode()
    except UnicodeEncodeError:
        return
    secrets = KnownSecrets(values)
    for value in values:
        assert secrets.occur_in((before + value + after).encode())
        assert value not in secrets.mask(before + value + after) or value in before + MASK + after


def test_marks_go_first() -> None:
    """What the engine marks is withheld as a whole, nested as deep as it is; a null stays null."""
    value = {"a": ["x", {"b": "y", "c": None}], "d": "z"}
    marks = {"a": [False, {"b": True, "c": True}], "d": True}
    kept = Redactor().value(value, marks, "t")
    assert kept.value == {"a": ["x", {"b": MASK, "c": None}], "d": MASK}
    assert kept.touched


def test_json_inside_a_text_is_looked_into() -> None:
    """Policies and container definitions lose their secrets and keep the rest."""
    inner = [
        {"name": "app", "environment": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "PORT", "value": "1"}]}
    ]
    text = json.dumps({"containers": json.dumps(inner)})
    kept = json.loads(Redactor().value({"definitions": text}, None, "aws_ecs_task").value["definitions"])
    environment = json.loads(kept["containers"])[0]["environment"]
    assert environment == [{"name": "DB_PASSWORD", "value": MASK}, {"name": "PORT", "value": "1"}]


def test_json_without_secrets_keeps_its_spelling() -> None:
    """A text that nothing is taken from is not written anew."""
    text = '{"b": 1,\n "a": 2}'
    assert Redactor().value({"x": text}, None, "t").value == {"x": text}


def test_references_are_kept_under_secret_names() -> None:
    """An ARN is a name for a secret, not the secret; so is a switch."""
    value = {"credentials": "arn:aws:iam::1:role/x", "manage_password": True, "password": ""}
    assert Redactor().value(value, None, "t").value == value


def test_user_patterns_by_name_path_and_expression() -> None:
    """Patterns withhold by name, by type and path, or by regular expression; ``keep`` takes a name rule back."""
    names = NameRules(redact=["*_pin", "aws_db.endpoint", r"/aws_x\..*owner$/"], keep=["token", "aws_y.secret"])
    assert names.withhold("t", "card_pin", "card_pin")
    assert names.withhold("aws_db", "endpoint", "endpoint")
    assert not names.withhold("aws_dc", "endpoint", "endpoint")
    assert names.withhold("aws_x", "owner", "tags.owner")
    assert not names.withhold("t", "token", "token")
    assert not names.withhold("aws_y", "secret", "secret")
    assert names.withhold("aws_z", "secret", "secret")


def test_a_broken_pattern_is_a_configuration_error() -> None:
    """A regular expression that can't be read is refused by name."""
    with pytest.raises(ConfigError, match=r"/\(/"):
        NameRules(redact=["/(/"])


def test_addresses_lose_secrets_in_their_keys_only() -> None:
    """Instance keys come from values; labels come from the source, which is no secret."""
    redactor = Redactor(secrets=KnownSecrets(["production"]))
    assert redactor.address('m.production["production"].x[0]') == 'm.production["[redacted]"].x[0]'


@given(st.text(), st.text(min_size=8, max_size=20))
def test_redacting_twice_changes_nothing_more(text: str, secret: str) -> None:
    """What left the redactor once passes it unchanged."""
    try:
        (text + secret).encode()
    except UnicodeEncodeError:
        return
    redactor = Redactor(secrets=KnownSecrets([secret] if "[redacted]" not in secret and secret not in MASK else []))
    once = redactor.text(f"{text} {secret}")
    assert redactor.text(once) == once


def test_a_long_text_is_redacted_quickly_enough() -> None:
    """A megabyte of script takes no quadratic time (the test would not end otherwise)."""
    text = "token token token = " * 50_000 + "a" * 200_000 + "://" * 10_000
    assert Redactor().text(text)


@given(st.from_regex(tokens._SUSPICION, fullmatch=True))
def test_a_long_text_is_suspected_like_a_short_one(mark: bytes) -> None:
    """What is suspicious in a short text is so in the midst of a long one, which is searched in another way."""
    assert tokens.may_hold_one(b"." * 200 + mark + b" " * 200)


def test_a_long_text_without_a_mark() -> None:
    """A long text that names nothing is not suspected."""
    assert not tokens.may_hold_one(b'{"ami":"ami-0123"}' * 50)
