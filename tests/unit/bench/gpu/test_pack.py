"""What is carried to a machine without a network."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench.gpu import facts, pack
from bench.gpu.bench import Bench, tree_of
from bench.gpu.processes import NotMeasuredError
from bench.gpu.results import Results
from bench.table import REPOSITORY
from pipeline import environments

WHEEL = "bitsandbytes-0.50.2-py3-none-any.whl"


def wheel(tmp_path: Path) -> Path:
    """A wheel with the libraries of two CUDAs, and one of a processor."""
    path, names = (
        tmp_path / WHEEL,
        [f"bitsandbytes/libbitsandbytes_{kind}.so" for kind in ("cuda124", "cuda130", "cpu")],
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name in [*names, "bitsandbytes/__init__.py"]:
            archive.writestr(name, name)
        archive.writestr("bitsandbytes.dist-info/RECORD", "".join(f"{name},sha256=x,1\n" for name in names))
    return path


def test_of_bitsandbytes_one_cuda_is_kept(tmp_path: Path) -> None:
    """In the wheel and in its record; a processor's library stays."""
    path = wheel(tmp_path)
    pack.keep_one_cuda(path, "130")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        record = archive.read("bitsandbytes.dist-info/RECORD").decode()
    assert "bitsandbytes/libbitsandbytes_cuda124.so" not in names
    assert {"bitsandbytes/libbitsandbytes_cuda130.so", "bitsandbytes/libbitsandbytes_cpu.so"} < set(names)
    assert "cuda124" not in record
    assert "cuda130" in record


def test_a_cuda_that_the_wheel_lacks_is_refused(tmp_path: Path) -> None:
    """With those that it has; the wheel stays as it was."""
    path = wheel(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"no library for CUDA 999: .*cuda124"):
        pack.keep_one_cuda(path, "999")
    assert path.read_bytes() == before


def test_of_unsloth_its_page_is_left_out(tmp_path: Path) -> None:
    """What trains stays."""
    path = tmp_path / "unsloth-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("unsloth/__init__.py", "studio/frontend/page.js", "unsloth-1.dist-info/RECORD"):
            archive.writestr(name, "")
    pack.leave_out_studio(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["unsloth/__init__.py", "unsloth-1.dist-info/RECORD"]


def test_every_package_is_in_its_lock_with_hashes() -> None:
    """An update of the locks that drops one is seen here."""
    for lock, names in pack.PACKAGES.items():
        text = pack.locked(lock, names)
        assert text.count("==") == len(names)
        assert text.count("--hash=sha256:") >= len(names)


def test_the_packed_tree_is_found_again(tmp_path: Path) -> None:
    """Its scripts have the pinned digest, and llama_cpp's Python lies where it is imported from."""
    carried = tmp_path / "carried"
    carried.mkdir()
    pack.pack_llama_cpp(carried)
    bench = Bench(tmp_path / "work", "cpu", None, Path(sys.executable), Results((tmp_path / "work",)), carried=carried)
    assert facts.unpack_carried(bench, 60) == {"wheels": []}
    assert tree_of(bench).is_relative_to(tmp_path / "work")
    assert (tree_of(bench) / "ggml" / "CMakeLists.txt").is_file()
    assert (bench.site / "llama_cpp" / "llama_cpp.py").is_file()


def test_more_than_can_be_carried_at_a_time_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """64 MB in one folder; what is largest in it is named. A byte less is carried."""
    monkeypatch.setattr(pack, "download", lambda folder, _: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(pack, "pack_llama_cpp", lambda _: None)
    (tmp_path / "wheels").mkdir()
    with (tmp_path / "wheels" / "large.whl").open("wb") as stream:
        stream.truncate(64_000_000)
    assert pack.main([str(tmp_path)]) == 0
    (tmp_path / "small.tar.gz").write_bytes(b"1")
    assert pack.main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "over 64 MB, too much to carry at a time; the largest files: wheels/large.whl 64.0 MB" in said


def test_a_carried_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Its name was mistyped, or it did not travel."""
    bench = Bench(tmp_path, "cpu", None, Path(sys.executable), Results((tmp_path,)), carried=tmp_path / "gone")
    with pytest.raises(NotMeasuredError, match="gone is not there"):
        facts.unpack_carried(bench, 60)


def test_carried_wheels_reach_an_environment_without_pip(tmp_path: Path) -> None:
    """Those of the locks have none: the pip of the process that measures installs for them."""
    pip = environments.ensure("build", environments.print_event).python
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    (tmp_path / "carried" / facts.WHEELS).mkdir(parents=True)
    made = tmp_path / "carried" / facts.WHEELS / "spam-1-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("spam.py", "")
        wheel.writestr("spam-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: spam\nVersion: 1\n")
        wheel.writestr("spam-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("spam-1.dist-info/RECORD", "")
    script = (
        "import sys; from pathlib import Path; from bench.gpu import facts; from bench.gpu.bench import Bench;"
        "from bench.gpu.results import Results; work, python, carried = map(Path, sys.argv[1:]);"
        "print(facts.unpack_carried(Bench(work, 'cpu', None, python, Results((work,)), carried=carried), 60))"
    )
    command: list[str | Path] = [pip, "-c", script, tmp_path / "work", bare / "bin" / "python", tmp_path / "carried"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    assert (tmp_path / "work" / facts.SITE / "spam.py").is_file()
