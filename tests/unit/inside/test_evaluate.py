"""Every form scored on the held-out prompts; nothing that is missing becomes a number."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.inside.job import Job, JobError, read_json, read_jsonl, write_json, write_jsonl
from tests.support import tiny_encoder
from tests.support.healthy_build import answer, prompts, tuned_answers, write_build

REPOSITORY = Path(__file__).parents[3]
FORMS = ["verify-base", "verify-hf", "verify-merged", "verify-f16", "verify-quant-Q4_K_M"]
FILES = ["answers.jsonl", "comparison_evaluation.csv", "evaluation.json", "resamples.jsonl"]
NOT_ASKED = {"fact_accuracy", "wrong_facts", "abstention", "false_abstention"}
"""Measures that need more of a recipe than this one has."""

WINDOWS = [[at % 4, 2, (at * 3) % 4, 1, 0] for at in range(40)]
"""Held-out text of 4 different tokens."""

OF_TEXT = ("loss", "perplexity", "forgetting_kl", "neutral_loss", "neutral_perplexity")

Rows = list[dict[str, Any]]


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build."""
    build = write_build(tmp_path / "build")
    write_json(build["preflight"] / "parity.json", {"windows": WINDOWS})
    write_json(build["preflight"] / "neutral.json", {"windows": WINDOWS[:32], "source": "built-in"})
    for form in FORMS:
        write_logits(build[form], 0.0 if form == "verify-base" else 1.0)
        write_logits(build[form], 1.0 if form == "verify-base" else 0.6, "neutral-logits.npy", WINDOWS[:32])
        forward = read_json(build[form] / "forward.json")
        forward["neutral"]["vocabulary"] = 4
        write_json(build[form] / "forward.json", forward)
    return build


def write_logits(folder: Path, certainty: float, name: str = "logits.npy", windows: list[list[int]] = WINDOWS) -> None:
    """Publish logits that give the token that follows `certainty` more than the others, with a little noise."""
    from pipeline.inside.top_logits import next_ids, reduce

    follows = next_ids(windows)
    logits = np.random.default_rng(5).normal(0, 0.1, (len(follows), 4)).astype(np.float32)
    for at, token in enumerate(follows):
        if token >= 0:
            logits[at, token] += certainty
    np.save(folder / name, reduce(logits, follows))


def job(build: dict[str, Path], output: Path, language: str = "ja") -> Job:
    """The job of stage `evaluate`."""
    output.mkdir(parents=True)
    inputs = {**{form: build[form] for form in FORMS}, "preflight": build["preflight"], "data": build["prepare"]}
    parameters = {"forms": FORMS, "seeds": [[42, "verify-hf"]], "language": language}
    return Job("evaluate", parameters, inputs, output, output, 1)


