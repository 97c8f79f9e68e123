"""What would the engine have printed for people, and for machines, in one run where tfaudit has made it two?"""

from tfaudit.engine.human.diagnostics import Diagnostic, Piece, Style
from tfaudit.engine.human.jsonlines import JsonFilter
from tfaudit.engine.human.message import import_label
from tfaudit.engine.human.stream import Options, Renderer

__all__ = ["Diagnostic", "JsonFilter", "Options", "Piece", "Renderer", "Style", "import_label"]
