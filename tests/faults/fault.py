"""What a planted fault is, and how it is followed until a gate stops it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.workshop import Judged, Trail, Workshop


@dataclass(frozen=True)
class Fault:
    """One way to fail.

    `plant` gives the stages that meet the fault, judged, in the order of the work. `gate` must fail at `stage`, its
    cause must hold `cause_words`, and all stages before must be silent. `also` names gates that may fail beside it,
    `warned_before` one that warns at an earlier stage. `missed` says why nothing stops the fault yet.
    """

    name: str
    what: str
    plant: Callable[[Workshop], Trail]
    stage: str
    gate: str
    cause_words: str
    also: tuple[str, ...] = ()
    warned_before: str = ""
    slow: bool = False
    missed: str = ""


@dataclass(frozen=True)
class Catch:
    """Where a fault was stopped (`judged` is None where it never was), what was asked before, and after how long."""

    judged: Judged | None
    before: tuple[Judged, ...]
    seconds: float


def follow(fault: Fault, shop: Workshop) -> Catch:
    """Run a fault's stages until one stops it."""
    started = time.monotonic()
    before: list[Judged] = []
    for judged in fault.plant(shop):
        if judged.failed:
            return Catch(judged, tuple(before), time.monotonic() - started)
        before.append(judged)
    return Catch(None, tuple(before), time.monotonic() - started)


def shortcomings(fault: Fault, catch: Catch) -> list[str]:
    """Return what is not as it must be: not caught, late or early, by another gate, with another cause."""
    if catch.judged is None:
        return [f"nothing stopped it: {', '.join(one.stage for one in catch.before)}"]
    failed, found = catch.judged.failed, []
    if catch.judged.stage != fault.stage:
        found.append(f"stopped at {catch.judged.stage} by {', '.join(failed)}, not at {fault.stage}")
    if fault.gate not in failed:
        return [*found, f"{fault.gate} is silent; {failed}"]
    if fault.cause_words not in failed[fault.gate]:
        found.append(f"the cause is: {failed[fault.gate]}")
    found += [f"{gate} fails too: {failed[gate]}" for gate in failed if gate not in (fault.gate, *fault.also)]
    if fault.warned_before and not any(fault.warned_before in one.warned for one in catch.before):
        found.append(f"{fault.warned_before} did not warn before")
    return found
