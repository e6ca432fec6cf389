"""`python -m pipeline publish` as a process: what it prints, what it leaves, and that no secret gets out."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.faulty_proxy import Fault, FaultyProxy
from tests.support.hub_upload_server import TOKEN, HubUploadServer
from tests.support.registry_server import PASSWORD, USER
from tests.support.release_folder import digests

REPOSITORY = Path(__file__).parents[3]


def start(*arguments: str, folder: Path = REPOSITORY, **variables: str) -> subprocess.Popen[str]:
    """Start the command in a folder, with further variables of the environment."""
    command = [sys.executable, "-m", "pipeline", "publish", *arguments]
    given = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=given, stdout=pipe, stderr=pipe, text=True)


def command(*arguments: str) -> tuple[int, str, str]:
    """Run the command to its end; return exit code, standard output and standard error."""
    process = start(*arguments)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


class TestAnswers:
    """What a person and a machine get."""

    def test_a_plan_for_a_person(self, folder: Path, tmp_path: Path) -> None:
        """A table, and what to do next."""
        code, output, _ = command(str(folder), str(tmp_path / "to"), "--log", "terminal")
        assert code == 0
        assert "+ model-f16.gguf" in output
        assert "Nothing was sent. Add --yes to do this." in output
        assert not (tmp_path / "to").exists()

    def test_events_for_a_machine(self, folder: Path, tmp_path: Path) -> None:
        """Each line is JSON; the plan has every file with size, sha256 and state."""
        code, output, _ = command(str(folder), str(tmp_path / "to"), "--yes", "--log", "json")
        events = [json.loads(line) for line in output.splitlines()]
        plan = next(event for event in events if event["event"] == "publish.plan")
        assert code == 0
        assert {one["file"]: one["sha256"] for one in plan["files"]} == digests(folder)
        assert events[-1]["event"] == "publish.finished"

    def test_a_damaged_release_is_not_sent(self, folder: Path, tmp_path: Path) -> None:
        """Exit code 62, as everything that does not verify."""
        (folder / "model-f16.gguf").write_bytes(b"GGUF?")
        code, _, errors = command(str(folder), str(tmp_path / "to"), "--yes")
        assert (code, (tmp_path / "to").exists()) == (62, False)
        assert "model-f16.gguf" in errors

    def test_no_such_folder(self, tmp_path: Path) -> None:
        """A mistake on the command line."""
        code, _, errors = command(str(tmp_path / "none"), str(tmp_path / "to"))
        assert code == 2
        assert "there is no such folder" in errors

    def test_public_is_for_the_hub(self, folder: Path, tmp_path: Path) -> None:
        """Elsewhere rights are not set here."""
        assert command(str(folder), str(tmp_path / "to"), "--public")[0] == 2

    def test_a_store_that_cannot_be_reached_ends_in_its_exit_code(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not in an aborted interpreter: so ended half of the processes that went through obstore's loop."""
        for name, value in {
            "ACCESS_KEY_ID": "a",
            "SECRET_ACCESS_KEY": "b",
            "REGION": "r",
            "ENDPOINT_URL": "http://127.0.0.1:1",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        processes = [start(str(folder), "s3://models/x") for _ in range(4)]
        for process in processes:
            process.communicate(timeout=120)
        assert [process.returncode for process in processes] == [63] * 4


class TestKilled:
    """SIGKILL in the middle."""

    def test_bucket(self, store: FaultyProxy, folder: Path) -> None:
        """No pointer; the next run ends it."""
        self.killed(folder, "s3://models/x", store.faults.append, Fault("PUT", r"model-f16\.gguf"))
        assert not store.sent("PUT", "SHA256SUMS")
        assert command(str(folder), "s3://models/x", "--yes")[0] == 0
        assert len(store.sent("PUT", "Modelfile")) == 1

    def test_registry(self, registry: FaultyProxy, folder: Path) -> None:
        """No manifest; the next run ends it, and sends no blob twice."""
        to = f"oci://{registry.host}/owner/seedling"
        self.killed(folder, to, registry.faults.append, Fault("PUT", r"/blobs/uploads/"))
        assert not registry.sent("PUT", "/manifests/")
        before = len(registry.sent("PUT"))
        assert command(str(folder), to, "--yes")[0] == 0
        digests_sent = [one.path.rpartition("sha256")[2] for one in registry.sent("PUT", "/blobs/uploads/")]
        assert before
        assert len(digests_sent) == len(set(digests_sent))

    def test_hub(self, hub: HubUploadServer, folder: Path) -> None:
        """No commit; the next run ends it, and sends no large file twice."""

        def plant(fault: Fault) -> None:
            hub.faults.on_whole = fault.then

        self.killed(folder, "hf://owner/model", plant, Fault("PUT", ""))
        assert hub.repositories["owner/model"].messages == ["initial commit"]
        hub.faults.on_whole = None
        whole, before = set(hub.storage), len(hub.uploads())
        assert command(str(folder), "hf://owner/model", "--yes")[0] == 0
        assert whole
        assert not [path for path in hub.uploads()[before:] if path[1:65] in whole]

    @staticmethod
    def killed(folder: Path, to: str, plant: Callable[[Fault], object], fault: Fault) -> None:
        """Start the command, and kill it when a request was answered."""
        answered = threading.Event()
        fault.then = answered.set
        plant(fault)
        process = start(str(folder), to, "--yes")
        assert answered.wait(60)
        process.kill()
        process.communicate()


def family(process: int) -> Iterator[int]:
    """Yield a process and all that it started: by any of its threads, and what those started in turn."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended since
            for child in children.read_text().split():
                yield from family(int(child))


class Watched:
    """Everything that a run of the command wrote or showed. It works in `folder`, and has its scratch space there."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._lines: set[str] = set()
        work, scratch = folder / "work", folder / "scratch"
        work.mkdir()
        scratch.mkdir()
        process = start(*arguments, folder=work, TMPDIR=str(scratch), XDG_CACHE_HOME=str(scratch / "cache"))
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process.pid, ended))
        watcher.start()
        try:
            self.output, self.errors = process.communicate(timeout=120)
        finally:
            ended.set()
            watcher.join()
        self.code = process.returncode

    def _watch(self, pid: int, ended: threading.Event) -> None:
        """Take down the command lines of the process and of all that it starts, as any user sees them.

        One that begins has none for a moment; one that has ended has none any more.
        """
        while not ended.wait(0.01):
            with suppress(OSError):
                for one in family(pid):
                    self._lines.add(Path(f"/proc/{one}/cmdline").read_bytes().decode(errors="replace"))

    def places(self) -> Iterator[tuple[str, str]]:
        """Yield a name and a text for each place."""
        yield from (("standard output", self.output), ("standard error", self.errors))
        assert any("pipeline\0publish" in line for line in self._lines), "nothing was watched"
        yield from (("process list", line) for line in self._lines)


