"""The verdict over a build and a release: identical, or the first stage that differs and what makes it differ. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.artifact import Manifest
from pipeline.differing.fields import Field, differing_fields
from pipeline.differing.places import in_order

State = Literal["identical", "differs", "not built", "only here"]

CAUSES: Final[tuple[tuple[str, str], ...]] = (
    ("outside.", "another input file"),
    ("parameters.", "another recipe"),
    ("fixed.ATEN_CPU_CAPABILITY", "another instruction set"),
    ("fixed.ONEDNN_MAX_CPU_ISA", "another instruction set"),
    ("fixed.", "other variables that fix numerics"),
    ("code.", "other code of the stage"),
    ("version", "other code of the stage"),
    ("vendor.", "another llama.cpp"),
    ("environment.llama-cpp-wheel", "another build of llama.cpp"),
    ("environment.llama-cpp-python", "another build of llama.cpp"),
    ("environment.python", "another interpreter"),
    ("environment.interpreter", "another interpreter"),
    ("environment.libpython", "another interpreter"),
    ("environment.image", "another container image"),
    ("environment.", "other packages: another lock"),
    ("verdicts", "other verdicts of gates"),
)
"""Beginning of a component's path in a key → what it means that it differs. The first that fits counts."""


_SECONDS: Final = re.compile(r"[12]\d{9}(\d{3})?(\.\d+)?")
"""Seconds or milliseconds since 1970, of 2001 to 2065."""


@dataclass(frozen=True)
class FileDifference:
    """One file of a stage; sha256 (hex) of each side, None where that side has no such file."""

    path: str
    released: str | None
    built: str | None


@dataclass(frozen=True)
class StageJudgement:
    """One stage: its equal files, those that differ, and the components in which the two keys differ.

    `follows` says that an input differs already, so that the stage had no chance.
    """

    stage: str
    state: State
    equal: int
    files: tuple[FileDifference, ...] = ()
    key: tuple[Field, ...] = ()
    follows: bool = False

    @property
    def causes(self) -> tuple[str, ...]:
        """What the differing components mean, the likeliest to decide first; empty where none differs."""
        return _causes(field.path for field in self.key)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "stage": self.stage,
            "state": self.state,
            "equal": self.equal,
            "files": [{"path": one.path, "released": one.released, "built": one.built} for one in self.files],
            "key": [one.to_json() for one in self.key],
            "causes": list(self.causes),
            "follows": self.follows,
        }


@dataclass(frozen=True)
class Judgement:
    """The stages in the order of the work."""

    stages: tuple[StageJudgement, ...]

    @property
    def verdict(self) -> Literal["identical", "differs", "incomplete"]:
        """`incomplete`: what was built is identical, and something was not built."""
        if any(one.state in ("differs", "only here") for one in self.stages):
            return "differs"
        return "incomplete" if any(one.state == "not built" for one in self.stages) else "identical"

    @property
    def first(self) -> StageJudgement | None:
        """The first stage that differs; None where none does."""
        return next((one for one in self.stages if one.state in ("differs", "only here")), None)

    @property
    def origins(self) -> tuple[StageJudgement, ...]:
        """The stages that differ although all that they read is equal: where the differences come from."""
        return tuple(one for one in self.stages if one.state in ("differs", "only here") and not one.follows)

    @property
    def files(self) -> int:
        """Number of equal files."""
        return sum(one.equal for one in self.stages)

    @property
    def harmless(self) -> frozenset[str]:
        """Paths of components that differ in the keys of identical stages."""
        return frozenset(field.path for one in self.stages if one.state == "identical" for field in one.key)

    @property
    def keys_only(self) -> tuple[str, ...]:
        """Components in which keys of identical stages differ, each once: they moved no byte here."""
        found = [field for one in self.stages if one.state == "identical" for field in one.key]
        return tuple(dict.fromkeys(f"{field.path}: {field.first} → {field.second}" for field in found))


