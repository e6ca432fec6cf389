"""Checks between the keys of a recipe, which no single field can make.

Each check looks at the tables that are sound by themselves, so that one wrong key elsewhere hides
no other problem.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from string import Formatter
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.gates.limits import GateLimits
from pipeline.gates.names import NAMES
from pipeline.gates.quantization_limits import better_types
from pipeline.quantization_types import NEED_IMATRIX, QUANTIZATIONS, USE_NO_IMATRIX
from pipeline.recipe import Cleaning, Columns, Evaluate, Judge, Lora, Merge, Parity, Prompt, Quantize, Split, Train
from pipeline.recipe_errors import Problem, did_you_mean
from pipeline.recipe_sources import Base, Data, DataSource, FileData, HubBase, Section

Model = TypeVar("Model", bound=Section)

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The seven projections of a Llama or Qwen layer."""

ROW_FILES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
"""Endings of the row files that `prepare` reads."""


def cross_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """Run every check on a recipe as TOML gave it; return all problems."""
    checks: tuple[Callable[[Mapping[str, Any]], Iterable[Problem]], ...] = (
        _split_adds_up,
        _template_uses_columns,
        _columns_differ,
        _lengths_in_order,
        _data_files,
        _question_file,
        _quantizations_known,
        _targets_known,
        _training_fits,
        _windows_fit,
        _seeds_differ,
        _waivers_known,
        _judge_fits,
    )
    return [problem for check in checks for problem in check(raw)]


def _table(model: type[Model], raw: Mapping[str, Any], name: str) -> Model | None:
    """Return one table of the recipe, or None when it is not sound by itself."""
    found = _sound(TypeAdapter(model), raw.get(name, {}))
    return found if isinstance(found, model) else None


