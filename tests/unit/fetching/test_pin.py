"""Pinning: what the hub says about a revision, written into a recipe once."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import FetchError, RecipeError
from pipeline.loading import load_recipe
from pipeline.recipe_sources import HubBase
from tests.support.events import Events
from tests.support.hub_server import REVISION, HubServer

RECIPE = """\
# My recipe.
name = "mine"
description = "a test"

[base]  # the model
source = "hub"
repo = "owner/model"  # the 16-bit one

# The rows.
[data]
source = "files"
files = ["rows.jsonl"]

[prompt]
user = "{theme}"
"""

PINNED = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose base is not pinned."""
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def run(path: Path, events: Events) -> dict[str, str]:
    """Pin a recipe."""
    from pipeline.fetching.pin import pin

    return pin(path, emit=events)


def test_writes_revision_and_digests(hub: HubServer, recipe: Path, events: Events) -> None:
    """The branch is resolved to a full revision; only allowed files are listed, each with its true sha256."""
    found = run(recipe, events)
    base = load_recipe(recipe).base
    assert isinstance(base, HubBase)
    assert base.revision == REVISION
    assert base.files == {name: hub.pins()[name] for name in PINNED}
    assert found == {f"owner/model/{name}": sha256 for name, sha256 in base.files.items()}


def test_keeps_the_rest_of_the_text(hub: HubServer, recipe: Path, events: Events) -> None:
    """Comments, order and every other line stay."""
    run(recipe, events)
    text = recipe.read_text(encoding="utf-8")
    lines = iter(text.splitlines())
    assert all(line in lines for line in RECIPE.splitlines())
    assert text.index("[base.files]") < text.index("# The rows.")


def test_twice_changes_nothing(hub: HubServer, recipe: Path, events: Events) -> None:
    """Pinning what is pinned leaves the file as it is."""
    run(recipe, events)
    before = recipe.stat().st_mtime_ns, recipe.read_bytes()
    run(recipe, events)
    assert (recipe.stat().st_mtime_ns, recipe.read_bytes()) == before


def test_does_not_download_large_files(hub: HubServer, recipe: Path, events: Events) -> None:
    """The sha256 of a large file is the hub's own."""
    run(recipe, events)
    assert hub.ranges("model.safetensors") == []


def test_pins_the_training_copy_too(hub: HubServer, recipe: Path, events: Events) -> None:
    """A 4-bit copy gets its own revision and files, in its own table."""
    text = RECIPE.replace("# The rows.", '[base.training]\nrepo = "owner/model"\n\n# The rows.')
    recipe.write_text(text + '\n[train]\ntrainer = "unsloth"\nload_in_4bit = true\n', encoding="utf-8")
    run(recipe, events)
    raw = tomllib.loads(recipe.read_text(encoding="utf-8"))
    assert raw["base"]["training"]["revision"] == raw["base"]["revision"] == REVISION
    assert raw["base"]["training"]["files"] == raw["base"]["files"]


def test_replaces_pins_of_another_revision(hub: HubServer, recipe: Path, events: Events) -> None:
    """After the user took the revision out, files of the old one do not stay."""
    recipe.write_text(
        RECIPE.replace("# The rows.", f'[base.files]\n"old.json" = "{"0" * 64}"\n\n# The rows.'), encoding="utf-8"
    )
    run(recipe, events)
    assert sorted(tomllib.loads(recipe.read_text(encoding="utf-8"))["base"]["files"]) == PINNED


def test_never_replaces_a_digest_of_the_same_revision(hub: HubServer, recipe: Path, events: Events) -> None:
    """A commit does not change: other bytes under the same revision are an error, not a new pin."""
    run(recipe, events)
    before = recipe.read_bytes()
    hub.files["config.json"] = b'{"model_type": "other"}'
    with pytest.raises(FetchError, match="the recipe pinned"):
        run(recipe, events)
    assert recipe.read_bytes() == before


def test_small_file_with_other_bytes_than_git_names(hub: HubServer, recipe: Path, events: Events) -> None:
    """A small file is checked against git's object id, so that a proxy cannot pin its own bytes."""
    hub.faults.corrupt["config.json"] = 9
    with pytest.raises(FetchError, match="git object"):
        run(recipe, events)
    assert recipe.read_text(encoding="utf-8") == RECIPE


def test_revision_of_the_recipe_is_kept(hub: HubServer, recipe: Path, events: Events) -> None:
    """A revision that the recipe names is asked for, not the branch."""
    text = RECIPE.replace("# the 16-bit one", f'# the 16-bit one\nrevision = "{"9" * 40}"')
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(FetchError, match="no such revision"):
        run(recipe, events)


def test_model_without_safetensors(hub: HubServer, recipe: Path, events: Events) -> None:
    """A repository that only has pickles is not pinned."""
    del hub.files["model.safetensors"]
    with pytest.raises(FetchError, match="pickle"):
        run(recipe, events)


def test_model_that_brings_code(hub: HubServer, recipe: Path, events: Events) -> None:
    """A configuration with auto_map is refused before anything is pinned."""
    hub.files["tokenizer_config.json"] = b'{"auto_map": {"AutoTokenizer": ["x.Own", null]}}'
    with pytest.raises(FetchError, match="auto_map"):
        run(recipe, events)


def test_nothing_to_pin(client: None, events: Events) -> None:
    """The seedling makes its own base: there is nothing on the hub to pin."""
    with pytest.raises(RecipeError, match="nothing to pin"):
        run(Path("seedling"), events)


def test_base_that_is_not_a_table_of_its_own(hub: HubServer, recipe: Path, events: Events) -> None:
    """An inline table is not rewritten; the message says how to write it."""
    head, _, rest = RECIPE.partition("[base]")
    rest = "[data]" + rest.partition("[data]")[2]
    recipe.write_text(head + 'base = { source = "hub", repo = "owner/model" }\n' + rest, encoding="utf-8")
    with pytest.raises(RecipeError, match="cannot be written") as caught:
        run(recipe, events)
    assert "[base.files]" in caught.value.advice


def test_tells_what_it_pinned(hub: HubServer, recipe: Path, events: Events) -> None:
    """An event names repository and revision."""
    run(recipe, events)
    assert events.of("pin.model") == [
        {"table": "base", "repo": "owner/model", "revision": REVISION, "files": len(PINNED)}
    ]


def test_digest_of_small_files_is_of_their_bytes(hub: HubServer, recipe: Path, events: Events) -> None:
    """Small files carry no sha256 on the hub: it is taken from what was read."""
    found = run(recipe, events)
    assert found["owner/model/config.json"] == hashlib.sha256(hub.files["config.json"]).hexdigest()


def test_keeps_windows_line_ends(hub: HubServer, recipe: Path, events: Events) -> None:
    """A recipe written on Windows stays one: no line end of another kind comes in."""
    recipe.write_bytes(RECIPE.replace("\n", "\r\n").encode())
    run(recipe, events)
    content = recipe.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert load_recipe(recipe).base.source == "hub"


def test_recipe_that_cannot_be_written(
    hub: HubServer, recipe: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe in a read-only place is told to be copied."""
    from pipeline.fetching import pin as module

    def refuse(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "write_atomic", refuse)
    with pytest.raises(RecipeError, match="cannot be written") as caught:
        run(recipe, events)
    assert "copy the recipe" in caught.value.advice
