"""Tokens: those that hold are believed, and what an attacker would try is refused."""

from __future__ import annotations

import json
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oidckit import (
    EC,
    EC384,
    ED,
    NOW,
    OTHER_RSA,
    RSA,
    SMALL_RSA,
    claims,
    encode,
    forge,
    hmac_signed,
    raw,
    reply,
    serve,
    sign,
)

from tfaudit.errors import ConfigError, TfauditError, UnavailableError, VerificationError
from tfaudit.identity import fetching, issuers, jwks, oidc

BOUND = oidc.bound_audience("ledger.example", "run-1", "ab" * 32)


def check(token, *believed, bound=BOUND, now=NOW, audience=None, configured=None, cache=None):
    """Verify a token as a run would, with these issuers configured."""
    keys = jwks.KeySets(configured=configured, environ={}, cache=cache, now=now.timestamp())
    return oidc.verify(
        token,
        is_believed=lambda name: issuers.is_believed(name, [one.url for one in believed]),
        audiences=lambda name: issuers.audiences(name, audience),
        bound=bound,
        read_keys=lambda name, again: keys.read(name, again=again),
        now=now,
    )


def refused(token, *believed, **how):
    """Return why a token is refused."""
    with pytest.raises(VerificationError) as caught:
        check(token, *believed, **how)
    message = str(caught.value)
    assert "\n" not in message
    assert token not in message
    return message


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSA, "RS256"),
        (RSA, "RS384"),
        (RSA, "RS512"),
        (RSA, "PS256"),
        (EC, "ES256"),
        (EC384, "ES384"),
        (ED, "EdDSA"),
    ],
)
def test_every_allowed_algorithm_verifies(issuer, key, algorithm, recwarn):
    """A token of the issuer's is believed, by whichever of its keys, and no warning is printed."""
    token = sign(claims(issuer, BOUND), key, algorithm)
    recwarn.clear()
    found = check(token, issuer)
    assert found.bound
    assert found.claims["sub"] == "somebody"
    assert not recwarn.list


def test_a_token_that_is_not_bound_is_not_called_so(issuer):
    """Whoever has it could show it again in another run."""
    assert not check(sign(claims(issuer, "tfaudit")), issuer).bound


def test_an_audience_beside_the_bound_one_unbinds(issuer):
    """A token that somebody else accepts as well must not be kept."""
    assert not check(sign(claims(issuer, [BOUND, "tfaudit"])), issuer).bound
    assert "another audience" in refused(sign(claims(issuer, [BOUND, "sts.amazonaws.com"])), issuer)


@pytest.mark.parametrize(
    ("origin", "run", "digest"),
    [("other.example", "run-1", "ab" * 32), ("ledger.example", "run-2", "ab" * 32), ("ledger.example", "run-1", None)],
)
def test_replay_in_another_run(issuer, origin, run, digest):
    """A token that is bound to another ledger, run or change is for another audience."""
    assert "another audience" in refused(sign(claims(issuer, oidc.bound_audience(origin, run, digest))), issuer)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_no_signature_at_all(issuer, algorithm):
    """Algorithm none is none, however it is spelled."""
    said = claims(issuer, BOUND)
    for signature in (b"", b"x"):
        token = forge(said, {"alg": algorithm, "kid": "rsa-1"}, signature)
        assert "not allowed" in refused(token, issuer) or "no signed" in refused(token, issuer)
    assert "no signed" in refused(f"{encode({'alg': algorithm})}.{encode(said)}.", issuer)


@pytest.mark.parametrize("form", ["PEM", "DER", "jwk", "n"])
def test_hmac_with_the_public_key_as_secret(issuer, form):
    """A public key is no secret."""
    secret = {
        "PEM": RSA.as_pem(private=False),
        "DER": RSA.as_der(private=False),
        "jwk": json.dumps(RSA.as_dict(private=False)).encode(),
        "n": RSA.as_dict(private=False)["n"].encode(),
    }[form]
    token = hmac_signed(claims(issuer, BOUND), {"alg": "HS256", "kid": "rsa-1"}, secret)
    assert "HS256 is not allowed" in refused(token, issuer)


def test_another_issuers_key_by_the_same_name():
    """The key is looked for with the issuer that the token names, never by its name alone."""
    with serve() as good, serve() as evil:
        evil.keys = [OTHER_RSA]
        good.keys = [RSA]
        token = sign(claims(good, BOUND), OTHER_RSA, kid="rsa-1")
        assert "not by the key" in refused(token, good, evil)
        token = sign(claims(good, BOUND), OTHER_RSA)
        assert "no key of that name" in refused(token, good, evil)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
