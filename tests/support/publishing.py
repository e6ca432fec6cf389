"""Publishing as the command does it, without its process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.publish import peer_of
from pipeline.errors import PipelineError
from pipeline.publishing.peer import Survey
from pipeline.publishing.publish import publish
from pipeline.publishing.release import read_release
from pipeline.publishing.target import parse_target
from tests.support.events import Events


@dataclass
class Told:
    """What the command said, and the events that went by."""

    survey: Survey
    texts: list[str] = field(default_factory=list)
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: Events = field(default_factory=Events)

    @property
    def sent(self) -> list[str]:
        """The files that were sent, in order."""
        return [one["file"] for one in self.events.of("publish.done") if one["doing"] == "send"]


def run(folder: Path, target: str, *, yes: bool = True, replace: bool = False, public: bool = False) -> Told:
    """Publish a folder; return what was told. Raises what the command raises."""
    told = Told(Survey((), ()))

    def say(text: str, event: str, **data: Any) -> None:
        told.texts.append(text)
        told.said.append((event, data))

    release = read_release(folder, told.events)
    peer = peer_of(parse_target(target), release, told.events, public=public)
    told.survey = publish(release, peer, say, consent=yes, replace=replace)
    return told


def refused(call: Callable[[], object], match: str | None = None) -> PipelineError:
    """Call, and return the error that it must end with."""
    with pytest.raises(PipelineError, match=match) as caught:
        call()
    return caught.value


def states(survey: Survey) -> dict[str, str]:
    """Return what the target has in the place of each file."""
    return {placement.item.name: placement.state for placement in survey.placements}
