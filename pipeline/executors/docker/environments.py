"""The environments of the docker executor: images by digest, as `lockfiles/images.lock` names them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.errors import ImageError, SettingsError
from pipeline.images.lock import DEFAULT, LockedImage, locked_image, read_lock
from pipeline.recipe_errors import did_you_mean

_ID = re.compile(r"sha256:[0-9a-f]{64}")


class ImageEnvironments:
    """Reads the lock; whether an engine has an image is looked at when a job is to run in it."""

    def __init__(self, variants: Mapping[str, str] | None = None, lock: Path = DEFAULT) -> None:
        self._variants = variants or {}
        self._lock = lock

    def image(self, name: str) -> LockedImage:
        """Return the image of an environment. Raises ImageError for anything but a digest: a tag can move."""
        image = locked_image(name, self._lock, variant=self._variants.get(name, "cpu"))
        if not _ID.fullmatch(image.id):
            message = f"the image of {name!r} is {image.id!r}, which is no digest: a tag can move"
            raise ImageError(message, where=str(self._lock), advice="run `nox -s images`, which writes digests")
        return image

    def check_hosts(self, names: Iterable[str]) -> None:
        """Raise SettingsError for a host of an image that the lock does not have: its jobs would run here unnoticed."""
        known = list(read_lock(self._lock))
        for name in names:
            if known and name not in known:
                advice = did_you_mean(name, known) or f"the images are {', '.join(known)}"
                raise SettingsError(
                    f"hosts names {name!r}, and there is no such image", where="run.toml", advice=advice
                )

    def is_ready(self, name: str) -> bool:
        """Say whether the lock has it."""
        try:
            self.image(name)
        except ImageError:
            return False
        return True

    def prepare(self, name: str, *, thorough: bool = False) -> None:  # noqa: ARG002 - a digest needs no second look
        """Make sure that the lock names a digest. Raises ImageError."""
        self.image(name)

    def identity(self, name: str) -> dict[str, str]:
        """Return the digest, which covers everything in the image."""
        return {"image": self.image(name).id}

    def watched(self, name: str) -> list[Path]:  # noqa: ARG002 - all images stand in one lock
        """Return the lock."""
        return [self._lock]
