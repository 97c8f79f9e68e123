"""What would the engine have printed for people, and for machines, in one run where tfaudit has made it two?"""

from tfaudit.engine.human.diagnostics import Diagnostic, Piece, Style
from tfaudit.engine.human.jsonlines import JsonFilter
from tfaudit.engine.human.message import import_label
from tfaudit.engine.human.stream import DEFAULT_WIDTH, Options, Renderer

__all__ = ["DEFAULT_WIDTH", "Diagnostic", "JsonFilter", "Options", "Piece", "Renderer", "Style", "import_label"]
