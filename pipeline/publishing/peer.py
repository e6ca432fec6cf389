"""What every kind of target can do, and what it says of itself before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.publishing.items import Item

THERE, MISSING, OTHER = "there", "missing", "other bytes there"


@dataclass(frozen=True)
class Placement:
    """An item and what the target has in its place; `found` is the sha256 (hex) there, where it is told."""

    item: Item
    state: str
    found: str | None = None


@dataclass(frozen=True)
class Survey:
    """What a target holds now.

    `placements`: everything that is published, in the order of sending. `names`: what the release will be called
    there, the one that people use last. `conflicts`: what would be overwritten, each with the digest that is there.
    `removals`: what would be taken away. `notes`: what is not published, and why; and what else should be known.
    `pointed`: whether what makes a release visible is there and right.
    """

    placements: tuple[Placement, ...]
    names: tuple[str, ...]
    conflicts: tuple[str, ...] = ()
    removals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pointed: bool = False

    @property
    def unsent(self) -> tuple[Item, ...]:
        """What has to be sent."""
        return tuple(placement.item for placement in self.placements if placement.state != THERE)

    @property
    def complete(self) -> bool:
        """Whether the release is published already, whole and visible."""
        return self.pointed and not self.unsent and not self.removals


class Peer(Protocol):
    """One target. Every method raises PublishError."""

    where: str
    """The target's address, for messages."""
    checked: str
    """How what was sent is verified."""

    def survey(self) -> Survey:
        """Look at what is there; change nothing."""

    def send(self, survey: Survey) -> None:
        """Send what is not there, and verify it by digest. Nobody who looks for a release sees it yet."""

    def point(self, survey: Survey) -> str:
        """Make the release visible, as the last step; return what names it now."""
