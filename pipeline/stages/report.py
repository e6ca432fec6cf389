"""`report`: a page about the whole build, the same as Markdown and as numbers, from the small files of all stages."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from llama_cpp_vendor.pin import read_pin
from pipeline.recipe import Recipe
from pipeline.report.artifacts import Artifacts
from pipeline.report.papers import PAPERS, papers
from pipeline.report.provenance import SETTINGS
from pipeline.stages.forms import forms_of
from pipeline.stages.quantize import weighted
from pipeline.stages.stage import HostJob, Input, Stage

_VERIFY_FILES = ("generations.jsonl", "forward.json")


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `report`. Large files are inputs for their size and digest only; none of them is read."""
    types = recipe.quantize.types
    show = recipe.report.show_data_rows
    rows = ("dropped.jsonl",) if show else ("train.jsonl", "validation.jsonl", "test.jsonl")
    return (
        Stage(
            name="report",
            family="report",
            version=2,
            environment="host",
            parameters=settings_of(recipe),
            summary=", ".join(PAPERS),
            host=write_report,
            inputs={
                "fetch-data": Input("fetch-data", ("source.json",)),
                "prepare": Input("prepare", ("funnel.json", *rows)),
                "preflight": Input("preflight", ("prompts.jsonl",)),
                "train": Input("train", ("history.json", "adapter/*.safetensors")),
                "merge": Input("merge", ("model/*.safetensors", *_two_merges(recipe))),
                "convert": Input("convert", ("*.gguf",)),
                **{f"quantize-{kind}": Input(f"quantize-{kind}", _quantized(recipe, kind)) for kind in types},
                **({"imatrix": Input("imatrix", ("imatrix.json",))} if recipe.quantize.imatrix else {}),
                **{form: Input(form, _VERIFY_FILES) for form in forms_of(recipe)},
                "compare": Input("compare", ("comparison.json",)),
                "evaluate-base": Input("evaluate-base", ("baseline.json",)),
                "evaluate": Input("evaluate", ("evaluation.json",)),
                **({"judge": Input("judge", ("judge.json",))} if recipe.judge is not None else {}),
            },
            reads_verdicts=True,
        ),
    )


def _two_merges(recipe: Recipe) -> tuple[str, ...]:
    """Return the file that says which of two merges was kept, where there were two."""
    return ("merge.json",) if recipe.train.load_in_4bit else ()


def _quantized(recipe: Recipe, kind: str) -> tuple[str, ...]:
    """Return a quantized file, and its record where that tells of an importance matrix."""
    return ("*.gguf", "quantize.json") if weighted(recipe, kind) else ("*.gguf",)


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return what the report knows of the recipe. Paths of the user's machine are no part of it."""
    named = {name: recipe.slice(name)[name] for name in ("base", "data")}
    pin = read_pin()
    public = ("source", "repo", "revision", "licence", "rows")
    return {
        "name": recipe.name,
        "description": recipe.description,
        "show_data_rows": recipe.report.show_data_rows,
        "judge": None if recipe.judge is None else recipe.judge.model,
        **{name: {key: found[key] for key in public if found.get(key)} for name, found in named.items()},
        **recipe.slice(*SETTINGS),
        "llama_cpp": {"commit": pin.commit, "archive_sha256": pin.sha256},
        "matplotlib": version("matplotlib"),  # another one may draw other bytes
    }


def write_report(job: HostJob) -> None:
    """Write the papers: the same bytes for the same artifacts and verdicts."""
    given = job.parameters
    settings = {name: value for name, value in given.items() if name not in ("verdicts", "digests")}
    artifacts = Artifacts(job.inputs, given["digests"], given["verdicts"], settings)
    for name, data in papers(artifacts).items():
        (job.output / name).write_bytes(data)
