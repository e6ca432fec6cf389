"""Cards as llama.cpp and NVIDIA's driver tell of them: the real library without one, stand-ins of both with some."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.offloading.cards import CARDS
from tests.support.vendored import require_llama_cpp

require_llama_cpp()

from pipeline.inside.graphics_cards import Card, bandwidth, cards  # noqa: E402 - needs the library

GIB = 1 << 30
Answers = dict[int, int]


class Function:
    """A function of a C library: ctypes sets how its result is read."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer, self.restype = answer, object

    def __call__(self, *given: Any) -> Any:
        """Answer."""
        return self._answer(*given)


class Library:
    """Stands for libggml with a processor and two cards; a device is known by its address, from 1."""

    def __init__(self, *kinds: int) -> None:
        def memory(device: ctypes.c_void_p, free: Any, total: Any) -> None:
            free._obj.value, total._obj.value = 14 * GIB - (device.value or 0), 16 * GIB

        self.ggml_backend_dev_count = Function(lambda: len(kinds))
        self.ggml_backend_dev_get = Function(lambda at: at.value + 1)
        self.ggml_backend_dev_type = Function(lambda device: kinds[device.value - 1])
        self.ggml_backend_dev_name = Function(lambda device: f"CUDA{device.value - 1}".encode())
        self.ggml_backend_dev_description = Function(lambda _: b"NVIDIA GeForce RTX 5060 Ti")
        self.ggml_backend_dev_memory = Function(memory)


class Driver:
    """Stands for libcuda: numbers of one card; `broken` is what its start answers."""

    def __init__(self, attributes: Answers, broken: int = 0) -> None:
        self._attributes, self._broken = attributes, broken
        self.asked: list[int] = []

    def cuInit(self, _: int) -> int:  # noqa: N802 - the driver's name
        """Start."""
        return self._broken

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        """Give a card."""
        self.asked.append(number)
        device._obj.value = number
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, _: ctypes.c_int) -> int:  # noqa: N802
        """Give a number, or an error for one that is not known."""
        value._obj.value = self._attributes.get(attribute, 0)
        return 0 if attribute in self._attributes else 1


def absent(name: str) -> Any:
    """Fail as a machine without the driver does."""
    message = f"{name}: cannot open shared object file"
    raise OSError(message)


def test_the_vendored_library_sees_no_card_here() -> None:
    """It has the processor alone, whatever the machine has: it is built without a backend for cards."""
    assert cards() == ()


def test_cards_are_told_in_order_and_processors_are_none() -> None:
    """Kinds of ggml: 0 a processor, 1 a card, 2 one without memory of its own, 3 an accelerator."""
    driver = Driver({36: 14_001_000, 37: 128})
    found = cards(Library(1, 0, 1, 2, 3), lambda _: driver)
    assert [(card.name, card.free, card.total) for card in found] == [
        ("CUDA0", 14 * GIB - 1, 16 * GIB),
        ("CUDA2", 14 * GIB - 3, 16 * GIB),
    ]
    assert found[0] == Card("CUDA0", "NVIDIA GeForce RTX 5060 Ti", 14 * GIB - 1, 16 * GIB, 2 * 14_001_000_000 * 16)
    assert driver.asked == [0, 2]


@pytest.mark.parametrize(
    ("name", "clock_khz", "bits"),
    [
        ("RTX 5060 Ti", 14_001_000, 128),
        ("RTX 4090", 10_501_000, 384),
        ("A100 40GB", 1_215_000, 5120),
        ("H100", 2_619_000, 5120),
    ],
)
def test_clock_and_bus_give_the_bandwidth_that_the_maker_tells(name: str, clock_khz: int, bits: int) -> None:
    """GDDR7, GDDR6X, HBM2 and HBM3."""
    found = bandwidth("CUDA0", lambda _: Driver({36: clock_khz, 37: bits}))
    assert found == pytest.approx(CARDS[name].bandwidth_gb * 1e9, rel=0.001)


@pytest.mark.parametrize(
    ("name", "driver"),
    [
        ("Vulkan0", lambda _: Driver({36: 1, 37: 1})),
        ("CUDA0", absent),
        ("CUDA0", lambda _: Driver({36: 1, 37: 1}, broken=100)),
        ("CUDA0", lambda _: Driver({37: 128})),
        ("CUDA0", lambda _: Driver({36: 0, 37: 128})),
    ],
    ids=["another maker", "no driver", "no card", "no clock", "a clock of zero"],
)
def test_a_bandwidth_that_nobody_tells_is_not_known(name: str, driver: Callable[[str], Any]) -> None:
    """It is none, not zero."""
    assert bandwidth(name, driver) is None
