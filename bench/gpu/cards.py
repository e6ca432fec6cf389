"""Cards as `nvidia-smi` names them, and what their makers say they can do."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from pipeline.offloading.cards import CARDS


@dataclass(frozen=True)
class Peak:
    """`flops`: dense bfloat16 products with float32 sums, operations a second, at the maker's boost clock.

    `listed` is the card's name in the pipeline's own list, which has its bandwidth.
    """

    flops: float
    listed: str | None = None

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second, None where the list has none."""
        return None if self.listed is None else CARDS[self.listed].bandwidth_gb * 1e9


PEAKS = {
    # Data sheets of NVIDIA; where one gives figures "with sparsity", half of them.
    "NVIDIA A100-SXM4-40GB": Peak(312e12, "A100 40GB"),
    "NVIDIA A100-PCIE-40GB": Peak(312e12, "A100 40GB"),
    "NVIDIA A100-SXM4-80GB": Peak(312e12, "A100 80GB"),
    "NVIDIA A100 80GB PCIe": Peak(312e12),
    "NVIDIA H100 80GB HBM3": Peak(989.4e12, "H100"),
    "NVIDIA H100 PCIe": Peak(756e12),
    "NVIDIA H200": Peak(989.4e12, "H200"),
    "NVIDIA L4": Peak(121e12, "L4"),
    # "Ada" and "RTX Blackwell" architecture white papers, appendix A: peak BF16 tensor TFLOPS with FP32 accumulate.
    "NVIDIA GeForce RTX 4090": Peak(165.2e12, "RTX 4090"),
    "NVIDIA GeForce RTX 5090": Peak(209.5e12, "RTX 5090"),
}
"""Name → peak. A card that is not here has its utilization not measured."""


@dataclass(frozen=True)
class Card:
    """What `nvidia-smi` says of the first card. `capability` is its architecture, 90 for 9.0."""

    name: str
    memory_mib: int
    driver: str
    capability: int

    @property
    def peak(self) -> Peak | None:
        """Its figures, None where nobody has put them into the list."""
        return PEAKS.get(self.name)


def find_card() -> Card | None:
    """Ask `nvidia-smi`; None where there is none, or no card."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = "--query-gpu=name,memory.total,driver_version,compute_cap"
    done = subprocess.run([tool, asked, "--format=csv,noheader,nounits"], capture_output=True, text=True, check=False)
    return read_card(done.stdout) if done.returncode == 0 else None


def read_card(text: str) -> Card | None:
    """Return the card of the first line of what `nvidia-smi` printed; None for a text that names none."""
    fields = [field.strip() for field in text.partition("\n")[0].split(",")]
    try:
        name, memory, driver, capability = fields
        return Card(name, int(memory), driver, round(10 * float(capability)))
    except ValueError:
        return None
