"""Publishing to a bucket: the real client against moto's S3 server on loopback, behind a proxy with faults."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import boto3
import httpx
import pytest

from pipeline.publishing import bucket
from tests.support.faulty_proxy import Fault, FaultyProxy
from tests.support.publishing import refused, run, states
from tests.support.release_folder import digests, release_files, write_release

TARGET = "s3://models/titles"
PREFIX = "titles/seedling/1.2.0/"


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is tried once more, and soon."""
    soon = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=2), "base": 2}
    monkeypatch.setattr(bucket, "RETRIES", {"max_retries": 1, "retry_timeout": timedelta(seconds=5), "backoff": soon})


def published(store: FaultyProxy, prefix: str = PREFIX) -> dict[str, str]:
    """Return name → sha256 of the objects under a prefix, asked for past the proxy."""
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{store.port}")
    found = client.list_objects_v2(Bucket="models", Prefix=prefix).get("Contents", [])
    return {
        one["Key"].removeprefix(prefix): hashlib.sha256(
            client.get_object(Bucket="models", Key=one["Key"])["Body"].read()
        ).hexdigest()
        for one in found
    }


def unfinished(store: FaultyProxy) -> list[str]:
    """Return the multi-part uploads that were begun and neither ended nor given up."""
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{store.port}")
    return [one["Key"] for one in client.list_multipart_uploads(Bucket="models").get("Uploads", [])]


class TestWhole:
    """Without faults."""

    def test_dry_run_only_looks(self, store: FaultyProxy, folder: Path) -> None:
        """Nothing but a list is asked for."""
        told = run(folder, TARGET, yes=False)
        assert set(states(told.survey).values()) == {"missing"}
        assert {one.method for one in store.asked} == {"GET"}

    def test_byte_for_byte(self, store: FaultyProxy, folder: Path) -> None:
        """What lies there is the release."""
        run(folder, TARGET)
        assert published(store) == digests(folder)

    def test_the_pointer_is_last(self, store: FaultyProxy, folder: Path) -> None:
        """The list of checksums follows everything that it names, the signature everything."""
        run(folder, TARGET)
        assert [one.path.rpartition("/")[2] for one in store.sent("PUT")][-2:] == ["SHA256SUMS", "model.sig"]

    def test_again_sends_nothing(self, store: FaultyProxy, folder: Path) -> None:
        """What is there was read back and is the same."""
        run(folder, TARGET)
        before = len(store.sent("PUT"))
        assert run(folder, TARGET).survey.complete
        assert len(store.sent("PUT")) == before

    def test_large_files_in_parts(self, store: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the size of a part. 5 MiB is the least that the protocol takes."""
        monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
        folder = write_release(tmp_path / "large", release_files(weights=12_000_000))
        run(folder, TARGET)
        assert published(store) == digests(folder)
        assert len(store.sent("PUT", r"model-f16\.gguf.*partNumber")) == 3

    def test_the_store_checks_the_sha256(self, store: FaultyProxy, folder: Path) -> None:
        """Every upload carries its digest, which the store compares as well."""
        run(folder, TARGET)
        names = [{name.lower() for name in one.headers} for one in store.sent("PUT")]
        assert all("x-amz-checksum-sha256" in each for each in names)


class TestInterrupted:
    """Uploads that break."""

    def test_a_connection_that_breaks_once(self, store: FaultyProxy, folder: Path) -> None:
        """The request is sent again."""
        store.faults = [Fault("PUT", r"model-f16\.gguf", cut=10_000)]
        run(folder, TARGET)
        assert published(store) == digests(folder)

    def test_a_network_that_is_gone(self, store: FaultyProxy, folder: Path) -> None:
        """The error says so, no pointer lies there, and the next run sends only the rest."""
        store.faults = [Fault("PUT", r"model-f16\.gguf", times=9, cut=10_000)]
        error = refused(lambda: run(folder, TARGET), "the connection broke")
        assert (error.exit_code, error.where) == (63, "s3://models/titles/seedling/1.2.0")
        there = set(published(store))
        assert not {"model-f16.gguf", "SHA256SUMS", "model.sig"} & there
        store.faults = []
        assert set(run(folder, TARGET).sent) == set(digests(folder)) - there

    def test_a_part_that_does_not_arrive(
        self, store: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No object of half a file appears, and the upload is given up, so that its parts cost nothing."""
        monkeypatch.setattr(bucket, "PART", 5 * 1024 * 1024)
        folder = write_release(tmp_path / "large", release_files(weights=12_000_000))
        store.faults = [Fault("PUT", r"model-f16\.gguf.*partNumber=2", times=9, cut=10_000)]
        refused(lambda: run(folder, TARGET), "the connection broke")
        assert "model-f16.gguf" not in published(store)
        assert unfinished(store) == []


class TestVerified:
    """What is read back is compared."""

    def test_bytes_that_the_store_changed(self, store: FaultyProxy, folder: Path) -> None:
        """The file is taken away again, the pointer never comes, and both digests are named."""
        store.faults = [Fault("GET", r"model-f16\.gguf", flip=True)]
        error = refused(lambda: run(folder, TARGET), r"model-f16\.gguf is not there as it was sent")
        assert digests(folder)["model-f16.gguf"] in str(error)
        assert not {"model-f16.gguf", "SHA256SUMS", "model.sig"} & set(published(store))


class TestOthersRelease:
    """A prefix that holds something already."""

    def test_is_not_overwritten(self, store: FaultyProxy, folder: Path, tmp_path: Path) -> None:
        """The digest that is there is named; with --replace the old pointer goes first."""
        there = write_release(tmp_path / "other", release_files(salt=b"other"))
        run(there, TARGET)
        error = refused(lambda: run(folder, TARGET), "holds something else under this name")
        assert digests(there)["SHA256SUMS"] in str(error)
        store.asked.clear()
        run(folder, TARGET, replace=True)
        changes = [one.path for one in store.asked if one.method not in {"GET", "HEAD"}]
        assert [path.endswith("?delete") for path in changes[:3]] == [True, True, False]
        assert published(store) == digests(folder)


class TestRefused:
    """What a store says no to."""

    def test_no_such_bucket(self, store: FaultyProxy, folder: Path) -> None:
        """It is not made here."""
        error = refused(lambda: run(folder, "s3://nobodys-bucket/x"), "there is no such bucket")
        assert error.exit_code == 63

    def test_an_unknown_account(self, store: FaultyProxy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Moto knows its accounts once it is told to ask."""
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret-0123456789")
        httpx.post(f"http://127.0.0.1:{store.port}/moto-api/reset-auth", content=b"0")
        try:
            error = refused(lambda: run(folder, TARGET), "may not write there|does not know this account")
        finally:
            httpx.post(f"http://127.0.0.1:{store.port}/moto-api/reset-auth", content=b"inf")
        assert "planted-secret" not in str(error)

    def test_no_rights_to_write(self, store: FaultyProxy, folder: Path) -> None:
        """Reading is allowed, writing is not."""
        store.faults = [Fault("PUT", "", times=-1, status=403, body=b"<Error><Code>AccessDenied</Code></Error>")]
        refused(lambda: run(folder, TARGET), "may not write there")

    def test_no_space(self, store: FaultyProxy, folder: Path) -> None:
        """As MinIO says it."""
        body = b"<Error><Code>XMinioStorageFull</Code><Message>full</Message></Error>"
        store.faults = [Fault("PUT", "", times=-1, status=507, body=body)]
        refused(lambda: run(folder, TARGET), "no space left")

    def test_plain_http_to_another_machine(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before anything is sent."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example.org")
        refused(lambda: run(folder, TARGET), "reached over http://")
