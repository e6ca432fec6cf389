"""The real tokenizers of Qwen3 and of Llama, from rows of Japanese titles to a file that llama.cpp reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside import parity_text, rendering, sample_checks
from pipeline.inside.awkward import AWKWARD
from pipeline.inside.tokenizer_facts import special_texts
from pipeline.recipe import Recipe
from tests.support import tiny_model
from tests.support.gguf_file import run_job
from tests.support.llama import ADDED, ROWS, write_llama_folder
from tests.support.preflight_facts import judge
from tests.support.prepared import IM_END, PROMPT, recipe, row, rows
from tests.support.qwen import write
from tests.support.real_tokenizers import Run, judge_file, outcomes, read_rows, run, run_preflight

TITLES = (
    "【育休】3か月で見えた、お金と時間の話",
    "コーヒー☕を淹れる朝——3つの習慣、1つの後悔。",
    "𠮷野家で鮭定食を食べながら、退職を決めた日",
    "👨\u200d👩\u200d👧\u200d👦の家計簿をつけて1年、残った「¥1,024,000」",
    "　全角の空白で始まる題名",
    "ﾊﾝｶｸも、ＺＥＮＫＡＫＵも、①②③も",
    "「なぜ?」と聞かれて、まだ答えられない",
    "Pythonで作る iPhone 家計簿 v2.0 (無料)",
)
"""Hard ones: emoji, rare characters that SentencePiece writes byte by byte, widths, a leading space, two scripts."""

THINK, END_THINK, TWO_LINE_BREAKS = 151667, 151668, 271
BLOCK = [THINK, TWO_LINE_BREAKS, END_THINK, TWO_LINE_BREAKS]
"""The empty thinking block in Qwen3's vocabulary."""

LLAMA_PROMPT = {**PROMPT, "terminator": "</s>"}
KINDS = pytest.mark.parametrize("kind", ["qwen", "llama"])
BOS = 1


def settings(prompt: dict[str, Any]) -> Recipe:
    """Few prompts and little text: what is tried here are tokenizers."""
    small = {"generate": {"prompts": 6, "max_new_tokens": 2}, "parity": {"tokens": 256, "window_tokens": 64}}
    return recipe(prompt=prompt, **small)


@pytest.fixture
def chosen(kind: str, request: pytest.FixtureRequest) -> tuple[Any, dict[str, Any]]:
    """A tokenizer and the prompt of its family."""
    return request.getfixturevalue(kind), PROMPT if kind == "qwen" else LLAMA_PROMPT


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared rows, enough for a plan that the gates accept; the hard titles are among those held out."""
    folder = tmp_path_factory.mktemp("data")
    tiny_model.write_rows(folder / "train.jsonl", rows(800, "既知", 40))
    tiny_model.write_rows(folder / "validation.jsonl", rows(20, "検証", 20))
    tiny_model.write_rows(folder / "test.jsonl", [row(f"試験{at}", title) for at, title in enumerate(TITLES)])
    return folder


@pytest.fixture(scope="module")
def qwen_run(
    qwen_folder: Path, data: Path, vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory, pinned_gguf: None
) -> Run:
    """A tiny Qwen3 with the real tokenizer through the programs."""
    folder = tmp_path_factory.mktemp("qwen-run")
    base = Path(shutil.copytree(qwen_folder, folder / "base"))
    return run(folder, base, data, vendor_tree, settings(PROMPT))


@pytest.fixture(scope="module")
def llama_run(
    llama_folder: Path, data: Path, vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory, pinned_gguf: None
) -> Run:
    """A tiny Llama with the real tokenizer and TinyLlama's settings."""
    folder = tmp_path_factory.mktemp("llama-run")
    base = Path(shutil.copytree(llama_folder, folder / "base"))
    return run(folder, base, data, vendor_tree, settings(LLAMA_PROMPT))


@pytest.fixture(scope="module")
def added_run(data: Path, vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory, pinned_gguf: None) -> Run:
    """The same with four added tokens and an embedding that was resized to them."""
    folder = tmp_path_factory.mktemp("added-run")
    base = write_llama_folder(vendor_tree, folder / "base", ADDED, rows=ROWS + len(ADDED))
    return run(folder, base, data, vendor_tree, settings(LLAMA_PROMPT))


