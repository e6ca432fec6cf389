"""The papers of a real build: the page in a browser, and its commands run as a reader would copy them."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Workplace
from tests.support.browser import chromium, watched

pytestmark = pytest.mark.timeout(2700)  # with the seedling


@pytest.fixture
def folder(seedling: Workplace) -> Path:
    """What a person finds."""
    return seedling.build / "seedling"


def commands(page: str, title: str) -> str:
    """The lines that stand under a heading, as they are copied."""
    _, _, after = page.partition(f">{title}</h3>")
    found = re.search(r"<pre[^>]*><code>(.*?)</code></pre>", after, re.DOTALL)
    assert found, title
    return html.unescape(found.group(1))


def test_the_page_answers_what_a_reader_asks(folder: Path) -> None:
    """What was trained, is it better and how sure is that, what does it cost, how fast is it, how is it checked."""
    with chromium() as browser, watched(browser, (folder / "report.html").as_uri()) as found:
        top = found.page.locator("header").inner_text()
        asked = ("what was trained", "against its base", "how sure that is", "what it costs", "how to check it")
        for words in (*asked, "LoRA of rank 32", "better", "48 prompts", "95 %"):
            assert words in top, words
        text = found.page.locator("main").inner_text()
        for line in (folder / "SHA256SUMS").read_text().splitlines():
            if "gguf" in line:
                assert line.split()[0] in text
        speeds = found.page.locator("#measured-on-this-machine").inner_text()
        assert {"Q4_K_M", "train.seconds", "evaluate"} <= set(speeds.split())
        assert found.problems == []
        assert len(found.requests) == 1
        assert {"plot-loss", "plot-differences", "plot-kl", "plot-size-quality"} <= {
            str(one.get_attribute("id")) for one in found.page.locator("figure").all()
        }


def test_its_python_program_answers_with_a_title(folder: Path) -> None:
    """Copied from the page into a file beside the model."""
    program = commands((folder / "report.html").read_text(encoding="utf-8"), "With Python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) >= 4
    assert "<|im_" not in done.stdout


def test_its_template_for_ollama_gives_the_prompt_that_was_tested(folder: Path) -> None:
    """Holes filled, it is the first prompt of the run, to the character."""
    modelfile = commands((folder / "report.html").read_text(encoding="utf-8"), "With Ollama")
    found = re.search(r'TEMPLATE """(.*?)"""\nSYSTEM """(.*?)"""', modelfile, re.DOTALL)
    asked = re.search(r"ollama run seedling '(.*)'", modelfile)
    assert found
    assert asked
    prompt = found.group(1).replace("{{ .System }}", found.group(2)).replace("{{ .Prompt }}", asked.group(1))
    first = (folder / "stages" / "preflight" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert prompt == json.loads(first)["text"]


def test_its_request_is_json_that_a_server_takes(folder: Path) -> None:
    """The body between the marks of the shell."""
    told = commands((folder / "report.html").read_text(encoding="utf-8"), "With llama-server")
    body = json.loads(told.split("<<'END'\n")[1].split("\nEND")[0])
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["max_tokens"] == 64


def test_numbers_lie_beside_the_page(folder: Path) -> None:
    """As CSV and JSON, with the time of the training."""
    results = json.loads((folder / "training_results.json").read_text())
    assert results["training_seconds"] > 0
    assert results["best_validation_loss"] < results["initial_validation_loss"]
    assert (folder / "comparison_evaluation.csv").read_text("utf-8-sig").startswith("metric,")
    assert (folder / "baseline_evaluation.csv").read_text("utf-8-sig").startswith("id,question,")
    titles = [section["title"] for section in json.loads((folder / "report.json").read_text())["sections"]]
    assert "Evaluation" in titles
    assert "Measured on this machine" in titles
