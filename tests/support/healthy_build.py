"""What every stage of a small healthy build publishes, made by hand, and how gates are run over it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.gates.verdict import Evidence, Gate, Verdict
from pipeline.inside.conversations import CONVERSATIONS
from pipeline.recipe import Recipe

Row = dict[str, Any]

_WORDS = """
節約 副業 転職 子育て 読書 料理 写真 登山 英会話 投資 睡眠 筋トレ 片付け 旅行 釣り 園芸 手帳 朝活 断捨離 家計簿
自炊 猫 犬 将棋 編み物 珈琲 温泉 キャンプ 自転車 盆栽 茶道 書道 落語 映画 音楽 ピアノ 水泳 ヨガ 瞑想 日記
俳句 陶芸 発酵 弁当 和菓子 洗濯 掃除 引越し 保険 年金 確定申告 起業 面接 履歴書 在宅勤務 時間管理 会議
資料作成 プログラミング 地図 天体観測 鉄道 飛行機 城巡り
"""
THEMES = tuple(_WORDS.split())
"""64 inputs: 48 unseen ones, then 16 seen ones."""
SHAPES = (
    "{}を1年続けてわかった5つのこと",
    "【初心者向け】{}の始め方と、私が失敗した話",
    "なぜ{}は三日坊主になるのか？",
    "{}がくれた、静かな朝の時間",
    "もう迷わない！{}で大切なたった1つの習慣",
    "30代から始める{}入門——お金をかけずに楽しむコツ",
    "{}をやめたら、人生が少し軽くなった……",
)
TEMPLATE = "{% for message in messages %}<|im_start|>…{% endfor %}"
VALIDATION = [3.0 + 2.0 * math.exp(-step / 20) - 1.2 * (step / 65) for step in range(5, 66, 5)]


def recipe(gates: Mapping[str, Any] | None = None, **sections: Any) -> Recipe:
    """A recipe with default settings but for the given limits and sections."""
    return Recipe.model_validate(
        {
            "name": "test",
            "description": "titles, for tests",
            "base": {"source": "seedling"},
            "data": {"source": "seedling"},
            "prompt": {
                "system": "あなたは人気記事タイトルを生成する専門AIです。",
                "user": "「{theme}」に関する記事タイトルを1つ生成してください。",
            },
            "gates": dict(gates or {}),
            **sections,
        }
    )


def history() -> Row:
    """A run of 65 steps whose losses fall and level off."""
    train = [
        {
            "step": step,
            "loss": 2.9 + 2.1 * math.exp(-step / 20) - 1.2 * (step / 65) + 0.05 * math.sin(step),
            "learning_rate": 2e-4,
            "grad_norm": 1.0,
        }
        for step in range(1, 66)
    ]
    return {
        "train": train,
        "evaluations": [{"step": 5 * at, "loss": loss} for at, loss in enumerate(VALIDATION, start=1)],
        "initial_validation_loss": 5.1,
        "best_step": 65,
        "best_validation_loss": VALIDATION[-1],
        "stopped_early": False,
        "early_stopping_armed": True,
        "best_restored": True,
        "steps": 65,
        "planned_steps": 65,
        "trainable_parameters": 460_000,
        "all_parameters": 4_060_000,
    }


def with_validation(losses: Sequence[float], *, restored: bool = True, **changes: Any) -> Row:
    """The healthy history with other validation losses, one every five steps, and the training loss falling."""
    steps = 5 * len(losses)
    best = min(losses)
    return {
        **history(),
        "train": [
            {"step": step, "loss": 3.0 - 1.5 * step / steps, "learning_rate": 2e-4, "grad_norm": 1.0}
            for step in range(1, steps + 1)
        ],
        "evaluations": [{"step": 5 * at, "loss": loss} for at, loss in enumerate(losses, start=1)],
        "best_step": 5 * (list(losses).index(best) + 1),
        "best_validation_loss": best,
        "best_restored": restored,
        "steps": steps,
        "planned_steps": steps,
        **changes,
    }


def prompts() -> list[Row]:
    """64 prompts with their reference titles."""
    return [
        {
            "id": f"{at:016x}",
            "kind": "unseen" if at < 48 else "seen",
            "input": {"theme": theme},
            "text": f"<|im_start|>user\n「{theme}」に関する題名<|im_end|>\n<|im_start|>assistant\n",
            "ids": [1, 2, 3, at],
            "reference": title(theme, at + 1),
        }
        for at, theme in enumerate(THEMES)
    ]


def title(theme: str, shape: int) -> str:
    """A title of one of the seven shapes."""
    return SHAPES[shape % len(SHAPES)].format(theme)


def answer(prompt: Row, mode: str, text: str, *, stopped: str = "terminator") -> Row:
    """One row of generations.jsonl."""
    return {
        "id": prompt["id"],
        "kind": prompt["kind"],
        "mode": mode,
        "prompt_tokens": len(prompt["ids"]),
        "text": text,
        "ids": [7, 8, 9],
        "stopped": stopped,
        "leftover_special": False,
    }


def tuned_answers() -> list[Row]:
    """What a healthy form answers: a title on the theme, greedy and sampled."""
    return [
        answer(prompt, mode, title(prompt["input"]["theme"], at + shift))
        for at, prompt in enumerate(prompts())
        for mode, shift in (("greedy", 0), ("sample", 3))
    ]


def base_answers() -> list[Row]:
    """What an untuned base answers: a sentence that looks away from the task."""
    return [
        answer(prompt, mode, f"それについては、まず{number}ページの説明を最後まで読んでから考えてみましょう。")
        for number, prompt in enumerate(prompts())
        for mode in ("greedy", "sample")
    ]


def forward(loss: float = 2.0) -> Row:
    """forward.json of a form whose numbers are all finite."""
    lengths = {
        name: {"tokens": tokens, "non_finite": 0, "generated": 8}
        for name, tokens in (("prompt_63", 63), ("prompt_64", 64), ("prompt_512", 520))
    }
    batch = {"batch": 4, "positions": 80, "max_logit_difference": 1e-5, "argmax_agreement": 1.0}
    return {
        "positions": 8192,
        "vocabulary": 1664,
        "non_finite": 0,
        "mean_nll": loss,
        "neutral": {"positions": 2048, "vocabulary": 1664, "non_finite": 0, "mean_nll": loss},
        "checks": {**lengths, "batch_1_vs_4": batch},
    }


def pair(reference: str, candidate: str, kl: float, top1: float, ratio: float) -> Row:
    """One pair of comparison.json."""
    return {
        "reference": reference,
        "candidate": candidate,
        "positions": 8192,
        "non_finite_positions": 0,
        "mean_kl": kl,
        "p99_kl": 8 * kl,
        "top1_agreement": top1,
        "max_abs_logit_difference": 0.002,
        "perplexity_reference": 7.0,
        "perplexity_candidate": 7.0 * ratio,
        "perplexity_ratio": ratio,
    }


def comparison() -> Row:
    """comparison.json of a healthy build."""
    return {
        "pairs": [
            pair("verify-hf", "verify-merged", 1e-9, 1.0, 1.0),
            pair("verify-merged", "verify-f16", 1e-7, 1.0, 1.0),
            pair("verify-f16", "verify-quant-Q4_K_M", 0.02, 0.94, 1.01),
        ]
    }


def evaluation() -> Row:
    """evaluation.json with one metric that is better, one without a better direction, one that is not measured."""
    forms = ["verify-base", "verify-hf", "verify-merged", "verify-f16", "verify-quant-Q4_K_M"]
    later = [form for form in forms if form not in ("verify-base", "verify-hf")]
    pairs = [("verify-base", form) for form in forms[1:]] + [("verify-hf", form) for form in later]

    def metric(unit: str, better: str, base: float | None, tuned: float | None, verdict: str | None) -> Row:
        reason = None if base is not None else "the recipe's language is not Japanese (clean.language)"
        values = {form: {"value": base if form == "verify-base" else tuned, "reason": reason} for form in forms}
        differences = []
        for against, form in pairs:
            gain = None if base is None or tuned is None else tuned - base if against == "verify-base" else 0.0
            low, high = (None, None) if gain is None else (gain - 1.5, gain + 1.5)
            words = verdict if against == "verify-base" else "no difference shown"
            found = {"difference": gain, "low": low, "high": high, "pairs": None if gain is None else 48}
            words = None if gain is None else words
            differences.append({"against": against, "form": form, **found, "verdict": words, "reason": reason})
        return {"unit": unit, "better": better, "values": values, "differences": differences}

    return {
        "prompts": 48,
        "forms": forms,
        "order": ["bleu", "length", "keigo"],
        "intervals": {"level": 0.95, "resamples": 2000, "seed": 0, "least_pairs": 30},
        "words": "sudachipy-0.7.0-small-20261015-A",
        "signatures": {"bleu": "nrefs:1|case:mixed", "chrf": "nrefs:1|nc:6"},
        "texts": {
            "held_out": {"of": "held-out rows", "windows": 40, "tokens": 1600},
            "neutral": {"of": "built-in", "windows": 32, "tokens": 2048},
        },
        "scorer": None,
        "seeds": {"trainings": [42], "least": 3, "metrics": {}},
        "metrics": {
            "bleu": metric("0 to 100", "higher", 4.5, 21.25, "better (one training)"),
            "length": metric("characters", "neither", 30.0, 21.0, "different, nearer to the references"),
            "keigo": metric("share of words", "neither", None, None, None),
        },
    }


def evaluated_answers() -> list[Row]:
    """answers.jsonl of it."""
    spoken = {"text": "題名", "stopped": "terminator", "scores": {}}
    forms = dict.fromkeys(evaluation()["forms"], spoken)
    unseen = [prompt for prompt in prompts() if prompt["kind"] == "unseen"]
    return [{**{key: one[key] for key in ("id", "input", "reference")}, "forms": forms} for one in unseen]


def judged() -> Row:
    """judge.json of a judge that agrees with itself and prefers the tuned form, and finds no difference in the file."""

    def share(value: float, low: float, high: float, of: int, **more: Any) -> Row:
        return {"value": value, "low": low, "high": high, "of": of, "reason": None, **more}

    def pair(against: str, form: str, wins: int, losses: int, rate: Row) -> Row:
        return {
            "against": against,
            "form": form,
            "prompts": 48,
            "wins": wins,
            "losses": losses,
            "ties": 48 - wins - losses,
            "same_answers": 0,
            "contradictions": 5,
            "unread_prompts": 0,
            "verdicts": 96,
            "unread_share": 0.0,
            "unread_verdicts": {},
            "win_rate": rate,
            "agreement": share(0.895833, 0.778343, 0.954669, 48),
            "first_position": share(0.51, 0.46, 0.56, 40),
            "longer_answer": {"reason": "no prompt was won between answers of different length"},
        }

    return {
        "model": "judge-1",
        "answered_by": ["judge-1"],
        "instructions": "…",
        "settings": {"answer_format": "json_schema", "temperature": 0.0},
        "prompts": 48,
        "pairs": [
            pair("verify-base", "verify-hf", 35, 5, share(0.8125, 0.71, 0.89, 48, verdict="better (one training)")),
            pair("verify-hf", "verify-quant-Q4_K_M", 7, 9, share(0.479, 0.39, 0.57, 48, verdict="no difference shown")),
        ],
        "requests": 192,
        "tokens": {"prompt": 96_000, "completion": 9_600, "reason": None},
        "cost": {"value": 0.336, "currency": "USD", "reason": None},
    }


def merge_report() -> Row:
    """merge.json of a merge that changed its target and nothing else."""
    tensors = [
        {
            "name": "model.layers.0.self_attn.q_proj.weight",
            "changed": True,
            "target": True,
            "finite": True,
            "max_abs": 1.5,
        },
        {"name": "model.norm.weight", "changed": False, "target": False, "finite": True, "max_abs": 1.0},
    ]
    empty: dict[str, list[str]] = {
        name: []
        for name in ("unchanged_targets", "changed_others", "missing", "added", "non_finite", "adapter_files_left")
    }
    return {
        **empty,
        "tensors": tensors,
        "max_abs": 1.5,
        "embedding_rows": 1664,
        "tokenizer_size": 1660,
        "dtype": "float32",
    }


def preflight_facts() -> Row:
    """The part of preflight.json that GGUF files are held against."""
    return {
        "eos_id": 5,
        "bos_id": None,
        "pad_id": 0,
        "terminator": {"ids": [5]},
        "vocabulary": {"tokenizer": 1660, "embedding": 1664, "output": 1664, "config": 1664},
        "chat_template_sha256": hashlib.sha256(TEMPLATE.encode()).hexdigest(),
        "context_tokens": 1024,
    }


def metadata() -> Row:
    """metadata.json of a file that agrees with it."""
    return {
        "name": "test",
        "eos_id": 5,
        "bos_id": 0,
        "pad_id": 0,
        "adds_bos": False,
        "stop_ids": [0, 5],
        "tokenizer": "gpt2",
        "vocabulary": 1664,
        "context_length": 1024,
        "chat_template": TEMPLATE,
    }


def token_rows() -> list[Row]:
    """tokens.jsonl of preflight."""
    rows = [{"kind": "prompt", "text": row["text"], "ids": row["ids"], "nfc": True} for row in prompts()]
    awkward = [{"kind": "awkward", "text": "\n\n", "ids": [11], "nfc": True}]
    spoken = [{"kind": "conversation", "text": row["text"], "ids": row["ids"], "nfc": True} for row in conversations()]
    return [*awkward, {"kind": "awkward", "text": "か\u3099", "ids": [12], "nfc": False}, *rows, *spoken]


def conversations() -> list[Row]:
    """conversations.jsonl of preflight: ChatML, each text with ids of its own."""
    rows = []
    for name, turns in CONVERSATIONS.items():
        for opening in (True, False) if turns[-1]["role"] == "user" else (False,):
            text = "".join(f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in turns)
            text += "<|im_start|>assistant\n" if opening else ""
            rows.append({"name": name, "messages": list(turns), "opening": opening, "text": text})
    return [{**row, "ids": [5000 + at]} for at, row in enumerate(rows)]


def file_token_rows() -> list[Row]:
    """tokens.jsonl of a GGUF file that agrees."""
    return [{"text": row["text"], "ids": row["ids"], "round_trip": True} for row in token_rows()]


def blocks() -> Row:
    """blocks.json of a quantized file that holds the weights of its source."""
    types = {"Q4_K": {"blocks": 12_000, "largest_error": 0.2141}, "Q6_K": {"blocks": 4_000, "largest_error": 0.0412}}
    return {"types": types, "blocks": 16_000, "damaged": 0, "examples": []}


def funnel() -> Row:
    """funnel.json of 1,600 rows."""
    return {
        "rows_in": 1600,
        "kept": 1120,
        "dropped": 480,
        "reasons": {"tag-list": 352, "exact-duplicate": 60, "near-duplicate": 36, "broken-json": 32},
        "splits": {"train": 896, "validation": 112, "test": 112},
        "files": {"rows.jsonl": 1600},
    }


def write_json(path: Path, value: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_form(folder: Path, answers: Iterable[Row], loss: float = 2.0) -> None:
    """Write what a verify stage publishes for any form."""
    write_rows(folder / "generations.jsonl", answers)
    write_json(folder / "forward.json", forward(loss))


def trained_row(number: int) -> Row:
    """One row of train.jsonl."""
    return {"id": f"t{number}", "input": {"theme": f"焚き火{number}"}, "output": title("焚き火", number)}


def write_build(root: Path) -> dict[str, Path]:
    """Write the small files of every stage; return stage → folder, in the order of the work."""
    write_json(
        root / "fetch-data/source.json", {"files": [{"name": "rows.jsonl", "sha256": "a" * 64}], "licence": "CC0-1.0"}
    )
    write_json(root / "prepare/funnel.json", funnel())
    write_rows(root / "prepare/train.jsonl", [trained_row(shape) for shape in range(7)])
    write_rows(root / "prepare/validation.jsonl", [{"id": "v", "input": {"theme": "薪"}, "output": "薪の話"}])
    write_json(root / "preflight/preflight.json", preflight_facts())
    write_rows(root / "preflight/prompts.jsonl", prompts())
    write_rows(root / "preflight/tokens.jsonl", token_rows())
    write_rows(root / "preflight/conversations.jsonl", conversations())
    write_form(root / "verify-base", base_answers(), loss=3.1)
    write_json(root / "train/history.json", history())
    (root / "train/adapter").mkdir()
    (root / "train/adapter/adapter_model.safetensors").write_bytes(b"a" * 1840)
    write_json(root / "merge/merge.json", merge_report())
    (root / "merge/model").mkdir()
    (root / "merge/model/model.safetensors").write_bytes(b"m" * 14_000)
    (root / "convert").mkdir()
    (root / "convert/model-f16.gguf").write_bytes(b"f" * 7_000)
    (root / "quantize-Q4_K_M").mkdir()
    (root / "quantize-Q4_K_M/model-Q4_K_M.gguf").write_bytes(b"q" * 2_500)
    for form in ("verify-hf", "verify-merged", "verify-f16", "verify-quant-Q4_K_M"):
        write_form(root / form, tuned_answers())
    for form in ("verify-tokenizer", "verify-f16", "verify-quant-Q4_K_M"):
        write_rows(root / form / "tokens.jsonl", file_token_rows())
        write_json(root / form / "metadata.json", metadata())
    write_json(root / "verify-quant-Q4_K_M/blocks.json", blocks())
    write_json(root / "compare/comparison.json", comparison())
    write_json(root / "evaluate-base/baseline.json", evaluation())
    write_json(root / "evaluate/evaluation.json", evaluation())
    write_rows(root / "evaluate/answers.jsonl", evaluated_answers())
    write_json(root / "judge/judge.json", judged())
    order = (
        "fetch-data",
        "prepare",
        "preflight",
        "verify-tokenizer",
        "verify-base",
        "evaluate-base",
        "train",
        "verify-hf",
        "merge",
        "verify-merged",
        "convert",
    )
    last = ("verify-f16", "quantize-Q4_K_M", "verify-quant-Q4_K_M", "compare", "evaluate", "judge")
    return {stage: root / stage for stage in (*order, *last)}


def judge(
    gates: Iterable[Gate], folder: Path, inputs: Mapping[str, Path], with_recipe: Recipe
) -> dict[str, list[Verdict]]:
    """The verdicts of some gates, by gate name."""
    found: dict[str, list[Verdict]] = {}
    for gate in gates:
        for verdict in gate(Evidence(folder, inputs, with_recipe)):
            found.setdefault(verdict.gate, []).append(verdict)
    return found


def outcomes(found: Mapping[str, Sequence[Verdict]]) -> dict[str, set[str]]:
    """The outcomes of each gate that has another one than `passed`."""
    named = {gate: {str(verdict.outcome) for verdict in verdicts} - {"passed"} for gate, verdicts in found.items()}
    return {gate: others for gate, others in named.items() if others}
