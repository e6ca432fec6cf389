"""The papers for readers and tools: model card, Modelfile, bill of materials."""

from __future__ import annotations

from pipeline.releasing import layout
from pipeline.releasing.bill_of_materials import bill_of_materials
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.model_card import model_card
from pipeline.releasing.modelfile import modelfile


def papers(release: ReleaseFacts) -> dict[str, bytes]:
    """Return name → bytes. They depend on the release alone."""
    return {
        layout.MODEL_CARD: model_card(release).encode(),
        layout.MODELFILE: modelfile(release).encode(),
        layout.BILL_OF_MATERIALS: bill_of_materials(release).encode(),
    }
