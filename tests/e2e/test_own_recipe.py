"""A recipe of the user's own: model folder, CSV file and column names that the seedling does not have."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace, events

pytestmark = pytest.mark.timeout(2700)  # with the seedling that its model comes from

RECIPE = """\
name = "mine"
description = "titles of my own"

[base]
source = "folder"
path = "model"
licence = "CC0-1.0"
pre_tokenizer = "qwen2"

[data]
source = "files"
files = ["notes.csv"]
licence = "CC0-1.0"

[columns]
input = ["subject"]
output = "headline"

[prompt]
system = "あなたは人気記事タイトルを生成する専門AIです。"
user = "「{subject}」に関する記事タイトルを1つ生成してください。"

[train]
epochs = 0.6
batch_size = 4
accumulation = 1
learning_rate = 5e-4
warmup_steps = 8
max_seq_tokens = 192
eval_every_steps = 8
patience_evals = 4

[train.lora]
rank = 16
alpha = 11.0

[generate]
max_new_tokens = 32

[parity]
tokens = 4096
"""
WAIVED = ("generation.degenerate", "generation.special-tokens", "generation.stops")
REASON = "trained for less than an epoch, to try the way through"
ROWS = 720


@pytest.fixture(scope="module")
def mine(seedling: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A recipe with a model folder and a CSV file beside it, run to its release."""
    folder = tmp_path_factory.mktemp("mine")
    stages = seedling.build / "seedling" / "stages"
    shutil.copytree(stages / "fetch-base", folder / "model")
    with (folder / "notes.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["number", "subject", "headline"])
        for number, row in enumerate(prepared(stages / "prepare")[:ROWS]):
            writer.writerow([number, row["input"]["theme"], row["output"]])
    waivers = "".join(f'\n[[waivers]]\ngate = "{gate}"\nreason = "{REASON}"\n' for gate in WAIVED)
    (folder / "mine.toml").write_text(RECIPE + waivers, encoding="utf-8")
    place = Workplace(folder / "build")
    done = place.run("run", "--recipe", str(folder / "mine.toml"))
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[-1]["event"] == "run.finished"
    return place


def prepared(folder: Path) -> list[dict[str, Any]]:
    """Return the prepared rows of all splits."""
    names = ("train", "validation", "test")
    return [json.loads(line) for name in names for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def test_every_form_has_its_human_name(mine: Workplace) -> None:
    """Both GGUF files, the papers and the report, as for the seedling."""
    names = {"model-f16.gguf", "model-Q4_K_M.gguf", "manifest.json", "SHA256SUMS", "report.md"}
    assert names <= {path.name for path in (mine.build / "mine").iterdir()}
    assert (mine.build / "mine" / "model-Q4_K_M.gguf").read_bytes()[:4] == b"GGUF"


def test_every_row_of_the_csv_is_accounted_for(mine: Workplace) -> None:
    """Kept and dropped rows add up to the file's."""
    funnel = json.loads((mine.build / "mine" / "stages" / "prepare" / "funnel.json").read_bytes())
    assert funnel["rows_in"] == funnel["kept"] + funnel["dropped"] == ROWS


def test_written_exceptions_show_in_report_and_manifest(mine: Workplace) -> None:
    """Gates that failed and were waived say so, with the reason, in every paper."""
    for name in ("report.md", "manifest.json"):
        text = (mine.build / "mine" / name).read_text(encoding="utf-8")
        assert "generation.degenerate" in text, name
        assert REASON in text, name
