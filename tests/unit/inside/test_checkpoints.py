"""Checkpoints that count only when they are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.inside import checkpoints


def made(folder: Path, step: int, *, sealed: bool = True, **state: Any) -> Path:
    """Write a checkpoint."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "adapter_model.safetensors").write_bytes(b"weights of step %d" % step)
    (checkpoint / checkpoints.STATE).write_text(json.dumps({"global_step": step, **state}))
    if sealed:
        checkpoints.seal(checkpoint)
    return checkpoint


def test_the_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    """Step 10 is newer than step 9 although its name sorts first."""
    made(tmp_path, 9)
    newest = made(tmp_path, 10)
    assert checkpoints.last_whole(tmp_path) == newest


def test_no_checkpoint_is_found_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A first run starts from nothing."""
    assert checkpoints.last_whole(tmp_path / "none") is None


def test_an_unsealed_checkpoint_is_ignored_and_deleted(tmp_path: Path) -> None:
    """A process killed while it wrote step 4 goes on from step 2."""
    whole, half = made(tmp_path, 2), made(tmp_path, 4, sealed=False)
    assert checkpoints.last_whole(tmp_path) == whole
    assert not half.exists()


def test_a_checkpoint_with_a_changed_file_is_ignored(tmp_path: Path) -> None:
    """A power cut can leave a sealed folder with an empty file."""
    whole, broken = made(tmp_path, 2), made(tmp_path, 4)
    (broken / "adapter_model.safetensors").write_bytes(b"")
    assert checkpoints.last_whole(tmp_path) == whole


def test_a_checkpoint_with_a_missing_file_is_ignored(tmp_path: Path) -> None:
    """Deleting was interrupted after one file."""
    broken = made(tmp_path, 4)
    (broken / "adapter_model.safetensors").unlink()
    assert checkpoints.last_whole(tmp_path) is None


def test_a_checkpoint_whose_best_is_gone_is_not_used(tmp_path: Path) -> None:
    """Without the best checkpoint the end of the run could not be the same."""
    made(tmp_path, 6, best_global_step=2)
    older = made(tmp_path, 4, best_global_step=4)
    assert checkpoints.last_whole(tmp_path) == older


def test_all_but_the_named_steps_are_deleted(tmp_path: Path) -> None:
    """The last and the best stay; None stands for no best yet."""
    for step in (2, 4, 6):
        made(tmp_path, step)
    checkpoints.keep_only(tmp_path, 6, 2, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-6"]


def test_the_best_is_found_again_when_the_folder_has_moved(tmp_path: Path) -> None:
    """The state holds a path; it is rewritten to the folder where the checkpoint lies now, and sealed again."""
    checkpoint = made(tmp_path, 4, best_global_step=4, best_model_checkpoint="/elsewhere/checkpoint-4")
    checkpoints.move_here(checkpoint)
    state = json.loads((checkpoint / checkpoints.STATE).read_text())
    assert state["best_model_checkpoint"] == str(checkpoint)
    assert checkpoints.is_whole(checkpoint)
