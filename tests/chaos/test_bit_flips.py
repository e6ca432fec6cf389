"""One bit flipped in any file of a finished seedling, its times put back: found before anything is built from it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.artifact import Manifest
from pipeline.commands import verify
from pipeline.context import Context
from pipeline.errors import CorruptArtifactError, PipelineError, StageError
from pipeline.execute import Run, Settings
from pipeline.executors.contract import Request
from pipeline.executors.local_environments import LocalEnvironments
from pipeline.files import write_json_atomic
from pipeline.plan import Pins
from pipeline.runs import read_state
from pipeline.store import Store, signature
from tests.chaos.seedling import finished_build, take_over
from tests.faults.workshop import NoSeedlingError
from tests.golden.digests import SEEDLING, read_golden


def files_of(recipe: str) -> list[tuple[str, str]]:
    """Return stage and path of every file of a recipe's golden list."""
    return [(stage, path) for stage, files in sorted(read_golden(recipe).items()) for path in sorted(files)]


FILES = files_of(SEEDLING)
COMPANY = "company-qa-small"
COMPANY_FILES = files_of(COMPANY)
PLACES = ("header", "middle", "last byte")


@dataclass
class NothingIsBuilt:
    """An executor that only notes what it is asked for."""

    asked: list[str] = field(default_factory=list)

    def offers(self, environment: str) -> frozenset[str]:
        """Offer nothing."""
        return frozenset({environment} - {environment})

    def run(self, request: Request, *_: object) -> Path:
        """Refuse."""
        self.asked.append(request.stage)
        raise StageError("nothing is built here")


class Seedling:
    """Copies of all artifacts of a finished recipe in a store of their own, which may be damaged."""

    def __init__(self, build: Path, recipe: str = SEEDLING) -> None:
        source = finished_build()
        self.keys: Mapping[str, str] = read_state(source, recipe)["stages"]
        take_over(source, build, tuple(self.keys), recipe)
        self.arguments = ["--recipe", recipe, "--build", str(build)]
        write_json_atomic(build / recipe / "state.json", {"stages": self.keys, "released": {}})
        self.context = Context.of(parse(["run", *self.arguments]))
        self.store = Store(build / "store", "test")
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    @cached_property
    def pins(self) -> Pins:
        """What is fixed from outside the recipe, as `run` finds it."""
        return self.context.pins(list(self.context.plan.stages.values()), LocalEnvironments(lambda *_, **__: None))

    def manifest(self, stage: str) -> Manifest:
        """Return the manifest of a stage."""
        found = self.store.manifest(self.keys[stage])
        assert found is not None, f"{stage}: no manifest"
        return found

    def user_of(self, stage: str, path: str) -> str | None:
        """Return the first stage that reads a file, or whose gates do; None when only a person does."""
        for other in self.context.plan.stages.values():
            read = [item.files for item in other.inputs.values() if item.stage == stage]
            if any(fnmatchcase(path, pattern) for files in read for pattern in files):
                return other.name
        return None

    def run_up_to(self, target: str) -> list[str]:
        """Run up to a stage, whose artifact is missing; return which stages a job was asked for."""
        executor = NothingIsBuilt()
        self.events.clear()
        run = Run(
            plan=self.context.plan,
            recipe=self.context.recipe,
            pins=self.pins,
            store=Store(self.store.root, "run"),
            executor=executor,
            vendor_tree=Path,
            log=lambda event, **data: self.events.append((event, data)),
            settings=Settings(),
        )
        missing = self.store.manifest_path(self.keys[target])
        content = missing.read_bytes()
        missing.unlink()
        try:
            run.execute(target)
        except PipelineError:
            pass  # what is damaged cannot be made anew here
        finally:
            missing.write_bytes(content)
        return executor.asked

    @contextmanager
    def flipped(self, stage: str, path: str, place: str) -> Iterator[Manifest]:
        """Flip one bit for the block, with the times put back; afterwards all is as it was."""
        manifest = self.manifest(stage)
        saved = self.store.manifest_path(manifest.key).read_bytes()
        file = self.store.folder(manifest) / path
        flip(file, place)
        try:
            yield manifest
        finally:
            self.put_back(manifest)
            flip(file, place)
            self.store.manifest_path(manifest.key).write_bytes(saved)
            assert self.store.damage(manifest, rehash=True) == []

    def put_back(self, manifest: Manifest) -> None:
        """Let what was set aside have its place again; what stages of the host have made anew meanwhile goes."""
        for aside in (self.store.root / "quarantine").glob(f"{manifest.content}-*"):
            shutil.rmtree(self.store.folder(manifest), ignore_errors=True)
            aside.rename(self.store.folder(manifest))

    def rot(self, manifest: Manifest, path: str) -> None:
        """Let the store take the damaged file for known: as rot on a disk, of which neither time nor size tells."""
        known = {entry.path: signature(self.store.folder(manifest) / entry.path) for entry in manifest.files}
        write_json_atomic(self.store.root / "index" / f"{manifest.content}.json", known)
        assert self.store.damage(manifest) == [], path


