"""What the documentation says about names, codes and files is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from tfaudit import errors
from tfaudit.ledger.verify import findings

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    """Every relative link on a page leads to a file or folder of the repository."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/exit-codes.md"])
def test_every_exit_code_is_documented(page):
    """Every exit code that an error class has stands in the tables."""
    text = (REPOSITORY / page).read_text()
    codes = {each.exit_code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")}
    assert {code for code in codes if f"| {code} |" not in text} == set()


def test_every_variable_is_documented():
    """Every TFAUDIT_ variable that the code names stands in docs/configuration.md."""
    named = {
        name
        for module in (REPOSITORY / "tfaudit").rglob("*.py")
        for name in re.findall(r"TFAUDIT_[A-Z_]*[A-Z]\b", module.read_text())
    }
    documented = set(re.findall(r"TFAUDIT_[A-Z_]+", (REPOSITORY / "docs" / "configuration.md").read_text()))
    assert named - documented == set()


def test_every_finding_is_explained():
    """Every code that verify can report stands in the auditor's table."""
    text = (REPOSITORY / "docs" / "auditor.md").read_text()
    assert [code for code in get_args(findings.Code) if f"`{code}`" not in text] == []


def test_decisions_are_numbered_without_a_gap():
    """The pages in docs/adr/ are numbered from 1 on, and each heading repeats its number."""
    pages = sorted((REPOSITORY / "docs" / "adr").glob("*.md"))
    for number, page in enumerate(pages, start=1):
        assert page.name.startswith(f"{number:04d}-")
        assert page.read_text().startswith(f"# {number}. ")
