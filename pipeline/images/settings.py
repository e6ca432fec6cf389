"""`containers/images.toml`: bases by digest, sets of Debian packages, and what each image is made of."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.environments import REPOSITORY
from pipeline.errors import ImageError, UsageError

FILE = REPOSITORY / "containers" / "images.toml"

_BY_DIGEST = re.compile(r"[a-z0-9./:-]+@sha256:[0-9a-f]{64}")


def by_digest(reference: str) -> str:
    """Return an image's reference; raises ValueError for a tag: what it names can change overnight."""
    if not _BY_DIGEST.fullmatch(reference):
        message = f"{reference!r} names an image by tag: write name@sha256:<64 digits>, and the tag in a comment"
        raise ValueError(message)
    return reference


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def own_mirrors(apt: Path = Path("/etc/apt")) -> list[str]:
    """Return the roots of the Debian mirrors that this machine uses: DEBIAN_MIRRORS, or what its apt sources name."""
    if given := os.environ.get("DEBIAN_MIRRORS"):
        return given.split()
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return list(dict.fromkeys(re.findall(r"(https?://\S+?)/debian(?:-security)?/?(?=\s|$)", plain)))


class DebianSet(_Table):
    """Debian packages that are asked for, on top of other sets."""

    asks: list[str]
    on: list[str]


class Debian(_Table):
    """Which Debian packages, and where they come from: addresses without `/` at the end, of this machine's settings."""

    release: str
    suites: list[str]
    mirrors: list[str] = Field(default_factory=own_mirrors)
    snapshots: list[str] = Field(default_factory=lambda: os.environ.get("DEBIAN_SNAPSHOTS", "").split())
    sets: dict[str, DebianSet]


class ImageRecipe(_Table):
    """What one image is made of: its Dockerfile's folder, and names of locks."""

    folder: str
    debian: list[str]
    packages: str
    build_debian: list[str] = []
    llama_cpp: str | None = None
    toolkit: str | None = None
    capabilities: list[str] = []


class Settings(_Table):
    """The whole file."""

    bases: dict[str, Annotated[str, AfterValidator(by_digest)]]
    debian: Debian
    images: dict[str, ImageRecipe]


def read_settings(path: Path = FILE) -> Settings:
    """Read the file. Raises ImageError with every problem and its place."""
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError) as error:
        advice = "it comes with the checkout: see what `git diff` says of it"
        raise ImageError(f"the images' settings cannot be read: {error}", where=str(path), advice=advice) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise ImageError("\n".join(problems), where=str(path), advice="correct these keys") from error


def named(settings: Settings, name: str) -> ImageRecipe:
    """Return one image's recipe. Raises UsageError with the names that exist."""
    if name not in settings.images:
        message = f"there is no image {name!r}"
        raise UsageError(message, where=str(FILE), advice=f"one of: {', '.join(settings.images)}")
    return settings.images[name]
