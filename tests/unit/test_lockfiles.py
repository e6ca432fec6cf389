"""The locks hold what pyproject.toml asks for, all of it by hash, and nothing of the machine that wrote them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, distributions
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.installed import site_packages
from pipeline.locks import ALIKE, APART, CUDA, GROUPS, LEFT_OUT

REPOSITORY = Path(__file__).parents[2]
LINE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[0-9][a-z0-9.+]*) \\|    --hash=sha256:[0-9a-f]{64}( \\)?"
)


@cache
def groups() -> dict[str, list[Any]]:
    """Return the dependency groups of pyproject.toml."""
    found: dict[str, list[Any]] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    return found


def requirements(group: str) -> list[Requirement]:
    """Return a group's requirements, those of the groups that it includes as well."""
    found: list[Requirement] = []
    for item in groups()[group]:
        found += requirements(item["include-group"]) if isinstance(item, dict) else [Requirement(item)]
    return found


@cache
def pins(group: str) -> dict[str, str]:
    """Return a lock's packages: name → version."""
    lines = (REPOSITORY / "lockfiles" / f"{group}.txt").read_text().splitlines()
    matches = [match for line in lines if (match := LINE.fullmatch(line)) and match["name"]]
    return {match["name"]: match["version"] for match in matches}


def test_one_lock_for_each_group() -> None:
    """Groups, locks and the list that `nox -s lock` writes are the same."""
    assert set(GROUPS) == set(groups()) == {path.stem for path in (REPOSITORY / "lockfiles").glob("*.txt")}


@pytest.mark.parametrize("group", GROUPS)
def test_every_requirement_is_locked(group: str) -> None:
    """Each requirement stands in the lock at a version that satisfies it."""
    locked = pins(group)
    wrong = [
        str(requirement)
        for requirement in requirements(group)
        if not requirement.specifier.contains(
            locked.get(canonicalize_name(requirement.name), "0.dev0"), prereleases=True
        )
    ]
    assert wrong == [], "run `nox -s lock`"


@pytest.mark.parametrize("group", GROUPS)
def test_lines_hold_pins_and_hashes_only(group: str) -> None:
    """No address, folder, host or option stands in a lock, and each pin is followed by a hash."""
    lines = (REPOSITORY / "lockfiles" / f"{group}.txt").read_text().splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    after_pins = [following for line, following in zip(lines, [*lines[1:], ""], strict=True) if "==" in line]
    assert all("--hash=" in following for following in after_pins)


@pytest.mark.parametrize(("one", "other"), list(combinations(GROUPS, 2)))
def test_shared_packages_have_one_version(one: str, other: str) -> None:
    """A package that two environments hold has the same version in both; torch in its build for CPU or CUDA."""
    shared = pins(one).keys() & pins(other).keys()
    versions = {name: [pins(group)[name].partition("+")[0] for group in (one, other)] for name in shared}
    different = {name: pair for name, pair in versions.items() if len(set(pair)) > 1}
    # NVIDIA's own differ: each image has the CUDA that it is compiled with, the tools have the newest. Trackers have an
    # older pillow than dev, and an older importlib-metadata (OpenTelemetry) than the CUDA image, which sees its own.
    apart = {APART["trackers"], "importlib-metadata"} if "trackers" in (one, other) else set()
    assert {
        name
        for name in different.keys() - apart
        if {one, other} - {*CUDA, "cuda-tools"} or not name.startswith("nvidia-")
    } == set()


def test_no_training_holds_what_the_trackers_have_apart() -> None:
    """So a job that sees both has one version of each package."""
    shared = pins("trackers").keys() & pins("train-cpu").keys()
    assert {name: pins("trackers")[name] for name in shared} == {name: pins("train-cpu")[name] for name in shared}


def test_cuda_is_the_registrys_torch() -> None:
    """Where a GPU is, the CPU build that this machine is offered must not be taken."""
    assert pins("train-cuda")["torch"] == pins("train-cpu")["torch"].removesuffix("+cpu")
    assert "nvidia-cublas" in pins("train-cuda")


