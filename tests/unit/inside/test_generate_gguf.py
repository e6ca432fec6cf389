"""A GGUF file made to speak by llama.cpp, beside the Hugging Face model that it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import tiny_model
from tests.support.gguf_file import run_job

pytestmark = pytest.mark.slow

PARAMETERS: dict[str, Any] = {
    "generate": {"prompts": 6, "max_new_tokens": 12, "temperature": 0.7, "top_p": 0.9, "seed": 7},
    "terminator": tiny_model.TERMINATOR,
}
LONG_TOKEN = "転職を9日で楽しむ方法"  # noqa: S105 - a title; its 31 bytes and more are one or few tokens
TEXTS = (
    "",
    " ",
    "\n\n",
    "「節約」の題名を1つ。",
    "a b  c\t\n",
    "👨‍👩‍👧‍👦",
    "ＡＢＣ123",
    "<|im_start|>user\n",
    LONG_TOKEN * 20,
)
WINDOW = 48


@pytest.fixture(scope="module")
def prompts(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What preflight publishes, in small: six prompts of different lengths, awkward texts, three windows."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(merged / "model"), local_files_only=True)
    folder = tmp_path_factory.mktemp("prompts")
    rows = []
    for number, theme in enumerate(tiny_model.THEMES[:6]):
        messages = [{"role": "user", "content": theme * (number + 1)}]
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        ids = tokenizer.encode(text, add_special_tokens=False)
        rows.append({"id": f"p{number}", "kind": "unseen", "input": {}, "text": text, "ids": ids, "reference": ""})
    texts = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False)} for text in TEXTS]
    running = [id_ for row in tiny_model.rows(90) for id_ in tokenizer.encode(row["output"], add_special_tokens=False)]
    windows = [running[start : start + WINDOW] for start in range(0, 3 * WINDOW, WINDOW)]
    tiny_model.write_rows(folder / "prompts.jsonl", rows)
    tiny_model.write_rows(folder / "tokens.jsonl", texts)
    (folder / "parity.json").write_text(json.dumps({"windows": windows}))
    (folder / "neutral.json").write_text(json.dumps({"windows": [running[:40], running[50:66], running[70:81]]}))
    return folder


@pytest.fixture(scope="module")
def spoken(converted: Path, prompts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage `verify-f16` publishes. Not to be changed."""
    inputs = {"gguf": converted, "prompts": prompts}
    code, events, output = run_job(tmp_path_factory.mktemp("spoken"), "generate_gguf", PARAMETERS, inputs)
    assert code == 0, events[-1]
    return output


def lines(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_bytes_do_not_depend_on_the_number_of_threads(
    spoken: Path, converted: Path, prompts: Path, tmp_path: Path
) -> None:
    """Every published file is the same with three threads, logits to the last bit."""
    inputs = {"gguf": converted, "prompts": prompts}
    _, _, output = run_job(tmp_path / "job", "generate_gguf", PARAMETERS, inputs, threads=3)
    names = {path.name for path in spoken.iterdir()}
    assert names == {
        *("forward.json", "generations.jsonl", "logits.npy", "metadata.json", "neutral-logits.npy", "tokens.jsonl")
    }
    assert [name for name in sorted(names) if (output / name).read_bytes() != (spoken / name).read_bytes()] == []


def test_llama_cpp_reads_texts_as_the_trained_tokenizer_does(spoken: Path, prompts: Path) -> None:
    """Ids are equal for every text: the declared pre-tokenizer is the right one."""
    expected = lines(prompts / "tokens.jsonl")
    found = lines(spoken / "tokens.jsonl")
    assert [(row["text"], row["ids"]) for row in found] == [(row["text"], row["ids"]) for row in expected]


def test_every_text_comes_back_whole(spoken: Path) -> None:
    """Long texts and long tokens too: the buffer grows."""
    assert [row["text"] for row in lines(spoken / "tokens.jsonl") if not row["round_trip"]] == []


def test_logits_agree_with_the_hugging_face_model(spoken: Path, merged: Path, prompts: Path) -> None:
    """Teacher-forced on the same windows: small differences, the same most likely token nearly everywhere."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(merged / "model", dtype=torch.float32)
    windows = json.loads((prompts / "parity.json").read_text())["windows"]
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor(windows)).logits.numpy().reshape(3 * WINDOW, -1)
    found = np.load(spoken / "logits.npy")
    beside = np.take_along_axis(expected, found["ids"].astype(np.int64), axis=1)
    assert found.shape == (len(expected),)
    assert np.abs(found["logits"] - beside).max() < 0.02
    tops = found["ids"][np.arange(len(found)), found["logits"].argmax(axis=1)]
    assert (tops == expected.argmax(-1)).mean() > 0.97
    targets = torch.tensor([token for ids in windows for token in [*ids[1:], -100]])
    loss = torch.nn.functional.cross_entropy(torch.tensor(expected).double(), targets)
    assert json.loads((spoken / "forward.json").read_text())["mean_nll"] == pytest.approx(loss.item(), abs=1e-3)


def test_the_neutral_text_agrees_too(spoken: Path, merged: Path, prompts: Path) -> None:
    """Windows of several lengths in one batch: no position of one is another's."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(merged / "model", dtype=torch.float32)
    windows = json.loads((prompts / "neutral.json").read_text())["windows"]
    with torch.inference_mode():
        expected = torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in windows]).numpy()
    found = np.load(spoken / "neutral-logits.npy")
    assert found.shape == (67,)
    beside = np.take_along_axis(expected, found["ids"].astype(np.int64), axis=1)
    assert np.abs(found["logits"] - beside).max() < 0.02


