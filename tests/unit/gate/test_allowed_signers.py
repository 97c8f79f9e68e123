"""Reading the approvers file: OpenSSH's allowed_signers, without what would leave open who may approve."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opensshkit import a_key, needs_openssh, public, public_text, run, signature

from tfaudit.errors import ConfigError
from tfaudit.gate import allowed_signers
from tfaudit.gate.allowed_signers import find, parse, principals, read, valid
from tfaudit.gate.words import instant

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGhFG4BBfGuRbVMuFa/RFVtvXBmKzmmMcAQ7R3K0fUQh"
SK = (
    "sk-ssh-ed25519@openssh.com "
    "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIFiRSIkwRh8RAl5xUvR1vCaQVsmqVS4ppA1EXsGT7Nt6AAAABHNzaDo="
)


def at(text):
    """Return a time of RFC 3339 in milliseconds."""
    return instant(datetime.fromisoformat(text))


def only(line):
    """Return the one key of a line."""
    (key,) = parse(line, what="approvers")
    return key


def test_a_line_names_who_and_which_key():
    """A line gives its principals, the key's fingerprint and its text without the comment."""
    key = only(f"alice@example.com,bob@example.com {ED25519} a comment here")
    assert key.principals == ("alice@example.com", "bob@example.com")
    assert key.public == ED25519
    assert key.key.startswith("SHA256:")
    assert (key.valid_after, key.valid_before) == (None, None)


def test_blank_lines_and_comments_say_nothing():
    """Blank lines, comments, indentation and the ends of lines of other systems don't matter."""
    text = f"\n# {ED25519}\n \t\n  alice \t {ED25519}\r\n\t# more"
    assert [key.principals for key in parse(text, what="approvers")] == [("alice",)]
    assert parse("", what="approvers") == ()


def test_quoted_principals_may_hold_spaces():
    """OpenSSH lets the first field be quoted."""
    assert only(f'"Alice Smith,bob" {ED25519}').principals == ("Alice Smith", "bob")


@needs_openssh
@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "p521", "rsa"])
def test_a_key_of_each_kind_has_opensshs_fingerprint(kind):
    """The fingerprint is what ssh-keygen -l prints."""
    path = a_key(kind)
    key = only(f"alice {public_text(path)}")
    assert key.key == run("ssh-keygen", "-lf", f"{path}.pub").split()[1]


def test_a_key_on_a_token_is_taken():
    """A FIDO2 key stands there like any other."""
    assert only(f"alice {SK}").public == SK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260301", "2026-03-01T00:00:00Z"),
        ("20260301Z", "2026-03-01T00:00:00Z"),
        ("202603011230", "2026-03-01T12:30:00Z"),
        ("202603011230Z", "2026-03-01T12:30:00Z"),
        ("20260301123015", "2026-03-01T12:30:15Z"),
        ("20260301123015z", "2026-03-01T12:30:15Z"),
    ],
)
def test_times_have_opensshs_forms_in_utc(text, expected):
    """A date, with minutes or seconds, is UTC with or without its Z."""
    assert only(f'alice valid-after="{text}" {ED25519}').valid_after == at(expected)
    assert only(f"alice VALID-BEFORE={text} {ED25519}").valid_before == at(expected)


def test_both_ends_of_a_keys_time_belong_to_it():
    """A key is valid from its first moment to its last, and not a millisecond outside."""
    key = only(f'alice valid-after="20260101Z",valid-before="20260201Z" {ED25519}')
    start, end = at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z")
    assert [valid(key, time) for time in (start - 1, start, end, end + 1)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("namespaces", "taken"),
    [
        ("tfaudit-approval", True),
        ("git,tfaudit-approval", True),
        ("tfaudit-*", True),
        ("*", True),
        ("tfaudit-approva?", True),
        ("git", False),
        ("tfaudit-approval,!tfaudit-*", False),
        ("!git", False),
        ("TFAUDIT-APPROVAL", False),
        ("*" * 200 + "x", False),
        ("*a" * 200, False),
    ],
)
def test_only_keys_for_this_namespace_count(namespaces, taken):
    """A key whose namespaces leave ours out is passed over, not refused."""
    assert bool(parse(f'alice namespaces="{namespaces}" {ED25519}', what="approvers")) is taken


def test_one_key_may_stand_for_two_people_and_one_person_have_two_keys():
    """Who shares a key is for the decision to see: each line is there."""
    other = SK
    lines = parse(f"alice {ED25519}\nbob {ED25519}\nalice {other}\n", what="approvers")
    fingerprint = only(f"alice {ED25519}").key
    assert principals(find(lines, fingerprint, 0)) == ("alice", "bob")
    assert [line.key for line in lines if "alice" in line.principals] == [fingerprint, only(f"alice {other}").key]


def test_find_leaves_out_lines_that_do_not_hold_yet():
    """A key that is valid only later is not found now."""
    lines = parse(f'alice valid-after="20270101Z" {ED25519}', what="approvers")
    assert find(lines, lines[0].key, at("2026-12-31T23:59:59Z")) == ()
    assert find(lines, lines[0].key, at("2027-01-01T00:00:00Z")) == lines
    assert find(lines, "SHA256:other", at("2027-01-01T00:00:00Z")) == ()