def test_a_key_of_another_kind(issuer, algorithm):
    """A key is used with its own algorithm only."""
    token = forge(claims(issuer, BOUND), {"alg": algorithm, "kid": "rsa-1"}, b"x" * 64)
    assert "does not count" in refused(token, issuer)


def test_a_key_that_is_for_something_else(issuer):
    """A key for encryption, or for another algorithm, vouches for no token."""
    for mark in ({"use": "enc"}, {"alg": "PS256"}):
        issuer.answer = lambda handler, mark=mark: (
            handler.path == "/keys" and reply(handler, {"keys": [RSA.as_dict(private=False) | mark]}) is None
        )
        assert "no key of that name" in refused(sign(claims(issuer, BOUND)), issuer)


def test_keys_in_the_tokens_own_header_are_ignored(issuer):
    """Who brings their own key vouches for themselves."""
    own = OTHER_RSA.as_dict(private=False)
    token = sign(claims(issuer, BOUND), OTHER_RSA, jwk=own, jku="http://127.0.0.1:1/keys", kid="rsa-1")
    assert "not by the key" in refused(token, issuer)


def test_a_header_that_asks_for_extensions(issuer):
    """Nothing that must be understood is passed over."""
    for more in ({"crit": ["exp"], "exp": 1}, {"b64": False}):
        assert "extensions" in refused(forge(claims(issuer, BOUND), {"alg": "RS256", **more}, b"x"), issuer)


def test_a_short_key_is_not_believed(issuer):
    """1,024 bits of RSA can be broken."""
    issuer.keys = [SMALL_RSA]
    assert "2,048" in refused(sign(claims(issuer, BOUND), SMALL_RSA), issuer)


def test_two_keys_of_one_name(issuer):
    """Which of them is meant can't be told."""
    issuer.answer = lambda handler: (
        handler.path == "/keys"
        and reply(handler, {"keys": [key.as_dict(private=False, kid="k") for key in (RSA, OTHER_RSA)]}) is None
    )
    assert "more than one key" in refused(sign(claims(issuer, BOUND), kid="k"), issuer)


def test_without_a_name_the_only_key_of_its_kind_is_meant(issuer):
    """An issuer with one key need not name it."""
    assert check(sign(claims(issuer, BOUND), kid=None), issuer).bound


def test_a_changed_claim_breaks_the_signature(issuer):
    """Nobody changes a token on the way."""
    head, _, signature = sign(claims(issuer, BOUND)).split(".")
    assert "not by the key" in refused(f"{head}.{encode(claims(issuer, BOUND, sub='admin'))}.{signature}", issuer)


def test_an_issuer_that_is_not_believed_is_never_asked(issuer):
    """A token can't make the run ask whatever server its author likes."""
    assert "none that is believed" in refused(sign(claims(issuer, BOUND)))
    assert issuer.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "https://token.actions.githubusercontent.com.evil.example",
        "https://token.actions.githubusercontent.com@evil.example",
        "https://token.actions.githubusercontent.com/",
        "http://token.actions.githubusercontent.com",
        "https://gitlab.com/evil",
        "https://gitlab.example",
        "https://evil.example/app.spacelift.io",
        "https://a.b.app.spacelift.io",
        "https://oidc.circleci.com/org/not-a-uuid",
        "https://vstoken.dev.azure.com/",
    ],
)
def test_names_that_only_look_like_an_issuer(name):
    """The whole name counts."""
    assert not issuers.is_believed(name, ())


def test_configured_issuers_replace_the_well_known():
    """Where a repository names whom it believes, nobody else is."""
    assert issuers.is_believed("https://gitlab.com", ())
    assert not issuers.is_believed("https://gitlab.com", ("https://git.example",))
    assert issuers.is_believed("https://git.example", ("https://git.example",))
    assert not issuers.is_believed("https://git.example/", ("https://git.example",))


def test_expired(issuer):
    """What has expired is told with its time."""
    late = NOW + timedelta(minutes=11)
    assert "expired at 2026-11-25T12:05:00Z" in refused(sign(claims(issuer, BOUND)), issuer, now=late)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_not_valid_yet(issuer, name):
    """A token from the future is one whose clock, or maker, is wrong."""
    soon = int((NOW + timedelta(minutes=6)).timestamp())
    assert "not valid before" in refused(sign(claims(issuer, BOUND, **{name: soon})), issuer)


