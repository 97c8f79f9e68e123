"""What a plan file gives away without its engine."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.plan.planfile import read_plan_file

STATE = b'{"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"abc-def","outputs":{},"resources":[]}'


def archive(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def written(folder: Path, content: bytes) -> Path:
    """Return the path of a file with this content."""
    path = folder / "plan"
    path.write_bytes(content)
    return path


def test_lineage_and_serial_of_the_state(tmp_path: Path) -> None:
    """The state inside the plan file names its lineage, its serial and the engine's version."""
    found = read_plan_file(written(tmp_path, archive(("tfplan", b"x"), ("tfstate", STATE), ("tfstate-prev", b"{}"))))
    assert (found.kind, found.lineage, found.serial, found.engine_version) == ("plan-file", "abc-def", 7, "1.11.4")
    assert found.problem is None


def test_an_open_descriptor_will_do(tmp_path: Path) -> None:
    """A file that is open already is read by its descriptor, which stays open."""
    with written(tmp_path, archive(("tfstate", STATE))).open("rb") as file:
        assert read_plan_file(file.fileno()).serial == 7
        assert read_plan_file(file.fileno()).serial == 7


def test_a_first_plan_has_an_empty_lineage(tmp_path: Path) -> None:
    """Before the first apply lineage is empty and serial 0: known, not missing."""
    state = (
        b'{\n  "version": 4,\n  "terraform_version": "1.11.4",\n  "serial": 0,\n  "lineage": "",\n  "outputs": {}\n}'
    )
    found = read_plan_file(written(tmp_path, archive(("tfstate", state))))
    assert (found.lineage, found.serial, found.problem) == ("", 0, None)


def test_an_encrypted_state_keeps_its_lineage_in_clear(tmp_path: Path) -> None:
    """Serial and lineage stand beside the encrypted part."""
    state = b'{"serial":3,"lineage":"l","meta":{"key_provider":"x"},"encrypted_data":"AAAA","encryption_version":"v0"}'
    assert read_plan_file(written(tmp_path, archive(("tfstate", state)))).serial == 3


@pytest.mark.parametrize(
    ("content", "kind", "problem"),
    [
        (b'{"remote_plan_format":1,"run_id":"run-1","hostname":"h"}', "bookmark", "remote platform"),
        (b'{"meta":{"a":"b"},"encrypted_data":"x","encryption_version":"v0"}', "encrypted", "encrypted"),
        (b"tfplan\x00\x01", "old", "before 0.12"),
        (b"", "unknown", "not a plan file"),
        (b"PK\x03\x04broken", "unknown", "a zip that can't be read"),
        (archive(("tfplan", b"x")), "unknown", "0 members named tfstate"),
        (archive(("tfstate", b"[]")), "plan-file", "no lineage and serial"),
        (archive(("tfstate", b'{"serial":1e3,"lineage":"l"}')), "plan-file", "no lineage and serial"),
        (archive(("tfstate", b'{"lineage":"l"}')), "plan-file", "no lineage and serial"),
    ],
)
def test_what_cant_be_looked_into_says_why(tmp_path: Path, content: bytes, kind: str, problem: str) -> None:
    """The kind is told, and why there is no lineage."""
    found = read_plan_file(written(tmp_path, content))
    assert found.kind == kind
    assert problem in (found.problem or "")
    assert (found.lineage, found.serial) == (None, None)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_states_are_one_too_many(tmp_path: Path) -> None:
    """Which of two members of one name counts is anybody's guess."""
    assert read_plan_file(written(tmp_path, archive(("tfstate", STATE), ("tfstate", STATE)))).lineage is None


def test_a_bookmark_names_its_run(tmp_path: Path) -> None:
    """The run and host of a remote plan are told."""
    found = read_plan_file(
        written(tmp_path, b'{\n  "remote_plan_format": 1,\n  "run_id": "run-1",\n  "hostname": "h"\n}\n')
    )
    assert (found.run_id, found.hostname) == ("run-1", "h")


def test_a_directory_or_nothing_costs_the_lineage_only(tmp_path: Path) -> None:
    """What is no file at all is a problem, not an exception."""
    assert read_plan_file(tmp_path).problem
    assert read_plan_file(tmp_path / "none").problem


def test_a_zip_bomb_is_only_begun(tmp_path: Path) -> None:
    """A state that unpacks to half a gigabyte is read no further than its beginning."""
    bomb = STATE[:-1] + b',"x":"' + b"0" * (64 << 20) + b'"}'
    assert read_plan_file(written(tmp_path, archive(("tfstate", bomb)))).serial == 7


@given(st.binary(max_size=60), st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_no_content_raises(tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, junk: bytes) -> None:
    """Whatever the file holds, an answer comes back."""
    folder = tmp_path_factory.getbasetemp()
    whole = archive(("tfstate", STATE))
    for content in (data, b"PK" + data, whole[:at] + junk + whole[at + len(junk) :], whole[:at]):
        assert read_plan_file(written(folder, content)).kind
