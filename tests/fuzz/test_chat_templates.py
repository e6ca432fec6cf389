"""Hostile chat templates: programs of whoever made the base model, rendered in a sandbox."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.inside import rendering
from pipeline.inside.job import JobError
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

PROMPT: Final = {"system": "題名を作るAIです。", "user": "{theme}", "terminator": "<|im_end|>"}
ROW: Final = {"theme": "題"}

ATTACKS: Final = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__init__.__globals__['os'].system('touch CANARY') }}",
    "{{ cycler.__init__.__globals__.os.mkdir('CANARY') }}",
    "{{ lipsum.__globals__['os'].mkdir('CANARY') }}",
    "{{ joiner.__init__.__globals__.__builtins__.open('CANARY', 'w') }}",
    "{{ raise_exception.__globals__['os'].mkdir('CANARY') }}",
    "{{ strftime_now.__globals__ }}",
    "{{ raise_exception.__func__.__code__ }}",
    "{{ (messages|attr('__class__')).__base__.__subclasses__() }}",
    "{{ messages|map(attribute='__class__.__mro__')|list }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "{{ ('{0.__class__.__mro__}'|format)(messages) }}",
    "{% set x = '%c' % 95 %}{{ messages[x ~ x ~ 'class' ~ x ~ x] }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context.eval_ctx.environment.overlay }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ range(10).__class__ }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}{{ x }}",
    "{% extends '/etc/passwd' %}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'content': 'other'}) }}",
    "{{ messages.clear() }}",
    "{% generation %}{{ messages.__class__ }}{% endgeneration %}",
)
"""Ways out of a template that have worked somewhere, and changes of what is rendered."""

_PIECES: Final = st.sampled_from(
    [
        "{{ 1 // 0 }}",
        "{{ raise_exception('no') }}",
        "{{ raise_exception() }}",
        "{{ messages[9].content }}",
        "{{ messages.nothing.more }}",
        "{{ 'x' * 100000 }}",
        "{{ 2 ** 100000 % 7 }}",
        "{{ 10 ** 5000 }}",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{{ '%s%s' % 1 }}",
        "{{ messages | tojson }}",
        "{{ messages | join(1) }}",
        "{{ none + 1 }}",
        "{{ 'a' < 1 }}",
        "{{ {}['x'] }}",
        "{{ [] | first | upper }}",
        "{{ strftime_now(1) }}",
        "{{ strftime_now('%') }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set ns = namespace() %}{{ ns.x }}",
        "{% break %}",
        "{%",
        "{{",
        "}}",
        "\ud800",
        "\x1b[2J\u202e",
        "<|im_end|>",
        "{{ add_generation_prompt.__class__ }}",
        "(" * 300,
        "{{ " + "(" * 3000 + " }}",
        "{{ " + "not " * 3000 + "1 }}",
        *ATTACKS,
    ]
)


def render(tokenizer: Any, template: str) -> str | None:
    """Render a prompt and an answer with a template, as training does; None where it is refused in words."""
    tokenizer.chat_template = template
    text: str | None = result_or_error(lambda: rendering.prompt_text(tokenizer, PROMPT, ROW))
    result_or_error(lambda: rendering.completion_text(tokenizer, PROMPT, ROW, "題名"))
    return text


@fuzzed()
@given(pieces=st.lists(_PIECES, min_size=1, max_size=4))
@example(pieces=["{{ 1 // 0 }}"])
@example(pieces=["{{ none + 1 }}"])
@example(pieces=["{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"])
@example(pieces=["{{ " + "(" * 3000 + " }}"])
def test_a_template_may_be_any_program(
    pieces: list[str], qwen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises, it is told as the template's fault; it makes no file."""
    monkeypatch.chdir(tmp_path)
    render(qwen, "".join(pieces))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_way_out_of_the_sandbox(attack: str, qwen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No attribute of Python's own machinery is reached: the attack is refused, or renders nothing of it."""
    monkeypatch.chdir(tmp_path)
    text = render(qwen, attack)
    assert not text or not any(word in text for word in ("<class", "<module", "<function", "root:", "environment"))
    assert list(tmp_path.iterdir()) == []


def test_a_template_without_an_end_is_stopped(qwen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops in loops end after the processor time that a conversation may take, and the timer is put away."""
    monkeypatch.setattr(rendering, "RENDERING_S", 0.5)
    loops = "".join(f"{{% for {name} in range(99999) %}}" for name in "abcd") + "{% endfor %}" * 4
    qwen.chat_template = loops
    started = time.process_time()
    with pytest.raises(JobError, match="does not end within"):
        rendering.prompt_text(qwen, PROMPT, ROW)
    assert time.process_time() - started < 10
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