def test_clocks_may_differ_by_five_minutes(issuer):
    """Either way: the issuer's ahead, or ours."""
    token = sign(claims(issuer, BOUND))
    for seconds, holds in ((-301, False), (-299, True), (599, True), (601, False)):
        now = NOW + timedelta(seconds=seconds)
        if holds:
            assert check(token, issuer, now=now).bound
        else:
            refused(token, issuer, now=now)


@pytest.mark.parametrize("value", [None, "2099", True, [], {}, -1, 1e300, 2**80])
def test_an_expiry_of_an_odd_type(issuer, value):
    """A token that does not say in time when it ends does not count."""
    said = claims(issuer, BOUND)
    said["exp"] = value
    assert "its exp" in refused(sign(said), issuer)
    del said["exp"]
    assert "never expires" in refused(sign(said), issuer)


@pytest.mark.parametrize("audience", [None, 7, True, {}, [], [7], ["tfaudit", None], ["tfaudit"] * 21])
def test_an_audience_of_an_odd_type(issuer, audience):
    """A token for nobody, or for everybody, is not for us."""
    assert "audience" in refused(sign(claims(issuer, audience)), issuer)


@pytest.mark.parametrize("name", [None, 7, "", ["https://gitlab.com"], True])
def test_an_issuer_of_an_odd_type(issuer, name):
    """A token of nobody is nobody's."""
    said = claims(issuer, BOUND)
    said["iss"] = name
    assert "names no issuer" in refused(sign(said), issuer)


@pytest.mark.parametrize("payload", [b"[]", b"null", b"1", b'"x"', b"{", b"\xff", b'{"iss":NaN}', b"[" * 9000])
def test_claims_that_are_no_object(issuer, payload):
    """Whatever stands in the middle, one line says that it is no token."""
    token = forge(payload, {"alg": "RS256"}, b"x")
    assert "no signed JSON Web Token" in refused(token, issuer)


def test_a_claim_that_stands_twice(issuer):
    """Two readers could read two tokens."""
    twice = json.dumps(claims(issuer, BOUND))[:-1] + f', "iss": "{issuer.url}"}}'
    assert "no signed JSON Web Token" in refused(forge(twice.encode(), {"alg": "RS256"}, b"x"), issuer)


def test_an_oversized_token(issuer):
    """Nothing is parsed, and nobody asked, before its length is known."""
    assert "longer than" in refused(sign(claims(issuer, BOUND, padding="x" * 20_000)), issuer)
    assert issuer.asked == []


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_any_text_is_refused_in_one_line(text):
    """No text at all leads to another error than the one."""
    refused_text = pytest.raises(VerificationError)
    with refused_text as caught:
        check(text)
    assert str(caught.value).isprintable()


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.just([]),
    )
)
def test_odd_claims_are_refused_in_one_line(said):
    """Signed or not: claims of any type lead to the one error."""
    keys = json.dumps({"keys": [RSA.as_dict(private=False)]}).encode()
    with pytest.raises(VerificationError):
        oidc.verify(
            sign(said),
            is_believed=lambda _name: True,
            audiences=lambda _name: ("x",),
            bound=None,
            read_keys=lambda _name, _again: keys,
            now=NOW,
        )


def test_a_wrong_audience(issuer):
    """A token for the cloud is not for us."""
    assert "[identity] audience" in refused(sign(claims(issuer, "sts.amazonaws.com")), issuer)
    assert not check(sign(claims(issuer, "ours")), issuer, audience="ours").bound
    assert "another audience" in refused(sign(claims(issuer, "tfaudit")), issuer, audience="ours")


def test_a_description_of_somebody_else(issuer):
    """An issuer must say itself that it is the one (OpenID Connect Discovery 1.0, section 4.3)."""
    issuer.said_issuer = "https://other.example"
    with pytest.raises(UnavailableError, match="describes another issuer"):
        check(sign(claims(issuer, BOUND)), issuer)


def test_an_issuer_without_tls():
    """Keys that anybody between could swap are no keys."""
    with pytest.raises(UnavailableError, match="without TLS"):
        jwks.KeySets(configured=None, environ={}, cache=None, now=0).read("http://issuer.example")


