"""BERTScore with a real model, however small: what it says of texts, and what it refuses."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from tests.support import tiny_encoder, tiny_model
from tests.support.healthy_build import THEMES, title

REFERENCES = [title(theme, at) for at, theme in enumerate(THEMES[:12])]
ANSWERS = [title(theme, at + at % 3) for at, theme in enumerate(THEMES[:12])]
Score = Callable[..., list[float | None]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder. Not to be changed."""
    return tiny_encoder.write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def copy(encoder: Path, tmp_path: Path) -> Path:
    """A copy of it to break."""
    return shutil.copytree(encoder, tmp_path / "copy")


@pytest.fixture(scope="module")
def score(encoder: Path) -> Score:
    """Score answers against their references."""
    from pipeline.inside.scoring.bert import Scorer

    def run(
        answers: Sequence[str], references: Sequence[str], *, layer: int = 2, idf: bool = False
    ) -> list[float | None]:
        scorer = Scorer(encoder, layer, idf=idf)
        scorer.read(answers, references, lambda *_: None)
        return [scorer.f1(*pair) for pair in zip(answers, references, strict=True)]

    return run


@pytest.mark.parametrize("idf", [False, True])
def test_a_text_is_wholly_like_itself(score: Score, idf: bool) -> None:  # noqa: FBT001 - a case
    """The score of identical texts is 1, and no other is more."""
    assert score(REFERENCES, REFERENCES, idf=idf) == pytest.approx([1.0] * len(REFERENCES), abs=1e-6)
    found = [one for one in score(ANSWERS, REFERENCES, idf=idf) if one is not None]
    assert max(found) <= 1
    assert min(found) < 0.99


def test_candidates_come_in_the_order_of_their_likeness(score: Score) -> None:
    """The same title, one of the same shape, another one, something else."""
    reference = title("節約", 0)
    candidates = [reference, title("副業", 0), title("猫", 5), "なぜ"]
    found = [one for one in score(candidates, [reference] * 4) if one is not None]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 4


def test_it_is_what_torchmetrics_gives_for_one_pair_at_a_time(score: Score, encoder: Path) -> None:
    """Another implementation, called in the one way in which it is right: it cannot mix up the pairs of one pair."""
    from torchmetrics.functional.text.bert import bert_score
    from transformers import AutoModel, PreTrainedTokenizerFast

    model = AutoModel.from_pretrained(encoder, attn_implementation="eager")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(encoder)
    asked: dict[str, Any] = {"model": model, "user_tokenizer": tokenizer, "num_layers": 2, "max_length": 48}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[Any] = [
            bert_score([one], [two], **asked)["f1"] for one, two in zip(ANSWERS, REFERENCES, strict=True)
        ]
    assert score(ANSWERS, REFERENCES) == pytest.approx(list(map(float, found)), abs=1e-5)


def test_a_score_does_not_depend_on_the_other_texts(score: Score) -> None:
    """To the last bit: stage `evaluate-base` reads fewer of them than `evaluate`, and must give the base the same."""
    more = [f"{one}、{two}" for one, two in zip(ANSWERS, REFERENCES, strict=True)]
    together = score([*more, *ANSWERS], [*REFERENCES, *REFERENCES])[len(more) :]
    alone = [score([one], [two])[0] for one, two in zip(ANSWERS, REFERENCES, strict=True)]
    assert together == alone


def test_rare_tokens_count_more_with_idf() -> None:
    """By hand: two tokens alike, one of them in every reference."""
    import torch

    from pipeline.inside.scoring.bert import UNSEEN, Embedded, inverse_frequencies, likeness

    weights = inverse_frequencies([(1, 2), (1, 3)])
    assert weights == {UNSEEN: math.log(3), 1: 0.0, 2: math.log(1.5), 3: math.log(1.5)}
    axes = torch.eye(3)
    answer, reference = Embedded((1, 3), axes[[0, 1]]), Embedded((1, 2), axes[[0, 2]])
    assert likeness(answer, reference, lambda ids: torch.ones(len(ids))) == pytest.approx(0.5)
    assert likeness(answer, reference, lambda ids: torch.tensor([weights[one] for one in ids])) == 0
    common = Embedded((1,), axes[[0]])
    assert likeness(common, common, lambda ids: torch.tensor([weights[one] for one in ids])) is None


