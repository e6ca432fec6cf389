"""The type that every stage module describes its work with. Pure data: nothing runs here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.gates.verdict import Gate
from pipeline.stages.room import Room, Sizes, little

Environment = Literal["host", "training", "inference"]


@dataclass(frozen=True)
class Input:
    """The files of another stage's artifact that a stage reads.

    `files` are glob patterns over paths inside the artifact; only matching files count in the key
    and only they may be read.
    """

    stage: str
    files: tuple[str, ...] = ("**",)


@dataclass(frozen=True)
class HostJob:
    """What a stage that runs in the host process is given; the same contract as a job's.

    `settings` is the run settings' table of the stage's family, which changes no byte. `cache` is a room of the family
    that outlives runs and keys, and may be used by several runs at once. A stage that waits for something looks at
    `cancelled` meanwhile; `emit` looks at it too.
    """

    parameters: Mapping[str, Any]
    inputs: Mapping[str, Path]
    output: Path
    scratch: Path
    emit: Callable[..., None]
    settings: Mapping[str, Any] = field(default_factory=dict)
    cache: Path = Path()
    cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Stage:
    """One node of the plan.

    `name` is unique in a plan (`quantize-Q4_K_M`); `family` is what a user names (`quantize`).
    Exactly one of `program` (a module of `pipeline/inside/`) and `host` is set. `version` goes up
    when a change of the stage must rebuild although no other component of its key changed.
    `outside` lists files outside the store that the stage reads (the user's data); their digests
    count in the key. `judged_with` names artifacts that only the gates read (name → stage): they do not
    count in the key, because gates judge anew on every look-up. `after` names stages whose gates must
    hold first although nothing of theirs is read, so that nothing is built upon a form that was found
    broken. `vendored` says that the program runs code of the llama.cpp tree, `heavy` that it runs alone
    and has all processors, `reads_verdicts` that it lays out what the gates found, `tracked` that trackers watch it
    where the run settings ask for them, `computes` that the code of a host stage decides its bytes, so that it counts
    in the key.

    Three things are looked at before anything runs, so that no download or training is spent on a recipe that
    cannot end: `needs` names what the environment must offer beyond its lock file's CPU packages
    (`cuda`, `unsloth`, `bitsandbytes`) with the recipe's setting that asks for it, `check` raises a
    PipelineError where the stage can already be seen to be impossible, and so does `check_settings`, which is
    given the run settings' table of the stage's family.

    `room` tells how much disk the stage fills at most, from the sizes of its inputs. It is asked before the stage
    starts, and before the run where the sizes are known by then.
    """

    name: str
    family: str
    version: int
    environment: Environment
    parameters: Mapping[str, Any]
    summary: str
    program: str | None = None
    host: Callable[[HostJob], None] | None = None
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outside: Mapping[str, Path] = field(default_factory=dict)
    judged_with: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    vendored: bool = False
    heavy: bool = False
    reads_verdicts: bool = False
    tracked: bool = False
    computes: bool = False
    needs: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[], None] | None = None
    check_settings: Callable[[Mapping[str, Any]], None] | None = None
    room: Callable[[Sizes], Room] = little

    @property
    def read_by_gates(self) -> dict[str, str]:
        """Name of a folder that the stage's gates may read → the stage that made it."""
        return {**{name: item.stage for name, item in self.inputs.items()}, **self.judged_with}

    @property
    def dependencies(self) -> tuple[str, ...]:
        """Names of the stages that must be there, with their gates held, before this one starts."""
        read = [item.stage for item in self.inputs.values()]
        return tuple(dict.fromkeys([*read, *self.judged_with.values(), *self.after]))
