"""tfaudit.toml and TFAUDIT_* become one frozen Config."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit import config
from tfaudit.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    """Write a tfaudit.toml into ``folder``."""
    file = folder / "tfaudit.toml"
    file.write_text(text)
    return file


def test_is_found_upwards(tmp_path: Path) -> None:
    """The nearest file above the working directory counts, and its paths start from its own folder."""
    write(tmp_path, 'ledger = "ledger"\n')
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    loaded = config.load(cwd=below, environ={})
    assert loaded.ledger == str(tmp_path / "ledger")
    assert loaded.root == tmp_path


def test_without_a_file_nothing_is_set_up(tmp_path: Path) -> None:
    """No file and no variable leaves the ledger unset."""
    assert config.load(cwd=tmp_path, environ={}).ledger is None


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    """A TFAUDIT_ variable wins over the file."""
    write(tmp_path, 'ledger = "ledger"\nstack = "a"\n[audit]\nreads = false\n')
    environ = {"TFAUDIT_LEDGER": "other", "TFAUDIT_STACK": "b", "TFAUDIT_AUDIT_READS": "true"}
    loaded = config.load(cwd=tmp_path, environ=environ)
    assert (loaded.ledger, loaded.stack, loaded.audit_reads) == (str(tmp_path / "other"), "b", True)


def test_command_line_overrides_the_environment(tmp_path: Path) -> None:
    """--ledger wins over TFAUDIT_LEDGER."""
    loaded = config.load(cwd=tmp_path, environ={"TFAUDIT_LEDGER": "other"}, ledger="s3://bucket/prefix/")
    assert loaded.ledger == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('legder = "x"', 'unknown key "legder".*did you mean "ledger"'),
        ('[signer]\nrecrod = "file:x"', 'did you mean "signer.record"'),
        ("[delivery]\nx = 0", r'did you mean "delivery.budget"'),
        ('[[sink]]\nurl = "webhok:https://a.example/"', 'unknown kind of sink "webhok" in .*did you mean "webhook"'),
        ('[[alert]]\nto = ["env:X"]\non = ["destroyed"]', 'unknown event "destroyed" in .*did you mean "destroy"'),
        ('on_ledger_failure = "ignore"', '"stop" or "spool"'),
        ("ledger = 3", "ledger in .* is not a text"),
        ("signer = 3", "signer in .* is not a table"),
        ('[capture]\nredact = "x"', "not a list of texts"),
        ('[audit]\nreads = "yes"', "not true or false"),
        ('[s3]\nregoin = "x"', 'did you mean "s3.region"'),
        ('[retention]\nprofile = "iso"', "one of soc2, pci, hipaa, sox, sec17a4"),
        ("[retention]\ndays = 0", "retention.days in .* is not a number from 1 to 36500"),
        ('[retention]\ndays = "400"', "not a number"),
        ("[retention]\ndays = true", "not a number"),
        ('[retention]\ndays = 1\nmode = "governance"', '"GOVERNANCE" or "COMPLIANCE"'),
        ('[retention]\nmode = "COMPLIANCE"', "stands alone"),
        ('[retention]\nprofile = "pci"\ndays = 3', "both a profile and days"),
        ('[retention]\nprofile = "sec17a4"', 'retention.mode = "COMPLIANCE"'),
        ('[retention]\nprofile = "sec17a4"\nmode = "GOVERNANCE"', "needs a lock that nobody can lift"),
        ('genesis = "abc"', "64 hexadecimal digits"),
        ('writer = "../x"', "lower-case letters"),
        ('ledger = "ftp://x"', "no ledger location"),
        ('[signer]\nrecord = "key.pem"', "names no key"),
        ("= broken", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Every mistake in the file is a ConfigError that names it."""
    write(tmp_path, text)
    with pytest.raises(ConfigError, match=message):
        config.load(cwd=tmp_path, environ={})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """--config with no such file is an error, not a silent default."""
    with pytest.raises(ConfigError, match=r"no configuration file x\.toml"):
        config.load(cwd=tmp_path, environ={"TFAUDIT_CONFIG": "x.toml"})


def test_relative_paths_start_where_they_were_given(tmp_path: Path) -> None:
    """The file's from the file's folder, the environment's and the command line's from the working directory."""
    cwd, folder = tmp_path / "here", tmp_path / "there"
    for each in (cwd, folder):
        each.mkdir()
    write(folder, 'ledger = "l"\n[signer]\nrecord = "file:r.pem"\nlog = "file:g.pem"\n')
    loaded = config.load(cwd=cwd, folder=folder, environ={"TFAUDIT_SIGNER_LOG": "file:g.pem"}, working="w")
    assert (loaded.ledger, loaded.working) == (str(folder / "l"), str(cwd / "w"))
    assert (loaded.signer_record, loaded.signer_log) == (f"file:{folder}/r.pem", f"file:{cwd}/g.pem")


def test_a_named_file_has_one_folder(tmp_path: Path) -> None:
    """A file that is named through another folder lies in its own: what is told from there has one name."""
    (tmp_path / "sub").mkdir()
    write(tmp_path, 'ledger = "l"\n')
    loaded = config.load(cwd=tmp_path / "sub", environ={}, config_file="../tfaudit.toml")
    assert (loaded.root, loaded.ledger) == (tmp_path, str(tmp_path / "l"))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """No file content raises anything but ConfigError."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "tfaudit.toml").write_bytes(data)
    with contextlib.suppress(ConfigError):
        config.load(cwd=folder, environ={})


def test_retention_comes_from_a_profile_or_days(tmp_path: Path) -> None:
    """A profile stands for its years, GOVERNANCE is the default, and without a table there is no rule."""
    assert config.load(cwd=tmp_path, environ={}).retention is None
    write(tmp_path, '[retention]\nprofile = "hipaa"\n')
    loaded = config.load(cwd=tmp_path, environ={}).retention
    assert loaded == config.Retention(mode="GOVERNANCE", days=2192, profile="hipaa")
    write(tmp_path, '[retention]\nprofile = "sec17a4"\nmode = "COMPLIANCE"\n')
    loaded = config.load(cwd=tmp_path, environ={"TFAUDIT_RETENTION_DAYS": "400"}).retention
    assert loaded == config.Retention(mode="COMPLIANCE", days=400)


def test_s3_settings_come_from_file_and_environment(tmp_path: Path) -> None:
    """What the environment says of S3 wins over the file, what neither says is left to AWS's own configuration."""
    write(tmp_path, '[s3]\nregion = "eu-central-1"\nkms_key_id = "alias/a"\n')
    loaded = config.load(cwd=tmp_path, environ={"TFAUDIT_S3_REGION": "eu-west-1"}).s3
    assert loaded == config.S3Settings(region="eu-west-1", kms_key_id="alias/a")
