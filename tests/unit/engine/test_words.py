"""The words of TF_CLI_ARGS, as go-shellwords cuts them."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfaudit.engine.words import WordsError, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  -a\t-b \n", ["-a", "-b"]),
        ("-var 'x=a b' -q", ["-var", "x=a b", "-q"]),
        ('-var "x=\\"q\\""', ["-var", 'x="q"']),
        ("a '' b", ["a", "", "b"]),
        ("a\\ b", ["a b"]),
        (r"a\tb", ["a\tb"]),
        (r"'a\tb'", [r"a\tb"]),
        ("-target=aws['x']", ["-target=aws[x]"]),
        ("'-target=m.x[\"k\"]'", ['-target=m.x["k"]']),
        ("-a; -b", ["-a"]),
        ("-a && -b", ["-a"]),
        ("-a 2> f", ["-a"]),
        ("-a b> f", ["-a", "b"]),
        ("$(ls -l) b", ["$(ls -l)", "b"]),
        ("`ls -l` b", ["`ls -l`", "b"]),
        ("$HOME é", ["$HOME", "é"]),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    """Each line gives the words that the engine gets."""
    assert split(line) == words


@pytest.mark.parametrize("line", ["'a", '"a', "a\\", "`a", "$(a", "a)", "(a", "a (b)", "$(a (b))"])
def test_unsplittable(line: str) -> None:
    """What the engine reports as an invalid command line is an error here too."""
    with pytest.raises(WordsError):
        split(line)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
def test_single_quotes_keep_everything(words: list[str]) -> None:
    """A word in single quotes, its own quotes escaped outside of them, comes back as it was."""
    line = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    assert split(line) == words


@given(st.text())
def test_never_fails_otherwise(line: str) -> None:
    """Any text gives words or the one error."""
    try:
        words = split(line)
    except WordsError:
        return
    assert all(isinstance(word, str) for word in words)


@given(st.lists(st.text("abc-=./_", min_size=1)))
def test_plain_words_as_a_shell(words: list[str]) -> None:
    """Plain words are cut as a shell would."""
    assert split(" ".join(words)) == shlex.split(" ".join(words))