@KINDS
@pytest.mark.parametrize("title", TITLES)
def test_the_last_terminator_is_learned(chosen: tuple[Any, dict[str, Any]], title: str) -> None:
    """It is the last id of the sample, one token, and carries a label."""
    tokenizer, prompt = chosen
    ids, mask = rendering.sample_ids(tokenizer, prompt, row("猫", title))
    assert ([ids[-1]], mask[-1]) == (rendering.encode(tokenizer, prompt["terminator"]), 1)


@KINDS
@pytest.mark.parametrize("title", TITLES)
def test_exactly_the_answer_is_learned(chosen: tuple[Any, dict[str, Any]], title: str) -> None:
    """What carries a label decodes to title and terminator; the product's own checks find nothing in the sample."""
    tokenizer, prompt = chosen
    given = row("猫", title)
    ids, mask = rendering.sample_ids(tokenizer, prompt, given)
    assert tokenizer.decode([one for one, kept in zip(ids, mask, strict=True) if kept]) == title + prompt["terminator"]
    rules = sample_checks.Rules(prompt, ids[-1], special_texts(tokenizer), 512)
    findings, _ = sample_checks.check_samples(tokenizer, rules, [given])
    assert {fault: count for fault, count in findings.counts.items() if count} == {}


@KINDS
def test_inference_begins_with_the_ids_of_training(chosen: tuple[Any, dict[str, Any]]) -> None:
    """The published prompt's ids are the sample's unlabelled ids, for every row."""
    tokenizer, prompt = chosen
    given = [row("猫", title) for title in TITLES]
    prompts = parity_text.prompt_rows(tokenizer, prompt, [("unseen", one) for one in given])
    samples = [rendering.sample_ids(tokenizer, prompt, one) for one in given]
    assert [line["ids"] for line in prompts] == [ids[: mask.index(1)] for ids, mask in samples]


def test_the_empty_thinking_block_stands_in_the_prompt_alone(qwen: Any) -> None:
    """Four ids before the answer, the tags one token each, none with a label."""
    ids, mask = rendering.sample_ids(qwen, PROMPT, row("猫", TITLES[0]))
    first = mask.index(1)
    assert ids[first - len(BLOCK) : first] == BLOCK
    assert not {THINK, END_THINK}.intersection(ids[first:])


def test_an_answer_with_a_thinking_block_of_its_own_is_seen(qwen: Any) -> None:
    """Qwen3's template takes the block out of the answer and writes it another way: not what the row says."""
    given = row("猫", "<think>短く</think>猫と暮らす")
    rules = sample_checks.Rules(PROMPT, IM_END, special_texts(qwen), 512)
    findings, _ = sample_checks.check_samples(qwen, rules, [given])
    assert findings.counts["label_outside_answer"] == 1


def test_a_template_that_writes_the_beginning_writes_it_once(llama: Any) -> None:
    """The tokenizer would add its BOS to a text; to a rendered conversation nothing is added."""
    template = llama.chat_template
    llama.chat_template = "{{ bos_token }}" + template
    try:
        ids, _ = rendering.sample_ids(llama, LLAMA_PROMPT, row("猫", TITLES[0]))
        prefix = rendering.encode(llama, rendering.prompt_text(llama, LLAMA_PROMPT, {"theme": "猫"}))
    finally:
        llama.chat_template = template
    assert (ids.count(BOS), prefix.count(BOS), ids[0]) == (1, 1, BOS)


@pytest.mark.slow
def test_qwen_passes_the_gates_before_training(qwen_run: Run) -> None:
    """Only what this test made small is warned of."""
    assert outcomes(qwen_run.before_training()) == {
        ("preflight.prompts", "warned"),
        ("preflight.same-base", "not measured"),
    }


@pytest.mark.slow
def test_the_converter_knows_qwens_pre_tokenizer_by_itself(qwen_run: Run) -> None:
    """By its fingerprint, with the tokenizer class that the hub names."""
    found = json.loads((qwen_run.converted / "convert.json").read_text(encoding="utf-8"))
    assert found["pre_tokenizer"] == {"name": "qwen2", "source": "converter", "fingerprint": None}
    assert (found["architecture"], found["types"].keys()) == ("qwen3", {"F16", "F32"})


