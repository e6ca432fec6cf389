"""What a job is given."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from pipeline.errors import ExecutorError
from pipeline.executors.contract import Request
from pipeline.executors.layout import job_variables, write_code


@pytest.fixture
def request_of_one(tmp_path: Path) -> Request:
    """A job with one source file."""
    file = tmp_path / "merge.py"
    file.write_text("one = 1\n")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Request(
        "merge", "merge", "training", {}, {}, tmp_path / "work", tmp_path, {}, 1,
        code={"merge.py": file}, code_sha256={"merge.py": digest},
    )  # fmt: skip


def test_the_code_that_the_key_names_is_copied(request_of_one: Request, tmp_path: Path) -> None:
    """As a package of its own."""
    write_code(request_of_one, tmp_path / "code")
    assert (tmp_path / "code" / "inside" / "merge.py").read_text() == "one = 1\n"


def test_code_that_changed_during_the_run_is_refused(request_of_one: Request, tmp_path: Path) -> None:
    """Its result would stand under the key of other code, for good."""
    request_of_one.code["merge.py"].write_text("two = 2\n")
    with pytest.raises(ExecutorError, match="merge: the code changed during the run") as caught:
        write_code(request_of_one, tmp_path / "code")
    assert caught.value.where == str(tmp_path / "merge.py")


def test_code_without_a_digest_is_taken_as_it_is(request_of_one: Request, tmp_path: Path) -> None:
    """For jobs that no plan made."""
    request_of_one.code["merge.py"].write_text("two = 2\n")
    write_code(replace(request_of_one, code_sha256={}), tmp_path / "code")
    assert (tmp_path / "code" / "inside" / "merge.py").read_text() == "two = 2\n"


def test_waiting_threads_sleep_where_other_jobs_run(request_of_one: Request) -> None:
    """Spinning is quicker, and it starves whoever runs beside it."""
    places = {"home": PurePosixPath("/home"), "temporary": PurePosixPath("/temporary")}
    python = PurePosixPath("/venv/bin/python")
    assert job_variables(request_of_one, python, **places)["OMP_WAIT_POLICY"] == "PASSIVE"
    alone = job_variables(replace(request_of_one, alone=True), python, **places)
    assert "OMP_WAIT_POLICY" not in alone
    assert alone["GOMP_SPINCOUNT"]
