"""Rules of this code base that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = sorted((REPOSITORY / "tfaudit").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(REPOSITORY)))
def test_struct_decoders_are_made_at_import(module):
    """No function makes a decoder of a struct: two threads that first decode one struct at once crash the process."""
    tree = ast.parse(module.read_text())
    structs = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Struct") for base in node.bases)
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            made = [
                ast.unparse(call)
                for call in ast.walk(function)
                if isinstance(call, ast.Call) and _types(call) & structs
            ]
            assert made == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(REPOSITORY)))
def test_every_module_says_what_it_answers(module):
    """Every module begins with a docstring, its first line a sentence."""
    docstring = ast.get_docstring(ast.parse(module.read_text()))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", "?", ":")) or len(docstring.splitlines()) > 1


def _types(call: ast.Call) -> set[str]:
    """Return the names that a call to make a decoder, or to decode, is given as types."""
    name = ast.unparse(call.func)
    if name.endswith("Decoder"):
        given = call.args[:1]
    elif name.endswith(("json.decode", "msgpack.decode", "convert")):
        given = [keyword.value for keyword in call.keywords if keyword.arg == "type"] + call.args[1:2]
    else:
        return set()
    return {node.id for each in given for node in ast.walk(each) if isinstance(node, ast.Name)}
