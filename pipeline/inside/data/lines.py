"""Lines of a file in bounded memory: a line beyond the limit is cut where it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .encodings import UTF8_MARK

MAX_LINE_BYTES: Final = 1 << 20
"""A longer line is dropped as `line-too-long`; no title and no answer comes near it."""
BLOCK_BYTES: Final = 4 << 20
PREFIX_BYTES: Final = 2000


@dataclass
class LongLine:
    """A line over the limit: its beginning and its size in bytes."""

    prefix: bytes
    size: int


Line = bytes | LongLine


def read_lines(path: Path, *, marked: bool) -> Iterator[list[Line]]:
    """Yield the file's lines in lists of about four megabytes, without their line breaks.

    `marked` says that the file starts with a byte order mark, which is skipped.
    """
    with path.open("rb") as stream:
        if marked:
            stream.seek(len(UTF8_MARK))
        yield from split_lines(stream)


def split_lines(stream: BinaryIO, block_bytes: int = BLOCK_BYTES, limit: int = MAX_LINE_BYTES) -> Iterator[list[Line]]:
    """Split a stream into lists of lines; hold at most one block and one limit in memory."""
    rest = b""
    long: LongLine | None = None
    while block := stream.read(block_bytes):
        pieces = block.split(b"\n")
        lines: list[Line] = []
        if long is not None:
            long.size += len(pieces[0])
            if len(pieces) == 1:
                continue
            lines.append(long)
            long = None
        else:
            pieces[0] = rest + pieces[0]
            if len(pieces) > 1:
                lines.append(_bounded(pieces[0], limit))
        rest = pieces[-1]
        middle = pieces[1:-1]
        if max(map(len, middle), default=0) > limit:
            lines.extend(_bounded(piece, limit) for piece in middle)
        else:
            lines.extend(middle)
        if len(rest) > limit:
            long, rest = LongLine(rest[: min(PREFIX_BYTES, limit)], len(rest)), b""
        yield lines
    if long is not None:
        yield [long]
    elif rest:
        yield [rest]


def _bounded(line: bytes, limit: int) -> Line:
    return line if len(line) <= limit else LongLine(line[: min(PREFIX_BYTES, limit)], len(line))


def shown(line: Line) -> str:
    """Return a line as text for a person, whatever its bytes."""
    return (line.prefix if isinstance(line, LongLine) else line[:PREFIX_BYTES]).decode("utf-8", "replace")


def too_long(line: LongLine) -> str:
    """Say how long a line is, and the limit."""
    return f"{line.size:,} bytes; the limit is {MAX_LINE_BYTES:,}"
