"""A container's words: frames as they come from the engine, made into lines."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from docker.errors import DockerException
from requests import RequestException

from pipeline.executors.events import JobOutput

Frame = tuple[bytes | None, bytes | None]
"""What came at once on standard output and standard error."""

_LONGEST_LINE_BYTES = 1 << 20


def lines(frames: Iterable[Frame]) -> Iterator[str]:
    """Yield whole lines, those of the two streams never mixed; the last ones count without a line break too."""
    rest = [b"", b""]
    for frame in frames:
        for channel, data in enumerate(frame):
            if data:
                *whole, rest[channel] = (rest[channel] + data).split(b"\n")
                yield from (_text(line) for line in whole)
                if len(rest[channel]) > _LONGEST_LINE_BYTES:
                    yield _text(rest[channel])
                    rest[channel] = b""
    yield from (_text(line) for line in rest if line)


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")


class Reader(threading.Thread):
    """Passes lines on as they come. `lost` holds the error that broke the stream, if one did."""

    def __init__(self, frames: Iterable[Frame], output: JobOutput) -> None:
        super().__init__(daemon=True)
        self._frames = frames
        self._output = output
        self.lost: Exception | None = None

    def run(self) -> None:
        """Read to the end of the stream."""
        try:
            self._output.read(lines(self._frames))
        except (OSError, ValueError, DockerException, RequestException) as error:
            self.lost = error
