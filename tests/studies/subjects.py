"""What the studies try: noteAI v1's suspects, each alone on a sound recipe, and sound recipes for calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from pipeline.inside.job import read_jsonl, write_jsonl
from pipeline.loading import load_recipe
from pipeline.recipe import Recipe
from tests.faults.workshop import Workshop

Tables = Mapping[str, Mapping[str, Any]]


def same_recipe(recipe: Recipe) -> Recipe:
    """Ask with the recipe of the training."""
    return recipe


def same_prompts(shop: Workshop) -> Path:
    """Ask the finished seedling's prompts, whatever was trained on, and read little text."""
    folder = shop.new("prompts")
    (folder / "prompts.jsonl").symlink_to(shop.made["preflight"] / "prompts.jsonl")
    for name in ("parity.json", "neutral.json"):
        (folder / name).symlink_to(shop.small["preflight"] / name)
    return folder


@dataclass(frozen=True)
class Asking:
    """One way to ask the adapter on its base: how its line of the table is called, which prompts, which recipe."""

    what: str
    prompts: Callable[[Workshop], Path] = same_prompts
    recipe: Callable[[Recipe], Recipe] = same_recipe


@dataclass(frozen=True)
class Subject:
    """What is tried: a recipe made from a seed, run up to the stage `last`, and the ways to ask what was trained."""

    name: str
    recipe: Callable[[Workshop, int], Recipe]
    last: str = "train"
    askings: Mapping[str, Asking] = field(default_factory=dict)


def changed(tables: Tables, shop: Workshop, seed: int) -> Recipe:
    """Return the seedling's recipe with keys changed, and all that is drawn drawn from `seed`."""
    return _seeded(shop.with_settings(**tables), seed)


def replay(_: Workshop, seed: int) -> Recipe:
    """Return v1's whole recipe at the seedling's size."""
    return _seeded(load_recipe("noteai-v1-replay"), seed)


def _seeded(recipe: Recipe, seed: int) -> Recipe:
    raw = recipe.model_dump(mode="json")
    for table in ("data", "train", "generate"):
        raw[table]["seed"] = seed
    return Recipe.model_validate(raw)


def line_breaks(shop: Workshop) -> Path:
    """Write the prompts as seed 000 §2.1 has them: a line break before each `<|im_end|>`."""
    from pipeline.inside.tokenizer_loading import load_tokenizer  # seconds, which a wrong command should not take

    source, folder = shop.made["preflight"], shop.new("line-breaks")
    tokenizer = load_tokenizer(shop.made["fetch-base"])
    prompts = read_jsonl(source / "prompts.jsonl")
    for prompt in prompts:
        prompt["text"] = prompt["text"].replace("<|im_end|>", "\n<|im_end|>")
        prompt["ids"] = list(tokenizer.encode(prompt["text"], add_special_tokens=False))
    write_jsonl(folder / "prompts.jsonl", prompts)
    for name in ("parity.json", "neutral.json"):
        (folder / name).symlink_to(shop.small["preflight"] / name)
    return folder


def stops_on(token: str, recipe: Recipe) -> Recipe:
    """Let generation end on another token than the one that ends a turn."""
    raw = recipe.model_dump(mode="json")
    raw["prompt"]["terminator"] = token
    return Recipe.model_validate(raw)


_BLIND: Final[Tables] = {"split": {"train": 1.0, "validation": 0.0, "test": 0.0}}
_FEW_ROWS: Final = 638
"""Seed 000 §5.1."""

_TRAINED: Final[tuple[tuple[str, str, Tables], ...]] = (
    (
        "tag-lists",
        "28 % of the rows are tag lists",
        {"data": {"tag_list_share": 0.28}, "clean": {"drop_tag_lists": False}},
    ),
    (
        "duplicates",
        "10 % of the rows are duplicates",
        {"data": {"duplicate_share": 0.1}, "clean": {"drop_duplicates": False}},
    ),
    ("few-rows", "638 raw rows", {"data": {"rows": _FEW_ROWS}}),
    ("epochs", "3 epochs, nothing held out", {"train": {"epochs": 3.0}, **_BLIND}),
    (
        "ten-epochs",
        "10 epochs on 638 raw rows, nothing held out (seeds 003 and 004)",
        {"train": {"epochs": 10.0}, "data": {"rows": _FEW_ROWS}, **_BLIND},
    ),
    ("lora-scale", "rsLoRA with r=32, alpha=64: a scale of 11.3", {"train": {"lora": {"rank": 32, "alpha": 64.0}}}),
)

SOUND: Final = Subject(
    "sound",
    partial(changed, {}),
    askings={
        "sound": Asking("nothing: the seedling's recipe"),
        "eos": Asking(
            "generation stops on `<|endoftext|>` only",
            recipe=partial(stops_on, "<|endoftext|>"),
        ),
        "line-break": Asking("a line break before `<|im_end|>` in the prompt", prompts=line_breaks),
    },
)
SUSPECTS: Final[tuple[Subject, ...]] = (
    SOUND,
    *(Subject(name, partial(changed, tables), askings={name: Asking(what)}) for name, what, tables in _TRAINED),
    Subject(
        "everything",
        replay,
        askings={"everything": Asking("all of `noteai-v1-replay`, and the line break", prompts=line_breaks)},
    ),
)
"""Seed 000 §5 and gates.md. `sound` is what the others are compared with."""

HEALTHY: Final[tuple[Subject, ...]] = (
    Subject("healthy-seedling", partial(changed, {}), last="compare"),
    Subject(
        "healthy-more-rows",
        partial(changed, {"data": {"rows": 2400, "tag_list_share": 0.1}, "train": {"epochs": 1.5}}),
        last="compare",
    ),
)
"""Two sound recipes, the second with more and cleaner rows: to the quantized file no gate may fail."""

SUBJECTS: Final[Mapping[str, Subject]] = {subject.name: subject for subject in (*SUSPECTS, *HEALTHY)}
