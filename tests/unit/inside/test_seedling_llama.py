"""The small Llama: a SentencePiece vocabulary of the same bytes everywhere, four added tokens, one training's bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.awkward import AWKWARD
from pipeline.loading import SHIPPED

PARAMETERS: dict[str, Any] = {"steps": 6, "batch_size": 2, "learning_rate": 2e-3, "seed": 5}
PRINT_DIGEST = """
import hashlib
from pipeline.inside.seedling_llama import make_text
from pipeline.inside.seedling_llama_tokenizer import fast_tokenizer, plain_texts, train_pieces
pieces = train_pieces(plain_texts(make_text(2000, 5)))
print(hashlib.sha256(pieces).hexdigest(), hashlib.sha256(fast_tokenizer(pieces).to_str().encode()).hexdigest())
"""


@pytest.fixture(scope="module")
def pieces() -> bytes:
    """A trained tokenizer.model."""
    from pipeline.inside import seedling_llama_tokenizer
    from pipeline.inside.seedling_llama import make_text

    return seedling_llama_tokenizer.train_pieces(seedling_llama_tokenizer.plain_texts(make_text(2000, 5)))


@pytest.fixture(scope="module")
def untrained(pieces: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with fresh weights. Not to be changed."""
    from pipeline.inside import seedling_llama

    folder = tmp_path_factory.mktemp("llama")
    seedling_llama.save(seedling_llama.make_model(1), pieces, folder)
    return folder


