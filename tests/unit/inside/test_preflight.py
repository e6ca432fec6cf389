"""Before any training: what is measured is right, every planted fault is seen, and the bytes are always the same."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside import (
    awkward,
    parity_text,
    rendering,
    same_base,
    sample_checks,
    tensor_headers,
    tokenizer_facts,
    training_plan,
)
from pipeline.inside.job import Job, JobError
from pipeline.recipe import Recipe
from pipeline.stages.preflight import stages
from tests.support import tiny_model
from tests.support.preflight_facts import HEALTHY, judge, judge_changed
from tests.support.qwen import CONFIG, write, write_header

PROMPT: dict[str, Any] = {
    "system": "あなたは人気記事タイトルを生成する専門AIです。",
    "user": "「{theme}」に関する記事タイトルを1つ生成してください。",
    "terminator": "<|im_end|>",
    "enable_thinking": False,
}
IM_END, END_OF_TEXT = 151645, 151643
ROWS = {"train": 800, "validation": 100, "test": 100}


def row(theme: str, output: str) -> dict[str, Any]:
    """A prepared row."""
    digest = hashlib.sha256(f"{theme}\n{output}".encode()).hexdigest()[:16]
    return {
        "id": digest,
        "source": "rows.jsonl",
        "line": 1,
        "category": None,
        "group": None,
        "input": {"theme": theme},
        "output": output,
    }


def rows(count: int, theme: str, themes: int) -> list[dict[str, Any]]:
    """Prepared rows over a few themes."""
    return [row(f"{theme}{at % themes}", f"【{theme}】{at}日で変わった朝の話") for at in range(count)]


def recipe(**tables: Any) -> Recipe:
    """The seedling's settings, with a scale of 2 and small parity text."""
    settings: dict[str, Any] = {
        "name": "test",
        "description": "for tests",
        "base": {"source": "seedling"},
        "data": {"source": "seedling"},
        "prompt": PROMPT,
        "parity": {"tokens": 2048, "window_tokens": 128},
        "train": {"lora": {"rslora": False}},
    }
    return Recipe.model_validate({**settings, **tables})


