"""The names of the files in a release folder. Standard library only: whoever verifies one needs no more."""

from __future__ import annotations

import re

CHAIN = "chain.json"
MANIFEST = "manifest.json"
REPORTS = ("report.html", "report.md", "report.json")
MODEL_CARD = "README.md"
LICENCE_TEXT = "LICENSE.txt"
MODELFILE = "Modelfile"
RECIPE = "recipe.toml"
BILL_OF_MATERIALS = "sbom.cdx.json"
PROVENANCE = "provenance.intoto.jsonl"
CHECKSUMS = "SHA256SUMS"
PUBLIC_KEY = "signer.pub"
SIGNATURE = "model.sig"

FETCH_NOTES = frozenset({"base.json", "source.json"})
"""Files in which a fetch stage writes down what it fetched: made here, so no dependencies."""

UNLISTED = frozenset({CHECKSUMS, SIGNATURE})
"""Files that `SHA256SUMS` does not name: itself, and the signature over it."""
SIGNED = frozenset({PROVENANCE, CHECKSUMS, PUBLIC_KEY, SIGNATURE})
"""Files that hold signatures, or digests of files that do: they differ between two releases of one build."""

_FIXED = frozenset(
    {CHAIN, MANIFEST, *REPORTS, MODEL_CARD, LICENCE_TEXT, MODELFILE, RECIPE, BILL_OF_MATERIALS, PROVENANCE, *SIGNED}
)
_MODEL = re.compile(r"model-(?P<kind>[A-Za-z0-9_]+?)(?:-(?P<part>\d{5})-of-(?P<parts>\d{5}))?\.gguf")


def is_model(name: str) -> bool:
    """Tell whether a file of a release folder is a model, or a part of one."""
    return _MODEL.fullmatch(name) is not None


def is_released(name: str) -> bool:
    """Tell whether a release folder may hold a file of that name."""
    return name in _FIXED or is_model(name)


def model_kind(name: str) -> str:
    """Return the type of a model's file, such as `F16` or `Q4_K_M`. Raises ValueError for any other file."""
    found = _MODEL.fullmatch(name)
    if found is None:
        message = f"{name!r} is no model of a release"
        raise ValueError(message)
    return "F16" if found["kind"] == "f16" else found["kind"]
