"""One tree of errors. Each family has an exit code of its own; a test checks that they differ.

Every message says what happened, where (file, line, key, row), and what to do next. Built-in
exceptions are left for programmers' mistakes.
"""

from __future__ import annotations

import re

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys instead of showing it (controls, bidirectional marks), and halves of surrogate pairs."""


def printable(text: str) -> str:
    """Return a text whose control characters are written as escapes: rows, files and hubs may hold any."""
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class PipelineError(Exception):
    """A problem that the user can mend. Never raised itself: use a family."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.advice = advice

    def __str__(self) -> str:
        """Render for a terminal: what happened, where, what to do."""
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.advice:
            lines.append(f"  do:    {self.advice}")
        return printable("\n".join(lines))


class UsageError(PipelineError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class RecipeError(PipelineError):
    """A recipe file is missing or wrong."""

    exit_code = 20


class SettingsError(PipelineError):
    """The run settings (`run.toml`) are missing or wrong."""

    exit_code = 21


class FetchError(PipelineError):
    """Data or a base model could not be fetched, or is not what the recipe names."""

    exit_code = 30


class EndpointError(PipelineError):
    """The endpoint of the judge's model cannot be used, or does not answer as the protocol says."""

    exit_code = 31


class EnvironmentSetupError(PipelineError):
    """An environment (interpreter, packages) could not be made or is not what its lock says."""

    exit_code = 40


class VendorError(PipelineError):
    """The llama.cpp archive could not be fetched, verified, unpacked or built."""

    exit_code = 41


class ImageError(PipelineError):
    """A container image could not be built, is not there, or is not the one that the lock names."""

    exit_code = 42


class ExecutorError(PipelineError):
    """A job could not be started, ran out of time or memory, or was killed."""

    exit_code = 50


class StageError(PipelineError):
    """A stage ran and stopped with a problem of its own."""

    exit_code = 51


class EngineError(PipelineError):
    """The container engine is not there, is too old, refuses us, or was lost on the way."""

    exit_code = 52


SHORTAGE_ADVICE = (
    "end other programs, or raise the limits on memory and processes (`ulimit -a` shows them); then run again"
)


class ShortageError(PipelineError):
    """The machine, or a limit that was set, gave this process no memory, thread or process."""

    exit_code = 53


class GateError(PipelineError):
    """A gate failed: nothing downstream is built."""

    exit_code = 60


class ArtifactsDifferError(PipelineError):
    """Two artifacts that were held against each other are not the same."""

    exit_code = 61


class ReleaseError(PipelineError):
    """A release is refused, or one that was handed over is not what it says of itself."""

    exit_code = 62


class PublishError(PipelineError):
    """A release could not be published: the target refuses it, holds another, or did not keep what was sent."""

    exit_code = 63


class StoreError(PipelineError):
    """The store cannot be read or written."""

    exit_code = 70


class NoSpaceError(StoreError):
    """The disk is full."""

    exit_code = 71


class CorruptArtifactError(StoreError):
    """A stored artifact no longer has the bytes that its manifest names."""

    exit_code = 72


class StoreBusyError(StoreError):
    """Another run holds the store or the stage's lock."""

    exit_code = 73


class InterruptedRunError(PipelineError):
    """The user stopped the run (Ctrl-C or a termination signal)."""

    exit_code = 130
