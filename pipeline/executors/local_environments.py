"""The environments of the local executor: virtual environments made from the locks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from pipeline import environments, installed


class LocalEnvironments:
    """Makes virtual environments as they are asked for; `emit` receives what happens meanwhile.

    One that was asked for stays as it is for as long as this process lives: another process that wants it made
    anew (its lock has changed) waits.
    """

    def __init__(self, emit: Callable[..., None]) -> None:
        self._emit = emit
        self._held: dict[str, environments.Environment] = {}
        self._lock = threading.Lock()

    def python(self, name: str) -> Path:
        """Return the interpreter of an environment, made first if need be."""
        return self._hold(name).python

    def _hold(self, name: str) -> environments.Environment:
        with self._lock:
            if name not in self._held:
                self._held[name], _ = environments.hold(name, self._emit)
            return self._held[name]

    def is_ready(self, name: str) -> bool:
        """Say whether it is there and made from the present lock."""
        return environments.is_ready(name)

    def prepare(self, name: str, *, thorough: bool = False) -> None:
        """Make it if need be, and compare its files with their record."""
        self._hold(name)
        environments.check(name, thorough=thorough)

    def identity(self, name: str) -> dict[str, str]:
        """Return interpreter and packages with their digests."""
        return environments.identity(name)

    def watched(self, name: str) -> list[Path]:
        """Return what moves when it is made again or a package in it is replaced."""
        made = self._hold(name)
        return [made.stamp, made.python, installed.site_packages(made.folder)]
