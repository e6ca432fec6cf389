"""The same chart gives the same picture, whatever the machine has of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pipeline.closure import PACKAGE, closure
from pipeline.errors import StageError
from pipeline.report.charts import Chart, Curves, Forest, Interval, Points, Series
from pipeline.report.drawing import pictures

REPOSITORY = Path(__file__).parents[3]
LABEL = '</text><script>alert(1)</script> $x^2$ style="fill: #010101" 3.14159 ]]>'
CHARTS: dict[str, Chart] = {
    "loss": Curves(
        (
            Series("training", [(step, 3 / (1 + step / 7)) for step in range(40)], "thin"),
            Series("validation", [(step, 3.2 / (1 + step / 7)) for step in range(0, 40, 10)], "points"),
        ),
        "step",
        "loss",
        ((30, "best"),),
    ),
    "kl": Curves((Series("Q4_K_M", [(1e-6, 3), (1e-5, 9), (1e-4, 1)], "steps"),), "KL", "positions", log_x=True),
    "gains": Forest((("0 to 100", (Interval(LABEL, 1.5, -1, 4), Interval("chrf", 2, 1, 3, "good"))),)),
    "sizes": Points((("F16", 7.7, 100), (LABEL, 2.5, 92.8)), "MB", "%"),
}
_DRAW = "import sys; from tests.unit.report.test_drawing import CHARTS; from pipeline.report.drawing import pictures"


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    """Each chart's picture."""
    return pictures(CHARTS)


def elsewhere(folder: Path, **variables: str) -> bytes:
    """The pictures that another process draws, in that folder with those variables."""
    command = [sys.executable, "-c", f"{_DRAW}; sys.stdout.write(''.join(pictures(CHARTS).values()))"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "utf-8", **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True).stdout


def test_nothing_of_the_machine_reaches_a_picture(drawn: dict[str, str], tmp_path: Path) -> None:
    """Other hash seed, backend, locale, settings in the working folder, in the home and by name; the same bytes."""
    hostile = "svg.fonttype: path\nfont.size: 31\nlines.linewidth: 9\naxes.grid: False\nsvg.hashsalt: other\n"
    for name in ("matplotlibrc", ".config/matplotlib/matplotlibrc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(hostile)
    expected = "".join(drawn.values()).encode()
    for seed in ("0", "12345"):
        variables = {"MPLBACKEND": "module://nowhere", "MATPLOTLIBRC": str(tmp_path), "MPLCONFIGDIR": str(tmp_path)}
        assert elsewhere(tmp_path, PYTHONHASHSEED=seed, HOME=str(tmp_path), LC_ALL="de_DE", **variables) == expected


def test_a_settings_file_that_cannot_be_read_stops_nothing(drawn: dict[str, str], tmp_path: Path) -> None:
    """Matplotlib alone would refuse to start."""
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe\x00 not text")
    assert elsewhere(tmp_path, HOME=str(tmp_path)) == "".join(drawn.values()).encode()


def test_pictures_are_elements_of_the_page(drawn: dict[str, str]) -> None:
    """Well-formed; no style, no date, no font; colours are the page's; nothing is drawn twice under one name."""
    identifiers: list[str] = []
    for name, svg in drawn.items():
        root = ET.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))  # noqa: S314 - our own
        assert svg.startswith('<svg viewBox="0 0 '), name
        assert not re.search(r"style=|font-family|<metadata|DOCTYPE|#0[0-9a-f]{5}", re.sub(r">[^<]*<", "><", svg)), name
        assert "var(--series-1)" in svg
        identifiers += [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(identifiers) == len(set(identifiers))


def test_labels_are_text(drawn: dict[str, str]) -> None:
    """Neither markup, nor formulas, nor numbers to round."""
    for name in ("gains", "sizes"):
        root = ET.fromstring(drawn[name].replace("<svg ", '<svg xmlns:xlink="x" ', 1))  # noqa: S314 - our own
        texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
        assert LABEL in texts
        assert not [element for element in root.iter() if element.tag.endswith("script")]


def test_powers_of_ten_are_numbers(drawn: dict[str, str]) -> None:
    """A logarithmic axis has labels that read as numbers, not as formulas."""
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn["kl"])
    assert "1e-05" in texts
    assert not [text for text in texts if "$" in text or "\\" in text]


def test_the_code_that_paints_counts_in_the_stages_key() -> None:
    """An edit of it draws the report anew; what is added when the papers are shown does not."""
    files = {path.name for path in closure(PACKAGE / "stages" / "report.py", PACKAGE, "pipeline")}
    assert {"painting.py", "drawing.py", "page_style.py"} <= files
    assert not {"speeds.py", "shown.py", "store.py"} & files


def test_the_host_imports_no_matplotlib() -> None:
    """It is loaded where plots are drawn, and only there."""
    code = "import sys, pipeline.view, pipeline.stages.registry; print('matplotlib' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_no_charts_need_no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report without plots starts no process."""
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert pictures({}) == {}


def test_a_machine_that_is_too_busy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and nobody reads a traceback."""
    monkeypatch.setattr("pipeline.report.drawing._TIMEOUT_S", 0.001)
    with pytest.raises(StageError, match="not drawn within") as raised:
        pictures(CHARTS)
    assert "run again" in raised.value.advice
