"""What goes into an image: its files by their names in the build, and one digest over all that decides them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llama_cpp_vendor.fetch import fetch
from llama_cpp_vendor.flags import BACKENDS
from llama_cpp_vendor.pin import read_pin
from pipeline import environments
from pipeline.digest import digest_file, digest_json
from pipeline.environments import REPOSITORY, llama_cpp_cache, lock_file
from pipeline.errors import ImageError
from pipeline.images.debian import fetch_debs, lock_path, read_debs
from pipeline.images.lock import CAPABILITIES, PREFIX
from pipeline.images.settings import ImageRecipe, Settings
from pipeline.images.wheels import wheelhouse

Emit = Callable[..., None]

CONTAINERS = REPOSITORY / "containers"
_FORM = 1  # counts the changes to the canonical form and to what a context holds
_VENDOR = REPOSITORY / "llama_cpp_vendor"
_ERRORS = (REPOSITORY / "pipeline" / "__init__.py", REPOSITORY / "pipeline" / "errors.py")


@dataclass(frozen=True)
class Ingredients:
    """One image's recipe with what it names. `origin` is the base: a digest, or what a base made here is made of."""

    name: str
    recipe: ImageRecipe
    settings: Settings
    origin: str

    @cached_property
    def pins(self) -> dict[str, str]:
        """What the image is made of, each named by digest. The image is told this, and nothing else of the project."""
        pins = {"base": self.origin, "packages": f"sha256:{digest_file(lock_file(self.recipe.packages))}"}
        for each in (*self.recipe.debian, *self.recipe.build_debian):
            pins[f"debian-{each}"] = f"sha256:{digest_file(lock_path(each))}"
        if self.recipe.llama_cpp:
            pins["llama_cpp"] = read_pin().commit
            pins["build"] = f"sha256:{digest_file(lock_file('build'))}"
        if self.recipe.toolkit:
            pins["toolkit"] = self.settings.bases[self.recipe.toolkit]
        return pins

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels. No commit of the project: each commit would give other images, and run every stage again."""
        title = f"{PREFIX} {self.name}"
        pins = {f"{PREFIX}.{key}": value for key, value in self.pins.items()}
        offers = {CAPABILITIES: " ".join(self.recipe.capabilities)} if self.recipe.capabilities else {}
        given = {"org.opencontainers.image.title": title, f"{PREFIX}.pins": f"sha256:{digest_json(self.pins)}"}
        return {**given, **pins, **offers}

    @cached_property
    def digest(self) -> str:
        """The digest of all inputs: the pins, and the code that puts them together."""
        code = {name: digest_file(path) for name, path in self._code().items()}
        return f"sha256:{digest_json([_FORM, self.name, self.recipe.model_dump(), self.pins, code])}"

    @property
    def moment(self) -> str:
        """When the image's Debian packages were the mirror's newest: the time of all files that are made later."""
        return max(read_debs(lock_path(each)).moment for each in self.recipe.debian)

    def _code(self) -> dict[str, Path]:
        """Return the files of this repository that the build reads."""
        folder = CONTAINERS / self.recipe.folder
        files = {"Dockerfile": folder / "Dockerfile"}
        files |= {f"shared/{path.name}": path for path in sorted((CONTAINERS / "shared").iterdir())}
        files["packages.txt"] = lock_file(self.recipe.packages)
        if self.recipe.llama_cpp:
            sources = sorted(path for path in _VENDOR.iterdir() if path.suffix in {".py", ".toml"})
            files |= {f"llama_cpp/{path.relative_to(REPOSITORY)}": path for path in (*sources, *_ERRORS)}
            files["llama_cpp/build.txt"] = lock_file("build")
        return files

    def gather(self, cache: Path, emit: Emit) -> dict[str, Path]:
        """Return every file of the build by its name there; what is missing is fetched, all is hashed.

        Raises ImageError, VendorError and EnvironmentSetupError.
        """
        files = self._code()
        for folder, sets in (("debian", self.recipe.debian), ("build-debian", self.recipe.build_debian)):
            for each in sets:
                debs = fetch_debs(read_debs(lock_path(each)), cache / "debs", self.settings.debian, emit)
                files |= {f"{folder}/{path.name}": path for path in debs}
        build = wheelhouse("build", cache, emit)
        files |= {f"pip/{path.name}": path for path in build if path.name.startswith("pip-")}
        files |= {f"wheels/{path.name}": path for path in wheelhouse(self.recipe.packages, cache, emit)}
        if self.recipe.llama_cpp:
            files |= {f"build-wheels/{path.name}": path for path in build}
            pin = read_pin()
            archive = fetch(pin, llama_cpp_cache(), environments.ensure("build", emit).python)
            files[f"llama_cpp/{pin.file}"] = archive
        return files


def check_backend(name: str, recipe: ImageRecipe) -> None:
    """Raise ImageError when an image asks for a llama.cpp that cannot be built."""
    if recipe.llama_cpp and recipe.llama_cpp not in BACKENDS:
        message = f"{name}: there is no backend {recipe.llama_cpp!r}"
        raise ImageError(message, where=str(CONTAINERS / "images.toml"), advice=f"one of: {', '.join(BACKENDS)}")


def write_context(files: Mapping[str, Path], target: Path) -> None:
    """Write a tar file that depends on names, bytes and whether a file can be executed. Raises OSError."""
    with tarfile.open(target, "w") as archive:
        for name, path in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = path.stat().st_size
            info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as stream:
                archive.addfile(info, stream)
