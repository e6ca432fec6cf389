"""Two builds of the same contents are one image, whichever engine saved them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ImageError
from pipeline.images.canonical import CanonicalImage, canonicalize
from tests.support.image_archive import Entry, diff_id, folder, layer, save_oci, save_older

EPOCH = 1_700_000_000
BASE = layer(folder("etc"), Entry("etc/debian_version", b"12", mtime=9e9))
ONE = layer(folder("opt", mtime=8e9), Entry("opt/b", b"b", mtime=8e9), Entry("opt/a", b"a", mtime=8e9))
OTHER = layer(Entry("opt/a", b"a", mtime=7e9), Entry("opt/b", b"b", mtime=7e9), folder("opt", mtime=7e9))
LEFT = layer(folder("tmp"), Entry("tmp/a.deb", b"deb"))


def canonical(saved: Path, *, base: bytes = BASE) -> CanonicalImage:
    """Return what an archive becomes; the result lies beside it as `<name>.canonical`."""
    target = saved.with_suffix(".canonical")
    return canonicalize(saved, target, base=[diff_id(base)], epoch=EPOCH, tag="here/image:cpu")


def written(path: Path, name: str) -> Any:
    """Return a JSON member of an archive."""
    with tarfile.open(path) as archive:
        stream = archive.extractfile(name)
        assert stream is not None
        return json.loads(stream.read())


def config_of(image: CanonicalImage, path: Path) -> Any:
    """Return the configuration that was written."""
    return written(path, f"blobs/sha256/{image.id.removeprefix('sha256:')}")


def test_two_builds_are_one_image(tmp_path: Path) -> None:
    """Other times, another order, another build container: the same id and manifest."""
    one = canonical(save_older(tmp_path / "one.tar", [BASE, ONE]))
    other = canonical(save_older(tmp_path / "other.tar", [BASE, OTHER], created="1999-01-01T00:00:00Z", container="e"))
    assert one == other


@pytest.mark.parametrize("packed", [False, True])
def test_both_formats_give_one_image(tmp_path: Path, packed: bool) -> None:  # noqa: FBT001 - a parameter
    """An OCI layout, its layers packed or not, and the older archive."""
    older = canonical(save_older(tmp_path / "older.tar", [BASE, ONE]))
    assert canonical(save_oci(tmp_path / "oci.tar", [BASE, ONE], packed=packed)) == older


def test_other_contents_are_another_image(tmp_path: Path) -> None:
    """One byte, or one variable of the environment."""
    changed = layer(Entry("opt/a", b"A", mtime=7e9), Entry("opt/b", b"b", mtime=7e9), folder("opt", mtime=7e9))
    images = [
        canonical(save_older(tmp_path / "0.tar", [BASE, ONE])),
        canonical(save_older(tmp_path / "1.tar", [BASE, changed])),
        canonical(save_older(tmp_path / "2.tar", [BASE, ONE], config={"Env": ["A=2"]})),
    ]
    assert len({image.id for image in images}) == 3


def test_the_base_stays_as_it_is(tmp_path: Path) -> None:
    """Its layer keeps its digest, so that engines share it."""
    image = canonical(save_older(tmp_path / "one.tar", [BASE, ONE]))
    assert image.layers[0] == diff_id(BASE)
    assert image.layers[1] != diff_id(ONE)


def test_an_empty_layer_goes(tmp_path: Path) -> None:
    """A copy into /tmp leaves no layer."""
    image = canonical(save_older(tmp_path / "one.tar", [BASE, LEFT, ONE, LEFT]))
    assert image.layers == canonical(save_older(tmp_path / "other.tar", [BASE, ONE])).layers


def test_the_configuration_holds_what_a_container_sees(tmp_path: Path) -> None:
    """Settings and labels stay; times, build containers and parent images are gone."""
    image = canonical(save_older(tmp_path / "one.tar", [BASE, ONE]))
    config = config_of(image, tmp_path / "one.canonical")
    assert config["config"] == {"Env": ["A=1"], "Labels": {"a": "b"}}
    assert {"container", "container_config", "docker_version"} & config.keys() == set()
    assert {entry["created"] for entry in config["history"]} == {config["created"]} == {"2023-11-14T22:13:20Z"}


def test_old_and_new_engines_can_load_it(tmp_path: Path) -> None:
    """The list that older engines read, and the layout that newer ones read, name the same blobs."""
    image = canonical(save_older(tmp_path / "one.tar", [BASE, ONE]))
    older = written(tmp_path / "one.canonical", "manifest.json")[0]
    newer = written(tmp_path / "one.canonical", "index.json")["manifests"][0]
    manifest = written(tmp_path / "one.canonical", f"blobs/sha256/{newer['digest'].removeprefix('sha256:')}")
    assert newer["digest"] == image.manifest
    assert older["Config"].endswith(manifest["config"]["digest"].removeprefix("sha256:"))
    assert [name.rpartition("/")[2] for name in older["Layers"]] == [
        entry["digest"].removeprefix("sha256:") for entry in manifest["layers"]
    ]
    assert older["RepoTags"] == ["here/image:cpu"]


def test_it_can_be_read_again(tmp_path: Path) -> None:
    """The canonical archive's own canonical form has the same id."""
    image = canonical(save_older(tmp_path / "one.tar", [BASE, ONE]))
    assert canonical((tmp_path / "one.canonical").rename(tmp_path / "again.tar")) == image


def test_a_layer_that_comes_twice_is_written_once(tmp_path: Path) -> None:
    """Two instructions with one effect: both count in the configuration, the bytes are there once."""
    image = canonical(save_older(tmp_path / "one.tar", [BASE, ONE, OTHER]))
    assert image.layers[1] == image.layers[2]
    with tarfile.open(tmp_path / "one.canonical") as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    assert config_of(image, tmp_path / "one.canonical")["rootfs"]["diff_ids"] == list(image.layers)


def test_another_base_is_refused(tmp_path: Path) -> None:
    """An image that does not stand on the base is no image of ours."""
    with pytest.raises(ImageError, match="does not stand on the base"):
        canonical(save_older(tmp_path / "one.tar", [BASE, ONE]), base=ONE)


def test_a_cut_archive_is_no_traceback(tmp_path: Path) -> None:
    """Half an archive is an error with its place."""
    whole = save_older(tmp_path / "one.tar", [BASE, layer(Entry("opt/big", b"1" * 100_000))])
    whole.write_bytes(whole.read_bytes()[:30_000])
    with pytest.raises(ImageError, match="cannot be read") as caught:
        canonical(whole)
    assert caught.value.where == str(whole)


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    """The layers' temporary files are gone."""
    canonical(save_older(tmp_path / "one.tar", [BASE, ONE]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.canonical", "one.tar"]
