"""Gates over tokenizer, template, labels, sizes and converter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.gates.judging import Check
from pipeline.gates.same_base import same_base
from pipeline.gates.verdict import Evidence, Gate, Verdict

FROZEN = ("embed_tokens", "lm_head")
"""Modules that learn a token's embedding; an adapter that names neither leaves new tokens as they are."""


def terminator(evidence: Evidence) -> Sequence[Verdict]:
    """The end of a turn is one token, it is `eos_token`, and generation stops on it."""
    facts = evidence.json("preflight.json")["terminator"]
    source, ids = "seed 002, axolotl #2073", facts["ids"]
    shown = f"{facts['text']} is id {', '.join(map(str, ids))}"
    listed = facts["stop_ids"]
    stop = Check("preflight.stop-list", "generation_config.json", "EOS ids", f"contain {shown}", source)
    return [
        Check("preflight.terminator", f"tokenizer, {facts['text']}", "tokens", "exactly 1", source).judged(
            len(ids),
            fails=len(ids) != 1,
            cause="the template ends a turn with text that is no token of this vocabulary: nothing can stop on it",
            advice="set prompt.terminator to the special token with which this model family ends a turn",
            evidence=[shown],
        ),
        Check("preflight.eos", "tokenizer_config.json", "", f"eos_token is {facts['text']}", source).judged(
            str(facts["eos_token"]),
            fails=facts["eos_token"] != facts["text"],
            cause=f"the tokenizer ends texts with {facts['eos_token']}, the template ends turns with {facts['text']}",
            advice=f"set eos_token to {facts['text']} in the base's tokenizer_config.json, or use the instruct model",
        ),
        stop.judged(
            "none" if listed is None else ", ".join(map(str, listed)),
            fails=listed is None or ids[-1] not in listed,
            cause="generation runs past the end of the turn: it does not stop on the token that the template writes",
            advice=f"add {ids[-1]} to eos_token_id in the base's generation_config.json",
            evidence=[f"config.json names {facts['config_eos_ids']}"],
        ),
    ]


def padding(evidence: Evidence) -> Sequence[Verdict]:
    """A pad token of its own: where pad is the terminator, whoever masks padding masks the terminator too."""
    facts = evidence.json("preflight.json")["terminator"]
    check = Check(
        "preflight.padding", "tokenizer", "", f"a token other than {facts['text']}", "TRL #3091, axolotl #2073"
    )
    same = facts["pad_id"] is None or facts["pad_id"] in facts["ids"]
    return [
        check.judged(
            str(facts["pad_token"]),
            fails=same,
            cause="no pad token, so that trainers take eos_token"
            if facts["pad_id"] is None
            else "pad is the terminator",
            advice="set pad_token in the base's tokenizer_config.json to another special token, such as <|endoftext|>",
        )
    ]


_MARKER_SOURCE = "seed 002, unsloth #1333"
_LABEL_FAULTS = {
    "terminator_unlabelled": "the last terminator carries no label: the model never learns to stop",
    "label_outside_answer": "labels reach beyond the assistant's answer: the model learns to write prompts",
    "answer_unlabelled": "a part of the answer, or all of it, carries no label",
    "input_missing": "the input of the row is not in the prompt",
}


def labels(evidence: Evidence) -> Sequence[Verdict]:
    """Exactly the answer and its terminator are learned, in every sample."""
    return [_counted(evidence, "labels", fault, cause, fails=True) for fault, cause in _LABEL_FAULTS.items()]


_MARKER_FAULTS = {
    "marker_not_once": "the template's opening of a question, or of an answer, does not stand in the sample exactly"
    " once: a row holds the text of a turn's opening, or the sample was cut",
    "marker_labels_differ": "what follows the opening of the answer, up to the terminator, is not what carries labels",
}


def response_marker(evidence: Evidence) -> Sequence[Verdict]:
    """Labels found a second way: behind the text that opens an answer, as a trainer finds them that looks for it."""
    markers = evidence.json("preflight.json")["samples"]["markers"]
    if reason := markers.get("reason"):
        check = Check("preflight.response-marker", "chat template", "samples", "0", _MARKER_SOURCE)
        return [check.not_measured(reason)]
    shown = [f"question opens with {markers['instruction']!r}", f"answer opens with {markers['response']!r}"]
    return [
        _counted(evidence, "response-marker", fault, cause, fails=True, source=_MARKER_SOURCE, also=shown)
        for fault, cause in _MARKER_FAULTS.items()
    ]