def _sound(kind: TypeAdapter[Any], value: Any) -> Any:
    """Validate a value without its unknown keys, which are a problem of their own; None when it is not sound."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        unknown = {detail["loc"][-1] for detail in error.errors() if detail["type"] == "extra_forbidden"}
        rest = {key: item for key, item in value.items() if key not in unknown} if isinstance(value, Mapping) else value
        return None if rest == value else _sound(kind, rest)


def _split_adds_up(raw: Mapping[str, Any]) -> Iterable[Problem]:
    split = _table(Split, raw, "split")
    if split is None:
        return
    total = math.fsum((split.train, split.validation, split.test))
    if not math.isclose(total, 1, abs_tol=1e-9):
        shares = f"{split.train} + {split.validation} + {split.test}"
        yield Problem(("split",), f"has shares that add up to {total:g} ({shares})", "train + validation + test = 1")


def _template_uses_columns(raw: Mapping[str, Any]) -> Iterable[Problem]:
    prompt, columns = _table(Prompt, raw, "prompt"), _table(Columns, raw, "columns")
    if prompt is None or columns is None:
        return
    key = ("prompt", "user")
    expected = f"the input columns as {', '.join(f'{{{name}}}' for name in columns.input)}"
    try:
        fields = [item[1:] for item in Formatter().parse(prompt.user) if item[1] is not None]
    except ValueError as error:
        yield Problem(key, f"is not a template: {error}", expected, "write {{ and }} for braces of the text itself")
        return
    if not fields:
        yield Problem(key, "uses no column, so every prompt would be the same", expected)
    for name, form, conversion in fields:
        if name not in columns.input:
            yield Problem(
                key,
                f"uses {{{name}}}, which is not in columns.input",
                expected,
                did_you_mean(name or "", columns.input),
            )
        elif form or conversion:
            yield Problem(key, f"formats {{{name}}}", f"{{{name}}} alone, without ! or :")


def _columns_differ(raw: Mapping[str, Any]) -> Iterable[Problem]:
    columns = _table(Columns, raw, "columns")
    if columns is None:
        return
    if columns.output in columns.input:
        yield Problem(
            ("columns", "output"),
            f"is {columns.output!r}, also an input: the prompt would hold the answer",
            "another column",
        )
    for name in _repeated(columns.input):
        yield Problem(("columns", "input"), f"names {name!r} twice", "each column once")
    for key in ("category", "group"):
        if getattr(columns, key) == columns.output:
            yield Problem(("columns", key), "is the output column", "another column")
    texts = {*columns.input, columns.output, columns.category, columns.group}
    for key in ("must_contain", "must_not_contain"):
        if getattr(columns, key) in texts - {None}:
            yield Problem(("columns", key), "is a column of text", "a column of its own, which holds lists of facts")
    if columns.must_contain is not None and columns.must_contain == columns.must_not_contain:
        yield Problem(("columns", "must_not_contain"), "is also columns.must_contain", "another column")


def _lengths_in_order(raw: Mapping[str, Any]) -> Iterable[Problem]:
    clean = _table(Cleaning, raw, "clean")
    if clean is not None and clean.min_chars > clean.max_chars:
        yield Problem(
            ("clean", "min_chars"),
            f"is {clean.min_chars}, over max_chars ({clean.max_chars})",
            "min_chars <= max_chars",
        )


def _data_files(raw: Mapping[str, Any]) -> Iterable[Problem]:
    data = _sound(TypeAdapter(DataSource), raw.get("data"))
    if isinstance(data, Data) and data.overrules is not None and not data.overrules.endswith(".jsonl"):
        yield Problem(("data", "overrules"), f"is {data.overrules!r}", "a file that ends in .jsonl")
    if not isinstance(data, FileData):
        return
    if data.overrules in data.files:
        yield Problem(("data", "overrules"), "is also a file of rows", "a file of its own")
    for name in data.files:
        if PurePosixPath(name).suffix.lower() not in ROW_FILES:
            yield Problem(("data", "files"), f"names {name!r}", f"files that end in {', '.join(ROW_FILES)}")
    for name in _repeated(PurePosixPath(name).name for name in data.files):
        yield Problem(
            ("data", "files"),
            f"names two files {name!r}",
            "different file names, since rows are reported by file name and line",
        )


def _question_file(raw: Mapping[str, Any]) -> Iterable[Problem]:
    evaluate, data = _table(Evaluate, raw, "evaluate"), _sound(TypeAdapter(DataSource), raw.get("data"))
    if evaluate is None or evaluate.unanswerable is None:
        return
    key = ("evaluate", "unanswerable")
    if not evaluate.unanswerable.endswith(".jsonl"):
        yield Problem(key, f"is {evaluate.unanswerable!r}", "a file that ends in .jsonl")
    if isinstance(data, FileData) and evaluate.unanswerable in data.files:
        yield Problem(key, "is also a file of rows", "a file of its own: the data must not answer these questions")


def _quantizations_known(raw: Mapping[str, Any]) -> Iterable[Problem]:
    quantize = _table(Quantize, raw, "quantize")
    if quantize is None:
        return
    key = ("quantize", "types")
    for name in quantize.types:
        if name not in QUANTIZATIONS:
            near = did_you_mean(name, QUANTIZATIONS)
            yield Problem(
                key,
                f"names {name!r}",
                "types of llama-quantize",
                near or f"known: {', '.join(QUANTIZATIONS)}",
            )
        elif name in NEED_IMATRIX and not quantize.imatrix:
            yield Problem(
                key,
                f"names {name!r}, which llama.cpp makes only with an importance matrix",
                "quantize.imatrix = true, or another type",
                f"{better_types(name)[0]} needs none",
            )
    for name in _repeated(quantize.types):
        yield Problem(key, f"names {name!r} twice", "each type once")
    if not quantize.imatrix:
        return
    if USE_NO_IMATRIX.issuperset(quantize.types):
        yield Problem(
            ("quantize", "imatrix"),
            f"is true, and no type makes use of it ({', '.join(quantize.types)})",
            "a type that does, such as Q4_K_M, or false",
        )
    if quantize.imatrix_chunk_tokens > quantize.imatrix_tokens:
        yield Problem(
            ("quantize", "imatrix_chunk_tokens"),
            f"is {quantize.imatrix_chunk_tokens}, over imatrix_tokens ({quantize.imatrix_tokens})",
            "at most quantize.imatrix_tokens",
        )


def _targets_known(raw: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse a name that is nearly a projection: PEFT ignores a target that matches nothing."""
    train = raw.get("train", {})
    lora = _table(Lora, train, "lora") if isinstance(train, Mapping) else None
    if lora is None:
        return
    key = ("train", "lora", "targets")
    for name in lora.targets:
        if name not in PROJECTIONS and (near := did_you_mean(name, PROJECTIONS)):
            yield Problem(key, f"names {name!r}", f"projections such as {', '.join(PROJECTIONS)}", near)
    for name in _repeated(lora.targets):
        yield Problem(key, f"names {name!r} twice", "each projection once")