def rules(**changes: Any) -> sample_checks.Rules:
    """The rules for Qwen's samples."""
    given: dict[str, Any] = {
        "prompt": PROMPT,
        "terminator_id": IM_END,
        "special_texts": ("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
        "max_seq_tokens": 512,
    }
    return sample_checks.Rules(**{**given, **changes})


def counts(tokenizer: Any, given: list[dict[str, Any]], **changes: Any) -> dict[str, int]:
    """The faults found in some rows, zeros left out."""
    findings, _ = sample_checks.check_samples(tokenizer, rules(**changes), given)
    return {fault: count for fault, count in findings.counts.items() if count}


@pytest.fixture
def sample(qwen: Any) -> tuple[dict[str, Any], list[int], list[int]]:
    """One row with its ids and its mask."""
    given = row("子育て", "【育休】3か月で見えた、お金と時間の話")
    return given, *rendering.sample_ids(qwen, PROMPT, given)


# The plan of the run.


@pytest.mark.parametrize(
    ("given", "epochs", "steps", "evaluations"),
    [(504, 1.0, 63, 12), (505, 1.0, 64, 12), (505, 2.0, 128, 25), (7, 0.5, 1, 0)],
)
def test_steps_are_counted_as_the_trainer_counts_them(given: int, epochs: float, steps: int, evaluations: int) -> None:
    """Batches round up, accumulated steps round up, evaluations fall on whole multiples."""
    train = recipe(train={"epochs": epochs}).slice("train")["train"]
    plan = training_plan.training_plan(train, {"train": given, "validation": 1, "test": 1})
    assert (plan["steps"], plan["evaluations"]) == (steps, evaluations)


def test_the_rslora_scale_is_not_two() -> None:
    """Rank 32, alpha 64: 2 without rsLoRA, 11.3 with it."""
    lora = recipe(train={"lora": {"rslora": True}}).slice("train")["train"]["lora"]
    assert training_plan.adapter_plan(lora)["scale"] == pytest.approx(11.3137, abs=1e-4)
    assert training_plan.adapter_plan({**lora, "rslora": False})["scale"] == 2.0


# Headers of the weights.


def test_shapes_come_from_every_shard(tmp_path: Path) -> None:
    """Only headers are read: the data of these files is a hole."""
    write_header(tmp_path / "model-00001-of-00002.safetensors", {"model.embed_tokens.weight": [32000, 8]})
    write_header(tmp_path / "model-00002-of-00002.safetensors", {"lm_head.weight": [32004, 8]})
    shapes = tensor_headers.tensor_shapes(tmp_path)
    assert (tensor_headers.embedding_rows(shapes), tensor_headers.output_rows(shapes)) == (32000, 32004)


def test_tied_or_unknown_layers_have_no_rows(tmp_path: Path) -> None:
    """What is not there is None, never zero."""
    write_header(tmp_path / "model.safetensors", {"model.norm": [4, 4]})
    shapes = tensor_headers.tensor_shapes(tmp_path)
    assert tensor_headers.embedding_rows(shapes) is None
    assert tensor_headers.output_rows(shapes) is None


@pytest.mark.parametrize("content", [b"", b"\x01", struct.pack("<Q", 1 << 60), struct.pack("<Q", 4) + b"{no}"])
def test_a_damaged_header_names_its_file(tmp_path: Path, content: bytes) -> None:
    """Cut short, absurdly long, or no JSON."""
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(JobError, match="header cannot be read") as caught:
        tensor_headers.tensor_shapes(tmp_path)
    assert caught.value.where == "model.safetensors"


def test_a_base_without_safetensors_is_refused(tmp_path: Path) -> None:
    """A pickle is never read."""
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(JobError, match="no safetensors") as caught:
        tensor_headers.tensor_shapes(tmp_path)
    assert caught.value.where == "pytorch_model.bin"


# Ends, pads and beginnings.


def test_ends_and_pads_are_read_from_every_file(qwen: Any, qwen_folder: Path) -> None:
    """The instruct model's own files agree."""
    facts = tokenizer_facts.token_facts(qwen, qwen_folder, "<|im_end|>")
    assert facts["ids"] == [IM_END]
    assert facts["eos_id"] == IM_END
    assert facts["stop_ids"] == [IM_END, END_OF_TEXT]
    assert facts["config_eos_ids"] == [IM_END]
    assert facts["pad_id"] == END_OF_TEXT


def test_a_base_models_end_is_seen(qwen: Any, tmp_path: Path) -> None:
    """Mutation: EOS `<|endoftext|>`, as Qwen's base models have it, with the same template."""
    write(tmp_path / "config.json", {**CONFIG, "eos_token_id": END_OF_TEXT})
    write(tmp_path / "generation_config.json", {"eos_token_id": END_OF_TEXT})
    qwen.eos_token = "<|endoftext|>"  # noqa: S105 - a token of text
    facts = tokenizer_facts.token_facts(qwen, tmp_path, "<|im_end|>")
    gates = {"preflight.eos", "preflight.stop-list", "preflight.new-tokens"}
    assert failures(tmp_path, {"terminator": facts}) == gates


def test_a_pad_that_is_the_terminator_is_seen(qwen: Any, qwen_folder: Path, tmp_path: Path) -> None:
    """Mutation: pad == eos."""
    qwen.pad_token = "<|im_end|>"  # noqa: S105 - a token of text
    facts = tokenizer_facts.token_facts(qwen, qwen_folder, "<|im_end|>")
    assert failures(tmp_path, {"terminator": facts}) == {"preflight.padding"}


def test_qwen_adds_nothing_at_the_start(qwen: Any) -> None:
    """No BOS is added, and the template writes none."""
    assert tokenizer_facts.added_at_start(qwen) == []
    assert not tokenizer_facts.writes_bos(qwen, qwen.chat_template)


def test_several_templates_are_not_one_way_to_render(qwen: Any) -> None:
    """A tokenizer with named templates leaves open which one counts."""
    qwen.chat_template = {"default": "a", "tool_use": "b"}
    with pytest.raises(JobError, match="no single chat template"):
        tokenizer_facts.chat_template(qwen)


# Samples and labels.


def test_healthy_samples_have_no_fault(qwen: Any) -> None:
    """Real template, real vocabulary, nothing found."""
    assert counts(qwen, rows(50, "朝活", 5)) == {}


def test_decomposed_characters_are_no_fault(qwen: Any) -> None:
    """Qwen's tokenizer composes them; the answer is still the answer."""
    assert counts(qwen, [row("カ\u3099ーデニング", "か\u3099んば\u308aの話")]) == {}


def test_a_masked_terminator_is_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """Mutation: the last label is -100, as a collator leaves it that masks padding."""
    given, ids, mask = sample
    assert "terminator_unlabelled" in sample_checks.label_faults(qwen, rules(), given, ids, [*mask[:-1], 0])


def test_a_wrong_response_marker_that_labels_nothing_is_seen(
    qwen: Any, sample: tuple[Any, list[int], list[int]]
) -> None:
    """Mutation: the marker is not found, so every label is -100."""
    given, ids, mask = sample
    found = sample_checks.label_faults(qwen, rules(), given, ids, [0] * len(mask))
    assert {"terminator_unlabelled", "answer_unlabelled"} <= set(found)


def test_a_wrong_response_marker_that_labels_the_prompt_is_seen(
    qwen: Any, sample: tuple[Any, list[int], list[int]]
) -> None:
    """Mutation: everything after the user's marker is learned, the question too."""
    given, ids, mask = sample
    user = ids.index(151644, 1)  # the second <|im_start|>
    labelled = [int(at > user) for at in range(len(mask))]
    assert "label_outside_answer" in sample_checks.label_faults(qwen, rules(), given, ids, labelled)


def test_a_label_on_the_turns_opening_is_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """Mutation: one label too many at the front."""
    given, ids, mask = sample
    first = mask.index(1)
    labelled = [*mask[: first - 1], 1, *mask[first:]]
    assert "label_outside_answer" in sample_checks.label_faults(qwen, rules(), given, ids, labelled)


def test_another_rows_sample_is_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """Ids that belong to another row show both in the answer and in the prompt."""
    _, ids, mask = sample
    other = row("転職", "退職の翌朝に最初にやめたこと")
    assert "input_missing" in sample_checks.label_faults(qwen, rules(), other, ids, mask)


def test_a_template_without_the_openings_line_break_is_seen(qwen: Any) -> None:
    """Mutation: the generation prompt lacks the line break that the full conversation has."""
    qwen.chat_template = qwen.chat_template.replace(
        "{{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking",
        "{{- '<|im_start|>assistant' }}\n    {%- if false and enable_thinking",
    )
    assert rendering.prompt_text(qwen, PROMPT, {"theme": "a"}).endswith("<|im_start|>assistant")
    assert counts(qwen, rows(3, "朝活", 3))["label_outside_answer"] == 3


def test_a_line_break_before_the_terminator_is_seen(qwen: Any) -> None:
    """Mutation: seed 000's prompt has a line break before `<|im_end|>`."""
    prompt = {**PROMPT, "user": PROMPT["user"] + "\n"}
    assert counts(qwen, rows(3, "朝活", 3), prompt=prompt) == {"loose_line_break": 3}


def test_a_prompt_that_was_templated_before_is_seen(qwen: Any) -> None:
    """Mutation: the user template is already ChatML, and is rendered once more."""
    prompt = {**PROMPT, "user": "<|im_start|>user\n{theme}<|im_end|>\n<|im_start|>assistant\n"}
    assert counts(qwen, rows(3, "朝活", 3), prompt=prompt)["special_text"] == 3


def test_an_overlong_sample_is_seen(qwen: Any) -> None:
    """Mutation: one answer of 600 tokens; its row is named."""
    given = [*rows(3, "朝活", 3), row("長い", "あ、" * 600)]
    findings, _ = sample_checks.check_samples(qwen, rules(), given)
    assert findings.to_json()["rows"] == {"too_long": [given[-1]["id"]]}
    assert findings.to_json()["tokens"]["max"] > 512


def test_thinking_in_the_answers_is_seen(qwen: Any) -> None:
    """With thinking on, the model would learn to write an empty block first."""
    assert counts(qwen, rows(3, "朝活", 3), prompt={**PROMPT, "enable_thinking": True}) == {"thinking_in_labels": 3}


def test_a_token_over_the_seam_is_seen(qwen: Any) -> None:
    """An answer that begins with a space: in one go, the encoding may join it to what stands before."""
    qwen.chat_template = (
        "{%- for message in messages %}{{ message.role + ':' + message.content + ('<|im_end|>\n' if message.role =="
        " 'assistant' else '\n') }}{%- endfor %}{%- if add_generation_prompt %}{{ 'assistant:' }}{%- endif %}"
    )
    assert "one_pass_differs" in counts(qwen, [row("朝活", "::朝の話")])


def test_prompt_ids_that_differ_are_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """A sample that starts otherwise than the tokenizer's own prompt."""
    given, ids, mask = sample
    assert sample_checks.rendering_faults(qwen, rules(), given, ids, mask) == []
    found = sample_checks.rendering_faults(qwen, rules(), given, [END_OF_TEXT, *ids], [0, *mask])
    assert found == ["prompt_prefix_differs", "one_pass_differs"]


def test_lengths_are_spread_by_order() -> None:
    """Smallest, middle, 99 %, largest; nothing of nothing."""
    assert sample_checks.spread(list(range(1, 201))) == {"min": 1, "median": 100, "p99": 198, "max": 200}
    assert sample_checks.spread([]) == {}


# Prompts, strings, windows.


def test_unseen_prompts_come_first_and_no_theme_is_in_training() -> None:
    """Three quarters unseen where there are as many; each input once."""
    splits = {"train": rows(100, "既知", 50), "validation": rows(100, "検証", 40), "test": rows(100, "試験", 40)}
    chosen = parity_text.choose_prompts(splits, 64)
    assert [kind for kind, _ in chosen] == ["unseen"] * 48 + ["seen"] * 16
    themes = [one["input"]["theme"] for _, one in chosen]
    assert len(set(themes)) == 64
    trained = {one["input"]["theme"] for one in splits["train"]}
    assert [theme in trained for theme in themes] == [False] * 48 + [True] * 16


def test_test_rows_come_before_validation_rows() -> None:
    """Validation themes are used only when the test split has too few."""
    splits = {"train": rows(9, "既知", 9), "validation": rows(9, "検証", 9), "test": rows(3, "試験", 3)}
    kinds = [one["input"]["theme"][:2] for kind, one in parity_text.choose_prompts(splits, 8) if kind == "unseen"]
    assert kinds == ["試験"] * 3 + ["検証"] * 3


def test_a_theme_that_differs_in_width_only_was_seen() -> None:
    """A full-width letter does not make a theme new."""
    splits = {"train": [row("AI", "あ")], "validation": [], "test": [row("ＡＩ ", "い"), row("猫", "う")]}
    chosen = parity_text.choose_prompts(splits, 4)
    assert [(kind, one["input"]["theme"]) for kind, one in chosen] == [("unseen", "猫"), ("seen", "AI")]


def test_the_choice_does_not_depend_on_the_order_of_rows() -> None:
    """The ids decide."""
    splits = {"train": rows(30, "既知", 9), "validation": rows(9, "検証", 9), "test": rows(9, "試験", 9)}
    turned = {name: given[::-1] for name, given in splits.items()}
    assert parity_text.choose_prompts(splits, 12) == parity_text.choose_prompts(turned, 12)


def test_few_rows_give_few_prompts() -> None:
    """Fewer inputs than asked for: each once, no error."""
    splits = {"train": rows(5, "既知", 5), "validation": [], "test": rows(2, "試験", 2)}
    assert [kind for kind, _ in parity_text.choose_prompts(splits, 64)] == ["unseen"] * 2 + ["seen"] * 5


def test_windows_are_full_and_within_the_budget() -> None:
    """The rest is dropped; all there is stays when no window is full."""
    assert parity_text.parity_windows([[1, 2, 3], [4, 5], [6, 7]], tokens=6, window_tokens=3) == [[1, 2, 3], [4, 5, 6]]
    assert parity_text.parity_windows([[1, 2, 3, 4]], tokens=100, window_tokens=3) == [[1, 2, 3]]
    assert parity_text.parity_windows([[1, 2]], tokens=100, window_tokens=3) == [[1, 2]]
    assert parity_text.parity_windows([], tokens=100, window_tokens=3) == []


def test_awkward_strings_cover_what_they_name() -> None:
    """The list holds each kind, no string twice, and nothing that C would end a text at."""
    strings = awkward.AWKWARD
    assert len(set(strings)) == len(strings) >= 50
    assert not any("\0" in text for text in strings)
    assert any(not unicodedata.is_normalized("NFC", text) for text in strings)
    assert any(unicodedata.name(sign, "").startswith("CJK COMPATIBILITY") for text in strings for sign in text)
    assert any(text != text.strip() for text in strings)
    assert any("\u200d" in text for text in strings)
    assert any("<|im_end|>" in text for text in strings)
    assert any(len(text) >= 300 for text in strings)
    assert any("\n\n" in text for text in strings)


def test_token_rows_say_which_texts_are_composed(qwen: Any) -> None:
    """Ids are the tokenizer's; `nfc` marks the texts on which a runtime without normalization must differ."""
    lines = parity_text.token_rows(qwen, [{"text": "a\n", "reference": "か\u3099"}])
    assert [line["kind"] for line in lines[-2:]] == ["prompt", "reference"]
    assert [line["nfc"] for line in lines[-2:]] == [True, False]
    assert all(line["ids"] == rendering.encode(qwen, line["text"]) for line in lines)


# Two copies of one base.


def test_a_copy_of_another_size_is_seen(qwen_folder: Path, tmp_path: Path) -> None:
    """Settings and tokenizer files that differ are named; storing in 4 bits is no difference."""
    quantized = {"quantization_config": {"quant_method": "bitsandbytes"}}
    write(tmp_path / "config.json", {**CONFIG, **quantized, "num_hidden_layers": 2})
    found = same_base.base_facts(qwen_folder, tmp_path, load_in_4bit=True)
    assert found["quantization"] is None
    assert found["training"] == {
        "quantization": "bitsandbytes",
        "settings_differ": ["num_hidden_layers"],
        "tokenizer_files_differ": ["tokenizer.json"],
    }


def test_an_equal_copy_differs_in_nothing(qwen_folder: Path) -> None:
    """The same files are the same base."""
    found = same_base.base_facts(qwen_folder, qwen_folder, load_in_4bit=True)
    assert found["training"] == {"quantization": None, "settings_differ": [], "tokenizer_files_differ": []}


# The whole program.


Run = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared rows: 40 known themes, 60 unseen ones."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in ROWS.items():
        tiny_model.write_rows(
            folder / f"{split}.jsonl", rows(count, {"train": "既知", "validation": "検証", "test": "試験"}[split], 40)
        )
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small base model whose tokenizer llama.cpp does not know."""
    return tiny_model.write_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def _pinned_gguf() -> Iterator[None]:
    """Keep the tree's `gguf` and `conversion` apart from a `gguf` of the environment that other tests import."""
    owned = ("gguf", "conversion")
    path, kept = (
        list(sys.path),
        {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in owned},
    )
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in owned]:
        del sys.modules[name]
    sys.modules.update(kept)
    sys.path[:] = path