@pytest.mark.slow
def test_a_qwen_file_passes_every_gate_of_the_tokenizer(qwen_run: Run) -> None:
    """Ids, round trip, BOS, special tokens, template and sizes."""
    assert outcomes(qwen_run.of_the_file()) == set()


@pytest.mark.slow
def test_llama_cpp_reads_awkward_strings_as_qwen_does(qwen_run: Run) -> None:
    """But for texts outside form C, and for `</s>`, an ordinary token that llama.cpp takes for an end."""
    found = {line["text"]: line for line in read_rows(qwen_run.spoken / "tokens.jsonl")}
    differ = {line["text"] for line in qwen_run.rows("tokens.jsonl") if line["ids"] != found[line["text"]]["ids"]}
    (special,) = [text for text in AWKWARD if "</s>" in text]
    composed = {line["text"] for line in qwen_run.rows("tokens.jsonl") if line["nfc"]}
    assert differ & composed == {special}
    assert [text for text, line in found.items() if line.get("read_as_control")] == [special]


@pytest.mark.slow
def test_the_thinking_tags_are_tokens_of_the_file(qwen_run: Run) -> None:
    """llama.cpp reads the block of every prompt as training did."""
    found = {line["text"]: line["ids"] for line in read_rows(qwen_run.spoken / "tokens.jsonl")}
    assert {tuple(found[line["text"]][-len(BLOCK) :]) for line in qwen_run.rows("prompts.jsonl")} == {tuple(BLOCK)}


@pytest.mark.slow
def test_a_llama_passes_but_for_what_tinyllama_is_known_for(llama_run: Run) -> None:
    """Pad is the terminator, and the runtime adds a BOS that the template does not write."""
    assert outcomes(llama_run.before_training()) == {
        ("preflight.padding", "failed"),
        ("preflight.beginning", "warned"),
        ("preflight.prompts", "warned"),
        ("preflight.same-base", "not measured"),
    }


@pytest.mark.slow
def test_llama_cpp_reads_every_text_as_llama_does(llama_run: Run) -> None:
    """Leading spaces, text after `</s>`, bytes: no exception here, for SentencePiece normalizes nothing."""
    found = {line["text"]: line["ids"] for line in read_rows(llama_run.spoken / "tokens.jsonl")}
    assert {line["text"]: line["ids"] for line in llama_run.rows("tokens.jsonl")} == found


@pytest.mark.slow
def test_a_llama_file_passes_with_one_beginning(llama_run: Run) -> None:
    """The runtime adds one BOS to a prompt that has none: told, not two of them."""
    assert outcomes(llama_run.of_the_file()) == {("tokenizer.bos", "warned")}
    assert [one.value for one in llama_run.of_the_file() if one.gate == "tokenizer.bos"] == [1]


@pytest.mark.slow
@KINDS
def test_ollamas_template_gives_the_ids_of_the_chat_template(kind: str, request: pytest.FixtureRequest) -> None:
    """One turn and several, with a system message and without: Hugging Face's ids, and llama.cpp's of Ollama's text."""
    whole: Run = request.getfixturevalue(f"{kind}_run")
    (verdict,) = [one for one in whole.of_the_file() if one.gate == "tokenizer.modelfile"]
    assert (verdict.outcome, verdict.value) == ("passed", 0)
    assert verdict.evidence[0] == "6 conversations"


