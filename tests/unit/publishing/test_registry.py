"""Publishing to a registry: Debian's `docker-registry` on loopback, behind a proxy with faults."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path

import httpx
import pytest

from pipeline.publishing.oci import client
from tests.support.faulty_proxy import Fault, FaultyProxy
from tests.support.publishing import refused, run, states
from tests.support.registry_reader import DOCKER, OLLAMA, Reader
from tests.support.registry_server import PASSWORD, USER
from tests.support.release_folder import LICENCE, digests, release_files, write_release

INDEX = "application/vnd.oci.image.index.v1+json"


def target(proxy: FaultyProxy, repository: str = "owner/seedling", tag: str = "") -> str:
    """Return the target's address."""
    return f"oci://{proxy.host}/{repository}{tag}"


def reader_of(proxy: FaultyProxy, repository: str = "owner/seedling") -> Reader:
    """Read a repository past the proxy."""
    return Reader(proxy.port, repository)


class TestForDocker:
    """What `docker model` reads."""

    def test_runs_the_type_that_the_modelfile_names(self, registry: FaultyProxy, folder: Path) -> None:
        """The plain tag is the quantized model, one layer for the file, uncompressed, and the licence."""
        run(folder, target(registry))
        reader = reader_of(registry)
        manifest = reader.manifest("1.2.0", DOCKER)
        assert [layer["mediaType"] for layer in manifest["layers"]] == [
            "application/vnd.docker.ai.gguf.v3", "application/vnd.docker.ai.license",
        ]  # fmt: skip
        assert reader.blob(manifest["layers"][1]) == LICENCE.encode()
        assert reader.blob(manifest["layers"][0]) == (folder / "model-Q4_K_M.gguf").read_bytes()
        assert manifest["config"]["mediaType"] == "application/vnd.docker.ai.model.config.v0.1+json"

    def test_the_config_says_what_it_is(self, registry: FaultyProxy, folder: Path) -> None:
        """As the specification has it (`files`) and as the client reads it (`rootfs`)."""
        run(folder, target(registry))
        reader = reader_of(registry)
        manifest = reader.manifest("1.2.0-F16", DOCKER)
        config = json.loads(reader.blob(manifest["config"]))
        assert config["config"]["format"] == "gguf"
        assert config["config"]["gguf"] == {"architecture": "qwen3", "parameter_count": "64", "quantization": "F16"}
        digests_there = [layer["digest"] for layer in manifest["layers"]]
        assert [one["diffID"] for one in config["files"]] == digests_there
        assert config["rootfs"] == {"type": "rootfs", "diff_ids": digests_there}

    def test_a_licence_with_a_file_of_its_own(self, registry: FaultyProxy, tmp_path: Path) -> None:
        """It goes before what the Modelfile says: it is the text that the terms ask for."""
        files = {**release_files(), "LICENSE.txt": b"the whole text\n"}
        run(write_release(tmp_path / "texts", files), target(registry))
        reader = reader_of(registry)
        assert reader.blob(reader.manifest("1.2.0", DOCKER)["layers"][-1]) == b"the whole text\n"

    def test_parts_are_layers_in_order(self, registry: FaultyProxy, tmp_path: Path) -> None:
        """A file that was split is one model."""
        folder = write_release(tmp_path / "parts", release_files(parts=3))
        run(folder, target(registry))
        layers = reader_of(registry).manifest("1.2.0-F16", DOCKER)["layers"]
        assert [layer["annotations"]["org.opencontainers.image.title"] for layer in layers[:3]] == [
            f"model-f16-0000{number}-of-00003.gguf" for number in (1, 2, 3)
        ]


