"""Targets as the command line names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.loopback import is_loopback
from pipeline.publishing.target import (
    BucketTarget,
    FolderTarget,
    HubTarget,
    RegistryTarget,
    Target,
    parse_target,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out/models", FolderTarget(Path("out/models"))),
        ("file:///srv/my%20models", FolderTarget(Path("/srv/my models"))),
        ("s3://bucket", BucketTarget("bucket", "")),
        ("s3://bucket/a/b/", BucketTarget("bucket", "a/b")),
        ("hf://owner/name", HubTarget("owner/name", "main")),
        ("hf://owner/name@next/1", HubTarget("owner/name", "next/1")),
        ("oci://localhost:5000/a/b:1.2_x", RegistryTarget("localhost:5000", "a/b", "1.2_x")),
        ("oci://[::1]:5000/a", RegistryTarget("[::1]:5000", "a", None)),
        ("oci://ghcr.io/owner/model-name", RegistryTarget("ghcr.io", "owner/model-name", None)),
    ],
)
def test_is_read(text: str, expected: Target) -> None:
    """By scheme; a text without one is a folder."""
    assert parse_target(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "a\0b", "ftp://host/x", "https://host/x", "file://host/x"),
        *("s3://", "s3://B", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/a b", "s3://bucket/%2e"),
        *("hf://owner", "hf://owner/name/more", "hf://owner/na..me", "hf://owner/name@", "hf://-x/name"),
        *("oci://host", "oci://host/Upper", "oci://host/a:", "oci://host/a:tag:tag", "oci://host/a@sha256:00"),
        f"oci://host/a:{'t' * 101}",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    """With what it should look like."""
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert caught.value.advice


def test_a_misspelt_scheme_gets_the_nearest() -> None:
    """`oic://` is near `oci://`."""
    with pytest.raises(UsageError, match="did you mean oci://"):
        parse_target("oic://host/x")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("s3:/bucket/x", "s3://"),
        ("s3:bucket", "s3://"),
        ("hf:/owner/name", "hf://"),
        ("oci:registry.example.org/a", "oci://"),
        ("file:/srv/models", "file:///"),
        ("S3://bucket", "s3://"),
        ("S3:/bucket", "s3://"),
    ],
)
def test_too_few_slashes_are_no_folder(text: str, near: str) -> None:
    """`s3:/bucket` would be a folder of this machine called `s3:`."""
    with pytest.raises(UsageError, match=f"did you mean {near}") as caught:
        parse_target(text)
    assert "bucket" not in str(caught.value)  # it may hold a password


def test_a_folder_may_be_called_so() -> None:
    """With a path that says that it is one."""
    assert parse_target("./s3:/bucket") == FolderTarget(Path("s3:/bucket"))
    assert parse_target("models:v1") == FolderTarget(Path("models:v1"))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:1", True),
        ("127.0.0.9", True),
        ("[::1]:5", True),
        ("localhost.example.org", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Names that only begin like this machine's are other machines."""
    assert is_loopback(host) is expected
