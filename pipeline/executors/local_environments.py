"""The environments of the local executor: virtual environments made from the locks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline import environments, installed


class LocalEnvironments:
    """Makes virtual environments as they are asked for; `emit` receives what happens meanwhile."""

    def __init__(self, emit: Callable[..., None]) -> None:
        self._emit = emit

    def python(self, name: str) -> Path:
        """Return the interpreter of an environment, made first if need be."""
        return environments.ensure(name, self._emit).python

    def is_ready(self, name: str) -> bool:
        """Say whether it is there and made from the present lock."""
        return environments.is_ready(name)

    def prepare(self, name: str, *, thorough: bool = False) -> None:
        """Make it if need be, and compare its files with their record."""
        environments.ensure(name, self._emit)
        environments.check(name, thorough=thorough)

    def identity(self, name: str) -> dict[str, str]:
        """Return interpreter and packages with their digests."""
        return environments.identity(name)

    def watched(self, name: str) -> list[Path]:
        """Return what moves when it is made again or a package in it is replaced."""
        made = environments.ensure(name, self._emit)
        return [made.stamp, made.python, installed.site_packages(made.folder)]
