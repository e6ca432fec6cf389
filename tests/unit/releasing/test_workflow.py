"""release.yml: its shell steps, run with a stand-in for `gh`, and for this project's own commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.signing.keys import fingerprint, read_private_key, read_public_key
from pipeline.verifying.policy import read_policy
from tests.support.release_folder import digests, write_release
from tests.support.released import write_key
from tests.support.workflows import RECORDER, read_workflow, run_step, step_of, write_program

STUB = Path(__file__).parents[2] / "support" / "stub_gh.py"
TAG = "v1.2.0"


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The whole file."""
    return read_workflow("release.yml")


class Runner:
    """A runner's folder with a release in `published/`, and GitHub as `stub_gh.py` plays it."""

    def __init__(self, folder: Path, workflow: dict[str, Any]) -> None:
        self.folder = folder
        self.state = folder / "github"
        self.state.mkdir(parents=True)
        self.published = write_release(folder / "first" / "published")
        self._step = step_of(workflow, "publish", "Publish")
        write_program(folder / "bin" / "gh", f'#!/bin/sh\nexec {sys.executable} -IS {STUB} "$@"\n')
        self._count = 0

    def publish(self, *, dry_run: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the step as each attempt of a job does: in a new folder, with what the job before it handed over."""
        self._count += 1
        folder = self.folder / f"attempt-{self._count}"
        folder.mkdir()
        (folder / "published").symlink_to(self.published)
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        given = {"PATH": path, "GH_STATE": str(self.state), "TAG": TAG, "DRY_RUN": str(dry_run).lower(), **variables}
        return run_step(self._step, folder, **given)

    def calls(self, command: str) -> list[list[str]]:
        """Return the arguments of each call of one of gh's commands, after the tag."""
        made = [json.loads(line) for line in (self.state / "calls").read_text().splitlines()]
        return [call[2:] for call in made if call[0] == command]

    @property
    def is_draft(self) -> bool:
        """Whether nobody but the owner sees it."""
        return (self.state / TAG / "draft").read_text() == "true"


@pytest.fixture
def runner(tmp_path: Path, workflow: dict[str, Any]) -> Runner:
    """A runner that has published nothing yet."""
    return Runner(tmp_path / "runner", workflow)


class TestGitHub:
    """The step that makes the GitHub release."""

    def test_every_file_is_there_and_then_it_is_shown(self, runner: Runner) -> None:
        """A draft is made, filled, read back and only then shown."""
        done = runner.publish()
        assert done.returncode == 0, done.stderr
        assert digests(runner.state / TAG / "assets") == digests(runner.published)
        assert not runner.is_draft
        assert "--draft" in runner.calls("create")[0]
        order = [json.loads(line)[0] for line in (runner.state / "calls").read_text().splitlines()]
        assert order[-2:] == ["download", "edit"]

    def test_a_dry_run_says_what_would_be_sent(self, runner: Runner) -> None:
        """Each file with size and digest; GitHub is only asked."""
        done = runner.publish(dry_run=True)
        size = (runner.published / "Modelfile").stat().st_size
        assert done.returncode == 0, done.stderr
        assert f"+ Modelfile {size} {digests(runner.published)['Modelfile']}" in done.stdout.splitlines()
        assert len([line for line in done.stdout.splitlines() if line.startswith("+ ")]) == len(
            digests(runner.published)
        )
        assert not (runner.state / TAG).exists()

    def test_a_broken_one_goes_on(self, runner: Runner) -> None:
        """What arrived is not sent again, what arrived by half is; until then nobody sees it."""
        assert runner.publish(GH_BREAK="model-f16.gguf").returncode == 1
        assert runner.is_draft
        before = {Path(call[0]).name for call in runner.calls("upload")} - {"model-f16.gguf"}
        told = runner.publish(dry_run=True).stdout.splitlines()
        assert {line.split()[1] for line in told if line.startswith("= ")} == before
        first = len(runner.calls("upload"))
        done = runner.publish()
        assert done.returncode == 0, done.stderr
        again = {Path(call[0]).name for call in runner.calls("upload")[first:]}
        assert before
        assert again == set(digests(runner.published)) - before
        assert len(runner.calls("create")) == 1
        assert not runner.is_draft

    def test_a_draft_with_another_file_under_a_name_gets_the_right_one(self, runner: Runner) -> None:
        """Digests are compared, not names."""
        runner.publish(GH_BREAK="model.sig")
        (runner.state / TAG / "assets" / "README.md").write_bytes(b"of another release")
        assert runner.publish().returncode == 0
        assert digests(runner.state / TAG / "assets") == digests(runner.published)

    @pytest.mark.parametrize("name", ["model-Q4_K_M.gguf", "model.sig"])
    def test_a_byte_that_comes_back_changed_stops_it(self, runner: Runner, name: str) -> None:
        """Also in a file that SHA256SUMS does not name; the draft is not shown."""
        done = runner.publish(GH_FLIP=name)
        assert done.returncode == 1
        assert name in done.stdout + done.stderr
        assert runner.is_draft

    def test_one_that_is_published_is_not_changed(self, runner: Runner) -> None:
        """Nor is anything sent."""
        runner.publish()
        sent = len(runner.calls("upload"))
        (runner.published / "README.md").write_bytes(b"another")
        done = runner.publish()
        assert done.returncode == 1
        assert f"the release {TAG} is published already" in done.stderr
        assert len(runner.calls("upload")) == sent

    @pytest.mark.parametrize(("size", "code"), [((1 << 31) - 1, 0), (1 << 31, 1)])
    def test_what_github_does_not_take_is_refused_before(
        self, workflow: dict[str, Any], tmp_path: Path, size: int, code: int
    ) -> None:
        """2 GiB and more, with the file and what to do."""
        (tmp_path / "published").mkdir()
        with (tmp_path / "published" / "model-f16.gguf").open("wb") as stream:
            stream.truncate(size)
        done = run_step(step_of(workflow, "build", "GitHub takes files under 2 GiB"), tmp_path)
        assert done.returncode == code
        assert ("release.split_gb = 2" in done.stderr) == bool(code)
        assert (f"model-f16.gguf: {size} bytes" in done.stderr) == bool(code)


class TestSigning:
    """Who signs, and who is believed to have."""

    @staticmethod
    def steps(workflow: dict[str, Any], folder: Path, secret: str) -> list[list[str]]:
        """Run the steps that write and check the folder; return how this project's programs were called."""
        for program in (".venv/bin/nox", ".envs/host/bin/python"):
            write_program(folder / program, RECORDER)
        (folder / "temp").mkdir()
        given = {"RUNNER_TEMP": str(folder / "temp"), "RECIPE": "seedling", "RELEASE_SIGNING_KEY": secret}
        given |= {
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKFLOW_REF": f"o/n/.github/x.yml@refs/tags/{TAG}",
        }
        for name in ("Write the release folder, and sign it", "Check it as a stranger would"):
            done = run_step(step_of(workflow, "build", name), folder, **given)
            assert done.returncode == 0, done.stderr
            assert "PRIVATE KEY" not in done.stdout + done.stderr
        return [json.loads(line) for line in (folder / "called.jsonl").read_text().splitlines()]

    def test_with_a_key_its_public_half_is_believed(self, workflow: dict[str, Any], tmp_path: Path) -> None:
        """Not the one in the folder; and the private half is gone when the step ends."""
        key = write_key(tmp_path / "key.pem")
        written, checked = self.steps(workflow, tmp_path, key.read_text())
        private = tmp_path / "temp" / "signing-key.pem"
        assert written[-2:] == ["--key", str(private)]
        assert not private.exists()
        options = parse(checked[2:])
        assert (options.release, options.any_signer, options.policy) == ("published", False, None)
        (trusted,) = options.key
        assert trusted.parent == tmp_path / "temp"
        assert fingerprint(read_public_key(trusted)) == fingerprint(read_private_key(key).public_key())

    def test_without_one_the_workflow_itself_is_believed(self, workflow: dict[str, Any], tmp_path: Path) -> None:
        """A policy with the identity that GitHub gives this workflow on this tag, and no other."""
        written, checked = self.steps(workflow, tmp_path, "")
        assert written[-1] == "--sigstore"
        options = parse(checked[2:])
        assert (options.key, options.any_signer) == (None, False)
        (identity,) = read_policy(options.policy).sigstore
        assert identity.identity == f"https://github.com/o/n/.github/x.yml@refs/tags/{TAG}"
        assert identity.issuer == "https://token.actions.githubusercontent.com"


class TestElsewhere:
    """The other targets."""

    ANSWERS = f"""#!{sys.executable} -IS
import json, os, sys
names = ("HF_TOKEN", "DOCKER_AUTH_CONFIG", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION")
with open("called.jsonl", "a") as calls:
    calls.write(json.dumps([sys.argv[1:], [name for name in names if name in os.environ]]) + "\\n")
sys.exit(63 if "oci://full/o/m" in sys.argv else 0)
"""

    def calls(self, workflow: dict[str, Any], folder: Path, targets: str, **variables: str) -> tuple[int, list[Any]]:
        """Run the step; return its exit code, and each call with the logins that it was given."""
        write_program(folder / ".envs/host/bin/python", self.ANSWERS)
        step = step_of(workflow, "elsewhere", "Publish to each target")
        unset = {name: "" for name in step["env"] if name not in {"TARGETS", "DRY_RUN"}}
        done = run_step(step, folder, **{**unset, "TARGETS": targets, "DRY_RUN": "false", **variables})
        return done.returncode, [json.loads(line) for line in (folder / "called.jsonl").read_text().splitlines()]

    def test_all_are_looked_at_before_the_first_gets_anything(self, workflow: dict[str, Any], tmp_path: Path) -> None:
        """Without --yes, then with it."""
        code, calls = self.calls(workflow, tmp_path, "hf://o/m s3://b/p")
        options = [parse(call[0][2:]) for call in calls]
        assert code == 0
        assert [(one.target, one.yes) for one in options] == [
            ("hf://o/m", False), ("s3://b/p", False), ("hf://o/m", True), ("s3://b/p", True),
        ]  # fmt: skip

    def test_where_one_refuses_none_gets_anything(self, workflow: dict[str, Any], tmp_path: Path) -> None:
        """Its exit code ends the step."""
        code, calls = self.calls(workflow, tmp_path, "hf://o/m oci://full/o/m s3://b/p")
        assert code == 63
        assert not [call for call in calls if "--yes" in call[0]]

    def test_a_dry_run_ends_there(self, workflow: dict[str, Any], tmp_path: Path) -> None:
        """It looks at each."""
        code, calls = self.calls(workflow, tmp_path, "hf://o/m s3://b/p", DRY_RUN="true")
        assert (code, len(calls)) == (0, 2)
        assert not [call for call in calls if "--yes" in call[0]]

    def test_a_login_that_is_not_set_is_none(self, workflow: dict[str, Any], tmp_path: Path) -> None:
        """GitHub gives an empty text for it, which a client would send."""
        logins = {"AWS_ACCESS_KEY_ID": "x", "AWS_SESSION_TOKEN": "y"}
        _, calls = self.calls(workflow, tmp_path, "s3://b/p", **logins)
        assert calls[0][1] == ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"]

    def test_each_login_that_publish_reads_is_passed_on(self, workflow: dict[str, Any]) -> None:
        """The names of docs/publishing.md that a runner can have; roles and files it has not."""
        given = step_of(workflow, "elsewhere", "Publish to each target")["env"]
        wanted = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "DOCKER_AUTH_CONFIG"}
        assert {name: given.get(name) for name in wanted} == {name: f"${{{{ secrets.{name} }}}}" for name in wanted}


class TestStarted:
    """By a tag, or by hand on one."""

    def test_a_tag_releases_the_seedling_and_a_person_chooses(self, workflow: dict[str, Any]) -> None:
        """By hand it is a dry run unless that is unticked; a tag has no inputs, and publishes."""
        asked = workflow["on"]["workflow_dispatch"]["inputs"]
        assert (asked["recipe"]["default"], asked["dry_run"]["default"]) == ("seedling", True)
        assert workflow["jobs"]["build"]["env"]["RECIPE"] == "${{ inputs.recipe || 'seedling' }}"
        assert step_of(workflow, "publish", "Publish")["env"]["DRY_RUN"] == "${{ inputs.dry_run || false }}"

    @pytest.mark.parametrize(("kind", "code"), [("tag", 0), ("branch", 1)])
    def test_a_branch_is_refused(self, workflow: dict[str, Any], tmp_path: Path, kind: str, code: int) -> None:
        """Its name would become that of a release."""
        step = step_of(workflow, "build", "Only a tag is released")
        assert run_step(step, tmp_path, GITHUB_REF_TYPE=kind, GITHUB_REF_NAME="main").returncode == code
