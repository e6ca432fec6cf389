"""Does the release's `Modelfile` lead to the ids that training used? A gate over the conversations of preflight."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.gates.judging import Check, prompts_folder, quoted, read_rows
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.releasing.chat_shape import PROVEN, ShapeError, shape_of
from pipeline.releasing.go_template import render


def modelfile_ids(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless llama.cpp reads what Ollama's template renders as the ids that the tokenizer's own template gives.

    Not measured where no template of Ollama's is known for the chat template: the release then holds no `Modelfile`.
    """
    source = "gates.md, parity: metadata"
    check = Check("tokenizer.modelfile", "conversations by Ollama's template", "conversations that differ", "0", source)
    rows = read_rows(prompts_folder(evidence), "conversations.jsonl")
    tokens = read_rows(evidence.folder, "tokens.jsonl")
    if not rows or tokens is None:
        return (check.not_measured("conversations.jsonl of preflight or tokens.jsonl of this stage is missing"),)
    try:
        shape = shape_of(rows)
    except ShapeError as error:
        advice = "run the released files with llama-server, which reads the chat template itself"
        return (check.not_measured(f"the release has no Modelfile: {error}", advice),)
    proven = [row for row in rows if row["opening"] and row["name"] in PROVEN]
    found = {row["text"]: row["ids"] for row in tokens}
    rendered = [(row, render(shape.go_template, row["messages"])) for row in proven]
    if any(text not in found for _, text in rendered):
        return (check.not_measured("tokens.jsonl of this stage lacks the conversations of preflight"),)
    wrong = [f"{row['name']}: other ids for {quoted(text)}" for row, text in rendered if found[text] != row["ids"]]
    return (
        check.judged(
            len(wrong),
            fails=bool(wrong),
            cause="the file's vocabulary reads the marks between turns otherwise than the tokenizer",
            advice="mend what `tokenizer.ids` tells of; a Modelfile made of this would run another prompt",
            evidence=wrong or [f"{len(proven)} conversations", *shape.notes],
        ),
    )
