"""Publishing to the hub: the real client against a small hub on loopback that takes uploads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.publishing.hub import HubPeer
from pipeline.publishing.peer import Survey
from tests.support.hub_upload_server import READER, TOKEN, HubUploadServer, Repository
from tests.support.publishing import refused, run, states
from tests.support.release_folder import digests, release_files, write_release

TARGET = "hf://owner/model"
LARGE = ("model-Q4_K_M.gguf", "model-f16.gguf")


def published(hub: HubUploadServer, branch: str = "main") -> dict[str, str]:
    """Return name → sha256 of what people see on a branch, without git's own file."""
    files = hub.repositories["owner/model"].at(branch) or {}
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != ".gitattributes"}


def existing(hub: HubUploadServer, files: dict[str, bytes]) -> Repository:
    """Make a repository that holds files."""
    hub.repositories["owner/model"] = found = Repository("public")
    found.commit("main", files)
    return found


class TestDryRun:
    """Without consent nothing changes."""

    def test_makes_nothing(self, hub: HubUploadServer, folder: Path) -> None:
        """No repository is made, nothing is uploaded; every file is told as missing."""
        told = run(folder, TARGET, yes=False)
        assert hub.repositories == {}
        assert set(states(told.survey).values()) == {"missing"}
        assert [method for _, method, _ in hub.asked if method not in ("GET", "HEAD")] == []

    def test_says_what_would_be_made(self, hub: HubUploadServer, folder: Path) -> None:
        """A repository that does not exist is told of, and that it would be private."""
        assert "the repository is made, private" in run(folder, TARGET, yes=False).survey.notes


class TestWhole:
    """An upload without faults."""

    def test_the_branch_holds_the_release(self, hub: HubUploadServer, folder: Path) -> None:
        """Every file is there byte for byte, large ones in parts, all in one commit."""
        run(folder, TARGET)
        assert published(hub) == digests(folder)
        assert hub.repositories["owner/model"].messages == ["initial commit", "Seedling titles 1.2.0"]
        assert any("part=2" in path for path in hub.uploads())

    def test_a_new_repository_is_private(self, hub: HubUploadServer, folder: Path) -> None:
        """Nobody but the account sees it."""
        run(folder, TARGET)
        assert hub.repositories["owner/model"].visibility == "private"

    def test_public_is_asked_for(self, hub: HubUploadServer, folder: Path) -> None:
        """A repository is public where that is meant."""
        run(folder, TARGET, public=True)
        assert hub.repositories["owner/model"].visibility == "public"

    def test_the_commit_is_told(self, hub: HubUploadServer, folder: Path) -> None:
        """The answer names the new commit, by which the release is found for ever."""
        told = run(folder, TARGET)
        assert told.texts[-1].startswith("Published seedling 1.2.0: hf://owner/model@")
        assert hub.repositories["owner/model"].branches["main"] in told.texts[-1]

    def test_to_a_branch(self, hub: HubUploadServer, folder: Path) -> None:
        """A branch that does not exist is made; main stays as it was."""
        existing(hub, {"README.md": b"main"})
        run(folder, f"{TARGET}@candidate", replace=True)
        assert published(hub, "candidate") == digests(folder)
        assert set(published(hub)) == {"README.md"}

    def test_again_sends_nothing(self, hub: HubUploadServer, folder: Path) -> None:
        """The second time everything is there, and no commit is made."""
        run(folder, TARGET)
        before = len(hub.asked)
        told = run(folder, TARGET)
        assert told.said[-1][0] == "publish.unchanged"
        assert {method for _, method, _ in hub.asked[before:]} <= {"GET", "HEAD"}

    def test_a_list_of_ignored_names_takes_nothing_out(self, hub: HubUploadServer, folder: Path) -> None:
        """A .gitignore of the repository does not make half a release."""
        existing(hub, {".gitignore": b"model-f16.gguf\nSHA256SUMS\n"})
        run(folder, TARGET)
        assert published(hub).items() >= digests(folder).items()


