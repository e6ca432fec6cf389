"""The container engine: what is asked of it to make images, and what its refusals mean."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import docker
import docker.errors
import requests.exceptions

from pipeline.engine.connection import connect, default_host
from pipeline.errors import ImageError

Emit = Callable[..., None]

_MADE = re.compile(r" ---> ([0-9a-f]{12})|Successfully built ([0-9a-f]{12})")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_KEPT_LINES = 12
_ANSWER_S = 3600  # the engine says nothing while it writes a layer of gigabytes

_REASONS = (
    (
        r"No space left on device|no space left",
        "the disk is full",
        "free about 6 GB where the engine keeps its images and where .cache/ lies, then run again",
    ),
    (
        r"manifest unknown|not found: manifest|repository does not exist|No such image|pull access denied",
        "the base image is not there: no registry has this digest",
        "correct the digest in containers/images.toml, or build on a base made here: add --local-base",
    ),
    (
        r"dial tcp|lookup .+ on |no such host|i/o timeout|TLS handshake|certificate|connection refused",
        "the base image cannot be fetched: no registry answers",
        "check the engine's network, or build on a base made here: add --local-base",
    ),
)
"""What the engine says (a pattern) → what happened → what to do. The first that fits counts."""


def explain(text: str, where: str, last: str = "") -> ImageError:
    """Turn what the engine said, and the last lines of a build, into an error."""
    tail = f"{text.strip()}\n{last}".strip()
    for pattern, what, advice in _REASONS:
        if re.search(pattern, tail, re.IGNORECASE):
            return ImageError(f"{what}\n{tail}", where=where, advice=advice)
    return ImageError(f"the engine could not do it\n{tail}", where=where, advice="read the lines above, then run again")


@contextlib.contextmanager
def opened() -> Iterator[Engine]:
    """Yield the engine of `DOCKER_HOST` or of this machine. Raises EngineError when none answers."""
    with contextlib.closing(connect(default_host(), _ANSWER_S)) as api:
        yield Engine(api)


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the engine's and the connection's errors into ours."""
    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise explain(str(getattr(error, "explanation", None) or error), where) from error


class _Client(docker.DockerClient):  # type: ignore[misc]  # published without types
    """The SDK's comfortable half over a connection that is already there."""

    def __init__(self, api: Any) -> None:
        self.api = api


class Engine:
    """An engine that answers. Every method raises ImageError."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._client = _Client(api)

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, None when it has none."""
        try:
            return dict(self._api.inspect_image(reference))
        except docker.errors.ImageNotFound:
            return None
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise explain(str(error), reference) from error

    def pull(self, reference: str) -> None:
        """Fetch an image by digest."""
        with _explained(reference):
            name, _, digest = reference.partition("@")
            self._client.images.pull(name, tag=digest)

    def build(
        self,
        context: Path,
        *,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        cached: bool,
        said: Callable[[str], None],
    ) -> list[str]:
        """Build a context (a tar file) without a network; return the images of its steps, the result last.

        `said` is called with each line that the build prints. Containers of a failed build are removed.
        """
        made: list[str] = []
        last: deque[str] = deque(maxlen=_KEPT_LINES)
        step = "docker build"
        with context.open("rb") as stream, _explained(step):
            for answer in self._build(stream, arguments, labels, cached=cached):
                if error := answer.get("error"):
                    raise explain(str(error), step, "\n".join(last))
                text = _COLOUR.sub("", str(answer.get("stream", "")))
                for line in filter(str.strip, text.splitlines()):
                    said(line)
                    last.append(line)
                    step = line if line.startswith("Step ") else step
                    if found := _MADE.fullmatch(line):
                        made.append(found[1] or found[2])
        if not made:
            raise explain("the build ended without an image", step, "\n".join(last))
        return made

    def _build(
        self, stream: IO[bytes], arguments: Mapping[str, str], labels: Mapping[str, str], *, cached: bool
    ) -> Iterator[dict[str, Any]]:
        answers: Iterator[dict[str, Any]] = self._api.build(
            fileobj=stream,
            custom_context=True,
            decode=True,
            network_mode="none",
            buildargs=dict(arguments),
            labels=dict(labels),
            nocache=not cached,
            rm=True,
            forcerm=True,
        )
        return answers

    def save(self, image: str, path: Path) -> None:
        """Write an image to a tar file."""
        with _explained(image), path.open("wb") as stream:
            for block in self._api.get_image(image, chunk_size=1 << 20):
                stream.write(block)

    def load(self, path: Path) -> None:
        """Read an image from a tar file."""
        with path.open("rb") as stream, _explained(str(path)):
            for answer in self._api.load_image(stream):
                if error := answer.get("error"):
                    raise explain(str(error), str(path))

    def discard(self, images: list[str]) -> None:
        """Remove images, the newest first; one that something else stands on stays."""
        for image in reversed(images):
            with contextlib.suppress(docker.errors.APIError):
                self._api.remove_image(image, noprune=True)

    def run(self, image: str, script: str) -> str:
        """Run a shell script in a fresh container with a network; return what it prints."""
        with _explained(image):
            try:
                output = self._client.containers.run(image, ["sh", "-c", script], remove=True, stderr=False)
            except docker.errors.ContainerError as error:
                raise explain((error.stderr or b"").decode(errors="replace"), image) from error
        return bytes(output).decode()
