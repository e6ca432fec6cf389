"""Every gate by name: where it stands, what it measures, its limits, the source of the limits.

A literal registry: waivers, docs and reports look names up here, and a test holds it against what the gates answer.
Limits of the recipe stand in it by their keys (`{data.rows_fail}`), so that `reference.py` writes today's defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

FORMS = ("verify-hf", "verify-merged", "verify-f16", "verify-quant")
"""Stage families that make a tuned form of the model speak."""
FILES = ("verify-f16", "verify-quant")
"""Those of them whose form is a GGUF file."""

STAGES: dict[str, tuple[str, ...]] = {
    "data": ("prepare",),
    "preflight": ("preflight",),
    "training": ("train", "train-seed"),
    "repetition": ("train-again",),
    "generation": FORMS,
    "merge": ("merge",),
    "imatrix": ("imatrix",),
    "quantization": ("quantize",),
    "weights": ("verify-quant",),
    "tokenizer": ("verify-tokenizer", *FILES),
    "metadata": FILES,
    "inference": FILES,
    "parity": ("compare",),
    "improvement": ("compare",),
    "evaluation": ("evaluate",),
    "judge": ("judge",),
}
"""Area of a gate's name → the stage families that it judges."""

OF_THE_MACHINE = ("inference",)
"""Areas whose gates judge what a run measured, and not what it made."""


@dataclass(frozen=True)
class GateName:
    """One gate for a reader: what it measures, in which unit, when it fails, when it warns, where that is from.

    `unit` is empty for a value in words; several units are joined by commas. `fails` and `warns` are empty where a
    gate never does, and name keys of `[gates]` or `[clean]` in braces.
    """

    what: str
    unit: str
    fails: str
    warns: str
    source: str