class TestForOllama:
    """What Ollama's clients read: a manifest of Docker's form, which is the only one that they ask for."""

    def test_the_modelfile_in_layers(self, registry: FaultyProxy, folder: Path) -> None:
        """Model, template, system prompt, parameters and licence."""
        run(folder, target(registry))
        reader = reader_of(registry)
        manifest = reader.manifest("1.2.0-ollama", OLLAMA)
        found = {layer["mediaType"].rpartition(".")[2]: reader.blob(layer) for layer in manifest["layers"]}
        assert found["model"] == (folder / "model-Q4_K_M.gguf").read_bytes()
        assert found["template"].decode() == "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
        assert found["system"] == b'You write "titles".'
        assert json.loads(found["params"]) == {
            "temperature": 0, "num_predict": 32, "stop": ["<|im_end|>", "<|endoftext|>"],
        }  # fmt: skip
        assert found["license"] == LICENCE.encode()
        config = json.loads(reader.blob(manifest["config"]))
        assert (config["model_format"], config["model_family"], config["file_type"]) == ("gguf", "qwen3", "Q4_K_M")

    def test_parts_are_left_out_and_said_so(self, registry: FaultyProxy, tmp_path: Path) -> None:
        """They take a model in one file."""
        folder = write_release(tmp_path / "parts", release_files(parts=2))
        told = run(folder, target(registry))
        (note,) = told.survey.notes
        assert (
            note == "no artifact of F16 for Ollama's clients: they take a model in one file, and this one is in parts"
        )
        assert not {tag for tag in reader_of(registry).tags() if "F16-ollama" in tag}

    def test_a_release_without_a_modelfile(self, registry: FaultyProxy, tmp_path: Path) -> None:
        """There is none where Ollama's templates are not enough; the plain tag is the smallest then."""
        files = release_files()
        del files["Modelfile"]
        told = run(write_release(tmp_path / "bare", files), target(registry))
        bare, *others = told.survey.notes
        assert bare == "no layer with the licence: the release has no Modelfile that names it; its card does"
        assert [note.partition(": ")[2] for note in others] == [
            "the release has no Modelfile; its model card says why"
        ] * 2
        layers = reader_of(registry).manifest("1.2.0", DOCKER)["layers"]
        assert [layer["mediaType"] for layer in layers] == ["application/vnd.docker.ai.gguf.v3"]
        assert not {tag for tag in reader_of(registry).tags() if "ollama" in tag}
        assert reader_of(registry).digest("1.2.0") == reader_of(registry).digest("1.2.0-Q4_K_M")

    def test_a_repository_of_other_depth(self, registry: FaultyProxy, folder: Path) -> None:
        """Their names have an owner and a model."""
        told = run(folder, target(registry, "a/b/c"))
        assert all("such as owner/model" in note for note in told.survey.notes)


class TestWholeRelease:
    """The papers."""

    def test_every_file_under_its_name(self, registry: FaultyProxy, folder: Path) -> None:
        """Whoever takes all layers by their titles has the release folder."""
        run(folder, target(registry))
        reader = reader_of(registry)
        manifest = reader.manifest("1.2.0-release", DOCKER)
        layers = {layer["annotations"]["org.opencontainers.image.title"]: layer for layer in manifest["layers"]}
        found = {name: hashlib.sha256(reader.blob(layer)).hexdigest() for name, layer in layers.items()}
        assert found == digests(folder)

    @pytest.mark.parametrize("tag", ["1.2.0-Q4_K_M", "1.2.0-F16"])
    def test_is_found_from_each_model(self, registry: FaultyProxy, folder: Path, tag: str) -> None:
        """By `subject`, and, as this registry keeps no list of referrers, by the tag that OCI 1.1 has for that."""
        run(folder, target(registry))
        reader = reader_of(registry)
        subject = reader.digest(tag)
        (entry,) = reader.manifest(subject.replace(":", "-"), INDEX)["manifests"]
        assert entry["artifactType"] == "application/vnd.fine-tune-pipeline.release.v1"
        assert reader.manifest(entry["digest"], DOCKER)["subject"]["digest"] == subject

    def test_others_referrers_stay(self, registry: FaultyProxy, folder: Path) -> None:
        """A signature that somebody else hung on the model is still listed."""
        run(folder, target(registry))
        reader = reader_of(registry)
        tag = reader.digest("1.2.0").replace(":", "-")
        index = reader.manifest(tag, INDEX)
        theirs = {"mediaType": DOCKER, "digest": reader.digest("1.2.0-F16"), "size": 833, "artifactType": "theirs"}
        base = f"http://127.0.0.1:{registry.port}/v2/owner/seedling/manifests/{tag}"
        httpx.put(base, headers={"Content-Type": INDEX}, content=json.dumps({**index, "manifests": [theirs]}))
        told = run(folder, target(registry))
        assert states(told.survey)["manifest of the release, referring to Q4_K_M"] == "missing"
        assert [one["digest"] for one in reader.manifest(tag, INDEX)["manifests"]] == [
            theirs["digest"], index["manifests"][0]["digest"],
        ]  # fmt: skip

    def test_the_same_release_has_the_same_digests(self, registry: FaultyProxy, folder: Path, tmp_path: Path) -> None:
        """No time or place is in them."""
        run(folder, target(registry))
        again = write_release(tmp_path / "elsewhere" / "release")
        run(again, target(registry, "owner/again"))
        assert reader_of(registry).digest("1.2.0-release") == reader_of(registry, "owner/again").digest("1.2.0-release")