def test_an_empty_answer_is_like_nothing_and_without_a_reference_nothing_is_measured(score: Score) -> None:
    """As in the original implementation."""
    assert score(["", "節約"], ["節約", ""]) == [0.0, None]


def test_texts_over_the_models_length_are_cut_and_counted(encoder: Path) -> None:
    """They are told of."""
    from pipeline.inside.scoring.bert import Scorer

    scorer = Scorer(encoder, 1, idf=False)
    long = "節約" * 100
    scorer.read([long], [REFERENCES[0]], lambda *_: None)
    assert scorer.full == 1
    assert scorer.f1(long, REFERENCES[0]) is not None


def test_progress_counts_texts(encoder: Path) -> None:
    """Each text once, up to all of them."""
    from pipeline.inside.scoring.bert import Scorer

    told: list[tuple[int, int]] = []
    Scorer(encoder, 1, idf=False).read(["節約", "副業", "節約"], ["副業"], lambda *one: told.append(one))
    assert told[-1] == (2, 2)


def refused(folder: Path, layer: int = 2) -> JobError:
    """The error for a folder, which says where and what to do."""
    from pipeline.inside.scoring.bert import Scorer

    with pytest.raises(JobError) as caught:
        Scorer(folder, layer, idf=False)
    assert caught.value.where
    assert caught.value.advice
    return caught.value


def test_a_causal_model_is_refused(tmp_path: Path) -> None:
    """A token of it does not see what follows."""
    error = refused(tiny_model.write_base(tmp_path / "base"))
    assert "causal language model (Qwen3ForCausalLM)" in error.what


def test_a_tokenizer_without_ends_is_refused(copy: Path) -> None:
    """It is another kind of model's."""
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text(json.dumps({**tokenizer, "post_processor": None}))
    assert "no special token before and after" in refused(copy).what


def with_words_alone(folder: Path, **settings: str) -> Path:
    """Leave the tokenizer as older models have it: a list of words, and the class that reads it."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_a_list_of_words_is_a_tokenizer_too(copy: Path) -> None:
    """BERT's own form."""
    from pipeline.inside.scoring.bert import Scorer

    scorer = Scorer(with_words_alone(copy, tokenizer_class="BertTokenizer"), 2, idf=False)
    scorer.read(["節約の話"], ["節約の話"], lambda *_: None)
    assert scorer.f1("節約の話", "節約の話") == pytest.approx(1, abs=1e-6)


def test_a_tokenizer_that_needs_mecab_is_refused(copy: Path) -> None:
    """It says what is lacking, and which tokenizers do without (seed 003's first error was MeCab's)."""
    error = refused(with_words_alone(copy, tokenizer_class="BertJapaneseTokenizer", word_tokenizer_type="mecab"))
    assert "fugashi" in error.what
    assert "tokenizer.json" in error.advice


def test_a_tokenizer_of_another_model_is_refused(copy: Path) -> None:
    """It has more tokens than the model has rows."""
    tiny_encoder.write_tokenizer(copy, [chr(0x4E00 + at) for at in range(500)])
    assert "rows of embeddings" in refused(copy).what


def test_weights_that_are_not_in_the_file_are_refused(copy: Path) -> None:
    """The library would draw them by chance, and only warn."""
    from safetensors.torch import load_file, save_file

    kept = load_file(copy / "model.safetensors")
    lost = {name: tensor for name, tensor in kept.items() if not name.startswith("encoder.layer.1")}
    save_file(lost, copy / "model.safetensors", {"format": "pt"})
    assert "drawn by chance" in refused(copy).what


def test_a_pickle_alone_is_refused(copy: Path) -> None:
    """It is not even looked at."""
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "cannot be loaded" in refused(copy).what


def test_a_layer_that_is_not_there_is_refused(encoder: Path) -> None:
    """With the number of layers."""
    assert "has 3 layers" in refused(encoder, 4).what


def test_a_tokenizer_of_another_language_is_refused(encoder: Path) -> None:
    """Every token unknown would make all texts alike."""
    from pipeline.inside.scoring.bert import Scorer

    with pytest.raises(JobError, match="does not know 3 of the references' 3 tokens"):
        Scorer(encoder, 1, idf=False).read([], ["Ärger über Öl"], lambda *_: None)
