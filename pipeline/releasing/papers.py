"""The papers for readers and tools: model card, Modelfile, bill of materials."""

from __future__ import annotations

from pipeline.releasing import layout
from pipeline.releasing.bill_of_materials import bill_of_materials
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.model_card import model_card
from pipeline.releasing.modelfile import modelfile


def papers(release: ReleaseFacts) -> dict[str, bytes]:
    """Return name → bytes. They depend on the release alone. The model card says why where there is no Modelfile."""
    found = {
        layout.MODEL_CARD: model_card(release),
        layout.MODELFILE: modelfile(release),
        layout.BILL_OF_MATERIALS: bill_of_materials(release),
    }
    return {name: text.encode() for name, text in found.items() if text is not None}
