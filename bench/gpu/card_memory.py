"""How much of a card's memory is in use, by its driver: that is what a run needs of a card.

What torch counts is less: `max_memory_allocated` is tensors alone, without what torch's allocator holds in reserve and
without CUDA's own context, so a run under 40 GB by it may fit no card of 40 GB.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from types import TracebackType
from typing import Self

PAUSE_S = 0.5
"""Between two questions, which the driver may stop the card's work for. What torch has reserved it keeps, so the most
is seen although moments are missed."""
_ANSWER_S = 10.0
_MIB = 2**20


class CardMemory:
    """Asks `nvidia-smi` again and again, while it is open, how much memory of the first card is in use.

    `before` is what others use: the first answer, taken before the block begins. `peak` is the most above that. Both
    are bytes, and None where the driver does not say.
    """

    def __init__(self) -> None:
        self.before: int | None = None
        self._most: int | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Take the first answer."""
        self.before = self._most = used_bytes()
        if self.before is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ask no more."""
        self._closed.set()
        if self.before is not None:
            self._thread.join()

    @property
    def peak(self) -> int | None:
        """Bytes above `before`, at most."""
        return None if self.before is None or self._most is None else self._most - self.before

    def _watch(self) -> None:
        while not self._closed.wait(PAUSE_S):
            used = used_bytes()
            if used is not None and self._most is not None:
                self._most = max(self._most, used)


def used_bytes() -> int | None:
    """Return how much of the first card's memory is in use, whoever uses it; None where the driver does not say."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    asked = [tool, "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_ANSWER_S)
        return int(done.stdout) * _MIB if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None
