"""llama.cpp's own converter, imported from the pinned tree and from nowhere else.

The tree is an input folder of the job that holds `convert_hf_to_gguf.py`, `conversion/` and
`gguf-py/`. The converter's Python API is called as its `main` calls it, with every setting given.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .gguf_header import read_header
from .job import JobError, emit, progress, read_json, write_json

VOCABULARY_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""What a vocabulary-only conversion may see of a model's folder: no weights."""

_HASH_LINE = re.compile(r"chkhsh:\s*([0-9a-f]{64})")
_PRE_TOKENIZER_NAME = re.compile(r'^\s*res = "([^"]+)"$', re.MULTILINE)
_STEPS = {"Writing": "convert.write"}


@dataclass(frozen=True)
class Converter:
    """The imported modules: `gguf`, and `conversion` with its `base`."""

    gguf: Any
    conversion: Any
    base: Any


@dataclass
class PreTokenizer:
    """Which pre-tokenizer a vocabulary got, and who said so: `converter`, `recipe`, or `none` (not byte-level BPE).

    `fingerprint` is the sha256 that the converter did not know, when the recipe had to speak.
    """

    name: str | None = None
    source: str = "none"
    fingerprint: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """Return plain JSON values."""
        return {"name": self.name, "source": self.source, "fingerprint": self.fingerprint}


def load_converter(vendor: Path) -> Converter:
    """Import the converter from `vendor`; refuse modules of the same name from any other place."""
    if not (vendor / "convert_hf_to_gguf.py").is_file():
        raise JobError(
            "the llama.cpp tree has no converter",
            where=str(vendor),
            advice="unpack the pinned archive again: python -m llama_cpp_vendor verify",
        )
    sys.dont_write_bytecode = True  # the tree is read-only and its digest is pinned
    sys.path[:0] = [path for path in (str(vendor / "gguf-py"), str(vendor)) if path not in sys.path]
    modules = [importlib.import_module(name) for name in ("gguf", "conversion", "conversion.base")]
    for module in modules:
        _assert_origin(module, vendor)
    return Converter(*modules)


def _assert_origin(module: Any, vendor: Path) -> None:
    """Refuse a module that does not lie in the pinned tree (llama.cpp #14315: `gguf` of site-packages)."""
    origin = Path(module.__file__ or "/").resolve()
    if not origin.is_relative_to(vendor.resolve()):
        raise JobError(
            f"the module `{module.__name__}` does not come from the pinned llama.cpp tree",
            where=str(origin),
            advice=f"remove the package `{module.__name__}` from the environment; it is not in the lock file",
        )


def known_pre_tokenizers(converter: Converter) -> list[str]:
    """Return the names of pre-tokenizers that the converter can write."""
    source = inspect.getsource(converter.base.TextModel.get_vocab_base_pre)
    return sorted({"default", *_PRE_TOKENIZER_NAME.findall(source)})


@contextmanager
def pre_tokenizer(converter: Converter, declared: str | None) -> Iterator[PreTokenizer]:
    """Let the recipe's `declared` pre-tokenizer stand in where the converter's hash is unknown, and only there."""
    known = known_pre_tokenizers(converter)
    if declared is not None and declared not in known:
        near = ", ".join(get_close_matches(declared, known, n=3)) or "default"
        raise JobError(
            f"llama.cpp knows no pre-tokenizer `{declared}`",
            where="recipe, base.pre_tokenizer",
            advice=f"nearest names: {near}",
        )
    model, found = converter.base.TextModel, PreTokenizer()
    original = model.get_vocab_base_pre

    def recognise(self: Any, tokenizer: Any) -> str:
        """Ask the converter; use the declaration when it does not know the tokenizer."""
        with _fingerprint() as fingerprints:
            try:
                found.name, found.source = original(self, tokenizer), "converter"
            except NotImplementedError as error:
                found.fingerprint = next(iter(fingerprints), None)
                if declared is None:
                    raise _unknown_tokenizer(found.fingerprint, known) from error
                found.name, found.source = declared, "recipe"
        return str(found.name)

    model.get_vocab_base_pre = recognise
    try:
        yield found
    finally:
        model.get_vocab_base_pre = original


