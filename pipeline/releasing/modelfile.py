"""Ollama's `Modelfile`: the quantized file with a template that renders what the chat template does, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline.recipe_sources import SeedlingBase, SeedlingLlamaBase
from pipeline.releasing.chat_shape import Shape, ShapeError, shape_of
from pipeline.releasing.facts import ReleasedFile, ReleaseFacts

MAX_CONTEXT_TOKENS = 8192
"""Largest `num_ctx` that is asked for: Ollama reserves memory for the whole of it."""
_FENCE = '"""'


def modelfile(release: ReleaseFacts) -> str | None:
    """Return the Modelfile; None where no template of Ollama's is known for the model: a wrong one is never written."""
    try:
        return "".join(f"{line}\n" for line in _lines(release))
    except ShapeError:
        return None


def no_modelfile(release: ReleaseFacts) -> str:
    """Return why there is no Modelfile, in words for a reader; an empty text where there is one."""
    try:
        tuple(_lines(release))
    except ShapeError as error:
        return str(error)
    return ""


def _lines(release: ReleaseFacts) -> Iterator[str]:
    """Give the file line by line. Raises ShapeError."""
    recipe = release.recipe
    shape = shape_of(release.artifacts.rows("preflight", "conversations.jsonl"))
    yield f"# {_one_line(release.title)} {recipe.release.version}: ollama create {recipe.name} -f Modelfile"
    yield from (f"# {note}" for note in shape.notes)
    yield f"FROM ./{file_for_ollama(release).name}"
    yield f"TEMPLATE {_fenced(shape.go_template, 'the chat template')}"
    if recipe.prompt.system is not None:
        yield f"SYSTEM {_fenced(recipe.prompt.system, 'the system message')}"
    for name, value in _parameters(release, shape):
        yield f"PARAMETER {name} {value}"
    yield f"LICENSE {_fenced(licences(release), 'a licence')}"


def file_for_ollama(release: ReleaseFacts) -> ReleasedFile:
    """Return the first quantized file that is not in parts, else the F16 file. Raises ShapeError for parts alone."""
    whole = [one for one in release.files if "-of-" not in one.name]
    chosen = [one for one in whole if one.kind != "F16"] + whole
    if not chosen:
        raise ShapeError("every file of this model is in parts, which Ollama does not read")
    return chosen[0]


def licences(release: ReleaseFacts) -> str:
    """Return the licences that apply, a line each."""
    recipe = release.recipe
    base = "made by this build" if isinstance(recipe.base, SeedlingBase | SeedlingLlamaBase) else "base model"
    return (
        f"Model: {recipe.release.licence or recipe.base.licence}\n"
        f"Base ({base}): {recipe.base.licence}\n"
        f"Data: {recipe.data.licence}"
    )


def _parameters(release: ReleaseFacts, shape: Shape) -> Iterator[tuple[str, str]]:
    """Give what the model was tested with: ends, sampling, budget, context."""
    recipe = release.recipe
    facts: Mapping[str, object] = release.artifacts.json("preflight", "preflight.json")
    terminator = facts.get("terminator")
    eos = terminator.get("eos_token") if isinstance(terminator, Mapping) else None
    stops = (recipe.prompt.terminator, eos, *_marks(shape))
    yield from (("stop", _quoted(str(stop))) for stop in dict.fromkeys(stops) if stop)
    yield "temperature", f"{recipe.generate.temperature:g}"
    yield "top_p", f"{recipe.generate.top_p:g}"
    yield "num_predict", str(recipe.generate.max_new_tokens)
    context = facts.get("context_tokens")
    if isinstance(context, int):
        yield "num_ctx", str(min(context, MAX_CONTEXT_TOKENS))


def _marks(shape: Shape) -> Iterator[str]:
    """Give what begins a user's turn, where it is one mark: a model that goes on with it has ended its own."""
    head = shape.heads["user"].strip()
    if head.startswith("<|") and "|>" in head:
        yield head[: head.index("|>") + 2]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fenced(text: str, what: str) -> str:
    """Return a text between three quotes, which end at the first three quotes. Raises ShapeError."""
    if _FENCE in text or text.endswith('"') or "\r" in text:
        raise ShapeError(f"{what} holds quotes or line ends that a Modelfile cannot hold")
    return f"{_FENCE}{text}{_FENCE}"


def _quoted(text: str) -> str:
    """Return a text of one line in quotes. Raises ShapeError."""
    if '"' in text or "\n" in text or "\\" in text:
        raise ShapeError("the end of a turn holds signs that a Modelfile cannot hold")
    return f'"{text}"'
