"""Where the ledger can't be written, nothing changes before there is evidence, and no outcome is lost after it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import support

pytestmark = pytest.mark.engine
ONE = 'resource "terraform_data" "one" {\n  input = "x"\n}\n'
# Its provisioner takes the ledger away in the middle of the apply.
BREAKING = """
resource "terraform_data" "one" {
  input = "x"
  provisioner "local-exec" {
    command = "mv .tfaudit/ledger .tfaudit/away && touch .tfaudit/ledger"
  }
}
"""


@pytest.fixture
def ready(project: support.Project) -> support.Project:
    """A project with a ledger and one resource to create."""
    project.write(ONE)
    project.run_engine("init")
    project.tfaudit("setup", "--yes")
    return project


def state(project: support.Project) -> list[str]:
    """Return the addresses in the state."""
    return project.run_engine("state", "list", code=None).stdout.split()


def one_line(text: str) -> str:
    """Return the only line that tfaudit said."""
    lines = [line for line in text.splitlines() if line.startswith("tfaudit: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


def remove_key(folder: Path) -> None:
    """Lose the record key."""
    (folder / ".tfaudit/keys/record.pem").unlink()


def remove_log_key(folder: Path) -> None:
    """Lose the log's key."""
    (folder / ".tfaudit/keys/log.pem").unlink()


def open_key_to_all(folder: Path) -> None:
    """Let everybody read the record key."""
    (folder / ".tfaudit/keys/record.pem").chmod(0o644)


def break_key(folder: Path) -> None:
    """Overwrite the record key."""
    (folder / ".tfaudit/keys/record.pem").write_text("no key")


def swap_roles(folder: Path) -> None:
    """Sign records with a key that may only sign configuration."""
    shutil.copyfile(folder / ".tfaudit/keys/root.pem", folder / ".tfaudit/keys/record.pem")


def remove_ledger(folder: Path) -> None:
    """Lose the ledger."""
    shutil.rmtree(folder / ".tfaudit/ledger")


def put_a_file_there(folder: Path) -> None:
    """Put a file in the ledger's place."""
    remove_ledger(folder)
    (folder / ".tfaudit/ledger").write_text("")


def empty_genesis(folder: Path) -> None:
    """Truncate genesis."""
    genesis = folder / ".tfaudit/ledger/genesis.json"
    genesis.chmod(0o600)
    genesis.write_text("")


def other_ledger(folder: Path) -> None:
    """Put another ledger into this one's place."""
    text = (folder / "tfaudit.toml").read_text()
    start = text.index("sha256:") + len("sha256:")
    (folder / "tfaudit.toml").write_text(text[:start] + "0" * 64 + text[start + 64 :])


def misspell(folder: Path) -> None:
    """Misspell a key of the configuration."""
    with (folder / "tfaudit.toml").open("a") as file:
        file.write('recrod = "file:x"\n')


@pytest.mark.parametrize(
    ("breaks", "code", "says"),
    [
        (remove_key, 78, "record.pem"),
        (remove_log_key, 78, "log.pem"),
        (open_key_to_all, 78, "chmod 600"),
        (break_key, 78, "record.pem"),
        (swap_roles, 78, "does not accept"),
        (remove_ledger, 74, "ledger"),
        (put_a_file_there, 74, "ledger"),
        (empty_genesis, 74, "genesis"),
        (other_ledger, 78, "genesis"),
        (misspell, 78, "signer.record"),
    ],
)
def test_nothing_is_applied_without_a_ledger(
    ready: support.Project, breaks: Callable[[Path], None], code: int, says: str
) -> None:
    """Each broken ledger, key or configuration stops an apply with one line and its exit code."""
    breaks(ready.folder)
    done = ready.tfaudit("apply", "-auto-approve", code=code)
    assert says in one_line(done.stderr)
    assert state(ready) == []


def test_a_plan_goes_on_without_a_ledger(ready: support.Project) -> None:
    """A plan changes nothing: it warns, and keeps the engine's exit code and output."""
    remove_ledger(ready.folder)
    done = ready.tfaudit("plan", "-no-color", "-detailed-exitcode", code=2)
    assert "1 to add" in done.stdout
    assert "not recorded" in one_line(done.stderr)


def test_an_operation_stops_as_well(ready: support.Project) -> None:
    """What changes the state alone needs its intent in the ledger too."""
    ready.tfaudit("apply", "-auto-approve")
    remove_ledger(ready.folder)
    ready.tfaudit("state", "rm", "terraform_data.one", code=74)
    assert state(ready) == ["terraform_data.one"]


