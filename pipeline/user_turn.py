"""The request that a model was given: the recipe's `prompt.user` with the values of a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def user_turn(template: str, row_input: Mapping[str, Any]) -> str:
    """Return a template with a row's values.

    A test holds it against the renderer of training, which the host cannot import.
    """
    return _PLACEHOLDER.sub(
        lambda match: match.group()[0] if match.group(1) is None else str(row_input[match.group(1)]), template
    )
