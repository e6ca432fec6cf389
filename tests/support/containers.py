"""Containers of a test: started as jobs are."""

from __future__ import annotations

from typing import Any


def run(client: Any, image: str, *command: str) -> str:
    """Run a command as a job runs: no network, nothing writable. Return what it prints."""
    output: bytes = client.containers.run(
        image, list(command) or None, remove=True, read_only=True, network_mode="none"
    )
    return output.decode()
