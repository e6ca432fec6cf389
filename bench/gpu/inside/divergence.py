"""How far the logits of some builds are from those of a processor: the pipeline's own comparison.

Request: `reference` and `others` (name → folder with `logits.npy` and `forward.json`), `windows`, `folder`. Writes
`divergence.json`: name → mean KL in nats, share of positions with the same most likely token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.inside.compare import compare, read_form
from pipeline.inside.job import write_json


def main(request: Mapping[str, Any]) -> None:
    """Compare file by file: a folder of each holds the same names."""
    windows, found = request["windows"], {}
    for name, folder in request["others"].items():
        kind = Path(folder).name
        first = read_form(Path(request["reference"]) / kind, f"reference {kind}", windows)
        told = compare(first, read_form(Path(folder), name, windows), windows)
        found[name] = {key: told[key] for key in ("mean_kl", "top1_agreement", "positions", "non_finite_positions")}
    write_json(Path(request["folder"]) / "divergence.json", found)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
