"""How does the engine write colours into its text: bracketed tags, turned into SGR sequences or taken out."""

from __future__ import annotations

import re
from functools import lru_cache

# The tag set of the Go package mitchellh/colorstring, which both engines use. Unknown tags stay as they stand.
_HUES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "light_gray")
_BRIGHT = (
    "dark_gray",
    "light_red",
    "light_green",
    "light_yellow",
    "light_blue",
    "light_magenta",
    "light_cyan",
    "white",
)


def _codes() -> dict[str, int]:
    codes = {
        "default": 39,
        "_default_": 49,
        "reset": 0,
        "bold": 1,
        "dim": 2,
        "underline": 4,
        "blink_slow": 5,
        "blink_fast": 6,
        "invert": 7,
        "hidden": 8,
        "reset_bold": 21,
    }
    for first, names in ((30, _HUES), (90, _BRIGHT)):
        for offset, name in enumerate(names):
            codes[name] = first + offset
            codes[f"_{name}_"] = first + 10 + offset
    return codes


_CODES = _codes()
_TAG = re.compile(r"\[([A-Za-z0-9_-]+)\]")


@lru_cache(maxsize=256)
def paint(template: str, *, colour: bool) -> str:
    """The template with its tags as SGR sequences and a closing reset, or, without colour, with its tags taken out."""
    tagged = False

    def swap(tag: re.Match[str]) -> str:
        nonlocal tagged
        code = _CODES.get(tag[1])
        if code is None:
            return tag[0]
        tagged = True
        return f"\x1b[{code}m" if colour else ""

    text = _TAG.sub(swap, template)
    return text + "\x1b[0m" if tagged and colour else text
