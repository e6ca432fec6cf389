"""The section on how it was made: base, data, settings, llama.cpp, and the sha256 of what the report was made of."""

from __future__ import annotations

import json

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Block, Code, Facts, Preformatted, Section, Table, Words
from pipeline.report.quantities import fixed, number

SETTINGS = ("prompt", "clean", "split", "train", "merge", "quantize", "generate", "parity", "numerics")
"""Tables of the recipe that the report shows whole; base and data without the paths of the user's machine."""


def provenance_section(artifacts: Artifacts) -> Section:
    """Return what went in, and what names it."""
    settings = artifacts.settings
    pairs: list[tuple[str, Words]] = [("recipe", Code(str(settings["name"])))]
    pairs += [("base model", _named(settings["base"]))] if settings.get("base") else []
    pairs += [("data", _named(settings["data"]))] if settings.get("data") else []
    pairs += _data(artifacts)
    if pin := settings.get("llama_cpp"):
        pairs.append(("llama.cpp", ("commit ", Code(pin["commit"]), ", archive sha256 ", Code(pin["archive_sha256"]))))
    chosen = {name: settings[name] for name in SETTINGS if name in settings}
    blocks: list[Block] = [Facts(pairs), *_training(artifacts)]
    if chosen:
        text = json.dumps(chosen, ensure_ascii=False, indent=1, sort_keys=True)
        blocks.append(Section("All settings", (Preformatted(text, "the recipe's settings, as JSON"),), folded=True))
    rows = [
        (stage, Code(path), Code(sha256))
        for stage, files in artifacts.digests.items()
        for path, sha256 in sorted(files.items())
    ]
    if rows:
        blocks.append(
            Section("Files that this report was made of", (Table(("stage", "file", "sha256"), rows),), folded=True)
        )
    return Section("How it was made", blocks)


def _named(source: dict[str, str]) -> str:
    return ", ".join(f"{value}" if name == "source" else f"{name} {value}" for name, value in source.items() if value)


def _data(artifacts: Artifacts) -> list[tuple[str, Words]]:
    files = artifacts.json("fetch-data", "source.json").get("files") or ()
    return [("data file", (str(one["name"]), ", sha256 ", Code(one["sha256"]))) for one in files]


def _training(artifacts: Artifacts) -> list[Block]:
    """Return the settings that people ask for first."""
    train = artifacts.settings.get("train")
    if not train:
        return []
    lora = train["lora"]
    scale = round(lora["alpha"] / (lora["rank"] ** 0.5 if lora["rslora"] else lora["rank"]), 6)
    weights = "16-bit base rounded to 4 bits (QLoRA)" if train["load_in_4bit"] else f"base in {train['precision']}"
    pairs: list[tuple[str, Words]] = [
        (
            "method",
            ("LoRA of rank ", number(lora["rank"]), ", scale ", fixed(round(scale, 3), 2), f", on the {weights}"),
        ),
        ("epochs", number(train["epochs"])),
        ("rows a step", number(train["batch_size"] * train["accumulation"])),
        ("learning rate", (number(train["learning_rate"]), f", {train['scheduler']}")),
        ("longest sample", (number(train["max_seq_tokens"]), " tokens")),
        ("seed", number(train["seed"])),
    ]
    return [Facts(pairs)]
