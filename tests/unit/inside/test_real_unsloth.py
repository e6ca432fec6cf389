"""The real Unsloth without a card, in an environment of its own: what program `train_unsloth` needs of it is so.

One process asks everything (`tests/support/real_unsloth.py`), because Unsloth wants to be imported first, and takes its
time. It comes as far as the first forward pass, whose kernels want a card: what a training does after that, a stand-in
with the same parameters shows (`test_train_unsloth.py`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline import environments
from pipeline.inside.job import FAILED_EXIT_CODE
from pipeline.loading import load_recipe
from tests.support import tiny_model
from tests.support.prepared import row
from tests.support.real_tokenizers import write_weights
from tests.support.stand_ins import parameters_of_unsloth

PROGRAM = Path(__file__).parents[2] / "support" / "real_unsloth.py"
TITLES = (
    "朝の散歩",
    "【就職倍率100倍の公務員を辞めた】安定を捨てた20代の挫折と好転",
    "コーヒー☕を淹れる朝——3つの習慣",
    "猫",
)
ROWS = [row(f"題{number}", title) for number, title in enumerate(TITLES)]

pytestmark = pytest.mark.slow


def interpreter() -> Path:
    """Return the interpreter beside Unsloth. Without it: a failure in CI, which makes it, a skip elsewhere."""
    environment = environments.ROOT / "unsloth-cpu"
    if not environments.is_ready("unsloth-cpu"):
        reason = "there is no environment unsloth-cpu: python -m pipeline.environments unsloth-cpu"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return environment / "bin" / "python"


def variables(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process beside Unsloth, which must find its own folders writable."""
    return {**os.environ, "HOME": str(folder), "PYTHONPATH": str(tiny_model.PACKAGE.parent), **more}


def table_of_noteai() -> dict[str, Any]:
    """Return `[train]` of recipe noteai-title, as its stage gives it to the program."""
    return load_recipe("noteai-title").train.model_dump(mode="json")


@pytest.fixture(scope="module")
def prompt() -> dict[str, Any]:
    """`[prompt]` of recipe noteai-title."""
    return load_recipe("noteai-title").prompt.model_dump(mode="json")