@pytest.mark.parametrize("group", sorted({*GROUPS} - {*CUDA, "cuda-tools"}))
def test_nobody_downloads_cuda(group: str) -> None:
    """Torch is the CPU build wherever it is locked, and no CUDA package comes with it, but for what Unsloth imports."""
    imported = {"triton"} if group in LEFT_OUT else set()
    assert pins(group).get("torch", "2.13.0+cpu").endswith("+cpu")
    assert {name for name in pins(group) if name.startswith(("nvidia-", "cuda-", "triton"))} == imported


def test_the_unsloth_of_the_tests_is_that_of_the_image() -> None:
    """With every package that both have, torch's build apart; all that trains on a CPU is there as well."""
    here, image = pins("unsloth-cpu"), pins(ALIKE["unsloth-cpu"])
    shared = (here.keys() & image.keys()) - {"torch"}
    assert {name: here[name] for name in shared} == {name: image[name] for name in shared}
    assert {"unsloth", "unsloth-zoo", "bitsandbytes", "triton"} <= shared
    assert pins("train-cpu").items() <= here.items()
    assert here.keys().isdisjoint(LEFT_OUT["unsloth-cpu"])


def test_development_holds_what_runs() -> None:
    """The tests run with everything that the pipeline's own environments hold."""
    for group in ("host", "train-cpu", "infer"):
        assert pins(group).items() <= pins("dev").items()


HERE = ("dev", "host", "train-cpu", "infer")
"""Locks whose packages are all installed where the tests run."""

ELSEWHERE = ("build", "checks", "cuda-tools", "bench", "unsloth-cpu")
"""Locks that have an environment of their own on some machines. No machine without a GPU has those for CUDA."""


def installed(group: str) -> dict[str, Distribution]:
    """Return the packages of a lock's environment by name."""
    folder = REPOSITORY / ".envs" / group
    if group in HERE:
        found = distributions()
    elif folder.is_dir():
        found = distributions(path=[str(site_packages(folder))])
    else:
        pytest.skip(f"the environment {group} is not set up here")
    return {canonicalize_name(each.name): each for each in found}


NOT_ASKED = {name for names in LEFT_OUT.values() for name in names}
"""Packages that some environment does without, although another package asks for them."""


def needed(packages: dict[str, Distribution], asked: list[Requirement]) -> set[str]:
    """Return what requirements need, and what that needs, on this platform; with the extras asked for."""
    left: list[tuple[str, str]] = [
        (canonicalize_name(item.name), extra) for item in asked for extra in ("", *item.extras)
    ]
    done: set[tuple[str, str]] = set()
    while left:
        name, extra = left.pop()
        if (name, extra) in done or (name in NOT_ASKED and name not in packages):
            continue
        done.add((name, extra))
        left += of_package(packages[name], extra)
    return {name for name, _ in done}


def of_package(package: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Yield the packages, each with an extra or none, that a package with one of its extras needs."""
    here = {"extra": extra}
    for item in map(Requirement, package.requires or ()):
        if item.marker is None or item.marker.evaluate(here):
            yield from ((canonicalize_name(item.name), each) for each in ("", *item.extras))


@pytest.mark.parametrize("group", [*HERE, *ELSEWHERE])
def test_every_pin_is_asked_for(group: str) -> None:
    """By pyproject.toml, or by a package that is asked for, as the installed packages say: nothing stale stays."""
    assert pins(group).keys() - needed(installed(group), requirements(group)) == set(), "run `nox -s lock`"


def test_no_package_asks_for_a_newer_system_than_is_claimed() -> None:
    """Ubuntu 22.04 is the oldest system that the README names: glibc 2.35. Looked at is what the tests run in."""
    tags = re.compile(r"^Tag: .*-manylinux_2_(\d+)_", re.MULTILINE)
    asked = {
        distribution.metadata["Name"]: [int(minor) for minor in tags.findall(distribution.read_text("WHEEL") or "")]
        for distribution in distributions()
    }
    assert sum(map(bool, asked.values())) > 20
    assert {name for name, minors in asked.items() if minors and min(minors) > 35} == set()
