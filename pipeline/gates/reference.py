"""The reference of all gates for readers, `docs/gates.md`, made from the registry and the recipe's own defaults."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from string import Formatter

from pipeline.errors import GateError
from pipeline.gates.limits import GateLimits
from pipeline.gates.names import NAMES, STAGES, GateName
from pipeline.gates.quantization_limits import LIMITS
from pipeline.recipe import Cleaning

_HEAD = f"""\
# Gates

A gate compares what a stage measured with a limit. It answers with one or more verdicts, each with the measured value
and its unit, the limit and its source, the likely cause, what to do, and evidence: rows, prompts, ids or tensors.

| verdict | meaning |
|---|---|
| passed | within the limit |
| warned | deserves a look; the build goes on |
| failed | nothing is built on this stage; the run ends with exit code {GateError.exit_code} |
| not measured | there was nothing to measure, and the reason is given; never counted as passed |
| waived | failed, and the recipe says why the result may stand all the same |

`python -m pipeline gates --recipe my.toml` prints the verdicts on the last build, by the limits that the recipe has
now; `--only failed,waived` picks some, `--verbose` adds cause, advice and evidence. A limit is a key of the recipe
([reference](recipes.md)): changing one judges again, and builds only report and release again. A gate that neither
fails nor warns reports.

A waiver stands in the recipe and nowhere else. It names one gate and gives a reason; a warning needs none. Verdict and
reason show in the manifest, the report and the release.

```toml
[[waivers]]
gate = "data.clean-rows"
reason = "the company has 430 questions, and no more will come"
```

Defaults are listed; keys are those of `[gates]`, unless they name another table. What a source's name means is in
[sources](sources.md); `gates.md` there is the checklist that the project began with, not this page. A stage that is not
listed has no gate of its own.

This page is made from the program by `python -m pipeline.schema`; do not edit it.
"""

_QUANTIZED = """\
## Limits of the quantized types

For models of 7 billion parameters and more; each pair is warns, fails. A type's limits can be given in
`[gates.parity.quantized.TYPE]`, and are then taken as they are. Source: llama.cpp's tools/perplexity/README.md, Llama 3
8B, with a margin (`pipeline/gates/quantization_limits.py`).

| type | mean KL over, nats | same top token under, share | perplexity ratio over |
|---|---|---|---|
"""


def gates_page() -> str:
    """Return `docs/gates.md`: the head, one table for each stage, the limits of the quantized types."""
    tables = "\n".join(line for stages, names in by_stage() for line in _table(stages, names))
    return f"{_HEAD}{tables}\n\n{_QUANTIZED}{_quantized()}"


def by_stage() -> Iterable[tuple[tuple[str, ...], list[str]]]:
    """Yield stage families and the names of the gates that judge just these, in the registry's order."""
    for stages, names in groupby(NAMES, key=stages_of_gate):
        yield stages, list(names)


def stages_of_gate(name: str) -> tuple[str, ...]:
    """Return the stage families that a gate of the registry judges."""
    return STAGES[name.partition(".")[0]]


def keys_of(gate: GateName) -> list[str]:
    """Return the recipe's keys that a gate's limits stand in, as `table.key`."""
    texts = (gate.what, gate.fails, gate.warns)
    found = [key for text in texts for _, key, _, _ in Formatter().parse(text) if key]
    return list(dict.fromkeys(found))


def filled(text: str) -> str:
    """Return a text of the registry with the recipe's defaults in place of the keys."""
    limits = GateLimits()
    return text.format(**{area: getattr(limits, area) for area in GateLimits.model_fields}, clean=Cleaning())


def _table(stages: tuple[str, ...], names: Iterable[str]) -> list[str]:
    head = ["gate", "what it measures", "unit", "fails", "warns", "keys", "source"]
    lines = [head, ["---"] * len(head), *(_row(name, NAMES[name]) for name in names)]
    return ["", f"## {', '.join(stages)}", "", *(f"| {' | '.join(line)} |" for line in lines)]


def _row(name: str, gate: GateName) -> list[str]:
    keys = ", ".join(f"`{key}`" for key in keys_of(gate))
    texts = (filled(gate.what), gate.unit, filled(gate.fails), filled(gate.warns), keys, gate.source)
    return [f"`{name}`", *(text.replace("|", "\\|") or "–" for text in texts)]


def _quantized() -> str:
    rows = (
        f"| {kind} | {one.kl_warn:.4g}, {one.kl_fail:.4g} | {one.top1_warn:.4g}, {one.top1_fail:.4g}"
        f" | {one.perplexity_warn:.5g}, {one.perplexity_fail:.5g} |\n"
        for kind, one in LIMITS.items()
    )
    return "".join(rows)
