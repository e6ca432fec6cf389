"""What tokenizer, template and configuration files say about ends, beginnings and sizes, side by side."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .job import JobError, read_json
from .rendering import encode


def settings_of(base: Path, name: str) -> dict[str, Any]:
    """Return a JSON file of the model folder, or nothing when the folder lacks it."""
    path = base / name
    if not path.is_file():
        return {}
    found: dict[str, Any] = read_json(path)
    return found


def chat_template(tokenizer: Any) -> str:
    """Return the one chat template of a tokenizer. Raises `JobError` when it has none, or several by name."""
    template = tokenizer.chat_template
    if isinstance(template, str) and template:
        return template
    raise JobError(
        "The tokenizer of the base model has no single chat template.",
        where="chat_template.jinja and tokenizer_config.json of the base model",
        advice="Put the template of this model family into chat_template.jinja; there must be one way to render.",
    )


def token_facts(tokenizer: Any, base: Path, terminator: str) -> dict[str, Any]:
    """Return the ids that end, begin and pad a text, according to each file that says so.

    `stop_ids` is the EOS list of generation_config.json (None where the file is missing): what generation stops on.
    """
    config, generation = settings_of(base, "config.json"), settings_of(base, "generation_config.json")
    return {
        "text": terminator,
        "ids": encode(tokenizer, terminator),
        "eos_token": tokenizer.eos_token,
        "eos_id": tokenizer.eos_token_id,
        "stop_ids": as_ids(generation.get("eos_token_id")),
        "config_eos_ids": as_ids(text_config(config).get("eos_token_id", config.get("eos_token_id"))),
        "pad_token": tokenizer.pad_token,
        "pad_id": tokenizer.pad_token_id,
        "bos_id": tokenizer.bos_token_id,
        "generation_pad_id": generation.get("pad_token_id"),
    }


def as_ids(value: int | list[int] | None) -> list[int] | None:
    """Return an EOS entry as a list: configuration files hold one id or several."""
    return [value] if isinstance(value, int) else value


def special_texts(tokenizer: Any) -> tuple[str, ...]:
    """Return the texts that the tokenizer reads as control tokens wherever they stand, in data too."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return tuple(sorted(added.union(tokenizer.all_special_tokens)))


def added_at_start(tokenizer: Any) -> list[int]:
    """Return the ids that the tokenizer itself would put before a text: a BOS, or nothing.

    The runtime does so too where the GGUF says so; training never does, the template has written all.
    """
    plain, added = encode(tokenizer, "a"), list(tokenizer.encode("a", add_special_tokens=True))
    return added[: added.index(plain[0])] if plain and plain[0] in added else []


def writes_bos(tokenizer: Any, template: str) -> bool:
    """Say whether the chat template itself writes the beginning-of-text token."""
    bos = tokenizer.bos_token
    return bos is not None and ("bos_token" in template or bos in template)


def template_digest(template: str) -> str:
    """Return the sha256 of a chat template's text."""
    return hashlib.sha256(template.encode("utf-8")).hexdigest()


def context_tokens(base: Path) -> int | None:
    """Return the context length that config.json names, in tokens."""
    config = settings_of(base, "config.json")
    found = text_config(config).get("max_position_embeddings", config.get("n_positions"))
    return int(found) if found is not None else None


def configured_vocabulary(base: Path) -> int | None:
    """Return the vocabulary size that config.json names."""
    config = settings_of(base, "config.json")
    found = text_config(config).get("vocab_size", config.get("vocab_size"))
    return int(found) if found is not None else None


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part about text: models with several kinds of input keep it in a table of its own."""
    nested = config.get("text_config")
    return nested if isinstance(nested, dict) else config