@pytest.fixture
def evaluate(build: dict[str, Path], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run the job and return evaluation.json."""
    from pipeline.inside import evaluate as program

    def run(language: str = "ja") -> dict[str, Any]:
        output = tmp_path / f"out-{language}-{len(list(tmp_path.iterdir()))}"
        program.main(job(build, output, language))
        found: dict[str, Any] = read_json(output / "evaluation.json")
        return found

    return run


def difference(found: dict[str, Any], metric: str, form: str = "verify-hf", against: str = "verify-base") -> Any:
    """One difference."""
    return next(
        one for one in found["metrics"][metric]["differences"] if (one["form"], one["against"]) == (form, against)
    )


def greedy(texts: Callable[[dict[str, Any]], str]) -> Rows:
    """Greedy answers to every prompt."""
    return [answer(prompt, "greedy", texts(prompt)) for prompt in prompts()]


def test_a_form_that_answers_like_the_references_is_better(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """Base and tuned differ by an interval without zero, and the verdict says so in a word."""
    write_jsonl(build["verify-hf"] / "generations.jsonl", greedy(lambda prompt: prompt["reference"]))
    found = evaluate()
    for metric in ("bleu", "chrf", "rouge1", "rouge2", "rougeL", "exact_match"):
        one = difference(found, metric)
        assert 0 < one["low"] <= one["difference"] <= one["high"]
        assert one["verdict"] == "better (one training)"
    assert found["metrics"]["bleu"]["values"]["verify-hf"]["value"] == pytest.approx(100)
    assert found["metrics"]["exact_match"]["values"]["verify-hf"]["value"] == 1


def test_equal_forms_show_no_difference(evaluate: Callable[..., dict[str, Any]]) -> None:
    """The F16 file answers as the adapter does."""
    found = evaluate()
    verdicts = {name: difference(found, name, "verify-f16", "verify-hf")["verdict"] for name in found["metrics"]}
    assert set(verdicts.values()) == {"no difference shown", None}
    assert {name for name, verdict in verdicts.items() if verdict is None} == {
        *("bertscore", "distinct1", "distinct2", "self_bleu"),
        *NOT_ASKED,
    }


def test_no_difference_goes_without_interval_or_reason(evaluate: Callable[..., dict[str, Any]]) -> None:
    """A verdict needs an interval; what has none says why."""
    for metric in evaluate()["metrics"].values():
        for one in metric["differences"]:
            assert (one["verdict"] is None) == (one["low"] is None) == (one["reason"] is not None)


def test_a_form_that_did_not_answer_stops_the_job(build: dict[str, Path], tmp_path: Path) -> None:
    """Seed 004: the tuned model failed to load, and the improvement was -100 %."""
    from pipeline.inside.evaluate import main

    write_jsonl(build["verify-f16"] / "generations.jsonl", tuned_answers()[2:])
    with pytest.raises(JobError, match="verify-f16 gave no greedy answer to 1 of the 48") as caught:
        main(job(build, tmp_path / "out"))
    assert "not even with zero" in caught.value.advice
    assert list((tmp_path / "out").iterdir()) == []


def test_trained_prompts_are_not_scored(evaluate: Callable[..., dict[str, Any]]) -> None:
    """Of 64 prompts 48 are held out."""
    assert evaluate()["prompts"] == 48


def test_samples_are_not_scored(build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]) -> None:
    """The metrics are of the greedy answers."""
    before = evaluate()
    changed = [{**row, "text": "別"} if row["mode"] == "sample" else row for row in tuned_answers()]
    write_jsonl(build["verify-hf"] / "generations.jsonl", changed)
    assert evaluate() == before


def test_another_language_has_no_politeness(evaluate: Callable[..., dict[str, Any]]) -> None:
    """None with a reason, for every form; BLEU splits words as sacreBLEU does by default."""
    found = evaluate("any")
    assert found["metrics"]["keigo"]["values"]["verify-hf"] == {
        "value": None,
        "reason": "the recipe's language is not Japanese (clean.language)",
    }
    assert difference(found, "keigo")["reason"] == "the recipe's language is not Japanese (clean.language)"
    assert "tok:13a" in found["signatures"]["bleu"]


def test_a_loss_on_training_text_is_no_measure(build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]) -> None:
    """Where no text was held out, preflight says so."""
    write_json(build["preflight"] / "parity.json", {"windows": WINDOWS, "held_out": False})
    value = evaluate()["metrics"]["loss"]["values"]["verify-hf"]
    assert value["value"] is None
    assert value["reason"].startswith("no text was held out")


def test_the_loss_is_that_of_the_published_logits(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """Mean over the tokens; its exponential is the perplexity; an interval over the windows of text."""
    from pipeline.inside.top_logits import losses

    found = evaluate()
    expected = float(losses(np.load(build["verify-hf"] / "logits.npy")).mean())
    assert found["metrics"]["loss"]["values"]["verify-hf"]["value"] == pytest.approx(expected, abs=1e-6)
    perplexity = found["metrics"]["perplexity"]["values"]["verify-hf"]["value"]
    assert perplexity == pytest.approx(np.exp(expected), abs=1e-5)
    for metric in ("loss", "perplexity"):
        one = difference(found, metric)
        assert one["low"] <= one["difference"] <= one["high"] < 0
        assert (one["verdict"], one["pairs"]) == ("better (one training)", len(WINDOWS))


def test_a_rounding_error_of_the_loss_does_not_matter(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """The F16 file is surely a thousandth better on every window, and nobody should be told that it is better."""
    write_logits(build["verify-f16"], 1.001)
    one = difference(evaluate(), "loss", "verify-f16", "verify-hf")
    assert one["high"] < 0
    assert one["verdict"] == "no difference that matters"


def test_a_form_that_read_half_of_the_text_stops_the_job(build: dict[str, Path], tmp_path: Path) -> None:
    """Its loss would be of another text."""
    from pipeline.inside.evaluate import main

    path = build["verify-merged"] / "logits.npy"
    np.save(path, np.load(path)[:100])
    with pytest.raises(JobError, match="verify-merged published 100 positions, the held-out text has 200"):
        main(job(build, tmp_path / "out"))


def test_logits_that_are_no_numbers_give_no_loss(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """The reason stands where the number would."""
    write_json(build["verify-base"] / "forward.json", {"mean_nll": None, "neutral": {"mean_nll": None}})
    found = evaluate()
    assert found["metrics"]["loss"]["values"]["verify-base"]["reason"] == "logits over the text are no finite numbers"
    assert difference(found, "loss")["reason"] == "logits over the text are no finite numbers"


def test_forgetting_is_the_divergence_from_the_base_on_neutral_text(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """KL(base‖tuned) over all positions; none for the base itself; an interval over the windows."""
    found = evaluate()
    base, tuned = (np.load(build[form] / "neutral-logits.npy") for form in ("verify-base", "verify-hf"))
    p, q = (np.exp(one["logits"].astype(float)) for one in (base, tuned))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    expected = float((p * np.log(p / q)).sum(axis=1).mean())
    values = found["metrics"]["forgetting_kl"]["values"]
    assert values["verify-hf"]["value"] == pytest.approx(expected, abs=1e-6)
    assert values["verify-base"]["value"] == 0
    one = difference(found, "forgetting_kl")
    assert 0 < one["low"] < one["difference"] < one["high"]
    assert (one["verdict"], one["pairs"]) == ("worse (one training)", 32)
    assert difference(found, "neutral_loss")["verdict"] == "worse (one training)"
    assert difference(found, "neutral_perplexity")["low"] > 0


def test_a_form_that_left_the_base_by_a_rounding_error_forgot_nothing(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """A divergence is never negative, so the interval alone would call every form worse."""
    write_logits(build["verify-hf"], 1.01, "neutral-logits.npy", WINDOWS[:32])
    one = difference(evaluate(), "forgetting_kl")
    assert one["low"] > 0
    assert one["verdict"] == "no difference that matters"


def test_neutral_text_that_was_not_read_to_the_end_stops_the_job(build: dict[str, Path], tmp_path: Path) -> None:
    """As with the held-out text."""
    from pipeline.inside.evaluate import main

    path = build["verify-f16"] / "neutral-logits.npy"
    np.save(path, np.load(path)[:10])
    with pytest.raises(JobError, match="verify-f16 published 10 positions, the neutral text has 160"):
        main(job(build, tmp_path / "out"))


def test_without_a_scorer_bertscore_has_a_reason(evaluate: Callable[..., dict[str, Any]]) -> None:
    """Seed 003's was 0.0."""
    found = evaluate()
    value = found["metrics"]["bertscore"]["values"]["verify-hf"]
    assert value == {"value": None, "reason": "the recipe names no model for it (table evaluate.bertscore)"}
    assert found["scorer"] is None


def test_bertscore_is_a_measure_as_others(build: dict[str, Path], tmp_path: Path) -> None:
    """With interval and verdict, the same bytes twice; the answers hold each one's score."""
    from pipeline.inside.evaluate import main

    write_jsonl(build["verify-hf"] / "generations.jsonl", greedy(lambda prompt: prompt["reference"]))
    scorer = tiny_encoder.write_encoder(tmp_path / "scorer")
    write_json(scorer / "base.json", {"source": "folder", "licence": "MIT", "parameters": 1})
    outputs = []
    for name in ("first", "second"):
        made = job(build, tmp_path / name)
        made.inputs["scorer"] = scorer
        made.parameters["bertscore"] = {"layer": 2, "idf": True}
        main(made)
        outputs.append({path.name: path.read_bytes() for path in sorted(made.output.iterdir())})
    assert outputs[0] == outputs[1]
    found = json.loads(outputs[0]["evaluation.json"])
    assert found["metrics"]["bertscore"]["values"]["verify-hf"]["value"] == pytest.approx(1, abs=1e-6)
    one = difference(found, "bertscore")
    assert 0 < one["low"] <= one["difference"] <= one["high"]
    assert one["verdict"] == "better (one training)"
    assert (found["scorer"]["kind"], found["scorer"]["layer"], found["scorer"]["source"]) == ("bert", 2, "folder")


def test_without_further_seeds_nothing_is_said_over_trainings(evaluate: Callable[..., dict[str, Any]]) -> None:
    """The one seed is named."""
    assert evaluate()["seeds"] == {"trainings": [42], "least": 3, "metrics": {}}


def test_a_verdict_over_three_trainings(build: dict[str, Path], tmp_path: Path) -> None:
    """Two further seeds: every measure with the differences of each, in the recipe's order, and what they show."""
    from pipeline.inside.evaluate import main

    made = job(build, tmp_path / "out")
    made.parameters["seeds"] = [[142, "verify-hf"], [7, "verify-hf-seed-7"], [8, "verify-hf-seed-8"]]
    write_jsonl(build["verify-hf"] / "generations.jsonl", greedy(lambda prompt: prompt["reference"]))
    for missed, seed in enumerate((7, 8), start=1):
        folder = made.inputs[f"verify-hf-seed-{seed}"] = tmp_path / f"seed-{seed}"
        shutil.copytree(build["verify-hf"], folder)
        rows = [
            answer(one, "greedy", one["reference"] if at % 16 >= missed else "別の話")
            for at, one in enumerate(prompts())
        ]
        write_jsonl(folder / "generations.jsonl", rows)
    main(made)
    found = read_json(made.output / "evaluation.json")
    assert found["forms"] == FORMS
    seeds = found["seeds"]
    assert seeds["trainings"] == [142, 7, 8]
    assert set(seeds["metrics"]) == set(found["metrics"])
    chrf = seeds["metrics"]["chrf"]
    assert chrf["verdict"] == "better"
    assert [one["seed"] for one in chrf["differences"]] == [142, 7, 8]
    assert chrf["differences"][0]["difference"] == difference(found, "chrf")["difference"]
    assert difference(found, "chrf")["verdict"] == "better (one training)"
    assert seeds["metrics"]["forgetting_kl"]["verdict"] == "worse"
    assert seeds["metrics"]["distinct1"]["mean"] is not None
    assert "no interval" in seeds["metrics"]["distinct1"]["reason"]
    assert seeds["metrics"]["bertscore"]["reason"].startswith("the recipe names no model")


def test_few_prompts_give_no_verdict(build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]) -> None:
    """However large the difference."""
    write_jsonl(build["preflight"] / "prompts.jsonl", prompts()[:12])
    write_jsonl(build["verify-hf"] / "generations.jsonl", greedy(lambda prompt: prompt["reference"]))
    assert difference(evaluate(), "chrf")["verdict"] == "too few prompts"