def flip(file: Path, place: str) -> None:
    """Flip one bit of a file, and put its times back."""
    times = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as stream:
        offset = {"header": 0, "middle": times.st_size // 2, "last byte": times.st_size - 1}[place]
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 1]))
    file.chmod(0o444)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture(scope="module")
def seedling(tmp_path_factory: pytest.TempPathFactory) -> Seedling:
    """The seedling in `build/`, as `nox -s pipeline` leaves it there."""
    try:
        return Seedling(tmp_path_factory.mktemp("flipped") / "build")
    except NoSeedlingError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


def test_without_damage_only_the_missing_stage_is_asked_for(seedling: Seedling) -> None:
    """Otherwise the tests below would see rebuilding that no damage asks for."""
    assert seedling.run_up_to("compare") == ["compare"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("stage", "path"), FILES)
def test_a_flipped_bit_is_seen_at_once(seedling: Seedling, stage: str, path: str, place: str) -> None:
    """Size and modification time are the old ones: the look that every run begins with finds it all the same."""
    with seedling.flipped(stage, path, place) as manifest:
        problems = seedling.store.damage(manifest)
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: sha256")


@pytest.mark.parametrize(("number", "stage", "path"), [(n, stage, path) for n, (stage, path) in enumerate(FILES)])
def test_rot_of_which_no_time_tells_is_found_by_the_stage_that_would_use_it(
    seedling: Seedling, number: int, stage: str, path: str
) -> None:
    """Nothing is built from it: it is set aside, and its own stage is asked for first. `verify` names the file."""
    _rot_is_found(seedling, number, stage, path)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Seedling:
    """The recipe with seeds, questions and two quantizations in `build/`, as `run --recipe` leaves it there."""
    try:
        if not read_state(finished_build(), COMPANY)["stages"]:
            pytest.skip(f"there is no finished {COMPANY}: python -m pipeline run --recipe {COMPANY}")
        return Seedling(tmp_path_factory.mktemp("flipped") / "build", COMPANY)
    except NoSeedlingError as error:
        pytest.skip(str(error))


@pytest.mark.long
@pytest.mark.parametrize(("number", "stage", "path"), [(n, *one) for n, one in enumerate(COMPANY_FILES)])
def test_the_same_of_a_recipe_with_seeds_and_questions(company: Seedling, number: int, stage: str, path: str) -> None:
    """Stages that the seedling does not have: at once by the change time, and without it by who would use the file."""
    with company.flipped(stage, path, PLACES[number % len(PLACES)]) as manifest:
        (problem,) = company.store.damage(manifest)
    assert problem.startswith(f"{path}: sha256")
    _rot_is_found(company, number, stage, path)


def _rot_is_found(seedling: Seedling, number: int, stage: str, path: str) -> None:
    user = seedling.user_of(stage, path)
    with seedling.flipped(stage, path, PLACES[number % len(PLACES)]) as manifest:
        seedling.rot(manifest, path)
        if user is not None:
            asked = seedling.run_up_to(user)
            assert user not in asked
            set_aside = [data for event, data in seedling.events if event == "artifact.corrupt"]
            assert [data["stage"] for data in set_aside][:1] == [stage]
            assert path in set_aside[0]["problems"][0]
            seedling.put_back(manifest)
        with pytest.raises(CorruptArtifactError, match="sha256 is") as caught:
            verify.main(parse(["verify", *seedling.arguments]), [])
        assert f"{stage}/{path}" in str(caught.value)
