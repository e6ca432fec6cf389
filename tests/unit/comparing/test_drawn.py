"""Losses, forgetting, BLEU and chrF of two runs: the difference in every resample, and what it allows to say."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.comparing import drawn
from pipeline.comparing.metrics import metrics
from pipeline.comparing.side import find_side
from pipeline.comparing.yardsticks import OF_TEXT
from tests.support.two_runs import ASKED, Builds, answer, evaluated

ANSWERS = [answer(at, 0.5) for at in range(ASKED)]


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """An empty build folder."""
    return Builds(tmp_path)


def spread(mean: float, width: float = 0.02) -> list[float]:
    """A measure in 200 resamples."""
    return [mean + width * (at - 99.5) / 99.5 for at in range(200)]


def row_of(
    builds: Builds,
    name: str,
    first: Sequence[float],
    second: Sequence[float],
    texts: tuple[str, str] = ("a", "a"),
    answers: Sequence[Any] = ANSWERS,
    form: str = "verify-hf",
) -> dict[str, Any]:
    """Return a measure's row of two runs that published it in every resample, and read these texts."""
    of = drawn.PERPLEXITIES.get(name)
    for run, values, text, asked in (("1", first, texts[0], ANSWERS), ("2", second, texts[1], answers)):
        read = builds.stage("preflight", {"parity.json": text, "neutral.json": text}, outside={"text": text})
        published = {name: values} if of is None else {of: values, name: [math.exp(one) for one in values]}
        builds.run(run, read, evaluated(builds, asked, drawn=published))
    found = metrics(*(find_side(builds.build, run) for run in "12"))
    return next(dict(row) for row in found["rows"] if (row["metric"], row["form"]) == (name, form))


@pytest.mark.parametrize(("name", "sure"), [("loss", "better"), ("forgetting_kl", "better"), ("bleu", "worse")])
def test_a_difference_that_every_resample_shows_has_a_verdict(builds: Builds, name: str, sure: str) -> None:
    """Less loss and forgetting is better, less BLEU is worse; the bounds are those of the differences."""
    row = row_of(builds, name, spread(2.0), spread(1.5, 0.04))
    assert (row["difference"], row["pairs"], row["verdict"]) == (-0.5, ASKED, f"{sure} (one training)")
    assert (row["low"], row["high"], row["reason"]) == (-0.519, -0.481, None)


def test_a_perplexity_is_the_exponential_of_its_loss(builds: Builds) -> None:
    """It is not published itself, and its interval is that of the exponentials."""
    row = row_of(builds, "perplexity", [1.0] * 200, [0.0] * 200)
    assert (row["low"], row["high"], row["verdict"]) == (-1.718282, -1.718282, "better (one training)")


def test_a_difference_that_some_resamples_turn_round_is_none(builds: Builds) -> None:
    """The interval holds zero."""
    assert row_of(builds, "loss", spread(2.0), spread(1.99)[::-1])["verdict"] == "no difference shown"


@pytest.mark.parametrize("name", ["loss", "neutral_perplexity", "forgetting_kl"])
def test_a_sure_difference_of_less_than_a_hundredth_of_a_nat_does_not_matter(builds: Builds, name: str) -> None:
    """As in the evaluation: rounding does that."""
    assert row_of(builds, name, spread(2.0), spread(1.995))["verdict"] == "no difference that matters"


def test_the_untuned_bases_were_not_trained(builds: Builds) -> None:
    """Of them the word stands alone."""
    assert row_of(builds, "loss", spread(2.0), spread(1.5), form="verify-base")["verdict"] == "better"


def test_another_text_has_no_difference(builds: Builds) -> None:
    """Values stand beside each other, with the reason."""
    row = row_of(builds, "loss", spread(2.0), spread(1.5), texts=("a", "b"))
    assert (row["difference"], row["low"], row["verdict"]) == (None, None, None)
    assert "the same tokens" in row["reason"]


def test_the_same_prompts_in_another_order_drew_others(builds: Builds) -> None:
    """BLEU has no interval then; a loss hangs on no prompt."""
    row = row_of(builds, "bleu", spread(2.0), spread(1.5), answers=ANSWERS[::-1])
    assert (row["difference"], row["low"]) == (-0.5, None)


def test_the_same_text_read_by_runs_with_other_prompts_has_one(builds: Builds) -> None:
    """Forgetting on the same neutral text: the prompts do not matter."""
    others = [answer(at, 0.5, asked="other") for at in range(ASKED)]
    assert row_of(builds, "forgetting_kl", spread(2.0), spread(1.5), answers=others)["low"] == -0.5


def test_the_rules_are_those_of_the_evaluation() -> None:
    """They stand in two worlds."""
    from pipeline.inside.scoring import forms
    from pipeline.inside.scoring.measures import MEASURES

    assert drawn.PERPLEXITIES == forms.PERPLEXITIES
    assert drawn.LEAST_LOSS == forms.LEAST_LOSS
    assert {name for name, one in MEASURES.items() if one.level in ("text", "corpus")} == drawn.MEASURES
    assert {name for name, one in MEASURES.items() if one.level == "text"} == OF_TEXT


def test_the_interval_is_that_of_numpy_over_the_windows() -> None:
    """What two evaluations publish gives the interval of the paired windows, to the last published digit but one."""
    import numpy as np

    from pipeline.inside.scoring import bootstrap, text_loss

    rng = random.Random(3)
    runs = [
        np.array([(round(rng.gauss(mean, 0.5) * 64 * bootstrap.SCALE), 64) for _ in range(45)], dtype=np.int64)
        for mean in (4.0, 3.8)
    ]
    means = [text_loss.means(one) for one in runs]
    expected = bootstrap.interval(means[1] - means[0])
    published: list[drawn.Drawn] = [
        {("loss", "f"): {"drawn_from": 45, "values": [round(one, 6) for one in run.tolist()]}} for run in means
    ]
    found = drawn.interval("loss", "f", [text_loss.mean(one) for one in runs], published)
    assert found is not None
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-6)
    assert found.pairs == 45
