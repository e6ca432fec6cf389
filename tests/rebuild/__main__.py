"""Build by several builders and cross-check their lists: `python -m tests.rebuild [--short]`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.environments import REPOSITORY
from tests.rebuild.builders import HOST, Builder, CannotBuildError, containers, other, usual
from tests.rebuild.debian import another_debian
from tests.rebuild.seeded import LAST, NoBuildError, seed
from tests.support.elsewhere import jobs_at_another_time

FOLDER = REPOSITORY / "build" / "rebuild"
Make = Callable[[Path], Builder]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where builders differ, 2 where there are not two lists to hold against each other."""
    options = _options(arguments)
    lists: list[Path] = []
    for name, make in _builders(options):
        started = time.monotonic()
        try:
            lists.append(_build(make(options.folder), options))
        except CannotBuildError as error:
            print(f"{name}: not built: {error}", flush=True)
            if name not in options.may_lack:
                return 2
            continue
        except NoBuildError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{name}: built and attested in {time.monotonic() - started:.0f} s", flush=True)
    keys = sorted({path.with_suffix(".pub") for path in lists})
    trust = [word for key in keys for word in ("--trust", str(key))]
    command = [str(HOST), "-m", "pipeline", "crosscheck", "--log", "terminal", *map(str, lists), *trust]
    done = subprocess.run(command, cwd=REPOSITORY, check=False)
    return 0 if done.returncode == 0 else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.rebuild", description=__doc__)
    parser.add_argument("--recipe", default="seedling", help="a recipe file, or a shipped recipe's name")
    parser.add_argument("--short", action="store_true", help="data and GGUF stages only, on a finished build's model")
    parser.add_argument("--from", dest="source", type=Path, default=Path("build"), help="that build (default: build)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to build (default: build/rebuild)")
    parser.add_argument("--debian", action="store_true", help="with --short: in another Debian release as well")
    options = parser.parse_args(arguments)
    options.folder = options.folder.absolute()
    options.may_lack = () if os.environ.get("CI") == "true" else ("containers", "debian")
    return options


def _builders(options: argparse.Namespace) -> Iterator[tuple[str, Make]]:
    yield "usual", usual
    yield "other", other
    if not options.short:
        yield "containers", containers
    if options.debian or not options.short:
        yield "debian", lambda folder: another_debian(folder, fresh=not options.short)


def _build(builder: Builder, options: argparse.Namespace) -> Path:
    """Build from an empty store, or one without the stages in question; return the signed list."""
    place = options.folder / builder.name
    place.mkdir(parents=True, exist_ok=True)
    log, target, stages = place / "log", [], []
    for lack in builder.conditions.missing:
        if os.environ.get("CI") == "true":
            raise CannotBuildError(f"CI has to have another {lack}")
        print(f"{builder.name}: without another {lack}", flush=True)
    if builder.build.exists():  # what lies there would be attested as built again
        shutil.rmtree(builder.build)
    if options.short:
        made = seed(options.source, options.recipe, builder.build)
        target, stages = ["--to", LAST], [word for stage in made for word in ("--stage", stage)]
    builder.call("run", "--recipe", options.recipe, *target, *builder.options, log=log)
    if builder.name == "other" and not builder.conditions.missing and not jobs_at_another_time(place / "programs"):
        raise CannotBuildError("no job was started with the other clock: jobs do not go through unshare any more")
    return _attest(builder, ["--recipe", options.recipe, *stages], place, log)


def _attest(builder: Builder, arguments: Sequence[str], place: Path, log: Path) -> Path:
    """Let the builder sign what it got, with a key of its own, made for this once."""
    key, public = place / "key.pem", place.with_suffix(".pub")
    written = place.with_suffix(".json")
    for stale in (key, public, written):
        stale.unlink(missing_ok=True)
    _make_key(key, public)
    builder.call("attest", *arguments, "--to", str(written), "--key", str(key), log=log, own=False)
    return written


def _make_key(key: Path, public: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from pipeline.signing.keys import pem

    made = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key.touch(mode=0o600)
    key.write_bytes(made.private_bytes(*form))
    public.write_bytes(pem(made.public_key()))


if __name__ == "__main__":
    sys.exit(main())