def test_without_any_set_up_an_apply_says_what_to_do(project: support.Project) -> None:
    """No tfaudit.toml: exit 78 and the command that makes one."""
    project.write(ONE)
    project.run_engine("init")
    assert "tfaudit setup" in one_line(project.tfaudit("apply", "-auto-approve", code=78).stderr)
    assert state(project) == []


def test_an_outcome_waits_in_the_spool(ready: support.Project) -> None:
    """A ledger that goes away in the middle of an apply costs the exit code 0, not the record."""
    ready.write(BREAKING)
    done = ready.tfaudit("apply", "-auto-approve", code=74)
    assert "NOT in the ledger" in one_line(done.stderr)
    assert state(ready) == ["terraform_data.one"]
    (ready.folder / ".tfaudit/ledger").unlink()
    (ready.folder / ".tfaudit/away").rename(ready.folder / ".tfaudit/ledger")
    done = ready.tfaudit("plan")
    assert "from the spool" in done.stderr
    report = json.loads(ready.tfaudit("verify", "--json").stdout)
    assert report["ok"]
    assert report["findings"] == []
    kinds = [json.loads(line)["kind"] for line in ready.tfaudit("log", "--json").stdout.splitlines()]
    assert kinds == ["plan", "outcome", "intent"]


def test_a_failed_apply_keeps_its_exit_code(ready: support.Project) -> None:
    """Where the engine failed too, its exit code stands."""
    ready.write(BREAKING.replace("touch .tfaudit/ledger", "touch .tfaudit/ledger && exit 3"))
    ready.tfaudit("apply", "-auto-approve", code=1)
    assert any((ready.folder / ".tfaudit/spool/records").iterdir())


def test_spooling_before_the_apply_is_a_choice(ready: support.Project) -> None:
    """With on_ledger_failure = "spool" an apply goes on, and both its records are sent later."""
    text = (ready.folder / "tfaudit.toml").read_text()
    (ready.folder / "tfaudit.toml").write_text(f'on_ledger_failure = "spool"\n{text}')
    ready.tfaudit("plan")
    away = ready.folder / ".tfaudit/away"
    (ready.folder / ".tfaudit/ledger").rename(away)
    done = ready.tfaudit("apply", "-auto-approve", code=74)
    assert "NOT in the ledger" in done.stderr
    assert state(ready) == ["terraform_data.one"]
    away.rename(ready.folder / ".tfaudit/ledger")
    assert "2 waiting records" in ready.tfaudit("recover").stdout or "2 records" in ready.tfaudit("log").stderr
    report = json.loads(ready.tfaudit("verify", "--json").stdout)
    assert report["findings"] == []
    assert report["records"] == 3


def test_a_full_disk_stops_before_and_spares_the_outcome_after(ready: support.Project, tmp_path: Path) -> None:
    """On a ledger of a few KiB: the apply that no longer fits is not begun."""
    script = f"""
        set -e
        cp -a .tfaudit/ledger {tmp_path}/saved
        mount -t tmpfs -o size=24k tmpfs .tfaudit/ledger
        cp -a {tmp_path}/saved/. .tfaudit/ledger/
        head -c 1000000 /dev/zero > .tfaudit/ledger/filling 2>/dev/null || true
        set +e
        {support.TFAUDIT} apply -auto-approve -no-color
        code=$?
        rm .tfaudit/ledger/filling
        {support.TFAUDIT} verify --json
        exit $code
    """
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    if os.geteuid() != 0 or probe.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        cwd=ready.folder,
        env=ready.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount" in done.stderr and "permission denied" in done.stderr.lower():
        pytest.skip("mounting is not permitted here")
    assert done.returncode == 74, done.stderr
    assert "No space left" in one_line(done.stderr)
    assert state(ready) == []
    assert json.loads(done.stdout[done.stdout.index('{"ok"') :])["ok"]


def test_a_plan_that_the_engine_can_not_show_is_not_applied(ready: support.Project) -> None:
    """Nobody knows what it would change; the engine's own words say why it can't be shown."""
    ready.tfaudit("plan", "-out=saved")
    with zipfile.ZipFile(ready.folder / "saved") as made, zipfile.ZipFile(ready.folder / "other", "w") as other:
        for name in made.namelist():
            other.writestr(name, b"" if name == "tfplan" else made.read(name))
    done = ready.tfaudit("apply", "-no-color", "other", code=65)
    assert "Error: " in done.stderr
    assert "the plan can't be looked into" in done.stderr.splitlines()[-1]
    assert state(ready) == []


def test_a_pipe_for_a_plan_file_is_one_line(ready: support.Project) -> None:
    """A saved plan that is a pipe ends with 65 before anything happens: the engine would wait for it."""
    os.mkfifo(ready.folder / "saved")
    assert "saved" in one_line(ready.tfaudit("apply", "saved", code=65).stderr)
    assert state(ready) == []
