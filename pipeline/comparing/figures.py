"""The plain figures of two runs beside each other: rows, losses, gates, bytes, speeds. Nothing is computed anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pipeline.comparing.side import Side

Figure = dict[str, Any]
"""`name`, `unit`, and the value of each run under `a` and `b`; None where a run has none."""

_MODELS = ("adapter/*.safetensors", "model/*.safetensors", "*.gguf")
_SHARES = ("value", "outcome", "limit")


def funnel(first: Side, second: Side) -> list[Figure]:
    """Return how many rows came in, were kept, fell for which reason, and went into which split."""
    found = [side.files.json("prepare", "funnel.json") for side in (first, second)]
    counted = (("rows in", "rows_in"), ("kept", "kept"), ("dropped", "dropped"))
    rows = [_pair(name, found, key, unit="rows") for name, key in counted]
    for group, words in (("reasons", "dropped: {}"), ("splits", "split: {}")):
        counts = [one.get(group, {}) for one in found]
        rows += [_pair(words.format(name), counts, name, unit="rows") for name in _names(counts)]
    return _told(rows)


def training(first: Side, second: Side) -> list[Figure]:
    """Return losses, steps and the best step."""
    found = [side.files.json("train", "history.json") for side in (first, second)]
    last = [{"loss": one["train"][-1]["loss"]} if one.get("train") else {} for one in found]
    return _told(
        [
            _pair("validation loss before training", found, "initial_validation_loss", unit="nats per token"),
            _pair("best validation loss", found, "best_validation_loss", unit="nats per token"),
            _pair("best step", found, "best_step"),
            _pair("steps", found, "steps"),
            _pair("planned steps", found, "planned_steps"),
            _pair("stopped early", found, "stopped_early"),
            _pair("training loss of the last step", last, "loss", unit="nats per token"),
            _pair("trainable parameters", found, "trainable_parameters"),
            _pair("all parameters", found, "all_parameters"),
        ]
    )


def gates(first: Side, second: Side) -> list[dict[str, Any]]:
    """Return the gates whose verdict or value differ, or that one run alone has asked."""
    old, new = _verdicts(first), _verdicts(second)
    found = []
    for stage, gate, subject in dict.fromkeys([*old, *new]):
        pair = [side.get((stage, gate, subject)) for side in (old, new)]
        shown = [None if one is None else {name: one[name] for name in _SHARES} for one in pair]
        if shown[0] != shown[1]:
            unit = next(one["unit"] for one in pair if one is not None)
            found.append({"stage": stage, "gate": gate, "subject": subject, "unit": unit, "a": shown[0], "b": shown[1]})
    return found


def _verdicts(side: Side) -> dict[tuple[str, str, str], Mapping[str, Any]]:
    """Return the verdicts by stage, gate and subject; of one that was given twice of a subject the last."""
    return {
        (stage, verdict["gate"], verdict["subject"]): verdict
        for stage, manifest in side.manifests.items()
        for verdict in manifest.gates
    }


def sizes(first: Side, second: Side) -> list[Figure]:
    """Return the bytes of adapter, merged weights and GGUF files, by the manifests: the files may be gone."""
    found = [_models(side) for side in (first, second)]
    rows = [
        {**_pair(path, [{path: size} for size in _of(found, path, 0)], path, unit="bytes"), "same": _same(found, path)}
        for path in _names(found)
    ]
    return _told(rows)


def _models(side: Side) -> dict[str, tuple[int, str]]:
    return {
        entry.path: (entry.size, entry.sha256)
        for manifest in side.manifests.values()
        if manifest.stage in ("train", "merge", "convert") or manifest.stage.startswith("quantize-")
        for entry in manifest.files
        if any(fnmatchcase(entry.path, pattern) for pattern in _MODELS)
    }


def _of(found: Sequence[Mapping[str, tuple[int, str]]], path: str, at: int) -> list[Any]:
    return [one[path][at] if path in one else None for one in found]


def _same(found: Sequence[Mapping[str, tuple[int, str]]], path: str) -> bool:
    """Say whether both runs have a file with the same bytes."""
    old, new = _of(found, path, 1)
    return old is not None and old == new


def speeds(first: Side, second: Side) -> list[Figure]:
    """Return what was measured when each stage was built, and how long it took. Another machine gives others."""
    found: list[dict[str, tuple[float, str]]] = []
    for side in (first, second):
        figures: dict[str, tuple[float, str]] = {}
        for stage, record in side.records.items():
            for entry in record.get("measured") or ():
                figures[f"{stage}: {entry['name'].partition('.')[2]}"] = (entry["value"], entry.get("unit", ""))
            if "wall_s" in record:
                figures[f"{stage}: wall time"] = (record["wall_s"], "s")
        found.append(figures)
    rows = []
    for name in _names(found):
        unit = next(one[name][1] for one in found if name in one)
        rows.append(_pair(name, [{name: one[name][0]} if name in one else {} for one in found], name, unit=unit))
    return rows


def _pair(name: str, found: Sequence[Mapping[str, Any]], key: str, *, unit: str = "") -> Figure:
    return {"name": name, "unit": unit, "a": found[0].get(key), "b": found[1].get(key)}


def _names(found: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in found for name in one))


def _told(rows: Iterable[Figure]) -> list[Figure]:
    """Return the rows of which at least one run knows something."""
    return [row for row in rows if row["a"] is not None or row["b"] is not None]
