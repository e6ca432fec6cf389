"""Hostile TOML: recipes and run settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.loading import SHIPPED, load_recipe
from pipeline.settings import load_settings
from tests.fuzz.bounds import read_within
from tests.fuzz.hostile import damaged
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

RECIPE: Final = (SHIPPED / "seedling.toml").read_text(encoding="utf-8")
SETTINGS: Final = """executor = "docker"
jobs = 2
[docker]
memory = "12g"
gpus = [0, "GPU-1"]
timeout_s = 1.5
variants = { training = "cpu" }
[hosts]
training = "ssh://user@host"
[judge]
base_url = "http://127.0.0.1:8080/v1"
key_variable = "JUDGE_KEY"
"""

_HOSTILE: Final = st.sampled_from(
    [
        "9" * 5000,
        "-1",
        "nan",
        "inf",
        "1e400",
        "9223372036854775808",
        '""',
        '"../../escape"',
        '"/etc/passwd"',
        r'"a\u0000b"',
        r'"\u001b]0;title\u0007"',
        r'"\u202egpj"',
        "[" * 100_000,
        "[" * 3000 + "]" * 3000,
        "{a=" * 3000,
        "[[], {}]",
        "{}",
        "true",
        "9999-12-31T23:59:60Z",
        "1979-02-30",
        '"' + "x" * 100_000 + '"',
    ]
)
_KEYS: Final = st.sampled_from(
    ['"\\u0000"', "a." * 3000 + "b", '"../x"', '"\\u202e"', "self", "model_config", "__class__"]
)


@st.composite
def changed(draw: st.DrawFn, valid: str) -> bytes:
    """Return TOML in which values, keys or lines are others; at times with damaged bytes too."""
    lines = valid.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        name, equals, _ = lines[at].partition("=")
        kind = draw(st.sampled_from(["value", "value", "key", "repeat", "table"]))
        if kind == "value" and equals:
            lines[at] = f"{name}= {draw(_HOSTILE)}"
        elif kind == "key":
            lines.insert(at, f"{draw(_KEYS)} = {draw(_HOSTILE)}")
        elif kind == "repeat":
            lines.insert(at, lines[at])
        else:
            lines.insert(
                at, draw(st.sampled_from(["[", "[]", "[[data]]", "[data", "[a.b.c]", "[" + "a." * 3000 + "b]"]))
            )
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    return draw(damaged(content)) if draw(st.integers(0, 3)) == 0 else content


@fuzzed()
@given(content=changed(RECIPE))
@example(content=b"a = " + b"[" * 100_000)
@example(content=b"a = " + b"{a=" * 3000)
@example(content=b"a = " + b"9" * 5000)
@example(content=b"a." * 3000 + b"b = 1")
@example(content=b"\xff\xfea")
def test_recipe(content: bytes, tmp_path: Path) -> None:
    """Numbers that are none, paths, deep nesting, repeated and endless keys: every problem told in words."""
    path = tmp_path / "hostile.toml"
    path.write_bytes(content)
    result_or_error(lambda: load_recipe(path))


@fuzzed()
@given(content=changed(SETTINGS))
@example(content=b"a = " + b"[" * 100_000)
@example(content=b"jobs = " + b"9" * 5000)
@example(content=b"a." * 3000 + b"b = 1")
def test_run_settings(content: bytes, tmp_path: Path) -> None:
    """The same for the run settings."""
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    result_or_error(lambda: load_settings(path))


@fuzzed(0.3)
@given(argument=st.sampled_from(["a\0b", "../seedling", "\x1b[2J", "x" * 5000, "", "/", "\u202egpj"]))
def test_the_name_of_a_recipe(argument: str) -> None:
    """What stands behind `--recipe` names a file, a shipped recipe, or nothing."""
    result_or_error(lambda: load_recipe(argument))


@pytest.mark.parametrize(
    "content", ["a = " + "[" * 2_000_000, "a" + " " * 100_000 + "x", "a." * 200_000 + "b = 1", "a." * 60_000 + "b = 1"]
)
def test_a_hostile_recipe_costs_neither_memory_nor_time(content: str, tmp_path: Path) -> None:
    """Two megabytes of it, under 400 MB of address space and 20 s of processor time."""
    path = tmp_path / "hostile.toml"
    path.write_text(content)
    imports, call = "from pipeline.loading import load_recipe", "load_recipe(Path(sys.argv[1]))"
    assert read_within(400, 20, imports, call, str(path)).startswith("refused")
