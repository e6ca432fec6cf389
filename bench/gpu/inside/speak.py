"""Read and write with some GGUF files by one build of llama.cpp, by the pipeline's own runtime, and keep the logits.

Request: `files` (name → path), `read_tokens`, `written_tokens`, `rounds`, `windows` (ids), `threads`, `folder`. Of each
file: seconds until it is `open` and until the first token is there (`ready`: kernels are compiled by then, where they
have to be), tokens read and written a second, medians. Logits go to `<name>/logits.npy`, with `forward.json`.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llama_cpp

from pipeline.inside.card_loading import open_on_cards
from pipeline.inside.gguf_forward import write_logits
from pipeline.inside.job import measured, write_json
from pipeline.inside.llama_runtime import Model, Piece, Session


def main(request: Mapping[str, Any]) -> None:
    """Measure every file."""
    measured("offload", float(llama_cpp.llama_supports_gpu_offload()), "yes")
    rooms = [(1, request["read_tokens"] + request["written_tokens"]), *((1, len(one)) for one in request["windows"])]
    for name, path in request["files"].items():
        started = time.perf_counter()
        with open_on_cards(Path(path), request["threads"], rooms) as model:
            measured(f"{name}.open", time.perf_counter() - started, "s")
            speeds(name, model, request, started)
            folder = Path(request["folder"]) / name
            folder.mkdir()
            write_json(folder / "forward.json", write_logits(model, request["windows"], folder / "logits.npy"))


def speeds(name: str, model: Model, request: Mapping[str, Any], started: float) -> None:
    """Read a prompt and write after it, once for nothing and then `rounds` times."""
    read, written = request["read_tokens"], request["written_tokens"]
    prompt = [17 + number % 211 for number in range(read)]
    readings, writings = [], []
    with Session(model, 1, read + written) as session:
        for number in range(request["rounds"] + 1):
            session.clear()
            began = time.perf_counter()
            token = int(session.run([Piece(0, 0, prompt)])[0].argmax())
            readings.append(time.perf_counter() - began)
            if number == 0:
                measured(f"{name}.ready", time.perf_counter() - started, "s")
            began = time.perf_counter()
            for place in range(written):
                token = int(session.run([Piece(0, read + place, [token])])[0].argmax())
            writings.append(time.perf_counter() - began)
    measured(f"{name}.read", read / statistics.median(readings[1:]), "tokens/s")
    measured(f"{name}.written", written / statistics.median(writings[1:]), "tokens/s")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
