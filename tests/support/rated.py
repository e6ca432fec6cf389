"""A small build whose forms have answered, to be rated: made by hand, in a real store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.rating.answers import BASE, TUNED, Answers, Item, Pair
from pipeline.report import html
from pipeline.report.blocks import Document
from pipeline.report.record import record
from pipeline.store import Store
from tests.support.workplace import RECIPE

PROMPTS = 40
SAME_AS_BASE = 4
"""Prompts to which base and tuned give the same answer."""
OTHER_IN_Q4 = 10
"""Prompts to which Q4_K_M answers otherwise than tuned."""
MARKUP = "<script>alert(1)</script>"
TEMPLATE = "「{theme}」に関する{{記事}}タイトルを1つ生成してください。"
Texts = Mapping[str, Sequence[str]]
Rows = Sequence[Mapping[str, object]]
PAPERS: Mapping[str, Rows | str] = {
    "report.md": "# report\n",
    "report.html": html.render(Document("report", ())),
    "report.json": json.dumps(record(Document("report", ()))),
    "training_results.json": "{}",
}
"""What the report's stage published."""


def texts(salt: str = "") -> dict[str, list[str]]:
    """Return what each stage's form answered, prompt by prompt. `salt` makes another build's of it."""
    tuned = [f"{MARKUP}題{at}を一年続けた話{salt}" for at in range(PROMPTS)]
    base = [tuned[at] if at < SAME_AS_BASE else f"題{at}です。\n題{at}です。" for at in range(PROMPTS)]
    quantized = [f"題{at}の手順{salt}" if at < OTHER_IN_Q4 else tuned[at] for at in range(PROMPTS)]
    same = dict.fromkeys(("verify-hf", "verify-merged", "verify-f16"), tuned)
    return {"verify-base": base, **same, "verify-quant-Q4_K_M": quantized}


class RatedBuild:
    """A recipe `few` in a folder, and a build of it."""

    def __init__(self, folder: Path, answered: Texts | None = None) -> None:
        self.recipe = folder / "few.toml"
        self.recipe.write_text(RECIPE, encoding="utf-8")
        (folder / "rows.jsonl").write_text('{"theme": "題", "title": "題名"}\n', encoding="utf-8")
        self.build = folder / "build"
        self.folder = self.build / "few"
        self.store = Store((self.build / "store").absolute(), "test")
        self.manifests: dict[str, Manifest] = {}
        self.make(answered or texts())

    @property
    def arguments(self) -> list[str]:
        """What a command line names."""
        return ["--recipe", str(self.recipe), "--build", str(self.build)]

    def make(self, answered: Texts) -> None:
        """Build anew: the forms answer this now."""
        self.manifests = {}
        rows = [
            {"id": f"p{at}", "kind": "unseen", "input": {"theme": f"題{at}"}, "reference": f"参考{at}"}
            for at in range(PROMPTS)
        ]
        seen = {**rows[0], "id": "seen", "kind": "seen"}
        parameters = {"prompt": {"system": "題名を作るAIです。", "user": TEMPLATE}}
        self._publish("preflight", {"prompts.jsonl": [*rows, seen]}, parameters)
        for stage, answers in answered.items():
            greedy = [{"id": f"p{at}", "mode": "greedy", "text": text} for at, text in enumerate(answers)]
            sampled = [{**row, "mode": "sample", "text": "x"} for row in greedy]
            self._publish(stage, {"generations.jsonl": [*greedy, *sampled]}, {})
        self._publish("report", PAPERS, {})
        self.folder.mkdir(parents=True, exist_ok=True)
        keys = {name: manifest.key for name, manifest in self.manifests.items()}
        (self.folder / "state.json").write_text(json.dumps({"stages": keys, "released": keys}))
        (self.folder / "report.md").write_text("# report\n")

    def _publish(self, stage: str, files: Mapping[str, Rows | str], parameters: Mapping[str, object]) -> None:
        output = self.store.workspace(stage) / "output"
        output.mkdir()
        for name, held in files.items():
            lines = held if isinstance(held, str) else "".join(json.dumps(row) + "\n" for row in held)
            (output / name).write_text(lines, encoding="utf-8")
        components = {"stage": stage, "parameters": parameters, "inputs": {}}
        manifest = self.store.describe(
            f"{stage}-{len(list(self.store.root.rglob('manifests/*')))}", stage, components, output
        )
        self.store.publish(manifest, output, {"wall_s": 1.0, "measured": []})
        self.manifests[stage] = manifest

    def answers(self) -> Answers:
        """Return what the forms answered."""
        return Answers(self.store, self.manifests)

    def items(self, pair: Pair | None = None) -> list[Item]:
        """Return the items of a pair; without one, of tuned against base."""
        return self.answers().items(pair or Pair(BASE, TUNED))
