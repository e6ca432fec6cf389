"""`report`: one Markdown file about the whole build, from the small files of all stages."""

from __future__ import annotations

from pipeline.recipe import Recipe
from pipeline.report.artifacts import Artifacts
from pipeline.report.document import document
from pipeline.report.markdown import render
from pipeline.stages.forms import forms_of
from pipeline.stages.stage import HostJob, Input, Stage

_VERIFY_FILES = ("generations.jsonl", "forward.json")


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `report`. Large files are inputs for their size and digest only; none of them is read."""
    types = recipe.quantize.types
    show = recipe.report.show_data_rows
    splits = () if show else ("train.jsonl", "validation.jsonl", "test.jsonl")
    return (
        Stage(
            name="report",
            family="report",
            version=1,
            environment="host",
            parameters={"name": recipe.name, "description": recipe.description, "show_data_rows": show},
            summary="report.md",
            host=write_report,
            inputs={
                "fetch-data": Input("fetch-data", ("source.json",)),
                "prepare": Input("prepare", ("funnel.json", *splits)),
                "preflight": Input("preflight", ("prompts.jsonl",)),
                "train": Input("train", ("history.json", "adapter/*.safetensors")),
                "merge": Input("merge", ("model/*.safetensors", *_two_merges(recipe))),
                "convert": Input("convert", ("*.gguf",)),
                **{f"quantize-{kind}": Input(f"quantize-{kind}", ("*.gguf",)) for kind in types},
                **{form: Input(form, _VERIFY_FILES) for form in forms_of(recipe)},
                "compare": Input("compare", ("comparison.json",)),
                "evaluate-base": Input("evaluate-base", ("baseline.json",)),
                "evaluate": Input("evaluate", ("evaluation.json",)),
            },
            reads_verdicts=True,
        ),
    )


def _two_merges(recipe: Recipe) -> tuple[str, ...]:
    """Return the file that says which of two merges was kept, where there were two."""
    return ("merge.json",) if recipe.train.load_in_4bit else ()


def write_report(job: HostJob) -> None:
    """Write `report.md`: the same bytes for the same artifacts and verdicts."""
    given = job.parameters
    text = render(document(Artifacts(job.inputs, given["digests"], given["verdicts"], given)))
    (job.output / "report.md").write_text(text, encoding="utf-8", newline="\n")
