"""The loopback interface of a job: processes of one training talk to each other over it, and to nobody else.

A job may run in a network namespace of its own in which nothing is up, not even the loopback.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

from .job import JobError

INTERFACE = "lo"
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP of linux/sockios.h and if.h
_REQUEST = "16sh14x"  # struct ifreq: name, flags
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of linux/sched.h


def raise_loopback() -> None:
    """Make sure that processes started from now on can talk over the loopback.

    Where this process may not raise it, it moves into a namespace of its own, where it may: only a process with one
    thread can. Raises `JobError` where that is forbidden as well.
    """
    if is_up():
        return
    with contextlib.suppress(OSError):
        _raise()
    if is_up():
        return
    with contextlib.suppress(OSError):
        _move()
        _raise()
    if not is_up():
        raise JobError(
            "The processes of this training cannot talk to each other: the job has no network, not even a loopback,"
            " and this system lets it make none.",
            where="recipe key train.processes",
            advice="Run with --executor docker, whose containers have a loopback, or set train.processes = 1.",
        )


def is_up() -> bool:
    """Tell whether the loopback is up."""
    return bool(_flags() & _UP)


def _flags() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, _GET_FLAGS, struct.pack(_REQUEST, INTERFACE.encode(), 0))
    return int(struct.unpack(_REQUEST, answer)[1])


def _raise() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, _SET_FLAGS, struct.pack(_REQUEST, INTERFACE.encode(), _flags() | _UP))


def _move() -> None:
    """Move this process into a user namespace, where it is who it was, with a network of its own."""
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