def rendering(evidence: Evidence) -> Sequence[Verdict]:
    """One way to render: inference begins with the ids that training begins with, and the template ran once."""
    return [
        _counted(
            evidence,
            "prompt-prefix",
            "prompt_prefix_differs",
            "the prompt for inference has other ids than the start of the training sample",
            fails=True,
        ),
        _counted(
            evidence,
            "templated-once",
            "special_text",
            "system message, user template or data hold the text of special tokens: templated twice, or dirty rows",
            fails=True,
        ),
        _counted(
            evidence,
            "one-pass",
            "one_pass_differs",
            "encoded in one go, the conversation has other ids: a token spans the seam, or the template writes"
            " <think> in one case only",
            fails=False,
        ),
        _counted(
            evidence,
            "thinking",
            "thinking_in_labels",
            "the model learns to begin each answer with an empty <think> block",
            fails=False,
            advice="set prompt.enable_thinking = false, so that the block stands in the prompt",
        ),
        _counted(
            evidence,
            "line-breaks",
            "loose_line_break",
            "a turn's text begins or ends with a line break, which then stands before the terminator",
            fails=False,
            advice="take the line break out of prompt.system, prompt.user or the rows",
        ),
    ]


def lengths(evidence: Evidence) -> Sequence[Verdict]:
    """No sample is cut, and the model's context holds the longest one."""
    measured, recipe = evidence.json("preflight.json"), evidence.recipe
    limit, context = recipe.train.max_seq_tokens, measured["context_tokens"]
    samples = measured["samples"]
    check = Check("preflight.sample-length", "longest sample", "tokens", f"<= {limit}", "seed 002")
    room = Check("preflight.context", "train.max_seq_tokens", "tokens", f"<= {context}", "config.json of the base")
    longest = samples["tokens"]["max"]
    found = [
        check.judged(
            longest,
            fails=longest > limit,
            cause=f"{samples['counts']['too_long']} of {samples['samples']} samples would be cut, terminator first",
            advice=f"set train.max_seq_tokens to {longest} or more, or drop long rows with clean.max_chars",
            evidence=[f"row {row}" for row in samples["rows"].get("too_long", ())],
        )
    ]
    if context is None:
        return [*found, room.not_measured("config.json of the base names no context length")]
    cause = "the model's position numbers end before the longest sample"
    return [*found, room.judged(limit, fails=limit > context, cause=cause, advice="lower train.max_seq_tokens")]


def new_tokens(evidence: Evidence) -> Sequence[Verdict]:
    """A base model that never ended a turn cannot learn to with frozen embeddings."""
    measured = evidence.json("preflight.json")
    facts, targets = measured["terminator"], measured["lora"]["targets"]
    known = {*(facts["stop_ids"] or ()), *(facts["config_eos_ids"] or ())}
    trained = any(name in FROZEN for name in targets)
    check = Check(
        "preflight.new-tokens",
        facts["text"],
        "",
        "an end token of the base, or its embedding trained",
        "axolotl #2073, Qwen #1064",
    )
    new = facts["ids"][-1] not in known
    return [
        check.judged(
            "new to the base" if new else "known to the base",
            fails=new and not trained,
            cause="neither config.json nor generation_config.json ends on this token: a base model, not an instruct"
            " model, whose embedding of it was never trained and stays frozen",
            advice="use the instruct model, or add embed_tokens and lm_head to train.lora.targets",
        )
    ]


def embeddings(evidence: Evidence) -> Sequence[Verdict]:
    """The weights have a row for every token of the tokenizer; config.json says as many."""
    sizes = evidence.json("preflight.json")["vocabulary"]
    need = max(sizes["tokenizer"], sizes["largest_id"] + 1)
    found = []
    for subject in ("embedding", "output"):
        check = Check(
            "preflight.embedding-rows",
            subject,
            "rows",
            f">= {need}, = vocab_size of config.json",
            "seed 003: 32000, 32004",
        )
        rows = sizes[subject]
        if rows is None:
            if subject == "embedding":
                found.append(check.not_measured("no tensor of the base has a known name for token embeddings"))
            continue
        found.append(
            check.judged(
                rows,
                fails=rows < need or (sizes["config"] is not None and rows != sizes["config"]),
                cause=f"tokenizer {sizes['tokenizer']}, config.json {sizes['config']}, weights {rows}:"
                " tokens were added to one of them only",
                advice="take tokenizer, configuration and weights from one revision of the base",
            )
        )
    return found


def converter(evidence: Evidence) -> Sequence[Verdict]:
    """llama.cpp's converter takes this vocabulary now, and writes the same ids and template as the tokenizer holds."""
    measured = evidence.json("preflight.json")
    result, facts = measured["converter"], measured["terminator"]
    check = Check(
        "preflight.converter", "vocabulary", "", "recognised by the pinned converter", "llama.cpp #7062, #22700"
    )
    if not result["recognised"]:
        problem = result["problem"]
        return [check.failed("refused", f"{problem['what']} ({problem['where']})", problem["advice"])]
    name, said = result["pre_tokenizer"]["name"], result["pre_tokenizer"]["source"]
    differs = _differences(measured, result)
    metadata = Check(
        "preflight.converter-metadata", "vocabulary", "fields that differ", "0", "gates.md, parity of metadata"
    )
    return [
        check.passed(f"{result['model']}, pre-tokenizer {name} (from {said})"),
        metadata.judged(
            len(differs),
            fails=bool(differs),
            cause="the GGUF would end, begin or render otherwise than the tokenizer",
            advice=f"make config.json and the tokenizer's files agree on {facts['text']} and the template",
            evidence=differs,
        ),
    ]


