"""The command line: `python -m pipeline COMMAND`. Standard library only, for a quick start."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

DEFAULT_RECIPE = "seedling"
EXECUTORS = ("local", "docker")
"""Names of the executors; `executors/table.py` says what each is."""
OUTCOMES = ("failed", "waived", "warned", "not measured", "passed")
"""What a gate can answer, the most urgent first."""

_EPILOG = """\
exit codes: 0 done, 2 wrong command line, 20 recipe, 21 run settings, 30 fetch, 31 judge's endpoint,
40 environment, 41 llama.cpp archive, 42 container image, 50 job crashed, 51 stage failed, 52 container engine,
53 no memory or processes left, 60 gate failed, 61 artifacts differ, 62 release refused or not verified,
63 not published, 70-73 store, 130 interrupted. Everything else is a bug.
"""

_EXAMPLES = {
    "run": "--recipe my.toml --to train",
    "status": "--recipe my.toml",
    "why": "train --recipe my.toml",
    "gates": "--recipe my.toml --only failed,warned --verbose",
    "verify": "my-model --key maintainer.pub",
    "stages": "--recipe my.toml",
    "gc": "--dry-run",
    "setup": "--recipe my.toml",
    "pin": "--recipe my.toml",
    "review": "--recipe my.toml",
    "rate": "--recipe my.toml --forms",
    "release": "--recipe my.toml --to my-model",
    "images": "training --variant cuda",
    "reproduce": "build/seedling/release --data rows/",
    "attest": "--to mine.intoto.json",
    "crosscheck": "mine.intoto.json theirs.intoto.json --trust theirs.pub",
    "diff": "seedling/train 20260101T120000.482Z-3f9a1c/train",
    "compare": "seedling 20260801T101500.482Z-3f9a1c",
    "offload": '--card "RTX 5060 Ti" build/seedling/model-Q4_K_M.gguf',
    "publish": "build/seedling/release s3://bucket/models",
    "diagnose": "--gguf model-F16.gguf --gguf model-Q4_K_M.gguf",
}
"""Arguments of the example in each command's help."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse a command line; exits with code 2 and a usage line when it is wrong."""
    parser, commands = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = commands.choices[options.command]
        command.error(f"unrecognized arguments: {' '.join(unknown)}{_nearest(unknown[0], command)}")
    if options.command == "run":
        _refuse_bytes(options, commands.choices["run"])
    return options


def _refuse_bytes(options: argparse.Namespace, run: argparse.ArgumentParser) -> None:
    """End where a path of a run is no text: states and records hold it as such, and could not be written."""
    for path in (options.recipe, options.build, options.settings or "", Path.cwd()):
        try:
            str(path).encode()
        except UnicodeEncodeError:
            run.error(f"the path {str(os.fsencode(path))[2:-1]} is not UTF-8: rename it, or name another")