@pytest.fixture(scope="module")
def base(qwen_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3 with Qwen's real tokenizer and template."""
    folder = Path(shutil.copytree(qwen_folder, tmp_path_factory.mktemp("qwen") / "base"))
    write_weights(folder)
    return folder


@pytest.fixture(scope="module")
def samples(base: Path, prompt: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    """Four rows of different lengths as the training gets them."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer = load_tokenizer(base)
    return [rendering.sample_ids(tokenizer, prompt, one) for one in ROWS]


def asked_of_responses_only(base: Path, prompt: dict[str, Any], ids: list[list[int]]) -> dict[str, Any]:
    """Return what `train_on_responses_only` is to be asked: the markers that preflight reads from the template."""
    from pipeline.inside import rendering, turn_markers
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer = load_tokenizer(base)
    markers = turn_markers.find_markers(tokenizer, prompt, rendering.encode(tokenizer, prompt["terminator"])[-1])
    texts = markers.to_json(tokenizer)
    return {"base": str(base), "markers": [texts["instruction"], texts["response"]], "ids": ids}


@pytest.fixture(scope="module")
def found(base: Path, prompt: dict[str, Any], samples: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the real Unsloth answered: the recipe's own table, and one in 16 bits with another adapter, short rows.

    Memory that a card reads over its bus cannot be reserved without one; Unsloth has a variable to do without.
    """
    python, folder = interpreter(), tmp_path_factory.mktemp("unsloth")
    sixteen = {**table_of_noteai(), "load_in_4bit": False, "max_seq_tokens": 128, "lora": tiny_model.TRAIN["lora"]}
    request = {
        "folder": str(folder),
        "base": str(base),
        "prompt": prompt,
        "rows": ROWS,
        "tables": {"noteai": table_of_noteai(), "sixteen": sixteen},
        "responses_only": [asked_of_responses_only(base, prompt, [ids for ids, _ in samples])],
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    process = subprocess.run(
        [python, "-P", PROGRAM, folder / "request.json"],
        capture_output=True,
        text=True,
        check=False,
        env=variables(folder, UNSLOTH_ALLOW_CPU="1", UNSLOTH_DISABLE_PINNED_MEMORY="1"),
        cwd=folder,
    )
    line = next((line for line in process.stdout.splitlines() if line.startswith("FOUND ")), None)
    assert line is not None, process.stderr[-8000:]
    answers: dict[str, Any] = json.loads(line.removeprefix("FOUND "))
    return answers


@pytest.mark.parametrize("name", ["from_pretrained", "get_peft_model", "for_training"])
def test_it_has_the_parameters_of_the_stand_in(found: dict[str, Any], name: str) -> None:
    """And so those that the program uses: the stand-in knows no others."""
    assert parameters_of_unsloth(name) <= set(found["parameters"][name])


def test_train_on_responses_only_labels_the_same_tokens(found: dict[str, Any], samples: Any) -> None:
    """Told the markers that preflight finds, it labels what our own samples label, thinking switched off."""
    from pipeline.inside import unsloth_training

    assert found["responses_only"] == [[one["labels"] for one in unsloth_training.labelled(samples)]]


def test_it_loads_the_folder_in_4_bits(found: dict[str, Any]) -> None:
    """The seven projections of the one layer lie packed by bitsandbytes; the model is Qwen3 with Unsloth's forward."""
    training = found["trainings"]["noteai"]
    assert (training["class"], training["packed"]) == ("Qwen3ForCausalLM", 7)
    assert training["patched"].startswith("unsloth.")
    assert "torch.uint8" in training["kinds"]


def test_16_bits_in_place_of_4_are_refused(found: dict[str, Any]) -> None:
    """Where bitsandbytes cannot be used it prints a line and loads 16 bits; our program does not go on with these."""
    assert found["refused"] == "Unsloth has loaded the weights in 16 bits, where the recipe asks for 4."


def test_it_loads_the_folder_in_16_bits(found: dict[str, Any]) -> None:
    """Nothing is packed where the recipe does not say so."""
    training = found["trainings"]["sixteen"]
    assert (training["packed"], "torch.bfloat16" in training["kinds"]) == (0, True)


@pytest.mark.parametrize("name", ["noteai", "sixteen"])
def test_it_makes_the_adapter_of_the_recipe(found: dict[str, Any], name: str) -> None:
    """Rank, alpha, dropout, rsLoRA and projections: those of noteai-title, and others."""
    lora = (table_of_noteai() if name == "noteai" else tiny_model.TRAIN)["lora"]
    training = found["trainings"][name]
    wanted = {"r": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout", "use_rslora": "rslora"}
    assert training["adapter"] == {key: lora[ours] for key, ours in wanted.items()}
    assert training["targets"] == sorted(lora["targets"])


def test_the_trainer_has_the_settings_of_the_recipe(found: dict[str, Any]) -> None:
    """After Unsloth has replaced what it replaces: bfloat16, 8-bit AdamW, the recipe's batch."""
    arguments = found["trainings"]["noteai"]["arguments"]
    assert arguments["bf16"] == "True"
    assert arguments["optim"].rpartition(".")[2].lower() in {"adamw_bnb_8bit", "adamw_8bit"}
    assert arguments["per_device_train_batch_size"] == "2"


def test_its_own_checkpointing_is_for_512_tokens_and_more(found: dict[str, Any]) -> None:
    """The recipe has 512. For shorter rows Unsloth takes torch's own, whatever it is asked."""
    kinds = {name: training["checkpointing"] for name, training in found["trainings"].items()}
    assert kinds == {"noteai": "UnslothCheckpointFunction", "sixteen": "CheckpointFunction"}


@pytest.mark.parametrize("name", ["noteai", "sixteen"])
def test_both_trainers_make_the_same_batch(
    found: dict[str, Any], base: Path, samples: Any, tmp_path: Path, name: str
) -> None:
    """Ids, mask and labels of the same rows: beside Unsloth, and by TRL's own collator in program `train`."""
    from pipeline.inside import fine_tuning, weights
    from pipeline.inside.tokenizer_loading import load_tokenizer

    both = {"train": samples, "validation": samples}
    trainer, _ = fine_tuning.build(
        weights.load_model(base, "auto"), load_tokenizer(base), both, tiny_model.TRAIN, tmp_path, resumed=False
    )
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(len(ROWS))])
    assert found["trainings"][name]["batch"] == {key: value.tolist() for key, value in batch.items()}


@pytest.mark.parametrize("name", ["noteai", "sixteen"])
def test_the_first_forward_pass_wants_a_card(found: dict[str, Any], name: str) -> None:
    """Here it ends without one: in the forward pass of Unsloth's own model, and not before."""
    stopped = found["trainings"][name]["stopped"]
    assert stopped == {"error": "AssertionError: Torch not compiled with CUDA enabled", "forward": "True"}


def test_without_a_card_the_job_says_what_it_needs(base: Path, tmp_path: Path) -> None:
    """The real one refuses unless told otherwise, and the job turns that into words: image, reason, another trainer."""
    python = interpreter()
    data = tiny_model.write_data(tmp_path / "data")
    parameters = {"train": table_of_noteai(), "prompt": tiny_model.PROMPT, "base": {}}
    request = tiny_model.write_request(tmp_path / "job", "train_unsloth", parameters, {"base": base, "data": data})
    given = variables(tmp_path)
    given.pop("UNSLOTH_ALLOW_CPU", None)
    command = [str(python), "-m", "inside", str(request)]
    process = subprocess.run(command, cwd=tiny_model.PACKAGE, env=given, capture_output=True, text=True, check=False)
    assert process.returncode == FAILED_EXIT_CODE, process.stderr[-8000:]
    told = json.loads(process.stderr.splitlines()[-1])
    assert 'trainer = "unsloth" needs the training image' in told["what"]
    assert "cannot find any torch accelerator" in told["what"]
    assert 'trainer = "trl"' in told["advice"]
