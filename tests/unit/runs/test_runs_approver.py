"""Who approves: the key that is meant, the principal that it stands for, and what the gate will hold against them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent))

from gatedplan import REQUEST, rules
from opensshkit import a_key, needs_openssh, public, public_text

from tfaudit.config.gating import BreakGlass
from tfaudit.errors import ConfigError, UsageError
from tfaudit.gate.words import instant
from tfaudit.runs import approver

NOW = instant(datetime(2026, 6, 1, tzinfo=UTC))
WHERE = "the approvers file approvers"


@pytest.fixture
def environ(tmp_path):
    """An environment with a home of its own."""
    return {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path)}


def git_config(environ, **settings):
    """Configure git for this user."""
    for name, value in settings.items():
        subprocess.run(["git", "config", "--global", name.replace("_", "."), value], env=environ, check=True)


def test_gits_ssh_signing_key_is_the_usual_one(tmp_path, environ):
    """Where git signs with an SSH key, that one approves."""
    git_config(environ, gpg_format="ssh", user_signingkey="~/.ssh/work.pub")
    assert approver.default_key(environ, tmp_path) == "~/.ssh/work.pub"


@pytest.mark.parametrize("prefix", ["", "key::"])
@needs_openssh
def test_gits_signing_key_may_be_the_key_itself(tmp_path, environ, prefix):
    """Git takes the public key's own text, too."""
    git_config(environ, user_signingkey=f"{prefix}{public_text(a_key())}")
    assert approver.default_key(environ, tmp_path) == public_text(a_key())


def test_gits_gpg_key_is_none_to_approve_with(tmp_path, environ):
    """A GPG key id names no SSH key: the usual file is meant then."""
    git_config(environ, user_signingkey="0xDEADBEEF")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_ed25519").touch()
    assert approver.default_key(environ, tmp_path) == str(tmp_path / ".ssh/id_ed25519")


def test_without_any_key_the_option_is_named(tmp_path, environ):
    """The error says how to name one; git may be missing altogether."""
    for path in ("/usr/bin:/bin", str(tmp_path)):
        with pytest.raises(ConfigError, match="no key to sign with") as raised:
            approver.default_key({**environ, "PATH": path}, tmp_path)
        assert "--key" in raised.value.hint


def principal(text, path, *, wanted=None, at=NOW):
    """Find the principal of a key in an approvers file."""
    return approver.principal(public(path), rules(text), wanted=wanted, at=at, where=WHERE)


@needs_openssh
class TestPrincipal:
    """As whom a key signs."""

    def test_the_file_says_whose_key_it_is(self):
        """One line, one person."""
        text = f"bob {public_text(a_key('p256'))}\nalice@example.com {public_text(a_key())}"
        assert principal(text, a_key()) == "alice@example.com"

    def test_several_people_are_told_apart_by_name(self):
        """A key that is listed for two signs as the one who is named."""
        text = f"alice,bob {public_text(a_key())}\ncarol {public_text(a_key())}"
        with pytest.raises(UsageError, match="alice, bob, carol") as raised:
            principal(text, a_key())
        assert "--as" in raised.value.hint
        assert principal(text, a_key(), wanted="carol") == "carol"

    def test_nobody_signs_under_anothers_name(self):
        """--as must be among the key's own people."""
        with pytest.raises(ConfigError, match="for alice, not for bob"):
            principal(f"alice {public_text(a_key())}", a_key(), wanted="bob")

    def test_an_unlisted_key_is_refused_with_the_line_to_add(self):
        """The error names the file and the key's own text."""
        with pytest.raises(ConfigError, match=f"is not in {WHERE}") as raised:
            principal(f"alice {public_text(a_key('p256'))}", a_key())
        assert public_text(a_key()) in raised.value.hint

    def test_a_key_outside_of_its_time_is_refused_with_that_time(self):
        """Valid only later, or no longer."""
        with pytest.raises(ConfigError, match="from 2026-07-01T00:00:00Z on"):
            principal(f"alice valid-after=20260701Z {public_text(a_key())}", a_key())
        with pytest.raises(ConfigError, match="only until 2026-05-01T00:00:00Z"):
            principal(f"alice valid-before=20260501Z {public_text(a_key())}", a_key())

    def test_a_key_removed_from_the_list_is_refused(self):
        """An empty list is a list."""
        with pytest.raises(ConfigError, match="is not in"):
            principal("", a_key())

    def test_where_nothing_is_configured_one_says_who_one_is(self):
        """Without any list a name is needed, and believed: the gate will judge."""
        for found in (None, rules(None)):
            with pytest.raises(UsageError, match="no approvers are configured"):
                approver.principal(public(a_key()), found, wanted=None, at=NOW, where=WHERE)
            assert approver.principal(public(a_key()), found, wanted="me", at=NOW, where=WHERE) == "me"


def told(*, name="alice@example.com", kind="approval", **more):
    """Return the warnings."""
    return approver.warnings(REQUEST.identities, rules("", **more), name, public(a_key()), kind=kind)


@needs_openssh
class TestWarnings:
    """What the gate will hold against the word."""

    def test_others_plans_give_none(self):
        """Dora asked, Alice approves."""
        assert told() == ()

    @pytest.mark.parametrize(
        "more",
        [
            {"name": "dora@example.com"},
            {"name": "Dora@Example.com"},
            {"identities": {"d": ("email:alice@example.com", "github:dora")}},
        ],
    )
    def test_ones_own_plan_is_told(self, more):
        """By one's own name, or one that [identities] joins with who asked."""
        assert "had a part in this" in told(**more)[0]
        assert told(**more, allow_self_approval=True) == ()
        assert told(**more, kind="rejection") == ()

    def test_ones_key_is_ones_own(self):
        """The key itself may be named as somebody's."""
        identities = {"d": (f"ssh:{public(a_key()).fingerprint}", "github:dora")}
        assert "had a part in this" in told(identities=identities)[0]

    def test_a_review_of_ones_own_run_never_counts(self):
        """Whatever allow_self_approval says."""
        assert told(name="dora@example.com", kind="review", allow_self_approval=True) != ()

    def test_a_key_without_a_token_is_told_where_touch_is_required(self):
        """Only FIDO2 keys count there."""
        assert "FIDO2" in told(require_touch=True)[0]

    def test_breaking_the_glass_must_be_enabled_and_allowed(self):
        """By the pinned configuration, for the groups that it names."""
        allowed = BreakGlass(groups=("on-call",), review_within=timedelta(hours=48))
        assert "not enabled" in told(kind="break-glass")[0]
        assert "not enabled" in told(kind="break-glass", break_glass=allowed)[0]
        pinned = {"kind": "break-glass", "break_glass": allowed, "pinned": "x"}
        assert "only members of on-call" in told(**pinned)[0]
        assert told(**pinned, groups={"on-call": ("alice@example.com",)}) == ()

    def test_without_rules_there_is_nothing_to_say(self):
        """Nobody configured anything."""
        involved = frozenset({"email:alice@example.com"})
        assert approver.warnings(involved, None, "alice@example.com", public(a_key()), kind="approval") == ()