class TestSending:
    """How bytes get there."""

    def test_dry_run_only_looks(self, registry: FaultyProxy, folder: Path) -> None:
        """Nothing but HEAD and GET is asked."""
        told = run(folder, target(registry), yes=False)
        assert set(states(told.survey).values()) == {"missing"}
        assert {one.method for one in registry.asked} <= {"HEAD", "GET"}

    def test_the_plain_tag_is_last(self, registry: FaultyProxy, folder: Path) -> None:
        """By then everything else is there."""
        run(folder, target(registry, tag=":stable"))
        puts = [one.path.rpartition("/")[2] for one in registry.sent("PUT", "/manifests/")]
        assert puts[-1] == "stable"
        assert all(reference.startswith("sha256") for reference in puts[:-7])

    def test_again_sends_nothing(self, registry: FaultyProxy, folder: Path) -> None:
        """Everything is there, every tag names what it should."""
        run(folder, target(registry))
        registry.asked.clear()
        assert run(folder, target(registry)).survey.complete
        assert {one.method for one in registry.asked} <= {"HEAD", "GET"}

    def test_large_files_in_chunks(self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """None is read into memory whole."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        run(folder, target(registry))
        assert [one.body for one in registry.sent("PATCH")] == [100_000, 341, 100_000, 100_000, 100_000, 206]
        assert reader_of(registry).tags() >= {"1.2.0"}

    def test_goes_on_where_a_chunk_broke(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch, patience: None
    ) -> None:
        """The registry is asked how far it got; what it has is not sent again."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        registry.faults = [
            Fault("PATCH", "", times=2),
            Fault("PATCH", "", status=502),
            Fault("PATCH", "", cut=50_000),
        ]
        run(folder, target(registry))
        assert reader_of(registry).digest("1.2.0-F16")
        assert sum(one.body for one in registry.sent("PATCH")) < 2 * 400_547

    def test_a_range_that_the_registry_does_not_take(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch, patience: None
    ) -> None:
        """Then it is asked where it stands."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        registry.faults = [Fault("PATCH", "", times=1), Fault("PATCH", "", status=416)]
        run(folder, target(registry))
        assert "1.2.0" in reader_of(registry).tags()

    def test_a_chunk_that_is_refused(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is not sent again."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        registry.faults = [Fault("PATCH", "", status=413)]
        refused(lambda: run(folder, target(registry)), "no files of this size")
        assert len(registry.sent("PATCH")) == 1

    def test_an_upload_that_the_registry_gave_up(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch, patience: None
    ) -> None:
        """It begins anew."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        registry.faults = [
            Fault("PATCH", "", times=1),
            Fault("PATCH", "", status=503),
            Fault("GET", "uploads", status=404),
        ]
        run(folder, target(registry))
        reader = reader_of(registry)
        assert reader.blob(reader.manifest("1.2.0", DOCKER)["layers"][0])

    def test_a_network_that_is_gone(self, registry: FaultyProxy, folder: Path, patience: None) -> None:
        """No tag appears; the next run sends only the rest."""
        registry.faults = [Fault("PUT", "/blobs/uploads/", times=1), Fault("PUT", "/blobs/uploads/", times=99, cut=10)]
        error = refused(lambda: run(folder, target(registry)), "the connection broke")
        assert error.exit_code == 63
        assert reader_of(registry).tags() == set()
        registry.faults = []
        told = run(folder, target(registry))
        assert [one.state for one in told.survey.placements].count("there") == 1

    def test_stopped_before_the_tags(self, registry: FaultyProxy, folder: Path, patience: None) -> None:
        """Everything lies there and nobody who looks for a tag sees it; the next run only sets tags."""
        registry.faults = [Fault("PUT", r"/manifests/1\.2\.0", times=99, status=500)]
        refused(lambda: run(folder, target(registry)), "status 500")
        assert not {tag for tag in reader_of(registry).tags() if not tag.startswith("sha256-")}
        registry.faults = []
        assert run(folder, target(registry)).sent == []
        assert "1.2.0" in reader_of(registry).tags()


