"""What the champion says of a project's tasks, as numbers that SQL can count: a look at audits reads no predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from aggregation import tier_queries
from aggregation.core.audits import ALWAYS
from aggregation.core.confirming import sharpened
from aggregation.core.threshold_plan import ThresholdPlan
from aggregation.core.votes import Floats
from aggregation.models import Auditing, LearnerArtefact
from aggregation.services.auditing import lots_of
from aggregation.services.bulk import copy_columns, copy_rows
from projects.models import Project
from projects.queries import fetch
from projects.services.recompute import decode_posteriors

Ints = NDArray[np.int64]

#: Tasks scored in one transaction.
CHUNK = 20_000
#: Before the id of every task.
NEVER = 0
#: A probability that nothing reaches.
BEYOND = 2.0


def score_pool(*, project: Project, auditing: Auditing, run: int, sharpness: float) -> None:
    """Score all predictions of this retraining, once. Killed, it begins again."""
    if (auditing.scored_run, auditing.sharpness) == (run, sharpness):
        return
    auditing.scored_run, auditing.sharpness = None, sharpness
    auditing.save()
    taught = _taught(run)
    after, asked = NEVER, {"project": project.id, "run": run, "limit": CHUNK}
    while rows := fetch(tier_queries.PREDICTED, after=after, **asked):
        ids = np.array([id_ for id_, _ in rows], dtype=np.int64)
        said = sharpened(decode_posteriors([encoded for _, encoded in rows], len(project.labels)), sharpness)
        _write(project, run, ids, said, np.isin(ids, taught))
        after = int(ids[-1])
    fetch("ANALYZE aggregation_scored")  # many rows at once: else looks are planned as if there were few
    auditing.scored_run = run
    auditing.save()


def score_new(*, project: Project, run: int, said: Mapping[int, Floats], taught: Ints | None = None) -> None:
    """Score tasks that have come since all were, if they were: f8[K] by id. taught: what the learner was."""
    sharpness = Auditing.objects.filter(project=project).values_list("sharpness", flat=True).first()
    if sharpness is None or not said:
        return
    ids = np.array(sorted(said), dtype=np.int64)
    proba = sharpened(np.array([said[id_] for id_ in ids.tolist()]), sharpness)
    _write(project, run, ids, proba, np.isin(ids, [] if taught is None else taught))


def _taught(run: int) -> Ints:
    """Tasks that this retraining's learner was taught, ids."""
    from aggregation.services.artefacts import HeldOut

    stored = LearnerArtefact.objects.filter(run=run).values_list("held_out", flat=True).first()
    return np.empty(0, np.int64) if stored is None else HeldOut.load(bytes(stored)).tasks


def _write(project: Project, run: int, ids: Ints, said: Floats, taught: NDArray[np.bool_]) -> None:
    columns = (ids, said.max(axis=1), said.argmax(axis=1), lots_of(project, ids), taught)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    with transaction.atomic():
        fetch(tier_queries.SCORED_TABLE)
        copy_rows("scored", (f"{id_}\t{score}\t{label}\t{lot}\t{seen}" for id_, score, label, lot, seen in rows))
        fetch(tier_queries.WRITE_SCORED, project=project.id, run=run)


@dataclass(frozen=True)
class Part:
    """The tasks of a project that a look is about: scored by this run, from one id on and before another."""

    project: Project
    run: int
    first: int = NEVER
    before: int = ALWAYS

    @property
    def asked(self) -> dict[str, int]:
        confirmed = self.project.has_confirmed
        about = {"project": self.project.id, "run": self.run, "confirmed": confirmed}
        return about | {"first": self.first, "before": self.before}


@dataclass(frozen=True, eq=False)
class Pool:
    """How many tasks there are, int[G + 1] each: at or above each threshold of a plan but no stricter one, last below.

    free: those that the machine may label, or has; open, shown: those that people may answer, and of these those of
    which they see what the machine says; free_open, free_shown: both. voted, all: how many tasks. newest: the last id.
    """

    free: Ints
    open: Ints
    shown: Ints
    free_open: Ints
    free_shown: Ints
    voted: int
    all: int
    newest: int

    @property
    def tasks(self) -> Ints:
        """Free tasks at or above each threshold, int[G]."""
        return np.asarray(self.free[:-1].cumsum())

    def tiers(self, thresholds: int) -> dict[str, int]:
        """How many tasks are the machine's, are to be confirmed and to be labelled, if it labels above this row."""
        alone = int(self.free[:thresholds].sum())
        confirm = int(self.shown.sum() - self.free_shown[:thresholds].sum())
        return {
            "auto": alone,
            "confirm": confirm,
            "label": int(self.open.sum() - self.free_open[:thresholds].sum()) - confirm,
        }


def count_pool(part: Part, plan: ThresholdPlan | None) -> Pool:
    """Counted in SQL, by the bands between thresholds."""
    rising = [] if plan is None else plan.threshold[::-1].tolist()
    above = part.project.confirm_above
    confirm = BEYOND if above is None else above
    counts = np.zeros((len(rising) + 1, 5), np.int64)
    voted = total = newest = 0
    # Without a threshold width_bucket has nothing to count by: one that nothing reaches is none.
    for band, *numbers, votes, tasks, last in fetch(
        tier_queries.COUNT_POOL, thresholds=rising or [BEYOND], confirm=confirm, **part.asked
    ):
        counts[len(rising) - band] = numbers
        voted, total, newest = voted + votes, total + tasks, max(newest, last)
    free, is_open, shown, free_open, free_shown = counts.T
    return Pool(free, is_open, shown, free_open, free_shown, voted, total, newest)


def scores_of_pool(part: Part) -> Floats:
    """What the machine's probabilities are of the tasks that it may label, f8[n]."""
    return copy_columns(tier_queries.POOL_SCORES, part.asked, score="f8")["score"]
