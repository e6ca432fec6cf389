"""Building the wheel once. The build tools are played by a script; the real build is part of every set-up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from llama_cpp_vendor.build import Wheel, build_wheel, wheel_key
from llama_cpp_vendor.compiler import Compilers
from llama_cpp_vendor.pin import Pin
from pipeline.errors import VendorError
from tests.support.compilers import fake_compiler
from tests.support.vendor_archive import pin_of, write_archive

BUILDS = """#!/bin/sh
# $1 backend, $2 settings, $3 folder for the wheel
echo one >> "$HOME/builds"
env > "$HOME/environment"
cp "$2" "$HOME/settings"
[ -f pyproject.toml ] || exit 3
echo "[1/2] c++ one"; echo "[2/2] c++ two"
printf wheel > "$3/llama_cpp_python-0.3.36-py3-none-linux_x86_64.whl"
"""
FAILS = """#!/bin/sh
echo "[1/2] c++ one"; echo "one.cpp:1: error: no space left on device"; exit 1
"""


class Workshop:
    """A machine with fake compilers and a fake build environment."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.archive = write_archive(folder)
        self.pin: Pin = pin_of(self.archive)
        self.cache = folder / "cache"
        self.python = folder / "python"
        self.steps: list[tuple[int, int]] = []
        for name in ("cc", "c++"):
            fake_compiler(folder, name)
        self.tools(BUILDS)

    def tools(self, script: str) -> None:
        """Give the build environment another behaviour."""
        self.python.write_text(script, encoding="utf-8")
        self.python.chmod(0o755)

    def build(self, lock: str = "a" * 64, **more: str) -> Wheel:
        """Build as a run would."""
        environment = {"PATH": f"{self.home}:/usr/bin:/bin", "HOME": str(self.home), **more}
        return build_wheel(
            self.archive,
            self.pin,
            self.cache,
            self.python,
            lock,
            report=lambda done, total: self.steps.append((done, total)),
            environ=environment,
        )

    @property
    def builds(self) -> int:
        """How often the tools ran."""
        return len((self.home / "builds").read_text().split())


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A fresh one."""
    return Workshop(tmp_path)


def test_a_wheel_is_built_once(workshop: Workshop) -> None:
    """The second call finds it, by its key."""
    first = workshop.build()
    assert workshop.build() == first
    assert workshop.builds == 1
    assert first.path.read_text() == "wheel"


def test_progress_is_reported_from_ninja(workshop: Workshop) -> None:
    """`[n/m]` at the start of a line becomes a call."""
    workshop.build()
    assert workshop.steps == [(1, 2), (2, 2)]


def test_another_lock_builds_anew(workshop: Workshop) -> None:
    """Other build tools may give other bytes."""
    first = workshop.build(lock="a" * 64)
    assert workshop.build(lock="b" * 64).path != first.path
    assert workshop.builds == 2


def test_the_key_changes_with_compiler_and_archive(workshop: Workshop) -> None:
    """Each of them counts."""
    compilers = Compilers("/bin/cc", "/bin/c++", "cc 1", "c++ 1")
    keys = {
        wheel_key(workshop.pin, "l", compilers),
        wheel_key(workshop.pin, "l", replace(compilers, cxx_version="c++ 2")),
        wheel_key(replace(workshop.pin, sha256="0" * 64), "l", compilers),
        wheel_key(replace(workshop.pin, commit="f" * 40), "l", compilers),
    }
    assert len(keys) == 4


def test_the_key_does_not_depend_on_where_the_compiler_lies(workshop: Workshop) -> None:
    """Its version counts, not its path."""
    here = Compilers("/bin/cc", "/bin/c++", "cc 1", "c++ 1")
    assert wheel_key(workshop.pin, "l", here) == wheel_key(workshop.pin, "l", replace(here, c="/usr/bin/cc"))


def test_the_users_flags_do_not_reach_the_build(workshop: Workshop) -> None:
    """CFLAGS and the like would change bytes that the key does not name; times are pinned."""
    workshop.build(CFLAGS="-O0", CMAKE_ARGS="-DGGML_NATIVE=ON", LDFLAGS="-s")
    seen = (workshop.home / "environment").read_text()
    assert "-O0" not in seen
    assert "CMAKE_ARGS" not in seen
    assert f"SOURCE_DATE_EPOCH={workshop.pin.commit_time}\n" in seen


def test_a_failed_build_names_its_log_and_publishes_nothing(workshop: Workshop) -> None:
    """The compiler's own error is shown, and the next call builds again."""
    workshop.tools(FAILS)
    with pytest.raises(VendorError, match="no space left on device") as caught:
        workshop.build()
    assert "error: no space left" in Path(caught.value.where).read_text()
    workshop.tools(BUILDS)
    assert workshop.build().path.is_file()


def test_an_altered_wheel_is_built_again(workshop: Workshop) -> None:
    """A wheel in the cache is hashed before it is handed out."""
    workshop.build().path.write_text("other")
    assert workshop.build().path.read_text() == "wheel"
    assert workshop.builds == 2


def test_what_a_killed_build_left_is_removed_by_the_next(workshop: Workshop) -> None:
    """Sources and objects take a gigabyte."""
    left = workshop.cache / "wheels" / ".build-dead" / "source"
    left.mkdir(parents=True)
    workshop.build()
    assert not left.parent.exists()


def test_no_build_folder_is_left_behind(workshop: Workshop) -> None:
    """Source, objects and settings go away; wheel, lock and log stay."""
    workshop.build()
    names = {path.name for path in (workshop.cache / "wheels").iterdir()}
    assert {name for name in names if name.startswith(".")} == set()


def test_the_record_names_compiler_and_commit(workshop: Workshop) -> None:
    """What a wheel was made with can be read beside it."""
    record = json.loads((workshop.build().path.parent / "wheel.json").read_text())
    assert record["cxx_version"] == "c++ 1.2.3"
    assert record["commit"] == workshop.pin.commit
