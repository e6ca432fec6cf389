"""The verdict over manifests: every planted difference is named by its stage and by what it means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.artifact import Manifest
from pipeline.digest import FileEntry
from pipeline.plan import key_of
from pipeline.reproducing.judgement import Judgement, explain, judge

FIXED = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE"}
ENVIRONMENT = {
    "python": "3.11.7",
    "interpreter": "sha256:aa",
    "torch": "2.13.0 sha256:bb",
    "llama-cpp-wheel": "sha256:cc",
}


def manifest(stage: str, content: str, **components: Any) -> Manifest:
    """Return the manifest of a stage with one file."""
    parts = {"stage": stage, "fixed": FIXED, "environment": ENVIRONMENT, "inputs": {}, **components}
    return Manifest(key_of(parts), stage, parts, (FileEntry("file", 1, content * 64),))


def chain() -> dict[str, Manifest]:
    """Return three stages, each reading the one before it."""
    return {
        "fetch-data": manifest("fetch-data", "1", outside={"rows.jsonl": "1" * 64}),
        "train": manifest("train", "2", inputs={"data": {"file": "1" * 64}}, parameters={"lr": 0.1}),
        "quantize-Q4_K_M": manifest("quantize-Q4_K_M", "3", inputs={"gguf": {"file": "2" * 64}}),
    }


def other(one: Manifest, content: str, **components: Any) -> Manifest:
    """Return the same stage with other bytes, its key made of other components."""
    parts = {**one.components, **components}
    return replace(one, key=key_of(parts), components=parts, files=(FileEntry("file", 1, content * 64),))


def judged(stage: str, **components: Any) -> Judgement:
    """Judge a build in which one stage has other bytes by other components."""
    built = chain()
    built[stage] = other(built[stage], "9", **components)
    return judge(chain(), built)


def why(found: Judgement) -> str:
    """Return the reason that is given for the first stage that differs."""
    assert found.first is not None
    return explain(found.first, (), found.harmless)


def test_equal_bytes_are_identical() -> None:
    """Every file counts once."""
    found = judge(chain(), chain())
    assert (found.verdict, found.files, found.first) == ("identical", 3, None)


def test_keys_alone_do_not_count() -> None:
    """A stranger has another interpreter: it is told, and the verdict stays."""
    environment = {**ENVIRONMENT, "python": "3.11.2"}
    built = {
        name: replace(one, components={**one.components, "environment": environment}) for name, one in chain().items()
    }
    found = judge(chain(), built)
    assert found.verdict == "identical"
    assert found.keys_only == ("environment.python: 3.11.7 → 3.11.2",)


@pytest.mark.parametrize(
    ("stage", "components", "reason"),
    [
        ("train", {"fixed": {**FIXED, "ATEN_CPU_CAPABILITY": "avx512"}}, "another instruction set"),
        ("fetch-data", {"outside": {"rows.jsonl": "9" * 64}}, "another input file"),
        ("train", {"environment": {**ENVIRONMENT, "torch": "2.13.0 sha256:99"}}, "other packages: another lock"),
        (
            "quantize-Q4_K_M",
            {"environment": {**ENVIRONMENT, "llama-cpp-wheel": "sha256:99"}},
            "another build of llama.cpp",
        ),
        ("train", {"parameters": {"lr": 0.2}}, "another recipe"),
        ("train", {"code": {"inside/train.py": "9" * 64}}, "other code of the stage"),
        ("train", {"environment": {"image": "sha256:99"}}, "another container image"),
    ],
)
def test_a_planted_difference_is_named(stage: str, components: dict[str, Any], reason: str) -> None:
    """By the stage that it strikes first, and by what the differing component of its key means."""
    found = judged(stage, **components)
    assert found.verdict == "differs"
    assert found.first is not None
    assert (found.first.stage, reason in why(found)) == (stage, True)
    assert [one.path for one in found.first.files] == ["file"]


def test_what_follows_is_not_blamed() -> None:
    """A stage whose input differs already is no origin; one that differs by itself is."""
    built = chain()
    built["train"] = other(built["train"], "8", parameters={"lr": 0.2})
    built["quantize-Q4_K_M"] = other(built["quantize-Q4_K_M"], "9", inputs={"gguf": {"file": "8" * 64}})
    found = judge(chain(), built)
    assert [one.stage for one in found.origins] == ["train"]
    assert explain(found.stages[-1]) == "what it reads differs already"


def test_the_same_key_with_other_bytes_is_damage_or_this_machine() -> None:
    """Nothing else can be said of it."""
    assert "nothing that counts in its key differs" in why(judged("train"))


def test_a_component_that_moved_no_byte_elsewhere_is_a_weak_reason() -> None:
    """With another interpreter everywhere, one damaged file is not the interpreter's fault."""
    environment = {**ENVIRONMENT, "interpreter": "sha256:99"}
    built = {
        name: replace(one, components={**one.components, "environment": environment}) for name, one in chain().items()
    }
    built["train"] = replace(built["train"], files=(FileEntry("file", 1, "9" * 64),))
    told = why(judge(chain(), built))
    assert told.startswith("another interpreter (which moved no byte of other stages: else the file was changed")


def test_a_time_in_an_artifact_is_named() -> None:
    """Where both sides of a differing field are dates, or seconds since 1970."""
    fields = [{"path": "general.date", "first": "2026-01-01T10:00:00Z", "second": "2026-01-02T11:00:00Z"}]
    first = judged("train").first
    assert first is not None
    told = explain(first, [{"kind": "tensors", "details": {"metadata": fields, "tensors": {}}}])
    assert told == "a time stands in it: general.date: 2026-01-01T10:00:00Z → 2026-01-02T11:00:00Z"


def test_a_number_is_no_time() -> None:
    """Two figures that differ are not taken for clocks."""
    fields = [{"path": "loss", "first": "1.25", "second": "1.5"}]
    first = judged("train").first
    assert first is not None
    assert "nothing that counts" in explain(first, [{"details": {"fields": fields}}])


def test_what_was_not_built_is_not_called_identical() -> None:
    """A build that stopped is not complete, even where all that is there is equal."""
    built = chain()
    del built["quantize-Q4_K_M"]
    assert judge(chain(), built).verdict == "incomplete"


def test_evidence_that_a_release_leaves_out_is_no_difference() -> None:
    """Rows may be quoted in it, so it is not in the chain of a release."""
    quoted = {"verdicts": {"train": [{"gate": "one", "evidence": ["a row"]}]}}
    bare = {"verdicts": {"train": [{"gate": "one", "evidence": []}]}}
    released, built = {"report": manifest("report", "1", **bare)}, {"report": manifest("report", "1", **quoted)}
    assert judge(released, built).keys_only == ()
