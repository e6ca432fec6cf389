"""The evidence of gates, which a release leaves out unless its recipe shows rows: it may quote people's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def leaves_evidence_out(components: Mapping[str, Any], stages: Mapping[str, Any]) -> bool:
    """Tell whether a stage was made of verdicts that stand in the manifest without their evidence.

    Its key cannot be made anew then. The verdicts have to be those that the manifest tells of the stages themselves:
    an edited one is not excused.
    """
    verdicts = components.get("verdicts")
    if type(verdicts) is not dict:
        return False
    return all(_is_told(verdicts[name], stages.get(name)) for name in verdicts)


def _is_told(verdicts: Any, stage: Any) -> bool:
    """Tell whether verdicts are those of a stage, each without evidence."""
    if type(verdicts) is not list or type(stage) is not dict or verdicts != stage.get("gates"):
        return False
    return all(type(one) is dict and one.get("evidence") == [] for one in verdicts)
