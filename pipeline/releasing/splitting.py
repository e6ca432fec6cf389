"""A GGUF file too large for one piece, as llama.cpp's own parts, and back again. Standard library only.

Tensors are not read into memory: their bytes are copied, in the kernel where that works.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pipeline.files import explained
from pipeline.releasing.gguf_parts import head, part_head, part_name, plan, read_layout, read_part, refused

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many are copied."""

_READ = 8 * 1024 * 1024
_IN_KERNEL = 64 * 1024 * 1024
_NOT_IN_KERNEL = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)


def _untold(_done: int, _total: int) -> None:
    """Take what nobody asked for."""


def split_gguf(source: Path, folder: Path, stem: str, limit_bytes: int, progress: Progress = _untold) -> list[Path]:
    """Write `source` into `folder` in files of at most `limit_bytes`; return them in order.

    One that is small enough is copied whole as `<stem>.gguf`; the parts of another are called
    `<stem>-00001-of-00002.gguf` and so on. The bytes depend on `source` and `limit_bytes` alone. Raises `ReleaseError`
    for a file that is damaged, is a part itself, or holds a tensor that no part can hold (nothing is written then), and
    `StoreError` when the disk does not take the bytes.
    """
    with explained(folder):
        size = source.stat().st_size
        if size <= limit_bytes:
            whole = folder / f"{stem}.gguf"
            _copy(source, (0, size), whole, b"", partial(_told, progress, 0, size))
            return [whole]
        layout = read_layout(source)
        parts = plan(layout, limit_bytes, source.name)
        written, paths = 0, []
        for number, part in enumerate(parts):
            paths.append(folder / part_name(stem, number, len(parts)))
            count = layout.data_bytes(part)
            told = partial(_told, progress, written, size - layout.header.data_start)
            begin = layout.header.data_start + written
            _copy(source, (begin, count), paths[-1], part_head(layout, number, parts), told)
            written += count
        return paths


def _told(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def merged_bytes(parts: Sequence[Path]) -> Iterator[bytes]:
    """Yield, in pieces, the file that these parts were cut from: the very bytes, so that its digest can be checked.

    `llama-gguf-split --merge` gives another file, because it leaves the three keys in. Raises `ReleaseError` when they
    are not all parts of one file, in order, and `StoreError` when one cannot be read.
    """
    with explained(parts[0]):
        layouts = [read_part(path, number, len(parts)) for number, path in enumerate(parts)]
        tensors = [tensor for layout in layouts for tensor in layout.tensors]
        said = {layout.header.keys["split.tensors.count"] for layout in layouts}
        if said != {len(tensors)}:
            raise refused(
                f"the parts hold {len(tensors)} tensors, and speak of {' and of '.join(map(str, sorted(said)))}",
                ", ".join(path.name for path in parts[:4]),
                "take all parts from one release",
            )
        yield head(layouts[0].keys, layouts[0].count, tensors)
        for path, layout in zip(parts, layouts, strict=True):
            with path.open("rb") as stream:
                stream.seek(layout.header.data_start)
                while chunk := stream.read(_READ):
                    yield chunk


def merge_gguf(parts: Sequence[Path], output: Path) -> None:
    """Write the file that these parts were cut from. Raises what `merged_bytes` raises; nothing is left then."""
    with explained(output), output.open("xb") as stream:
        try:
            stream.writelines(merged_bytes(parts))
        except BaseException:
            output.unlink()
            raise


def _copy(source: Path, piece: tuple[int, int], target: Path, before: bytes, told: Callable[[int], None]) -> None:
    """Write `before`, and after it the `piece` of `source`: where it begins, and how many bytes."""
    begin, count = piece
    with source.open("rb", buffering=0) as reader, target.open("xb", buffering=0) as writer:
        reader.seek(begin)
        _write(writer.fileno(), before)
        done = 0
        while done < count:
            copied = _copy_some(reader.fileno(), writer.fileno(), count - done)
            if not copied:
                raise refused("it became shorter while it was copied", source.name, "run the command again")
            done += copied
            told(done)


def _copy_some(source: int, target: int, most: int) -> int:
    """Copy up to `most` bytes between two open files; return how many, 0 at the end."""
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, min(most, _IN_KERNEL))
        except OSError as error:
            if error.errno not in _NOT_IN_KERNEL:
                raise
    data = os.read(source, min(most, _READ))
    _write(target, data)
    return len(data)


def _write(target: int, data: bytes) -> None:
    """Write all of it."""
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]
