"""The diagnosis of loose files: GGUF files, a base with an adapter, a merged folder, a data set, of whatever origin.

Each form is asked the same prompts through its own chat template, and judged by the gates that judge a build's forms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.asides import Asides
from pipeline.context import Context
from pipeline.diagnosis.causes import hypotheses
from pipeline.diagnosis.conclusion import Facts, conclude
from pipeline.diagnosis.forms import Form, Verdict, form_of
from pipeline.diagnosis.page import Diagnosis
from pipeline.digest import list_files
from pipeline.errors import UsageError
from pipeline.executors.contract import Backend
from pipeline.gates import generation
from pipeline.gates.data import data_gates
from pipeline.gates.judging import read_mapping, read_rows
from pipeline.gates.verdict import Evidence, Gate
from pipeline.recipe import Recipe
from pipeline.stages.stage import Environment
from pipeline.store import Store

ANSWER_TOKENS: Final = 64
_GATES: Final[tuple[Gate, ...]] = (
    generation.degenerate,
    generation.stops,
    generation.language,
    generation.special_tokens,
    generation.variety,
)
_THEMES: Final = ("副業", "子育て", "早起き", "読書", "転職", "料理", "散歩", "貯金")
"""What the recipe's prompt is asked about where no prompt is given; the first is seed 000's."""
_FULL: Final = {0: "F32", 1: "F16", 32: "BF16"}
"""`general.file_type` of a file that is not quantized (llama.h, enum llama_ftype) → its name."""


@dataclass(frozen=True)
class Files:
    """What the user names; `prompts` are the whole texts of the user's turn."""

    ggufs: tuple[Path, ...] = ()
    base: Path | None = None
    adapter: Path | None = None
    merged: Path | None = None
    data: Path | None = None
    system: str | None = None
    prompts: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether a file was named at all."""
        return bool(self.ggufs or self.adapter or self.merged or self.base or self.data)


def diagnose_files(context: Context, files: Files, backend: Backend, emit: Callable[..., None]) -> Diagnosis:
    """Ask every form that is there; conclude from what they say. Raises PipelineError."""
    _check(files)
    with _probes(context, files, backend, emit) as probes:
        found = [form for form in (probes.adapter(), probes.merged(), *map(probes.gguf, files.ggufs)) if form]
        funnel = probes.rows()
    forms = _with_untested(found)
    facts = Facts(ids_differ=_ids_differ(probes.tokens))
    conclusion = conclude(forms, facts)
    symptoms = {symptom for form in forms for symptom in form.symptoms}
    return Diagnosis(
        subject=", ".join(probes.names),
        forms=forms,
        conclusion=conclusion,
        hypotheses=hypotheses(conclusion.suspects, probes.verdicts, symptoms),
        gates=[item for item in probes.verdicts if item["outcome"] in ("failed", "warned")],
        data=funnel,
    )


def _check(files: Files) -> None:
    """Refuse what cannot be asked. Raises UsageError."""
    if files.adapter is not None and files.base is None:
        advice = "name with --base the model folder that it was trained on"
        raise UsageError("an adapter alone says nothing", where=str(files.adapter), advice=advice)
    for path in (*files.ggufs, files.data):
        if path is not None and not path.is_file():
            raise UsageError("there is no such file", where=str(path), advice="paths are taken from the working folder")
    for path in (files.base, files.adapter, files.merged):
        if path is not None and not path.is_dir():
            raise UsageError("there is no such folder", where=str(path), advice="name the folder, not a file in it")


def _with_untested(found: Sequence[Form]) -> list[Form]:
    """Put the forms in the order of their making; name those that nobody gave."""
    known = {form.step for form in found}
    missing = [Form(name, step, "not tested") for name, step in _CHAIN.items() if step not in known]
    order = [*_CHAIN.values(), "quantization"]
    return sorted([*found, *missing], key=lambda form: order.index(form.step))


_CHAIN: Final = {"adapter": "training", "merged": "merge", "F16": "conversion"}


def _ids_differ(tokens: Mapping[str, list[list[int] | None]]) -> bool | None:
    """Whether a GGUF file splits the same texts otherwise than the tokenizer does; None without both.

    A text without ids holds a token that llama.cpp takes for another kind of token: it is not compared.
    """
    ours = [ids for name, ids in tokens.items() if not name.endswith(".gguf")]
    theirs = [ids for name, ids in tokens.items() if name.endswith(".gguf")]
    if not (ours and theirs):
        return None
    return any(mine != ids for other in theirs for mine, ids in zip(ours[0], other, strict=True) if ids is not None)


@contextmanager
def _probes(context: Context, files: Files, backend: Backend, emit: Callable[..., None]) -> Iterator[_Probes]:
    store = context.store("diagnose")
    with store.opened():
        yield _Probes(context.recipe, files, backend, emit, store)


class _Probes:
    """Asks one form after the other."""

    def __init__(self, recipe: Recipe, files: Files, backend: Backend, emit: Callable[..., None], store: Store) -> None:
        self._recipe, self._files, self._store = recipe, files, store
        self._asides = Asides(backend, store, emit, recipe.numerics.instruction_set)
        self.names: list[str] = []
        self.tokens: dict[str, list[list[int] | None]] = {}
        self.verdicts: list[Verdict] = []

    def adapter(self) -> Form | None:
        """Ask the base with the adapter; the base alone is asked only where there is no adapter."""
        if self._files.base is None or self._files.adapter is None:
            return None
        inputs = {"model": _listed(self._files.base), "adapter": _listed(self._files.adapter)}
        return self._ask("adapter", "training", self._files.adapter.name, "probe_hf", "training", inputs)

    def merged(self) -> Form | None:
        """Ask the merged model."""
        if self._files.merged is None:
            return None
        inputs = {"model": _listed(self._files.merged)}
        return self._ask("merged", "merge", self._files.merged.name, "probe_hf", "training", inputs)

    def gguf(self, path: Path) -> Form:
        """Ask a GGUF file; its own header says whether it is quantized."""
        inputs = {"gguf": {path.name: path.absolute()}}
        form = self._ask(path.name, "quantization", path.name, "probe_gguf", "inference", inputs)
        full = _FULL.get(self._file_type)
        return (
            form if full is None else Form(full, "conversion", form.state, form.findings, form.symptoms, form.samples)
        )

    def rows(self) -> list[str]:
        """Clean the rows as `prepare` would; return the funnel in words."""
        if self._files.data is None:
            return []
        self.names.append(self._files.data.name)
        source = self._store.workspace("rows") / "source.json"
        source.write_text(json.dumps({"files": [{"name": self._files.data.name}]}), encoding="utf-8")
        rows = {self._files.data.name: self._files.data.absolute(), "source.json": source}
        parameters = self._recipe.slice("columns", "clean", "split") | {"data": {"source": "files"}}
        folder = self._asides.run("prepare", "prepare", "training", {"data": rows}, parameters)
        verdicts = [
            {**item.to_json(), "stage": "data"}
            for gate in data_gates
            for item in gate(Evidence(folder, {}, self._recipe))
        ]
        self.verdicts += verdicts
        funnel = read_mapping(folder, "funnel.json") or {}
        reasons = ", ".join(f"{name} {count:,}" for name, count in funnel["reasons"].items())
        return [f"{funnel['rows_in']:,} raw rows, {funnel['kept']:,} would be kept", f"dropped: {reasons or 'none'}"]

    def _ask(
        self,
        name: str,
        step: str,
        file: str,
        program: str,
        environment: Environment,
        inputs: Mapping[str, Mapping[str, Path]],
    ) -> Form:
        self.names.append(file)
        parameters = {"conversations": self._conversations(), "max_new_tokens": ANSWER_TOKENS}
        folder = self._asides.run(f"ask {file}", program, environment, inputs, parameters)
        rows = read_rows(folder, "tokens.jsonl") or []
        self.tokens[file] = [None if row.get("read_as_control") else row["ids"] for row in rows]
        self._file_type = (read_mapping(folder, "metadata.json") or {}).get("file_type", -1)
        evidence = Evidence(folder, {}, self._recipe)
        verdicts = [{**item.to_json(), "stage": file} for gate in _GATES for item in gate(evidence)]
        self.verdicts += verdicts
        return form_of(name, step, verdicts, read_rows(folder, "generations.jsonl") or [])

    def _conversations(self) -> list[list[dict[str, str]]]:
        asked = self._files.prompts or tuple(_question(self._recipe, theme) for theme in _THEMES)
        system = self._files.system if self._files.system is not None else self._recipe.prompt.system
        opening = [{"role": "system", "content": system}] if system else []
        return [[*opening, {"role": "user", "content": text}] for text in asked]


def _listed(folder: Path) -> dict[str, Path]:
    """Return a folder's files by their paths inside it."""
    return {path.relative_to(folder).as_posix(): path.absolute() for path in list_files(folder)}


def _question(recipe: Recipe, theme: str) -> str:
    """Return the recipe's user turn with a theme in every column."""
    text = recipe.prompt.user
    for column in recipe.columns.input:
        text = text.replace("{" + column + "}", theme)
    return text
