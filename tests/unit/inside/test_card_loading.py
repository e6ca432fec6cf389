"""Layers asked for, layers that landed: llama.cpp's real log, and a real load with a card that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.inference import inference_gates
from pipeline.gates.verdict import Evidence
from pipeline.inside import job
from tests.support.healthy_build import recipe
from tests.support.sparse_gguf import QWEN3_14B, write
from tests.support.vendored import require_llama_cpp

require_llama_cpp()

from pipeline.inside import card_loading  # noqa: E402 - needs the library
from pipeline.inside.card_loading import Placement, open_on_cards, plan, tell_speed  # noqa: E402
from pipeline.inside.graphics_cards import Card  # noqa: E402
from pipeline.inside.llama_runtime import open_model  # noqa: E402

GIB = 1 << 30
FREE = Card("CUDA0", "NVIDIA GeForce RTX 5060 Ti", int(15.3 * GIB), 16 * GIB, 448e9)
ROOMS = [(32, 100), (1, 528)]


def log(layers: int, of: int, device: str = "CUDA0") -> Iterator[str]:
    """Give the lines that llama.cpp prints when so many layers go to a card."""
    for layer in range(of):
        where = device if layer >= of - layers else "CPU"
        yield f"load_tensors: layer {layer:3d} assigned to device {where}, is_swa = 0"
    yield "load_tensors: offloading output layer to GPU"
    yield f"load_tensors: offloading {layers - 1} repeating layers to GPU"
    yield f"load_tensors: offloaded {layers}/{of} layers to GPU"
    yield f"load_tensors:   {device} model buffer size =  8000.00 MiB"


def read(lines: Iterator[str]) -> Placement:
    """Return what a log says."""
    placement = Placement()
    for line in lines:
        placement.take(2, line)
    return placement


def figures(monkeypatch: pytest.MonkeyPatch, *there: Card) -> dict[str, float]:
    """Let these cards be there; return where what is measured will stand."""
    found: dict[str, float] = {}

    def emit(event: str, **data: Any) -> None:
        if event == "job.measured":
            found[data["name"]] = data["value"]

    monkeypatch.setattr(job, "emit", emit)
    monkeypatch.setattr(card_loading, "cards", lambda: there)
    return found


def outcomes(measured: dict[str, float]) -> dict[str, str]:
    """Return what the gates say of it."""
    evidence = Evidence(Path(), {}, recipe(), measured)
    return {verdict.gate: verdict.outcome for gate in inference_gates for verdict in gate(evidence)}


@pytest.mark.parametrize(("layers", "of"), [(41, 41), (20, 41), (1, 41)])
def test_layers_on_a_card_are_counted(layers: int, of: int) -> None:
    """The output layer is one of them."""
    assert (read(log(layers, of)).layers, read(log(layers, of)).in_all) == (layers, of)


def test_the_summary_does_not_hide_layers_that_went_elsewhere() -> None:
    """`offloaded` repeats what was asked for; here every layer's own line says the processor."""
    lines = [line.replace("CUDA0", "CPU") for line in log(41, 41)]
    assert "load_tensors: offloaded 41/41 layers to GPU" in lines
    assert read(iter(lines)).layers == 0


def test_without_the_lines_of_single_layers_the_summary_counts() -> None:
    """They are of the level of debugging: another build may not print them."""
    few = read(line for line in log(20, 41) if "assigned" not in line)
    assert (few.layers, few.in_all) == (20, 41)


def test_these_are_the_lines_of_the_vendored_source(vendor_tree: Path) -> None:
    """A new version that says it otherwise is seen here, and not on somebody's card."""
    source = (vendor_tree / "src" / "llama-model.cpp").read_text(encoding="utf-8")
    assert '"%s: offloaded %d/%d layers to GPU\\n"' in source
    assert len(re.findall(r'"load_tensors: layer %3d assigned to device %s, is_swa = %d\\n"', source)) == 2


def test_the_plan_of_14b_asks_for_what_fits_beside_the_sessions(tmp_path: Path) -> None:
    """F16 on 16 GiB: half of the layers. A card that is half taken gets fewer than an empty one."""
    path = write(tmp_path / "14b.gguf", QWEN3_14B, quantized=False)
    whole, taken = (plan(path, [card], ROOMS) for card in (FREE, Card("CUDA0", "", 8 * GIB, 16 * GIB, None)))
    assert whole is not None
    assert taken is not None
    assert (whole.asked.layers, whole.empty.layers) == (20, 20)
    assert (taken.asked.layers, taken.empty.layers) == (9, 20)
    assert whole.asked.kv == 19 * 32 * 256 * 8 * 128 * 2 * 2  # 19 repeating layers and the output layer


def test_two_cards_share_the_layers_and_each_has_buffers_of_its_own(tmp_path: Path) -> None:
    """Twice the memory, less what CUDA and the compute buffer take of the second."""
    path = write(tmp_path / "14b.gguf", QWEN3_14B, quantized=False)
    both = plan(path, [FREE, FREE], ROOMS)
    assert both is not None
    assert both.asked.whole
    assert both.asked.free < 2 * FREE.free


def test_a_header_that_says_nothing_leaves_it_to_llama_cpp(tmp_path: Path) -> None:
    """All layers are asked for, as it does by itself."""
    path = tmp_path / "odd.gguf"
    path.write_bytes(b"GGUF")
    assert plan(path, [FREE], ROOMS) is None


@pytest.mark.slow
def test_a_card_on_which_nothing_lands_is_found(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendored build is asked for every layer and puts none on the card: its log says so, and the gate warns."""
    measured = figures(monkeypatch, FREE)
    with open_on_cards(converted / "model-f16.gguf", 1, ROOMS) as model:
        tell_speed(model)
    asked = (measured["card.layers-asked"], measured["card.layers-when-empty"], measured["card.layers-in-all"])
    assert (measured["card.layers"], asked) == (0, (2, 2, 2))
    assert measured["card.tokens-per-second"] > 0
    assert outcomes(measured) == {"inference.layers": "warned", "inference.speed": "not measured"}


@pytest.mark.slow
def test_a_model_that_is_read_from_main_memory_all_the_same_is_slow(
    converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where the driver moves a card's memory: the log says that all landed, the processor works."""
    measured = figures(monkeypatch, FREE)
    monkeypatch.setattr(Placement, "layers", property(lambda placement: placement.in_all))
    with open_on_cards(converted / "model-f16.gguf", 1, ROOMS) as model:
        tell_speed(model)
    assert outcomes(measured) == {"inference.layers": "passed", "inference.speed": "warned"}


@pytest.mark.slow
def test_without_a_card_nothing_is_measured(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real look: this build sees no card, loads as ever, and takes no time for a speed."""
    measured = figures(monkeypatch)
    with open_on_cards(converted / "model-f16.gguf", 1, ROOMS) as model:
        tell_speed(model)
    assert measured == {}


@pytest.mark.slow
def test_a_file_that_does_not_load_names_the_card_too(converted: Path, tmp_path: Path) -> None:
    """Out of memory on a card looks to llama.cpp like any other file that it cannot load."""
    path = tmp_path / "cut.gguf"
    path.write_bytes((converted / "model-f16.gguf").read_bytes()[:4096])
    for layers, words in ((None, False), (7, True)):
        with pytest.raises(job.JobError) as caught, open_model(path, 1, layers=layers):
            pass
        assert ("no room for 7 layers" in caught.value.advice) is words