def _differences(measured: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """Return what the converted vocabulary holds otherwise.

    The end must be the same. BOS and PAD can differ only where both sides name one.
    """
    pairs = {name: (measured[f"{name}_id"], result[name]) for name in ("eos", "bos", "pad")}
    found = [
        f"{name}: tokenizer {ours}, GGUF {theirs}"
        for name, (ours, theirs) in pairs.items()
        if ours != theirs and (name == "eos" or None not in (ours, theirs))
    ]
    if result["tokens"] < measured["vocabulary"]["tokenizer"]:
        found.append(f"tokens: tokenizer {measured['vocabulary']['tokenizer']}, GGUF {result['tokens']}")
    return found if result["same_chat_template"] else [*found, "the chat template"]


def beginning(evidence: Evidence) -> Sequence[Verdict]:
    """Runtimes that follow the tokenizer put a BOS first; training has one only where the template writes it.

    Where both do, `tokenizer.bos` would find two in the GGUF file, after training: so it fails here.
    """
    measured = evidence.json("preflight.json")
    check = Check("preflight.beginning", "BOS", "", "template or tokenizer, not both", "gates.md: at most one BOS")
    added, written = measured["added_at_start"], measured["template_writes_bos"]
    if added and written:
        cause = "prompts would start with two BOS: the template writes one, and runtimes add what the tokenizer adds"
        return [
            check.failed(f"both, {added}", cause, "set add_bos_token to false in tokenizer_config.json of the base")
        ]
    state = "written by the template" if written else f"added by the tokenizer: {added}" if added else "none"
    return [
        check.judged(
            state,
            fails=False,
            warns=bool(added) and not written,
            cause="a runtime that adds the BOS begins otherwise than every training sample did",
            advice="write {{ bos_token }} into the chat template, or add_bos_token = false into tokenizer_config.json",
        )
    ]


def material(evidence: Evidence) -> Sequence[Verdict]:
    """Enough prompts for rates and enough text for parity."""
    measured, limits = evidence.json("preflight.json"), evidence.recipe.gates.preflight
    prompts, parity = measured["prompts"], measured["parity"]
    count, wanted = prompts["unseen"] + prompts["seen"], round(parity["wanted"] * limits.parity_tokens_warn_share)
    least = wanted - wanted % parity["window_tokens"]
    return [
        Check(
            "preflight.prompts", "unseen and seen", "prompts", f">= {limits.prompts_warn}, some of each", "gates.md"
        ).judged(
            count,
            fails=count == 0,
            warns=count < limits.prompts_warn or not prompts["unseen"],
            cause=f"{prompts['unseen']} inputs that training has not seen, {prompts['seen']} that it has",
            advice="raise generate.prompts, or give more rows and a test split",
        ),
        Check("preflight.parity-text", "held-out rows", "tokens", f">= {least}", "gates.md, parity").judged(
            parity["tokens"],
            fails=parity["tokens"] == 0,
            warns=parity["tokens"] < least,
            cause="the test and validation rows hold less text than parity.tokens asks for: differences are less sure",
            advice="give more rows, or lower parity.tokens to what the rows hold",
        ),
    ]


def _counted(
    evidence: Evidence,
    gate: str,
    fault: str,
    cause: str,
    *,
    fails: bool,
    advice: str = "",
    source: str = "seed 002, seed 000 §2.1, axolotl #3754",
    also: Sequence[str] = (),
) -> Verdict:
    """Judge a count over all samples that must be zero; name the rows, behind what else there is to show."""
    samples = evidence.json("preflight.json")["samples"]
    count = samples["counts"][fault]
    subject = f"{samples['samples']} samples, {fault.replace('_', ' ')}"
    check = Check(f"preflight.{gate}", subject, "samples", "0", source)
    return check.judged(
        count,
        fails=fails and count > 0,
        warns=count > 0,
        cause=cause,
        advice=advice or "compare the template, the recipe's [prompt] table and the rows named here",
        evidence=[*also, *(f"row {row}" for row in samples["rows"].get(fault, ()))],
    )


text_gates: tuple[Gate, ...] = (
    terminator,
    padding,
    labels,
    response_marker,
    rendering,
    lengths,
    new_tokens,
    embeddings,
    converter,
    beginning,
    same_base,
    material,
)
