"""Pass pip's configuration on to uv, which does not read it.

A machine that offers packages from somewhere of its own (a folder of wheels, a mirror, a certificate)
says so to pip, in `PIP_*` variables or in `pip.conf`. Both are read as pip reads them: a file of the
user beats one of the system, `[install]` beats `[global]`, a variable beats every file.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from pathlib import Path

_FROM_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
"""pip's option → the variable that says the same to uv (0.13)."""

_SEPARATOR = {"find-links": ",", "extra-index-url": " ", "trusted-host": " "}
"""Options with several values: pip separates them with white space, uv with this."""


def configuration_files(environ: Mapping[str, str]) -> list[Path]:
    """Return pip's configuration files on Linux, weakest first; not all of them exist."""
    home = Path(environ.get("HOME", "/"))
    system = environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path(folder, "pip", "pip.conf") for folder in reversed(system)]
    files += [
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        user / "pip" / "pip.conf",
        Path(sys.prefix, "pip.conf"),
    ]
    if chosen := environ.get("PIP_CONFIG_FILE"):
        return [] if chosen == os.devnull else [*files, Path(chosen)]
    return files


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings for `pip install`: option name with dashes → value."""
    found: dict[str, str] = {}
    parser = configparser.RawConfigParser()
    parser.read(configuration_files(environ), encoding="utf-8")
    for section in ("global", "install"):
        if parser.has_section(section):
            found.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    for name, value in environ.items():
        if name.startswith("PIP_"):
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def uv_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add for uv. What the user already says to uv itself is left alone."""
    settings = pip_settings(environ)
    found: dict[str, str] = {}
    for option, variable in _FROM_PIP.items():
        words = settings.get(option, "").split()
        if words and variable not in environ:
            found[variable] = _SEPARATOR.get(option, " ").join(words)
    if "UV_INDEX" in {*found, *environ}:
        # pip looks for a version in all indexes, uv by default in the first that knows the package. The
        # locks' hashes decide what may be installed either way.
        found.setdefault("UV_INDEX_STRATEGY", environ.get("UV_INDEX_STRATEGY", "unsafe-best-match"))
    return found
