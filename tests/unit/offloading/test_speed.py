"""What a card could do at most, and what is said about less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.inside.card_fit import GIB, Fit, fit
from pipeline.offloading.cards import CARDS
from pipeline.offloading.memory import read_model
from pipeline.offloading.speed import Logged, bound, findings, read_log
from tests.support.sparse_gguf import QWEN3_14B, write

SERVER = """\
load_tensors: offloading 19 repeating layers to GPU
load_tensors: offloaded 20/41 layers to GPU
prompt eval time =     500.00 ms /    20 tokens (   25.00 ms per token,    40.00 tokens per second)
       eval time =   10000.00 ms /    20 tokens (  500.00 ms per token,     2.00 tokens per second)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Fit:
    """Q4_K_M of Qwen3-14B on 16 GiB."""
    path = write(tmp_path_factory.mktemp("model") / "q4.gguf", QWEN3_14B, quantized=True)
    return fit(read_model([path]), 15 * GIB, 4096)


def test_the_v1_speed_is_a_ninth_of_what_the_card_can(found: Fit) -> None:
    """Seed 000: 5.8 tokens/s with `-ngl 99`, where 448 GB/s through 8.6 GB are 52."""
    limit = bound(found, CARDS["RTX 5060 Ti"].bandwidth_gb, None)
    assert limit == pytest.approx(52, abs=1)
    (said,) = findings(found, limit, Logged(None, None, 5.8))
    assert "11%" in said
    assert "did not land on the card" in said


def test_a_healthy_speed_is_left_alone(found: Fit) -> None:
    """From 30 % of the bound on."""
    limit = bound(found, 448, None)
    assert limit is not None
    assert findings(found, limit, Logged(41, 41, 0.31 * limit)) == []
    assert findings(found, limit, Logged(41, 41, 0.29 * limit)) != []


def read(folder: Path, text: str) -> Logged:
    """Write a log, and read it."""
    (folder / "server.log").write_text(text)
    return read_log(folder / "server.log")


def test_layers_that_did_not_land_are_told_with_the_flag(found: Fit, tmp_path: Path) -> None:
    """20 where all 41 fit: 99, as the command beside it says; where fewer fit, how many."""
    log = read(tmp_path, SERVER)
    (said,) = findings(found, None, log)
    assert "20 of 41 layers are on the card, and 41 fit" in said
    assert "-ngl 99" in said
    (said,) = findings(replace(found, layers=30), None, log)
    assert "-ngl 30" in said


def test_a_log_tells_layers_and_the_speed_of_generating(tmp_path: Path) -> None:
    """Not the speed of reading the prompt."""
    assert read(tmp_path, SERVER) == Logged(20, 41, 2.0)
    assert read(tmp_path, "[ Prompt: 35.1 t/s | Generation: 5.8 t/s ]") == Logged(None, None, 5.8)
    assert read(tmp_path, "nothing") == Logged(None, None, None)


def test_the_last_answer_of_a_log_counts(tmp_path: Path) -> None:
    """A number that is none, or that nobody could reach, is passed over."""
    odd = "eval time = 1.2.3 tokens per second\nGeneration: ... t/s\nGeneration: " + "9" * 5000 + " t/s\n"
    assert read(tmp_path, SERVER + "Generation: 5.8 t/s\n" + odd) == Logged(20, 41, 5.8)


def test_layers_in_main_memory_need_its_bandwidth(tmp_path: Path) -> None:
    """Without it there is no bound, with it one: both parts one after the other."""
    part = fit(read_model([write(tmp_path / "f16.gguf", QWEN3_14B, quantized=False)]), 15 * GIB, 4096)
    assert bound(part, 448, None) is None
    limit = bound(part, 448, 85)
    assert limit == pytest.approx(1 / (part.card_bytes_per_token / 448e9 + part.host_bytes_per_token / 85e9))
    assert 2 < (limit or 0) < 10
