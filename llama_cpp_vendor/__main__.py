"""``python -m llama_cpp_vendor fetch|unpack|verify|wheel``: each prints the path of what it made."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from llama_cpp_vendor.build import build_wheel
from llama_cpp_vendor.fetch import fetch
from llama_cpp_vendor.flags import BACKENDS, CPU
from llama_cpp_vendor.pin import read_pin
from llama_cpp_vendor.unpack import converter_folder, unpack
from pipeline.errors import VendorError


def default_cache() -> Path:
    """Return the user's cache folder for this project's llama.cpp."""
    return Path.home() / ".cache" / "llama_cpp_vendor"


def show_step(done: int, total: int) -> None:
    """Show the build's progress on standard error: in place on a terminal, every tenth otherwise."""
    if sys.stderr.isatty():
        print(f"\rllama.cpp: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done * 10 // total != (done - 1) * 10 // total:
        print(f"llama.cpp: {done}/{total}", file=sys.stderr, flush=True)


def run(arguments: argparse.Namespace) -> Path:
    """Do what the command says and return the path to print."""
    pin = read_pin()
    archive = fetch(pin, arguments.cache, arguments.python)
    if arguments.command == "fetch":
        return archive
    if arguments.command == "wheel":
        lock = hashlib.sha256(arguments.lock.read_bytes()).hexdigest()
        wheel = build_wheel(
            archive,
            pin,
            arguments.cache,
            arguments.python,
            lock,
            backend=arguments.backend,
            jobs=arguments.jobs,
            report=show_step,
        )
        return wheel.path
    return converter_folder(unpack(archive, pin, arguments.cache, verify=arguments.command == "verify"))


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m llama_cpp_vendor", description=__doc__)
    parser.add_argument("command", choices=("fetch", "unpack", "verify", "wheel"))
    parser.add_argument("--cache", type=Path, default=default_cache(), help="folder for archive, tree and wheels")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="interpreter of the build environment"
    )
    parser.add_argument("--lock", type=Path, help="lock file of the build environment (for `wheel`)")
    parser.add_argument("--backend", choices=BACKENDS, default=CPU, help="what the wheel is for (for `wheel`)")
    parser.add_argument("--jobs", type=int, help="compilations at a time; default: all processors")
    arguments = parser.parse_args(argv)
    if arguments.command == "wheel" and arguments.lock is None:
        parser.error("wheel needs --lock")
    try:
        print(run(arguments))
    except VendorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
