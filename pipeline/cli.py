"""The commands behind `python -m pipeline`, apart from the quick path in `__main__.py`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.commands import collect, diagnose, diff, gates, pin, run, setup, stages, status, verify, why
from pipeline.display import TerminalDisplay
from pipeline.errors import SHORTAGE_ADVICE, InterruptedRunError, NoSpaceError, PipelineError, ShortageError
from pipeline.files import explanation
from pipeline.log import Sink, json_sink


def _images(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import images  # noqa: PLC0415 - the engine's SDK is 80 ms that no other command needs

    return images.main(options, sinks)


def _compare(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import compare  # noqa: PLC0415 - reads many files and makes pages, as no other command does

    return compare.main(options, sinks)


def _review(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import review  # noqa: PLC0415 - a server and a database, which no other command needs

    return review.main(options, sinks)


def _rate(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import rate  # noqa: PLC0415 - as for `review`

    return rate.main(options, sinks)


def _reproduce(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import reproduce  # noqa: PLC0415 - git, subprocesses and pages, which no other command needs

    return reproduce.main(options, sinks)


def _release(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import release  # noqa: PLC0415 - writes papers that no other command needs

    return release.main(options, sinks)


def _attest(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import attest  # noqa: PLC0415 - as for `release`

    return attest.main(options, sinks)


def _crosscheck(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import crosscheck  # noqa: PLC0415 - as for `release`

    return crosscheck.main(options, sinks)


def _offload(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import offload  # noqa: PLC0415 - as for `compare`

    return offload.main(options, sinks)


def _publish(options: argparse.Namespace, sinks: list[Sink]) -> int:
    from pipeline.commands import publish  # noqa: PLC0415 - clients of hubs and stores, which no other command needs

    return publish.main(options, sinks)


COMMANDS: dict[str, Callable[[argparse.Namespace, list[Sink]], int]] = {
    "run": run.main,
    "status": status.main,
    "why": why.main,
    "gates": gates.main,
    "verify": verify.main,
    "stages": stages.main,
    "gc": collect.main,
    "setup": setup.main,
    "pin": pin.main,
    "images": _images,
    "diagnose": diagnose.main,
    "diff": diff.main,
    "reproduce": _reproduce,
    "attest": _attest,
    "crosscheck": _crosscheck,
    "review": _review,
    "compare": _compare,
    "rate": _rate,
    "release": _release,
    "offload": _offload,
    "publish": _publish,
}


def dispatch(options: argparse.Namespace) -> int:
    """Run one command with its events shown; return the exit code. A user's mistake gives no traceback."""
    # Set both: a shell that starts us in the background leaves SIGINT ignored, and Python keeps it so.
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _shown(options) as sinks:
            return COMMANDS[options.command](options, sinks)
    except PipelineError as error:
        return _told(error)
    except KeyboardInterrupt:
        print("stopped by the user", file=sys.stderr)
        return InterruptedRunError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: not an error of ours
        return 0
    except (OSError, MemoryError, RuntimeError) as error:
        if (told := _of_the_machine(error)) is None:
            raise
        return _told(told)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


_REFUSED = {errno.EMFILE, errno.ENFILE, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
_REFUSED |= {errno.ENOMEM, errno.EAGAIN, errno.ENODEV, errno.ENOTCONN}
"""What the system refuses for reasons outside this program, wherever that is."""
_NO_THREAD = "can't start new thread"
"""What the interpreter says where the system refuses one."""


def _of_the_machine(error: Exception) -> PipelineError | None:
    """Return what to tell of an error that no command told of itself, and that is the machine's; None for a bug."""
    where = f"process {os.getpid()}"
    if isinstance(error, MemoryError):
        return ShortageError("no memory left for this process", where=where, advice=SHORTAGE_ADVICE)
    if str(error) == _NO_THREAD:
        return ShortageError(
            "no thread could be started: the system refused one more", where=where, advice=SHORTAGE_ADVICE
        )
    if not isinstance(error, OSError):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(error)
    return explanation(error, Path.cwd()) if error.errno in _REFUSED else None


def _told(error: PipelineError) -> int:
    print(f"{error}\n(exit code {error.exit_code})", file=sys.stderr)
    return error.exit_code


def _full(error: OSError) -> NoSpaceError:
    """Tell of a full disk: most often where the output is sent to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of the output has no place either
    where = str(error.filename or "standard output")
    return NoSpaceError("no space left on the disk", where=where, advice="free space, or send the output elsewhere")


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _shown(options: argparse.Namespace) -> Iterator[list[Sink]]:
    """Yield the sinks for events: a display on a terminal, JSON lines elsewhere."""
    as_json = options.log == "json" or (options.log == "auto" and not (sys.stdout.isatty() and sys.stderr.isatty()))
    if as_json:
        yield [json_sink(sys.stdout)]
    else:
        with TerminalDisplay() as display:
            yield [display]
