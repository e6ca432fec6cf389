"""Addresses of engines."""

from __future__ import annotations

import pytest

from pipeline.errors import EngineError
from pipeline.executors.docker.engine import connect
from pipeline.settings import Host


@pytest.mark.parametrize("port", ["abc", "99999999"])
def test_a_port_that_is_no_number_is_told(port: str) -> None:
    """The form of an address is the advice."""
    with pytest.raises(EngineError, match="no address of a container engine") as caught:
        connect(Host(url=f"tcp://engine:{port}", ca=None, certificate=None, key=None))
    assert "tcp://host:port" in caught.value.advice
