"""Releases from an address: the same checks, bounded, resumed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FetchError, ReleaseError, UsageError
from pipeline.verifying import download as module
from pipeline.verifying.download import download, is_address
from pipeline.verifying.trust import Trust
from tests.support.file_server import FileServer
from tests.support.released import MODELS
from tests.support.verified import Sound, wrong


@pytest.fixture
def server(sound: Sound) -> Iterator[FileServer]:
    """A server of a sound release."""
    with FileServer(sound.folder) as found:
        yield found


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where downloads go."""
    (tmp_path / "fetched").mkdir()
    return tmp_path / "fetched"


def silent(*_: object, **__: object) -> None:
    """Hear events and say nothing."""


def test_a_folder_is_fetched_whole(server: FileServer, sound: Sound, target: Path) -> None:
    """And verifies as it does where it lies."""
    folder = download(server.address, target, silent)
    assert not wrong(folder, Trust.of(None, [sound.public], any_signer=False))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in sound.folder.iterdir()
    }


def test_a_broken_transfer_goes_on_where_it_was(server: FileServer, target: Path) -> None:
    """Only what is missing is asked for again."""
    server.cut = {MODELS[1]: [100, 50]}
    download(server.address, target, silent)
    assert [given for name, given in server.asked if name == MODELS[1]] == ["", "bytes=100-", "bytes=150-"]
    assert (target / MODELS[1]).read_bytes() == (server.folder / MODELS[1]).read_bytes()


def test_a_transfer_that_breaks_each_time_is_told(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few tries."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.cut = {MODELS[1]: [1] * 20}
    with pytest.raises(FetchError, match="not fetched whole in 5 tries"):
        download(server.address, target, silent)


def test_one_model_is_fetched_with_its_papers(server: FileServer, target: Path) -> None:
    """The other models stay where they are."""
    path = download(f"{server.address}/{MODELS[0]}", target, silent)
    assert path == target / MODELS[0]
    assert not (target / MODELS[1]).exists()
    assert (target / "model.sig").is_file()


def test_a_list_with_paths_leads_nowhere(server: FileServer, target: Path) -> None:
    """Nothing is asked for, and nothing is written outside."""
    for name in ("../escape", "/etc/passwd", "a/b", "..", ".hidden", "a\\b", "-rf"):
        (server.folder / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n")
        shutil.rmtree(target)
        target.mkdir()
        with pytest.raises(ReleaseError, match="plain file name"):
            download(server.address, target, silent)
    assert {name for name, _ in server.asked} == {"SHA256SUMS"}


def test_an_endless_file_ends_at_its_bound(server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paper that never ends, and whose length nobody tells."""
    monkeypatch.setattr(module, "_MAX_PAPER", 1 << 20)
    server.endless = {"README.md"}
    with pytest.raises(FetchError, match="larger than may be fetched"):
        download(server.address, target, silent)
    assert (target / "README.md").stat().st_size <= 1 << 20


def test_a_model_larger_than_the_disk_is_refused_before_it_comes(
    server: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the length that the server tells."""
    free = sum(path.stat().st_size for path in server.folder.iterdir() if path.suffix != ".gguf") + 200
    assert (server.folder / MODELS[0]).stat().st_size > 200
    usage = shutil._ntuple_diskusage(1 << 40, 0, module._RESERVE + free)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(FetchError, match=r"model-Q4_K_M\.gguf is larger than may be fetched here \(\d+ bytes\)"):
        download(server.address, target, silent)


def test_what_is_not_there_is_told(server: FileServer, target: Path) -> None:
    """A file that the list names, a folder that is none, a model that the release has not."""
    with pytest.raises(FetchError, match="SHA256SUMS is not there"):
        download(f"{server.address}/nothing", target, silent)
    with pytest.raises(ReleaseError, match="lists no"):
        download(f"{server.address}/model-Q8_0.gguf", target, silent)
    (server.folder / "README.md").unlink()
    with pytest.raises(FetchError, match=r"README\.md is not there"):
        download(server.address, target, silent)


def test_a_circle_of_redirects_is_told(server: FileServer, target: Path) -> None:
    """It ends."""
    server.redirect = {"SHA256SUMS": f"{server.address}/SHA256SUMS"}
    with pytest.raises(FetchError, match="in a circle"):
        download(server.address, target, silent)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate of this machine's loopback with its key, which the client trusts."""
    key, certificate, both = tmp_path / "key.pem", tmp_path / "certificate.pem", tmp_path / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "1", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return both


def test_a_release_over_tls(sound: Sound, target: Path, tls: Path) -> None:
    """It is fetched where nothing leads away from TLS, however the scheme is written."""
    with FileServer(sound.folder, tls) as server:
        assert (download(server.address.replace("https", "HTTPS"), target, silent) / "model.sig").is_file()


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "hTTps"])
def test_no_way_leads_from_https_to_http(scheme: str, sound: Sound, target: Path, tls: Path) -> None:
    """Also not through http and back to https; nothing is asked of the server there."""
    with FileServer(sound.folder, tls) as safe, FileServer(sound.folder) as open_to_all:
        safe.redirect = {"SHA256SUMS": f"{open_to_all.address}/SHA256SUMS"}
        open_to_all.redirect = {"SHA256SUMS": f"{safe.address}/README.md"}
        with pytest.raises(FetchError, match="leads from https to http"):
            download(safe.address.replace("https", scheme), target, silent)
        assert open_to_all.asked == []


def test_a_hub_is_asked_by_repository_and_revision(sound: Sound, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hf://owner/name@revision` is the hub's address of files; `HF_ENDPOINT` names another hub."""
    with FileServer(sound.folder) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address.removesuffix("/base"))
        with pytest.raises(FetchError):
            download("hf://owner/name@v1", target, silent)
        assert server.asked == [("/owner/name/resolve/v1/SHA256SUMS", "")]
    for wrong_name in ("hf://owner", "hf://owner/na me", "hf:///x"):
        with pytest.raises(UsageError):
            download(wrong_name, target, silent)


def test_a_file_address_is_a_path(sound: Sound, target: Path) -> None:
    """Nothing is copied."""
    assert download(sound.folder.as_uri(), target, silent) == sound.folder
    with pytest.raises(UsageError):
        download("file:///no/such/folder", target, silent)


def test_logins_and_queries_are_refused(target: Path) -> None:
    """They would stand in the log."""
    for address in (
        "https://user:secret@host.example/x",
        "https://host.example/x?token=secret",
        "https://:secret@host.example/x",
        "https://secret@host.example/x",
        "hf://user:secret@owner/name",
        "file://user:secret@localhost/x",
        "https://[user:secret@host.example/x",
        "https://user:secret@host.example\u2100/x",
    ):
        with pytest.raises(UsageError) as caught:
            download(address, target, silent)
        assert "secret" not in str(caught.value)


def test_what_is_an_address() -> None:
    """A path never is one."""
    assert is_address("https://host.example/release")
    assert is_address("hf://owner/name")
    assert is_address("HTTPS://host.example/release")
    assert not is_address("build/ready/release")
    assert not is_address("C:release")
    assert not is_address("ftp://host.example/x")
