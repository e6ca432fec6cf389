"""Downloads from the hub: the real client against a small hub on loopback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import FetchError
from pipeline.stages.stage import HostJob
from tests.support.events import Events
from tests.support.hub_server import REVISION, HubServer
from tests.support.model_folder import safetensors

MakeJob = Callable[..., HostJob]
WEIGHTS = "model.safetensors"


def fetch(job: HostJob) -> dict[str, bytes]:
    """Fetch, and return the files of the output."""
    from pipeline.fetching.hub import fetch_hub

    fetch_hub(job)
    return {path.name: path.read_bytes() for path in job.output.iterdir()}


def refused(job: HostJob) -> FetchError:
    """Fetch, and return the error that it must end with."""
    with pytest.raises(FetchError) as caught:
        fetch(job)
    assert list(job.output.iterdir()) == []
    return caught.value


class TestWhole:
    """A download without faults."""

    def test_gives_exactly_the_pinned_files(self, hub: HubServer, hub_job: MakeJob) -> None:
        """Every pinned file arrives byte for byte; code, pickles and README do not."""
        job = hub_job()
        found = fetch(job)
        base = json.loads(found.pop("base.json"))
        assert found == {name: hub.files[name] for name in job.parameters["files"]}
        assert base == {
            "source": "hub", "repo": "owner/model", "revision": REVISION,
            "licence": "Apache-2.0", "parameters": 800_000,
        }  # fmt: skip

    def test_reports_bytes(self, hub: HubServer, hub_job: MakeJob, events: Events) -> None:
        """Progress ends at the sum of all files."""
        job = hub_job()
        fetch(job)
        total = sum(len(hub.files[name]) for name in job.parameters["files"])
        last = events.of("fetch.bytes")[-1]
        assert (last["done"], last["total"]) == (total, total)

    def test_does_not_touch_the_users_cache(self, hub_job: MakeJob, tmp_path: Path) -> None:
        """Nothing is written where the user's own client keeps its files."""
        fetch(hub_job())
        assert not (tmp_path / "user-cache").exists()

    def test_asks_nothing_twice(self, hub: HubServer, hub_job: MakeJob) -> None:
        """Files that scratch holds from a run that was stopped later are verified, not fetched again."""
        fetch(hub_job())
        before = len(hub.asked)
        fetch(hub_job())
        assert len(hub.asked) == before

    def test_takes_what_the_users_cache_holds(
        self, hub: HubServer, hub_job: MakeJob, tmp_path: Path, events: Events
    ) -> None:
        """A file of the same revision in the user's cache is copied, after its digest was checked."""
        snapshot = tmp_path / "user-cache" / "models--owner--model" / "snapshots" / REVISION
        snapshot.mkdir(parents=True)
        (snapshot / WEIGHTS).write_bytes(hub.files[WEIGHTS])
        (snapshot / "config.json").write_bytes(b"{}")
        found = fetch(hub_job())
        assert found["config.json"] == hub.files["config.json"]
        assert [data["file"] for data in events.of("fetch.cached")] == [WEIGHTS]
        assert hub.ranges(WEIGHTS) == []