BROKEN = {
    "a wildcard": f"*@example.com {ED25519}",
    "a question mark": f"alic? {ED25519}",
    "a negation": f"alice,!bob {ED25519}",
    "an empty principal": f"alice,,bob {ED25519}",
    "a space for a name": f'" alice" {ED25519}',
    "a principal that steers a terminal": f"alice\x1b[2J {ED25519}",
    "a principal without an end": f'"alice {ED25519}',
    "no key": "alice",
    "no base64": "alice ssh-ed25519",
    "a certificate authority": f"alice cert-authority {ED25519}",
    "an unknown option": f"alice no-touch-required {ED25519}",
    "options that end with a comma": f'alice namespaces="*", {ED25519}',
    "an option twice": f'alice namespaces="*",namespaces="*" {ED25519}',
    "an option without a value": f"alice namespaces {ED25519}",
    "a quote without an end": f'alice namespaces="* {ED25519}',
    "a month too many": f"alice valid-after=20261301 {ED25519}",
    "a time that is none": f"alice valid-after=tomorrow {ED25519}",
    "an end before the start": f"alice valid-after=20260201,valid-before=20260101 {ED25519}",
    "an unknown type": f"alice ssh-dss {ED25519.split()[1]}",
    "a certificate": f"alice ssh-ed25519-cert-v01@openssh.com {ED25519.split()[1]}",
    "another type than the key's": f"alice ssh-rsa {ED25519.split()[1]}",
    "base64 with a letter too few": f"alice {ED25519[:-1]}",
    "a key that is cut off": "alice ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGhFG4BBfGuR",
    "a very long line": f"alice {ED25519} {'x' * 20_000}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_understood_is_refused_with_its_line(name):
    """Who may approve is not guessed at: the error names the file and the line."""
    with pytest.raises(ConfigError, match=r"^approvers line 3: ") as raised:
        parse(f"# ours\nbob {SK}\n{BROKEN[name]}\n", what="approvers")
    assert raised.value.message.isprintable()


@needs_openssh
def test_a_short_rsa_key_is_refused(tmp_path):
    """An RSA key has 2,048 bits at least."""
    path = tmp_path / "short"
    run("ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", path)
    with pytest.raises(ConfigError, match="1024 bits"):
        parse(f"alice {public_text(path)}", what="approvers")


def test_a_file_is_read_within_limits(tmp_path):
    """A missing, huge or foreign file is an error that names it."""
    path = tmp_path / "approvers"
    with pytest.raises(ConfigError, match=str(path)):
        read(path)
    path.write_text(f"alice {ED25519}\n")
    assert [key.principals for key in read(path)] == [("alice",)]
    path.write_bytes(b"alice \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read(path)
    path.write_bytes(b"#" * (allowed_signers.MAX_FILE + 1))
    with pytest.raises(ConfigError, match="larger"):
        read(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path)


@given(
    st.text(
        alphabet=st.sampled_from('ab@,*!?"\\ \t\n#=Z-' + "ssh-ed25519namespacesvalid-after0123456789"), max_size=200
    )
)
def test_any_text_is_read_or_refused(text):
    """No text raises anything but the error for configuration."""
    with suppress(ConfigError):
        parse(text, what="approvers")


_names = st.text(
    st.characters(codec="utf-8", categories=["L", "N"], include_characters="@.-+_"), min_size=1, max_size=30
)


@given(
    names=st.lists(_names, min_size=1, max_size=4),
    after=st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2990, 1, 1), timezones=st.just(UTC)),
    gap=st.sampled_from([" ", "\t", "  "]),
)
def test_what_is_written_is_read(names, after, gap):
    """Any names and any time come back as they were written, to the second."""
    options = f'valid-after="{after:%Y%m%d%H%M%S}Z",namespaces="tfaudit-approval"{gap}' if after else ""
    key = only(f"{','.join(names)}{gap}{options}{ED25519}{gap}comment")
    assert key.principals == tuple(names)
    assert key.valid_after == (instant(after.replace(microsecond=0)) if after else None)


@needs_openssh
def test_openssh_finds_the_same_principals(tmp_path):
    """ssh-keygen -Y find-principals and -Y verify agree with the parser on who may sign, and when."""
    one, two = a_key("ed25519"), a_key("p256")
    file = tmp_path / "approvers"
    file.write_text(
        f"# people\nalice@example.com,al {public_text(one)} work\n"
        f'bob namespaces="git" {public_text(two)}\n'
        f'carol valid-after="20260101Z",valid-before="20260201120000Z" {public_text(two)}\n'
        f'"Dan Smith" namespaces="file,tfaudit-*" {public_text(one)}\n'
    )
    keys = read(file)
    for path in (one, two):
        sig = tmp_path / "sig"
        sig.write_text(signature(path, b"message"))
        for moment in ("20251231235959Z", "20260101000000Z", "20260201120000Z", "20260201120001Z"):
            time = datetime.strptime(moment, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
            ours = principals(find(keys, public(path).fingerprint, instant(time)))
            for name in ("alice@example.com", "al", "bob", "carol", "Dan Smith", "mallory"):
                theirs = run(
                    *("ssh-keygen", "-Y", "verify", "-n", "tfaudit-approval", "-I", name, "-f", file, "-s", sig),
                    f"-Overify-time={moment}",
                    stdin=b"message",
                    ok=False,
                )
                assert (theirs.returncode == 0) is (name in ours), (name, moment, theirs.stderr)
        found = run("ssh-keygen", "-Y", "find-principals", "-f", file, "-s", sig, "-Overify-time=20260115Z")
        assert set(found.split()) <= {"alice@example.com", "al", "bob", "carol"}
