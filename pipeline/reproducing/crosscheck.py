"""Several builders' lists held against each other: who agrees with whom on what. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.differing.places import in_order
from pipeline.reproducing.built_list import BuiltList

_SHOWN: Final = 5
_ALONE: Final = 1


@dataclass(frozen=True)
class StageAgreement:
    """One stage: the groups of builders that have the very same files, the largest first; who did not build it."""

    stage: str
    files: int
    groups: tuple[tuple[str, ...], ...]
    absent: tuple[str, ...]
    differing: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether all that built it have the same bytes."""
        return len(self.groups) == _ALONE

    @property
    def confirmed(self) -> bool:
        """Whether at least two builders have the same bytes and none has others."""
        return self.agrees and len(self.groups[0]) > _ALONE

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        groups = [list(one) for one in self.groups]
        return {
            "stage": self.stage,
            "files": self.files,
            "groups": groups,
            "absent": list(self.absent),
            "differing": list(self.differing),
        }


def crosscheck(lists: Sequence[BuiltList]) -> list[StageAgreement]:
    """Return the agreement on each stage that any of them built, in the order of the work."""
    stages = in_order({stage: None for one in lists for stage in one.files})
    return [_agreement(stage, lists) for stage in stages]


def _agreement(stage: str, lists: Sequence[BuiltList]) -> StageAgreement:
    built = {one.name: one.files[stage] for one in lists if stage in one.files}
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, files in built.items():
        groups.setdefault(tuple(sorted(files.items())), []).append(name)
    paths = sorted({path for files in built.values() for path in files})
    differing = [path for path in paths if len({files.get(path) for files in built.values()}) > _ALONE]
    return StageAgreement(
        stage=stage,
        files=len(paths),
        groups=tuple(sorted((tuple(names) for names in groups.values()), key=lambda names: -len(names))),
        absent=tuple(one.name for one in lists if stage not in one.files),
        differing=tuple(differing),
    )


def render(lists: Sequence[BuiltList], found: Sequence[StageAgreement]) -> str:
    """Return the lists, the stages, and a last line that says it all."""
    return "\n".join([*_lists(lists), "", *(_stage(one) for one in found), "", headline(lists, found)])


def headline(lists: Sequence[BuiltList], found: Sequence[StageAgreement]) -> str:
    """Return the result in one sentence."""
    count = len(commits(lists))
    return _agreed(lists, found) + (f"; they built {count} commits" if count > _ALONE else "")


def commits(lists: Sequence[BuiltList]) -> list[str]:
    """Return the commits that were built, sorted; a checkout that was changed names none."""
    return sorted({one.commit for one in lists} - {""})


def _agreed(lists: Sequence[BuiltList], found: Sequence[StageAgreement]) -> str:
    split = [one for one in found if not one.agrees]
    if split:
        verb = "stages differ" if len(split) > _ALONE else "stages differs"
        return f"{len(split)} of {len(found)} {verb} between builders, the first is {split[0].stage}"
    confirmed = [one for one in found if one.confirmed]
    files = sum(one.files for one in confirmed)
    alone = len(found) - len(confirmed)
    tail = f"; {alone} {'stage was' if alone == _ALONE else 'stages were'} built by one of them only" if alone else ""
    count = f"{files} {'file' if files == _ALONE else 'files'} of {len(confirmed)}"
    return f"{len(lists)} builders agree on {count} {'stage' if len(confirmed) == _ALONE else 'stages'}{tail}"


def _lists(lists: Sequence[BuiltList]) -> Iterator[str]:
    width = max(len(one.name) for one in lists)
    for one in lists:
        signer = f"signed by {one.signer[:19]}…" if one.signer else "signature not checked (its key was not named)"
        machine = ", ".join(one.builder.get(name, "") for name in ("system", "c_library", "processor"))
        yield f"{one.name:<{width}}  {signer}; commit {one.commit[:12] or 'not known'}; {machine}"


def _stage(one: StageAgreement) -> str:
    count = sum(map(len, one.groups))
    if one.agrees:
        told = f"{count} agree" if one.confirmed else f"only {one.groups[0][0]} built it"
    else:
        told = " against ".join(f"{', '.join(names)}" for names in one.groups)
        more = len(one.differing) - _SHOWN
        told += f": {', '.join(one.differing[:_SHOWN])}{f' and {more} more' if more > 0 else ''}"
    return f"{one.stage:<20} {one.files:>3} {'file ' if one.files == _ALONE else 'files'}  {told}"


def to_json(lists: Sequence[BuiltList], found: Sequence[StageAgreement]) -> Mapping[str, Any]:
    """Return plain JSON values."""
    told = [
        {
            "name": one.name,
            "recipe": one.recipe,
            "commit": one.commit,
            "signer": one.signer,
            "builder": dict(one.builder),
        }
        for one in lists
    ]
    return {
        "agree": all(one.agrees for one in found),
        "told": headline(lists, found),
        "commits": commits(lists),
        "lists": told,
        "stages": [one.to_json() for one in found],
    }
