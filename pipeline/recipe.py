"""Recipes: everything that a user decides, as frozen, typed TOML.

A recipe names one result. Units stand in the names; every key that is not known is refused.
`loading.py` reads a file and reports all problems together; `schema.py` makes the JSON Schema and
`docs/recipes.md` from the descriptions here, so write them for the reader of those.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, SerializerFunctionWrapHandler, Strict, model_serializer

from pipeline.gates.limits import GateLimits
from pipeline.recipe_release import Release
from pipeline.recipe_sources import MAX_SEED, Base, DataSource, FolderScorer, HubScorer, Section, Texts


class Columns(Section):
    """Which columns of the raw rows mean what."""

    input: Texts = Field(("theme",), min_length=1, description="Columns that the prompt may use, as {name}.")
    output: str = Field("title", min_length=1, description="Column that holds the answer to learn.")
    category: str | None = Field(None, description="Column to stratify the split by.")
    group: str | None = Field(None, description="Column whose rows must stay in one split (their source).")
    must_contain: str | None = Field(
        None,
        description="Column of facts that an answer must hold: a list (in CSV the same as JSON) of texts, or of lists"
        ' of variants of which one suffices, such as `[["1899年", "明治32年"], "東京"]`.',
    )
    must_not_contain: str | None = Field(
        None, description="Column of facts that an answer must not hold, in the same form."
    )


class Cleaning(Section):
    """What makes a row clean. Lengths count Unicode code points after NFKC."""

    min_chars: int = Field(4, ge=1, description="Shortest answer.")
    max_chars: int = Field(120, ge=1, description="Longest answer.")
    language: Literal["ja", "any"] = Field("ja", description="Language that an answer must be in.")
    drop_tag_lists: bool = Field(True, description="Drop answers that are only short words joined by separators.")
    drop_duplicates: bool = Field(True, description="Drop exact and near duplicates; the first one stays.")
    near_duplicate_jaccard: float = Field(
        0.6, gt=0, le=1, description="Similarity of character 3-grams from which on two answers are near duplicates."
    )
    duplicate_key: Literal["output", "row"] = Field(
        "output",
        description="What two duplicates share: the answer (titles), or input and answer (questions).",
    )


class Split(Section):
    """Shares of the clean rows; they add up to 1."""

    train: float = Field(0.8, gt=0, le=1, description="Rows to learn from. With all of them a gate fails.")
    validation: float = Field(0.1, ge=0, lt=1, description="Rows that early stopping looks at.")
    test: float = Field(0.1, ge=0, lt=1, description="Rows that nothing looks at before the end.")
    seed: int = Field(42, ge=0, le=MAX_SEED, description="Seed of the split.")


class Prompt(Section):
    """How a row becomes a conversation. The chat template is the tokenizer's own."""

    system: str | None = Field(None, description="System message, the same in training and in use.")
    user: str = Field(description="Template over the input columns, such as `「{theme}」の題名を1つ`.")
    terminator: str = Field("<|im_end|>", min_length=1, description="Token that ends the assistant's turn.")
    enable_thinking: bool = Field(False, description="Passed to the chat template (Qwen3).")


class Lora(Section):
    """The adapter. Its effect is scaled by alpha/rank, with rsLoRA by alpha/sqrt(rank)."""

    rank: int = Field(32, ge=1, le=1024, description="Rank of the two factors.")
    alpha: float = Field(64.0, gt=0, description="Numerator of the scale; the gate warns when the scale is over 4.")
    rslora: bool = Field(True, description="Scale by alpha/sqrt(rank) in place of alpha/rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's input that is dropped in training.")
    targets: Texts = Field(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        min_length=1,
        description="Projections that get an adapter.",
    )


