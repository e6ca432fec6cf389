"""What is held fixed so that the same inputs give the same bytes on every machine.

All of it counts in the key of every stage that runs in an environment. `docs/reproducibility.md`
has the measurements.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ExecutorError

ALWAYS = {
    # Sets become lists in adapter_config.json: the order follows the hash seed.
    "PYTHONHASHSEED": "0",
    # The only setting for which MKL promises equal bits across processor makers.
    "MKL_CBWR": "COMPATIBLE",
    # exp and log of NumPy have other last bits where the processor has AVX-512.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONUTF8": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""Environment variables of every job."""

_ONEDNN = {"avx2": "AVX2", "avx512": "AVX512_CORE", "default": "DEFAULT"}
_FLAGS = {"avx2": {"avx2", "fma", "f16c"}, "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"}, "default": set()}


def fixed_variables(instruction_set: str) -> dict[str, str]:
    """Return the variables that fix numerics for `instruction_set`: avx2, avx512 or default."""
    return {**ALWAYS, "ATEN_CPU_CAPABILITY": instruction_set, "ONEDNN_MAX_CPU_ISA": _ONEDNN[instruction_set]}


def check_processor(instruction_set: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Refuse a processor without the instruction set, where the system tells its flags."""
    if not cpuinfo.is_file():
        return
    flags = next(
        (line.split(":", 1)[1].split() for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), None
    )
    missing = _FLAGS[instruction_set] - set(flags) if flags is not None else set()
    if missing:
        message = f"this processor lacks {', '.join(sorted(missing))}, which the recipe's instruction set needs"
        raise ExecutorError(message, where="numerics.instruction_set", advice="run on an x86-64 machine with AVX2")
