"""Tokens and money: what the answers used, told by the endpoint and kept with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_PER_PRICE: Final = 1_000_000
"""Prices are of a million tokens."""


def spent(responses: Sequence[Mapping[str, Any]], judge: Mapping[str, Any]) -> dict[str, Any]:
    """Return tokens and cost of all answers, as if each was asked for once; what is not known has a reason.

    `judge` is the recipe's table. An answer that was kept from an earlier run counts: it was paid for then.
    """
    told = [response["usage"] for response in responses if response["usage"] is not None]
    found: dict[str, Any] = {"requests": len(responses)}
    if len(told) < len(responses):
        reason = f"the endpoint did not tell the tokens of {len(responses) - len(told)} of {len(responses)} answers"
        return {**found, "tokens": {"reason": reason}, "cost": {"reason": reason}}
    tokens = {kind: sum(usage[kind] for usage in told) for kind in ("prompt", "completion")}
    return {**found, "tokens": {**tokens, "reason": None}, "cost": _cost(tokens, judge)}


def _cost(tokens: Mapping[str, int], judge: Mapping[str, Any]) -> dict[str, Any]:
    prices = {kind: judge[f"{kind}_price"] for kind in tokens}
    if None in prices.values():
        return {"reason": "the recipe names no prices"}
    cost = sum(tokens[kind] * prices[kind] for kind in sorted(tokens)) / _PER_PRICE
    return {"value": round(cost, 6), "currency": judge["currency"], "reason": None}
