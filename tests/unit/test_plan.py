"""Planning is pure: order, targets, keys and what changed between two keys."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.artifact import Manifest
from pipeline.digest import FileEntry
from pipeline.errors import UsageError
from pipeline.plan import Pins, Plan, components, differences, key_of
from pipeline.stages.stage import Input, Stage


def stage(name: str, *inputs: str, family: str = "", files: tuple[str, ...] = ("**",), **more: Any) -> Stage:
    """A stage without work."""
    given = {item: Input(item, files) for item in inputs}
    return Stage(name, family or name, 1, "training", more.pop("parameters", {}), "", program="x", inputs=given, **more)


PINS = Pins({"training": {"torch": "1"}}, {}, {}, {"tree": "t"}, {"ATEN_CPU_CAPABILITY": "avx2"}, {})


def manifest(name: str, **files: str) -> Manifest:
    """A manifest whose files have the given digests."""
    return Manifest(f"key-of-{name}", name, {}, tuple(FileEntry(path, 1, digest) for path, digest in files.items()))


def test_stages_are_put_after_their_inputs() -> None:
    """The order given does not matter."""
    plan = Plan([stage("c", "b"), stage("b", "a"), stage("a")])
    assert list(plan.stages) == ["a", "b", "c"]


def test_a_cycle_is_a_programmers_mistake() -> None:
    """Stages that wait for each other cannot be planned."""
    with pytest.raises(ValueError, match="wait for each other"):
        Plan([stage("a", "b"), stage("b", "a")])


def test_a_target_takes_only_what_it_needs() -> None:
    """`--to b` leaves out what b does not read."""
    plan = Plan([stage("a"), stage("b", "a"), stage("other", "a")])
    assert [item.name for item in plan.up_to("b")] == ["a", "b"]


def test_a_family_means_all_its_members() -> None:
    """`--to quantize` runs every type."""
    plan = Plan([stage("q-1", family="quantize"), stage("q-2", family="quantize"), stage("last", "q-1", "q-2")])
    assert [item.name for item in plan.up_to("quantize")] == ["q-1", "q-2"]


def test_an_unknown_target_names_the_nearest() -> None:
    """A typo is answered with the name that was meant."""
    with pytest.raises(UsageError) as caught:
        Plan([stage("prepare"), stage("train")]).up_to("tran")
    assert "train" in caught.value.advice


@pytest.mark.parametrize("target", ["judge", "fetch-scorer", "fetch-neutral", "fetch-questions"])
def test_a_stage_that_the_recipe_did_not_ask_for_says_how_to_ask(target: str) -> None:
    """`nox -s judge` is there for every recipe."""
    with pytest.raises(UsageError) as caught:
        Plan([stage("fetch-base"), stage("train")]).up_to(target)
    assert caught.value.advice.startswith("a recipe has it with")


def test_a_key_follows_the_files_and_not_the_key_of_an_input() -> None:
    """An input rebuilt to the same bytes under another key changes nothing."""
    reader = stage("b", "a")
    first = components(reader, {"a": manifest("a", rows="1")}, PINS)
    again = components(reader, {"a": Manifest("another", "a", {"x": 1}, (FileEntry("rows", 1, "1"),))}, PINS)
    other = components(reader, {"a": manifest("a", rows="2")}, PINS)
    assert key_of(first) == key_of(again)
    assert key_of(first) != key_of(other)


def test_only_the_files_that_a_stage_may_read_count() -> None:
    """A file outside the declared patterns does not move the key."""
    reader = stage("b", "a", files=("adapter/*",))
    one = components(reader, {"a": manifest("a", **{"adapter/x": "1", "log": "1"})}, PINS)
    two = components(reader, {"a": manifest("a", **{"adapter/x": "1", "log": "2"})}, PINS)
    assert key_of(one) == key_of(two)


@pytest.mark.parametrize("field", ["environments", "fixed", "code", "outside"])
def test_every_pin_counts(field: str) -> None:
    """Another environment, variable, source file or user file gives another key."""
    other = {
        "environments": {"training": {"torch": "2"}},
        "fixed": {"A": "b"},
        "code": {"a": {"f": "1"}},
        "outside": {"a": {"f": "1"}},
    }
    changed = Pins(**{**PINS.__dict__, field: other[field]})
    assert key_of(components(stage("a"), {}, PINS)) != key_of(components(stage("a"), {}, changed))


def test_the_vendored_tree_counts_only_where_it_is_used() -> None:
    """Another llama.cpp rebuilds what runs its scripts."""
    other = Pins(**{**PINS.__dict__, "vendor": {"tree": "other"}})
    assert components(stage("a"), {}, PINS) == components(stage("a"), {}, other)
    assert components(stage("a", vendored=True), {}, PINS) != components(stage("a", vendored=True), {}, other)


def test_differences_name_the_leaf() -> None:
    """What changed is said as a path with the old and the new value."""
    old = {"parameters": {"train": {"epochs": 1}}, "code": {"a.py": "1"}}
    new = {"parameters": {"train": {"epochs": 2}}, "code": {"b.py": "1"}}
    assert differences(old, new) == [
        "code.a.py: removed (was 1)",
        "code.b.py: added (1)",
        "parameters.train.epochs: 1 → 2",
    ]
    assert differences(old, old) == []


def test_an_order_without_an_input_is_kept_and_does_not_count() -> None:
    """`after` puts a stage behind another and into its target, and leaves its key alone."""
    plan = Plan([stage("late", "a", after=("check",)), stage("check", "a"), stage("a")])
    assert [item.name for item in plan.up_to("late")] == ["a", "check", "late"]
    assert components(stage("b", after=("check",)), {}, PINS) == components(stage("b"), {}, PINS)
