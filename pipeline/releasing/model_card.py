"""The model card: README.md of the release, with the front matter that the Hugging Face hub reads.

It says nothing that the report does not say: sections of the report are taken as they are, and the rest are facts of
the build. Rows of the data appear where the recipe shows them, as there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.recipe_sources import HubBase
from pipeline.releasing.bill_of_materials import limits
from pipeline.releasing.facts import ReleaseFacts
from pipeline.releasing.layout import BILL_OF_MATERIALS, MANIFEST, MODELFILE, PROVENANCE, RECIPE
from pipeline.releasing.modelfile import file_for_ollama, no_modelfile
from pipeline.report import markdown
from pipeline.report.blocks import Block, Bullets, Code, Document, Facts, Paragraph, Preformatted, Section, Table, Words
from pipeline.report.data import data_section
from pipeline.report.evaluation import GROUPS, evaluation_section, group_of, metrics_of
from pipeline.report.glance import glance
from pipeline.report.quantities import number, size
from pipeline.report.summary import verdict_notice
from pipeline.report.use import use_section
from pipeline.report.verdicts import attention_section

_INDEXED = tuple(GROUPS)[:2]
"""Groups of metrics that the hub's index of results is told: likeness to references, and held-out text."""
_OWN_MODELFILE = "With Ollama"
"""Section of the report that writes a Modelfile by hand; the release has its own."""


def model_card(release: ReleaseFacts) -> str:
    """Return the card."""
    return f"---\n{front_matter(release)}---\n\n{markdown.render(_document(release))}"


def front_matter(release: ReleaseFacts) -> str:
    """Return the metadata as YAML, of which JSON's values are a part."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in metadata(release).items())


def metadata(release: ReleaseFacts) -> dict[str, Any]:
    """Return what the hub is told. Names of a user's folders and files are no names on the hub: they are left out."""
    recipe = release.recipe
    base = recipe.base
    hub = {"base_model": base.repo, "base_model_relation": "finetune"} if isinstance(base, HubBase) else {}
    language = {} if recipe.clean.language == "any" else {"language": [recipe.clean.language]}
    results = list(_results(release))
    index = [{"name": release.title, "results": results}] if results else []
    return {
        **_licence(recipe.release.licence or base.licence),
        **hub,
        **language,
        "library_name": "llama.cpp",
        "pipeline_tag": "text-generation",
        "tags": ["gguf", "llama.cpp", "conversational", "lora", "fine-tune-pipeline"],
        **({"model-index": index} if index else {}),
    }


def _licence(licence: str) -> dict[str, str]:
    """Return the licence as the hub knows licences: one identifier in small letters, anything else by its name."""
    plain = licence.lower()
    if licence == "unknown":
        return {}
    if " " in licence or plain.startswith("licenseref-"):
        return {"license": "other", "license_name": plain.removeprefix("licenseref-").replace(" ", "-")}
    return {"license": plain}


def _results(release: ReleaseFacts) -> Iterator[dict[str, Any]]:
    """Give the results of the file that is recommended, on the held-out rows; no public leaderboard has these rows."""
    found = release.artifacts.json("evaluate", "evaluation.json")
    kind = _recommended(release).kind
    form = "verify-f16" if kind == "F16" else f"verify-quant-{kind}"
    metrics = [
        {"type": name, "name": f"{name}, {metric['unit']}", "value": value}
        for name, metric in (metrics_of(found) if found else ())
        if group_of(name) in _INDEXED and (value := (metric["values"].get(form) or {}).get("value")) is not None
    ]
    if metrics:
        dataset = {"name": "held-out rows of the recipe's data", "type": "private", "split": "test"}
        yield {"task": {"type": "text-generation"}, "dataset": dataset, "metrics": metrics}


def _recommended(release: ReleaseFacts) -> Any:
    """Return the file to begin with: a quantized one."""
    return next((one for one in release.files if one.kind != "F16"), release.files[0])


def _document(release: ReleaseFacts) -> Document:
    artifacts = release.artifacts
    lead: list[Block] = [Paragraph(release.recipe.description), verdict_notice(artifacts), *_at_a_glance(release)]
    sections = [
        _what_it_is(release),
        _files(release),
        _use(release),
        _data(release),
        evaluation_section(artifacts),
        attention_section(artifacts),
        _exceptions(release),
        Section("Limits", (Bullets([*limits(release)]),)),
        _licences(release),
        _check(release),
    ]
    return Document(release.title, lead, [one for one in sections if one is not None], artifacts.language)


