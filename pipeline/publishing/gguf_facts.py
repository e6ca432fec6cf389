"""What a registry's clients show of a model: architecture and number of weights, out of its files' headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pipeline.errors import ReleaseError
from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import JobError
from pipeline.publishing.items import Item


@dataclass(frozen=True)
class GgufFacts:
    """`architecture` as llama.cpp names it, and how many weights the tensors hold."""

    architecture: str
    weights: int

    @property
    def size_label(self) -> str:
        """The number of weights as people say it: 3.8M, 14.8B."""
        for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
            if self.weights >= unit:
                return f"{self.weights / unit:.1f}{name}"
        return str(self.weights)


def read_facts(items: Sequence[Item]) -> GgufFacts:
    """Read the headers of a model's parts; the first names the architecture. Raises ReleaseError for none."""
    try:
        headers = [read_header(cast("Path", item.source)) for item in items]
    except JobError as error:
        advice = "make the release anew: python -m pipeline release"
        raise ReleaseError(str(error), where=str(items[0].source), advice=advice) from error
    weights = sum(tensor.elements for header in headers for tensor in header.tensors)
    return GgufFacts(str(headers[0].keys.get("general.architecture", "")), weights)
