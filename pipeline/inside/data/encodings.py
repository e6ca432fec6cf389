"""Is this file UTF-8? Other encodings are named and refused; a few bad lines in UTF-8 text are not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..job import JobError

SAMPLE_BYTES: Final = 1 << 20
UTF8_MARK: Final = b"\xef\xbb\xbf"
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_JAPANESE: Final = ("CP932", "EUC-JP")


def check_encoding(path: Path) -> bool:
    """Return whether the file starts with a UTF-8 byte order mark.

    Raises `JobError` for an empty file and for UTF-16, UTF-32, ISO-2022-JP, CP932, EUC-JP or another
    encoding. A file counts as not UTF-8 when more than half of its first lines that hold bytes beyond
    ASCII are not valid UTF-8; fewer bad lines are dropped one by one where they are read.
    """
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    if not sample.strip():
        raise JobError(f"{path.name} is empty", where=path.name, advice="remove it from data.files, or fill it")
    encoding = _marked(sample) or _wide(sample) or _unmarked(sample)
    if encoding:
        raise JobError(
            f"{path.name} is not UTF-8: it looks like {encoding}",
            where=path.name,
            advice=f"convert it: iconv -f {encoding.split()[0]} -t UTF-8 {path.name} > utf8-{path.name}",
        )
    return sample.startswith(UTF8_MARK)


def _marked(sample: bytes) -> str:
    return next((name for mark, name in _MARKS if sample.startswith(mark)), "")


def _wide(sample: bytes) -> str:
    """Recognise UTF-16 without a mark: ASCII keys and brackets leave every other byte zero."""
    head = sample[:4096]
    if head[0::2].count(0) > len(head) // 8:
        return "UTF-16BE"
    return "UTF-16LE" if head[1::2].count(0) > len(head) // 8 else ""


def _valid(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _unmarked(sample: bytes) -> str:
    if sample.isascii() and (b"\x1b$B" in sample or b"\x1b$@" in sample) and _valid(sample, "iso2022_jp"):
        return "ISO-2022-JP"
    lines = sample.split(b"\n")
    if len(sample) == SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # cut in the middle
    beyond = [line for line in lines if not line.isascii()]
    if len(sample) == SAMPLE_BYTES and len(lines) == 1:
        return ""  # one line longer than the sample: its reader drops it
    bad = sum(not _valid(line, "utf-8") for line in beyond)
    if bad * 2 <= len(beyond):
        return ""
    fits = {name: sum(_valid(line, name) for line in beyond) for name in _JAPANESE}
    # EUC-JP text is often valid CP932 as well (as half-width katakana), but hardly ever the reverse.
    best = max(reversed(_JAPANESE), key=lambda name: fits[name])
    return best if fits[best] * 2 > len(beyond) else "an unknown 8-bit encoding"