def search(secret: str, watched: Watched, folders: list[Path], urls: list[str], planted: set[Path]) -> list[str]:
    """Return every place that holds the secret, in clear, in base64, or in hex, but for where it was planted."""
    forms = [secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()]
    forms.append(base64.b64encode(f"{USER}:{secret}".encode()).decode().rstrip("="))
    texts = [*watched.places(), *(("server's URL", url) for url in urls)]
    for folder in folders:
        paths = [path for path in folder.rglob("*") if path.is_file() and path not in planted]
        texts += [(str(path), path.read_bytes().decode(errors="replace")) for path in paths]
    return sorted({name for name, text in texts if any(form in text for form in forms)})


class TestSecrets:
    """One is planted, and everything that was written is searched for it."""

    @pytest.mark.parametrize("outcome", ["published", "refused"])
    def test_of_a_store(
        self,
        store: FaultyProxy,
        folder: Path,
        tmp_path: Path,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        outcome: str,
    ) -> None:
        """In a shared profile."""
        secret = "planted/AWS+secret0123456789"  # noqa: S105 - one that is looked for afterwards
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        (home / ".aws").mkdir()
        kept = home / ".aws" / "credentials"
        kept.write_text(f"[default]\naws_access_key_id = known\naws_secret_access_key = {secret}\n")
        if outcome == "refused":
            store.faults = [Fault("PUT", "", times=-1, status=403, body=f"<Code>AccessDenied</Code>{secret}".encode())]
        watched = Watched(tmp_path, str(folder), "s3://models/x", "--yes", "--log", "json")
        assert watched.code == (0 if outcome == "published" else 63), watched.errors
        assert search(secret, watched, [tmp_path], [one.path for one in store.asked], {kept}) == []

    @pytest.mark.parametrize("outcome", ["published", "refused"])
    def test_of_the_hub(self, hub: HubUploadServer, folder: Path, tmp_path: Path, outcome: str) -> None:
        """In the environment."""
        if outcome == "refused":
            hub.faults.statuses["commit"] = [403]
        watched = Watched(tmp_path, str(folder), "hf://owner/model", "--yes", "--log", "terminal")
        assert watched.code == (0 if outcome == "published" else 63), watched.errors
        urls = [path for _, _, path in hub.asked]
        assert search(TOKEN, watched, [tmp_path], urls, set()) == []

    @pytest.mark.parametrize("outcome", ["published", "refused"])
    def test_of_a_registry(
        self,
        guarded: FaultyProxy,
        folder: Path,
        tmp_path: Path,
        home: Path,
        monkeypatch: pytest.MonkeyPatch,
        outcome: str,
    ) -> None:
        """In a credential helper, which is asked by name alone."""
        password = PASSWORD if outcome == "published" else "planted-wrong-0123456789"
        helper = tmp_path / "bin" / "docker-credential-planted"
        helper.parent.mkdir()
        answer = json.dumps({"Username": USER, "Secret": password})
        helper.write_text(
            f"#!/bin/sh\necho \"$0 $*\" >> {tmp_path}/helper-asked\nsleep 0.2\ncat >/dev/null\necho '{answer}'\n"
        )
        helper.chmod(0o700)
        monkeypatch.setenv("PATH", f"{helper.parent}{os.pathsep}{os.environ['PATH']}")
        (home / ".docker").mkdir()
        (home / ".docker" / "config.json").write_text(json.dumps({"credHelpers": {guarded.host: "planted"}}))
        watched = Watched(tmp_path, str(folder), f"oci://{guarded.host}/owner/seedling", "--yes", "--log", "json")
        assert watched.code == (0 if outcome == "published" else 63), watched.errors
        assert (tmp_path / "helper-asked").read_text().split()[1:2] == ["get"]
        urls = [one.path for one in guarded.asked]
        assert search(password, watched, [tmp_path], urls, {helper}) == []

    def test_command_lines_of_a_thread_s_grandchild_are_seen(self) -> None:
        """A helper that a thread starts, and what that starts in turn: each is somebody's process list."""
        program = (
            "import subprocess, threading; threading.Thread(target=subprocess.run, args=(['sh', '-c', '{}'],)).start()"
        )
        with subprocess.Popen([sys.executable, "-c", program.format("sleep 61.25; true")]) as process:
            seen: set[bytes] = set()
            for _ in range(2000):
                members = list(family(process.pid))
                with suppress(OSError):
                    seen |= {Path(f"/proc/{one}/cmdline").read_bytes() for one in members}
                if b"sleep\x0061.25\0" in seen:
                    break
                time.sleep(0.01)
            for one in reversed(members):
                os.kill(one, signal.SIGKILL)
        assert b"sleep\x0061.25\0" in seen

    def test_the_search_finds_one(self, folder: Path, tmp_path: Path) -> None:
        """A search that finds nothing proves nothing."""
        (tmp_path / "leak").write_text(base64.b64encode(b"publisher:hunter2-0123").decode())
        watched = Watched(tmp_path, str(folder), str(tmp_path / "to"))
        assert search("hunter2-0123", watched, [tmp_path], ["/x?token=hunter2-0123"], set()) == sorted(
            [str(tmp_path / "leak"), "server's URL"]
        )

    @pytest.mark.parametrize(
        "target",
        [
            "s3://AKIA:hunter2-0123@bucket/x",
            "oci://user:hunter2-0123@registry.example.org/a/b",
            "s3://bucket/x?X-Amz-Signature=hunter2-0123",
            "hf://user:hunter2-0123@owner/model",
            "https://user:hunter2-0123@host/x",
        ],
    )
    def test_in_a_target_is_refused_and_not_repeated(self, folder: Path, target: str) -> None:
        """It is in the process list by then; it goes no further."""
        code, output, errors = command(str(folder), target)
        assert code == 2
        assert "hunter2" not in output + errors
