"""A password or token that shows itself to nobody but the client that it is for."""

from __future__ import annotations


class Secret:
    """Its text is in no representation, no comparison and no error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        """Say what it is, not which."""
        return "Secret(…)"

    def reveal(self) -> str:
        """Return it, for the header that it belongs in."""
        return self._value