def judge(released: Mapping[str, Manifest], built: Mapping[str, Manifest]) -> Judgement:
    """Hold a build's manifests against a release's, file by file. What differs in keys alone does not count."""
    stages = in_order({**released, **built})
    return Judgement(tuple(_judge_stage(name, released.get(name), built.get(name)) for name in stages))


def _judge_stage(name: str, released: Manifest | None, built: Manifest | None) -> StageJudgement:
    if built is None:
        return StageJudgement(name, "not built", 0)
    here = {entry.path: entry.sha256 for entry in built.files}
    if released is None:
        return StageJudgement(name, "only here", 0, tuple(FileDifference(one, None, here[one]) for one in sorted(here)))
    there = {entry.path: entry.sha256 for entry in released.files}
    differing = tuple(
        FileDifference(path, there.get(path), here.get(path))
        for path in sorted({*there, *here})
        if there.get(path) != here.get(path)
    )
    equal = len({*there, *here}) - len(differing)
    mine, theirs = _comparable(released.components), _comparable(built.components)
    follows = mine.pop("inputs", {}) != theirs.pop("inputs", {})
    key = tuple(differing_fields(mine, theirs))
    return StageJudgement(name, "differs" if differing else "identical", equal, differing, key, follows)


def _comparable(components: Mapping[str, Any]) -> dict[str, Any]:
    """Return components without the evidence in verdicts: a release leaves it out where it may quote people's rows."""
    found = dict(components)
    if "verdicts" in found:
        found["verdicts"] = {
            stage: [{name: value for name, value in one.items() if name != "evidence"} for one in several]
            for stage, several in found["verdicts"].items()
        }
    return found


def cause_of(path: str) -> str | None:
    """Return what it means that a component of a key differs; None for one that nobody foresaw."""
    return next((cause for prefix, cause in CAUSES if f"{path}.".startswith(prefix)), None)


def explain(
    stage: StageJudgement, comparisons: Sequence[Mapping[str, Any]] = (), harmless: frozenset[str] = frozenset()
) -> str:
    """Return in one sentence why a stage differs.

    `comparisons` are closer looks at its files, where there are any. `harmless` are the components that differ in the
    keys of identical stages too: another interpreter, say, that moved no byte there is a weak reason here.
    """
    if stage.follows:
        return "what it reads differs already"
    paths = [field.path for field in stage.key if field.path not in harmless]
    if causes := _causes(paths):
        return " and ".join(causes)
    if paths:
        return f"its key differs in {paths[0]}"
    if times := [one for comparison in comparisons for one in times_in(comparison)]:
        return f"a time stands in it: {times[0]}"
    other = "the file was changed after it was made, or the same job gives other bytes on this machine"
    if stage.key:
        return f"{' and '.join(stage.causes) or stage.key[0].path} (which moved no byte of other stages: else {other})"
    return f"nothing that counts in its key differs: {other}"


def _causes(paths: Iterable[str]) -> tuple[str, ...]:
    """Return what it means that components differ, each once, in the order of `CAUSES`."""
    told = {cause_of(path) for path in paths} - {None}
    order = [cause for _, cause in CAUSES]
    return tuple(sorted((str(one) for one in told), key=order.index))


def times_in(comparison: Mapping[str, Any]) -> list[str]:
    """Return the fields and metadata of a compared file in which both sides are times, as `path: first → second`."""
    details = comparison.get("details") or {}
    fields = [*details.get("fields", []), *details.get("metadata", [])]
    return [
        f"{one['path']}: {one['first']} → {one['second']}"
        for one in fields
        if _is_time(one["first"]) and _is_time(one["second"])
    ]


def _is_time(text: str) -> bool:
    """Tell whether a value is a date (ISO 8601), or seconds or milliseconds since 1970 of this century."""
    return re.match(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}|$)", text) is not None or _SECONDS.fullmatch(text) is not None