class TestVerified:
    """What the registry tells is compared."""

    def test_bytes_that_change_on_the_way(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The registry hashes what it gets, and refuses it."""
        from pipeline.publishing.items import Item

        real = Item.read
        monkeypatch.setattr(
            Item, "read", lambda item: real(item)[:-1] + b"?" if item.name == "README.md" else real(item)
        )
        refused(lambda: run(folder, target(registry)), r"README\.md: the registry got other bytes.*DIGEST_INVALID")

    def test_another_digest_for_a_blob(self, registry: FaultyProxy, folder: Path) -> None:
        """A registry that tells of other bytes than were sent."""
        registry.faults = [Fault("PUT", "/blobs/uploads/", header=("Docker-Content-Digest", "sha256:" + "0" * 64))]
        refused(lambda: run(folder, target(registry)), "is not there as it was sent")

    def test_a_manifest_that_reads_back_changed(self, registry: FaultyProxy, folder: Path) -> None:
        """Manifests are read back."""
        registry.faults = [Fault("GET", "/manifests/sha256:", flip=True)]
        refused(lambda: run(folder, target(registry)), "is not there as it was sent")


class TestOthersRelease:
    """A tag that exists."""

    def test_is_not_moved(self, registry: FaultyProxy, folder: Path, tmp_path: Path) -> None:
        """The digest that is there is named; with --replace the tag moves."""
        other = write_release(tmp_path / "other", release_files(salt=b"other"))
        run(other, target(registry))
        before = reader_of(registry).digest("1.2.0")
        error = refused(lambda: run(folder, target(registry)), "holds something else under this name")
        assert f"tag 1.2.0: {before} is there" in str(error)
        assert reader_of(registry).digest("1.2.0") == before
        run(folder, target(registry), replace=True)
        assert reader_of(registry).digest("1.2.0") != before

    def test_a_tag_that_appears_meanwhile_is_not_moved(
        self, registry: FaultyProxy, folder: Path, tmp_path: Path
    ) -> None:
        """Somebody else's release under the same tag, while blobs are sent: no tag of ours is set."""
        run(write_release(tmp_path / "other", release_files(salt=b"other")), target(registry, tag=":other"))
        base = f"http://127.0.0.1:{registry.port}/v2/owner/seedling/manifests"
        theirs = httpx.get(f"{base}/other", headers={"Accept": DOCKER})

        def tag() -> None:
            httpx.put(f"{base}/1.2.0", headers={"Content-Type": DOCKER}, content=theirs.content)

        registry.faults = [Fault("PUT", "/blobs/uploads/", then=tag)]
        error = refused(lambda: run(folder, target(registry)), "somebody else set the tag 1.2.0 meanwhile")
        digest = theirs.headers["Docker-Content-Digest"]
        assert digest in str(error)
        reader = reader_of(registry)
        assert reader.digest("1.2.0") == digest
        assert not {tag for tag in reader.tags() if tag.startswith("1.2.0-")}

    def test_a_tag_that_goes_meanwhile_is_set(self, registry: FaultyProxy, folder: Path, tmp_path: Path) -> None:
        """Nothing is overwritten by that."""
        run(write_release(tmp_path / "other", release_files(salt=b"other")), target(registry))
        data = tmp_path / "registry" / "data"
        (tag,) = data.rglob("_manifests/tags/1.2.0")
        registry.faults = [Fault("PUT", "/blobs/uploads/", then=lambda: shutil.rmtree(tag))]
        run(folder, target(registry), replace=True)
        assert reader_of(registry).digest("1.2.0") == reader_of(registry).digest("1.2.0-Q4_K_M")


class TestLogin:
    """A registry with logins."""

    @staticmethod
    def keep(home: Path, host: str, password: str = PASSWORD) -> None:
        """Log in, as Docker keeps it."""
        (home / ".docker").mkdir()
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    def test_of_dockers_file(self, guarded: FaultyProxy, folder: Path, home: Path) -> None:
        """The login of `docker login`."""
        self.keep(home, guarded.host)
        assert run(folder, target(guarded)).said[-1][0] == "publish.finished"

    def test_none(self, guarded: FaultyProxy, folder: Path) -> None:
        """The way to a login is told."""
        error = refused(lambda: run(folder, target(guarded)), "none is kept for it")
        assert "docker login" in error.advice

    def test_a_wrong_one(self, guarded: FaultyProxy, folder: Path, home: Path) -> None:
        """It is refused, and in no message."""
        self.keep(home, guarded.host, "wrong-planted-0123")
        error = refused(lambda: run(folder, target(guarded)), "does not take the login")
        assert "wrong-planted" not in str(error)

    def test_is_sent_to_the_registry_alone(
        self, guarded: FaultyProxy, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An upload that is sent to another host gets no login: the storage of a cloud has its own signatures."""
        self.keep(home, guarded.host)
        elsewhere = f"http://localhost:{guarded.port}/v2/owner/seedling/blobs/uploads/x"
        guarded.faults = [Fault("POST", "uploads", header=("Location", elsewhere))]
        refused(lambda: run(folder, target(guarded)), "does not take the login")

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_is_sent_to_no_proxy_on_the_way_to_this_machine(
        self, guarded: FaultyProxy, folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch, host: str
    ) -> None:
        """Plain HTTP to this machine goes past the proxy of the environment, which would read the login."""
        name = f"{host}:{guarded.host.rpartition(':')[2]}"
        self.keep(home, name)
        for variable in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(variable, raising=False)
        with FaultyProxy(guarded.port) as proxy:
            for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(variable, proxy.url)
            run(folder, f"oci://{name}/owner/seedling", yes=False)
        assert proxy.asked == []

    def test_no_rights(self, registry: FaultyProxy, folder: Path) -> None:
        """Reading is allowed, writing is not."""
        body = b'{"errors":[{"code":"DENIED","message":"for secret reasons"}]}'
        registry.faults = [Fault("POST", "uploads", status=403, body=body)]
        error = refused(lambda: run(folder, target(registry)), "may not write there")
        assert "secret reasons" not in str(error)

    def test_no_space(self, registry: FaultyProxy, folder: Path) -> None:
        """The registry's disk is full."""
        registry.faults = [Fault("PUT", "uploads", status=507)]
        refused(lambda: run(folder, target(registry)), "no space left")

    def test_uploads_without_tls_elsewhere(self, registry: FaultyProxy, folder: Path) -> None:
        """No bytes go to another machine over http://."""
        registry.faults = [Fault("POST", "uploads", header=("Location", "http://registry.example.org/x"))]
        refused(lambda: run(folder, target(registry)), "without TLS")

    @pytest.mark.parametrize("location", ["https://[", "//[::1", "http://[", "https://host:port/x"])
    def test_uploads_to_no_address(self, registry: FaultyProxy, folder: Path, location: str) -> None:
        """What is no address is refused in words, for a file in one request and for one in chunks."""
        registry.faults = [Fault("POST", "uploads", header=("Location", location))]
        error = refused(lambda: run(folder, target(registry)), "cannot publish")
        assert error.exit_code == 63

    def test_chunks_to_no_address(self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same for what follows a chunk, and for an address that only the client finds wrong."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        sha256 = digests(folder)["model-f16.gguf"]
        registry.faults = [Fault("POST", f"uploads.*{sha256}", header=("Location", "https://host:port/x"))]
        refused(lambda: run(folder, target(registry)), r"model-f16\.gguf: .* another form than the protocol's")

    def test_a_token_server_at_no_address_after_a_chunk(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A login that ran out in the middle, and a registry that names none to renew it."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 100_000)
        registry.faults = [Fault("PATCH", "", status=401, header=("WWW-Authenticate", 'Bearer realm="http://["'))]
        refused(lambda: run(folder, target(registry)), "without TLS, or is none")

    def test_a_registry_that_loses_chunks(
        self, registry: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch, patience: None
    ) -> None:
        """It takes one and fails at the next, each time from the beginning: that has an end."""
        monkeypatch.setattr(client, "CHUNK_BYTES", 50_000)
        for _ in range(40):
            registry.faults += [Fault("PATCH", "", times=1), Fault("PATCH", "", status=503)]
            registry.faults += [Fault("GET", "uploads", status=404)]
        refused(lambda: run(folder, target(registry)), "status 503")
        assert len(registry.sent("PATCH")) < 20
