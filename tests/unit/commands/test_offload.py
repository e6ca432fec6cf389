"""`offload`: settings for a card, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import offload
from pipeline.errors import UsageError
from tests.support.sparse_gguf import QWEN3_14B, write


def ask(*arguments: str) -> Mapping[str, Any]:
    """Return the one event."""
    events: list[Mapping[str, Any]] = []
    assert offload.main(parse(["offload", *arguments]), [events.append]) == 0
    (event,) = events
    return event


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Q4_K_M of Qwen3-14B."""
    return str(write(tmp_path_factory.mktemp("model") / "q4.gguf", QWEN3_14B, quantized=True))


def test_a_card_is_known_by_its_name(model: str) -> None:
    """With or without its maker's."""
    first, second = (ask(model, "--card", name) for name in ("RTX 5060 Ti", "nvidia geforce rtx 5060ti"))
    assert {**first, "timestamp": ""} == {**second, "timestamp": ""}
    assert (first["layers"], first["of"], first["whole"], first["context"]) == (41, 41, True, 4096)


def test_another_card_is_given_in_numbers(model: str) -> None:
    """Memory alone gives no bound."""
    assert ask(model, "--free-gib", "8")["whole"] is False
    assert ask(model, "--free-gib", "12")["most_tokens_per_s"] is None
    assert ask(model, "--free-gib", "12", "--bandwidth-gb", "448")["most_tokens_per_s"] == pytest.approx(52, abs=1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_log_says_what_is_wrong(model: str, tmp_path: Path, encoding: str) -> None:
    """Layers and speed; also where PowerShell 5 wrote the file, in UTF-16 with a mark."""
    log = tmp_path / "server.log"
    log.write_text(
        "offloaded 20/41 layers to GPU\neval time = 1 ms / 2 tokens ( 1 ms per token, 2.00 tokens per second)\n",
        encoding=encoding,
    )
    assert len(ask(model, "--card", "RTX 5060 Ti", "--server-log", str(log))["findings"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no card was named"),
        (["--card", "RTX 5060 Tj"], "did you mean RTX 5060 Ti"),
        (["--free-gib", "8", "--context", "99999"], "trained for 40,960 tokens"),
        (["--free-gib", "8", "--server-log", "nowhere.log"], "nowhere.log"),
    ],
)
def test_a_mistake_is_told_in_words(model: str, arguments: list[str], words: str) -> None:
    """Each with its advice."""
    with pytest.raises(UsageError, match=words) as caught:
        ask(model, *arguments)
    assert caught.value.advice
