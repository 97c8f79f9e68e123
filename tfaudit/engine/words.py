"""How the engine splits ``TF_CLI_ARGS``: the words of mattn/go-shellwords, as Terraform and OpenTofu use it.

Nothing is imported here: the pass-through path reads this module on every start.
"""

from __future__ import annotations


class WordsError(ValueError):
    """The text can't be split: an open quote, a trailing backslash, a bare parenthesis."""


def split(line: str) -> list[str]:
    """Return the words of ``line`` as the engine sees them; raise :class:`WordsError` where it would.

    Not a shell's grammar: a backslash works inside double quotes too, ``\\t`` and ``\\n`` are a tab and a newline,
    back quotes and ``$(...)`` are kept as text, and everything from an unquoted ``;``, ``&``, ``|``, ``<`` or ``>`` on
    is dropped without a word.
    """
    words: list[str] = []
    word = ""
    started = escaped = False
    quote = ""  # the quote that is open: ' " ` or ( for $( )
    for char in line:
        if escaped:
            escaped = False
            word += "\\" + char if quote in ("`", "(") else {"t": "\t", "n": "\n"}.get(char, char)
            started = True
        elif char == "\\" and quote != "'":
            escaped = True
        elif char in " \t\r\n" and not quote:
            if started:
                words.append(word)
            word, started = "", False
        elif char == quote and char in "'\"":
            # An empty pair of quotes is a word of its own.
            quote, started = "", True
        elif not quote and char in "'\"":
            quote = char
        elif not quote and char in ";&|<>":
            if char == ">" and word.isdecimal() and word.isascii():
                started = False
            break
        else:
            quote = _quote_after(char, quote, word)
            word += char
            started = True
    if escaped or quote:
        raise WordsError("invalid command line string")
    if started:
        words.append(word)
    return words


def _quote_after(char: str, quote: str, word: str) -> str:
    """Return which quote is open once ``char`` has been read; back quotes and ``$(...)`` stay in the text."""
    if char == "`" and quote in ("", "`"):
        return "" if quote else "`"
    if char == ")" and quote in ("", "("):
        if not quote:
            raise WordsError("invalid command line string")
        return ""
    if char == "(" and quote in ("", "("):
        if quote or not word.endswith("$"):
            raise WordsError("invalid command line string")
        return "("
    return quote