def _at_a_glance(release: ReleaseFacts) -> list[Block]:
    """Return the report's answers to the first questions, but for the speeds, which are a machine's."""
    found = glance(release.artifacts)
    return [Facts([pair for pair in one.pairs if pair[0] != "what it costs"]) for one in found]


def _data(release: ReleaseFacts) -> Section:
    """Return the funnel in numbers: no rows, of which the report has samples where the recipe shows them."""
    found = data_section(release.artifacts)
    return Section(found.title, [block for block in found.blocks if not isinstance(block, Section)])


def _what_it_is(release: ReleaseFacts) -> Section:
    recipe = release.recipe
    told: Mapping[str, Any] = release.artifacts.json("convert", "convert.json").get("metadata") or {}
    base: Words = recipe.base.source
    if isinstance(recipe.base, HubBase):
        base = (recipe.base.repo, ", revision ", Code(recipe.base.revision or "none"))
    pairs: list[tuple[str, Words]] = [("version", Code(recipe.release.version))]
    pairs += [("author", recipe.release.author)] if recipe.release.author else []
    pairs += [("base model", base)]
    pairs += [(key, Code(str(told[key]))) for key in sorted(told) if key.endswith(".sha256") or key == "general.uuid"]
    words = "Every GGUF file holds these digests and this UUID: a file alone names its release."
    return Section("What it is", (Facts(pairs), *((Paragraph(words),) if told else ())))


def _files(release: ReleaseFacts) -> Section:
    rows = [(Code(one.name), one.kind, size(one.size), number(one.size), Code(one.sha256)) for one in release.files]
    return Section("Files", (Table(("file", "type", "size", "bytes", "sha256"), rows),))


def _use(release: ReleaseFacts) -> Section:
    """Return how to run it: with the release's Modelfile or why there is none, and as the report says otherwise."""
    told = use_section(release.artifacts)
    others = [one for one in told.blocks if not _is_replaced(one)] if told is not None else []
    return Section("How to run it", [_ollama(release), *others])


def _is_replaced(block: Block) -> bool:
    """Tell what the card says itself: Ollama, and how to check a build rather than a release."""
    return isinstance(block, Section) and block.title in (_OWN_MODELFILE, "How to check it")


def _ollama(release: ReleaseFacts) -> Section:
    why = no_modelfile(release)
    if why:
        words = (f"There is no {MODELFILE}: {why}. llama-server reads the chat template out of the file.",)
        return Section("With Ollama", (Paragraph(words),))
    name = release.recipe.name
    commands = f"ollama create {name} -f {MODELFILE}\nollama run {name}"
    file = file_for_ollama(release).name
    told = ("In this folder. It runs ", Code(file), " with the prompt and the sampling that were tested.")
    return Section("With Ollama", (Paragraph(told), Preformatted(commands, "commands for a shell")))


def _exceptions(release: ReleaseFacts) -> Section | None:
    """Return the written exceptions, each with its reason; nothing where there are none."""
    waivers = release.recipe.waivers
    if not waivers:
        return None
    return Section("Written exceptions", (Bullets([(Code(one.gate), f": {one.reason}") for one in waivers]),))


def _licences(release: ReleaseFacts) -> Section:
    recipe = release.recipe
    rows = [
        ("this model", recipe.release.licence or recipe.base.licence),
        ("base model", recipe.base.licence),
        ("data", recipe.data.licence),
    ]
    return Section("Licences", (Table(("what", "licence"), rows),))


def _check(release: ReleaseFacts) -> Section:
    """Return how to verify the folder and how to build it again."""
    commands = (
        "# are these the files that were released?\nsha256sum -c SHA256SUMS\n"
        f"\n# in a clone of the project at commit {release.commit}:\n"
        "# digests, signature, provenance, bill of materials, gates, headers of the files\n"
        ".envs/host/bin/python -m pipeline verify FOLDER\n"
        "# build it again from these papers alone, and compare every artifact\n"
        ".venv/bin/nox -s reproduce -- FOLDER"
    )
    pairs: list[tuple[str, Words]] = [
        ("recipe", (Code(RECIPE), ", sha256 ", Code(release.recipe_sha256))),
        ("build", (Code(release.key), f", every file of every stage in {MANIFEST}")),
        ("papers", f"{PROVENANCE}, {BILL_OF_MATERIALS}, report.html"),
    ]
    tools = [(name, Code(value)) for name, value in sorted(release.tools.items())]
    return Section(
        "How to verify and rebuild it",
        (Preformatted(commands, "commands for a shell"), Facts([*pairs, *tools])),
    )