def test_greedy_answers_are_those_of_one_prompt_alone(
    spoken: Path, converted: Path, prompts: Path, tmp_path: Path
) -> None:
    """What else is in the batch does not decide an answer."""
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("tokens.jsonl", "parity.json", "neutral.json"):
        (alone / name).write_bytes((prompts / name).read_bytes())
    last = lines(prompts / "prompts.jsonl")[-1]
    tiny_model.write_rows(alone / "prompts.jsonl", [last])
    _, _, output = run_job(tmp_path / "job", "generate_gguf", PARAMETERS, {"gguf": converted, "prompts": alone})
    expected = [row for row in lines(spoken / "generations.jsonl") if row["id"] == last["id"]]
    assert lines(output / "generations.jsonl") == expected


def test_every_prompt_has_a_greedy_answer_and_a_sample(spoken: Path, prompts: Path) -> None:
    """In the order of the prompts, with what the gates read."""
    rows = lines(spoken / "generations.jsonl")
    ids = [row["id"] for row in lines(prompts / "prompts.jsonl")]
    assert [(row["id"], row["mode"]) for row in rows] == [(id_, mode) for id_ in ids for mode in ("greedy", "sample")]
    for row in rows:
        assert row["stopped"] in ("terminator", "length")
        assert len(row["ids"]) <= PARAMETERS["generate"]["max_new_tokens"]
        assert row["stopped"] == "terminator" or len(row["ids"]) == PARAMETERS["generate"]["max_new_tokens"]


def test_metadata_names_what_the_tokenizer_names(spoken: Path, merged: Path) -> None:
    """EOS, PAD, template, context and the rows of the embedding; llama.cpp stops on the terminator."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(merged / "model"), local_files_only=True)
    found = json.loads((spoken / "metadata.json").read_text())
    assert (found["eos_id"], found["pad_id"]) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert tokenizer.eos_token_id in found["stop_ids"]
    assert found["chat_template"] == tiny_model.TEMPLATE
    assert (found["context_length"], found["vocabulary"]) == (1024, len(tokenizer) + 4)
    assert (found["name"], found["adds_bos"]) == ("Tiny Titles", False)


def test_the_checks_cover_long_prompts_and_batches(spoken: Path) -> None:
    """63, 64 and over 512 tokens run, and four prompts together are as each alone."""
    checks = json.loads((spoken / "forward.json").read_text())["checks"]
    assert {name: check["tokens"] for name, check in checks.items() if name.startswith("prompt")} == {
        "prompt_63": 63,
        "prompt_64": 64,
        "prompt_512": 520,
    }
    assert all(check["non_finite"] == 0 < check["generated"] for name, check in checks.items() if "tokens" in check)
    assert checks["batch_1_vs_4"]["argmax_agreement"] > 0.98


def test_two_files_in_one_folder_are_refused(converted: Path, prompts: Path, tmp_path: Path) -> None:
    """Which one was meant cannot be guessed."""
    both = tmp_path / "both"
    both.mkdir()
    for name in ("a.gguf", "b.gguf"):
        (both / name).symlink_to(converted / "model-f16.gguf")
    code, events, _ = run_job(tmp_path / "job", "generate_gguf", PARAMETERS, {"gguf": both, "prompts": prompts})
    assert code == 10
    assert "found 2" in events[-1]["what"]


def test_a_file_that_llama_cpp_cannot_load_is_named(converted: Path, prompts: Path, tmp_path: Path) -> None:
    """With llama.cpp's own words."""
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "model.gguf").write_bytes((converted / "model-f16.gguf").read_bytes()[:-5000])
    code, events, _ = run_job(tmp_path / "job", "generate_gguf", PARAMETERS, {"gguf": cut, "prompts": prompts})
    assert code == 10
    assert "cannot load model.gguf" in events[-1]["what"]


def test_a_terminator_that_is_no_token_is_refused(converted: Path, prompts: Path, tmp_path: Path) -> None:
    """Generation could never stop on it."""
    parameters = {**PARAMETERS, "terminator": "end of turn"}
    code, events, _ = run_job(tmp_path / "job", "generate_gguf", parameters, {"gguf": converted, "prompts": prompts})
    assert code == 10
    assert "not one" in events[-1]["what"]
