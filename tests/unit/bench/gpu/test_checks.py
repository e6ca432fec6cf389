"""What of a check's time counts, at the recipe's size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.gpu import checks
from bench.gpu.processes import Event, Finished, NotMeasuredError
from bench.gpu.shapes import LARGE, TINY
from pipeline.loading import load_recipe
from pipeline.stages.forms import forms_of
from pipeline.stages.registry import MODULES

OTHERS = {"preflight", "compare", "evaluate", "evaluate-base"}


def told(**rates: float) -> Finished:
    """A form that spoke for 100 s, at these rates."""
    names = {"answers": "verify.generation-tokens-per-second", "text": "verify.prompt-tokens-per-second"}
    events = [{"event": "job.measured", "name": names[key], "value": rate} for key, rate in rates.items()]
    return Finished(0, tuple(Event(0.0, one) for one in events), (), 100.0, timed_out=False)


def published(folder: Path, positions: int) -> Path:
    """A form's output: 40 tokens, one of which ended an answer, and so many positions of text."""
    rows: list[dict[str, Any]] = [{"ids": [1] * 19, "stopped": "terminator"}, {"ids": [1] * 20, "stopped": "length"}]
    (folder / "generations.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (folder / "forward.json").write_text(json.dumps({"positions": positions}), encoding="utf-8")
    return folder


def test_text_is_scaled_to_all_of_it_and_all_else_counts_once(tmp_path: Path) -> None:
    """6,250 of 50,000 tokens in 5 s: seven times as many are missing. All prompts were answered."""
    found = checks.whole_seconds(told(answers=10, text=1250), published(tmp_path, 6250), checks.tables(LARGE))
    assert found == pytest.approx(100 + 7 * 5)


def test_fewer_prompts_and_shorter_answers_are_scaled_too(tmp_path: Path) -> None:
    """4 prompts of 4 tokens in place of 64 of 64: 256 times as much as the 4 s that it took."""
    found = checks.whole_seconds(told(answers=10, text=50_000), published(tmp_path, 50_000), checks.tables(TINY))
    assert found == pytest.approx(100 + 255 * 4)


def test_a_form_that_does_not_tell_its_speed_is_not_measured(tmp_path: Path) -> None:
    """It would count as instant."""
    with pytest.raises(NotMeasuredError, match=r"did not tell verify\.prompt-tokens-per-second"):
        checks.whole_seconds(told(answers=10), published(tmp_path, 1), checks.tables(LARGE))


def test_of_a_merge_counts_what_comes_after_the_last_tensor_written() -> None:
    """Two merges are written, then measured, then one is compared with the base."""
    names = ["merge.write", "merge.write", "merge.tensor", "merge.tensor"]
    events = tuple(Event(at, {"event": name}) for at, name in zip((1.0, 20.0, 50.0, 61.0), names, strict=True))
    assert checks.measuring_seconds(events) == 41.0
    with pytest.raises(NotMeasuredError, match="did not tell"):
        checks.measuring_seconds(events[:2])


def test_the_checks_are_those_of_the_pipeline() -> None:
    """Every module of a stage that checks a model; and merge, which measures too."""
    families = {module.__name__.rpartition(".")[2].replace("_", "-") for module in MODULES}
    checking = {name for name in families if name.startswith("verify-")} | families & {
        "preflight",
        "compare",
        "evaluate",
        "evaluate-base",
    }
    assert set(checks.STAGES) == checking | {"merge"}
    assert sorted(checks.FORMS) == sorted(forms_of(load_recipe("noteai-title")))
