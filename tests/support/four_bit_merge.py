"""What a merge after a training on 4 bits reads beside base and adapter, for a model of any size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import tiny_model

WINDOW_TOKENS = 64


def parameters(onto: str = "closer") -> dict[str, Any]:
    """What a merge job reads of a recipe: the base is quantized while it loads, or is a stored copy."""
    train = {"load_in_4bit": True, "double_quantization": True, "precision": "bfloat16", "attention": "sdpa"}
    return {"merge": {"dtype": "base", "onto": onto}, "train": train, "prompt": tiny_model.PROMPT}


def write_inputs(folder: Path, vocabulary: int, windows: int = 4) -> dict[str, Path]:
    """Write four held-out rows, the text on which forms are compared, and random logits of `verify-hf` for it."""
    data = tiny_model.write_data(folder / "data")
    tiny_model.write_rows(data / "test.jsonl", tiny_model.rows(4, offset=26))
    text = [[(7 * at + 3 * window) % 300 for at in range(WINDOW_TOKENS)] for window in range(windows)]
    (folder / "preflight").mkdir()
    (folder / "preflight" / "parity.json").write_text(json.dumps({"windows": text}), encoding="utf-8")
    reference = _write_reference(folder / "verify-hf", text, vocabulary)
    return {"data": data, "preflight": folder / "preflight", "reference": reference}


def _write_reference(folder: Path, windows: Sequence[Sequence[int]], vocabulary: int) -> Path:
    import numpy as np

    from pipeline.inside.job import write_json
    from pipeline.inside.top_logits import Writer

    folder.mkdir()
    writer, numbers = Writer(folder / "logits.npy", windows, vocabulary), np.random.default_rng(3)
    for window in windows:
        writer.add(numbers.standard_normal((len(window), vocabulary), dtype=np.float32))
    write_json(folder / "forward.json", writer.finish())
    return folder
