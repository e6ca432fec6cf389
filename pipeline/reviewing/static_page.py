"""A copy of the page in one file, to read without a server: by mail, or on a machine that is reached by SSH alone."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from pipeline.reviewing.review import Review
from pipeline.reviewing.rows import Wanted

MOST_ROWS: Final = 5_000
"""So many rows are written whole; of more, the sample alone."""
_FOLDER: Final = Path(__file__).parent


def page_copy(review: Review) -> str:
    """Return the page with its style, its program and the rows in it. It loads nothing, and overrules nothing."""
    style, program = ((_FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(program)}'"
    data = json.dumps(_data(review), ensure_ascii=False).replace("<", "\\u003c")
    charset = '<meta charset="utf-8">'
    replaced = {
        charset: f'{charset}\n<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<link rel="stylesheet" href="page.css">': f"<style>{style}</style>",
        '<script src="page.js" defer></script>\n': "",
        "</body>": f'<script id="data" type="application/json">{data}</script>\n<script>{program}</script>\n</body>',
    }
    page = (_FOLDER / "page.html").read_text(encoding="utf-8")
    for old, new in replaced.items():
        page = page.replace(old, new, 1)
    return page


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data(review: Review) -> dict[str, Any]:
    summary = review.summary()
    whole = review.rows.counts.total() <= MOST_ROWS
    rows: list[Any] = []
    while whole and (page := review.page(Wanted(), len(rows), MOST_ROWS)["rows"]):
        rows += page
    summary["overrules"]["file"] = ""  # a path of this machine is no business of the copy's reader
    return {"summary": summary, "sample": review.sample(review.subject.seed)["rows"], "rows": rows}
