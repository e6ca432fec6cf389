"""The raters' page: what it asks for, and what it tells. Who may ask is `pipeline/local_page`'s business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from pipeline.errors import PipelineError, StoreError
from pipeline.local_page.server import ADDRESS, LocalPageServer, Request, RequestError, nothing
from pipeline.rating.rating import Rating, UnknownItemError, UnknownRaterError

RATER_HEADER: Final = "X-Rater"
"""Request header with the token of the rater whose page it is."""
_MEMBERS: Final[Mapping[str, Mapping[str, type]]] = {
    "rater": {"name": str, "again": bool},
    "vote": {"item": str, "choice": str, "comment": str},
    "undo": {},
    "reference": {"item": str},
}
"""What each POST tells."""


class RatingServer(LocalPageServer):
    """Serves the items of one build to any number of raters until it is shut down."""

    folder = Path(__file__).parent
    command = "rate"
    sent = "a vote"
    shown = "the answers"

    def __init__(
        self, rating: Rating, port: int, address: str = ADDRESS, failed: Callable[[StoreError], None] = lambda _: None
    ) -> None:
        """Bind; `failed` hears of votes that could not be saved. Raises UsageError when the port is taken."""
        self.rating = rating
        self._failed = failed
        super().__init__(port, address)

    def failed(self, error: PipelineError) -> None:
        """Tell what went wrong with the file of votes: a rater elsewhere cannot mend it."""
        if isinstance(error, StoreError):
            self._failed(error)

    def get(self, request: Request) -> Any:
        """Return what all raters see the same, or a rater's next item."""
        if request.name == "about":
            return {**self.rating.about(), "prefers": preferred_language(request.headers.get("Accept-Language") or "")}
        if request.name == "item":
            return self._known(lambda: self.rating.next(_token(request)))
        raise nothing()

    def post(self, request: Request, told: Mapping[str, Any]) -> Any:
        """Take a name, a vote, an undo, or a wish to see the reference; saved when this returns."""
        members = _MEMBERS.get(request.name)
        if members is None:
            raise nothing()
        if told.keys() != members.keys() or any(type(told[name]) is not kind for name, kind in members.items()):
            wanted = ", ".join(f"`{name}`" for name in members) or "nothing"
            raise RequestError(HTTPStatus.BAD_REQUEST, f"`{request.name}` tells {wanted}")
        rating, token = self.rating, _token(request)
        if request.name == "rater":
            return rating.join(told["name"], again=told["again"])
        if request.name == "vote":
            return self._known(lambda: rating.vote(token, told["item"], told["choice"], told["comment"]))
        if request.name == "undo":
            return self._known(lambda: rating.undo(token))
        return self._known(lambda: rating.open_reference(token, told["item"]))

    def _known(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except UnknownRaterError as error:
            raise RequestError(
                HTTPStatus.UNAUTHORIZED, "nobody is known by this page's name: say who you are"
            ) from error
        except UnknownItemError as error:
            what = "this question is not asked any more: the page was loaded from another build"
            raise RequestError(HTTPStatus.GONE, what) from error


def _token(request: Request) -> str:
    return request.headers.get(RATER_HEADER) or ""


def preferred_language(accepted: str) -> str:
    """Return `ja` or `en`, whichever an `Accept-Language` header (RFC 9110) likes better; `en` where neither."""
    weights = {"ja": 0.0, "en": 0.0}
    for part in accepted.split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().partition("-")[0].casefold()
        if language in weights:
            weights[language] = max(weights[language], _weight(parameter))
    return "ja" if weights["ja"] > weights["en"] else "en"


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0
