"""The sections on files and forms: sizes and digests, and what quantization took away for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Block, Code, Paragraph, Plot, Section, Table, Words
from pipeline.report.charts import Curves, Points, Series
from pipeline.report.quantities import NOTHING, number, share, size

_F16 = "verify-f16"


def files_section(artifacts: Artifacts) -> Section:
    """Return the sizes of adapter, merged weights and GGUF files, with the sha256 of each."""
    stages = ["train", "merge", "convert", *(stage for stage in artifacts.folders if stage.startswith("quantize-"))]
    patterns = ("adapter/*.safetensors", "model/*.safetensors", "*.gguf")
    found = [
        (stage, path, count)
        for stage in stages
        for pattern in patterns
        for path, count in artifacts.sizes(stage, pattern).items()
    ]
    if not found:
        return Section("Files", (Paragraph("None yet."),))
    whole = next((count for stage, _, count in found if stage == "convert"), None)
    rows: list[Sequence[Words]] = [
        (
            Code(path),
            size(count),
            number(count),
            share(count, whole) if whole else NOTHING,
            Code(artifacts.digests.get(stage, {}).get(path, "") or "–"),
        )
        for stage, path, count in found
    ]
    return Section("Files", (Table(("file", "size", "bytes", "of F16", "sha256"), rows, cards=True),))


def quantization_section(artifacts: Artifacts) -> Section:
    """Return how far each form is from the one that it was made from, and what each quantization saves and costs."""
    pairs = artifacts.json("compare", "comparison.json").get("pairs") or []
    if not pairs:
        return Section("Forms compared", (Paragraph("The forms were not compared."),))
    names = artifacts.forms()
    told = Paragraph(
        "Each form against the one that it was made from, token by token over the same held-out text. KL: how far the"
        " predictions are apart, in nats, 0 for equal ones. Same top token: how often both would write the same next"
        " token."
    )
    return Section(
        "Forms compared",
        (
            told,
            *_importance(artifacts),
            _pairs(pairs, names),
            *_quality(artifacts, pairs, names),
            *_spread(pairs, names),
        ),
    )


def _importance(artifacts: Artifacts) -> list[Block]:
    """Return which types were rounded by an importance matrix, and of how much text it is; nothing without one."""
    found = artifacts.json("imatrix", "imatrix.json")
    weighed = [
        stage.removeprefix("quantize-")
        for stage in artifacts.model_stages()
        if "imatrix" in artifacts.json(stage, "quantize.json")
    ]
    if not found or not weighed:
        return []
    text = f"{found['tokens']:,} tokens of the training rows ({found['chunks']:,} chunks of {found['chunk_tokens']:,})"
    return [Paragraph(f"Rounded by importance, measured over {text}: {', '.join(weighed)}.")]


def _pairs(pairs: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Table:
    quantiles = [
        name
        for name in ("50", "90", "99.9", "100")
        if any((one.get("kl_quantiles") or {}).get(name) is not None for one in pairs)
    ]
    titles = {"50": "median KL", "90": "90 % under", "99.9": "99.9 % under", "100": "largest KL"}
    columns = (
        "forms",
        "mean KL",
        *(titles[name] for name in quantiles),
        "same top token",
        "perplexity ratio",
        "positions",
    )
    rows = [
        (
            f"{names.get(one['reference'], one['reference'])} → {names.get(one['candidate'], one['candidate'])}",
            number(one["mean_kl"]),
            *(number((one.get("kl_quantiles") or {}).get(name)) for name in quantiles),
            NOTHING if one["top1_agreement"] is None else share(one["top1_agreement"], 1),
            number(one["perplexity_ratio"]),
            number(one["positions"]),
        )
        for one in pairs
    ]
    return Table(columns, rows)


def _quality(artifacts: Artifacts, pairs: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[Block]:
    """Return size against agreement over the quantization types; F16 agrees with itself."""
    sizes = {names.get(form, form): count for form, count in _sizes(artifacts).items()}
    found = [
        (names.get(one["candidate"], one["candidate"]), one["top1_agreement"])
        for one in pairs
        if one["reference"] == _F16
    ]
    agreements = [("F16", 1.0), *((name, value) for name, value in found if value is not None)]
    points = [(name, sizes[name] / 1e6, 100 * value) for name, value in agreements if name in sizes]
    if len(points) == 1 or not points:
        return []
    words = "; ".join(f"{name} has {megabytes:.3g} MB and {percent:.4g} %" for name, megabytes, percent in points)
    caption = "What a smaller file costs: how often it would write the same next token as F16."
    return [
        Plot(
            "size-quality",
            caption,
            f"Size against agreement with F16: {words}.",
            Points(points, "size, MB", "same top token as F16, %"),
        )
    ]


def _sizes(artifacts: Artifacts) -> dict[str, int]:
    """Return form → bytes of its GGUF file."""
    forms = {"convert": _F16}
    found = {
        forms.get(stage, stage.replace("quantize-", "verify-quant-", 1)): artifacts.sizes(stage, "*.gguf")
        for stage in artifacts.model_stages()
    }
    return {form: next(iter(files.values())) for form, files in found.items() if files}


def _spread(pairs: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[Block]:
    """Return the distribution of KL over the positions, of every quantized form."""
    series = [
        Series(names.get(one["candidate"], one["candidate"]), _outline(one["kl_histogram"]), "steps")
        for one in pairs
        if one["reference"] == _F16 and one.get("kl_histogram")
    ]
    if not series:
        return []
    words = "; ".join(
        f"{one.name} has most positions near {max(one.points, key=lambda point: point[1])[0]:.1g} nats"
        for one in series
    )
    chart = Curves(series, "KL to F16, nats", "positions", log_x=True)
    return [
        Plot(
            "kl",
            "How the difference to F16 is spread over the positions of the text.",
            f"Histogram of KL: {words}.",
            chart,
        )
    ]


def _outline(histogram: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return (middle of a bin, positions in it), from the first bin that holds any to the last.

    Bins end at 1 and 3 of each power of ten; what is under the first edge or over the last one counts beside it.
    """
    edges, counts = histogram["edges"], histogram["counts"]
    middles = [edges[0] / 2, *((low * high) ** 0.5 for low, high in pairwise(edges)), edges[-1] * 2]
    held = [at for at, count in enumerate(counts) if count]
    return [(float(f"{middles[at]:.6g}"), counts[at]) for at in range(held[0], held[-1] + 1)] if held else []
