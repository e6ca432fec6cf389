"""The seedling's base model: resuming gives the same bytes, its files say what generation needs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

PARAMETERS: dict[str, Any] = {"steps": 6, "batch_size": 2, "learning_rate": 3e-3, "seed": 5}


def _train(scratch: Path, folder: Path, stop_at: int | None) -> dict[str, str]:
    """Train, be interrupted before step `stop_at` if one is given, and return the digests of what is saved."""
    from pipeline.inside import numerics, seedling_base, seedling_tokenizer

    class Interrupted(seedling_base.Training):
        def _step(self, number: int) -> float:
            if number == stop_at:
                raise KeyboardInterrupt
            return super()._step(number)

    numerics.hold(PARAMETERS["seed"])
    tokenizer, batches = seedling_base.prepare(PARAMETERS)
    pad = tokenizer.token_to_id(seedling_tokenizer.END_OF_TEXT)
    assert pad is not None
    training = Interrupted(PARAMETERS, batches, pad, scratch)
    training.resume()
    training.run()
    folder.mkdir()
    seedling_base.save(training.model, tokenizer, folder)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after every second step."""
    from pipeline.inside import seedling_base

    monkeypatch.setattr(seedling_base, "CHECKPOINT_EVERY_STEPS", 2)


@pytest.mark.usefixtures("frequent_checkpoints")
def test_an_interrupted_training_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Interrupted after step 5, it goes on from the checkpoint of step 4, and every file is the same."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "fresh").mkdir()
    whole = _train(tmp_path / "fresh", tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "scratch", tmp_path / "never", 5)
    assert _train(tmp_path / "scratch", tmp_path / "resumed", None) == whole


@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_checkpoint_of_other_parameters_is_left_alone(tmp_path: Path) -> None:
    """A scratch folder from another recipe must not leak into this model."""
    from pipeline.inside import seedling_base

    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path, tmp_path / "never", 5)
    _, batches = seedling_base.prepare(PARAMETERS)
    training = seedling_base.Training({**PARAMETERS, "seed": 6}, batches, 0, tmp_path)
    training.resume()
    assert training.losses == []


def _damaged(content: bytes, damage: str) -> bytes:
    """Return a checkpoint with one bit flipped, or cut."""
    if damage == "cut":
        return content[: len(content) // 2]
    if damage == "empty":
        return b""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.usefixtures("frequent_checkpoints")
@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_is_not_gone_on_from(
    damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is removed with a word, and the training begins anew: the bytes are those of one that nobody disturbed."""
    for name in ("fresh", "scratch"):
        (tmp_path / name).mkdir()
    whole = _train(tmp_path / "fresh", tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "scratch", tmp_path / "never", 5)
    (kept,) = (tmp_path / "scratch").iterdir()
    kept.write_bytes(_damaged(kept.read_bytes(), damage))
    capfd.readouterr()
    assert _train(tmp_path / "scratch", tmp_path / "anew", None) == whole
    told = "".join(capfd.readouterr())
    assert "base.checkpoint_damaged" in told
    assert "base.resumed" not in told


def test_the_saved_folder_ends_turns_with_the_terminator_and_names_no_place(tmp_path: Path) -> None:
    """EOS list, pad, Qwen's split expression; no path of this machine in any text file."""
    from pipeline.inside import seedling_base, seedling_tokenizer

    tokenizer, _ = seedling_base.prepare(PARAMETERS)
    seedling_base.save(seedling_base.make_model(1), tokenizer, tmp_path)
    end, pad = tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")
    generation = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert generation["eos_token_id"] == [end, pad]
    assert generation["pad_token_id"] == pad
    assert saved["normalizer"] == {"type": "NFC"}
    assert saved["pre_tokenizer"]["pretokenizers"][0]["pattern"] == {"Regex": seedling_tokenizer.SPLIT}
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir() if path.suffix in {".json", ".jinja"}]
    assert not any(str(tmp_path) in text or "_name_or_path" in text for text in texts)