def _training_fits(raw: Mapping[str, Any]) -> Iterable[Problem]:
    train = _table(Train, raw, "train")
    if train is None:
        return
    if train.trainer == "trl" and train.optimizer == "adamw_8bit":
        yield Problem(("train", "optimizer"), "is 'adamw_8bit', which needs a GPU, with trainer 'trl'", "adamw_torch")
    yield from _processes_fit(train)
    yield from _packing_fits(train)
    if train.trainer == "trl" and not train.deterministic:
        yield Problem(
            ("train", "deterministic"),
            "is false with trainer 'trl', which is deterministic at no cost",
            "true, or trainer 'trl-cuda' or 'unsloth'",
        )
    base = _sound(TypeAdapter(Base), raw.get("base"))
    if isinstance(base, HubBase) and base.training is not None and not train.load_in_4bit:
        yield Problem(
            ("base", "training"),
            "names 4-bit weights, but train.load_in_4bit is false",
            "load_in_4bit = true, or no [base.training]",
        )
    merge = _table(Merge, raw, "merge")
    if merge is not None and merge.onto != "closer" and not train.load_in_4bit:
        yield Problem(
            ("merge", "onto"),
            f"is {merge.onto!r}, but training loads the base as it is: there is one merge",
            "load_in_4bit = true, or no merge.onto",
        )


def _packing_fits(train: Train) -> Iterable[Problem]:
    """Rows are laid end to end where something keeps them apart, and where there are several."""
    key = ("train", "packing")
    if train.packing and train.trainer == "unsloth":
        yield Problem(
            key,
            "is true with trainer 'unsloth', which chooses its attention by card and packages: whether that keeps rows"
            " apart is not known before it runs",
            "false, or trainer 'trl-cuda'",
        )
    if train.packing and train.batch_size == 1:
        accumulated = f"batch_size = {train.accumulation}, accumulation = 1" if train.accumulation > 1 else ""
        yield Problem(
            key,
            "is true with batch_size 1: a forward pass has one row, and nothing to lay beside it",
            "batch_size of 2 or more",
            accumulated and f"the same {train.accumulation} rows a step: {accumulated}",
        )


def _processes_fit(train: Train) -> Iterable[Problem]:
    """Several processes have to take the steps of one."""
    key, sharding, count = ("train", "processes"), ("train", "sharding"), train.processes
    if count == 1:
        if train.sharding != "none":
            yield Problem(
                sharding, f"is {train.sharding!r} with one process, which shares with nobody", "processes = 2"
            )
        return
    if train.trainer == "unsloth":
        yield Problem(
            key,
            f"is {count} with trainer 'unsloth', which replaces parts of Accelerate, how processes start among them:"
            " nobody has tried whether several of them take the steps of one",
            "1, or trainer 'trl-cuda'",
        )
    elif train.accumulation % count:
        rows = train.batch_size * train.accumulation
        yield Problem(
            key,
            f"is {count}, and {count} processes cannot share the {train.accumulation} forward passes of a step"
            f" (batch_size {train.batch_size} x accumulation {train.accumulation} = {rows} rows)",
            "accumulation a multiple of processes",
            _same_rows(rows, count),
        )
    if train.sharding == "fsdp" and train.trainer == "trl-cuda":
        yield from _shards_fit(train)


def _same_rows(rows: int, count: int) -> str:
    """Return settings with as many rows in a step that so many processes can share; empty where there are none."""
    if rows % count:
        return ""
    return f"the same {rows} rows a step: batch_size = {rows // count}, accumulation = {count}"


