"""The store keeps what it was given, finds every damage, and survives a crash at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.digest import digest_entries, digest_folder
from pipeline.errors import StoreBusyError
from pipeline.store import Store, signature
from tests.support.killed import Act, killed_at_every_step


def put(store: Store, key: str, text: str = "a row\n") -> Manifest:
    """Publish one artifact with one file."""
    output = store.workspace("stage") / "output"
    output.mkdir()
    (output / "rows.jsonl").write_text(text)
    manifest = store.describe(key, "stage", {"version": 1}, output)
    store.publish(manifest, output, {"wall_s": 1.0})
    return manifest


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store", "run")


def test_a_published_artifact_is_found_by_its_key(store: Store) -> None:
    """The manifest that comes back is the one that was published."""
    manifest = put(store, "k1")
    assert store.manifest("k1") == manifest
    assert (store.folder(manifest) / "rows.jsonl").read_text() == "a row\n"
    assert store.damage(manifest) == []


def test_an_unknown_key_is_none(store: Store) -> None:
    """A miss is not an error."""
    assert store.manifest("nothing") is None


def test_equal_bytes_under_two_keys_share_one_folder(store: Store) -> None:
    """Contents are named by their digest."""
    assert store.folder(put(store, "k1")) == store.folder(put(store, "k2"))
    assert len(list((store.root / "contents").iterdir())) == 1


def test_a_flipped_bit_with_the_time_put_back_is_found(store: Store) -> None:
    """Size and modification time alone would not see it: the ctime does."""
    manifest = put(store, "k1")
    path = store.folder(manifest) / "rows.jsonl"
    before = path.stat()
    path.chmod(0o644)
    path.write_text("b row\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "sha256" in store.damage(manifest)[0]


def test_a_missing_file_and_an_extra_file_are_found(store: Store) -> None:
    """A folder holds exactly what its manifest names."""
    manifest = put(store, "k1")
    folder = store.folder(manifest)
    (folder / "more.txt").write_text("x")
    assert store.damage(manifest) == ["more.txt: not in the manifest"]
    (folder / "more.txt").unlink()
    (folder / "rows.jsonl").unlink()
    assert "No such file" in store.damage(manifest)[0]


def test_a_touched_file_with_the_same_bytes_is_trusted_again(store: Store) -> None:
    """A changed time alone costs one hash and no rebuild."""
    manifest = put(store, "k1")
    os.utime(store.folder(manifest) / "rows.jsonl")
    assert store.damage(manifest) == []


def test_damage_is_set_aside_and_never_used(store: Store) -> None:
    """After quarantine the contents are out of the way and a rebuild takes their place."""
    manifest = put(store, "k1")
    aside = store.quarantine(manifest)
    assert aside.is_dir()
    assert not store.folder(manifest).exists()
    put(store, "k1")
    assert store.damage(manifest, rehash=True) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 99}', "\x00" * 64])
def test_a_manifest_that_power_loss_left_broken_is_a_miss(store: Store, text: str) -> None:
    """Zero-length, truncated and foreign manifests are treated as not there."""
    put(store, "k1")
    store.manifest_path("k1").write_text(text)
    assert store.manifest("k1") is None


def test_publishing_over_damaged_contents_replaces_them(store: Store) -> None:
    """The same bytes published again heal a damaged folder."""
    manifest = put(store, "k1")
    path = store.folder(manifest) / "rows.jsonl"
    path.chmod(0o644)
    path.write_text("damaged")
    put(store, "k2")
    assert store.damage(replace(manifest, key="k2"), rehash=True) == []


def test_work_in_progress_of_a_dead_run_is_removed(tmp_path: Path) -> None:
    """A run that was killed leaves its folder; the next run removes it, but not that of a living one."""
    code = (
        "import sys; from pathlib import Path; from pipeline.store import Store\n"
        f"store = Store(Path({str(tmp_path / 'store')!r}), 'killed')\n"
        "with store.opened():\n"
        "    store.workspace('train'); print('ready', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    left = tmp_path / "store" / "tmp" / "killed" / "train"
    with Store(tmp_path / "store", "second").opened():
        assert left.is_dir()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Store(tmp_path / "store", "third").opened():
        assert not left.exists()


def test_gc_refuses_while_a_run_is_going_on(store: Store) -> None:
    """Nothing is removed under a run."""
    with store.opened(), pytest.raises(StoreBusyError):
        store.collect(set)


def test_gc_keeps_what_is_named_and_removes_the_rest(store: Store) -> None:
    """Manifests, contents, records and index entries go together."""
    kept, gone = put(store, "k1", "one"), put(store, "k2", "two")
    found = store.collect(lambda: {"k1"})
    assert found["artifacts_removed"] == 1
    assert found["bytes_freed"] > 0
    assert store.manifest("k1") == kept
    assert store.damage(kept, rehash=True) == []
    assert store.manifest("k2") is None
    assert not store.folder(gone).exists()


def test_gc_dry_run_removes_nothing(store: Store) -> None:
    """A dry run only counts."""
    put(store, "k1")
    assert store.collect(set, dry_run=True)["artifacts_removed"] == 1
    assert store.manifest("k1") is not None


def test_gc_keeps_interrupted_work_unless_asked(store: Store) -> None:
    """Hours of training in scratch are not garbage."""
    scratch = store.scratch("k1")
    (scratch / "checkpoint").write_text("x")
    put(store, "k2")
    store.collect(lambda: {"k2"})
    assert scratch.exists()
    store.collect(lambda: {"k2"}, scratch=True)
    assert not scratch.exists()


def test_a_key_is_held_by_one_builder_at_a_time(store: Store) -> None:
    """A second builder waits, and gives up when told to."""
    asked: list[bool] = []

    def give_up() -> bool:
        asked.append(True)
        return len(asked) < 3

    with store.key_lock("k1"), pytest.raises(StoreBusyError), store.key_lock("k1", waiting=give_up):
        pass
    assert len(asked) == 3


def test_two_threads_publishing_the_same_bytes_both_succeed(store: Store) -> None:
    """Different keys with one content meet in one folder."""
    outputs = []
    for name in ("a", "b"):
        output = store.workspace(name) / "output"
        output.mkdir()
        (output / "x").write_text("same")
        outputs.append((store.describe(name, "stage", {}, output), output))
    threads = [threading.Thread(target=store.publish, args=(m, o, {})) for m, o in outputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(store.damage(manifest, rehash=True) == [] for manifest, _ in outputs)


def test_contents_that_were_repaired_meanwhile_are_not_set_aside(store: Store) -> None:
    """Two runs saw the same damage; the second must not throw away what the first has mended."""
    manifest = put(store, "k1", "a")
    assert store.set_aside_if_damaged(manifest) == store.folder(manifest)
    file = store.folder(manifest) / "rows.jsonl"
    file.chmod(0o644)
    file.write_text("b")
    aside = store.set_aside_if_damaged(manifest)
    assert (aside / "rows.jsonl").read_text() == "b"
    assert not store.folder(manifest).exists()


def test_an_artifact_that_is_distrusted_is_hashed_by_the_next_look(store: Store) -> None:
    """Bit rot that `verify` found is found by the next run too, although no time has moved."""
    manifest = put(store, "k1", "a")
    file = store.folder(manifest) / "rows.jsonl"
    file.chmod(0o644)
    file.write_text("b")
    store._write_signatures(manifest, {"rows.jsonl": signature(file)})
    assert store.damage(manifest) == []
    store.distrust(manifest)
    assert len(store.damage(manifest)) == 1


def publishing(folder: Path) -> Iterator[None]:
    """The first artifact of a store; a file of it is linked from scratch, as checkpoints are."""
    store = Store(folder / "store", "killed")
    output = store.workspace("stage") / "output"
    (output / "model").mkdir(parents=True)
    (output / "rows.jsonl").write_text("a row\n")
    scratch = store.scratch("k1") / "weights"
    scratch.write_text("weights")
    (output / "model" / "weights").hardlink_to(scratch)
    manifest = store.describe("k1", "stage", {"version": 1}, output)
    yield
    store.publish(manifest, output, {"wall_s": 1.0})


def publishing_over_a_sound_one(folder: Path) -> Iterator[None]:
    """The same key once more with other bytes: a stage that is rebuilt after its manifest was lost gives such."""
    store = Store(folder / "store", "killed")
    put(store, "k1", "an older row\n")
    yield
    put(store, "k1")


def publishing_over_a_damaged_one(folder: Path) -> Iterator[None]:
    """The same key and bytes once more, because those in the store have rotted."""
    store = Store(folder / "store", "killed")
    path = store.folder(put(store, "k1")) / "rows.jsonl"
    path.chmod(0o644)
    path.write_text("a r0w\n")
    yield
    put(store, "k1")


PUBLISHING = (publishing, publishing_over_a_sound_one, publishing_over_a_damaged_one)


@pytest.mark.parametrize("act", PUBLISHING[:2])
def test_a_publisher_killed_at_any_step_leaves_the_old_artifact_or_the_new_one(act: Act, tmp_path: Path) -> None:
    """SIGKILL before and after every write, sync, rename and removal: what the manifest names is whole."""
    folders = killed_at_every_step(act, tmp_path)
    assert len(folders) > 20, "so few steps cannot be all"
    found = [Store(folder / "store").manifest("k1") for folder in folders]
    for folder, manifest in zip(folders, found, strict=True):
        if manifest is not None:
            assert Store(folder / "store").damage(manifest, rehash=True) == [], folder.name
    states = [manifest and manifest.content for manifest in found]
    turn = states.index(states[-1])
    assert states == [states[0]] * turn + [states[-1]] * (len(states) - turn)
    assert states[0] != states[-1]
    assert (states[0] is None) == (act is publishing)


@pytest.mark.parametrize("act", PUBLISHING)
def test_after_a_publisher_was_killed_at_any_step_the_same_key_can_be_published(act: Act, tmp_path: Path) -> None:
    """The next run finishes what the dead one began, and what lies in the store is what its names say."""
    for folder in killed_at_every_step(act, tmp_path):
        store = Store(folder / "store", "next")
        with store.opened():
            manifest = put(store, "k1")
        assert store.manifest("k1") == manifest
        assert store.damage(manifest, rehash=True) == [], folder.name
        assert store.record("k1") == {"wall_s": 1.0}
        contents = list((store.root / "contents").iterdir())
        assert [path.name for path in contents] == [digest_entries(digest_folder(path)) for path in contents]
        assert list((store.root / "tmp").iterdir()) == []


def test_a_publisher_killed_while_it_replaces_rotten_bytes_never_makes_them_trusted(tmp_path: Path) -> None:
    """A look that hashes nothing finds the damage, or its repair, as the thorough one does."""
    for folder in killed_at_every_step(publishing_over_a_damaged_one, tmp_path):
        store = Store(folder / "store")
        manifest = store.manifest("k1")
        assert manifest is not None, folder.name
        assert bool(store.damage(manifest)) == bool(store.damage(manifest, rehash=True)), folder.name


def test_an_interrupted_publisher_leaves_scratch_until_the_manifest_is_there(tmp_path: Path) -> None:
    """Without one of both, hours of training would be lost."""
    for folder in killed_at_every_step(publishing, tmp_path):
        store = Store(folder / "store")
        whole = (store.root / "scratch" / "k1" / "weights").is_file()
        assert whole or store.manifest("k1") is not None, folder.name


def test_gc_asks_what_is_needed_while_it_holds_the_store(store: Store) -> None:
    """Asked before, a run could end in between, and what it has just named would go."""
    held = []
    code = "import sys; from pathlib import Path; from pipeline.files import try_lock\n"
    code += "sys.exit(try_lock(Path(sys.argv[1]), shared=True) is None)"
    lock = store.root / "locks" / "store"

    def find_keep() -> set[str]:
        held.append(subprocess.run([sys.executable, "-c", code, lock], check=False).returncode)
        return set()

    store.collect(find_keep)
    assert held == [1]


def test_a_store_opened_within_itself_is_held_until_the_outer_end(store: Store) -> None:
    """A command opens it around a run, which opens it too: one registration, and its folder stays until the end."""
    with store.opened():
        registered = (store.root / "tmp" / "run").stat().st_ino
        with store.opened():
            assert (store.root / "tmp" / "run").stat().st_ino == registered
        assert (store.root / "tmp" / "run").is_dir()
        with pytest.raises(StoreBusyError):
            store.collect(set)
    assert not (store.root / "tmp" / "run").exists()
    store.collect(set)
