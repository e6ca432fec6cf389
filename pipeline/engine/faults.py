"""What a container engine's refusals mean, in words that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from docker.errors import APIError, DockerException, ImageNotFound

from pipeline.errors import EngineError, ExecutorError, ImageError, PipelineError

_GPU_WORDS = ("device driver", "nvidia", "[[gpu]]", "cdi device")

_UNREACHABLE = {
    errno.EACCES: (
        "no right to use the container engine",
        "join the group that owns the socket (`sudo usermod -aG docker $USER`, then log in again)",
    ),
    errno.ENOENT: ("there is no container engine", "install and start Docker, or use --executor local"),
    errno.ECONNREFUSED: ("no container engine answers", "start it (`sudo systemctl start docker`)"),
}


@contextmanager
def engine_errors(url: str, image: str = "") -> Iterator[None]:
    """Turn what the SDK raises in the block into EngineError, ImageError or ExecutorError."""
    try:
        yield
    except PipelineError:
        raise
    except APIError as error:
        raise _refused(error, url, image) from error
    except (DockerException, requests.RequestException, OSError) as error:
        raise unreachable(error, url) from error


@contextmanager
def odd_answers(url: str) -> Iterator[None]:
    """Turn what the block raises for an answer of another form than an engine's into EngineError."""
    try:
        yield
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        message = f"what answers there is no container engine: its answer has another form ({type(error).__name__})"
        raise EngineError(message, where=url, advice="check the address, and what listens there") from error


def _refused(error: APIError, url: str, image: str) -> PipelineError:
    text = str(error.explanation or error).strip()
    if isinstance(error, ImageNotFound) or "no such image" in text.lower():
        message = f"the engine does not have the image {image}"
        return ImageError(message, where=url, advice="run `nox -s images`")
    if any(word in text.lower() for word in _GPU_WORDS):
        message = f"the engine cannot give a GPU: {text}"
        advice = (
            "install the NVIDIA Container Toolkit there (`nvidia-ctk runtime configure`, then restart Docker), name a"
            " GPU that `nvidia-smi -L` lists, or remove `gpus` from run.toml"
        )
        return ExecutorError(message, where=url, advice=advice)
    return EngineError(f"the container engine refused: {text}", where=url, advice="see the engine's own log")


def unreachable(error: Exception, url: str) -> EngineError:
    """Say why an engine cannot be talked to; the operating system's reason lies deep inside the SDK's error."""
    number = _errno(error)
    default = (f"the container engine cannot be reached: {error}", "check that it runs and that the address is right")
    what, advice = _UNREACHABLE.get(number or 0, default)
    return EngineError(what, where=url, advice=advice)


def _errno(error: BaseException) -> int | None:
    """Return the first error number in an error, its arguments and causes."""
    todo: list[object] = [error]
    for item in todo:  # grows while it is walked
        if isinstance(item, OSError) and isinstance(item.errno, int):
            return item.errno
        if isinstance(item, BaseException) and len(todo) < 100:  # noqa: PLR2004 - a chain that goes round ends too
            todo += [*item.args, item.__cause__, item.__context__]
    return None