def train(scratch: Path, folder: Path, stop_at: int | None) -> dict[str, str]:
    """Train, be interrupted before step `stop_at` if one is given, and return the digests of what is saved."""
    from pipeline.inside import numerics, seedling_llama, seedling_llama_tokenizer

    class Interrupted(seedling_llama.LlamaTraining):
        def _step(self, number: int) -> float:
            if number == stop_at:
                raise KeyboardInterrupt
            return super()._step(number)

    numerics.hold(PARAMETERS["seed"])
    pieces, batches = seedling_llama.prepare(PARAMETERS)
    training = Interrupted(PARAMETERS, batches, seedling_llama_tokenizer.PAD_ID, scratch)
    training.resume()
    training.run()
    folder.mkdir()
    seedling_llama.save(training.llama, pieces, folder)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_vocabulary_has_the_same_bytes_in_every_process(pieces: bytes) -> None:
    """Whatever the hash seed, the number of threads and the working folder: pieces, scores, merges, settings."""
    from pipeline.inside.seedling_llama_tokenizer import fast_tokenizer

    root = str(Path(__file__).parents[3])
    merges = fast_tokenizer(pieces).to_str().encode()
    found = {f"{hashlib.sha256(pieces).hexdigest()} {hashlib.sha256(merges).hexdigest()}\n"}  # in this process
    for number, place in (("1", "/"), ("4", root)):
        variables = {"PYTHONHASHSEED": number, "OMP_NUM_THREADS": number, "PYTHONPATH": root}
        done = subprocess.run(
            [sys.executable, "-c", PRINT_DIGEST],
            cwd=place,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_the_vocabulary_file_names_no_place_and_no_text(pieces: bytes) -> None:
    """SentencePiece writes the paths of its input and output into the model, unless both go through memory."""
    from sentencepiece import sentencepiece_model_pb2

    model: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # generated
    model.ParseFromString(pieces)
    assert list(model.trainer_spec.input) == []
    assert model.trainer_spec.model_prefix == ""
    assert model.trainer_spec.num_threads == 1


def test_both_tokenizer_files_give_the_same_ids(pieces: bytes) -> None:
    """tokenizer.json for transformers, tokenizer.model for llama.cpp: rows, spaces, emoji, bytes, widths."""
    import sentencepiece

    from pipeline.inside import seedling_llama_tokenizer

    slow: Any = sentencepiece.SentencePieceProcessor()
    slow.load_from_serialized_proto(pieces)
    fast = seedling_llama_tokenizer.fast_tokenizer(pieces)
    marks = (*seedling_llama_tokenizer.CONTROL, *seedling_llama_tokenizer.ADDED)
    rows = [json.loads(line) for line in (SHIPPED / "company-qa.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [*AWKWARD, *(row[name] for row in rows for name in ("question", "answer"))]
    plain = [text for text in texts if not any(mark in text for mark in marks)]
    assert len(plain) > 280
    assert [text for text in plain if fast.encode(text).ids != slow.encode(text)] == []


def test_text_survives_the_way_there_and_back(pieces: bytes) -> None:
    """No space is added or lost; what no piece holds is written byte by byte."""
    from pipeline.inside import seedling_llama_tokenizer

    fast = seedling_llama_tokenizer.fast_tokenizer(pieces)
    texts = ["創業は1924年です。", " 前と 後ろ  に空白 ", "絵文字🙂とＡＢＣ\n二行目", "鬱蒼、饕餮、𠮷野家"]
    assert [fast.decode(fast.encode(text).ids) for text in texts] == texts
    assert any(token.startswith("<0x") for token in fast.encode("饕餮").tokens)


def test_each_mark_of_the_chat_is_one_token_behind_the_pieces(pieces: bytes) -> None:
    """4,000 pieces, then four tokens: 4,004, as 32,000 became 32,004 in seed 003."""
    from pipeline.inside import seedling_llama_tokenizer

    fast = seedling_llama_tokenizer.fast_tokenizer(pieces)
    assert [fast.encode(token).ids for token in seedling_llama_tokenizer.ADDED] == [[4000], [4001], [4002], [4003]]
    assert fast.encode("</s>").ids == [2]
    assert seedling_llama_tokenizer.VOCABULARY == 4004


def test_every_file_of_the_folder_knows_of_the_added_tokens(untrained: Path) -> None:
    """Embedding, config.json, tokenizer.json and added_tokens_decoder; no path of this machine in any text file."""
    from safetensors import safe_open

    config = json.loads((untrained / "config.json").read_text(encoding="utf-8"))
    settings = json.loads((untrained / "tokenizer_config.json").read_text(encoding="utf-8"))
    with safe_open(untrained / "model.safetensors", "pt") as tensors:
        rows = tensors.get_slice("model.embed_tokens.weight").get_shape()
    assert config["vocab_size"] == rows[0] == 4004
    assert (config["model_type"], config["pad_token_id"], config["eos_token_id"]) == ("llama", 4003, 2)
    assert max(map(int, settings["added_tokens_decoder"])) == 4003
    texts = [path.read_text(encoding="utf-8") for path in untrained.iterdir() if path.suffix in {".json", ".jinja"}]
    assert not any(str(untrained) in text or "_name_or_path" in text for text in texts)


@pytest.mark.usefixtures("pinned_gguf")
def test_the_converter_writes_the_added_tokens(untrained: Path, vendor_tree: Path, tmp_path: Path) -> None:
    """As control tokens in their places, with the scores of the pieces, and no space of its own in front."""
    from pipeline.inside.gguf_header import read_header
    from pipeline.inside.vendored import convert_vocabulary

    found = convert_vocabulary(vendor_tree, untrained, None, tmp_path / "vocabulary.gguf")
    keys = read_header(tmp_path / "vocabulary.gguf").keys
    assert (found["tokens"], found["model"], found["eos"], found["pad"]) == (4004, "llama", 2, 4003)
    assert list(keys["tokenizer.ggml.tokens"][4000:]) == ["<|system|>", "<|user|>", "<|assistant|>", "<pad>"]
    assert list(keys["tokenizer.ggml.token_type"][4000:]) == [3, 3, 3, 3]
    assert keys["tokenizer.ggml.add_space_prefix"] is False


def test_the_template_renders_what_the_training_reads(untrained: Path) -> None:
    """The base learns turns in exactly the form in which it is asked."""
    from pipeline.inside.rendering import completion_text, prompt_text
    from pipeline.inside.seedling_corpus import Conversation
    from pipeline.inside.seedling_llama_tokenizer import render
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer = load_tokenizer(untrained)
    prompt = {"system": "案内係です。", "user": "{q}", "terminator": "</s>"}
    asked = {"q": "社長は誰ですか。"}
    whole = prompt_text(tokenizer, prompt, asked) + completion_text(tokenizer, prompt, asked, "山田です。")
    assert render(Conversation("案内係です。", "社長は誰ですか。", "山田です。")) == whole


def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs give the same files, and one that was stopped after step 5 as well."""
    from pipeline.inside import seedling_base

    monkeypatch.setattr(seedling_base, "CHECKPOINT_EVERY_STEPS", 2)
    for name in ("fresh", "scratch"):
        (tmp_path / name).mkdir()
    whole = train(tmp_path / "fresh", tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "scratch", tmp_path / "never", 5)
    assert train(tmp_path / "scratch", tmp_path / "resumed", None) == whole


def test_the_base_learns_no_fact() -> None:
    """Values are drawn anew in each conversation: a question that comes often has many answers."""
    from collections import defaultdict

    from pipeline.inside.seedling_companies import make_conversations

    answers = defaultdict(list)
    for text in make_conversations(9600, 5):
        answers[text.user].append(text.answer)
    often = [found for found in answers.values() if len(found) >= 10]
    assert len(often) > 20
    assert min(len(set(found)) for found in often) > 2


def test_level_1_is_whole() -> None:
    """2,965 characters from 亜 to 腕."""
    from pipeline.inside.seedling_companies import everyday_signs

    signs = everyday_signs()
    assert (len(signs), signs[0], signs[-1]) == (2965, "亜", "腕")
