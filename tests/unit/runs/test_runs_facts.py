"""What a record says besides its events is built from values alone."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from tfaudit.engine import argv
from tfaudit.engine.process import Ended
from tfaudit.plan.redact import Redactor
from tfaudit.plan.secrets import KnownSecrets
from tfaudit.runs import facts

START = datetime(2026, 3, 1, 12, 0, 0, 999_900, tzinfo=UTC)


def test_times_are_utc_with_milliseconds() -> None:
    """A time in another zone is written in UTC, cut to milliseconds."""
    assert facts.timestamp(START.astimezone(timezone(timedelta(hours=5)))) == "2026-03-01T12:00:00.999Z"


def test_the_command_line_keeps_no_value_of_a_variable() -> None:
    """Options are recorded by name, variables without their values, addresses whole."""
    invocation = argv.parse(["apply", "-var=password=hunter2hunter2", "-target=aws_x.y", "-var-file=secret.tfvars"], {})
    described = facts.command(invocation, Redactor())
    assert described["options"] == ["-var=password", "-target=aws_x.y", "-var-file"]


def test_a_secret_in_an_address_is_withheld() -> None:
    """What is known to be secret is taken out of options and arguments too."""
    invocation = argv.parse(["taint", 'aws_x.y["correct-horse-battery"]'], {})
    described = facts.command(invocation, Redactor(secrets=KnownSecrets(["correct-horse-battery"])))
    assert "correct-horse-battery" not in str(described)


def test_an_import_id_is_not_recorded() -> None:
    """Ids may be personal: an import is recorded by its address."""
    invocation = argv.parse(["import", "aws_iam_user.u", "alice@example.com"], {})
    assert facts.command(invocation, Redactor())["arguments"] == ["aws_iam_user.u"]


def test_a_result_says_how_long_it_took() -> None:
    """Elapsed time is in milliseconds and never negative."""
    result = facts.result("applied", exit_code=0, started=START, ended=START + timedelta(seconds=2))
    assert result["elapsed_ms"] == 2000
    assert facts.result("applied", exit_code=0, started=START, ended=START - timedelta(seconds=2))["elapsed_ms"] == 0


def test_providers_come_from_the_lock_file(tmp_path: Path) -> None:
    """Source and version of each provider, and the digest of the file that fixes their bytes."""
    lock = tmp_path / ".terraform.lock.hcl"
    lock.write_text(
        '# edited by hand\n\nprovider "registry.example/hashicorp/aws" {\n  version     = "3.39.0"\n'
        '  constraints = "3.39.0"\n  hashes = [\n    "h1:x",\n  ]\n}\n\n'
        'provider "registry.example/hashicorp/random" {\n  version = "3.6.0"\n}\n'
    )
    described = facts.providers(lock)
    assert described is not None
    assert described["versions"] == {
        "registry.example/hashicorp/aws": "3.39.0",
        "registry.example/hashicorp/random": "3.6.0",
    }


def test_without_a_lock_file_there_are_no_providers(tmp_path: Path) -> None:
    """Built-in providers need no lock file."""
    assert facts.providers(tmp_path / "none") is None


def test_a_signal_outweighs_an_interrupt_and_that_an_error() -> None:
    """How a failed command ended is told by what is known of it, the surest first."""
    assert facts.failed(Ended(code=137, signal=9, interrupts=1)) == "killed"
    assert facts.failed(Ended(code=1, signal=None, interrupts=1)) == "interrupted"
    assert facts.failed(Ended(code=1, signal=None, interrupts=0)) == "errored"
