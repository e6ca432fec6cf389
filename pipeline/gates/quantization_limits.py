"""Limits on the loss of quantization, by llama.cpp type.

Source of all: `tools/perplexity/README.md` of llama.cpp, Llama 3 8B against its own F16, no importance matrix (with
one for the IQ types). Mean KL 0.0014 (Q8_0), 0.0055 (Q6_K), 0.0108 (Q5_K_M), 0.0166 (Q5_K_S), 0.0313 (Q4_K_M), 0.0431
(Q4_K_S), 0.0357 (IQ4_NL), 0.0363 (IQ4_XS), 0.0720 (Q4_0), 0.102 (Q3_K_M), 0.445 (Q2_K); the same top token in 97.7,
96.0, 91.9 and 71.1 % of the positions for Q8_0, Q6_K, Q4_K_M and Q2_K. Limits warn about 1.15 times over these, fail
about 1.9 times over. Between the four types the top token follows one minus half the square root of the KL. The
other types' numbers are from the same table; for Q2_K_S and the IQ types it only has those with an importance matrix.
With one the K types lose less (Q4_K_M 0.0282 in place of 0.0313); their limits stay those without.
"""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field


class QuantizedLimits(BaseModel):
    """What one type may lose against F16: mean KL (nats), share of equal top tokens, perplexity ratio."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    kl_warn: float = Field(gt=0, description="Mean KL divergence, nats.")
    kl_fail: float = Field(gt=0, description="Mean KL divergence, nats.")
    top1_warn: float = Field(ge=0, le=1, description="Share of positions with the same top token.")
    top1_fail: float = Field(ge=0, le=1, description="Share of positions with the same top token.")
    perplexity_warn: float = Field(gt=0, description="Perplexity over that of F16.")
    perplexity_fail: float = Field(gt=0, description="Perplexity over that of F16.")


def _limits(kl: tuple[float, float], top1: tuple[float, float], perplexity: tuple[float, float]) -> QuantizedLimits:
    """Take each pair as (warn, fail)."""
    return QuantizedLimits(
        kl_warn=kl[0],
        kl_fail=kl[1],
        top1_warn=top1[0],
        top1_fail=top1[1],
        perplexity_warn=perplexity[0],
        perplexity_fail=perplexity[1],
    )


def _from(kl: float, excess: float) -> QuantizedLimits:
    """Return limits from a published mean KL and the excess of the perplexity ratio over one, by the rules above."""
    warn, fail = 1.15 * kl, 1.9 * kl
    top1 = (max(0.0, 1 - math.sqrt(warn) / 2), max(0.0, 1 - math.sqrt(fail) / 2))
    return _limits((warn, fail), top1, (1 + 1.2 * excess, 1 + 2 * excess))


LIMITS: dict[str, QuantizedLimits] = {
    "BF16": _from(0.00055, 0.00025),
    "Q8_0": _limits((0.0016, 0.003), (0.97, 0.96), (1.005, 1.01)),
    "Q6_K": _limits((0.0063, 0.011), (0.955, 0.94), (1.01, 1.02)),
    "Q5_K_M": _limits((0.0125, 0.021), (0.94, 0.92), (1.015, 1.03)),
    "Q5_K_S": _limits((0.019, 0.032), (0.93, 0.90), (1.02, 1.04)),
    "Q5_1": _from(0.018, 0.017),
    "Q5_0": _from(0.0222, 0.0211),
    "Q4_K_M": _limits((0.035, 0.06), (0.91, 0.88), (1.035, 1.06)),
    "IQ4_NL": _limits((0.041, 0.068), (0.90, 0.87), (1.045, 1.075)),
    "IQ4_XS": _limits((0.042, 0.07), (0.90, 0.87), (1.045, 1.075)),
    "Q4_K_S": _limits((0.05, 0.083), (0.89, 0.86), (1.05, 1.085)),
    "Q4_1": _from(0.0717, 0.0724),
    "Q4_0": _limits((0.083, 0.14), (0.86, 0.81), (1.09, 1.15)),
    "Q3_K_L": _from(0.0872, 0.0893),
    "IQ3_M": _from(0.1025, 0.107),
    "Q3_K_M": _limits((0.118, 0.2), (0.83, 0.77), (1.12, 1.21)),
    "IQ3_S": _from(0.1113, 0.1178),
    "IQ3_XS": _from(0.1387, 0.1495),
    "IQ3_XXS": _from(0.1836, 0.1969),
    "Q3_K_S": _from(0.2282, 0.2619),
    "IQ2_M": _from(0.326, 0.3802),
    "Q2_K_S": _from(0.4159, 0.5111),
    "IQ2_S": _from(0.4392, 0.5487),
    "Q2_K": _limits((0.51, 0.85), (0.68, 0.57), (1.65, 2.1)),
    # Made for ternary models; of others they leave little. Nothing is published, so the limits of Q2_K hold.
    "TQ2_0": _limits((0.51, 0.85), (0.68, 0.57), (1.65, 2.1)),
    "TQ1_0": _limits((0.51, 0.85), (0.68, 0.57), (1.65, 2.1)),
    "IQ2_XS": _from(0.5463, 0.727),
    "IQ2_XXS": _from(0.812, 1.2613),
    "IQ1_M": _from(1.3931, 3.091),
    "IQ1_S": _from(2.2546, 8.7398),
}
"""Limits for models of 7 billion parameters and more, from the best type to the worst."""


def scaled(limits: QuantizedLimits, factor: float) -> QuantizedLimits:
    """Widen limits: KL and perplexity excess times `factor`, lost top tokens times its square root.

    The top token is lost about as the square root of the KL (module text), so the three stay one limit.
    """
    root = math.sqrt(factor)
    return _limits(
        (limits.kl_warn * factor, limits.kl_fail * factor),
        (max(0.0, 1 - (1 - limits.top1_warn) * root), max(0.0, 1 - (1 - limits.top1_fail) * root)),
        (1 + (limits.perplexity_warn - 1) * factor, 1 + (limits.perplexity_fail - 1) * factor),
    )


def better_types(kind: str) -> tuple[str, ...]:
    """Return the common types that lose less than `kind`, the next one first; F16 at the end."""
    common = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "F16")
    here = LIMITS.get(kind)
    if here is None:
        return common
    return tuple(name for name in common if name not in LIMITS or LIMITS[name].kl_fail < here.kl_fail)