class Train(Section):
    """Supervised fine-tuning on the assistant's turns only."""

    trainer: Literal["trl", "trl-cuda", "unsloth"] = Field(
        "trl",
        description="Library that trains; `unsloth` and `trl-cuda` (TRL and PEFT on packed weights, where Unsloth does"
        " not know a model) need a GPU and its image.",
    )
    load_in_4bit: bool = Field(
        False,
        description="Train on the base rounded to NF4 (QLoRA). `unsloth` and `trl-cuda` keep the weights packed in 4"
        " bits; `trl` keeps the same values in `precision`, on any processor, which saves no memory.",
    )
    double_quantization: bool = Field(
        True,
        description="With `load_in_4bit`: the scales of the 4-bit weights are rounded to 8 bits as well, as Unsloth"
        " does (bitsandbytes: `bnb_4bit_use_double_quant`). A 4-bit copy in `[base.training]` is taken as it is.",
    )
    precision: Literal["float32", "bfloat16"] = Field("float32", description="Arithmetic of the training.")
    attention: Literal["eager", "sdpa"] = Field("sdpa", description="Implementation of attention; it moves bytes.")
    epochs: float = Field(1.0, gt=0, description="Passes over the training rows, at most.")
    batch_size: int = Field(2, ge=1, description="Rows per forward pass.")
    accumulation: int = Field(4, ge=1, description="Forward passes per optimizer step.")
    packing: bool = Field(
        False,
        description="Lay the rows of a forward pass end to end in one sequence, each seeing only itself, in place of"
        " padding them to one length. Steps and their rows stay the same, the bytes do not. With `trl`, where it is"
        " slower on a processor, and `trl-cuda`; a model whose attention mixes rows is refused before the first step.",
    )
    learning_rate: float = Field(2e-4, gt=0, le=0.1, description="Peak learning rate.")
    scheduler: Literal["cosine", "linear", "constant"] = Field("cosine", description="How the learning rate falls.")
    warmup_steps: int = Field(5, ge=0, description="Steps in which the learning rate rises.")
    weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay.")
    optimizer: Literal["adamw_torch", "adamw_8bit"] = Field("adamw_torch", description="`adamw_8bit` needs a GPU.")
    max_seq_tokens: int = Field(512, ge=8, description="Longest sample; a longer one is refused, never cut.")
    eval_every_steps: int = Field(5, ge=1, description="Steps between evaluations; a run needs at least 10.")
    patience_evals: int = Field(
        4, ge=0, description="Evaluations without gain before early stopping; 0 switches it off."
    )
    seed: int = Field(
        42, ge=0, le=MAX_SEED, description="Seed of the adapter's first weights and of the order of the rows."
    )
    processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that train together, with `trl-cuda` each on a card of its own. They share the"
        " `accumulation` forward passes of a step, which must be a multiple of them: the rows of a step stay the same.",
    )
    sharding: Literal["none", "fsdp"] = Field(
        "none",
        description="With several processes: `none` keeps the whole model in each (DDP), `fsdp` shares its weights out"
        " (FSDP2), for a model that does not fit one card.",
    )
    deterministic: bool = Field(
        True,
        description="On a card: use only kernels that add in a fixed order, where there are such; what cannot be"
        " switched is told. `false` is faster, and two trainings may differ.",
    )
    repeat: bool = Field(
        False,
        exclude=True,  # another stage, and no other training
        description="Train a second time with everything the same (stage `train-again`), and compare the adapters"
        " tensor by tensor. Costs a whole training.",
    )
    lora: Lora = Field(Lora(), description="The adapter.")

    @model_serializer(mode="wrap")
    def _what_counts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out how it is computed where that is as ever: the same key as before there was a choice."""
        found: dict[str, Any] = handler(self)
        usual = {"processes": 1, "sharding": "none", "deterministic": True, "packing": False}
        return {name: value for name, value in found.items() if name not in usual or value != usual[name]}


class Merge(Section):
    """Adapter into base. The sum is made in float32 and stored as `dtype`."""

    dtype: Literal["base", "float32", "float16", "bfloat16"] = Field("base", description="Type of the merged weights.")
    onto: Literal["closer", "plain", "quantization-aware"] = Field(
        "closer",
        description="After a training on 4 bits: which weights the adapter is added to. `plain`: the base's own;"
        " `quantization-aware`: the rounded ones, which training saw. Both are made and measured; `closer` keeps the"
        " one that is nearer to the adapter as it was trained.",
    )


class Quantize(Section):
    """Which quantized files to make from the F16 file."""

    types: Texts = Field(("Q4_K_M",), min_length=1, description="llama.cpp's names of the types.")
    imatrix: bool = Field(
        False,
        description="Compute an importance matrix over the train split (as `llama-imatrix` does), and round by it. The"
        " smallest types need one; Q8_0, BF16 and the TQ types make no use of it.",
    )
    imatrix_tokens: int = Field(
        65_536, ge=1024, description="Tokens of training rows for the importance matrix, where there are as many."
    )
    imatrix_chunk_tokens: int = Field(
        512, ge=32, description="Tokens that the model reads at a time for it; llama.cpp's own default."
    )

    @model_serializer(mode="wrap")
    def _what_counts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not used: without an importance matrix its keys change nothing."""
        found: dict[str, Any] = handler(self)
        return found if self.imatrix else {name: value for name, value in found.items() if name == "types"}


