"""What kind of machine built something: nothing that names the machine, its folders or its user."""

from __future__ import annotations

import platform
from pathlib import Path


def builder(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """Return processor, system, C library and Python, each as the machine tells it."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        system = platform.system()
    library = " ".join(platform.libc_ver()).strip() or "not told"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"processor": _processor(cpuinfo), "system": system, "c_library": library, "python": python}


def _processor(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
