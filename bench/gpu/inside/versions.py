"""Write `versions.json`: whether torch sees a card, the CUDA that it was built with, and the versions of packages."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import torch

from pipeline.inside.job import write_json

PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "unsloth", "unsloth_zoo", "triton", "xformers")


def version(package: str) -> str | None:
    """Return a package's version, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = {
        "python": platform.python_version(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in PACKAGES},
    }
    write_json(Path(request["folder"]) / "versions.json", found)
