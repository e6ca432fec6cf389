"""Does a form of the model speak? Gates over `generations.jsonl` and `forward.json` of every verify stage.

The same gates judge the adapter, the merged model, the F16 file and each quantized file. They look at text and counts,
never at the reference titles: what they find wrong is wrong for any task. Answers to questions that the data do not
answer (`evaluate.unanswerable`) count in all of them but copies, echo and variety.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates import answers, text
from pipeline.gates.judging import Check, finite, prompts_folder, quoted, read_mapping, read_rows
from pipeline.gates.statistics import wilson_interval
from pipeline.gates.verdict import Evidence, Gate, Verdict

_NO_ANSWERS = "generations.jsonl is missing, empty or is not JSON lines"
_NO_FORWARD = "forward.json is missing or is not a JSON object"
Row = Mapping[str, Any]


class GenerationLimits(BaseModel):
    """Limits of the generation gates, table `[gates.generation]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    run_chars: int = Field(
        8, ge=2, description="Run of one character that is degenerate. Source: gates.md; seed 000 §2.1."
    )
    bracket_run_chars: int = Field(
        4,
        ge=2,
        description="The same for brackets, Chinese characters and capital letters, which nobody prolongs. Source:"
        " `「副業」」」」` of seed 000 §2.1, `GGGG` of unsloth #2860.",
    )
    digit_run_chars: int = Field(
        13, ge=2, description="The same for digits. Source: recipe value; 1,000,000,000,000 (1兆) has twelve zeros."
    )
    cycle_repeats: int = Field(
        3, ge=2, description="Repeats of one unit at the end of an answer that are a loop. Source: recipe value."
    )
    cycle_chars: int = Field(
        12, ge=2, description="Characters that such a loop covers. Source: recipe value; `もしもしもし` is none."
    )
    repetition: float = Field(
        0.25,
        gt=0,
        description="Character seq-rep-4 in a window of title length. Source: facts.md: synthetic titles p99 0.048, a"
        " doubled title 0.435.",
    )
    compression_ratio: float = Field(
        1.45,
        gt=1,
        description="UTF-8 bytes over zlib bytes in a window of title length. Source: facts.md: synthetic titles 1.32"
        " at most, a doubled title 1.92; Whisper's 2.4 misses doubled titles.",
    )
    degenerate_answers: int = Field(0, ge=0, description="Degenerate or empty answers allowed. Source: gates.md.")
    stop_share: float = Field(
        0.9, ge=0, le=1, description="Share of answers that end with the terminator in the budget. Source: gates.md."
    )
    copy_share_warn: float = Field(
        0.3, ge=0, le=1, description="Share of answers that are training rows word for word. Source: gates.md."
    )
    wrong_language_share: float = Field(0.05, ge=0, le=1, description="Answers in another language. Source: gates.md.")
    foreign_letters: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of Latin words, among words and characters, over which an answer is not Japanese. Source:"
        " recipe value; titles hold names such as ChatGPT.",
    )
    echo_share: float = Field(0.05, ge=0, le=1, description="Answers that repeat the prompt. Source: gates.md.")
    special_share: float = Field(
        0.05, ge=0, le=1, description="Answers with leftover special tokens or broken characters. Source: gates.md."
    )
    distinct_warn: float = Field(
        0.8, ge=0, le=1, description="Distinct answers over distinct prompts, greedy. Source: recipe value."
    )
    distinct_fail: float = Field(
        0.5,
        ge=0,
        le=1,
        description="The same, under which the model answers everything alike (mode collapse). Source: recipe value;"
        " seed 001 §5 names the sign.",
    )
    batch_agreement_fail: float = Field(
        0.98,
        ge=0,
        le=1,
        description="Positions with the same top token for a prompt alone and in a batch of four. Source: recipe value;"
        " kernels differ by batch size (facts.md), a wrong mask or position differs everywhere.",
    )
    batch_agreement_warn: float = Field(0.995, ge=0, le=1, description="The same, as a sign to look.")


def non_finite(evidence: Evidence) -> Sequence[Verdict]:
    """Fail on any logit over the parity text that is not a finite number."""
    check = Check("generation.non-finite", "logits over the parity text", "logits", "0", "gates.md; unsloth #2860")
    forward = read_mapping(evidence.folder, "forward.json")
    if forward is None or not finite(forward.get("non_finite")):
        return (check.not_measured(_NO_FORWARD if forward is None else "forward.json does not count them"),)
    count = int(forward["non_finite"])
    if not count and not forward.get("positions"):
        return (check.not_measured("no position was computed"),)
    advice = "convert through float32 or bfloat16, look for weights over 65504, see which form is the first with them"
    cause = "overflow: weights or activations beyond the range of the stored type"
    evidence_lines = (f"{forward.get('positions')} positions of {forward.get('vocabulary')} logits",)
    return (check.judged(count, fails=count > 0, cause=cause, advice=advice, evidence=evidence_lines),)


def prompt_lengths(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a prompt of 63, 64 or over 512 tokens gives a logit that is not finite, or no answer."""
    forward = read_mapping(evidence.folder, "forward.json")
    checks = (forward or {}).get("checks")
    found = checks if isinstance(checks, Mapping) else {}
    return tuple(_prompt_length(name, found.get(name)) for name in ("prompt_63", "prompt_64", "prompt_512"))


def _prompt_length(name: str, measured: Any) -> Verdict:
    check = Check(
        "generation.prompt-lengths",
        name.replace("_", " of ") + " tokens",
        "logits that are not finite",
        "0, and an answer",
        "gates.md: engines were seen to fail at batch borders; a context of at least 1,024",
    )
    if not isinstance(measured, Mapping):
        return check.not_measured(f"forward.json has no check {name}")
    if not finite(measured.get("non_finite")):
        return check.not_measured(str(measured.get("reason") or "not run"))
    count, written = int(measured["non_finite"]), measured.get("generated")
    return check.judged(
        count,
        fails=count > 0 or written == 0,
        cause="no token was written after this prompt" if not count else "the forward pass overflows at this length",
        advice="compare with the same prompt one token shorter and longer; update or change the engine's build",
        evidence=(f"{measured.get('tokens')} tokens in, {written} out",),
    )


def batches(evidence: Evidence) -> Sequence[Verdict]:
    """Judge whether a prompt gives the same top tokens alone and in a batch of four."""
    limits = evidence.recipe.gates.generation
    check = Check(
        "generation.batches",
        "batch of 1 against batch of 4",
        "top-1 agreement",
        f"at least {limits.batch_agreement_fail:g}, warns under {limits.batch_agreement_warn:g}",
        "gates.md; the numbers are recipe values",
    )
    checks = (read_mapping(evidence.folder, "forward.json") or {}).get("checks")
    measured = checks.get("batch_1_vs_4") if isinstance(checks, Mapping) else None
    if not isinstance(measured, Mapping):
        return (check.not_measured("forward.json has no check batch_1_vs_4"),)
    share, difference = measured.get("argmax_agreement"), measured.get("max_logit_difference")
    if not finite(share):
        return (check.not_measured(str(measured.get("reason") or "not run")),)
    if int(measured.get("batch") or 0) < 2:  # noqa: PLR2004 - one prompt is no batch
        return (check.not_measured("one prompt makes no batch", "ask for at least four in generate.prompts"),)
    broken = "max_logit_difference" in measured and not finite(difference)
    return (
        check.judged(
            float(share),
            fails=share < limits.batch_agreement_fail or broken,
            warns=share < limits.batch_agreement_warn,
            cause="a logit is not finite" if broken else "padding reaches the answer: attention mask or positions",
            advice="look at the padding side, the attention mask and the position ids of batches",
            evidence=(f"largest difference of a logit: {difference}",),
        ),
    )


def degenerate(evidence: Evidence) -> Sequence[Verdict]:
    """Fail on any empty or degenerate answer: runs, loops, doubled titles, heavy repetition."""
    limits = evidence.recipe.gates.generation
    check = Check(
        "generation.degenerate",
        "every answer",
        "answers",
        f"at most {limits.degenerate_answers}",
        "seed 000 §2.1; facts.md for repetition and compression",
    )
    rows = answers.read(evidence)
    if rows is None:
        return (check.not_measured(_NO_ANSWERS),)
    found = [(row, reason) for row in rows if (reason := answers.degeneration(row["text"], limits))]
    return (
        check.judged(
            len(found),
            fails=len(found) > limits.degenerate_answers,
            warns=bool(found),
            cause="hypotheses, in order: overfitting or a LoRA scale too high; a broken merge; a prompt that differs"
            " from training; conversion; quantization",
            advice="see which form of the model is the first with it: the step before it is the cause",
            evidence=[f"{row['id']} {row['mode']}: {reason}: {quoted(row['text'])}" for row, reason in found],
        ),
    )


def stops(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when too few answers end with the terminator; one verdict for each way of decoding."""
    limits = evidence.recipe.gates.generation
    rows = answers.read(evidence)

    def check(mode: str) -> Check:
        return Check("generation.stops", f"{mode} answers", "share", f"at least {limits.stop_share:g}", "gates.md")

    if rows is None:
        return (check("all").not_measured(_NO_ANSWERS),)
    return tuple(_stops(check(mode), part, limits) for mode, part in answers.by_mode(rows).items())


def _stops(check: Check, rows: Sequence[Row], limits: GenerationLimits) -> Verdict:
    stopped = sum(row["stopped"] == "terminator" for row in rows)
    low, high = wilson_interval(stopped, len(rows))
    running = [f"{row['id']}: {quoted(row['text'])}" for row in rows if row["stopped"] != "terminator"]
    return check.judged(
        stopped / len(rows),
        fails=stopped / len(rows) < limits.stop_share,
        cause="the model never learned to end its turn (terminator without a label, pad equal to it), or generation"
        " stops on another token",
        advice="look at preflight's terminator and label gates, then raise generate.max_new_tokens if answers are long",
        evidence=(f"{stopped} of {len(rows)}, 95 % interval {low:.3f} to {high:.3f}", *running),
    )


def copies(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when many answers are training rows word for word (width, case and punctuation folded)."""
    limits = evidence.recipe.gates.generation
    check = Check(
        "generation.copies",
        "answers that are training rows",
        "share",
        f"at most {limits.copy_share_warn:g}",
        "gates.md",
    )
    rows = answers.read_task(evidence)
    training = read_rows(evidence.inputs.get("data"), "train.jsonl")
    if rows is None or training is None:
        return (check.not_measured(_NO_ANSWERS if rows is None else "this stage does not read train.jsonl"),)
    known = {text.folded(str(row.get("output", ""))) for row in training}
    copied = [row for row in rows if text.folded(row["text"]) in known]
    low, high = wilson_interval(len(copied), len(rows))
    share = len(copied) / len(rows)
    return (
        check.judged(
            share,
            fails=False,
            warns=share > limits.copy_share_warn,
            cause="rows learned by heart",
            advice="train fewer epochs, remove near duplicates, look at training.overfitting",
            # Ids only: a copied row is somebody's data, and verdicts are published.
            evidence=(f"95 % interval {low:.3f} to {high:.3f}", *(f"{row['id']} {row['mode']}" for row in copied)),
        ),
    )


def language(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when too many answers are not in the recipe's language."""
    limits = evidence.recipe.gates.generation
    check = _share_check("generation.language", "answers in another language", limits.wrong_language_share)
    if evidence.recipe.clean.language != "ja":
        return (check.not_measured("the recipe names no language (clean.language)"),)
    return _rate(
        evidence,
        check,
        limits.wrong_language_share,
        lambda row: not answers.is_japanese(row["text"], limits.foreign_letters),
        cause="rows in another language among the training data, or a base that falls back to its own",
        advice="look at the rows' language in prepare's audit, name the language in prompt.system",
    )


def echo(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when too many answers repeat the prompt or are nothing but the input."""
    limits = evidence.recipe.gates.generation
    check = _share_check("generation.echo", "answers that repeat the prompt", limits.echo_share)
    prompts = read_rows(prompts_folder(evidence), "prompts.jsonl")
    inputs = {row["id"]: row["input"] for row in prompts or []}
    instructions = answers.instructions(evidence.recipe.prompt)
    return _rate(
        evidence,
        check,
        limits.echo_share,
        lambda row: answers.repeats_prompt(row["text"], instructions, inputs.get(row["id"], {})),
        cause="labels on the prompt as well as on the answer, or a template that is applied twice",
        advice="look at preflight's label gates and at how the prompt is rendered",
        read=answers.read_task,
    )


def special_tokens(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when too many answers hold leftover special tokens, template marks or broken characters."""
    limits = evidence.recipe.gates.generation
    check = _share_check("generation.special-tokens", "answers with marks of the template", limits.special_share)
    return _rate(
        evidence,
        check,
        limits.special_share,
        lambda row: bool(row.get("leftover_special")) or answers.has_marks(_whole_characters(row)),
        cause="special tokens as plain text in the training rows, another terminator, or bytes that make no character",
        advice="look at preflight's terminator gates and at the rows that hold such marks",
    )


def _whole_characters(row: Row) -> str:
    """Return an answer's text; one that the token budget cut may end within a character, which is no broken one."""
    words = str(row["text"])
    return words.rstrip("\ufffd") if row["stopped"] == "length" else words


def _share_check(gate: str, subject: str, limit: float) -> Check:
    return Check(gate, subject, "share", f"at most {limit:g}", "gates.md")


def _rate(
    evidence: Evidence,
    check: Check,
    limit: float,
    wrong: Callable[[Row], bool],
    *,
    cause: str,
    advice: str,
    read: Callable[[Evidence], Sequence[Row] | None] = answers.read,
) -> Sequence[Verdict]:
    """Judge the share of wrong answers among those that `read` returns."""
    rows = read(evidence)
    if rows is None:
        return (check.not_measured(_NO_ANSWERS),)
    found = [row for row in rows if wrong(row)]
    low, high = wilson_interval(len(found), len(rows))
    shown = [f"{row['id']} {row['mode']}: {quoted(row['text'])}" for row in found]
    interval = f"{len(found)} of {len(rows)}, 95 % interval {low:.3f} to {high:.3f}"
    share = len(found) / len(rows)
    return (check.judged(share, fails=share > limit, cause=cause, advice=advice, evidence=(interval, *shown)),)


def variety(evidence: Evidence) -> Sequence[Verdict]:
    """Judge how many different answers the greedy form gives to different prompts."""
    limits = evidence.recipe.gates.generation
    check = Check(
        "generation.variety",
        "greedy answers",
        "distinct answers / prompts",
        f"at least {limits.distinct_fail:g}, warns under {limits.distinct_warn:g}",
        "recipe value; seed 001 §5",
    )
    rows = answers.read_task(evidence)
    greedy = answers.by_mode(rows).get("greedy", []) if rows is not None else []
    if len(greedy) <= 1:
        return (check.not_measured(_NO_ANSWERS if rows is None else "fewer than two greedy answers"),)
    counts = Counter(text.folded(row["text"]) for row in greedy)
    share = len(counts) / len(greedy)
    most, times = counts.most_common(1)[0]
    distinct = text.distinct_share([row["text"] for row in greedy], 2)
    lines = [f"most common, {times} times: {quoted(most)}"] if times > 1 else []
    return (
        check.judged(
            share,
            fails=share < limits.distinct_fail,
            warns=share < limits.distinct_warn,
            cause="the model answers different prompts alike: it no longer looks at the input",
            advice="look at the openings in prepare's audit and the input columns of the prompt; train fewer epochs",
            evidence=(*([f"distinct character 2-grams: {distinct:.3f}"] if distinct is not None else []), *lines),
        ),
    )


generation_gates: tuple[Gate, ...] = (
    non_finite,
    prompt_lengths,
    batches,
    degenerate,
    stops,
    copies,
    language,
    echo,
    special_tokens,
    variety,
)
