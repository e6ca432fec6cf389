"""Run settings (`run.toml`): where and with how much a run works. No key has them.

Nothing in them changes a byte but the variant of an image, and the image's digest is in the keys.

`docs/running.md` describes every setting for a reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, ValidationError

from pipeline.errors import SettingsError
from pipeline.llm_judge.secret import check_address
from pipeline.recipe_errors import problems_of
from pipeline.recipe_sources import Section
from pipeline.toml_text import MAX_BYTES, key_lines, line_of, parse


def _listed(value: Any) -> Any:
    """Accept one GPU for a list of one, and whole numbers for indices."""
    items = value if isinstance(value, list) else [value]
    return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in items]


def _addressed(value: Any) -> Any:
    """Accept a bare address for a host without certificates."""
    return {"url": value} if isinstance(value, str) else value


_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
"""Names of environment variables. In capitals only: a key that was put there by mistake is none."""

Gpu = Annotated[str, Field(pattern=r"^(all|\d+|(GPU|MIG)-[0-9A-Za-z/-]+)$")]
"""`all`, an index, or a UUID as `nvidia-smi -L` prints it."""


TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")
"""Trackers by the names that the trainer's own integrations have."""


class Host(Section):
    """Where a container engine listens. The paths are those of TLS, which `tcp://` needs."""

    url: str = Field(pattern=r"^(unix:///|ssh://|tcp://).+$", description="unix:///path, ssh://user@host or tcp://host")
    ca: str | None = Field(None, description="Certificate of the authority that signed the engine's.")
    certificate: str | None = Field(None, description="This client's certificate.")
    key: str | None = Field(None, description="This client's private key.")


class DockerSettings(Section):
    """What containers get."""

    memory: str | None = Field(None, pattern=r"^[1-9]\d*[kmg]$", description="Memory limit, e.g. 12g.")
    pids: int = Field(4096, ge=16, description="Processes and threads of one job.")
    gpus: Annotated[tuple[Gpu, ...], Strict(False), BeforeValidator(_listed)] = Field((), description="GPUs to give.")
    timeout_s: float | None = Field(None, gt=0, description="Time limit of one job.")
    variants: Mapping[Literal["training", "inference"], str] = Field(
        {}, description="Variant of each image, e.g. training = 'cuda'; `cpu` where none is named."
    )


class TrackerSettings(Section):
    """What watches a training besides this program. Off by default, without a network, and in no key."""

    tensorboard: bool = Field(False, description="Event files, for `tensorboard --logdir`.")
    mlflow: bool = Field(False, description="A database file, for `mlflow ui`.")
    wandb: bool = Field(False, description="An offline run, for `wandb sync`.")
    trackio: bool = Field(False, description="A database file, for `trackio show`.")
    project: str | None = Field(
        None, pattern=r"^[\w.-]{1,64}$", description="Project or experiment in the tracker; default: the recipe's name."
    )

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of the trackers that are on."""
        return tuple(name for name in TRACKERS if getattr(self, name))


class JudgeEndpoint(Section):
    """Where the judge's model answers. The key itself stands in no file: only the name of a variable that holds it."""

    base_url: str = Field(min_length=1, description="Address below which `chat/completions` lies; ends in /v1 mostly.")
    key_variable: str | None = Field(
        None,
        min_length=1,
        description="Environment variable that holds the key; OPENAI_API_KEY, or none for a loopback address.",
    )
    timeout_s: float = Field(120.0, gt=0, description="Longest silence of the endpoint.")
    concurrency: int = Field(4, ge=1, le=64, description="Requests at the same time.")
    retries: int = Field(4, ge=0, le=20, description="New attempts after 429, 5xx, a timeout or a cut connection.")


class RunSettings(Section):
    """The whole file."""

    executor: Literal["local", "docker"] = Field("local", description="Where stages run.")
    jobs: int | None = Field(None, ge=1, description="Stages at the same time.")
    docker: DockerSettings = Field(DockerSettings(), description="What containers get.")
    trackers: TrackerSettings = Field(TrackerSettings(), description="What watches the training.")
    hosts: Mapping[str, Annotated[Host, BeforeValidator(_addressed)]] = Field({}, description="Image → engine.")
    judge: JudgeEndpoint | None = Field(None, description="Where the judge's model answers.")

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the tables that stages of the host read, by stage family; no key counts them."""
        return {} if self.judge is None else {"judge": self.judge.model_dump()}


def load_settings(path: Path | None) -> RunSettings:
    """Read run settings; the defaults where there is no file. Raises SettingsError with all problems."""
    if path is None:
        return RunSettings()
    raw, text = _read(path)
    try:
        settings = RunSettings.model_validate(raw)
    except ValidationError as error:
        lines = key_lines(text)
        found = [item.located(path.name, line_of(lines, item.key)) for item in problems_of(error, raw, RunSettings)]
        message = "\n".join(["the run settings are wrong:", *(f"  {problem}" for problem in found)])
        raise _wrong(message, path) from error
    for name, host in settings.hosts.items():
        if host.url.startswith("tcp://") and None in (host.ca, host.certificate, host.key):
            message = (
                f"hosts.{name} is reached over tcp:// without ca, certificate and key: anybody could be root there"
            )
            raise _wrong(message, path)
    if settings.judge is not None and (problem := _judge_problem(settings.judge)):
        raise _wrong(problem, path)
    return settings


def _judge_problem(judge: JudgeEndpoint) -> str:
    """Return what is wrong with the endpoint; a value that may hold a key by mistake is not repeated."""
    if problem := check_address(judge.base_url):
        return f"judge.base_url {problem}"
    if judge.key_variable is not None and not _VARIABLE.fullmatch(judge.key_variable):
        return "judge.key_variable is no name of a variable in capitals; the key itself stands in no file"
    return ""


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _wrong(f"the run settings have more than {MAX_BYTES:,} bytes", path)
        text = path.read_bytes().decode("utf-8-sig")
        return parse(text), text
    except OSError as error:
        raise _wrong(f"the run settings cannot be read: {error.strerror}", path) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not TOML
        raise _wrong(f"the run settings are not valid TOML: {error}", path) from error


def _wrong(message: str, path: Path) -> SettingsError:
    return SettingsError(message, where=str(path.resolve()), advice="every setting is described in docs/running.md")
