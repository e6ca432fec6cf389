"""On what was measured: card, driver, and the versions of all that has a part in it; and what was carried along."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.gpu.bench import Bench
from bench.gpu.processes import NotMeasuredError

PART, CARRIED_PART = "card", "carried"
WHEELS, SITE, TREE = "wheels", "site", "llama_cpp"
"""What `python -m bench.gpu.pack` puts into its folder: wheels, plain packages, and llama.cpp's cache."""


def facts(bench: Bench, limit_s: float) -> dict[str, Any]:
    """Return card and versions. Raises NotMeasuredError where torch does not see the card that is there."""
    _, folder = bench.inner(PART, "versions", {}, limit_s)
    versions: dict[str, Any] = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    if bench.device == "cuda" and not versions["cuda"]:
        where = f"torch {versions['packages']['torch']} of {bench.python.name} sees no card"
        raise NotMeasuredError(f"{where}: name an interpreter with a CUDA build by --python")
    card = None if bench.card is None else asdict(bench.card)
    return {"device": bench.device, "card": card, "processors": bench.threads, **versions}


def unpack_carried(bench: Bench, limit_s: float) -> dict[str, Any]:
    """Install what was carried along into the work folder. No package index is asked."""
    if bench.carried is None:
        raise NotMeasuredError("nothing was carried along (--carried): the environment's own packages are used")
    if not bench.carried.is_dir():
        raise NotMeasuredError(f"{bench.carried} is not there")
    shutil.rmtree(bench.site, ignore_errors=True)
    wheels = sorted((bench.carried / WHEELS).glob("*.whl"))
    if wheels:
        options = ("--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--disable-pip-version-check", "-q")
        command = [*_pip(bench.python), "install", *options, "--target", bench.site, *wheels]
        _call(list(map(str, command)), limit_s)
    for name, target in ((SITE, bench.site), (TREE, bench.work / TREE)):
        archive = bench.carried / f"{name}.tar.gz"
        if archive.is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.unpack_archive(archive, target, filter="data")
    return {"wheels": [wheel.name for wheel in wheels]}


def _pip(python: Path) -> list[str | Path]:
    """Return the pip that installs for `python`: this process's own, since an environment of the locks has none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--python", python]
    return [python, "-m", "pip"]


def _call(command: list[str], limit_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise NotMeasuredError(f"{Path(command[0]).name} took over {limit_s:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotMeasuredError(f"carried wheels were not installed: {last}")
