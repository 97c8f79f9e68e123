"""What a run does, and in which order: :mod:`tfaudit.runs.pipeline` is the only module that knows."""
