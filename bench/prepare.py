"""How fast, how lean and how complete is `prepare`? Run it with the training environment's interpreter.

    python -m bench.prepare 10000 100000 1000000 [--json FILE] [--threads 2]

Makes titles from a seeded generator, plants tag lists, exact and near duplicates, and prints for each
size: the near-duplicate step alone (rows/s, recall of planted pairs, removals that an exact comparison
does not confirm), and the whole stage (rows/s, peak memory). Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.preparation import table_of
from pipeline.inside import prepare
from pipeline.inside.data.characters import from_strings
from pipeline.inside.data.folding import fold
from pipeline.inside.data.near_duplicates import find_near_duplicates
from pipeline.inside.job import Job

THRESHOLD = 0.6
SEED = 20260101
WARM_UP = 100
TAG_JOINED = "｜"
NEAR_SHARE, EXACT_SHARE, TAG_SHARE = 0.05, 0.05, 0.10
HIRAGANA = "".join(chr(code) for code in range(0x3042, 0x3094))
ENDINGS = (
    "した話",
    "する方法",
    "の始め方",
    "がつらい理由",
    "を続けてみた",
    "で変わったこと",
    "について考える",
    "のすすめ",
    "を手放した日",
    "と暮らす",
)
OPENINGS = ("", "", "", "", "【体験談】", "【保存版】", "なぜ", "はじめての", "30代からの", "私が")
_FLATTEN = 3.0
"""Zipf's law flattened at the top (Mandelbrot): the commonest word is 3.3 % of all, as の is in Japanese."""
PARAMETERS: dict[str, Any] = {
    "columns": {"input": ["theme"], "output": "title", "category": "category", "group": None},
    "clean": {
        "min_chars": 4,
        "max_chars": 120,
        "language": "ja",
        "drop_tag_lists": True,
        "drop_duplicates": True,
        "near_duplicate_jaccard": THRESHOLD,
        "duplicate_key": "output",
    },
    "split": {"train": 0.8, "validation": 0.1, "test": 0.1, "seed": 42},
    "data": {"source": "files"},
}


def words(chance: random.Random) -> list[str]:
    """Return a made-up vocabulary with the lengths of Japanese words; frequent ones come first."""
    han = [chr(chance.randrange(0x4E00, 0x8FFF)) for _ in range(1800)]
    found = {"".join(chance.choices(han, k=chance.choice((1, 2, 2, 2, 3)))) for _ in range(18_000)}
    found |= {"".join(chance.choices(HIRAGANA, k=chance.choice((1, 2, 3, 4)))) for _ in range(2_000)}
    ordered = sorted(found)
    chance.shuffle(ordered)
    return ordered


def title(chance: random.Random, vocabulary: list[str]) -> str:
    """Return one title of about 28 characters; word frequencies fall as in real text."""
    size = len(vocabulary) / _FLATTEN
    middle = "".join(vocabulary[int(_FLATTEN * (size ** chance.random() - 1))] for _ in range(chance.randint(8, 14)))
    return chance.choice(OPENINGS) + middle + chance.choice(ENDINGS)


def near(chance: random.Random, text: str) -> str:
    """Return a near duplicate: an addition at an end, or one or two characters changed, at Jaccard 0.6 or over."""
    while True:
        changed = list(text)
        kind = chance.randrange(3)
        for _ in range(kind):
            changed[chance.randrange(len(changed))] = chance.choice(HIRAGANA)
        other = "".join(changed) if kind else chance.choice(("続・", "再掲")) + text + chance.choice(("", "まとめ"))
        if other != text and jaccard(text, other) >= THRESHOLD:
            return other


def jaccard(first: str, second: str) -> float:
    """Return the exact similarity, by the plain definition."""
    a, b = ({text[at : at + 3] for at in range(len(text) - 2)} for text in (first, second))
    return len(a & b) / len(a | b)


