"""One whole seedling, built beside the tests: it takes minutes, so it starts with them, and its onlookers come last.

The folder is known to every process of a test run; one of them starts the build, any may wait for it, and the process
that a user started ends it and takes the folder away.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.support.elsewhere import elsewhere, on_another_host

_LOOK_S: Final = 0.5
_START_S: Final = 300.0
_END_S: Final = 20.0
_NOTE_THE_CODE: Final = 'trap : TERM; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"'
"""A shell that writes the exit code of its arguments into the file `$0`. Told to end, it waits for them."""


class SecondBuild:
    """A complete seedling from an empty store: one core, another folder, locale, time zone, umask, user and host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.build = folder / "other folder" / "bûild"

    def start(self, command: Sequence[str], directory: Path) -> None:
        """Start it, with the command that builds into `build`."""
        self.folder.mkdir(mode=0o700)
        there = elsewhere()
        with self._output.open("wb") as stream:
            self._process = subprocess.Popen(
                ["sh", "-c", _NOTE_THE_CODE, str(self._code), *on_another_host(), *there.prefix, *command],
                cwd=directory,
                env={**os.environ, **there.variables},
                stdout=stream,
                stderr=stream,
                umask=there.umask,
                start_new_session=True,
            )
        self._group.write_text(str(self._process.pid))

    def wait(self) -> None:
        """Wait for its end; fail with what it said last."""
        deadline = time.monotonic() + _START_S
        while not self._ended():
            assert self._group.exists() or time.monotonic() < deadline, "no process has started the second build"
            time.sleep(_LOOK_S)
        code = self._code.read_text().strip() if self._code.exists() else "none: it was killed"
        assert code == "0", f"exit code {code}\n" + self._output.read_text("utf-8", errors="replace")[-4000:]

    def stop(self) -> None:
        """End it, if it was started and runs; leave nothing behind."""
        if self._group.exists() and not self._ended():
            self._send(signal.SIGTERM)
            deadline = time.monotonic() + _END_S
            while not self._ended() and time.monotonic() < deadline:
                time.sleep(_LOOK_S)
            self._send(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _code(self) -> Path:
        return self.folder / "code"

    @property
    def _group(self) -> Path:
        return self.folder / "group"

    @property
    def _output(self) -> Path:
        return self.folder / "output"

    def _ended(self) -> bool:
        """Return whether its code is written, or no process of it is left that could write one."""
        return self._code.exists() or (self._group.exists() and not self._send(0))

    def _send(self, number: int) -> bool:
        """Send a signal to all its processes; return whether there were any."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(self._group.read_text()), number)
            return True
        return False
