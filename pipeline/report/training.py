"""The section on training: what was trained, its curves, and the same as `training_results.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Block, Bullets, Inline, Paragraph, Plot, Section, Table, Value, Words
from pipeline.report.charts import Curves, Series
from pipeline.report.markdown import sparkline
from pipeline.report.quantities import fixed, number, share

EVALUATION_ROWS = 30
_POINTS = 400
"""A curve has about so many points at most; of a longer one the means of equal parts are drawn."""
_Points = list[tuple[float, float]]


def training_section(artifacts: Artifacts) -> Section:
    """Return what was trained, the curves, and a table of the evaluations."""
    history = artifacts.json("train", "history.json")
    if not history:
        return Section("Training", (Paragraph("Not trained."),))
    folded = Section("Every evaluation", (_evaluations(history),), folded=True)
    return Section("Training", (Bullets(_facts(history)), *_plots(history), folded))


def _facts(history: Mapping[str, Any]) -> list[Words]:
    trained, total = history["trainable_parameters"], history["all_parameters"]
    initial, best = history["initial_validation_loss"], history["best_validation_loss"]
    end = "stopped early" if history["stopped_early"] else "ran to its end"
    restored = ", restored" if history["best_restored"] else ", NOT restored"
    steps: tuple[Inline, ...] = (number(history["steps"]), " of ", number(history["planned_steps"]))
    items: list[Words] = [
        ("trainable parameters: ", number(trained), " of ", number(total), " (", share(trained, total), ")"),
        (*steps, f" steps, {end}; best checkpoint: step ", number(history["best_step"]), restored),
    ]
    if initial is None or best is None:
        return [*items, "validation loss: not measured, there is no validation split"]
    lower = share(initial - best, initial)
    words = ("validation loss: ", fixed(initial, 4), " before, ", fixed(best, 4), " at best (", lower, " lower)")
    return [*items, words]


def _plots(history: Mapping[str, Any]) -> list[Block]:
    train = history["train"]
    if not train:
        return []
    return [
        _losses(history),
        _one("learning-rate", "Learning rate", "learning rate", _curve(train, "learning_rate")),
        _one("gradient-norm", "Norm of the gradient", "gradient norm", _curve(train, "grad_norm")),
    ]


def _losses(history: Mapping[str, Any]) -> Plot:
    steps = [(one["step"], one["loss"]) for one in history["train"]]
    validated = [(one["step"], one["loss"]) for one in history["evaluations"]]
    initial, best_step = history["initial_validation_loss"], history["best_step"]
    if initial is not None:
        validated.insert(0, (0, initial))
    series = [Series("training, each step", thinned(steps), "thin")]
    series += [Series("training, mean", _means(steps, [step for step, _ in validated]))] if validated else []
    series += [Series("validation", validated, "points")] if validated else []
    marks = [(best_step, f"best: step {best_step}")] if best_step else []
    ended = "the training stopped early" if history["stopped_early"] else "the training ran to its end"
    best = f", best at step {best_step}" if best_step else ""
    alt = f"Loss by step: training from {steps[0][1]:.3f} to {steps[-1][1]:.3f}"
    alt += f", validation from {validated[0][1]:.3f} to {validated[-1][1]:.3f}{best}; {ended}." if validated else "."
    caption = f"Loss on training and validation rows. The dotted line is the checkpoint that was kept; {ended}."
    chart = Curves(series, "step", "loss, nats per token", marks)
    return Plot("loss", caption, alt, chart, text=_bars(steps, validated))


def _bars(trained: _Points, validated: _Points) -> str:
    curves = {"training": thinned(trained, 60), "validation": validated}
    return "\n".join(
        f"{name:<10} {sparkline([y for _, y in points])}  {points[0][1]:.3f} → {points[-1][1]:.3f}"
        for name, points in curves.items()
        if points
    )


def _one(name: str, title: str, axis: str, points: _Points) -> Plot:
    highest = max(y for _, y in points)
    alt = f"{title} by step: {points[0][1]:.3g} at first, at most {highest:.3g}, {points[-1][1]:.3g} at last."
    return Plot(name, f"{title}, step by step.", alt, Curves((Series(axis, points),), "step", axis))


def _curve(train: Sequence[Mapping[str, Any]], name: str) -> _Points:
    return thinned([(one["step"], one[name]) for one in train if one.get(name) is not None])


def thinned(points: _Points, most: int = _POINTS) -> _Points:
    """Return at most so many points: the means of equal parts, each at its first x."""
    stride = max(1, -(-len(points) // most))
    parts = [points[at : at + stride] for at in range(0, len(points), stride)]
    return [(part[0][0], sum(y for _, y in part) / len(part)) for part in parts]


def _means(points: _Points, borders: Sequence[float]) -> _Points:
    """Return the mean between each two borders, at the second."""
    found = []
    for before, after in pairwise(borders):
        within = [y for x, y in points if before < x <= after]
        found += [(after, sum(within) / len(within))] if within else []
    return found


def _evaluations(history: Mapping[str, Any]) -> Table:
    """Return the table of the evaluations; of a long run evenly chosen ones, the best and the last."""
    rows: list[Sequence[Words]] = []
    if (initial := history["initial_validation_loss"]) is not None:
        rows.append((number(0), "", fixed(initial, 4), "before training"))
    before, last = 0, len(history["evaluations"]) - 1
    stride = max(1, -(-len(history["evaluations"]) // EVALUATION_ROWS))
    for at, evaluation in enumerate(history["evaluations"]):
        if (at + 1) % stride and at != last and evaluation["step"] != history["best_step"]:
            continue
        since = [one["loss"] for one in history["train"] if before < one["step"] <= evaluation["step"]]
        before = evaluation["step"]
        mean: Words = fixed(sum(since) / len(since), 4) if since else ""
        best = "best" if before == history["best_step"] else ""
        rows.append((Value(str(before), before), mean, fixed(evaluation["loss"], 4), best))
    return Table(("step", "training loss", "validation loss", ""), rows)


def training_results(artifacts: Artifacts) -> dict[str, Any]:
    """Return the training in a dozen numbers (seed 003's file); None where nothing was trained or measured.

    How long it took differs from run to run: `training_seconds` is added where the papers are shown.
    """
    history = artifacts.json("train", "history.json")
    names = ("steps", "planned_steps", "stopped_early", "best_step", "best_restored", "trainable_parameters")
    found = {name: history.get(name) for name in (*names, "all_parameters")}
    trained, total = found["trainable_parameters"], found["all_parameters"]
    steps = history.get("train") or [{}]
    train = artifacts.settings.get("train") or {}
    return {
        "base": artifacts.settings.get("base"),
        "rows": (artifacts.json("prepare", "funnel.json").get("splits") or {}).get("train"),
        "epochs": train.get("epochs"),
        **found,
        "trainable_share": round(trained / total, 6) if trained and total else None,
        "final_training_loss": steps[-1].get("loss"),
        "initial_validation_loss": history.get("initial_validation_loss"),
        "best_validation_loss": history.get("best_validation_loss"),
    }
