"""Environments are made from their locks, once, and are refused when they are no longer that."""

from __future__ import annotations

import os
import subprocess
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llama_cpp_vendor.build import Wheel
from pipeline import environments, installed
from pipeline.errors import EnvironmentSetupError, UsageError
from tests.support.wheels import make_wheel, write_lock


@dataclass
class Workshop:
    """A repository with one lock, a folder of wheels, and the events that were told."""

    repository: Path
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def wheels(self) -> Path:
        """Where the wheels lie."""
        return self.repository / "wheels"

    @property
    def root(self) -> Path:
        """Where the environments are made."""
        return self.repository / "envs"

    def lock(self, code: str = "VALUE = 1\n", version: str = "1.0", name: str = "small") -> None:
        """Offer a package `gadget` and lock it."""
        wheel = make_wheel(self.wheels, "gadget", version, code)
        write_lock(self.repository / "lockfiles" / f"{name}.txt", wheel)

    def emit(self, event: str, **data: Any) -> None:
        """Keep an event."""
        self.events.append((event, data))

    def ensure(self, name: str = "small", root: Path | None = None) -> environments.Environment:
        """Make the environment."""
        return environments.ensure(name, self.emit, root=root or self.root)

    def told(self, event: str) -> int:
        """Count an event."""
        return sum(1 for name, _ in self.events if name == event)


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop whose only source of packages is its own folder."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    shop = Workshop(tmp_path)
    shop.wheels.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop.wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "REPOSITORY", tmp_path)
    shop.lock()
    return shop


