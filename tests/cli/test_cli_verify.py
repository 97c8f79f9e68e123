"""``tfaudit verify`` as people see it."""

from __future__ import annotations

from reading import tfaudit
from readkit import Place, change


def test_a_sound_ledger_is_one_line_of_counts(tmp_path, monkeypatch, capfd):
    """What is there once is told of as one."""
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "place")
    place.planned(change("aws_x.web", ("create",), after={"size": 1}), kind="plan")
    code, out, _ = tfaudit(place, capfd, "verify", "--genesis", place.ledger.genesis.digest)
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("ok: 1 record with 1 event in 1 commit, size 2, root ")


def test_a_ledger_without_records_says_so(tmp_path, monkeypatch, capfd):
    """Its tree has no root to show."""
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path / "place")
    code, out, _ = tfaudit(place, capfd, "verify", "--genesis", place.ledger.genesis.digest)
    assert (code, out) == (0, "ok: 0 records with 0 events in 0 commits, nothing is recorded yet\n")


def test_a_working_store_that_is_not_there_is_named_once(place, capfd, tmp_path):
    """Beside the findings stands what all of them come from."""
    missing = tmp_path / "none"
    code, out, err = tfaudit(place, capfd, "verify", working=missing)
    assert (code, "missing-disclosure" in out) == (76, True)
    assert f"there is no working store {missing}: name it by --working" in err
    assert tfaudit(place, capfd, "verify")[2] == ""
