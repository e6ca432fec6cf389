"""What is rated: the greedy answers of two forms to what training never saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import CorruptArtifactError, UsageError
from pipeline.rating.answers import Pair, pairs_of
from tests.support.rated import OTHER_IN_Q4, PROMPTS, SAME_AS_BASE, RatedBuild, texts


def test_an_item_for_each_held_out_prompt(built: RatedBuild) -> None:
    """What training saw and what was sampled is not rated; the prompt is what the model was asked, braces and all."""
    items = built.items()
    assert len(items) == PROMPTS
    first = items[5]
    assert first.prompt == "「題5」に関する{記事}タイトルを1つ生成してください。"
    assert (first.against_text, first.form_text) == (texts()["verify-base"][5], texts()["verify-hf"][5])
    assert (first.reference, first.prompt_id) == ("参考5", "p5")


def test_identical_answers_are_known(built: RatedBuild) -> None:
    """Nobody has to look at them; blanks at the ends cannot be seen."""
    assert sum(item.identical for item in built.items()) == SAME_AS_BASE
    item = built.items()[5]
    assert replace(item, form_text=f" {item.against_text}\n").identical


@pytest.mark.parametrize("name", ["prompt", "reference", "against_text", "form_text"])
def test_the_digest_names_all_that_is_judged(built: RatedBuild, name: str) -> None:
    """Another text is another item; the place in the build is not."""
    item = built.items()[5]
    changes: dict[str, Any] = {name: "another"}
    other = replace(item, **changes)
    assert other.digest != item.digest
    assert replace(item, prompt_id="another").digest == item.digest
    assert replace(item, pair=Pair("base", "merged")).digest != item.digest


def test_forms_are_named_as_a_person_writes_them(built: RatedBuild) -> None:
    """Case does not count, the report's other name of tuned is understood, an unknown one gets the nearest."""
    answers = built.answers()
    assert answers.forms == ["base", "tuned", "merged", "F16", "Q4_K_M"]
    assert [answers.form(name) for name in ("q4_k_m", "f16", "Adapter")] == ["Q4_K_M", "F16", "tuned"]
    with pytest.raises(UsageError, match="no form 'Q4_K_S'") as caught:
        answers.form("Q4_K_S")
    assert caught.value.advice == "did you mean Q4_K_M?"


def test_which_forms_stand_against_which(built: RatedBuild) -> None:
    """Tuned against base; later forms against tuned; what is named stands alone."""
    answers = built.answers()
    tuned = Pair("base", "tuned")
    later = [Pair("tuned", name) for name in ("merged", "F16", "Q4_K_M")]
    assert pairs_of(answers) == [tuned]
    assert pairs_of(answers, every=True) == [tuned, *later]
    assert pairs_of(answers, ["f16", "tuned"]) == [later[1], tuned]
    assert pairs_of(answers, ["F16", "Q4_K_M"], "base") == [Pair("base", "F16"), Pair("base", "Q4_K_M")]
    assert pairs_of(answers, against="base") == [tuned]
    with pytest.raises(UsageError, match="tuned cannot stand against itself"):
        pairs_of(answers, ["tuned"], "adapter")


def test_a_form_that_lacks_an_answer_is_told(tmp_path: Path) -> None:
    """It is no empty answer."""
    built = RatedBuild(tmp_path, {**texts(), "verify-hf": texts()["verify-hf"][:-1]})
    with pytest.raises(UsageError, match=f"tuned gave no greedy answer to 1 of the {PROMPTS} held-out prompts"):
        built.items()


def test_damaged_answers_are_not_shown(built: RatedBuild) -> None:
    """People would judge what no model wrote."""
    path = built.store.folder(built.manifests["verify-hf"]) / "generations.jsonl"
    path.chmod(0o644)
    path.write_text("")
    with pytest.raises(CorruptArtifactError, match="verify-hf published is damaged"):
        built.items()


def test_few_answers_of_a_quantization_differ(built: RatedBuild) -> None:
    """So few are shown."""
    assert sum(not item.identical for item in built.items(Pair("tuned", "Q4_K_M"))) == OTHER_IN_Q4
