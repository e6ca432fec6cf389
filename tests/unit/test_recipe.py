"""The recipe as a value, and what the shipped recipes promise."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.loading import load_recipe
from pipeline.recipe import Recipe, Split
from pipeline.recipe_sources import HubBase


@pytest.fixture
def noteai() -> Recipe:
    """The shipped recipe `noteai-title`."""
    return load_recipe("noteai-title")


@pytest.fixture
def company() -> Recipe:
    """The shipped recipe `company-qa`."""
    return load_recipe("company-qa")


def scale(recipe: Recipe) -> float:
    """Return the factor on the adapter's update."""
    lora = recipe.train.lora
    return lora.alpha / (math.sqrt(lora.rank) if lora.rslora else lora.rank)


def steps(recipe: Recipe, clean_rows: int) -> int:
    """Return the optimizer steps of a run over so many clean rows."""
    rows = int(clean_rows * recipe.split.train)
    return math.ceil(rows / (recipe.train.batch_size * recipe.train.accumulation) * recipe.train.epochs)


class TestValue:
    """A recipe is a frozen value."""

    def test_is_frozen(self) -> None:
        """Nothing can be changed behind the key of a stage."""
        with pytest.raises(ValidationError, match="frozen"):
            Split().train = 0.5  # type: ignore[misc]

    def test_slice_is_plain_json(self, noteai: Recipe) -> None:
        """A slice holds the named tables only, lists for tuples, and no path of this machine."""
        assert noteai.slice("merge", "quantize") == {
            "merge": {"dtype": "bfloat16", "onto": "closer"},
            "quantize": {"types": ["Q4_K_M"]},
        }

    def test_folder_is_no_part_of_any_slice(self) -> None:
        """The same recipe in another folder gives the same parameters."""
        here = load_recipe("seedling")
        there = here.in_folder(Path("/elsewhere"))
        sections = tuple(Recipe.model_fields)
        assert here.folder != there.folder
        assert here.slice(*sections) == there.slice(*sections)


class TestNoteaiTitle:
    """The settings of the second noteAI version, and where they depart from its documents."""

    def test_settings_of_the_documents(self, noteai: Recipe) -> None:
        """What documents 001 and 002 fix is as they say."""
        train = noteai.train
        assert (train.epochs, train.batch_size, train.accumulation) == (1, 2, 4)
        assert (train.learning_rate, train.scheduler, train.warmup_steps) == (2e-4, "cosine", 5)
        assert (train.lora.rank, train.max_seq_tokens) == (32, 512)
        assert (train.trainer, train.load_in_4bit) == ("unsloth", True)
        assert noteai.quantize.types == ("Q4_K_M",)

    def test_training_is_that_of_the_first_version(self, noteai: Recipe) -> None:
        """Document 000 §3: bf16, 8-bit AdamW, no dropout, all seven projections, seed 42; rsLoRA see below."""
        train = noteai.train
        assert (train.precision, train.optimizer, train.seed) == ("bfloat16", "adamw_8bit", 42)
        assert (train.lora.dropout, train.lora.alpha) == (0.0, 64)
        assert sorted(train.lora.targets) == sorted(
            ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
        )

    def test_prompts_are_those_of_the_first_version(self, noteai: Recipe) -> None:
        """Document 000 §2.1, but for the line break before the end of each turn."""
        assert noteai.prompt.system == "あなたはnote.comの人気記事タイトルを生成する専門AIです。"
        assert noteai.prompt.user.format(theme="副業") == "「副業」に関する記事タイトルを1つ生成してください。"
        assert (noteai.prompt.terminator, noteai.prompt.enable_thinking) == ("<|im_end|>", False)

    def test_a_departure_from_the_documents_is_named_in_the_recipe(self, noteai: Recipe) -> None:
        """Each value that is another one than theirs has a comment that says which they have."""
        train, said = noteai.train, (noteai.folder / "noteai-title.toml").read_text(encoding="utf-8")
        assert (train.patience_evals, "A patience of 4, where the v2 plan says 3" in said) == (4, True)
        assert (train.eval_every_steps, "Every 5 steps, where the v2 plan says 20" in said) == (5, True)
        assert (noteai.split.train, "80/10/10, where the v2 plan says 80/20" in said) == (0.8, True)
        assert (train.lora.rslora, "The documents set alpha 64 and rsLoRA" in said) == (False, True)

    def test_scale_is_what_the_documents_mean(self, noteai: Recipe) -> None:
        """The documents' alpha 64 with rsLoRA was a scale of 11.3; here it is 2."""
        assert scale(noteai) == 2

    def test_early_stopping_can_act(self, noteai: Recipe) -> None:
        """Even at the fewest rows that are let through a run holds 10 evaluations, more than its patience."""
        assert steps(noteai, 500) // noteai.train.eval_every_steps >= 10 > noteai.train.patience_evals > 0

    def test_has_a_test_set(self, noteai: Recipe) -> None:
        """80/10/10, where the documents say 80/20."""
        assert (noteai.split.train, noteai.split.validation, noteai.split.test) == (0.8, 0.1, 0.1)

    def test_merges_into_16_bits(self, noteai: Recipe) -> None:
        """The base is the 16-bit model, the 4-bit copy is for the training only."""
        base = noteai.base
        assert isinstance(base, HubBase)
        assert base.repo == "Qwen/Qwen3-14B"
        assert base.training is not None
        assert base.training.repo == "unsloth/Qwen3-14B-bnb-4bit"

    def test_prompt_has_no_line_break_at_its_ends(self, noteai: Recipe) -> None:
        """The first version's prompt had a line break before the terminator that the training never saw."""
        assert noteai.prompt.system == (noteai.prompt.system or "").strip()
        assert noteai.prompt.user == noteai.prompt.user.strip()


class TestCompanyQa:
    """133 rows on the CPU."""

    def test_the_small_one_asks_the_same(self, company: Recipe) -> None:
        """Rows, columns, cleaning and split are those of company-qa; only the number of rows is waived."""
        small = load_recipe("company-qa-small")
        assert small.slice("data", "columns", "clean", "split") == company.slice("data", "columns", "clean", "split")
        assert [waiver.gate for waiver in small.waivers] == ["data.clean-rows"]

    def test_waives_what_so_few_rows_cannot_give(self, company: Recipe) -> None:
        """The number of rows is waived in writing; a test set is held out all the same."""
        assert {waiver.gate for waiver in company.waivers} == {"data.clean-rows", "preflight.padding"}
        assert round(133 * company.split.test) >= 30  # under that no interval gets a verdict

    def test_needs_no_gpu(self, company: Recipe) -> None:
        """Trainer, precision and optimizer run on a processor."""
        assert (company.train.trainer, company.train.precision, company.train.optimizer) == (
            "trl",
            "float32",
            "adamw_torch",
        )

    def test_early_stopping_can_act(self, company: Recipe) -> None:
        """133 rows still give 10 evaluations."""
        assert steps(company, 133) // company.train.eval_every_steps >= 10

    def test_every_file_is_pinned(self, company: Recipe) -> None:
        """Revision and digests are there, so that a fetch needs no pinning first."""
        base = company.base
        assert isinstance(base, HubBase)
        assert base.revision is not None
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(base.files)