@pytest.fixture(scope="module")
def run(vendor_tree: Path, data: Path, tmp_path_factory: pytest.TempPathFactory, _pinned_gguf: None) -> Run:
    """Run the program on a base model, with the parameters that the stage gives it; return its output folder."""
    from pipeline.inside import preflight

    def run_on(base: Path, settings: Recipe, rows_folder: Path = data, **changes: Any) -> Path:
        (stage,) = stages(settings)
        folder = tmp_path_factory.mktemp("run")
        inputs = {"base": base, "data": rows_folder, "vendor": vendor_tree}
        preflight.main(Job("preflight", {**stage.parameters, **changes}, inputs, folder, folder, threads=1))
        return folder

    return run_on


def failures(folder: Path, changes: dict[str, Any]) -> set[str]:
    """The gates that fail when measurements of a healthy model are replaced by these."""
    return {one.gate for one in judge_changed(folder, recipe(), changes) if one.outcome == "failed"}


@pytest.fixture(scope="module")
def qwen_run(run: Run, qwen_folder: Path) -> Path:
    """The outputs for the real Qwen tokenizer; llama.cpp knows it, so nothing is declared."""
    return run(qwen_folder, recipe(), pre_tokenizer=None)


def test_a_healthy_qwen_passes_every_gate(qwen_run: Path) -> None:
    """Real vocabulary, real template, real converter: only the 4-bit comparison has nothing to compare."""
    assert {(one.gate, one.outcome, one.cause) for one in judge(qwen_run, recipe()) if one.outcome != "passed"} == {
        (
            "preflight.same-base",
            "not measured",
            "training loads the base as it is stored: there is no 4-bit copy to compare",
        )
    }


