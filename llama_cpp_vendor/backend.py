"""Runs inside the build environment: ``python backend.py SETTINGS.json WHEEL_FOLDER``.

Calls scikit-build-core's wheel hook directly, in the source folder, with the settings as data. It
imports nothing of this repository, so that any interpreter with the pinned build tools can run it.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(settings: Path, folder: Path) -> None:
    """Build the wheel of the project in the working folder into `folder`."""
    hooks = importlib.import_module("scikit_build_core.build")
    hooks.build_wheel(str(folder), json.loads(settings.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
