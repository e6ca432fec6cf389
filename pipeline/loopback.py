"""Which hosts are this machine: nothing that is sent to them is read on the way."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Tell whether a host, with or without a port, is this machine. What is no host is not."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_clear(url: str) -> bool:
    """Tell whether others could read what is sent to an address: plain HTTP to another machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "http" and not is_loopback(parts.netloc.rpartition("@")[2])
