"""The graphics cards that llama.cpp sees: their memory, and how fast they can read it.

A build without a backend for cards, and a container that was given none, see no card: then nothing here says anything.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from llama_cpp._ggml import libggml

_GPU: Final = 1  # ggml/include/ggml-backend.h, enum ggml_backend_dev_type; an integrated one has no memory of its own
_CLOCK_KHZ, _BUS_BITS = 36, 37  # cuda.h, enum CUdevice_attribute: MEMORY_CLOCK_RATE, GLOBAL_MEMORY_BUS_WIDTH
_DRIVER: Final = "libcuda.so.1"


@dataclass(frozen=True)
class Card:
    """One card: llama.cpp's name of it (`CUDA0`), its maker's, and bytes; `bandwidth` in bytes a second, if known."""

    name: str
    description: str
    free: int
    total: int
    bandwidth: float | None


def cards(library: Any = libggml, driver: Callable[[str], Any] = ctypes.CDLL) -> tuple[Card, ...]:
    """Return the cards that llama.cpp puts layers on when it is asked to, in its order."""
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    devices = [library.ggml_backend_dev_get(ctypes.c_size_t(at)) for at in range(library.ggml_backend_dev_count())]
    handles = [ctypes.c_void_p(device) for device in devices]
    return tuple(_card(library, one, driver) for one in handles if library.ggml_backend_dev_type(one) == _GPU)


def _card(library: Any, device: ctypes.c_void_p, driver: Callable[[str], Any]) -> Card:
    for function in (library.ggml_backend_dev_name, library.ggml_backend_dev_description):
        function.restype = ctypes.c_char_p
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory.restype = None
    library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    name = library.ggml_backend_dev_name(device).decode()
    description = library.ggml_backend_dev_description(device).decode("utf-8", "replace")
    return Card(name, description, free.value, total.value, bandwidth(name, driver))


def bandwidth(name: str, driver: Callable[[str], Any] = ctypes.CDLL) -> float | None:
    """Return a card's bandwidth in bytes a second as NVIDIA's driver knows it; None of another maker's, or without it.

    Memory clock times two (both edges carry data) times the width of the bus: 14,001 MHz and 128 bits, an RTX 5060 Ti,
    are 448 GB/s, as its maker says.
    """
    number = re.fullmatch(r"CUDA(\d+)", name)
    if number is None:
        return None
    try:
        cuda = driver(_DRIVER)
    except OSError:
        return None
    device = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), int(number[1])):
        return None
    clock, width = (_attribute(cuda, one, device) for one in (_CLOCK_KHZ, _BUS_BITS))
    return 2 * clock * 1000 * width / 8 if clock and width else None


def _attribute(cuda: Any, attribute: int, device: ctypes.c_int) -> int:
    """Return a number that the driver has of a card; 0 where it has none."""
    value = ctypes.c_int()
    return 0 if cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device) else value.value
