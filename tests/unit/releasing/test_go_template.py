"""The subset of Go's templates: as rendered here, and as Go itself renders it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.conversations import CONVERSATIONS
from pipeline.inside.seedling_llama_tokenizer import CHAT_TEMPLATE
from pipeline.releasing.chat_shape import PROVEN, shape_of
from pipeline.releasing.go_template import GoTemplateError, literal, render
from tests.support.conversations import rendered, vendored_template

CHATML = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
BRACED = CHATML.replace("<|im_start|>", "{{ ").replace("'{{ '", "'{{ \"x\" {'")
AWKWARD = (
    {"role": "system", "content": 'a "quoted" {{ .System }} line\n\nand <b>&amp;</b>'},
    {"role": "user", "content": "「{theme}」 {{ end }} {{{"},
    {"role": "assistant", "content": "\\n is no line break; 'x' is"},
    {"role": "user", "content": "終わり"},
)


def templates(vendor_tree: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the conversations of every chat template that is held against Go."""
    real = ("Qwen-Qwen3-0.6B", "Qwen-Qwen2.5-7B-Instruct", "meta-llama-Llama-3.1-8B-Instruct", "llama-cpp-rwkv-world")
    named = {name: rendered(vendored_template(vendor_tree, name)) for name in real}
    named["Qwen3 thinking"] = rendered(vendored_template(vendor_tree, "Qwen-Qwen3-0.6B"), thinking=True)
    return {**named, "seedling": rendered(CHATML), "llama": rendered(CHAT_TEMPLATE), "braces": rendered(BRACED)}


@pytest.fixture
def _hugo() -> None:
    """Fail in CI, and skip elsewhere, where Hugo is not there."""
    if shutil.which("hugo") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs hugo, which holds Go's text/template: .ci/run installs it")
        pytest.skip("needs hugo, which holds Go's text/template (Debian: hugo)")


def hugo(folder: Path, template: str, conversations: list[Any]) -> list[str]:
    """Render conversations with Go's text/template: Hugo is a program of Debian that holds it."""
    (folder / "layouts").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "config.json").write_text(
        json.dumps(
            {
                "disableKinds": ["page", "section", "taxonomy", "term", "RSS", "sitemap", "robotsTXT", "404"],
                "outputs": {"home": ["plain"]},
                "outputFormats": {"plain": {"mediaType": "text/plain", "isPlainText": True, "baseName": "index"}},
            }
        )
    )
    given = [
        {
            "System": "\n\n".join(one["content"] for one in turns if one["role"] == "system"),
            "Messages": [{"Role": one["role"], "Content": one["content"]} for one in turns],
        }
        for turns in conversations
    ]
    (folder / "data" / "conversations.json").write_text(json.dumps(given), encoding="utf-8")
    whole = "{{ range site.Data.conversations }}{{ with . }}" + template + "{{ end }}\x1e{{ end }}"
    (folder / "layouts" / "index.plain.txt").write_text(whole, encoding="utf-8")
    done = subprocess.run(["hugo", "--quiet"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "public" / "index.txt").read_text(encoding="utf-8").split("\x1e")[:-1]


@pytest.mark.usefixtures("_hugo")
def test_go_itself_renders_what_is_rendered_here(vendor_tree: Path, tmp_path: Path) -> None:
    """Every template of ours over every conversation, by Go and by this module: the same text."""
    conversations = [*CONVERSATIONS.values(), AWKWARD]
    for at, (name, rows) in enumerate(templates(vendor_tree).items()):
        template = shape_of(rows).go_template
        expected = [render(template, turns) for turns in conversations]
        assert hugo(tmp_path / str(at), template, conversations) == expected, name


@pytest.mark.usefixtures("_hugo")
def test_go_itself_renders_what_the_chat_template_does(vendor_tree: Path, tmp_path: Path) -> None:
    """With and without a system message, one turn and several: the text that the tokenizer's own template gives."""
    for at, (name, rows) in enumerate(templates(vendor_tree).items()):
        proven = [row for row in rows if row["opening"] and row["name"] in PROVEN]
        found = hugo(tmp_path / str(at), shape_of(rows).go_template, [row["messages"] for row in proven])
        assert found == [row["text"] for row in proven], name


@pytest.mark.parametrize("text", ["{{", "a {{ b", "ends with {", "{{{{", "no brace", "{ one }", "}}"])
def test_a_literal_prints_itself(text: str) -> None:
    """Also before an action, which would take a brace for its own."""
    assert render(literal(text) + '{{ "" }}', ()) == text


@pytest.mark.parametrize(
    "template",
    ["{{- .System }}", "{{ .Tools }}", "{{ if .System }}", "{{ end }}", "{{ range .Messages }}", "{{ len }}"],
)
def test_what_is_not_of_the_subset_is_refused(template: str) -> None:
    """Nothing is passed over in silence."""
    with pytest.raises(GoTemplateError):
        render(template, ({"role": "user", "content": "x"},))


def test_else_is_taken_when_nothing_else_holds() -> None:
    """The branches of a condition exclude each other."""
    template = (
        '{{ range .Messages }}{{ if eq .Role "user" }}U{{ else if eq .Role "tool" }}T{{ else }}?{{ end }}{{ end }}'
    )
    turns = [{"role": role, "content": ""} for role in ("user", "tool", "system")]
    assert render(template, turns) == "UT?"
