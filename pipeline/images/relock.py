"""Ask Debian's mirror what it has today, and write `lockfiles/debian-*.lock` anew."""

from __future__ import annotations

import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pipeline.environments import REPOSITORY
from pipeline.errors import ImageError
from pipeline.images.base import bootstrap
from pipeline.images.canonical import pack
from pipeline.images.debian import Deb, DebianLock, known_mirrors, lock_path, write_debs
from pipeline.images.engine import Engine
from pipeline.images.settings import Settings

Emit = Callable[..., None]

_TAG = "fine-tune-pipeline/base:relock"
_START = 'set -eu\napt-get update -qq\nask() { apt-get install --print-uris -qq --no-install-recommends "$@"; }\n'
_BASE = "ask --reinstall $(dpkg-query -W -f '${Package}=${Version} ')"
_SHOW = r"""
sed -nE "s/^'[^']*' ([^_]+)_([^_]+)_.*/\1=\2/p" /run/asked | sed 's/%3a/:/g' | sort -u | xargs apt-cache show
"""


def relock(
    engine: Engine, settings: Settings, emit: Emit, *, scratch: Path, repository: Path = REPOSITORY
) -> dict[str, int]:
    """Write every lock of Debian packages; return the number of packages of each. Raises ImageError and OSError.

    apt resolves inside a container of a fresh Debian, so any machine that can make that base can do it;
    apt checks the mirror's signatures, and what it says of each file goes into the lock.
    """
    started = time.monotonic()
    moment = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix=".relock-", dir=scratch) as folder:
        first = settings.debian.suites[0].partition(" ")[0]
        mirror = known_mirrors(settings.debian)[0]
        sources = "".join(f"deb {mirror}/{each}\n" for each in settings.debian.suites)
        rootfs = bootstrap(Path(folder), f"{mirror}/{first}", int(moment.timestamp()), settings.debian.release, sources)
        image = pack(rootfs, Path(folder) / "image.tar", epoch=0, tag=_TAG, settings={})
        engine.load(Path(folder) / "image.tar")
    try:
        answer = engine.run(_TAG, _script(settings))
    finally:
        engine.discard([_TAG])
    locks = parse(answer, settings)
    for name, debs in locks.items():
        write_debs(lock_path(name, repository), DebianLock(moment.strftime("%Y%m%dT%H%M%SZ"), debs))
    counts = {name: len(debs) for name, debs in locks.items()}
    emit("debian.locked", counts=counts, base=image.id, seconds=round(time.monotonic() - started, 1))
    return counts


def _script(settings: Settings) -> str:
    """Return the script that prints, for each set, the files to fetch, and then what is known of each."""
    lines = [_START]
    for name in settings.debian.sets:
        command = "ask " + " ".join(_all_asked(settings, name)) if name != "base" else _BASE
        lines.append(f"echo '== {name}'; {command} | tee -a /run/asked\n")
    return "".join(lines) + "echo '== show'" + _SHOW


def _all_asked(settings: Settings, name: str) -> list[str]:
    """Return what a set asks for, with all that it stands on."""
    this = settings.debian.sets[name]
    return [*(asked for below in this.on for asked in _all_asked(settings, below)), *this.asks]


def parse(answer: str, settings: Settings) -> dict[str, tuple[Deb, ...]]:
    """Read what the script printed. A set holds nothing of those that it stands on. Raises ImageError."""
    sections = dict(_sections(answer))
    known = dict(_stanzas(sections.pop("show", "")))
    debs: dict[str, tuple[Deb, ...]] = {}
    for name, text in sections.items():
        below = {deb for each in settings.debian.sets[name].on for deb in debs[each]}
        paths = [urllib.parse.urlsplit(line.split("'")[1]).path for line in text.splitlines() if line.startswith("'")]
        found = {_deb(urllib.parse.unquote(path).lstrip("/"), known) for path in paths}
        debs[name] = tuple(sorted(found - below))
    return debs


def _sections(answer: str) -> Iterator[tuple[str, str]]:
    for section in answer.split("== ")[1:]:
        name, _, text = section.partition("\n")
        yield name.strip(), text


def _stanzas(text: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the fields of each file that `apt-cache show` describes, by its path in the archive."""
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and not line.startswith(" "))
        if "Filename" in fields:
            yield fields["Filename"], fields


def _deb(path: str, known: Mapping[str, Mapping[str, str]]) -> Deb:
    fields = known.get(path.partition("/")[2])
    if fields is None or "SHA256" not in fields:
        raise ImageError("apt names a file without its sha256", where=path, advice="run again")
    return Deb(fields["Package"], fields["Version"], fields["SHA256"], int(fields["Size"]), path)