def value_of(environment: environments.Environment) -> str:
    """Ask the environment's own interpreter for the package's value."""
    code = "import gadget; print(gadget.VALUE)"
    return subprocess.run([environment.python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_made_from_lock(workshop: Workshop) -> None:
    """The environment holds the locked package and says so in events with seconds."""
    environment = workshop.ensure()
    assert value_of(environment) == "1"
    assert [name for name, _ in workshop.events] == ["environment.creating", "environment.ready"]
    assert workshop.events[-1][1]["seconds"] >= 0


def test_ready_environment_is_left_alone(workshop: Workshop) -> None:
    """A second call makes nothing."""
    first, before = workshop.ensure().stamp.read_bytes(), workshop.ensure().stamp.stat()
    workshop.events.clear()
    stamp = workshop.ensure().stamp
    after = stamp.stat()
    kept = (after.st_ino, after.st_mtime_ns, after.st_ctime_ns)  # reading it may move the time of access
    assert (stamp.read_bytes(), kept) == (first, (before.st_ino, before.st_mtime_ns, before.st_ctime_ns))
    assert workshop.events == []


def test_changed_lock_is_followed(workshop: Workshop) -> None:
    """A new version in the lock replaces the old one, its compiled code included (same size, same time)."""
    workshop.ensure()
    workshop.lock("VALUE = 2\n", "2.0")
    assert not environments.is_ready("small", root=workshop.root)
    environment = workshop.ensure()
    assert value_of(environment) == "2"
    assert [path.name for path in installed.site_packages(environment.folder).glob("gadget*.dist-info")] == [
        "gadget-2.0.dist-info"
    ]


def test_interrupted_creation_is_done_again(workshop: Workshop) -> None:
    """A folder without its stamp, which is written last, is removed and made anew."""
    environment = workshop.ensure()
    environment.stamp.unlink()
    (environment.folder / "half-written").touch()
    assert value_of(workshop.ensure()) == "1"
    assert not (environment.folder / "half-written").exists()


def test_spoilt_stamp_counts_as_none(workshop: Workshop) -> None:
    """A stamp cut short by a crash does not pass for a whole one."""
    environment = workshop.ensure()
    environment.stamp.write_bytes(environment.stamp.read_bytes()[:40])
    workshop.ensure()
    assert workshop.told("environment.ready") == 2


def test_moved_folder_is_made_again(workshop: Workshop) -> None:
    """Launchers hold absolute paths, so a moved environment is not used."""
    workshop.ensure()
    workshop.root.rename(workshop.repository / "elsewhere")
    assert not environments.is_ready("small", root=workshop.repository / "elsewhere")


def test_removed_interpreter_is_noticed(workshop: Workshop) -> None:
    """An environment whose Python was uninstalled is not ready."""
    environment = workshop.ensure()
    environment.python.unlink()
    environment.python.symlink_to(workshop.repository / "gone")
    assert not environments.is_ready("small", root=workshop.root)


def test_two_at_once_make_one(workshop: Workshop) -> None:
    """Of two that want the same environment, one makes it and the other waits."""
    threads = [threading.Thread(target=workshop.ensure) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert workshop.told("environment.creating") == 1
    assert environments.is_ready("small", root=workshop.root)


def test_identity_does_not_depend_on_the_folder(workshop: Workshop) -> None:
    """The same wheels in another folder have the same identity."""
    workshop.ensure()
    workshop.ensure(root=workshop.repository / "other")
    first = environments.identity("small", root=workshop.root)
    assert first == environments.identity("small", root=workshop.repository / "other")
    assert set(first) >= {"python", "interpreter", "gadget"}
    assert first["gadget"].startswith("1.0 sha256:")


def test_identity_tells_content_apart(workshop: Workshop) -> None:
    """A package with the same name and version but another content has another identity."""
    workshop.ensure()
    before = environments.identity("small", root=workshop.root)
    workshop.lock("VALUE = 3\n")
    workshop.ensure()
    after = environments.identity("small", root=workshop.root)
    assert {name for name in after if after[name] != before[name]} == {"gadget"}


def test_identity_follows_what_is_installed(workshop: Workshop) -> None:
    """A package replaced behind the lock's back changes the identity."""
    environment = workshop.ensure()
    before = environments.identity("small", root=workshop.root)
    other = make_wheel(workshop.repository / "other", "gadget", "1.5", "VALUE = 5\n")
    environments_uv(environment, other)
    assert environments.identity("small", root=workshop.root)["gadget"] != before["gadget"]


def environments_uv(environment: environments.Environment, wheel: Path) -> None:
    """Install a wheel the way a person would, past the lock."""
    from pipeline.uv import run_uv

    run_uv(["pip", "install", "--python", environment.python, wheel], environment.folder)


@pytest.mark.parametrize("damage", ["changed", "missing", "extra"])
def test_altered_files_are_refused(workshop: Workshop, damage: str) -> None:
    """A file that was changed, removed or added stops the job before it starts, and is named."""
    packages = installed.site_packages(workshop.ensure().folder)
    environments.check("small", root=workshop.root)
    damages: dict[str, Callable[[], object]] = {
        "changed": lambda: (packages / "gadget.py").write_text("VALUE = 7\n"),
        "missing": (packages / "gadget.py").unlink,
        "extra": lambda: (packages / "sitecustomize.py").write_text("import os\n"),
    }
    damages[damage]()
    with pytest.raises(EnvironmentSetupError, match=rf"\.py \({damage}\)") as caught:
        environments.check("small", root=workshop.root)
    assert "--again small" in caught.value.advice


def test_restored_times_do_not_hide_a_change(workshop: Workshop) -> None:
    """A flipped character with the old size and modification time is found."""
    path = installed.site_packages(workshop.ensure().folder) / "gadget.py"
    before = path.stat()
    path.write_text("VALUE = 9\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(EnvironmentSetupError, match="gadget"):
        environments.check("small", root=workshop.root)


def test_touched_file_is_read_and_accepted(workshop: Workshop) -> None:
    """New times alone make the check read the files; they are as installed, so it passes."""
    path = installed.site_packages(workshop.ensure().folder) / "gadget.py"
    path.touch()
    environments.check("small", root=workshop.root)


def test_again_mends_an_altered_environment(workshop: Workshop) -> None:
    """Made anew with fresh packages: the installer's cache shares the altered file."""
    path = installed.site_packages(workshop.ensure().folder) / "gadget.py"
    with path.open("r+") as stream:
        stream.write("VALUE = 9")
    environments.ensure("small", workshop.emit, root=workshop.root, again=True)
    environments.check("small", root=workshop.root, thorough=True)


def test_llama_cpp_wheel_counts(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The inference environment holds the vendored wheel, and its digest stands in the identity."""
    wheel = make_wheel(workshop.repository / "built", "llama_cpp_python", "0.3.36", "BUILT = True\n")

    def built(root: Path, emit: environments.Emit) -> Wheel:
        return Wheel(wheel, "ab" * 32, "key")

    monkeypatch.setattr(environments, "_llama_cpp_wheel", built)
    (workshop.repository / "llama_cpp_vendor").mkdir()
    workshop.lock(name="build")
    workshop.lock(name="infer")
    workshop.ensure("inference")
    found = environments.identity("inference", root=workshop.root)
    assert found["llama-cpp-wheel"] == f"sha256:{'ab' * 32}"
    assert found["llama-cpp-python"].startswith("0.3.36 sha256:")


def test_llama_cpp_pin_change_is_noticed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed pin or build file makes the inference environment out of date."""
    wheel = make_wheel(workshop.repository / "built", "llama_cpp_python", "0.3.36", "BUILT = True\n")
    monkeypatch.setattr(environments, "_llama_cpp_wheel", lambda root, emit: Wheel(wheel, "ab" * 32, "key"))
    vendor = workshop.repository / "llama_cpp_vendor"
    vendor.mkdir()
    workshop.lock(name="build")
    workshop.lock(name="infer")
    workshop.ensure("inference")
    (vendor / "pin.toml").write_text("version = 2\n")
    assert not environments.is_ready("inference", root=workshop.root)


def test_the_tools_are_unpacked_once_and_can_be_executed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools and libraries of the wheel that has them; the binding stays out."""
    path = workshop.repository / "tools.whl"
    tool = zipfile.ZipInfo("llama_cpp/bin/llama-server")
    tool.external_attr = 0o755 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(tool, "#!/bin/sh\necho served\n")
        archive.writestr("llama_cpp/lib/libllama.so", "library")
        archive.writestr("llama_cpp/llama.py", "binding")
    asked = []

    def built(root: Path, emit: environments.Emit, backend: str) -> Wheel:
        asked.append(backend)
        return Wheel(path, "ab" * 32, "cd" * 32)

    monkeypatch.setattr(environments, "_llama_cpp_wheel", built)
    folder = environments.tools(workshop.emit, root=workshop.root)
    assert subprocess.check_output([folder / "llama-server"], text=True) == "served\n"
    assert (folder.parent / "lib" / "libllama.so").is_file()
    assert not (folder.parent / "llama.py").exists()
    assert environments.tools(workshop.emit, root=workshop.root) == folder
    assert asked == ["cpu-tools", "cpu-tools"]


def test_unknown_name_lists_the_known(workshop: Workshop) -> None:
    """A typo is answered with the names that exist."""
    with pytest.raises(UsageError) as caught:
        workshop.ensure("smal")
    assert "small" in caught.value.advice


def test_wrong_hash_is_refused(workshop: Workshop) -> None:
    """A wheel that is not the locked one is not installed, and no stamp is left."""
    make_wheel(workshop.wheels, "gadget", "1.0", "VALUE = 'swapped'\n")
    with pytest.raises(EnvironmentSetupError, match="not the one that the lock names"):
        workshop.ensure()
    assert not environments.is_ready("small", root=workshop.root)


def test_unreachable_index_is_said(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the message speaks of the network."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentSetupError, match="cannot be reached"):
        workshop.ensure()


def test_missing_cpu_torch_names_the_one_setting(workshop: Workshop) -> None:
    """Where no CPU wheel of torch is offered, the message says which setting offers it."""
    lock = workshop.repository / "lockfiles" / "small.txt"
    lock.write_text(f"torch==2.13.0+cpu \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(EnvironmentSetupError, match="no CPU wheel of torch") as caught:
        workshop.ensure()
    assert "PIP_EXTRA_INDEX_URL" in caught.value.advice


def test_folder_that_is_a_file_is_said(workshop: Workshop) -> None:
    """A root that cannot be made is an error of the set-up, not a trace."""
    workshop.root.write_text("in the way")
    with pytest.raises(EnvironmentSetupError):
        workshop.ensure()


def test_command_line(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    """The command makes what it is told, prints progress as lines, and answers errors with their exit code."""
    assert environments.main(["--root", str(workshop.root), "--check", "small"]) == 0
    assert environments.main(["--root", str(workshop.root), "tall"]) == UsageError.exit_code
    told = capsys.readouterr().err
    assert "environment.ready name=small" in told
    assert "there is no environment 'tall'" in told
