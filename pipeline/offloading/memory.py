"""A model's parts for a command: what the program inside reads, with errors of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.inside.job import JobError
from pipeline.inside.model_memory import Model
from pipeline.inside.model_memory import read_model as read


def read_model(paths: Sequence[Path]) -> Model:
    """Read a GGUF file, or all parts of one in their order. Raises UsageError for what is none, or of another kind."""
    try:
        return read(paths)
    except JobError as error:
        raise UsageError(error.what, where=str(paths[0]), advice=error.advice or "name a GGUF file") from error
    except OSError as error:
        advice = "name a GGUF file"
        raise UsageError(f"it cannot be read: {error.strerror}", where=str(error.filename), advice=advice) from error