class TestInterrupted:
    """Uploads that break."""

    def test_a_connection_that_breaks_once(self, hub: HubUploadServer, folder: Path, patience: None) -> None:
        """The part is sent again; the file arrives whole."""
        hub.faults.cut = [10_000]
        run(folder, TARGET)
        assert published(hub) == digests(folder)

    def test_a_network_that_is_gone(self, hub: HubUploadServer, folder: Path, patience: None) -> None:
        """The error says so, and nothing is visible."""
        hub.faults.cut = [10_000] * 50
        error = refused(lambda: run(folder, TARGET), "the connection broke")
        assert error.exit_code == 63
        assert "signature" not in str(error)
        assert published(hub) == {}

    def test_what_was_sent_is_not_sent_again(self, hub: HubUploadServer, folder: Path) -> None:
        """After a run that was stopped before the commit, large files are known by their digest."""
        hub.faults.statuses["commit"] = [500]
        refused(lambda: run(folder, TARGET), "status 500")
        before = len(hub.uploads())
        run(folder, TARGET)
        assert published(hub) == digests(folder)
        assert len(hub.uploads()) == before


class TestVerified:
    """What the hub tells afterwards is compared."""

    def test_a_large_file_of_another_digest(self, hub: HubUploadServer, folder: Path) -> None:
        """The hub's own sha256 is not that of the file: an error with both."""
        hub.faults.other_digest = {"model-f16.gguf"}
        error = refused(lambda: run(folder, TARGET), "model-f16.gguf is not there as it was sent")
        assert "0" * 64 in str(error)
        assert digests(folder)["model-f16.gguf"] in str(error)

    def test_a_small_file_that_reads_back_changed(self, hub: HubUploadServer, folder: Path) -> None:
        """Files that the hub keeps in git are read back."""
        hub.faults.garble = {"recipe.toml"}
        refused(lambda: run(folder, TARGET), "recipe.toml is not there as it was sent")


