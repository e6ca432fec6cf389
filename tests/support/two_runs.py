"""Runs of a build folder made by hand: stages with files and verdicts, records, last builds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.digest import digest_json
from pipeline.store import Store

Score = float | None
FORMS = ("verify-base", "verify-hf", "verify-quant-Q4_K_M")
ASKED = 40


class Builds:
    """A build folder whose store is filled stage by stage."""

    def __init__(self, folder: Path) -> None:
        self.build = folder / "build"
        self.store = Store((self.build / "store").absolute(), "maker")

    def stage(
        self,
        stage: str,
        files: Mapping[str, str],
        *,
        gates: Sequence[Mapping[str, Any]] = (),
        measured: Sequence[Mapping[str, Any]] = (),
        **components: Any,
    ) -> str:
        """Publish a stage's result; return its key."""
        parts = {"stage": stage, "version": 1, "parameters": {}, "inputs": {}, "outside": {}, "code": {}, **components}
        key = digest_json(parts)
        output = self.store.workspace(stage) / "output"
        for name, text in files.items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            (output / name).write_text(text, encoding="utf-8")
        manifest = self.store.describe(key, stage, parts, output).judged(list(gates))
        self.store.publish(manifest, output, {"run": "maker", "wall_s": 2.0, "measured": list(measured)})
        return key

    def run(self, run: str, *keys: str, recipe: str = "few", status: str = "finished", problem: str = "") -> str:
        """Write a run's record; return its name."""
        stages = {self._stage(key): {"key": key} for key in keys}
        record = {"run": run, "recipe": recipe, "status": status, "problem": problem, "stages": stages}
        folder = self.build / "runs" / run
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record))
        return run

    def last(self, recipe: str, *keys: str) -> str:
        """Write a recipe's last build; return its name."""
        folder = self.build / recipe
        folder.mkdir(parents=True)
        state = {"stages": {self._stage(key): key for key in keys}, "released": {}}
        (folder / "state.json").write_text(json.dumps(state))
        return recipe

    def collect(self, key: str) -> None:
        """Remove a result, as `gc` does."""
        self.store.manifest_path(key).unlink()

    def _stage(self, key: str) -> str:
        manifest = self.store.manifest(key)
        assert manifest is not None
        return manifest.stage


def verdict(gate: str, outcome: str, value: Any = 1, limit: str = "0") -> dict[str, Any]:
    """A verdict as JSON."""
    return {"gate": gate, "subject": "rows", "outcome": outcome, "value": value, "unit": "rows", "limit": limit}


def answer(at: int, tuned: Score, *, text: str = "題名", asked: str = "") -> dict[str, Any]:
    """A line of answers.jsonl: the base has scored 0.25, the other forms `tuned`."""
    forms = {
        form: {
            "text": f"{text}{at}",
            "stopped": "terminator",
            "scores": {"rouge1": 0.25 if form == FORMS[0] else tuned, "length": 10},
        }
        for form in FORMS
    }
    return {"id": f"{asked}{at}", "input": {"theme": f"主題{at}"}, "reference": f"手本{at}", "forms": forms}


def evaluated(
    builds: Builds,
    answers: Sequence[Mapping[str, Any]],
    bleu: float = 3.0,
    scorer: Mapping[str, Any] | None = None,
    drawn: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Publish an evaluation with three measures: of single answers, of all of them, and one without a direction.

    `scorer` is what scored rouge1 in a fourth one, BERTScore. `drawn` holds what BLEU or a measure of text was in each
    resample, of every form; its mean is the measure's value.
    """

    def metric(unit: str, better: str, value: float) -> dict[str, Any]:
        told = {"difference": 0.1, "low": 0.05, "high": 0.2, "pairs": ASKED, "verdict": "better", "reason": None}
        return {
            "unit": unit,
            "better": better,
            "values": {form: {"value": value, "reason": None} for form in FORMS},
            "differences": [{"against": FORMS[0], "form": FORMS[1], **told}],
        }

    evaluation: dict[str, Any] = {
        "prompts": len(answers),
        "forms": list(FORMS),
        "order": ["bleu", "rouge1", "length"],
        "metrics": {
            "bleu": metric("0 to 100", "higher", bleu),
            "rouge1": metric("F1, 0 to 1", "higher", 0.5),
            "length": metric("characters", "neither", 10),
        },
    }
    if scorer is not None:
        evaluation |= {"order": [*evaluation["order"], "bertscore"], "scorer": scorer}
        evaluation["metrics"]["bertscore"] = metric("F1, 0 to 1", "higher", 0.5)
        answers = [_with_bertscore(one) for one in answers]
    for name, values in (drawn or {}).items():
        better = "higher" if name == "bleu" else "lower"
        evaluation["metrics"][name] = metric(name, better, round(sum(values) / len(values), 6))
        evaluation["order"] = list(dict.fromkeys([*evaluation["order"], name]))
    rows = [
        {"metric": name, "form": form, "drawn_from": ASKED, "values": list(values)}
        for name, values in (drawn or {}).items()
        for form in FORMS
    ]
    files = {
        **({"resamples.jsonl": "".join(json.dumps(row) + "\n" for row in rows)} if drawn is not None else {}),
        "evaluation.json": json.dumps(evaluation),
        "answers.jsonl": "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in answers),
    }
    return builds.stage("evaluate", files, parameters={"answers": digest_json(list(answers)), "of": digest_json(files)})


def _with_bertscore(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer's row whose BERTScore is its ROUGE-1."""
    forms = {
        form: {**told, "scores": {**told["scores"], "bertscore": told["scores"]["rouge1"]}}
        for form, told in row["forms"].items()
    }
    return {**row, "forms": forms}


def reported(builds: Builds, *, show_data_rows: bool) -> str:
    """Publish a report, whose parameters say whether rows may be shown."""
    return builds.stage("report", {"report.md": "x"}, parameters={"show_data_rows": show_data_rows})