def generate(rows: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Return titles and the planted near pairs (original, copy)."""
    chance = random.Random(SEED)
    vocabulary = words(chance)
    titles: list[str] = []
    planted = []
    while len(titles) < rows:
        draw = chance.random()
        if draw < NEAR_SHARE and len(titles) > WARM_UP:
            of = chance.randrange(len(titles))
            planted.append((of, len(titles)))
            titles.append(near(chance, titles[of]))
        elif draw < NEAR_SHARE + EXACT_SHARE and len(titles) > WARM_UP:
            titles.append(chance.choice(titles) + chance.choice(("", "！", " ")))
        elif draw < NEAR_SHARE + EXACT_SHARE + TAG_SHARE:
            titles.append(
                TAG_JOINED.join(
                    chance.sample(("自己紹介", "子育て", "副業", "読書", "日記", "40代", "転職", "投資"), 5)
                )
            )
        else:
            titles.append(title(chance, vocabulary))
    return titles, planted


def near_step(titles: list[str], planted: list[tuple[int, int]], threads: int) -> dict[str, Any]:
    """Measure the near-duplicate step alone, on folded rows without exact copies and tag lists, as the stage does."""
    text = fold(from_strings(titles))
    folded = [
        text.codes[a:b].tobytes().decode("utf-32-le") for a, b in zip(text.offsets, text.offsets[1:], strict=False)
    ]
    first: dict[str, int] = {}
    for row, value in enumerate(folded):
        if TAG_JOINED not in titles[row]:
            first.setdefault(value, row)
    import numpy as np  # noqa: PLC0415 (the parent process that only prints needs none)

    rows = np.array(sorted(first.values()))
    unique = text.take(rows)
    start, processor = time.perf_counter(), time.process_time()
    result = find_near_duplicates(unique, THRESHOLD, threads)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    removed = [(int(rows[row]), int(rows[of])) for row, of in enumerate(result.of.tolist()) if of >= 0]
    gone = {row for row, _ in removed}
    pairs = [
        (a, b)
        for a, b in planted
        if first.get(folded[b]) == b and first.get(folded[a]) == a and jaccard(folded[a], folded[b]) >= THRESHOLD
    ]
    return {
        "near_rows": len(rows),
        "near_seconds": seconds,
        "near_processor_seconds": processor,
        "near_rows_per_s": len(rows) / seconds,
        "planted": len(pairs),
        "recall": sum(a in gone or b in gone for a, b in pairs) / max(len(pairs), 1),
        "removed": len(removed),
        "unconfirmed": sum(jaccard(folded[a], folded[b]) < THRESHOLD for a, b in removed),
        "candidates": result.candidates,
        "unfinished": result.unfinished,
    }


def whole_stage(titles: list[str], threads: int) -> dict[str, Any]:
    """Measure all of `prepare` in a process of its own, so that its peak memory is its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        with (data / "rows.jsonl").open("w", encoding="utf-8") as out:
            for number, text in enumerate(titles):
                row = {"theme": text[:4] or "題", "title": text, "category": f"c{number % 10}"}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        (data / "source.json").write_text('{"files": [{"name": "rows.jsonl"}]}')
        command = [sys.executable, __file__, "--stage", name, "--threads", str(threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        phases = {event["name"]: event["value"] for event in events if event["event"] == "job.measured"}
        return {**json.loads(done.stdout), "phases": phases}


def run_stage(folder: Path, threads: int) -> None:
    """Run the stage once on a prepared folder and print what it took (the process that `whole_stage` starts)."""
    for name in ("out", "scratch"):
        (folder / name).mkdir()
    start, processor = time.perf_counter(), time.process_time()
    prepare.main(Job("prepare", PARAMETERS, {"data": folder / "data"}, folder / "out", folder / "scratch", threads))
    taken = {
        "stage_seconds": time.perf_counter() - start,
        "stage_processor_seconds": time.process_time() - processor,
        "stage_peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    print(json.dumps(taken))


def measure(rows: int, threads: int) -> dict[str, Any]:
    """Return everything measured for one size."""
    titles, planted = generate(rows)
    found = {"rows": rows, "threads": threads, **near_step(titles, planted, threads), **whole_stage(titles, threads)}
    found["stage_rows_per_s"] = rows / found["stage_seconds"]
    found["audit_share"] = found["phases"]["prepare.audit"] / found["stage_seconds"]
    return found


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--stage", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage:
        run_stage(asked.stage, asked.threads)
        return
    results = [measure(rows, asked.threads) for rows in asked.rows]
    print(table_of(results).markdown())
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