class TestOthersRelease:
    """A branch that holds something already."""

    def test_the_same_version_is_not_overwritten(self, hub: HubUploadServer, folder: Path, tmp_path: Path) -> None:
        """The digest of the release that is there is named; with --replace it is a new commit."""
        other = write_release(tmp_path / "other", release_files(salt=b"other"))
        run(other, TARGET)
        error = refused(lambda: run(folder, TARGET), "another release of seedling 1.2.0")
        assert digests(other)["SHA256SUMS"] in str(error)
        assert published(hub) == digests(other)
        run(folder, TARGET, replace=True)
        assert published(hub) == digests(folder)

    def test_a_new_version_follows_the_old_one(self, hub: HubUploadServer, folder: Path, tmp_path: Path) -> None:
        """No --replace is needed: the old commit stays. What only the old release had is taken away."""
        old = write_release(tmp_path / "old", release_files("1.1.0", salt=b"old") | {"model-Q8_0.gguf": b"GGUF"})
        run(old, TARGET)
        told = run(folder, TARGET)
        assert told.survey.removals == ("model-Q8_0.gguf",)
        assert published(hub) == digests(folder)

    def test_a_release_of_another_model_is_not_overwritten(
        self, hub: HubUploadServer, folder: Path, tmp_path: Path
    ) -> None:
        """Whatever its version."""
        files = release_files("9.0.0", salt=b"x")
        files["recipe.toml"] = files["recipe.toml"].replace(b'"seedling"', b'"company-qa"')
        run(write_release(tmp_path / "other", files), TARGET)
        refused(lambda: run(folder, TARGET), "a release of company-qa 9.0.0")

    def test_files_of_no_release_are_not_overwritten(self, hub: HubUploadServer, folder: Path) -> None:
        """A model card that somebody wrote by hand stays."""
        existing(hub, {"README.md": b"mine"})
        refused(lambda: run(folder, TARGET), r"README\.md: git blob [0-9a-f]{40} is there")

    def test_a_foreign_file_beside_an_old_version_is_not_overwritten(
        self, hub: HubUploadServer, folder: Path, tmp_path: Path
    ) -> None:
        """A file that the old version does not list is somebody else's, though the new version has one of its name."""
        files = release_files("1.1.0", salt=b"old")
        del files["Modelfile"]
        run(write_release(tmp_path / "old", files), TARGET)
        theirs = hub.repositories["owner/model"]
        theirs.commit("main", {**(theirs.at("main") or {}), "Modelfile": b"mine"})
        error = refused(lambda: run(folder, TARGET), r"Modelfile: git blob [0-9a-f]{40} is there, in no release")
        assert "README.md" not in str(error)
        run(folder, TARGET, replace=True)
        assert published(hub) == digests(folder)

    @pytest.mark.parametrize("begun", ["new", "there"])
    def test_a_branch_that_moves_meanwhile(self, hub: HubUploadServer, folder: Path, begun: str) -> None:
        """Somebody else's commit that comes while files are uploaded is not overwritten, nor mixed with ours."""
        if begun == "there":
            existing(hub, {"notes.md": b"before"})

        def commit() -> None:
            hub.faults.on_whole = None
            theirs = hub.repositories["owner/model"]
            theirs.commit("main", {**(theirs.at("main") or {}), "README.md": b"theirs"}, "theirs")

        hub.faults.on_whole = commit
        refused(lambda: run(folder, TARGET), "somebody else changed the branch")
        assert hub.repositories["owner/model"].messages[-1] == "theirs"
        assert published(hub)["README.md"] == hashlib.sha256(b"theirs").hexdigest()

    def test_a_branch_that_goes_meanwhile(self, hub: HubUploadServer, folder: Path) -> None:
        """Somebody removes it while files are uploaded: in words."""
        existing(hub, {})
        hub.faults.on_whole = hub.repositories["owner/model"].branches.clear
        refused(lambda: run(folder, TARGET), "404")

    def test_a_repository_that_somebody_else_makes_meanwhile(
        self, hub: HubUploadServer, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the look and the making: what lies in it then was not looked at, and stays."""
        real = HubPeer.send

        def late(peer: HubPeer, survey: Survey) -> None:
            existing(hub, {"README.md": b"theirs"})
            real(peer, survey)

        monkeypatch.setattr(HubPeer, "send", late)
        refused(lambda: run(folder, TARGET), "somebody else made the repository meanwhile")
        assert published(hub) == {"README.md": hashlib.sha256(b"theirs").hexdigest()}

    def test_a_new_branch_is_no_mix_with_main(self, hub: HubUploadServer, folder: Path, tmp_path: Path) -> None:
        """It begins as main is: what only main's release has is taken away in it, and main stays."""
        old = write_release(tmp_path / "old", release_files("1.1.0", salt=b"old") | {"model-Q8_0.gguf": b"GGUF"})
        run(old, TARGET)
        told = run(folder, f"{TARGET}@candidate")
        assert told.survey.removals == ("model-Q8_0.gguf",)
        assert published(hub, "candidate") == digests(folder)
        assert published(hub) == digests(old)

    def test_a_new_branch_of_what_main_holds(self, hub: HubUploadServer, folder: Path) -> None:
        """Nothing has to be sent; the branch is made."""
        run(folder, TARGET)
        told = run(folder, f"{TARGET}@stable")
        assert told.sent == []
        assert published(hub, "stable") == digests(folder)


class TestRefused:
    """What a hub says no to."""

    def test_no_login(self, hub: HubUploadServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a token the way to one is told."""
        monkeypatch.delenv("HF_TOKEN")
        error = refused(lambda: run(folder, TARGET), "401")
        assert "hf auth login" in error.advice

    def test_no_rights(self, hub: HubUploadServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A token that may only read."""
        existing(hub, {})
        monkeypatch.setenv("HF_TOKEN", READER)
        error = refused(lambda: run(folder, TARGET), "may not write there")
        assert READER not in str(error)

    def test_a_hub_without_tls(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The login would travel in clear: nothing is asked of another machine over http://."""
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_ENDPOINT", "http://hub.example.org")
        error = refused(lambda: run(folder, TARGET), "reached over http://")
        assert (error.exit_code, error.where) == (63, "HF_ENDPOINT")

    def test_no_space(self, hub: HubUploadServer, folder: Path) -> None:
        """The storage is full."""
        hub.faults.statuses["store"] = [507]
        refused(lambda: run(folder, TARGET), "no space left")

    def test_storage_that_must_be_paid_for(self, hub: HubUploadServer, folder: Path) -> None:
        """The account's share is used up."""
        hub.faults.statuses["batch"] = [402]
        refused(lambda: run(folder, TARGET), "storage is used up")

    def test_an_answer_of_no_form(self, hub: HubUploadServer, folder: Path) -> None:
        """A status that nobody expects is told as it is."""
        hub.faults.statuses["preupload"] = [418]
        refused(lambda: run(folder, TARGET), "status 418")