class Generate(Section):
    """How every form of the model is made to speak: greedy, and one seeded sample per prompt."""

    prompts: int = Field(64, ge=1, description="Prompts in all, unseen themes first, then seen ones.")
    max_new_tokens: int = Field(64, ge=1, description="Token budget of one answer.")
    temperature: float = Field(0.7, gt=0, description="Temperature of the sample.")
    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus of the sample.")
    seed: int = Field(7, ge=0, le=MAX_SEED, description="Seed of the sample.")


class Parity(Section):
    """The text on which neighbouring forms are compared, teacher-forced."""

    tokens: int = Field(50_000, ge=256, description="Tokens in all, where the data allow.")
    window_tokens: int = Field(256, ge=16, description="Tokens per window.")


class Evaluate(Section):
    """What is measured beyond the held-out prompts."""

    unanswerable: str | None = Field(
        None,
        min_length=1,
        exclude=True,  # the questions count in the keys, not the name of their file
        description="JSONL file of questions that the data do not answer, relative to the recipe file: rows with the"
        " input columns. Every form answers them, and how often it abstains is measured.",
    )
    neutral: str | None = Field(
        None,
        min_length=1,
        exclude=True,  # the file's text counts in the keys, not its name
        description="UTF-8 text that has nothing to do with the task, relative to the recipe file, passages between"
        " blank lines: on it forgetting is measured. Without it, a small built-in text about everyday matters.",
    )
    neutral_tokens: int = Field(2048, ge=64, description="Tokens of the neutral text that are read, at most.")
    training_seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...], Strict(False)] = Field(
        (),
        description="Further seeds, beside train.seed, to train with for the evaluation: from three trainings on, a"
        " difference is the recipe's and not that of one training. Each costs a whole training.",
    )
    bertscore: Annotated[FolderScorer | HubScorer, Field(discriminator="source")] | None = Field(
        None, description="The model of BERTScore, which is measured where this table is."
    )


class Numerics(Section):
    """What fixes the bits of floating-point sums on a processor."""

    instruction_set: Literal["avx2", "avx512", "default"] = Field(
        "avx2", description="Kernels of the CPU build of torch; another choice gives other bytes."
    )


class Report(Section):
    """What the report may show. It is handed out with the model."""

    show_data_rows: bool = Field(
        False,
        description="Show inputs of prompts, and answers that are data rows word for word. Rows belong to people.",
    )


Pair = Annotated[tuple[str, str], Strict(False)]
"""Two forms of the model that are held against each other."""


