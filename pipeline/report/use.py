"""The section on use: commands that run the released files with the recipe's own prompt, and commands that check them.

The GGUF carries its chat template. Ollama reads templates in a language of its own and only guesses, so its Modelfile
gets one: the prompt as the model was tested with it, with holes for the system message and the question.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Block, Code, Inline, Paragraph, Preformatted, Section
from pipeline.user_turn import user_turn


@dataclass(frozen=True)
class _Prompt:
    """The conversation to show: `question` is an example or has the names of its columns in braces.

    `rendered` is a whole prompt as the model was tested with it, with holes (`{{ .System }}`, `{{ .Prompt }}`).
    """

    system: str | None
    question: str
    rendered: str | None
    enable_thinking: bool = False

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as every chat interface takes it."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.question}]


def use_section(artifacts: Artifacts) -> Section | None:
    """Return how to run and to check what was built; nothing where no model was."""
    files = list(artifacts.models())
    prompt = artifacts.settings.get("prompt")
    if not files or not prompt:
        return None
    if artifacts.settings.get("stopped"):
        return Section("How to run it", (_unreleased(artifacts),))
    model, settings = files[-1], artifacts.settings.get("generate") or {}
    asked = _prompt(artifacts, prompt)
    blocks: list[Block] = []
    if "{" in asked.question:
        blocks.append(Paragraph("Put your own text in place of the words in braces."))
    blocks += [
        Section("With Ollama", (_shell(_ollama(artifacts.settings["name"], model, asked, settings)),), folded=True),
        Section("With llama-server", (_shell(_server(model, asked, settings)),), folded=True),
        Section("With Python", (Preformatted(_python(model, asked, settings), "a Python program"),), folded=True),
        Section("How to check it", (_check(artifacts),)),
    ]
    return Section("How to run it", blocks)


def _unreleased(artifacts: Artifacts) -> Paragraph:
    """Return where models lie that no release holds: commands would find none, or those of an earlier build."""
    words: list[Inline] = ["This build was stopped, so no model of it was released. To look into one all the same: "]
    stages = artifacts.model_stages()
    for at, (stage, path) in enumerate((one, path) for one in stages for path in artifacts.sizes(one, "*.gguf")):
        words += [", " if at else "", Code(f"stages/{stage}/{path}")]
    return Paragraph((*words, "."))


def _prompt(artifacts: Artifacts, prompt: Mapping[str, Any]) -> _Prompt:
    """Return the recipe's prompt; with an example where the recipe shows rows."""
    tested = next(iter(artifacts.rows("preflight", "prompts.jsonl")), None)
    thinking = bool(prompt.get("enable_thinking"))
    if tested is None:
        return _Prompt(prompt["system"], prompt["user"], None, thinking)
    question = user_turn(prompt["user"], tested["input"])
    rendered = _with_holes(tested["text"], prompt["system"], question)
    return _Prompt(prompt["system"], question if artifacts.show_rows else prompt["user"], rendered, thinking)


def _with_holes(text: str, system: str | None, question: str) -> str | None:
    """Return a tested prompt with holes; None where it cannot be told for sure what is what."""
    told = text.removeprefix("<s>")
    for words, hole in ((system, "{{ .System }}"), (question, "{{ .Prompt }}")):
        if words is None:
            continue
        if told.count(words) != 1 or "{{" in words:
            return None
        told = told.replace(words, hole)
    return told


def _shell(text: str) -> Preformatted:
    return Preformatted(text, "commands for a shell")


def _given(command: str, text: str) -> str:
    """Return a command with a text on its standard input, whose end no line of the text is."""
    end = "END"
    while end in text.split("\n"):
        end += "_"
    return f"{command} <<'{end}'\n{text}\n{end}"


def _ollama(name: str, model: str, prompt: _Prompt, settings: Mapping[str, Any]) -> str:
    lines = [f"FROM ./{model}"]
    lines += [f'TEMPLATE """{prompt.rendered}"""'] if prompt.rendered else []
    lines += [f'SYSTEM """{prompt.system}"""'] if prompt.system else []
    chosen = {"temperature": "temperature", "top_p": "top_p", "num_predict": "max_new_tokens"}
    lines += [f"PARAMETER {theirs} {settings[ours]}" for theirs, ours in chosen.items() if ours in settings]
    modelfile = "\n".join(lines)
    asked = shlex.quote(prompt.question)
    return f"{_given('cat > Modelfile', modelfile)}\nollama create {name} -f Modelfile\nollama run {name} {asked}"


def _server(model: str, prompt: _Prompt, settings: Mapping[str, Any]) -> str:
    body = json.dumps(
        {
            "messages": prompt.messages,
            "chat_template_kwargs": {"enable_thinking": prompt.enable_thinking},
            **_sampling(settings),
        },
        ensure_ascii=False,
        indent=1,
    )
    return (
        f"llama-server --model {model} --jinja --port 8080\n\n# in another terminal:\n"
        "curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json'"
        f" {_given('-d @-', body)}"
    )


def _python(model: str, prompt: _Prompt, settings: Mapping[str, Any]) -> str:
    """Return a program. A template that leaves room for thoughts is not asked for: the tested prompt is given whole."""
    sampling = ", ".join(f"{name}={value!r}" for name, value in _sampling(settings).items())
    opened = f'model = Llama("{model}", n_ctx=0, verbose=False)'
    start = f"# pip install llama-cpp-python\nfrom llama_cpp import Llama\n\n{opened}\n"
    if prompt.rendered and "<think>" in prompt.rendered:
        whole = prompt.rendered.replace("{{ .System }}", prompt.system or "").replace("{{ .Prompt }}", prompt.question)
        asked = f"model.create_completion({json.dumps(whole, ensure_ascii=False)}, {sampling})"
        return f'{start}answer = {asked}\nprint(answer["choices"][0]["text"])'
    messages = json.dumps(prompt.messages, ensure_ascii=False, indent=4)
    return (
        f"{start}messages = {messages}\nanswer = model.create_chat_completion(messages, {sampling})\n"
        'print(answer["choices"][0]["message"]["content"])'
    )


def _sampling(settings: Mapping[str, Any]) -> dict[str, Any]:
    chosen = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_new_tokens"}
    return {theirs: settings[ours] for theirs, ours in chosen.items() if ours in settings}


def _check(artifacts: Artifacts) -> Block:
    recipe = shlex.quote(str(artifacts.settings["name"]))
    return Preformatted(
        "# are these the files that were released?\n"
        "sha256sum -c SHA256SUMS\n"
        "\n# in the clone that built them, with the recipe's name or file:\n"
        "# has every file of every stage its sha256?\n"
        f".envs/host/bin/python -m pipeline verify --recipe {recipe}\n"
        "# build it again: the same bytes, or told where they differ\n"
        f".venv/bin/nox -s pipeline -- --recipe {recipe}",
        "commands for a shell",
    )
