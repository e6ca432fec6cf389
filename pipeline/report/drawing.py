"""Pictures of charts by matplotlib, as SVG that belongs to the page: its theme, its font, no identifier twice.

Drawing happens in a process of its own with an environment of its own, so that nothing of the user's (matplotlibrc,
MPLBACKEND, fonts, locale, hash seed) reaches it and nothing of it stays. The same charts give the same bytes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.determinism import ALWAYS
from pipeline.errors import StageError
from pipeline.report import painting
from pipeline.report.charts import Chart, as_data

_REPOSITORY = Path(__file__).parents[2]
_PROGRAM = f"import sys; sys.path.insert(0, {str(_REPOSITORY)!r}); from {painting.__name__} import main; main()"
_TIMEOUT_S = 300
SIGNS = {
    "#010101": "currentColor",
    "#020202": "var(--soft)",
    "#030303": "var(--line)",
    "#040404": "var(--ground)",
    **{f"#0000{number:02x}": f"var(--series-{number})" for number in range(1, 7)},
}
"""Colours that `painting.py` paints with → what the page calls them. No chart has such colours by itself."""
_LEFT_OUT = re.compile(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_STYLE = re.compile(r' style="([^"]*)"')
_NUMBER = re.compile(r"\d+\.\d+")
_IDENTIFIER = re.compile(r'( id="|href="#|url\(#)')
_NUDGE = 3.7e-4
"""Added before a coordinate is rounded: a sum that a processor rounds otherwise in its last bit never lies on the edge
between two roundings, as halves do."""


def pictures(charts: Mapping[str, Chart]) -> dict[str, str]:
    """Return name → SVG element of each chart. Raises StageError when they cannot be drawn."""
    if not charts:
        return {}
    request = json.dumps({name: as_data(chart) for name, chart in charts.items()})
    with tempfile.TemporaryDirectory(prefix="drawing-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-X", "utf8", "-c", _PROGRAM],
                input=request.encode(),
                capture_output=True,
                cwd=folder,
                env=_environment(folder),
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            message = f"the report's plots were not drawn within {_TIMEOUT_S} s"
            raise StageError(message, where="matplotlib", advice="run again when the machine has less to do") from error
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip()
        message = f"the report's plots could not be drawn: {told.splitlines()[-1] if told else done.returncode}"
        raise StageError(message, where=told, advice="make the host environment anew: remove .envs/host, run again")
    return {name: tidied(svg, name) for name, svg in json.loads(done.stdout).items()}


def _environment(folder: str) -> dict[str, str]:
    """Return the environment to draw in: nobody's settings, no font but its own, one thread, one arithmetic."""
    return {
        "NPY_DISABLE_CPU_FEATURES": ALWAYS["NPY_DISABLE_CPU_FEATURES"],
        "HOME": folder,
        "MPLCONFIGDIR": folder,
        "MPLBACKEND": "svg",
        "MPL_IGNORE_SYSTEM_FONTS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "LC_ALL": "C",
        "PATH": "",
    }


def tidied(svg: str, name: str) -> str:
    """Return matplotlib's SVG as an element of the page: no prologue, no style of its own, names that are unique."""
    body = _LEFT_OUT.sub("", svg[svg.index("<svg ") :].strip())
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    whole = _TAG.sub(lambda tag: _tidied_tag(tag.group(), name), f"<svg {box.group() if box else ''}>{rest}")
    return re.sub(r">\s+<", ">\n<", whole)


def _tidied_tag(tag: str, name: str) -> str:
    """Return one tag. Texts between tags are left alone: a label may look like markup, or be a number."""
    with_attributes = _STYLE.sub(lambda found: _attributes(found.group(1)), tag)
    named = _IDENTIFIER.sub(lambda found: f"{found.group(1)}{name}-", with_attributes)
    return re.sub(r"\s+", " ", _NUMBER.sub(lambda found: _rounded(found.group()), named))


def _rounded(number: str) -> str:
    return f"{float(number) + _NUDGE:.2f}".rstrip("0").rstrip(".")


def _attributes(style: str) -> str:
    """Return a style as attributes, which the page's policy allows: fonts are the page's, colours its variables."""
    found = ""
    for entry in style.split(";"):
        property_name, _, value = entry.partition(":")
        named, text = property_name.strip(), value.strip()
        if named in ("", "font-family", "-inkscape-font-specification"):
            continue
        if named == "font":
            named, text = "font-size", text.split("px", maxsplit=1)[0].split()[-1] + "px"
        found += f' {named}="{SIGNS.get(text, text)}"'
    return found
