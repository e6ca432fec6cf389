"""What a reproduction found, as data, in words and as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.differing.compare import PartDifference
from pipeline.differing.page import render as render_differences
from pipeline.files import explained, write_atomic, write_json_atomic
from pipeline.reproducing.builder import builder
from pipeline.reproducing.judgement import Judgement, StageJudgement, explain

SCHEMA: Final = 1
DATA: Final = "reproduction.json"
PAGE: Final = "reproduction.md"
_SHOWN: Final = 8
"""Entries of a list that the terminal shows; the page and the JSON have them all."""


@dataclass(frozen=True)
class Problem:
    """What stopped a build: the run's exit code and the name of its error; `told` is its text, for this terminal alone.

    Texts of errors name folders, and lines of output whatever a program prints.
    """

    exit_code: int
    error: str
    told: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the text."""
        return {"exit_code": self.exit_code, "error": self.error}


@dataclass(frozen=True)
class Reproduction:
    """One release held against one build of it.

    `sums_sha256` names the release: the digest of its SHA256SUMS. `seconds` are wall times of the steps, `reused` what
    was taken over by digest instead of being made, `problem` what stopped the build, if anything did.
    """

    recipe: str
    sums_sha256: str
    commit: str
    judgement: Judgement
    closer: tuple[PartDifference, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    reused: Mapping[str, str] = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        judgement, first = self.judgement, self.judgement.first
        if first is not None:
            total = first.equal + len(first.files)
            return (
                f"{self.recipe}: differs. The first stage that differs is {first.stage} ({len(first.files)} of {total}"
                f" {_plural(total, 'file')}): {self.why(first)}"
            )
        count = f"{judgement.files} files of {sum(one.state == 'identical' for one in judgement.stages)} stages"
        if judgement.verdict == "incomplete":
            missing = [one.stage for one in judgement.stages if one.state == "not built"]
            return f"{self.recipe}: not complete. {count} are identical, {', '.join(missing)} {_be(missing)} not built"
        return f"{self.recipe}: identical. {count} have the sha256 that the release names"

    def why(self, stage: StageJudgement) -> str:
        """Return why a stage differs, with what the closer look at its files has shown."""
        looks = [one.to_json() for part in self.closer if part.part == stage.stage for one in part.files]
        return explain(stage, looks, self.judgement.harmless)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values. Nothing in them names this machine, its folders or its user."""
        first = self.judgement.first
        return {
            "schema": SCHEMA,
            "recipe": self.recipe,
            "verdict": self.judgement.verdict,
            "told": self.headline,
            "release": {"sha256sums": self.sums_sha256, "commit": self.commit},
            "first": None if first is None else {"stage": first.stage, "why": self.why(first)},
            "origins": [{"stage": one.stage, "why": self.why(one)} for one in self.judgement.origins],
            "stages": [one.to_json() for one in self.judgement.stages],
            "keys_only": list(self.judgement.keys_only),
            "comparisons": [one.to_json() for one in self.closer],
            "problem": None if self.problem is None else self.problem.to_json(),
            "reused": dict(self.reused),
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
            "builder": builder(),
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `reproduction.json` and `reproduction.md`; return their paths."""
        data, page = folder / DATA, folder / PAGE
        with explained(folder):
            write_json_atomic(data, self.to_json())
            write_atomic(page, markdown(self).encode())
        return data, page


def render(found: Reproduction) -> str:
    """Return the verdict for a terminal."""
    return "\n".join([found.headline, *_told(found)])


def _told(found: Reproduction) -> Iterator[str]:
    judgement = found.judgement
    if judgement.keys_only and judgement.verdict != "differs":
        yield "keys differ, and moved no byte:"
        yield from _cut([f"  {one}" for one in judgement.keys_only])
    if judgement.verdict != "differs":
        return
    for one in judgement.origins[1:]:
        yield f"also by itself: {one.stage}: {found.why(one)}"
    same = sum(one.state == "identical" for one in judgement.stages)
    after = sum(one.follows and one.state == "differs" for one in judgement.stages)
    yield f"{same} {_plural(same, 'stage')} identical, {after} differ because of what they read"
    if found.problem is not None:
        yield f"then {found.problem.told}"
    if found.closer:
        yield render_differences(found.closer, "the release", "this build")


def markdown(found: Reproduction) -> str:
    """Return the verdict as a page."""
    told = found.to_json()
    lines = [f"# Reproduction of {found.recipe}", "", f"**{found.headline}**", ""]
    lines += [f"- release: `SHA256SUMS` has the sha256 `{found.sums_sha256}`", f"- commit: `{found.commit}`"]
    lines += [f"- built on: {told['builder']['processor']}, {told['builder']['system']}"]
    lines += [f"- taken over by digest: {name} `{digest}`" for name, digest in found.reused.items()]
    lines += [f"- {name}: {value} s" for name, value in told["seconds"].items()]
    lines += ["", "| stage | verdict | equal files | files that differ | why |", "|---|---|---|---|---|"]
    for one in found.judgement.stages:
        why = found.why(one) if one.state in ("differs", "only here") else ""
        lines.append(
            f"| {one.stage} | {one.state} | {one.equal} | {len(one.files)} | {why.replace('|', chr(92) + '|')} |"
        )
    if found.judgement.keys_only:
        lines += ["", "Keys of identical stages differ in these, which moved no byte:", ""]
        lines += [f"- `{one}`" for one in found.judgement.keys_only]
    if found.closer:
        lines += ["", "```", render_differences(found.closer, "the release", "this build"), "```"]
    return "\n".join(lines) + "\n"


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], *([f"  and {more} more"] if more > 0 else [])]


def _be(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
