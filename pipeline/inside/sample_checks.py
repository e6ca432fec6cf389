"""Look at every training sample as the trainer will get it: ids and mask, judged by what they decode to.

`rendering.py` made the samples; here it is not believed. The labelled ids are turned back into text and compared
with the row, and the tokenizer renders and encodes the conversation a second time, in one go. The labels themselves are
found a second time from the markers of the template's turns.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import rendering, turn_markers
from .job import progress

SHOWN = 20
"""Rows named per fault; the counts are of all."""

FAULTS = (
    "terminator_unlabelled",
    "label_outside_answer",
    "answer_unlabelled",
    "input_missing",
    "prompt_prefix_differs",
    "one_pass_differs",
    "thinking_in_labels",
    "special_text",
    "loose_line_break",
    "too_long",
)
"""Every fault that is counted, so that zero is written as zero."""

MARKER_FAULTS = ("marker_not_once", "marker_labels_differ")
"""Faults that are counted where the template's turns have markers, and are not measured elsewhere."""

EMPTY_THINKING = ("<think></think>", "<think>\n\n</think>\n\n")
PROGRESS_ROWS = 500


@dataclass(frozen=True)
class Rules:
    """What the samples are held against."""

    prompt: Mapping[str, Any]
    terminator_id: int
    special_texts: Sequence[str]
    max_seq_tokens: int


@dataclass
class Findings:
    """Counts and row ids per fault, the lengths of all samples in tokens, and the markers or why there are none."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))
    rows: dict[str, list[str]] = field(default_factory=lambda: {fault: [] for fault in FAULTS})
    lengths: list[int] = field(default_factory=list)
    prompt_lengths: list[int] = field(default_factory=list)
    markers: dict[str, str] = field(default_factory=dict)

    def told(self, markers: turn_markers.Markers, tokenizer: Any) -> None:
        """Keep the markers. Their faults are counted only where there are markers, so that none is told of as zero."""
        self.markers = markers.to_json(tokenizer)
        if markers.reason is None:
            self.counts |= dict.fromkeys(MARKER_FAULTS, 0)
            self.rows |= {fault: [] for fault in MARKER_FAULTS}

    def add(self, row_id: str, faults: Iterable[str]) -> None:
        """Count a row's faults."""
        for fault in faults:
            self.counts[fault] += 1
            if len(self.rows[fault]) < SHOWN:
                self.rows[fault].append(row_id)

    def to_json(self) -> dict[str, Any]:
        """Return counts, the first row ids of each fault, and the lengths' spread."""
        return {
            "samples": len(self.lengths),
            "counts": self.counts,
            "rows": {fault: rows for fault, rows in self.rows.items() if rows},
            "tokens": spread(self.lengths),
            "prompt_tokens": spread(self.prompt_lengths),
            "markers": self.markers,
        }


def check_samples(tokenizer: Any, rules: Rules, rows: Sequence[dict[str, Any]]) -> tuple[Findings, list[list[int]]]:
    """Check every row's sample; return the findings and the samples' ids, in the rows' order."""
    findings, all_ids = Findings(), []
    markers: turn_markers.Markers | None = None
    for done, row in enumerate(rows):
        if done % PROGRESS_ROWS == 0:
            progress("preflight.samples", done=done, total=len(rows))
        ids, mask = rendering.sample_ids(tokenizer, rules.prompt, row)
        if markers is None:  # behind the first row: what the template cannot render is told of there, in words
            markers = turn_markers.find_markers(tokenizer, rules.prompt, rules.terminator_id)
            findings.told(markers, tokenizer)
        findings.lengths.append(len(ids))
        findings.prompt_lengths.append(mask.index(1) if 1 in mask else len(mask))
        findings.add(row["id"], [*label_faults(tokenizer, rules, row, ids, mask), *text_faults(rules, row, ids)])
        findings.add(row["id"], rendering_faults(tokenizer, rules, row, ids, mask))
        findings.add(row["id"], marker_faults(markers, rules, ids, mask))
        all_ids.append(ids)
    progress("preflight.samples", done=len(rows), total=len(rows))
    return findings, all_ids


def check_prompts(
    findings: Findings,
    rows: Sequence[Mapping[str, Any]],
    samples: Sequence[Sequence[int]],
    prompts: Sequence[Mapping[str, Any]],
) -> None:
    """Count the prompts for inference whose ids are not the whole unlabelled start of their row's sample.

    `rows`, `samples` and the findings' lengths are in one order; `prompts` are lines of prompts.jsonl.
    """
    starts = {row["id"]: ids[:size] for row, ids, size in zip(rows, samples, findings.prompt_lengths, strict=True)}
    for line in prompts:
        if list(line["ids"]) != list(starts[line["id"]]):
            findings.add(line["id"], ["prompt_prefix_differs"])