NAMES: dict[str, GateName] = {
    # -- data (prepare) -----------------------------------------------------------------------------
    "data.tag-lists": GateName(
        "tag lists among the clean rows, by another rule than the one that cleaned",
        "rows",
        "over {data.tag_lists}",
        "",
        "seeds 000 §4, 001 §1",
    ),
    "data.exact-duplicates": GateName(
        "clean rows that equal another after folding",
        "rows",
        "over {data.exact_duplicates}",
        "",
        "seeds 000 §4.3, 001 §1",
    ),
    "data.near-duplicates": GateName(
        "clean rows that hardly differ",
        "pairs",
        "over {data.near_duplicates}, counted from a Jaccard index of {clean.near_duplicate_jaccard} on",
        "",
        "seed 001 §1",
    ),
    "data.broken-rows": GateName("empty or damaged clean rows", "rows", "over {data.broken_rows}", "", "seed 001 §1"),
    "data.format": GateName(
        "clean rows of another shape, length or language",
        "rows",
        "over {data.misfit_rows}, by {clean.min_chars} to {clean.max_chars} characters and language {clean.language}",
        "",
        "seed 001 §1, §9",
    ),
    "data.nothing-vanished": GateName(
        "raw rows that are neither clean nor dropped with a reason", "rows", "over 0", "", "seed 001 §1"
    ),
    "data.contamination": GateName(
        "raw rows that were no use, duplicates not counted",
        "share",
        "over {data.contamination_fail}",
        "over {data.contamination_warn}",
        "seed 000 §4.1",
    ),
    "data.clean-rows": GateName(
        "clean rows left",
        "rows",
        "under {data.rows_fail}",
        "under {data.rows_warn} (good from {data.rows_good})",
        "seeds 000 §7.1, 001 §2",
    ),
    "data.diversity": GateName(
        "the commonest pattern; openings, inputs and clusters as evidence",
        "share of the commonest pattern",
        "",
        "over {data.pattern_warn}",
        "seed 001 §1, §2",
    ),
    "data.real-titles-stay": GateName(
        "precision of the tag-list rule on labelled titles: no real title is dropped",
        "precision",
        "under {data.classifier_precision}",
        "",
        "seed 000 §4.2",
    ),
    "data.tag-lists-found": GateName(
        "recall of the tag-list rule on labelled titles",
        "recall",
        "under {data.classifier_recall}",
        "",
        "seed 000 §4.2; titles kept out of its making",
    ),
    "data.split": GateName(
        "train, validation and test are there, in the recipe's shares",
        "largest difference",
        "an empty split",
        "over {data.split_difference}",
        "seed 001 §3, §9, §10",
    ),
    "data.stratification": GateName(
        "categories in every split as in all rows",
        "largest difference of a category's share",
        "",
        "over {data.category_difference}, beside one row",
        "seed 001 §3",
    ),
    "data.leakage": GateName(
        "a text, near duplicate, group or row in two splits", "pairs, values", "over {data.leaks}", "", "seed 001 §3"
    ),
    "data.augmentation": GateName(
        "rows of validation and test that are no raw rows", "rows", "over 0", "", "seed 001 §3"
    ),
    "data.overrules": GateName(
        "a person's overrules that had no effect (recipes with `data.overrules`)",
        "overrules without effect",
        "an applied overrule that is not in the person's file",
        "over 0",
        "seed 001 §1",
    ),
    "data.facts": GateName(
        "reference answers that do not hold their own facts (recipes with `columns.must_contain` or"
        " `columns.must_not_contain`)",
        "rows",
        "over 0",
        "",
        "seed 004: 設立年",
    ),
    # -- recipe and tokenizer (preflight) -----------------------------------------------------------
    "preflight.evaluations": GateName(
        "planned evaluations", "evaluations", "under {preflight.min_evaluations}", "", "seed 001 §10, seed 002"
    ),
    "preflight.early-stopping": GateName(
        "patience of early stopping",
        "evaluations of patience",
        "0, no validation row, or as many as there are evaluations",
        "outside {preflight.patience_warn_min}–{preflight.patience_warn_max}",
        "seed 001 §5, §10, seed 002",
    ),
    "preflight.epochs": GateName(
        "passes over the rows",
        "epochs",
        "over {preflight.epochs_fail}",
        "over {preflight.epochs_warn} with under {preflight.epochs_warn_under_rows} training rows",
        "seeds 000 §7.2, 001 §5",
    ),
    "preflight.lora-scale": GateName(
        "effective LoRA scale: alpha/rank, with rsLoRA alpha/√rank",
        "factor",
        "",
        "over {preflight.lora_scale_warn}",
        "seed 001 §4, facts.md, arXiv 2312.03732",
    ),
    "preflight.lora-rank": GateName(
        "LoRA rank", "rank", "", "outside {preflight.rank_warn_min}–{preflight.rank_warn_max}", "seed 001 §4"
    ),
    "preflight.lora-dropout": GateName("LoRA dropout", "share", "", "over {preflight.dropout_warn}", "seed 001 §4"),
    "preflight.lora-targets": GateName(
        "projections with an adapter", "of 7 projections", "", "under all seven", "seed 001 §4"
    ),
    "preflight.learning-rate": GateName(
        "learning rate of LoRA fine-tuning",
        "peak learning rate",
        "over {preflight.learning_rate_fail}",
        "outside {preflight.learning_rate_warn_min}–{preflight.learning_rate_warn_max}",
        "seed 001 §6",
    ),
    "preflight.scheduler": GateName("learning rate schedule", "", "", "another than cosine", "seed 001 §6"),
    "preflight.warm-up": GateName(
        "warm-up",
        "share of the steps",
        "",
        "outside {preflight.warmup_share_warn_min}–{preflight.warmup_share_warn_max}",
        "seed 001 §6",
    ),
    "preflight.terminator": GateName(
        "the terminator is one token", "tokens", "another number than 1", "", "seed 002, axolotl #2073"
    ),
    "preflight.eos": GateName("`eos_token` is the terminator", "", "another token", "", "seed 002, axolotl #2073"),
    "preflight.stop-list": GateName(
        "generation stops on the terminator", "EOS ids", "without it", "", "seed 002, axolotl #2073"
    ),
    "preflight.padding": GateName(
        "padding is not the terminator", "", "the terminator, or none", "", "TRL #3091, axolotl #2073"
    ),
    "preflight.labels": GateName(
        "samples in which the answer or its terminator carries no label, or anything else does",
        "samples",
        "over 0",
        "",
        "seed 002, axolotl #3754",
    ),
    "preflight.response-marker": GateName(
        "samples whose labels are not what follows the one opening of an answer; not measured where the chat template"
        " opens a turn with nothing of its own",
        "samples",
        "over 0",
        "",
        "seed 002, unsloth #1333",
    ),
    "preflight.prompt-prefix": GateName(
        "samples that inference would begin with other ids", "samples", "over 0", "", "seed 000 §2.1, seed 002"
    ),
    "preflight.templated-once": GateName(
        "samples with special tokens in their texts", "samples", "over 0", "", "seed 000 §2.1"
    ),
    "preflight.one-pass": GateName(
        "samples with other ids when encoded in one go", "samples", "", "over 0", "seed 002"
    ),
    "preflight.thinking": GateName(
        "samples that teach an empty `<think>` block", "samples", "", "over 0", "axolotl #3754"
    ),
    "preflight.line-breaks": GateName(
        "samples with a line break before the terminator", "samples", "", "over 0", "seed 000 §2.1"
    ),
    "preflight.sample-length": GateName(
        "the longest sample: none is cut", "tokens", "over `train.max_seq_tokens`", "", "seed 002"
    ),
    "preflight.context": GateName(
        "`train.max_seq_tokens` fits the model", "tokens", "over the base's context", "", "config.json of the base"
    ),
    "preflight.new-tokens": GateName(
        "the terminator was trained, or its embedding will be",
        "",
        "new to the base, with a frozen embedding",
        "",
        "axolotl #2073, Qwen #1064",
    ),
    "preflight.embedding-rows": GateName(
        "embedding rows cover the tokenizer",
        "rows",
        "fewer than tokens, or not config.json's number",
        "",
        "seed 003",
    ),
    "preflight.converter": GateName(
        "llama.cpp's converter knows the tokenizer", "", "refused", "", "llama.cpp #7062, #22700"
    ),
    "preflight.converter-metadata": GateName(
        "the converted vocabulary against the tokenizer", "fields that differ", "over 0", "", "gates.md, parity"
    ),
    "preflight.beginning": GateName(
        "one BOS, which the template writes", "", "added by the tokenizer as well", "only added", "gates.md"
    ),
    "preflight.same-base": GateName(
        "the 4-bit base is the 16-bit base: settings, tokenizer files, and rows of 16 weights of a 4-bit copy",
        "differences, relative error, share",
        "over 0 settings, or a quantized base to merge into; a weight's dequantized distance over"
        " {preflight.four_bit_error_fail}; over {preflight.four_bit_codes_fail} other codes",
        "over 0 tokenizer files; over {preflight.four_bit_error_warn}; over {preflight.four_bit_codes_warn}",
        "seed 000 §1; arXiv 2305.14314; measured",
    ),
    "preflight.prompts": GateName(
        "prompts, unseen and seen", "prompts", "0", "under {preflight.prompts_warn}, or none unseen", "gates.md"
    ),
    "preflight.parity-text": GateName(
        "held-out text for comparison",
        "tokens",
        "0",
        "under {preflight.parity_tokens_warn_share} times `parity.tokens`",
        "gates.md, parity",
    ),
    # -- training (train) -------------------------------------------------------------------------
    "training.non-finite": GateName(
        "losses and gradients that are no finite numbers", "not finite", "over 0", "", "gates.md, training"
    ),
    "training.early-stopping": GateName(
        "early stopping was armed and acted in time, and the best checkpoint is published",
        "state",
        "anything else",
        "",
        "seed 001 §5; facts.md",
    ),
    "training.evaluations": GateName(
        "evaluations of a full run", "evaluations", "under {training.min_evaluations}", "", "seed 001 §10, seed 002"
    ),
    "training.overfitting": GateName(
        "rise of the validation loss at the end over its minimum; its rank correlation with the training loss",
        "share of its minimum, Spearman",
        "over {training.validation_rise} and {training.rise_over_noise} times the curve's noise, or rising with a"
        " correlation under {training.rank_correlation}, where the last state is published",
        "the same, where the best checkpoint was restored",
        "arXiv 2401.10359; facts.md",
    ),
    "training.loss-gap": GateName(
        "validation loss over training loss at the best step",
        "validation loss / training loss",
        "",
        "over {training.loss_gap_warn}",
        "recipe value; seed 001 §5",
    ),
    "training.low-loss": GateName(
        "training loss, mean of the last window",
        "loss",
        "under {training.low_loss_fail} with a validation gain under {training.validation_gain_fail}",
        "under {training.low_loss_warn}",
        "seed 000 §3.3, §7.2, seed 001 §5",
    ),
    "training.loss-fall": GateName(
        "fall of the training loss over the run", "share", "", "over {training.loss_fall_warn}", "seed 000 §3.3"
    ),
    "training.sudden-fall": GateName(
        "fall of the training loss between neighbouring windows",
        "share",
        "",
        "over {training.sudden_fall_warn}",
        "seed 000 §7.2; recipe value",
    ),
    "training.improvement": GateName(
        "best validation loss against the untrained base",
        "relative gain",
        "under {training.validation_gain_fail}",
        "",
        "recipe value",
    ),
    "training.trainable": GateName("parameters that are trained", "share trained", "0", "", "design.md"),
    "training.deterministic": GateName(
        "kernels that add in a fixed order: `strict` stops at any other, `warn` lists them, `off` does not look",
        "mode",
        "",
        "off, or one without a fixed order was used",
        "design.md, bytes",
    ),
    # -- repetition (train-again) -----------------------------------------------------------------
    "repetition.adapter": GateName(
        "tensors of the adapter that differ after a second training",
        "tensors that differ",
        "over 0 with trainer `trl`",
        "over 0 with another",
        "design.md, bytes",
    ),
    # -- generation (verify-hf, verify-merged, verify-f16, verify-quant) --------------------------
    "generation.non-finite": GateName(
        "logits over the parity text that are no finite numbers", "logits", "over 0", "", "gates.md; unsloth #2860"
    ),
    "generation.prompt-lengths": GateName(
        "prompts of 63, 64 and over 512 tokens", "logits that are not finite", "over 0, or no answer", "", "gates.md"
    ),
    "generation.batches": GateName(
        "the same prompt alone and in a batch of four",
        "top-1 agreement",
        "under {generation.batch_agreement_fail}",
        "under {generation.batch_agreement_warn}",
        "gates.md; recipe value",
    ),
    "generation.degenerate": GateName(
        "empty answers, doubled answers, runs of {generation.run_chars} characters ({generation.bracket_run_chars} of"
        " brackets, Chinese characters or capitals, {generation.digit_run_chars} of digits), a unit"
        " {generation.cycle_repeats} times over {generation.cycle_chars} characters at the end, character seq-rep-4"
        " over {generation.repetition}, zlib ratio over {generation.compression_ratio}",
        "answers",
        "over {generation.degenerate_answers}",
        "over 0",
        "seed 000 §2.1; facts.md",
    ),
    "generation.stops": GateName(
        "answers that end by themselves, with their interval", "share", "under {generation.stop_share}", "", "gates.md"
    ),
    "generation.copies": GateName(
        "answers that are training rows word for word", "share", "", "over {generation.copy_share_warn}", "gates.md"
    ),
    "generation.language": GateName(
        "answers that are not Japanese, among them those with a share of Latin words over {generation.foreign_letters}",
        "share",
        "over {generation.wrong_language_share}",
        "",
        "gates.md",
    ),
    "generation.echo": GateName(
        "answers that repeat the prompt", "share", "over {generation.echo_share}", "", "gates.md"
    ),
    "generation.special-tokens": GateName(
        "answers with leftover special tokens or broken characters",
        "share",
        "over {generation.special_share}",
        "",
        "gates.md",
    ),
    "generation.variety": GateName(
        "distinct greedy answers to distinct prompts",
        "distinct answers / prompts",
        "under {generation.distinct_fail}",
        "under {generation.distinct_warn}",
        "recipe value; seed 001 §5",
    ),
    # -- merge ------------------------------------------------------------------------------------
    "merge.tensors": GateName(
        "the adapter's targets changed, and no other tensor; and every weight of a 4-bit copy is the base's, by the"
        " limits of `preflight.same-base`",
        "tensors wrong",
        "over 0",
        "",
        "gates.md, parity",
    ),
    "merge.values": GateName(
        "the largest weight: finite, and within F16",
        "absolute value",
        "65504 or more, or not finite",
        "",
        "IEEE 754 half precision",
    ),
    "merge.files": GateName("adapter files beside the merged weights", "files", "over 0", "", "gates.md, parity"),
    "merge.embedding": GateName("embedding rows less tokens of the tokenizer", "rows", "under 0", "", "seed 003"),
    # -- imatrix (only with quantize.imatrix) ------------------------------------------------------
    "imatrix.tokens": GateName(
        "training text behind the importance matrix",
        "tokens",
        "under {imatrix.tokens_fail:,}",
        "under {imatrix.tokens_warn:,}",
        "llama.cpp tools/imatrix/imatrix.cpp, tools/perplexity/README.md",
    ),
    "imatrix.tensors": GateName(
        "matrices of the model of which it says nothing",
        "tensors without an entry",
        "over 0",
        "experts that met no token",
        "llama.cpp tools/imatrix/imatrix.cpp",
    ),
    "imatrix.values": GateName(
        "inputs of a matrix that were zero on every token; sums that are no number",
        "share",
        "over {imatrix.zero_share_fail}, or any sum that is not finite",
        "over 0",
        "a guess",
    ),
    # -- quantize -----------------------------------------------------------------------------------
    "quantization.type": GateName(
        "matrices of the type that was asked for",
        "share of the matrices",
        "another type is as common",
        "",
        "llama.cpp src/llama-quant.cpp",
    ),
    "quantization.fallback": GateName(
        "tensors of another type than was asked for",
        "tensors of another type",
        "over 0",
        "",
        "facts.md; llama.cpp src/llama-quant.cpp",
    ),
    # -- weights of quantized files (verify-quant) ----------------------------------------------------
    "weights.blocks": GateName(
        "blocks whose weights are not finite, empty, or further from those of F16 than any rounding",
        "damaged blocks",
        "over 0",
        "",
        "measured on all types: an error over 0.9 of the block's largest weight, 3 where rounded by importance",
    ),
    # -- GGUF files against the tokenizer (verify-tokenizer, verify-f16, verify-quant) ---------------
    "tokenizer.ids": GateName(
        "llama.cpp's ids against the tokenizer's, of prompts and awkward strings",
        "texts that differ",
        "over 0",
        "prompts or titles outside Unicode's form C",
        "gates.md, parity",
    ),
    "tokenizer.round-trip": GateName(
        "texts that their ids do not decode to", "texts that change", "over 0", "", "gates.md, parity"
    ),
    "tokenizer.bos": GateName(
        "BOS tokens at the start of a prompt", "BOS tokens", "over 1", "1 that training never saw", "gates.md, parity"
    ),
    "tokenizer.modelfile": GateName(
        "llama.cpp's ids of conversations that Ollama's template renders, against the tokenizer's own template",
        "conversations that differ",
        "over 0",
        "",
        "gates.md, parity: metadata",
    ),
    "metadata.special-tokens": GateName(
        "EOS, BOS, PAD and stop tokens of the file", "ids that differ", "over 0", "", "gates.md; axolotl #2073"
    ),
    "metadata.chat-template": GateName(
        "the file's chat template is training's", "sha256", "another", "", "gates.md, parity; seed 002"
    ),
    "metadata.sizes": GateName(
        "vocabulary and context length of the file", "sizes that differ", "over 0", "", "gates.md, parity"
    ),
    # -- GGUF files on a graphics card (verify-f16, verify-quant) ---------------------------------
    "inference.layers": GateName(
        "layers on the graphics card (runs that have one)",
        "layers",
        "",
        "fewer than were asked of llama.cpp, or than {inference.layers_share_warn} times what an otherwise empty card"
        " holds",
        "seed 000 §6; gates.md, generation",
    ),
    "inference.speed": GateName(
        "tokens a second of one sequence against the card's bandwidth through the bytes that a token reads (runs with"
        " all layers on a card)",
        "share of the bandwidth's bound",
        "",
        "under {inference.speed_share_warn}",
        "gates.md, generation; seed 000 §6",
    ),
    # -- parity and improvement (compare) ----------------------------------------------------------
    "parity.text": GateName(
        "positions compared", "tokens", "", "under {parity.text_tokens_warn}", "recipe value; gates.md, parity"
    ),
    "parity.merged": GateName(
        "adapter on its base, as it was trained, against merged: mean KL; same top token. After a training on 4 bits"
        " also: the closer of two merges is kept; adapter on the 16-bit base against merged; loss of the two merges on"
        " held-out answers",
        "nats, share",
        "over {parity.merged_kl_fail}; under {parity.merged_top1_fail}",
        "over {parity.merged_kl_warn}; under {parity.merged_top1_warn}; the farther merge was asked for; the other's"
        " loss on held-out answers is lower by over {parity.merged_loss_warn}",
        "recipe value",
    ),
    "parity.f16": GateName(
        "merged against the F16 file: mean KL; same top token; largest difference of a logit",
        "nats, share, logit",
        "over {parity.f16_kl_fail}; under {parity.f16_top1_fail}",
        "over {parity.f16_kl_warn}; under {parity.f16_top1_warn}; over {parity.f16_difference_warn}",
        "llama.cpp tools/perplexity/README.md; facts.md",
    ),
    "parity.quantized": GateName(
        "F16 against each quantized file: mean KL; KL of 99 % of the positions; same top token; perplexity ratio",
        "nats, share, ratio",
        "by type, below; {parity.small_model_factor} times as wide under {parity.small_model_parameters:,.0f}"
        " parameters",
        "the same; 99 % over {parity.tail_factor} times the mean KL's limit",
        "llama.cpp tools/perplexity/README.md",
    ),
    "improvement.held-out-loss": GateName(
        "loss on held-out text, tuned against base",
        "relative gain",
        "under {training.held_out_gain_fail}",
        "",
        "recipe value",
    ),
    "improvement.changed": GateName(
        "unseen prompts answered as by the base", "share", "over {training.same_answers_fail}", "", "recipe value"
    ),
    "improvement.answers": GateName(
        "unseen prompts on which the tuned answer is better",
        "share of those decided",
        "at most {training.answer_wins}; with many prompts, an interval that reaches down to it",
        "with few prompts, an interval that reaches down to it",
        "sign test",
    ),
    # -- evaluation (evaluate) --------------------------------------------------------------------
    "evaluation.complete": GateName(
        "answers and values of every form: each is there, and what is not measured says why",
        "missing",
        "over 0",
        "",
        "seeds 003, 004: a model that did not load was scored as -100 %",
    ),
    "evaluation.held-out": GateName(
        "scored prompts that training saw",
        "prompts",
        "over 0",
        "0, and more than half are of the validation split, which chose the checkpoint",
        "seed 003: 133 questions to train on and the same 133 to test with",
    ),
    "evaluation.forgetting": GateName(
        "divergence of the tuned model from the base on text that has nothing to do with the task",
        "nats per token",
        "",
        "over {evaluation.forgetting_kl_warn}",
        "a guess for large models, to be calibrated; the seedling's own is in its recipe, from sound runs",
    ),
    "evaluation.baseline": GateName(
        "values of the base that differ between `evaluate-base`, before the training, and `evaluate`",
        "values",
        "over 0",
        "",
        "design.md, stages",
    ),
    # -- a language model as judge (judge; only with `[judge]`) ------------------------------------
    "judge.readable": GateName(
        "verdicts that cannot be read, refusals among them; over the limit the pair is not measured",
        "share",
        "",
        "over {judge.unreadable_share}",
        "a guess, to be calibrated",
    ),
    "judge.agreement": GateName(
        "prompts with the same verdict in both orders; as evidence, how often answer A won",
        "share",
        "",
        "under {judge.agreement_warn}",
        "a guess, to be calibrated; Zheng et al. 2023, arXiv 2306.05685: GPT-4 had 0.65, a coin has 0.5",
    ),
    "judge.preference": GateName(
        "how often the form wins against the other, ties counting half",
        "win rate",
        "",
        "an interval below 0.5",
        "docs/evaluation.md",
    ),
}
"""By stage, in the order in which they run."""
