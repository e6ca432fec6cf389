"""Kill a build until there were enough kills, and look at the store after each; rounds in fresh stores."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pipeline.errors import ExecutorError
from tests.chaos.attempt import REPOSITORY, WAYS, Attempt, Work
from tests.chaos.inspection import Inspector, last_digests
from tests.chaos.intervals import Intervals
from tests.chaos.table import Kill
from tests.golden.digests import Digests, compare

_FIRST_STEPS: Final = 20
"""A training that begins anew tells of one of its first steps; one that goes on from a checkpoint of a later one."""
_SIGKILL: Final = -9


@dataclass
class Campaign:
    """What is done to which recipe, and what came of it. `prepare` fills a fresh build folder."""

    folder: Path
    recipe: str
    name: str
    target: str
    sound: Digests
    wanted: int
    seconds: float
    seed: int
    shortest_s: float = 2.0
    prepare: Callable[[Path], None] = lambda _: None
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rounds: int = 0
    orphans: int = 0

    def run(self) -> None:
        """Build again and again until there were as many kills as wanted, or the time is over; the last one ends."""
        chance = random.Random(self.seed)
        intervals = Intervals(chance, self.shortest_s)
        started = time.monotonic()
        while not self.rounds or not self._is_enough(started):
            self.rounds += 1
            build = self.folder / f"round-{self.rounds}"
            shutil.rmtree(build, ignore_errors=True)
            build.mkdir(parents=True)
            self.prepare(build)
            self._round(Work(build, self.recipe, self.target), intervals, chance, started)
            if self.problems:
                return  # the folder stays for a look
            shutil.rmtree(build)

    def summary(self) -> list[str]:
        """Return what came of it in sentences, the problems last."""
        lost, lived = (sum(getattr(kill, name) for kill in self.kills) for name in ("lost_s", "lived_s"))
        builds = "1 build" if self.rounds == 1 else f"{self.rounds} builds"
        return [
            f"Kills: {len(self.kills)}, in {builds} from an empty store, each resumed to its end.",
            f"Lived before the kills: {lived:.0f} s, of which {lost:.0f} s had to be done again.",
            f"Orphans: {self.orphans}. Wrong artifacts and other problems: {len(self.problems)}.",
            *self.problems,
        ]

    def _is_enough(self, started: float) -> bool:
        return len(self.kills) >= self.wanted or time.monotonic() - started > self.seconds

    def _round(self, work: Work, intervals: Intervals, chance: random.Random, started: float) -> None:
        inspector = Inspector(work.build, self.sound)
        published: Counter[str] = Counter()
        finished = False
        while not finished and not self.problems:
            before = inspector.saved()
            attempt = Attempt(work)
            try:
                killed = not self._is_enough(started) and self._kill(attempt, inspector, intervals, chance)
                code = attempt.finish() if not killed else attempt.process.returncode
            finally:
                attempt.close()
            self._note_resumption(attempt)
            published.update(event["key"] for event in attempt.named("artifact.published"))
            self.problems += [] if killed and code in _ENDS_OF_KILLED else _badly_ended(code, attempt)
            finished = code == 0
            intervals.learn(progressed=inspector.saved() != before)
            self._inspect(inspector)
        self.problems += [f"built {count} times: {key}" for key, count in published.items() if count > 1]
        if not self.problems:
            self._look_at_the_end(work, inspector)

    def _kill(self, attempt: Attempt, inspector: Inspector, intervals: Intervals, chance: random.Random) -> bool:
        """Let an attempt live for its time, then kill it; return whether it was still there."""
        lifetime, aims = intervals.draw(), intervals.aims()
        if aims and attempt.job_ended.wait(lifetime):
            lifetime = time.monotonic() - attempt.started + intervals.after_a_job()
        if not attempt.lives(attempt.started + lifetime - time.monotonic()):
            return False
        now, stage = time.time(), attempt.doing()
        saved = max(attempt.started_at + attempt.last_published(), inspector.last_saved(attempt.started_at))
        way = attempt.kill(chance.choice(WAYS), chance)
        kill = Kill(stage, way, now - attempt.started_at, max(0.0, now - saved))
        self.kills.append(kill)
        text = f"kill {len(self.kills)}: {stage}, {way}, lived {kill.lived_s:.1f} s, lost {kill.lost_s:.1f} s"
        print(f"{text}{', just after a job' if aims and attempt.job_ended.is_set() else ''}", flush=True)
        return True

    def _note_resumption(self, attempt: Attempt) -> None:
        """Write down, at the kills that wait for it, from which step their training went on."""
        for number, kill in enumerate(self.kills[:-1] if attempt.process.returncode else self.kills):
            first = attempt.first_step(kill.stage)
            if kill.resumed_at is None and first is not None and first > _FIRST_STEPS and self._is_last(number):
                self.kills[number] = replace(kill, resumed_at=first)

    def _is_last(self, number: int) -> bool:
        """Say whether no later kill but the one of the attempt that is looked at fell into the same stage."""
        return sum(kill.stage == self.kills[number].stage for kill in self.kills[number + 1 :]) <= 1

    def _inspect(self, inspector: Inspector) -> None:
        orphans = inspector.orphans()
        self.orphans += len(orphans)
        self.problems += [f"process {number} lives on" for number in orphans]
        self.problems += inspector.wrong_artifacts()
        self.problems += [f"nobody lives, and this lock is held: {name}" for name in inspector.blocked()]

    def _look_at_the_end(self, work: Work, inspector: Inspector) -> None:
        """Compare everything with the uninterrupted build, and let `verify` hash it."""
        built = last_digests(work.build, self.name)
        self.problems += compare({stage: self.sound[stage] for stage in built if stage in self.sound}, built)
        if not self.target:
            self.problems += [f"{stage}: not built" for stage in self.sound if stage not in built]
        self.problems += [f"left in tmp: {path.name}" for path in (work.build / "store" / "tmp").iterdir()]
        command = [sys.executable, "-m", "pipeline", "verify", "--build", str(work.build), "--recipe", work.recipe]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        self.problems += [] if done.returncode == 0 else [f"verify: {done.stderr}"]
        print(f"round {self.rounds}: {len(inspector.seen)} artifacts, all as without kills", flush=True)


_ENDS_OF_KILLED: Final = {_SIGKILL, ExecutorError.exit_code, 0}
"""Exit codes after a kill: the client's own death; a job's death, told in words; a job that had ended just before."""


def _badly_ended(code: int, attempt: Attempt) -> list[str]:
    if code == 0 and "Traceback" not in attempt.errors:
        return []
    return [f"ended by itself with {code}: {attempt.errors[-1000:]}"]
