"""Every gate by name: one line, its default limit, the source of the limit.

A literal registry: waivers, docs and reports look names up here, and a test holds it against what the gates answer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GateName:
    """One gate for a reader: what it checks, its default limit (fail first, then warn), where the limit is from."""

    what: str
    limit: str
    source: str


NAMES: dict[str, GateName] = {
    # -- data (prepare) -----------------------------------------------------------------------------
    "data.tag-lists": GateName("no tag lists among the clean rows", "0", "seeds 000 §4, 001 §1"),
    "data.exact-duplicates": GateName("no clean row twice", "0", "seeds 000 §4.3, 001 §1"),
    "data.near-duplicates": GateName("no clean rows that hardly differ", "0", "seed 001 §1"),
    "data.broken-rows": GateName("no empty or damaged clean row", "0", "seed 001 §1"),
    "data.format": GateName("one shape, length range and language", "0 misfits", "seed 001 §1, §9"),
    "data.nothing-vanished": GateName("every raw row is clean or dropped", "0 missing", "seed 001 §1"),
    "data.contamination": GateName("raw rows that were no use", "fail over 50 %, warn over 5 %", "seed 000 §4.1"),
    "data.clean-rows": GateName(
        "clean rows left", "fail under 500, warn under 1,000, good from 5,000", "seeds 000 §7.1, 001 §2"
    ),
    "data.diversity": GateName("the commonest pattern", "warn over 30 %", "seed 001 §1, §2"),
    "data.real-titles-stay": GateName("precision of the tag-list rule", "fail under 1", "seed 000 §4.2"),
    "data.tag-lists-found": GateName("recall of the tag-list rule", "fail under 0.95", "seed 000 §4.2"),
    "data.split": GateName(
        "train, validation and test are there, in the recipe's shares", "fail if empty, warn over 5 %", "seed 001 §3"
    ),
    "data.stratification": GateName("categories in every split", "warn over 5 %", "seed 001 §3"),
    "data.leakage": GateName("no row, near duplicate or group in two splits", "0", "seed 001 §3"),
    "data.augmentation": GateName("no made-up row outside train", "0", "seed 001 §3"),
    # -- recipe and tokenizer (preflight) -----------------------------------------------------------
    "preflight.evaluations": GateName("planned evaluations", "fail under 10", "seed 001 §10, seed 002"),
    "preflight.early-stopping": GateName(
        "patience, in evaluations", "fail at 0 or beyond the run, warn outside 3–5", "seed 001 §5, §10"
    ),
    "preflight.epochs": GateName("epochs", "fail over 3, warn over 2 under 1,000 rows", "seeds 000 §7.2, 001 §5"),
    "preflight.lora-scale": GateName("effective LoRA scale", "warn over 4", "seed 001 §4; arXiv 2312.03732"),
    "preflight.lora-rank": GateName("LoRA rank", "warn outside 16–64", "seed 001 §4"),
    "preflight.lora-dropout": GateName("LoRA dropout", "warn over 0.1", "seed 001 §4"),
    "preflight.lora-targets": GateName("projections with an adapter", "warn under all seven", "seed 001 §4"),
    "preflight.learning-rate": GateName("peak learning rate", "warn outside 1e-4–5e-4", "seed 001 §6"),
    "preflight.scheduler": GateName("learning rate schedule", "warn unless cosine", "seed 001 §6"),
    "preflight.warm-up": GateName("warm-up, share of the steps", "warn outside 3–10 %", "seed 001 §6"),
    "preflight.terminator": GateName("the terminator is one token", "exactly 1", "seed 002, axolotl #2073"),
    "preflight.eos": GateName("eos_token is the terminator", "equal", "seed 002, axolotl #2073"),
    "preflight.stop-list": GateName("generation stops on the terminator", "in the list", "seed 002"),
    "preflight.padding": GateName("padding is not the terminator", "another token", "TRL #3091, axolotl #2073"),
    "preflight.labels": GateName("the answer and its terminator carry labels, nothing else", "0", "axolotl #3754"),
    "preflight.prompt-prefix": GateName("inference begins as training does", "0 samples differ", "seed 000 §2.1"),
    "preflight.templated-once": GateName("no special tokens in texts", "0 samples", "seed 000 §2.1"),
    "preflight.one-pass": GateName("encoded in one go the ids are the same", "warn over 0", "seed 002"),
    "preflight.thinking": GateName("no empty <think> block is learned", "warn over 0", "axolotl #3754"),
    "preflight.line-breaks": GateName("no line break before the terminator", "warn over 0", "seed 000 §2.1"),
    "preflight.sample-length": GateName("no sample is cut", "at most max_seq_tokens", "seed 002"),
    "preflight.context": GateName("max_seq_tokens fits the model", "at most its context", "the base's config.json"),
    "preflight.new-tokens": GateName("no new tokens on frozen embeddings", "0", "axolotl #2073, Qwen #1064"),
    "preflight.embedding-rows": GateName("embedding rows cover the tokenizer", "at least its size", "seed 003"),
    "preflight.converter": GateName("the converter knows the tokenizer", "always", "llama.cpp #7062, #22700"),
    "preflight.converter-metadata": GateName("the converted vocabulary agrees", "0 fields differ", "gates.md"),
    "preflight.beginning": GateName(
        "one BOS, which the template writes", "fail if added as well, warn if only added", "gates.md"
    ),
    "preflight.same-base": GateName("the 4-bit base is the 16-bit base", "0 differences", "seed 000 §1"),
    "preflight.prompts": GateName("prompts, unseen and seen", "warn under 64", "gates.md"),
    "preflight.parity-text": GateName("held-out text for comparison", "warn under the recipe's", "gates.md"),
    # -- training (train) -------------------------------------------------------------------------
    "training.non-finite": GateName("losses and gradients are numbers", "0", "gates.md"),
    "training.early-stopping": GateName(
        "early stopping was armed, acted in time, and the best checkpoint is published",
        "always",
        "seed 001 §5; facts.md",
    ),
    "training.evaluations": GateName("a full run holds enough evaluations", "fail under 10", "seed 001 §10"),
    "training.overfitting": GateName(
        "validation loss at the end over its minimum; rank correlation with the training loss",
        "fail over 3.8 % or under 0 (warn where the best checkpoint was restored)",
        "arXiv 2401.10359; facts.md",
    ),
    "training.loss-gap": GateName("validation over training loss", "warn over 2", "recipe value; seed 001 §5"),
    "training.low-loss": GateName(
        "training loss at the end", "fail under 0.3 without validation gain, warn under 0.5", "seed 000 §3.3, §7.2"
    ),
    "training.loss-fall": GateName("fall of the training loss", "warn over 90 %", "seed 000 §3.3"),
    "training.sudden-fall": GateName("fall between neighbouring windows", "warn over 50 %", "seed 000 §7.2"),
    "training.improvement": GateName("validation loss against the untrained base", "fail under 5 %", "recipe value"),
    "training.trainable": GateName("something was trained", "over 0", "design.md"),
    # -- merge ------------------------------------------------------------------------------------
    "merge.tensors": GateName("the adapter's targets changed, and no other tensor", "0 wrong", "gates.md"),
    "merge.values": GateName("weights are finite and fit F16", "under 65504", "IEEE 754 half precision"),
    "merge.files": GateName("no adapter files beside the merged weights", "0", "gates.md"),
    "merge.embedding": GateName("embedding rows cover the tokenizer", "at least 0 spare", "seed 003"),
    # -- quantize -----------------------------------------------------------------------------------
    "quantization.type": GateName(
        "most matrices are of the type asked for", "the commonest", "llama.cpp llama-quant.cpp"
    ),
    "quantization.fallback": GateName("every tensor got the type asked for", "0 others", "llama.cpp llama-quant.cpp"),
    # -- generation (verify-*) --------------------------------------------------------------------
    "generation.non-finite": GateName("logits over the parity text are finite", "0", "gates.md; unsloth #2860"),
    "generation.prompt-lengths": GateName("prompts of 63, 64 and over 512 tokens", "0 not finite", "gates.md"),
    "generation.batches": GateName(
        "a prompt alone and in a batch of four", "fail under 0.98, warn under 0.995", "recipe value"
    ),
    "generation.degenerate": GateName("runs, loops, doubled titles, empty answers", "0", "seed 000 §2.1; facts.md"),
    "generation.stops": GateName("answers end by themselves", "fail under 0.9", "gates.md"),
    "generation.copies": GateName("answers that are training rows", "warn over 0.3", "gates.md"),
    "generation.language": GateName("answers in another language", "fail over 0.05", "gates.md"),
    "generation.echo": GateName("answers that repeat the prompt", "fail over 0.05", "gates.md"),
    "generation.special-tokens": GateName("leftover special tokens, broken characters", "fail over 0.05", "gates.md"),
    "generation.variety": GateName(
        "distinct answers to distinct prompts", "fail under 0.5, warn under 0.8", "recipe value; seed 001 §5"
    ),
    # -- the GGUF file against the tokenizer (verify-f16, verify-quant) ----------------------------
    "tokenizer.ids": GateName("llama.cpp's ids are the tokenizer's", "0 texts differ", "gates.md"),
    "tokenizer.round-trip": GateName("ids decode to the text", "0 texts change", "gates.md"),
    "tokenizer.bos": GateName("one BOS at most, as in training", "fail over 1", "gates.md"),
    "metadata.special-tokens": GateName("EOS, BOS, PAD and stop tokens", "0 differ", "gates.md; axolotl #2073"),
    "metadata.chat-template": GateName("the chat template of training", "equal", "gates.md; seed 002"),
    "metadata.sizes": GateName("vocabulary and context length", "0 differ", "gates.md"),
    # -- parity and improvement (compare) ----------------------------------------------------------
    "parity.text": GateName("positions compared", "warn under 4,096", "recipe value"),
    "parity.merged": GateName(
        "adapter on its base against merged", "mean KL 0.01, warn 0.002; top token 0.97, warn 0.99", "recipe value"
    ),
    "parity.f16": GateName(
        "merged against the F16 file",
        "mean KL 0.005, warn 0.0005; top token 0.98, warn 0.995; a logit 0.5",
        "llama.cpp perplexity README; facts.md",
    ),
    "parity.quantized": GateName(
        "F16 against a quantized file",
        "by type; Q4_K_M: mean KL 0.06, top token 0.88, perplexity 1.06; wider under 7B",
        "llama.cpp perplexity README",
    ),
    "improvement.held-out-loss": GateName("loss on held-out text, base and tuned", "fail under 1 %", "recipe value"),
    "improvement.changed": GateName("answers that are the base's", "fail over 0.5", "recipe value"),
    "improvement.answers": GateName("tuned answers better than the base's", "over 0.5, with its interval", "sign test"),
}
"""By stage, in the order in which they run."""