def _shards_fit(train: Train) -> Iterable[Problem]:
    """Refuse what bitsandbytes keeps in forms of its own: FSDP would cut it without knowing them."""
    if train.load_in_4bit:
        yield Problem(
            ("train", "sharding"),
            "is 'fsdp' with weights that bitsandbytes packs in 4 bits: a stored 4-bit copy holds bytes, and FSDP shares"
            " out floating-point numbers only",
            "'none', or load_in_4bit = false",
            'a model of 14 B in 4 bits fits one card of 40 GB, and sharding = "none" trains it on several',
        )
    if train.optimizer == "adamw_8bit":
        yield Problem(
            ("train", "optimizer"),
            "is 'adamw_8bit' with sharding 'fsdp': its 8-bit state cannot be shared out",
            "adamw_torch",
        )


def _windows_fit(raw: Mapping[str, Any]) -> Iterable[Problem]:
    parity = _table(Parity, raw, "parity")
    if parity is not None and parity.window_tokens > parity.tokens:
        yield Problem(
            ("parity", "window_tokens"),
            f"is {parity.window_tokens}, over tokens ({parity.tokens})",
            "at most parity.tokens",
        )


def _seeds_differ(raw: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse a seed that is trained with already: the same training twice would look like agreement."""
    evaluate, train = _table(Evaluate, raw, "evaluate"), _table(Train, raw, "train")
    key = ("evaluate", "training_seeds")
    if evaluate is None:
        return
    if train is not None and train.seed in evaluate.training_seeds:
        yield Problem(key, f"names {train.seed}, which is train.seed", "further seeds")
    for seed in _repeated(map(str, evaluate.training_seeds)):
        yield Problem(key, f"names {seed} twice", "each seed once")


def _judge_fits(raw: Mapping[str, Any]) -> Iterable[Problem]:
    judge = _table(Judge, raw, "judge") if "judge" in raw else None
    if judge is None:
        return
    quantize = _table(Quantize, raw, "quantize")
    known = ("base", "tuned", "merged", "f16", *(quantize.types if quantize is not None else QUANTIZATIONS))
    for at, pair in enumerate(judge.pairs):
        for name in pair:
            if name not in known:
                near = did_you_mean(name, known)
                yield Problem(("judge", "pairs", at), f"names {name!r}", f"two of {', '.join(known)}", near)
        if pair[0] == pair[1]:
            yield Problem(("judge", "pairs", at), f"holds {pair[0]!r} against itself", "two forms")
    if len(set(judge.pairs)) < len(judge.pairs):
        yield Problem(("judge", "pairs"), "names a pair twice", "each pair once")
    prices = (judge.prompt_price, judge.completion_price, judge.currency)
    if None in prices and any(price is not None for price in prices):
        yield Problem(("judge",), "names only a part of the prices", "prompt_price, completion_price and currency")


def _waivers_known(raw: Mapping[str, Any]) -> Iterable[Problem]:
    """Look at the name alone: a reason that is missing or too short hides no slip in it."""
    listed = raw.get("waivers", [])
    seen: set[str] = set()
    for position, item in enumerate(listed if isinstance(listed, list) else []):
        gate = item.get("gate") if isinstance(item, Mapping) else None
        if not isinstance(gate, str) or not gate:
            continue  # told by the table's own check
        key = ("waivers", position, "gate")
        if gate in seen:
            yield Problem(key, f"is {gate!r} once more", "one waiver per gate, with one reason")
        if gate not in NAMES and not _unlisted_area(gate):
            near = did_you_mean(gate, tuple(NAMES))
            yield Problem(key, f"is {gate!r}, and there is no such gate", "a gate of docs/gates.md", near)
        seen.add(gate)


def _unlisted_area(gate: str) -> bool:
    """Tell whether a gate's area exists but lists none of its gates, so that no name in it can be called wrong."""
    area = gate.partition(".")[0]
    return area in GateLimits.model_fields and not any(name.startswith(f"{area}.") for name in NAMES)


def _repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]
