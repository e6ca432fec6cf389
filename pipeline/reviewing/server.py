"""The page of a review: what it asks for, and what it tells. Who may ask is `pipeline/local_page`'s business."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from pipeline.local_page.server import LocalPageServer, Request, RequestError, nothing
from pipeline.reviewing.review import MOST_ROWS, Review
from pipeline.reviewing.rows import Wanted

_ROWS_BELOW: Final = 2**53
"""What a browser counts exactly, and a database can hold."""


class ReviewServer(LocalPageServer):
    """Serves one review until it is shut down."""

    folder = Path(__file__).parent
    command = "review"
    sent = "an overrule"
    shown = "the rows"

    def __init__(self, review: Review, port: int) -> None:
        """Bind to a port of loopback; 0 takes a free one. Raises UsageError when the port is taken."""
        self.review = review
        super().__init__(port)

    def get(self, request: Request) -> Any:
        """Return the summary, a sample, or rows."""
        review = self.review
        if request.name == "summary":
            return review.summary()
        if request.name == "sample":
            return review.sample(request.number("seed", review.subject.seed))
        if request.name == "rows":
            kinds = tuple(kind for kind in request.query.get("kinds", "").split(",") if kind)
            offset, limit = request.number("offset", 0), request.number("limit", MOST_ROWS)
            return review.page(Wanted(kinds, request.query.get("text", "")), offset, limit)
        raise nothing()

    def post(self, request: Request, told: Mapping[str, Any]) -> Any:
        """Take an overrule, and return the row as it is shown now."""
        if request.name != "overrule":
            raise nothing()
        row, overruled, reason = told.get("n"), told.get("overruled"), told.get("reason", "")
        if type(row) is not int or not 0 <= row < _ROWS_BELOW or type(overruled) is not bool or type(reason) is not str:
            raise RequestError(HTTPStatus.BAD_REQUEST, "an overrule names the row `n`, `overruled` and a `reason`")
        return self.review.decide(row, overruled=overruled, reason=reason)
