"""Does the GGUF file say what the tokenizer says? Gates over `tokens.jsonl` and `metadata.json`.

The other side is what preflight published about the Hugging Face tokenizer, before any training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.gates.judging import Check, finite, prompts_folder, quoted, read_mapping, read_rows
from pipeline.gates.ollama import modelfile_ids
from pipeline.gates.verdict import Evidence, Gate, Verdict

_NO_TOKENS = "tokens.jsonl of this stage or of preflight is missing"
_NO_METADATA = "metadata.json of this stage or preflight.json is missing"
_SOURCE = "gates.md, parity: tokenizer"


def _both(evidence: Evidence) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return preflight.json and metadata.json, each None where it is missing."""
    return read_mapping(prompts_folder(evidence), "preflight.json"), read_mapping(evidence.folder, "metadata.json")


def _token_pairs(evidence: Evidence) -> list[tuple[Mapping[str, Any], Mapping[str, Any] | None]] | None:
    """Return preflight's rows, each with the GGUF form's row of the same text (None where it has none)."""
    expected = read_rows(prompts_folder(evidence), "tokens.jsonl")
    found = read_rows(evidence.folder, "tokens.jsonl")
    if not expected or found is None:
        return None
    by_text = {row["text"]: row for row in found}
    return [(row, by_text.get(row["text"])) for row in expected]


