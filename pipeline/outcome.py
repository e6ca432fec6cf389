"""What a run says of one stage."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.artifact import Manifest


@dataclass(frozen=True)
class Outcome:
    """What happened to one stage: `hit` or `built`, in `wall_s` seconds; `changed` says why it was built.

    Of a built stage's time its program took `work_s`, and its gates `gates_s`; the rest is ours.
    """

    stage: str
    status: str
    manifest: Manifest
    wall_s: float
    work_s: float = 0.0
    gates_s: float = 0.0
    changed: tuple[str, ...] = ()