def _unknown_tokenizer(fingerprint: str | None, known: list[str]) -> JobError:
    """Say what to declare."""
    return JobError(
        "llama.cpp's converter does not recognise this tokenizer's pre-tokenizer",
        where=f"fingerprint {fingerprint}",
        advice="name the one that splits text as this tokenizer does in the recipe, key base.pre_tokenizer "
        f"(one of: {', '.join(known)}); the tokenizer gate then proves it right or wrong",
    )


@contextmanager
def _fingerprint() -> Iterator[list[str]]:
    """Collect the hash that the converter logs when it does not know a tokenizer; drop its warning banner."""
    found: list[str] = []

    def look(record: logging.LogRecord) -> bool:
        """Keep the hash, let no banner line through."""
        match = _HASH_LINE.search(record.getMessage())
        if match:
            found.append(match[1])
        return False

    logger = logging.getLogger("hf-to-gguf")
    logger.addFilter(look)
    try:
        yield found
    finally:
        logger.removeFilter(look)


class _Events(logging.Handler):
    """The converter's warnings as events for the host."""

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        emit("convert.log", level=record.levelname.lower(), logger=record.name, message=record.getMessage())


class _Bar:
    """Stands in for tqdm's bar: bytes written become progress events."""

    def __init__(self, *, desc: str, total: int, **_: Any) -> None:
        self._event, self._total, self._done = _STEPS.get(desc, "convert.step"), total, 0

    def update(self, count: int) -> None:
        """Add `count` bytes."""
        self._done += count
        progress(self._event, self._done, self._total, unit="bytes")


@contextmanager
def _reporting() -> Iterator[None]:
    """Send logs and bars of the converter as events while it runs."""
    root, handler = logging.getLogger(), _Events(logging.WARNING)
    bars: Any = importlib.import_module("tqdm")
    usual = bars.tqdm
    root.addHandler(handler)
    bars.tqdm = _Bar
    try:
        yield
    finally:
        bars.tqdm = usual
        root.removeHandler(handler)


@contextmanager
def _mendable(model: Path) -> Iterator[None]:
    """Turn the converter's refusals into errors that name the model."""
    try:
        yield
    except (NotImplementedError, ValueError, KeyError, AssertionError, FileNotFoundError) as error:
        raise JobError(
            f"llama.cpp's converter refused the model: {type(error).__name__}: {error}",
            where=model.name,
            advice="check that llama.cpp supports this architecture and that config.json fits the tokenizer files",
        ) from error


def _model(converter: Converter, model: Path, output: Path, metadata: Path) -> Any:
    """Return the converter's own model object for an F16 file, made as its `main` makes it."""
    base = converter.base
    parameters = base.ModelBase.load_hparams(model, False)
    architecture = base.get_model_architecture(parameters, base.ModelType.TEXT)
    kind = converter.conversion.get_model_class(architecture)
    # model_name=None: the name comes from the metadata file, never from the folder.
    return kind(model, converter.gguf.LlamaFileType.MOSTLY_F16, output, metadata_override=metadata, model_name=None)


def convert_model(
    converter: Converter, model: Path, output: Path, *, declared: str | None, metadata: dict[str, Any], scratch: Path
) -> PreTokenizer:
    """Write the Hugging Face folder `model` as one F16 GGUF file.

    `metadata` are GGUF keys (`general.name`, ...) that override what the converter would guess from
    names of folders; None unsets one, and texts under keys that it does not know are written as they are.
    Raises `JobError`.
    """
    torch = importlib.import_module("torch")
    override = scratch / "metadata.json"
    write_json(override, metadata)
    with _reporting(), _mendable(model), pre_tokenizer(converter, declared) as found, torch.inference_mode():
        instance = _model(converter, model, output, override)
        instance.prepare_tensors()
        instance.prepare_metadata(vocab_only=False)
        for key in sorted(filter(_is_foreign, metadata)):
            instance.gguf_writer.add_string(key, metadata[key])
        _write(instance)
    return found


