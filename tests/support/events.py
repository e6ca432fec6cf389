"""Takes the events of a job, as the host does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Events:
    """Takes the events of a job."""

    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, event: str, **data: Any) -> None:
        """Take one event."""
        self.seen.append((event, data))

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the data of every event of one name."""
        return [data for name, data in self.seen if name == event]
