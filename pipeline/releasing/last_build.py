"""The recipe's last build, as a release takes it: complete, up to date, judged by today's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.artifact import Manifest
from pipeline.context import Context
from pipeline.errors import FetchError
from pipeline.executors.contract import Environments
from pipeline.forecast import Forecast, forecast
from pipeline.gate_table import Review, review


@dataclass(frozen=True)
class LastBuild:
    """`found` is what a run would do with each stage, `reviews` what the gates say of what is there.

    `manifests` are those that are up to date, in the order of the work; those of a complete build hold the verdicts
    that the release was made with. `problem` says why nothing could be looked at: a file that the recipe names is
    missing.
    """

    found: tuple[Forecast, ...]
    reviews: tuple[Review, ...]
    manifests: Mapping[str, Manifest]
    problem: FetchError | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be built."""
        return self.problem is None and len(self.manifests) == len(self.found)


def last_build(context: Context, environments: Environments) -> LastBuild:
    """Look at every stage; nothing is built."""
    try:
        found = forecast(context, environments)
    except FetchError as error:
        return LastBuild((), (), {}, error)
    store = context.store()
    there = {item.stage: store.manifest(item.key) for item in found if item.state in {"up to date", "gate failed"}}
    manifests = {name: manifest for name, manifest in there.items() if manifest is not None}
    if "release" in manifests:
        # A store is shared: another recipe may have judged the same artifact by other limits since. The release's own
        # key says which verdicts it stands on.
        verdicts = manifests["release"].components["verdicts"]
        manifests = {name: manifest.judged(verdicts.get(name, ())) for name, manifest in manifests.items()}
    return LastBuild(tuple(found), tuple(review(context)), manifests)