@pytest.mark.slow
@KINDS
def test_the_vocabulary_alone_tells_what_the_whole_file_tells(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Before any training, from the vocabulary that preflight converted: the same ids, texts and stop tokens."""
    whole: Run = request.getfixturevalue(f"{kind}_run")
    inputs = {"gguf": whole.preflight, "prompts": whole.preflight}
    code, events, output = run_job(tmp_path / "job", "tokenize_gguf", {}, inputs)
    assert code == 0, events[-1]
    assert (output / "tokens.jsonl").read_bytes() == (whole.spoken / "tokens.jsonl").read_bytes()
    early, late = (json.loads((folder / "metadata.json").read_bytes()) for folder in (output, whole.spoken))
    named = {"name", "file_type"}  # those of the model, which is not there yet
    assert {key: early[key] for key in early if key not in named} == {
        key: late[key] for key in late if key not in named
    }


def test_two_beginnings_are_seen(llama_run: Run, llama: Any, tmp_path: Path) -> None:
    """Mutation: the template writes the BOS, and the file still has the runtime add one."""
    prompts = [{**line, "text": f"<s>{line['text']}"} for line in llama_run.rows("prompts.jsonl")]
    shutil.copy(llama_run.preflight / "preflight.json", tmp_path)
    tiny_model.write_rows(tmp_path / "tokens.jsonl", parity_text.token_rows(llama, prompts))
    found = judge_file(tmp_path, llama_run.spoken, llama_run.recipe)
    assert ("tokenizer.bos", "failed") in outcomes(found)


@pytest.mark.slow
def test_what_transformers_makes_of_tokenizer_model_alone_is_seen(
    llama_run: Run, llama_folder: Path, tmp_path: Path
) -> None:
    """Mutation: no tokenizer.json. transformers 5 then treats spaces otherwise than llama.cpp; the gate says so."""
    from pipeline.inside.tokenizer_loading import load_tokenizer

    alone = Path(shutil.copytree(llama_folder, tmp_path / "base"))
    (alone / "tokenizer.json").unlink()
    lines = parity_text.token_rows(load_tokenizer(alone), llama_run.rows("prompts.jsonl"))
    shutil.copy(llama_run.preflight / "preflight.json", tmp_path)
    tiny_model.write_rows(tmp_path / "tokens.jsonl", lines)
    assert ("tokenizer.ids", "failed") in outcomes(judge_file(tmp_path, llama_run.spoken, llama_run.recipe))


@pytest.mark.slow
def test_added_tokens_with_a_resized_embedding_pass(added_run: Run) -> None:
    """32,004 rows for 32,004 tokens, a pad of its own; llama.cpp reads the new tokens as tokens."""
    unsure = {("preflight.prompts", "warned"), ("preflight.same-base", "not measured")}
    markers = ("preflight.response-marker", "not measured")  # never a failure of a sound template
    assert outcomes(added_run.before_training()) == {*unsure, ("preflight.beginning", "warned"), markers}
    assert outcomes(added_run.of_the_file()) == {("tokenizer.bos", "warned")}


@pytest.mark.slow
def test_added_tokens_are_one_id_each_in_the_file(added_run: Run) -> None:
    """Every prompt opens with `<|system|>`, the first of them."""
    texts = {line["text"] for line in added_run.rows("prompts.jsonl")}
    found = [line["ids"][0] for line in read_rows(added_run.spoken / "tokens.jsonl") if line["text"] in texts]
    assert set(found) == {ROWS}


@pytest.mark.slow
def test_added_tokens_without_rows_are_seen(data: Path, vendor_tree: Path, tmp_path: Path, pinned_gguf: None) -> None:
    """Mutation, seed 003: 32,000 rows, 32,004 tokens."""
    base = write_llama_folder(vendor_tree, tmp_path / "base", ADDED, rows=ROWS)
    given = settings(LLAMA_PROMPT)
    found = judge(run_preflight(tmp_path / "job", base, data, vendor_tree, given), given)
    assert ("preflight.embedding-rows", "failed") in outcomes(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "told"),
    [("only in tokenizer.json", "does not find 4 added tokens"), ("no tokenizer.model", "finds no scores")],
)
def test_what_the_converter_would_lose_is_seen(
    added_run: Run, data: Path, vendor_tree: Path, tmp_path: Path, fault: str, told: str
) -> None:
    """Mutations, folders as transformers 5 saves them: the converter takes both and writes another tokenizer."""
    base = Path(shutil.copytree(added_run.base, tmp_path / "base"))
    if fault == "no tokenizer.model":
        (base / "tokenizer.model").unlink()
    else:
        config = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
        del config["added_tokens_decoder"]
        write(base / "tokenizer_config.json", config)
    found = judge(run_preflight(tmp_path / "job", base, data, vendor_tree, added_run.recipe), added_run.recipe)
    (verdict,) = [one for one in found if one.gate == "preflight.converter"]
    assert (verdict.outcome, told in verdict.cause) == ("failed", True)