def test_the_gates_tests_use_the_real_shape(qwen_run: Path) -> None:
    """The healthy measurements that the gates' tests start from have exactly the keys of real ones."""
    found = json.loads((qwen_run / "preflight.json").read_text(encoding="utf-8"))
    assert shape(found) == shape(HEALTHY)


def shape(value: Any) -> Any:
    """The keys of nested objects."""
    return {name: shape(part) for name, part in value.items()} if isinstance(value, dict) else None


def test_the_converter_says_what_it_recognised(qwen_run: Path) -> None:
    """llama.cpp knows Qwen's pre-tokenizer by itself, and the vocabulary keeps the terminator and the template."""
    found = json.loads((qwen_run / "preflight.json").read_text(encoding="utf-8"))["converter"]
    assert found["pre_tokenizer"] == {"name": "qwen2", "source": "converter", "fingerprint": None}
    assert (found["eos"], found["same_chat_template"], found["tokens"]) == (IM_END, True, 151936)


def test_prompts_are_published_as_they_are_used(qwen_run: Path, qwen: Any) -> None:
    """Text, ids, kind and reference of 64 prompts."""
    lines = [json.loads(line) for line in (qwen_run / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 64
    assert set(lines[0]) == {"id", "kind", "input", "text", "ids", "reference"}
    assert all(line["ids"] == rendering.encode(qwen, line["text"]) for line in lines)
    assert lines[0]["text"] == rendering.prompt_text(qwen, PROMPT, lines[0]["input"])


def test_parity_text_is_held_out_text(qwen_run: Path, qwen: Any) -> None:
    """16 windows of 128 tokens, of test and validation rows only."""
    windows = json.loads((qwen_run / "parity.json").read_text(encoding="utf-8"))["windows"]
    assert [len(window) for window in windows] == [128] * 16
    text = qwen.decode([one for window in windows for one in window])
    assert "試験" in text
    assert "既知" not in text


def test_a_llama_passes_but_for_what_it_is_known_for(run: Run, llama_folder: Path, tmp_path: Path) -> None:
    """TinyLlama's own settings: pad is the terminator, and a BOS that its template does not write."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for split, count in ROWS.items():
        made = [row(f"{split} {at % 60}", f"We open at {at} o'clock.") for at in range(count)]
        tiny_model.write_rows(folder / f"{split}.jsonl", made)
    settings = recipe(prompt={"user": "{theme}", "terminator": "</s>"})
    outputs = run(llama_folder, settings, folder, pre_tokenizer=None)
    assert {(one.gate, one.outcome) for one in judge(outputs, settings) if one.outcome != "passed"} == {
        ("preflight.padding", "failed"),
        ("preflight.beginning", "warned"),
        ("preflight.same-base", "not measured"),
    }


def test_the_same_inputs_give_the_same_bytes_elsewhere(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """Other folders, same files: nothing of a path or a clock gets in."""
    first = run(tiny, recipe())
    base, again = shutil.copytree(tiny, tmp_path / "moved" / "model"), shutil.copytree(data, tmp_path / "rows")
    second = run(base, recipe(), again)
    names = sorted(path.name for path in first.iterdir())
    assert names == ["parity.json", "preflight.json", "prompts.jsonl", "tokens.jsonl"]
    assert {name: (first / name).read_bytes() for name in names} == {
        name: (second / name).read_bytes() for name in names
    }


def test_an_unknown_tokenizer_is_a_finding_without_paths(run: Run, tiny: Path) -> None:
    """The converter's refusal is in the measurements, and the gate says what to declare."""
    folder = run(tiny, recipe(), pre_tokenizer=None)
    assert str(tiny.parent) not in (folder / "preflight.json").read_text(encoding="utf-8")
    (verdict,) = [one for one in judge(folder, recipe()) if one.gate == "preflight.converter"]
    assert verdict.outcome == "failed"
    assert "base.pre_tokenizer" in verdict.advice


def test_a_declared_pre_tokenizer_is_used_and_named(run: Run, tiny: Path) -> None:
    """The seedling's recipe declares its own."""
    found = json.loads((run(tiny, recipe()) / "preflight.json").read_text(encoding="utf-8"))["converter"]
    assert found["recognised"]
    assert (found["pre_tokenizer"]["name"], found["pre_tokenizer"]["source"]) == ("qwen2", "recipe")


def test_a_missing_validation_split_is_seen(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """Mutation: no validation rows; the stage still measures, and the gate fails."""
    folder = shutil.copytree(data, tmp_path / "rows")
    (folder / "validation.jsonl").write_text("", encoding="utf-8")
    found = {one.gate for one in judge(run(tiny, recipe(), folder), recipe()) if one.outcome == "failed"}
    assert found == {"preflight.early-stopping"}


def test_without_training_rows_there_is_nothing_to_check(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """An empty train split stops the stage with what to do."""
    folder = shutil.copytree(data, tmp_path / "rows")
    (folder / "train.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(JobError, match="train split is empty"):
        run(tiny, recipe(), folder)


def test_a_broken_tokenizer_is_the_users_to_mend(run: Run, tiny: Path, tmp_path: Path) -> None:
    """A damaged tokenizer.json names the files that are needed."""
    base = shutil.copytree(tiny, tmp_path / "base")
    (base / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(JobError, match="tokenizer of the base model cannot be loaded"):
        run(base, recipe())


@pytest.mark.parametrize(
    ("settings", "gate", "outcome"),
    [
        ({"train": {"epochs": 50.0}}, "preflight.epochs", "failed"),
        ({"train": {"learning_rate": 2e-2}}, "preflight.learning-rate", "warned"),
        ({"train": {"lora": {"rslora": True}}}, "preflight.lora-scale", "warned"),
        ({"train": {"eval_every_steps": 50}}, "preflight.evaluations", "failed"),
        ({"train": {"max_seq_tokens": 32}}, "preflight.sample-length", "failed"),
    ],
)
def test_a_bad_recipe_is_seen(run: Run, tiny: Path, settings: dict[str, Any], gate: str, outcome: str) -> None:
    """Mutations of the recipe, through the stage's own parameters to the verdict."""
    changed = recipe(**settings)
    assert (gate, outcome) in {(one.gate, one.outcome) for one in judge(run(tiny, changed), changed)}


def test_a_terminator_that_the_template_does_not_write_stops_the_stage(run: Run, tiny: Path) -> None:
    """There is nothing to measure when no sample can be rendered."""
    with pytest.raises(JobError, match="does not end the assistant's turn"):
        run(tiny, recipe(prompt={**PROMPT, "terminator": "終わり"}))
