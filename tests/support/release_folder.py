"""A small release folder, made by the contract of `pipeline/releasing/layout.py`."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pipeline.releasing import layout
from tests.support.gguf_file import write_small

RECIPE = """\
schema = 1
name = "seedling"

[release]
title = "Seedling titles"
version = "{version}"
licence = "Apache-2.0"
"""
LICENCE = "Model: Apache-2.0\nBase (made by this build): CC0-1.0\nData: CC0-1.0"
"""What a release's Modelfile says of licences; there is no file with their text, as in every release."""
MODELFILE = f'''\
# The release's own
FROM ./model-Q4_K_M.gguf
TEMPLATE """{{{{ if .System }}}}<|im_start|>system
{{{{ .System }}}}<|im_end|>
{{{{ end }}}}"""
SYSTEM """You write "titles"."""
PARAMETER temperature 0
PARAMETER num_predict 32
PARAMETER stop "<|im_end|>"
PARAMETER stop <|endoftext|>
LICENSE """{LICENCE}"""
'''


def release_files(
    version: str = "1.2.0", *, salt: bytes = b"", weights: int = 300_000, parts: int = 1
) -> dict[str, bytes]:
    """Return the files of a release but its pointers. `salt` makes other bytes, `parts` splits the F16 file."""
    head = _gguf({"general.architecture": "qwen3", "general.size_label": "3.8M"})
    body = bytes(range(256)) * (weights // 256) + salt
    names = ["model-f16.gguf"] if parts == 1 else [f"model-f16-{n:05}-of-{parts:05}.gguf" for n in range(1, parts + 1)]
    return {
        **{name: head + name.encode() + body for name in names},
        "model-Q4_K_M.gguf": head + body[: len(body) // 3] + salt,
        layout.CHAIN: b'{"recipe": "seedling"}',
        layout.MANIFEST: b'{"recipe":"seedling"}',
        **dict.fromkeys(layout.REPORTS, b"report " + salt),
        layout.MODEL_CARD: b"---\nlicense: apache-2.0\n---\n# Seedling\n" + salt,
        layout.MODELFILE: MODELFILE.encode(),
        layout.RECIPE: RECIPE.format(version=version).encode(),
        layout.BILL_OF_MATERIALS: b'{"bomFormat":"CycloneDX"}',
        layout.PROVENANCE: b'{"payloadType":"application/vnd.in-toto+json"}\n',
        layout.PUBLIC_KEY: b"-----BEGIN PUBLIC KEY-----\n",
    }


def _gguf(keys: dict[str, str | int | list[str]]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_small(Path(folder) / "model.gguf", keys, [0.5] * 64).read_bytes()


def write_release(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write a release folder with its list of checksums and something in the place of a signature."""
    folder.mkdir(parents=True)
    files = release_files() if files is None else files
    for name, content in files.items():
        (folder / name).write_bytes(content)
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    (folder / layout.CHECKSUMS).write_text(sums)
    (folder / layout.SIGNATURE).write_text(f"signs {hashlib.sha256(sums.encode()).hexdigest()}")
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
