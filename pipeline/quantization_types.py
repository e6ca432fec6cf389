"""llama.cpp's types of quantization that a recipe can name, and what an importance matrix is to each."""

from __future__ import annotations

from collections.abc import Mapping

QUANTIZATIONS = (
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
    "Q2_K", "Q2_K_S", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K",
    "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS",
    "IQ3_XS", "IQ3_S", "IQ3_M", "IQ4_NL", "IQ4_XS", "TQ1_0", "TQ2_0", "BF16",
)  # fmt: skip
"""Types of `llama-quantize` at the vendored commit (`tools/quantize/quantize.cpp`, QUANT_OPTIONS).

Left out: aliases (Q3_K, Q4_K, Q5_K), which would give one file two names; F16 and F32, which are no quantization; and
Q1_0, Q2_0 and MXFP4_MOE, of which nothing was measured.
"""

NEED_IMATRIX = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S"})
"""Types that llama.cpp does not make without an importance matrix (`src/llama-quant.cpp`, `tensor_requires_imatrix`;
IQ3_XS stores some tensors as IQ3_XXS). A test tries every type."""

USE_NO_IMATRIX = frozenset({"Q8_0", "BF16", "TQ1_0", "TQ2_0"})
"""Types whose weights are the same with and without one (`ggml/src/ggml-quants.c` does not look at `quant_weights`).

They are made without, so that no file says that its weights were rounded by importance when they were not."""

MOST_BITS_PER_WEIGHT: Mapping[str, float] = {
    **dict.fromkeys(QUANTIZATIONS, 6.5625),  # Q6_K, in which most types store the output layer
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS"), 5.5),  # Q5_K there
    "Q8_0": 8.5,
    "BF16": 16.0,
}
"""Bits for each weight of the widest type that llama.cpp gives to any tensor (`src/llama-quant.cpp`,
`llama_tensor_get_type_impl`; widths from `ggml/src/ggml-common.h`). A file has fewer: Q4_K_M of Qwen3-14B has 4.9.

An upper bound for models whose rows divide into blocks of 256 numbers; others fall back to wider types, which the gate
`quantization.fallback` judges. A test quantizes to every type and holds the file against it.
"""