def _is_foreign(key: str) -> bool:
    """Tell whether the converter's metadata file cannot set a key: the licence, and what is not GGUF's own."""
    return key == "general.license" or not key.startswith("general.")


def _write(instance: Any) -> None:
    """Write header, keys and tensors, as the converter's own `write` does, with its progress as events."""
    writer = instance.gguf_writer
    writer.write_header_to_file(path=instance.fname_out)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=True)
    writer.close()


def convert_vocabulary(vendor: Path, model: Path, declared: str | None, output: Path) -> dict[str, Any]:
    """Convert only the vocabulary of `model` (no weights needed) to the file `output`, and say what it holds.

    Returns {"tokens", "model" (llama.cpp's kind of tokenizer), "pre_tokenizer" {"name", "source",
    "fingerprint"}, "eos", "bos", "pad" (ids or None), "chat_template" (text or None)}. Raises
    `JobError` when the converter does not recognise tokenizer or architecture, or loses a part of the vocabulary.
    """
    converter = load_converter(vendor)
    torch = importlib.import_module("torch")
    with tempfile.TemporaryDirectory() as name:
        folder, written = Path(name) / "model", Path(name) / output.name
        folder.mkdir()
        for pattern in VOCABULARY_FILES:
            for path in model.glob(pattern):
                if not path.name.endswith(".index.json"):
                    (folder / path.name).symlink_to(path.resolve())
        with _reporting(), _mendable(model), pre_tokenizer(converter, declared) as found, torch.inference_mode():
            _model(converter, folder, written, Path(name) / "none.json").write_vocab()
        keys = read_header(written).keys
        refuse_losses(keys, model)
        shutil.copyfile(written, output)
    return {**_vocabulary(keys), "pre_tokenizer": found.to_json()}


def refuse_losses(keys: dict[str, Any], model: Path) -> None:
    """Raise `JobError` where the converter dropped a part of the vocabulary without a word: ids would differ.

    It takes SentencePiece's scores, which say what is merged first, from tokenizer.model alone, and added tokens of
    SentencePiece not from tokenizer.json, where transformers 5 saves them, but from the two other files.
    """
    if keys.get("tokenizer.ggml.model") == "llama" and len(set(keys.get("tokenizer.ggml.scores", ()))) < 2:  # noqa: PLR2004 - all are the same
        raise JobError(
            "llama.cpp's converter finds no scores for this SentencePiece vocabulary",
            where="tokenizer.model",
            advice="put the tokenizer.model of the model family into the base's folder, beside tokenizer.json",
        )
    lost = _lost_tokens(keys.get("tokenizer.ggml.tokens", ()), model / "tokenizer.json")
    if lost:
        raise JobError(
            f"llama.cpp's converter does not find {len(lost)} added tokens: {', '.join(lost[:5])}",
            where="tokenizer_config.json",
            advice="name them in the base's added_tokens_decoder (tokenizer_config.json), as tokenizer.json does",
        )


def _lost_tokens(tokens: Sequence[str], description: Path) -> list[str]:
    """Return the added tokens of a tokenizer.json in whose place the converter wrote a placeholder."""
    added = read_json(description).get("added_tokens", ()) if description.is_file() else ()
    places = ((one["content"], f"[PAD{one['id']}]", one["id"]) for one in added)
    return [text for text, empty, at in places if at < len(tokens) and tokens[at] == empty != text]


def _vocabulary(keys: dict[str, Any]) -> dict[str, Any]:
    """Return a GGUF file's vocabulary keys under short names."""
    return {
        "tokens": len(keys.get("tokenizer.ggml.tokens", ())),
        "model": keys.get("tokenizer.ggml.model"),
        "eos": keys.get("tokenizer.ggml.eos_token_id"),
        "bos": keys.get("tokenizer.ggml.bos_token_id"),
        "pad": keys.get("tokenizer.ggml.padding_token_id"),
        "chat_template": keys.get("tokenizer.chat_template"),
    }