class TestInterrupted:
    """Connections that break, and runs that are killed."""

    def test_goes_on_after_a_cut(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A connection cut halfway is taken up where it broke."""
        half = len(hub.files[WEIGHTS]) // 2000 * 1000
        hub.faults.cut[WEIGHTS] = [half]
        assert fetch(hub_job())[WEIGHTS] == hub.files[WEIGHTS]
        assert hub.ranges(WEIGHTS) == ["", f"bytes={half}-"]

    def test_goes_on_in_the_next_run(self, hub: HubServer, hub_job: MakeJob) -> None:
        """When the connection stays broken the run ends with an error, and the next run continues the file."""
        half = len(hub.files[WEIGHTS]) // 2000 * 1000
        hub.faults.cut[WEIGHTS] = [half] + [0] * 100
        error = refused(hub_job())
        assert "kept" in error.advice
        hub.faults.cut[WEIGHTS] = []
        before = len(hub.ranges(WEIGHTS))
        assert fetch(hub_job())[WEIGHTS] == hub.files[WEIGHTS]
        assert hub.ranges(WEIGHTS)[before:] == [f"bytes={half}-"]

    def test_goes_on_after_sigkill(self, hub: HubServer, hub_job: MakeJob, tmp_path: Path) -> None:
        """A run killed in the middle of a file leaves its bytes for the next one."""
        job = hub_job()
        hub.faults.stall.add(WEIGHTS)
        program = (
            "import sys, json; from pathlib import Path\n"
            "from pipeline.fetching.hub import Download, Repository, constants\n"
            "constants.DOWNLOAD_CHUNK_SIZE = 1000\n"
            "Download(Repository(*sys.argv[1:3]), Path(sys.argv[3]), lambda *a, **k: None).run(json.loads(sys.argv[4]))"
        )
        arguments = [hub.repo, REVISION, str(job.scratch), json.dumps(job.parameters["files"])]
        run = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL)
        half = len(hub.files[WEIGHTS]) // 2
        part = job.scratch / "partial"
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in part.glob(f"{WEIGHTS}.*")):
            assert time.monotonic() < deadline, "the download did not begin"
            assert run.poll() is None
            time.sleep(0)
        run.send_signal(signal.SIGKILL)
        run.wait()
        held = next(part.glob(f"{WEIGHTS}.*")).stat().st_size
        assert 0 < held <= half
        hub.faults.stall.clear()
        assert fetch(hub_job())[WEIGHTS] == hub.files[WEIGHTS]
        assert hub.ranges(WEIGHTS)[-1] == f"bytes={held}-"

    def test_server_without_ranges(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A server that sends the whole file in answer to a Range gives no doubled bytes."""
        hub.faults.ignore_range = True
        hub.faults.cut[WEIGHTS] = [1000]
        assert fetch(hub_job())[WEIGHTS] == hub.files[WEIGHTS]

    def test_silent_server(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A server that stops sending is given up, with advice, and the bytes are kept."""
        hub.faults.stall.add(WEIGHTS)
        error = refused(hub_job())
        assert "did not answer in time" in error.what

    def test_server_error_that_passes(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A 503 or two are waited for."""
        hub.faults.statuses["config.json"] = [503, 502]
        assert fetch(hub_job())["config.json"] == hub.files["config.json"]

    def test_server_error_that_stays(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A hub that stays broken ends the run with its status."""
        hub.faults.statuses["config.json"] = [500] * 20
        assert "status 500" in refused(hub_job()).what


class TestCorrupted:
    """Bytes that are not what the recipe names."""

    def test_once(self, hub: HubServer, hub_job: MakeJob, events: Events) -> None:
        """A flipped bit is found, the bytes are set aside, and the file is fetched again."""
        hub.faults.corrupt[WEIGHTS] = 1
        job = hub_job()
        assert fetch(job)[WEIGHTS] == hub.files[WEIGHTS]
        (event,) = events.of("fetch.corrupt")
        assert event["file"] == WEIGHTS
        assert Path(event["kept"]).stat().st_size == len(hub.files[WEIGHTS])
        assert hub.ranges(WEIGHTS) == ["", ""]

    def test_twice(self, hub: HubServer, hub_job: MakeJob) -> None:
        """Wrong bytes twice are an error that names both digests."""
        hub.faults.corrupt[WEIGHTS] = 2
        job = hub_job()
        error = refused(job)
        assert job.parameters["files"][WEIGHTS] in error.what
        assert "twice" in error.what

    def test_partial_file_that_rotted(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A partial file whose bytes changed on the disk is found and fetched anew."""
        hub.faults.cut[WEIGHTS] = [2000] + [0] * 100
        job = hub_job()
        refused(job)
        hub.faults.cut[WEIGHTS] = []
        part = next((job.scratch / "partial").glob(f"{WEIGHTS}.*"))
        part.write_bytes(b"x" * part.stat().st_size)
        assert fetch(hub_job())[WEIGHTS] == hub.files[WEIGHTS]

    def test_partial_file_that_is_too_long(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A partial file longer than the file itself is thrown away."""
        job = hub_job()
        folder = job.scratch / "partial"
        folder.mkdir()
        (folder / f"{WEIGHTS}.{job.parameters['files'][WEIGHTS][:16]}").write_bytes(b"x" * 5_000_000)
        assert fetch(job)[WEIGHTS] == hub.files[WEIGHTS]

    def test_fetched_file_that_rotted(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A file in scratch that changed on the disk is fetched again."""
        job = hub_job()
        fetch(job)
        (job.scratch / "files" / "config.json").write_bytes(b"{}")
        assert fetch(hub_job())["config.json"] == hub.files["config.json"]


class TestRefused:
    """What the hub refuses, and what is refused before it is asked."""

    def test_revision_that_does_not_exist(self, hub_job: MakeJob) -> None:
        """The message names the revision and says how to mend the recipe."""
        error = refused(hub_job(revision="9" * 40))
        assert "no such revision" in error.what
        assert "9" * 40 in error.where
        assert "pin" in error.advice
        assert error.exit_code == FetchError.exit_code

    def test_repository_that_does_not_exist(self, hub_job: MakeJob) -> None:
        """An unknown repository may also be a private one: the message says both."""
        error = refused(hub_job(repo="owner/other"))
        assert "no such repository" in error.what
        assert "private" in error.what

    def test_gated(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A gated repository says to accept the licence and log in."""
        hub.faults.gated = True
        error = refused(hub_job())
        assert "gated" in error.what
        assert "hf auth login" in error.advice

    @pytest.mark.parametrize("status", [401, 403])
    def test_no_access(self, hub: HubServer, hub_job: MakeJob, status: int) -> None:
        """A refused login says so."""
        hub.faults.statuses["config.json"] = [status] * 3
        assert "log in" in refused(hub_job()).advice or "HF_TOKEN" in refused(hub_job()).advice

    def test_missing_file(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A pinned file that the revision lacks is named."""
        job = hub_job()
        del hub.files["tokenizer_config.json"]
        error = refused(job)
        assert "tokenizer_config.json" in error.what
        assert "no such file" in error.what

    def test_answer_for_another_revision(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A mirror that answers for another commit is not believed."""
        hub.faults.wrong_commit = True
        assert "f" * 40 in refused(hub_job()).what

    def test_no_network(self, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a hub to reach the message speaks of the network."""
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        assert "cannot be reached" in refused(hub_job()).what

    def test_a_login_is_not_sent_in_clear(
        self, hub: HubServer, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A mirror of another machine without TLS: refused before it is asked, where there is a login."""
        job = hub_job()
        monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example.org")
        monkeypatch.setenv("HF_TOKEN", "hf_planted0123456789")
        error = refused(job)
        assert "over http://" in error.what
        assert "planted" not in str(error)

    def test_without_a_login_a_mirror_needs_no_tls(self, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """What comes is held against its sha256, and nothing is given away."""
        monkeypatch.setenv("HF_ENDPOINT", "http://mirror.invalid:9")
        assert "cannot be reached" in refused(hub_job()).what

    def test_offline_mode(self, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """The client's own offline switch is named, since it is easily forgotten."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert "HF_HUB_OFFLINE" in refused(hub_job()).advice

    @pytest.mark.parametrize("missing", ["revision", "files"])
    def test_unpinned(self, hub: HubServer, hub_job: MakeJob, missing: str) -> None:
        """Without a revision or without digests nothing is asked of the hub."""
        error = refused(hub_job(**{missing: None if missing == "revision" else {}}))
        assert "python -m pipeline pin --recipe" in error.advice
        assert hub.asked == []

    @pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling_own.py", "../config.json", "sub/config.json"])
    def test_file_that_is_never_fetched(self, hub: HubServer, hub_job: MakeJob, name: str) -> None:
        """A pickle, code or a path out of the folder is refused although the recipe lists it."""
        files = {**hub_job().parameters["files"], name: "0" * 64}
        assert name in refused(hub_job(files=files)).what
        assert hub.asked == []

    def test_model_that_brings_code(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A configuration with auto_map is refused."""
        hub.files["config.json"] = b'{"auto_map": {"AutoModel": "modeling_own.Own"}}'
        assert "auto_map" in refused(hub_job()).what

    def test_quantized_base(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A 4-bit model is refused as the base to merge into, and taken as the training's copy."""
        hub.files["config.json"] = b'{"quantization_config": {"load_in_4bit": true}}'
        assert "quantized" in refused(hub_job()).what
        assert "config.json" in fetch(hub_job(quantized=True))

    def test_weights_that_are_no_safetensors(self, hub: HubServer, hub_job: MakeJob) -> None:
        """A file that only has the name of safetensors is refused."""
        hub.files[WEIGHTS] = b"PK\x03\x04 not safetensors at all"
        assert "not a safetensors file" in refused(hub_job()).what

    def test_disk_too_small(self, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """A download that cannot fit is refused before it begins."""
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        error = refused(hub_job())
        assert "GB" in error.what
        assert "free space" in error.advice

    def test_disk_that_fills_up(self, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """A disk that fills up on the way is told as that."""

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        assert "no space left" in refused(hub_job()).what


class TestLogin:
    """The token, which goes to the hub and nowhere else."""

    def test_reaches_the_hub_only(
        self,
        hub: HubServer,
        hub_job: MakeJob,
        monkeypatch: pytest.MonkeyPatch,
        events: Events,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """The storage under another host name does not see the token; no event or message holds it."""
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        hub.faults.cut[WEIGHTS] = [100]
        fetch(hub_job())
        assert {a.authorization for a in hub.asked if a.server == "hub"} == {"Bearer hf_secret"}
        assert {a.authorization for a in hub.asked if a.server == "storage"} == {""}
        assert "hf_secret" not in str(events.seen)
        written = capfd.readouterr()
        assert "hf_secret" not in written.out + written.err

    def test_is_not_in_an_error(self, hub: HubServer, hub_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither the token nor a signed address stands in an error."""
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        hub.faults.cut[WEIGHTS] = [0] * 100
        text = str(refused(hub_job()))
        assert "hf_secret" not in text
        assert "signature" not in text


def test_shards(hub: HubServer, hub_job: MakeJob) -> None:
    """A model in several shards is fetched with its index, and checked against it."""
    del hub.files[WEIGHTS]
    names = {f"model-0000{n}-of-00002.safetensors": safetensors({f"w{n}": 10}) for n in (1, 2)}
    index = {"weight_map": {"w1": "model-00001-of-00002.safetensors", "w2": "model-00002-of-00002.safetensors"}}
    hub.files |= {**names, "model.safetensors.index.json": json.dumps(index).encode()}
    pins = {name: sha for name, sha in hub.pins().items() if name.endswith((".json", ".safetensors"))}
    found = fetch(hub_job(files=pins))
    assert json.loads(found["base.json"])["parameters"] == 20