class Judge(Section):
    """A language model that compares answers in pairs, each pair in both orders.

    Without this table nobody judges. With it, held-out inputs and the answers to them are sent to the endpoint that the
    run settings name (`[judge]` in `run.toml`): they belong to people.
    """

    model: str = Field(min_length=1, description="The model's name at the endpoint.")
    rubric: str | None = Field(
        None,
        min_length=1,
        description="What makes an answer better, in the judge's own words; without it a rubric for titles and short"
        " answers, in Japanese where `clean.language` is.",
    )
    pairs: Annotated[tuple[Pair, ...], Strict(False)] = Field(
        (("base", "tuned"),),
        min_length=1,
        description="What is compared: `base`, `tuned`, `merged`, `f16`, or a type of `quantize.types`. The second wins"
        " or loses.",
    )
    max_prompts: int = Field(100, ge=1, description="Held-out prompts to judge, at most; under 30 there is no verdict.")
    with_reference: bool = Field(
        False, description="Show the judge the row's own answer: for questions with one right answer."
    )
    explain: bool = Field(True, description="Ask for one sentence of reasons before the verdict.")
    answer_format: Literal["json_schema", "json_object", "text"] = Field(
        "json_schema",
        description="How the verdict is asked for and read. `json_schema`: as OpenAI, vLLM and llama-server take it;"
        " `json_object`: with `schema` beside the type, as `llama_cpp.server` takes it; `text`: a last line that is the"
        " verdict and nothing else, for endpoints without `response_format`.",
    )
    temperature: float = Field(0.0, ge=0, le=2, description="Temperature of the judge.")
    seed: int = Field(7, ge=0, le=MAX_SEED, description="Seed of the judge's sampling, where the endpoint knows one.")
    leave_out: Annotated[tuple[Literal["temperature", "seed"], ...], Strict(False)] = Field(
        (), description="Settings that are not sent: some models take no other than their own."
    )
    max_tokens: int = Field(512, ge=1, description="Token budget of one verdict with its reasons.")
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="What the endpoint calls that budget; OpenAI's newer models know the second only."
    )
    prompt_price: float | None = Field(None, ge=0, description="Price of a million tokens of the prompts.")
    completion_price: float | None = Field(None, ge=0, description="Price of a million tokens of the answers.")
    currency: str | None = Field(None, min_length=1, description="What the prices are in, such as `USD`.")


class Waiver(Section):
    """A written exception. It shows in the manifest, the report and the release."""

    gate: str = Field(min_length=1, description="Name of the gate, for example `data.clean-rows`.")
    reason: str = Field(min_length=20, description="Why the result may stand all the same.")


class Recipe(Section):
    """One recipe file."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="Name of the result, built under `build/<name>/`."
    )
    description: str = Field(description="One line for a reader.")
    base: Base = Field(description="The model to start from.")
    data: DataSource = Field(description="The rows to learn from.")
    prompt: Prompt = Field(description="How a row becomes a conversation.")
    columns: Columns = Field(Columns(), description="Which columns mean what.")
    clean: Cleaning = Field(Cleaning(), description="What makes a row clean.")
    split: Split = Field(Split(), description="Shares of train, validation and test.")
    train: Train = Field(Train(), description="The training.")
    merge: Merge = Field(Merge(), description="Adapter into base.")
    quantize: Quantize = Field(Quantize(), description="Which quantized files to make.")
    generate: Generate = Field(Generate(), description="How every form is made to speak.")
    evaluate: Evaluate = Field(Evaluate(), description="What is measured beyond the held-out prompts.")
    parity: Parity = Field(Parity(), description="The text on which forms are compared.")
    numerics: Numerics = Field(Numerics(), description="What fixes the bits of floating-point sums.")
    report: Report = Field(Report(), description="What the report may show.")
    release: Release = Field(Release(), description="How the result is handed out.")
    judge: Judge | None = Field(None, description="A language model that compares answers; without it nobody judges.")
    gates: GateLimits = Field(GateLimits(), description="Limits of the gates.")
    waivers: Annotated[tuple[Waiver, ...], Strict(False)] = Field((), description="Written exceptions.")

    _folder: Path = PrivateAttr(Path())

    @property
    def folder(self) -> Path:
        """The recipe file's folder, to which its relative paths belong. No part of any key."""
        return self._folder

    def in_folder(self, folder: Path) -> Recipe:
        """Return the same recipe, its relative paths belonging to `folder`."""
        recipe = self.model_copy()
        recipe._folder = folder  # noqa: SLF001  # its own private attribute, on a copy
        return recipe

    def slice(self, *sections: str) -> dict[str, Any]:
        """Return the named sections as plain JSON values, for a stage's parameters."""
        return {name: self.model_dump(mode="json", include={name})[name] for name in sections}