def test_keys_at_an_address_without_tls(issuer):
    """Nor does an issuer's description lead there."""
    issuer.answer = lambda handler: (
        handler.path != "/keys"
        and reply(handler, {"issuer": issuer.url, "jwks_uri": "http://keys.example/keys"}) is None
    )
    with pytest.raises(UnavailableError, match=r"keys\.example is not asked without TLS"):
        check(sign(claims(issuer, BOUND)), issuer)


def test_keys_that_hang(issuer):
    """An issuer that says nothing more ends in one line, in time."""
    issuer.answer = lambda handler: handler.path == "/keys" and time.sleep(3) is None
    with pytest.raises(UnavailableError, match="no whole answer"):
        fetching.fetch(f"{issuer.url}/keys", environ={}, most=100, seconds=0.3)


def test_keys_that_trickle(issuer):
    """An issuer that sends a byte now and then does not hold the run for longer than one that hangs."""

    def trickle(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
        return True

    issuer.answer = trickle
    with pytest.raises(UnavailableError, match="no whole answer"):
        fetching.fetch(f"{issuer.url}/keys", environ={}, most=1000, seconds=0.3)


def test_headers_that_trickle(issuer):
    """Nor does one that never ends its headers."""

    def trickle(handler):
        for _ in range(100):
            handler.wfile.write(b"X")
            handler.wfile.flush()
            time.sleep(0.05)
        return True

    issuer.answer = trickle
    with pytest.raises(UnavailableError, match="no whole answer"):
        fetching.fetch(f"{issuer.url}/keys", environ={}, most=1000, seconds=0.3)


@pytest.mark.parametrize(
    ("body", "status", "headers", "reason"),
    [
        (b"x" * (jwks.MAX_BYTES + 1), 200, {}, "more than 131,072 bytes"),
        (b"<html>", 200, {}, "no JSON"),
        (b"[]", 200, {}, "no JSON object"),
        (b"[" * 100_000, 200, {}, "no JSON"),
        (b"\xff", 200, {}, "no JSON"),
        (b"", 302, {"Location": "http://127.0.0.1:1/"}, "redirects"),
        (b"", 307, {"Location": "/keys2"}, "redirects"),
        (b"{}", 500, {}, "status 500"),
        (b"{}", 404, {}, "status 404"),
    ],
)
def test_key_sets_that_are_none(issuer, body, status, headers, reason):
    """Each is one clear error, and nothing is cached."""
    issuer.answer = lambda handler: handler.path == "/keys" and raw(handler, body, status, **headers) is None
    with pytest.raises(TfauditError, match=reason) as caught:
        check(sign(claims(issuer, BOUND)), issuer)
    assert "\n" not in str(caught.value)


def test_a_compressed_key_set_is_not_unpacked(issuer):
    """A small answer stays small."""
    import gzip

    bomb = gzip.compress(b" " * 10_000_000)
    issuer.answer = lambda handler: handler.path == "/keys" and raw(handler, bomb, Content_Encoding="gzip") is None
    with pytest.raises(UnavailableError, match="no JSON"):
        check(sign(claims(issuer, BOUND)), issuer)


@pytest.mark.parametrize("keys", [{}, {"keys": {}}, {"keys": [1]}, {"keys": None}])
def test_a_key_set_of_an_odd_form(issuer, keys):
    """It holds no key."""
    issuer.answer = lambda handler: handler.path == "/keys" and reply(handler, keys) is None
    assert "list of keys" in refused(sign(claims(issuer, BOUND)), issuer)


@pytest.mark.parametrize(
    "part",
    [
        {"n": "AQAB"},
        {"n": 7},
        {"n": "*"},
        {"n": None},
        {"e": "AA"},
        {"n": ""},
        {"n": "_" * 90_000},
        {"e": "_" * 90_000},
        {"e": None},
    ],
)
def test_a_key_that_makes_no_sense(issuer, part):
    """It vouches for nothing."""
    issuer.answer = lambda handler: (
        handler.path == "/keys" and reply(handler, {"keys": [RSA.as_dict(private=False) | part]}) is None
    )
    assert "does not count" in refused(sign(claims(issuer, BOUND)), issuer)


def test_keys_are_cached(issuer, tmp_path):
    """Within the hour the issuer is not asked again."""
    for _ in range(2):
        assert check(sign(claims(issuer, BOUND)), issuer, cache=tmp_path).bound
    assert issuer.asks_for("/keys") == 1


def test_a_new_key_is_asked_for_once(issuer, tmp_path):
    """An issuer may change its keys; a token that names a key that isn't there costs one more look."""
    check(sign(claims(issuer, BOUND)), issuer, cache=tmp_path)
    issuer.keys = [OTHER_RSA]
    assert check(sign(claims(issuer, BOUND), OTHER_RSA), issuer, cache=tmp_path).bound
    assert issuer.asks_for("/keys") == 2
    refused(sign(claims(issuer, BOUND)), issuer, cache=tmp_path)
    assert issuer.asks_for("/keys") == 3


def test_an_old_cache_is_not_used(issuer, tmp_path):
    """After an hour a key that was withdrawn is gone."""
    check(sign(claims(issuer, BOUND)), issuer, cache=tmp_path)
    issuer.keys = [OTHER_RSA]
    later = NOW + timedelta(seconds=jwks.FRESH_SECONDS)
    exp = int((later + timedelta(minutes=5)).timestamp())
    assert "no key" in refused(sign(claims(issuer, BOUND, exp=exp)), issuer, cache=tmp_path, now=later)


@pytest.mark.parametrize("damage", ["not json", "[]", '{"issuer":"x","fetched":1,"keys":"{}"}', "open to others"])
def test_a_cache_that_others_may_have_written_is_not_used(issuer, tmp_path, damage):
    """Nor one that is broken or somebody else's: the issuer is asked."""
    check(sign(claims(issuer, BOUND)), issuer, cache=tmp_path)
    (kept,) = (tmp_path / "oidc").iterdir()
    if damage == "open to others":
        kept.chmod(0o666)
    else:
        kept.write_text(damage)
    assert check(sign(claims(issuer, BOUND)), issuer, cache=tmp_path).bound
    assert issuer.asks_for("/keys") == 2


def test_a_cache_that_cannot_be_written_is_none(issuer, tmp_path):
    """A read-only home is no reason to fail."""
    (tmp_path / "oidc").write_text("a file")
    assert check(sign(claims(issuer, BOUND)), issuer, cache=tmp_path).bound


def test_keys_from_a_file(tmp_path):
    """In a closed network the keys may lie in a file."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [RSA.as_dict(private=False)]}))
    with serve() as issuer:
        assert check(sign(claims(issuer, BOUND)), issuer, configured=str(path)).bound
        assert issuer.asked == []
        path.write_bytes(b" " * (jwks.MAX_BYTES + 1))
        with pytest.raises(ConfigError, match="larger than"):
            check(sign(claims(issuer, BOUND)), issuer, configured=str(path))
        path.unlink()
        with pytest.raises(ConfigError, match="can't be read"):
            check(sign(claims(issuer, BOUND)), issuer, configured=str(path))


def test_keys_from_an_address(issuer):
    """Or at an address of their own, without discovery."""
    assert check(sign(claims("https://issuer.internal", BOUND)), Named(), configured=f"{issuer.url}/keys").bound
    assert issuer.asks_for("/.well-known/openid-configuration") == 0


class Named:
    """An issuer that is only a name."""

    url = "https://issuer.internal"


def test_a_kept_token_is_verified_later(issuer):
    """With the keys that were kept with it, as of the time of the record: nobody is asked."""
    token = sign(claims(issuer, BOUND))
    keys = check(token, issuer).keys
    issuer.asked.clear()
    assert oidc.verify_kept(token, keys, NOW + timedelta(minutes=1))["sub"] == "somebody"
    assert oidc.verify_kept(token, keys, NOW, audience=BOUND)["sub"] == "somebody"
    assert issuer.asked == []


def test_a_kept_token_must_be_bound(issuer):
    """One that was good for anything else too is no evidence of this run."""
    keys = check(sign(claims(issuer, BOUND)), issuer).keys
    for token, audience in (
        (sign(claims(issuer, "tfaudit")), None),
        (sign(claims(issuer, BOUND)), oidc.bound_audience("ledger.example", "run-2", None)),
        (sign(claims(issuer, [BOUND])), oidc.bound_audience("x", "y", None)),
    ):
        with pytest.raises(VerificationError, match="another audience"):
            oidc.verify_kept(token, keys, NOW, audience=audience)


def test_a_kept_token_is_of_its_time(issuer):
    """It does not vouch for a record of another day."""
    token = sign(claims(issuer, BOUND))
    keys = check(token, issuer).keys
    with pytest.raises(VerificationError, match="expired"):
        oidc.verify_kept(token, keys, NOW + timedelta(days=1))