def test_without_held_out_prompts_nothing_is_measured(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """No zeros: every value of answers has a reason."""
    write_jsonl(build["preflight"] / "prompts.jsonl", [one for one in prompts() if one["kind"] == "seen"])
    metrics = evaluate()["metrics"]
    told = {
        (one["value"], one["reason"])
        for name, metric in metrics.items()
        if name not in (*OF_TEXT, "bertscore", *NOT_ASKED)
        for one in metric["values"].values()
    }
    assert told == {(None, "there is no held-out prompt")}


def test_copies_of_training_rows_are_counted(build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]) -> None:
    """Marks and width aside."""
    row = read_jsonl(build["prepare"] / "train.jsonl")[0]["output"]
    write_jsonl(build["verify-hf"] / "generations.jsonl", greedy(lambda _: f"{row}！"))
    assert difference(evaluate(), "training_copies")["verdict"] == "worse (one training)"


def test_politeness_is_held_against_the_references(
    build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]
) -> None:
    """The base is polite, titles are not: neither is better, but one is nearer."""
    write_jsonl(build["verify-hf"] / "generations.jsonl", greedy(lambda prompt: prompt["reference"]))
    assert difference(evaluate(), "teineigo")["verdict"] == "different, nearer to the references"


def test_the_tables_hold_the_same_numbers(build: dict[str, Path], tmp_path: Path) -> None:
    """Seed 003's comparison_evaluation.csv."""
    from pipeline.inside.evaluate import main

    request = job(build, tmp_path / "out")
    main(request)
    found = read_json(request.output / "evaluation.json")
    with (request.output / "comparison_evaluation.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = {(row["metric"], row["form"], row["against"]): row for row in csv.DictReader(stream)}
    assert len(rows) == 7 * len(found["metrics"])
    row = rows["chrf", "verify-hf", "verify-base"]
    assert float(row["difference"]) == difference(found, "chrf")["difference"]


def test_what_two_runs_need_to_be_compared_is_published(build: dict[str, Path], tmp_path: Path) -> None:
    """Every measure with an interval but no value for an answer, in every resample: the same interval comes out."""
    from pipeline.inside.evaluate import main
    from pipeline.inside.scoring import bootstrap

    request = job(build, tmp_path / "out")
    main(request)
    found = read_json(request.output / "evaluation.json")
    rows = {(row["metric"], row["form"]): row for row in read_jsonl(request.output / "resamples.jsonl")}
    assert {metric for metric, _ in rows} == {"bleu", "chrf", "loss", "forgetting_kl", "neutral_loss"}
    assert {form for _, form in rows} == set(FORMS)
    for metric in ("bleu", "chrf", "loss", "neutral_loss"):
        before, after = (np.array(rows[metric, form]["values"]) for form in ("verify-base", "verify-hf"))
        told = difference(found, metric)
        assert bootstrap.interval(after - before) == pytest.approx((told["low"], told["high"]), abs=2e-6)
        assert rows[metric, "verify-hf"]["drawn_from"] == told["pairs"]


def test_the_texts_are_named_with_their_size(build: dict[str, Path], evaluate: Callable[..., dict[str, Any]]) -> None:
    """What loss and forgetting are measured on."""
    assert evaluate()["texts"] == {
        "held_out": {"of": "held-out rows", "windows": 40, "tokens": 200},
        "neutral": {"of": "built-in", "windows": 32, "tokens": 160},
    }


def test_the_same_bytes_in_every_process(build: dict[str, Path], tmp_path: Path) -> None:
    """Two processes, two folders, two orders of hashing, one and two threads."""
    outputs = []
    for seed in ("1", "2"):
        request = tmp_path / f"request-{seed}.json"
        made = job(build, tmp_path / f"out-{seed}")
        inputs = {name: str(path) for name, path in made.inputs.items()}
        asked = {"program": "evaluate", "parameters": made.parameters, "inputs": inputs, "threads": int(seed)}
        request.write_text(json.dumps({**asked, "output": str(made.output), "scratch": str(made.output)}))
        code = (
            "import sys; from pathlib import Path; from pipeline.inside import evaluate;"
            " from pipeline.inside.job import Job; evaluate.main(Job.read(Path(sys.argv[1])))"
        )
        environ = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": seed, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-c", code, str(request)], env=environ, check=True, capture_output=True)
        outputs.append({path.name: path.read_bytes() for path in sorted(made.output.iterdir())})
    assert list(outputs[0]) == FILES
    assert outputs[0] == outputs[1]
