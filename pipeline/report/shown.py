"""The report's files as a person finds them: what the stage published, and what differs from run to run.

In `build/<recipe>/` the papers have one section more or several (`LATER`): speeds and times, which belong to a machine
and a run. A run that was stopped has no artifact of stage `report`; its papers are made there and then, of what there
is, and say at the top what stopped it. Nothing here is imported by the stage: an edit builds no report anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.report import html, markdown
from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Document, Paragraph, Section
from pipeline.report.papers import MARKDOWN, PAGE, PAPERS, RECORD, TRAINING, as_json, papers, written
from pipeline.report.ratings import ratings_section
from pipeline.report.record import recorded_section
from pipeline.report.speeds import build_section, speeds_section, training_seconds
from pipeline.report.summary import stop_notice
from pipeline.report.verdicts import attention_section, gates_section
from pipeline.store import Store


@dataclass(frozen=True)
class Surroundings:
    """What is known only where and when the papers are shown.

    `folder` is where they will lie; `records`: stage → what its build measured; `sizes`: stage → bytes of its
    artifact; `environments`: stage that was first to use it → packages; store and manifests for who needs more.
    """

    folder: Path
    records: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, int] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    show_rows: bool = False
    store: Store | None = None
    manifests: Mapping[str, Manifest] = field(default_factory=dict)


def _ratings(around: Surroundings) -> Section | None:
    """Return what people say of the answers, as far as they have been asked."""
    if around.store is None:
        return None
    from pipeline.rating.results import of_build  # noqa: PLC0415 - a database, which no other section needs

    return ratings_section(of_build(around.folder, around.store, around.manifests))


LATER: tuple[Callable[[Surroundings], Section | None], ...] = (
    _ratings,
    lambda around: speeds_section(around.records, around.sizes),
    lambda around: build_section(around.environments),
)
"""Sections that are no part of any artifact, in their order."""


def shown(published: Path, around: Surroundings) -> dict[str, bytes]:
    """Return the papers of a whole build for `around.folder`, from what the stage published in the folder."""
    texts = {name: (published / name).read_text(encoding="utf-8") for name in PAPERS}
    return _with_later(texts, around)


def stopped_papers(artifacts: Artifacts, around: Surroundings) -> dict[str, bytes]:
    """Return the papers of a build that was stopped; `artifacts.settings["stopped"]` says by what.

    What a broken stage left may be of any shape. A section that cannot be made of it must not hide what stopped the
    build, so only the top and the gates are told then.
    """
    try:
        made = papers(artifacts)
    except Exception as error:  # noqa: BLE001 - see above
        notes = (stop_notice(artifacts), [Paragraph(f"The report could not be made: {type(error).__name__}: {error}")])
        short = Document(artifacts.settings["name"], [block for part in notes for block in part])
        gates = [attention_section(artifacts), gates_section(artifacts)]
        made = written(replace(short, sections=gates), {"training_seconds": None})
    return _with_later({name: data.decode() for name, data in made.items()}, around)


def _with_later(texts: Mapping[str, str], around: Surroundings) -> dict[str, bytes]:
    sections = [section for later in LATER if (section := later(around)) is not None]
    whole = json.loads(texts[RECORD])
    whole["sections"] += map(recorded_section, sections)
    trained = json.loads(texts[TRAINING])
    trained["training_seconds"] = training_seconds(around.records)
    return {
        MARKDOWN: "\n\n".join([texts[MARKDOWN].rstrip(), *map(markdown.render_section, sections)]).encode() + b"\n",
        PAGE: html.with_sections(texts[PAGE], sections).encode(),
        RECORD: as_json(whole),
        TRAINING: as_json(trained),
    }


def environments_of(components: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return the packages of each stage's environment, by the stages' own names; equal ones once."""
    found: dict[str, dict[str, str]] = {}
    for parts in components:
        packages = dict(parts.get("environment") or {})
        if packages and packages not in found.values():
            found[parts["stage"]] = packages
    return found