def token_ids(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless both tokenizers give the same ids for every prompt and awkward string.

    On two kinds of text they cannot agree: outside Unicode's form C, which a tokenizer (Qwen's) normalizes and
    llama.cpp does not; and with an ordinary token that llama.cpp reads as a control token for what it looks like
    (`</s>` of Qwen's vocabulary). The awkward strings of these kinds are only told of, a prompt or title warns.
    """
    check = Check("tokenizer.ids", "prompts and awkward strings", "texts that differ", "0", _SOURCE)
    pairs = _token_pairs(evidence)
    if pairs is None:
        return (check.not_measured(_NO_TOKENS),)
    wrong = [(row, other) for row, other in pairs if other is None or row["ids"] != other["ids"]]
    excused = [pair for pair in wrong if _cannot_agree(*pair)]
    fatal = [pair for pair in wrong if pair not in excused]
    own = [pair for pair in excused if pair[0].get("kind") != "awkward"]
    counted = fatal + own
    return (
        check.judged(
            len(counted),
            fails=bool(fatal),
            warns=bool(own),
            cause="another pre-tokenizer, other merges or other special tokens than in the Hugging Face tokenizer"
            if fatal
            else "prompts or titles outside Unicode's form C, which only one of the two normalizes, or with text that"
            " llama.cpp takes for a control token",
            advice="set base.pre_tokenizer to the one that fits, or normalize texts before they reach the runtime",
            evidence=[_told(pairs, excused), *(_difference(row, other) for row, other in counted)],
        ),
    )


def _cannot_agree(expected: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
    return found is not None and (not expected.get("nfc", True) or bool(found.get("read_as_control")))


def _told(pairs: Sequence[Any], excused: Sequence[Any]) -> str:
    """Say how many awkward texts differ that must differ."""
    awkward = [row.get("nfc", True) for row, _ in excused if row.get("kind") == "awkward"]
    told = f"{len(pairs)} texts; {awkward.count(False)} awkward ones outside Unicode's form C differ"
    looks = awkward.count(True)
    return f"{told}, {looks} with text that llama.cpp takes for a control token" if looks else told


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    if found is None:
        return f"{quoted(expected['text'])}: not tokenized"
    pairs = zip(expected["ids"], found["ids"], strict=False)
    shared = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(expected["ids"]), len(found["ids"])))
    here, there = expected["ids"][shared : shared + 3], found["ids"][shared : shared + 3]
    return f"{quoted(expected['text'])}: from token {shared}, {here} in the tokenizer, {there} in the file"


def round_trip(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when the ids of a text decode neither to it again nor to what the tokenizer itself makes of them.

    Texts outside Unicode's form C do not count.
    """
    check = Check("tokenizer.round-trip", "prompts and awkward strings", "texts that change", "0", _SOURCE)
    pairs = _token_pairs(evidence)
    if pairs is None:
        return (check.not_measured(_NO_TOKENS),)
    judged = [(row, other) for row, other in pairs if row.get("nfc", True) and other is not None]
    if not judged or any("round_trip" not in other for _, other in judged):
        return (check.not_measured("tokens.jsonl does not say how texts decode"),)
    wrong = [quoted(row["text"]) for row, other in judged if other["round_trip"] is not True]
    advice = "compare the vocabularies token by token; look for a byte fallback or a normalizer in only one of them"
    cause = "the file's vocabulary loses bytes of these texts"
    return (check.judged(len(wrong), fails=bool(wrong), cause=cause, advice=advice, evidence=wrong),)


def beginning(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a prompt would start with two BOS tokens; warn when with one that training never saw.

    The ids in tokens.jsonl are made without added tokens; what the runtime adds by itself is in metadata.json.
    """
    check = Check("tokenizer.bos", "prompts as the runtime starts them", "BOS tokens", "at most 1", _SOURCE)
    expected, found = _both(evidence)
    pairs = _token_pairs(evidence)
    if expected is None or found is None or pairs is None:
        return (check.not_measured(_NO_METADATA),)
    bos = found.get("bos_id")
    written = max((_leading(row["ids"], bos) for row, _ in pairs if row.get("kind") == "prompt"), default=0)
    # llama.cpp adds none by itself where the key is missing for byte-level BPE, and one for SentencePiece.
    adds = bool(found.get("adds_bos", found.get("tokenizer") == "llama"))
    total = written + adds
    return (
        check.judged(
            total,
            fails=total > 1,
            warns=adds and not written,
            cause="the runtime puts a BOS before a prompt that the template has written whole",
            advice="set add_bos_token to false in tokenizer_config.json before conversion",
            evidence=(f"template writes {written}, runtime adds {int(adds)}, BOS is {bos}",),
        ),
    )


def _leading(ids: Sequence[int], token: Any) -> int:
    return next((at for at, one in enumerate(ids) if one != token), len(ids))


def special_ids(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when EOS, BOS or PAD differ, or when the file does not stop on the terminator.

    A token that the tokenizer does not define (Qwen has no BOS) may have any value in the file.
    """
    check = Check("metadata.special-tokens", "EOS, BOS, PAD, stop", "ids that differ", "0", "gates.md; axolotl #2073")
    expected, found = _both(evidence)
    if expected is None or found is None:
        return (check.not_measured(_NO_METADATA),)
    keys = [key for key in ("eos_id", "bos_id", "pad_id") if expected.get(key) is not None]
    differing = [key for key in keys if expected[key] != found.get(key)]
    wrong = [f"{key}: {expected[key]} in the tokenizer, {found.get(key)} in the file" for key in differing]
    terminator = (expected.get("terminator") or {}).get("ids") or [expected.get("eos_id")]
    stops = found.get("stop_ids")
    if stops is not None and terminator[-1] not in stops:
        wrong.append(f"terminator {terminator[-1]} is not among the stop tokens {stops}")
    cause = "the converter took a token from another file than the tokenizer uses"
    advice = "make tokenizer_config.json, generation_config.json and config.json agree, then convert again"
    return (check.judged(len(wrong), fails=bool(wrong), cause=cause, advice=advice, evidence=wrong),)


def chat_template(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless the file carries the very chat template that training used."""
    check = Check("metadata.chat-template", "chat template", "sha256", "equal", "gates.md, parity: metadata; seed 002")
    expected, found = _both(evidence)
    if expected is None or found is None or not expected.get("chat_template_sha256"):
        return (check.not_measured(_NO_METADATA if found is None else "preflight.json names no chat template"),)
    template = found.get("chat_template")
    digest = hashlib.sha256(template.encode()).hexdigest() if isinstance(template, str) else "none"
    return (
        check.judged(
            digest,
            fails=digest != expected["chat_template_sha256"],
            cause="the file has no chat template" if template is None else "the file's chat template is another text",
            advice="put the template into chat_template.jinja of the merged folder and convert again",
            evidence=(f"training used {expected['chat_template_sha256']}",),
        ),
    )


def sizes(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when vocabulary or context differ. The file has one token per embedding row, padding too."""
    check = Check("metadata.sizes", "vocabulary and context", "sizes that differ", "0", "gates.md, parity: metadata")
    expected, found = _both(evidence)
    if expected is None or found is None:
        return (check.not_measured(_NO_METADATA),)
    vocabulary = expected.get("vocabulary")
    rows = (vocabulary.get("embedding") or vocabulary.get("config")) if isinstance(vocabulary, Mapping) else vocabulary
    context = (expected.get("context_tokens"), found.get("context_length"))
    wanted = (("vocabulary", rows, found.get("vocabulary")), ("context", *context))
    known = [entry for entry in wanted if finite(entry[1])]
    if not known:
        return (check.not_measured("preflight.json holds neither vocabulary nor context"),)
    wrong = [f"{name}: {here} in the model folder, {there} in the file" for name, here, there in known if here != there]
    cause = "the conversion read another configuration than training"
    advice = "compare config.json of the base and of the merged folder"
    return (check.judged(len(wrong), fails=bool(wrong), cause=cause, advice=advice, evidence=wrong),)


tokenizer_gates: tuple[Gate, ...] = (token_ids, round_trip, beginning, modelfile_ids)
metadata_gates: tuple[Gate, ...] = (special_ids, chat_template, sizes)
