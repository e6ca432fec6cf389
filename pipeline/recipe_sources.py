"""Where a recipe's base model, its rows and its scorer come from: a local folder, the hub, or this pipeline itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

Texts = Annotated[tuple[str, ...], Strict(False)]
"""A TOML array of strings."""

Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
"""A full commit id: a branch or a tag can move, so neither is accepted."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A sha256 in lower-case hex."""

Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
"""A repository of the hub: owner/name."""


MAX_SEED = 2**32 - 1
"""Largest seed that NumPy takes."""


class Section(BaseModel):
    """One table of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class SeedlingBase(Section):
    """A small Qwen3 that the pipeline trains from scratch on its own text."""

    source: Literal["seedling"] = Field(description="This kind of base model.")
    steps: int = Field(300, ge=1, description="Optimizer steps of the training from scratch.")
    batch_size: int = Field(16, ge=1, description="Texts per step of that training.")
    learning_rate: float = Field(3e-3, gt=0, le=0.1, description="Peak learning rate of that training.")
    seed: int = Field(20260101, ge=0, le=MAX_SEED, description="Seed of the text, the first weights and the order.")
    pre_tokenizer: str = Field("qwen2", description="llama.cpp's name of the pre-tokenizer that fits this tokenizer.")
    licence: str = Field("CC0-1.0", description="SPDX identifier of the base model's licence.")


class SeedlingLlamaBase(Section):
    """A small Llama with a SentencePiece vocabulary, trained from scratch on questions and answers."""

    source: Literal["seedling-llama"] = Field(description="This kind of base model.")
    steps: int = Field(1200, ge=1, description="Optimizer steps of the training from scratch.")
    batch_size: int = Field(8, ge=1, description="Texts per step of that training.")
    learning_rate: float = Field(2e-3, gt=0, le=0.1, description="Peak learning rate of that training.")
    seed: int = Field(20260101, ge=0, le=MAX_SEED, description="Seed of the text, the first weights and the order.")
    licence: str = Field("CC0-1.0", description="SPDX identifier of the base model's licence.")

    @property
    def pre_tokenizer(self) -> None:
        """SentencePiece has none."""


class FolderBase(Section):
    """A base model in a local folder: Hugging Face layout, safetensors only."""

    source: Literal["folder"] = Field(description="This kind of base model.")
    path: str = Field(min_length=1, description="The folder, relative to the recipe file.")
    pre_tokenizer: str | None = Field(
        None, description="llama.cpp's name of the pre-tokenizer, where its converter does not know the tokenizer."
    )
    licence: str = Field("unknown", description="SPDX identifier of the base model's licence.")


class HubWeights(Section):
    """A second copy of the base model, already quantized to 4 bits, for the training to load (QLoRA).

    The adapter is merged into 16 bits all the same. Without this table `load_in_4bit`
    quantizes the 16-bit base while it loads.
    """

    repo: Repository = Field(description="owner/name on the Hugging Face hub.")
    revision: Revision | None = Field(
        None, description="Full commit id. Without it nothing is fetched: `python -m pipeline pin` fills it in."
    )
    files: dict[str, Digest] = Field(
        default_factory=dict, description="sha256 of each file to fetch; `python -m pipeline pin` fills it in."
    )


class HubBase(Section):
    """A base model on the Hugging Face hub, at one full revision, every file by its hash."""

    source: Literal["hub"] = Field(description="This kind of base model.")
    repo: Repository = Field(description="owner/name on the Hugging Face hub: the 16-bit model to merge into.")
    revision: Revision | None = Field(
        None, description="Full commit id. Without it nothing is fetched: `python -m pipeline pin` fills it in."
    )
    files: dict[str, Digest] = Field(
        default_factory=dict, description="sha256 of each file to fetch; `python -m pipeline pin` fills it in."
    )
    training: HubWeights | None = Field(None, description="The 4-bit copy that the training loads.")
    pre_tokenizer: str | None = Field(
        None, description="llama.cpp's name of the pre-tokenizer, where its converter does not know the tokenizer."
    )
    licence: str = Field("unknown", description="SPDX identifier of the base model's licence.")


Base = Annotated[SeedlingBase | SeedlingLlamaBase | FolderBase | HubBase, Field(discriminator="source")]


class Data(Section):
    """What all kinds of data have in common."""

    overrules: str | None = Field(
        None,
        min_length=1,
        exclude=True,  # the file's decisions count in the keys, not its name
        description="JSONL file of rows that a person keeps or drops against the cleaning, relative to the recipe file;"
        " `python -m pipeline review` writes it.",
    )


class SeedlingData(Data):
    """Made-up Japanese titles with planted faults, written by the pipeline itself."""

    source: Literal["seedling"] = Field(description="This kind of data.")
    rows: int = Field(1600, ge=1, description="Rows in all.")
    tag_list_share: float = Field(0.22, ge=0, le=1, description="Share of planted tag lists.")
    duplicate_share: float = Field(0.06, ge=0, le=1, description="Share of planted duplicates, exact and near.")
    broken_share: float = Field(0.02, ge=0, le=1, description="Share of planted broken rows.")
    seed: int = Field(42, ge=0, le=MAX_SEED, description="Seed of the rows.")
    licence: str = Field("CC0-1.0", description="SPDX identifier of the data's licence.")


class FileData(Data):
    """The user's own rows."""

    source: Literal["files"] = Field(description="This kind of data.")
    files: Texts = Field(
        min_length=1, description="JSONL, CSV, TSV or Parquet, relative to the recipe file; read in order."
    )
    licence: str = Field("unknown", description="SPDX identifier of the data's licence.")


DataSource = Annotated[SeedlingData | FileData, Field(discriminator="source")]


class FolderScorer(Section):
    """The model of BERTScore in a local folder: Hugging Face layout, safetensors only."""

    source: Literal["folder"] = Field(description="This kind of model.")
    path: str = Field(min_length=1, description="The folder, relative to the recipe file.")
    licence: str = Field("unknown", description="SPDX identifier of the model's licence.")
    layer: int = Field(ge=1, description="Layer whose vectors are compared: about 3/4 of the way up, 9 of BERT's 12.")
    idf: bool = Field(False, description="Let tokens count more that few references hold.")


class HubScorer(Section):
    """The model of BERTScore on the Hugging Face hub, at one full revision, every file by its hash."""

    source: Literal["hub"] = Field(description="This kind of model.")
    repo: Repository = Field(description="owner/name on the Hugging Face hub: an encoder of the answers' language.")
    revision: Revision | None = Field(
        None, description="Full commit id. Without it nothing is fetched: `python -m pipeline pin` fills it in."
    )
    files: dict[str, Digest] = Field(
        default_factory=dict, description="sha256 of each file to fetch; `python -m pipeline pin` fills it in."
    )
    licence: str = Field("unknown", description="SPDX identifier of the model's licence.")
    layer: int = Field(ge=1, description="Layer whose vectors are compared: about 3/4 of the way up, 9 of BERT's 12.")
    idf: bool = Field(False, description="Let tokens count more that few references hold.")