def label_faults(
    tokenizer: Any, rules: Rules, row: Mapping[str, Any], ids: Sequence[int], mask: Sequence[int]
) -> list[str]:
    """Return what is wrong with a sample's labels, from ids and mask alone.

    The last terminator must be the last id and carry a label; the labelled ids must decode to the row's output and
    the terminator, nothing more and nothing less; the unlabelled ones must hold the row's input.
    """
    labelled = [one for one, kept in zip(ids, mask, strict=True) if kept]
    unlabelled = [one for one, kept in zip(ids, mask, strict=True) if not kept]
    faults = [] if ids and ids[-1] == rules.terminator_id and mask[-1] else ["terminator_unlabelled"]
    answer = canonical(tokenizer.decode(labelled))
    expected = canonical(row["output"] + rules.prompt["terminator"])
    with_thinking = [canonical(block + row["output"] + rules.prompt["terminator"]) for block in EMPTY_THINKING]
    if answer in with_thinking:
        faults.append("thinking_in_labels")
    elif answer != expected:
        faults.append("answer_unlabelled" if len(answer) < len(expected) else "label_outside_answer")
    question = canonical(tokenizer.decode(unlabelled))
    used = [value for name, value in row["input"].items() if "{" + name + "}" in rules.prompt["user"]]
    return faults if all(canonical(str(value)) in question for value in used) else [*faults, "input_missing"]


def rendering_faults(
    tokenizer: Any, rules: Rules, row: Mapping[str, Any], ids: Sequence[int], mask: Sequence[int]
) -> list[str]:
    """Return where the tokenizer's own encoding of the conversation differs from the training sample.

    `prompt_prefix_differs`: the prompt for inference has other ids than the sample's start.
    `one_pass_differs`: the conversation encoded in one go has other ids, because a token spans the seam.
    """
    turns = rendering.messages(rules.prompt, row["input"])
    answered = [*turns, {"role": "assistant", "content": row["output"]}]
    prefix = _own_ids(tokenizer, rules, turns, opening=True)
    whole = _own_ids(tokenizer, rules, answered, opening=False)
    end = len(whole) - whole[::-1].index(rules.terminator_id) if rules.terminator_id in whole else len(whole)
    unlabelled = mask.index(1) if 1 in mask else len(mask)
    faults = [] if prefix == list(ids[:unlabelled]) else ["prompt_prefix_differs"]
    return faults if whole[:end] == list(ids) else [*faults, "one_pass_differs"]


def marker_faults(markers: turn_markers.Markers, rules: Rules, ids: Sequence[int], mask: Sequence[int]) -> list[str]:
    """Return what is wrong with a sample by the markers of its turns; nothing where the template has none.

    `marker_not_once`: a row is one question and one answer, so both markers must stand in its sample exactly once, the
    question's first. `marker_labels_differ`: what follows the response marker, up to the terminator, is not what the
    mask labels.
    """
    if markers.reason is not None:
        return []
    questions, answers = turn_markers.places(ids, markers.instruction), turn_markers.places(ids, markers.response)
    once = len(questions) == len(answers) == 1 and questions < answers
    same = turn_markers.learned(markers, ids, rules.terminator_id) == list(mask)
    return [fault for fault, fine in zip(MARKER_FAULTS, (once, same), strict=True) if not fine]


def text_faults(rules: Rules, row: Mapping[str, Any], ids: Sequence[int]) -> list[str]:
    """Return what is wrong with the turns' texts before any template: control tokens, loose line breaks, length."""
    turns = rendering.messages(rules.prompt, row["input"])
    texts = [*(turn["content"] for turn in turns), row["output"]]
    faults = ["special_text"] if any(special in text for special in rules.special_texts for text in texts) else []
    faults += ["loose_line_break"] if any(text != text.strip("\r\n") for text in texts) else []
    return [*faults, "too_long"] if len(ids) > rules.max_seq_tokens else faults


def canonical(text: str) -> str:
    """Return a text as it is compared after decoding: tokenizers may normalize (NFC, some NFKC)."""
    return unicodedata.normalize("NFKC", text)


def spread(lengths: Sequence[int]) -> dict[str, int]:
    """Return smallest, middle, 99 % and largest of some counts; nothing for no counts."""
    if not lengths:
        return {}
    ordered = sorted(lengths)
    places = {"min": 0, "median": (len(ordered) - 1) // 2, "p99": (99 * (len(ordered) - 1)) // 100, "max": -1}
    return {name: ordered[place] for name, place in places.items()}


def _own_ids(tokenizer: Any, rules: Rules, turns: list[dict[str, str]], *, opening: bool) -> list[int]:
    """Return the ids that the tokenizer's own method gives for a conversation."""
    return list(
        tokenizer.apply_chat_template(
            turns,
            tokenize=True,
            add_generation_prompt=opening,
            enable_thinking=rules.prompt.get("enable_thinking", False),
            return_dict=False,
        )
    )