def _nearest(argument: str, command: argparse.ArgumentParser) -> str:
    """Name the command's option that is nearest to what was not understood, if any is near."""
    import difflib  # noqa: PLC0415 - only when something is wrong
    import re  # noqa: PLC0415

    near = difflib.get_close_matches(argument.partition("=")[0], re.findall(r"--[a-z-]+", command.format_help()), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _parser() -> tuple[argparse.ArgumentParser, argparse._SubParsersAction[argparse.ArgumentParser]]:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Build a fine-tuned model from raw rows to a released GGUF, every step checked.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _run(commands)
    status = _command(commands, "status", "show each stage: up to date, or what a run would build")
    _executor(status)
    why = _command(commands, "why", "say which component of a stage's key changed since its last build")
    _executor(why)
    why.add_argument("stage", metavar="STAGE", help="a stage's name, e.g. train or quantize-Q4_K_M")
    _gates(commands)
    _verify(commands)
    _command(commands, "stages", "list the stages with their inputs and environments")
    collect = _command(commands, "gc", "remove artifacts that no kept run needs", recipe=False)
    collect.add_argument("runs", nargs="*", metavar="RUN", help="runs to keep besides the last one of every recipe")
    collect.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    collect.add_argument("--scratch", action="store_true", help="also remove what interrupted stages would go on from")
    _executor(_command(commands, "setup", "make the environments that the recipe's stages need, and stop"))
    _command(commands, "pin", "look up the recipe's base model on the hub and write its file hashes into the recipe")
    _images(commands)
    _diagnose(commands)
    _diff(commands)
    _reproduce(commands)
    _attest(commands)
    _crosscheck(commands)
    _review(commands)
    _compare(commands)
    _rate(commands)
    _release(commands)
    _offload(commands)
    _publish(commands)
    return parser, commands


def _diagnose(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    diagnose = _command(commands, "diagnose", "say which step broke the model, of a build or of loose files")
    _executor(diagnose)
    diagnose.add_argument("run", nargs="?", metavar="RUN", help="a run's name (default: the recipe's last build)")
    loose = diagnose.add_argument_group("loose files", "made by whatever tool; each is asked the same prompts")
    loose.add_argument("--gguf", type=Path, action="append", metavar="FILE", help="a GGUF file; may be given again")
    loose.add_argument("--base", type=Path, metavar="DIR", help="the model folder that the adapter was trained on")
    loose.add_argument("--adapter", type=Path, metavar="DIR", help="the adapter's folder; needs --base")
    loose.add_argument("--merged", type=Path, metavar="DIR", help="the merged model's folder")
    loose.add_argument("--data", type=Path, metavar="FILE", help="training rows, in the columns that the recipe names")
    loose.add_argument("--system", metavar="TEXT", help="system prompt (default: the recipe's)")
    loose.add_argument("--prompt", action="append", metavar="TEXT", help="what to ask; may be given again")


def _diff(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "\nExit code 0: nothing differs, 61: something does, 2: usage.\n"
    diff = _command(commands, "diff", "say how two artifacts differ: files, folders, stages or runs", about=about)
    _executor(diff)
    for name in ("first", "second"):
        diff.add_argument(
            name,
            metavar=name.upper(),
            help="a file, a folder, RUN/STAGE, or a whole RUN; a recipe's name stands for its last build",
        )


def _reproduce(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    reproduce = _command(
        commands,
        "reproduce",
        "build a release again from its own papers, and compare stage by stage",
        recipe=False,
        about=_REPRODUCED,
    )
    _executor(reproduce)
    reproduce.add_argument("folder", type=_folder, metavar="FOLDER", help="the release folder")
    reproduce.add_argument(
        "--data",
        type=_folder,
        action="append",
        metavar="DIR",
        help="where rows and model files may lie, found by digest under any name; may be given again",
    )
    reproduce.add_argument(
        "--work", type=_folder, metavar="DIR", help="where to build (default: build/reproductions/<digest>)"
    )
    reproduce.add_argument(
        "--repository", metavar="DIR", help="git repository that has the commit (default: the one of this program)"
    )
    reproduce.add_argument(
        "--archive", type=Path, metavar="FILE", help="llama.cpp's archive (default: beside the release, else fetched)"
    )
    reproduce.add_argument("--fresh", action="store_true", help="fetch every package anew, and compile llama.cpp")
    reproduce.add_argument(
        "--against", type=_folder, metavar="DIR", help="build nothing: compare with what lies in this build folder"
    )


def _attest(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pipeline.signing.signer import add_options  # noqa: PLC0415 - standard library only, as this module

    attest = _command(commands, "attest", "write a signed list of every file of the recipe's last build")
    attest.add_argument("--to", type=Path, required=True, metavar="FILE", help="the list to write")
    attest.add_argument(
        "--stage", action="append", metavar="STAGE", help="list only this stage or family; may be given again"
    )
    add_options(attest)


def _crosscheck(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    crosscheck = _command(
        commands,
        "crosscheck",
        "hold several builders' lists against each other: who agrees on what",
        recipe=False,
        build=False,
        about="\nExit code 0: all agree, 61: builders differ, 62: a list is not what it\nsays, 2: usage.\n",
    )
    crosscheck.add_argument("lists", type=Path, nargs="+", metavar="LIST", help="a list that `attest` wrote")
    crosscheck.add_argument(
        "--trust", type=Path, action="append", metavar="FILE", help="a builder's public key (PEM); may be given again"
    )


def _review(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    review = _command(commands, "review", "show all prepared rows, kept and dropped, on a local page, and overrule")
    _executor(review)
    review.add_argument("run", nargs="?", metavar="RUN", help="a run's name (default: the recipe's last build)")
    review.add_argument("--port", type=_port, default=0, metavar="N", help="port of the page (default: a free one)")
    review.add_argument("--html", type=Path, metavar="FILE", help="write a copy that can only be read, and stop")
    review.add_argument("--prepare", action="store_true", help="prepare the rows first, where that was not done yet")


def _compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = _command(commands, "compare", "put two runs side by side: settings, metrics, answers", recipe=False)
    compare.add_argument("runs", nargs=2, metavar="RUN", help="a run's name, or a recipe's name for its last build")
    compare.add_argument("--json", action="store_true", help="print the comparison as JSON")


def _rate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    rate = _command(commands, "rate", "let people say, blind and on a local page, which form's answers are better")
    forms = rate.add_argument_group("what is rated", "greedy answers of the last build to the held-out prompts")
    forms.add_argument(
        "--form", action="append", metavar="FORM", help="tuned, merged, F16, Q4_K_M ...; may be given again"
    )
    forms.add_argument("--against", metavar="FORM", help="what they stand against (default: tuned; for tuned, base)")
    forms.add_argument("--forms", action="store_true", help="tuned against base, and each later form against tuned")
    page = rate.add_argument_group("the page", "votes go to build/<recipe>/ratings.sqlite, which no build removes")
    page.add_argument("--port", type=_port, default=0, metavar="N", help="port of the page (default: a free one)")
    page.add_argument("--host", default="127.0.0.1", metavar="IP", help="address of the page (default: 127.0.0.1)")
    page.add_argument("--expose", action="store_true", help="mean it: a --host that other machines reach, unencrypted")
    votes = rate.add_argument_group("in place of the page")
    votes.add_argument("--summary", action="store_true", help="show what the votes say, as JSON, and stop")
    votes.add_argument("--export", type=Path, metavar="FILE", help="write every vote as CSV, with texts, and stop")


def _release(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pipeline.signing.signer import add_options  # noqa: PLC0415 - beside the rest of signing, standard library only

    release = _command(commands, "release", "write the release folder of the recipe's last build, signed", about=_ABOUT)
    _executor(release)
    release.add_argument(
        "--to", type=_folder, metavar="DIR", help="the folder to write (default: build/<recipe>/release)"
    )
    release.add_argument(
        "--allow-waived", action="store_true", help="release although gates were waived; the papers say which and why"
    )
    add_options(release)


def _verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = _command(
        commands,
        "verify",
        "check a release that you were given, or hash the artifacts of the last run",
        about=_VERIFIED,
    )
    verify.add_argument(
        "release", nargs="?", metavar="RELEASE", help="a release folder, a GGUF file, or a URL of one (https, file, hf)"
    )
    trust = verify.add_argument_group("whom you trust", "without any of these: a key of your own, if it signed")
    trust.add_argument("--policy", type=Path, metavar="FILE", help="who may sign, and which waivers you accept (TOML)")
    trust.add_argument(
        "--key", type=Path, action="append", metavar="FILE", help="the signer's public key (PEM); may be given again"
    )
    trust.add_argument(
        "--any-signer", action="store_true", help="believe whoever signed: shows integrity, and no origin"
    )


_VERIFIED = """
With RELEASE: every digest, the signature and who made it, provenance, manifest,
bill of materials, gates and GGUF headers against each other, offline, a line
for each check (docs/verifying.md). Exit code 0: verified, 62: not, 2: usage.

Without RELEASE: every artifact of the recipe's last run is hashed again and
compared with its manifest.
"""


_REPRODUCED = """
Exit code 0: identical, 61: something differs, 62: the folder is not what its
papers say, 2: usage; else that of the step that could not be done
(docs/reproducibility.md).
"""


_PUBLISHED = """
Exit code 0: published, or there already, or without --yes: can be; 62: the
folder is not what its papers say, 63: not published, 71: the disk of a target
folder is full, 2: usage (docs/publishing.md).
"""


_ABOUT = """
The folder holds the GGUF files, checksums, a model card, a Modelfile, a bill of
materials, the report, the recipe, provenance (in-toto, SLSA v1) and a signature
over all of it (docs/release.md). Nothing is built: the last build of the recipe
has to be complete and up to date. What stands against a release is listed, all
at once: a gate that failed or was waived, uncommitted changes of the project,
no licence of model, base or data, an image by tag, a package without a digest,
a damaged file. An old release stays until the new one is whole.
"""


def _offload(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    summary = "say how much of a GGUF file fits a graphics card, with which settings, and how fast it can be at most"
    offload = _command(commands, "offload", summary, recipe=False)
    offload.add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="a GGUF file, or all parts of one in order"
    )
    card = offload.add_argument_group("the card")
    card.add_argument("--card", metavar="NAME", help='its name, such as "RTX 5060 Ti"')
    card.add_argument("--memory-gib", type=_amount, metavar="N", help="its memory, where the name is not known")
    card.add_argument("--free-gib", type=_amount, metavar="N", help="what is free of it (default: all but a desktop's)")
    card.add_argument("--bandwidth-gb", type=_amount, metavar="N", help="its memory's 10^9 bytes a second")
    card.add_argument(
        "--host-bandwidth-gb", type=_amount, metavar="N", help="the same of main memory, for other layers"
    )
    use = offload.add_argument_group("the use")
    use.add_argument("--context", type=_positive, metavar="N", help="tokens of context (default: up to 4096)")
    use.add_argument(
        "--kv-type", choices=("F16", "Q8_0", "Q4_0"), default="F16", help="type of the cache (default: F16)"
    )
    seen = offload.add_argument_group("what was seen", "says whether layers are missing on the card, or speed")
    seen.add_argument("--measured", type=_amount, metavar="N", help="tokens generated a second")
    seen.add_argument("--server-log", type=Path, metavar="FILE", help="what llama-server or llama-cli printed")


def _publish(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    publish = _command(
        commands,
        "publish",
        "say what publishing a release would send where; --yes does it",
        recipe=False,
        build=False,
        about=_PUBLISHED,
    )
    publish.add_argument("folder", type=_folder, metavar="FOLDER", help="a release folder")
    publish.add_argument(
        "target",
        metavar="TARGET",
        help="a folder, s3://bucket/prefix, hf://owner/name[@branch], oci://registry/repository[:tag];"
        " credentials come from the environment or the client's own store, never from here",
    )
    publish.add_argument("--yes", action="store_true", help="do it (without: say what would be done, send nothing)")
    publish.add_argument("--replace", action="store_true", help="mean it: overwrite another release of the same name")
    publish.add_argument("--public", action="store_true", help="hf:// only: a new repository is public, not private")


def _gates(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    gates = _command(commands, "gates", "show what the gates say of the recipe's last build, by today's limits")
    gates.add_argument("--stage", metavar="STAGE", help="only this stage, e.g. train or verify-quant")
    gates.add_argument(
        "--only",
        type=_outcomes,
        default=OUTCOMES,
        metavar="VERDICTS",
        help="only these, joined by commas: failed, waived, warned, not-measured, passed",
    )
    gates.add_argument("--verbose", action="store_true", help="also show cause, advice, evidence, waiver and source")


def _images(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    images = _command(commands, "images", "build the container images and write their digests", recipe=False)
    images.add_argument("images", nargs="*", metavar="IMAGE", help="training, inference (default: both)")
    images.add_argument("--variant", default="cpu", help="cpu (default), cuda (training), cuda124, cuda128 (inference)")
    images.add_argument("--local-base", action="store_true", help="on a base made here, where no registry is reached")
    images.add_argument("--no-cache", action="store_true", help="use no step of an earlier build")
    images.add_argument("--check", action="store_true", help="fail unless the images are what the lock names")
    images.add_argument("--relock-debian", action="store_true", help="lock the newest Debian packages, and stop")


def _run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _command(commands, "run", "build what is missing or changed, up to the release")
    run.add_argument("--to", metavar="STAGE", help="stop after this stage (default: the release)")
    _executor(run)
    run.add_argument("--verify", action="store_true", help="hash every artifact and package again; trust no time stamp")
    run.add_argument(
        "--again",
        action="append",
        default=[],
        metavar="STAGE",
        help="build this stage although it is there, and say whether the bytes are the same; may be given again",
    )
    run.add_argument(
        "--jobs", type=_positive, metavar="N", help="stages at the same time (default: 2, or 1 on one core)"
    )


def _executor(command: argparse.ArgumentParser) -> None:
    """Add what decides where stages run. What the command line leaves out, the run settings say."""
    command.add_argument(
        "--executor", choices=EXECUTORS, help="where stages run (default: what the run settings say, else local)"
    )
    command.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="run settings (default: run.toml in the working folder or beside the recipe, if there is one)",
    )


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    *,
    recipe: bool = True,
    build: bool = True,
    about: str = "",
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".\n" + about,
        epilog=f"example: python -m pipeline {name} {_EXAMPLES[name]}".rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if recipe:
        command.add_argument(
            "--recipe",
            default=DEFAULT_RECIPE,
            metavar="FILE",
            help="a recipe file, or a shipped recipe's name (default: seedling)",
        )
    if build:
        command.add_argument(
            "--build", type=_folder, default=Path("build"), metavar="DIR", help="where results go (default: build)"
        )
    command.add_argument(
        "--log",
        choices=("auto", "terminal", "json"),
        default="auto",
        help="how events are shown (default: by terminal)",
    )
    return command


def _folder(text: str) -> Path:
    if not text.strip():
        message = "the name of a folder is empty"
        raise argparse.ArgumentTypeError(message)
    return Path(text)


def _outcomes(text: str) -> tuple[str, ...]:
    """Read verdicts joined by commas; a hyphen stands for a space."""
    import difflib  # noqa: PLC0415 - only for this option

    wanted = [word.strip().lower().replace("-", " ") for word in text.split(",")]
    for word in wanted:
        if word not in OUTCOMES:
            near = difflib.get_close_matches(word, OUTCOMES, n=1)
            hint = f"did you mean {near[0].replace(' ', '-')}?" if near else f"one of: {', '.join(OUTCOMES)}"
            message = f"{word!r} is no verdict ({hint})"
            raise argparse.ArgumentTypeError(message)
    return tuple(outcome for outcome in OUTCOMES if outcome in wanted)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        message = f"{text!r} is no port (1 to 65535, 0 for a free one)"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _amount(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        message = f"{text!r} is no number over 0"
        raise argparse.ArgumentTypeError(message)
    return found


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is no whole number of at least 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)
