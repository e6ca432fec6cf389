"""How many layers fit a card: the user's own, and the edges."""

from __future__ import annotations

import pytest

from pipeline.inside.card_fit import DESKTOP_GIB, GIB, Fit, fit
from pipeline.inside.model_memory import Model
from pipeline.offloading.memory import read_model
from tests.support.sparse_gguf import QWEN3_14B, write

CARD = int((16 - DESKTOP_GIB) * GIB)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """Qwen3-14B as F16 and as Q4_K_M: headers and holes."""
    folder = tmp_path_factory.mktemp("models")
    return {
        name: read_model([write(folder / f"{name}.gguf", QWEN3_14B, quantized=name == "Q4_K_M")])
        for name in ("F16", "Q4_K_M")
    }


def test_q4_k_m_of_14b_is_wholly_on_a_16_gib_card(models: dict[str, Model]) -> None:
    """With 4,096 tokens of context and a desktop beside it."""
    found = fit(models["Q4_K_M"], CARD, 4096)
    assert (found.whole, found.layers, found.host_bytes_per_token) == (True, 41, 0)
    assert found.used < CARD


def test_f16_of_14b_is_there_in_part_as_the_user_found_by_hand(models: dict[str, Model]) -> None:
    """Seed 000 ran it with `-ngl 20` on 16 GiB."""
    found = fit(models["F16"], CARD, 4096)
    assert not found.whole
    assert 19 <= found.layers <= 22
    assert found.used <= CARD


def test_one_layer_more_would_not_fit(models: dict[str, Model]) -> None:
    """The number is the largest."""
    found = fit(models["F16"], CARD, 4096)
    layer = models["F16"].layers[0] + models["F16"].kv_bytes(0, 4096, "F16")
    assert found.used + layer > CARD


def test_a_longer_context_takes_layers_off_the_card(models: dict[str, Model]) -> None:
    """The cache of a layer lies where the layer does."""
    card = 12 * GIB
    short, long = (fit(models["Q4_K_M"], card, context) for context in (4096, 40960))
    assert short.whole
    assert long.layers < short.layers
    eight = fit(models["Q4_K_M"], card, 40960, "Q8_0")
    assert eight.layers > long.layers


def test_a_card_without_room_gets_nothing(models: dict[str, Model]) -> None:
    """Not even the output layer."""
    found: Fit = fit(models["F16"], GIB // 2, 4096)
    assert (found.layers, found.used) == (0, 0)
    assert found.host_bytes_per_token == models["F16"].read_per_token
