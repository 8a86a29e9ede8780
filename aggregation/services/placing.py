"""Places in the queue, and predictions, brought up to date: after an upload, other settings, or a lost challenge.

A few tasks a transaction, so that votes wait for those alone; killed, the job goes on from there. What the champion has
said of a task is not asked again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from django.db import transaction
from numpy.typing import NDArray

from aggregation import place_queries, queries
from aggregation.models import Run, RunKind, RunStage, RunStatus
from aggregation.services.applying import steer, write_predictions
from aggregation.services.artefacts import HeldOut, load_artefact, load_held_out
from aggregation.services.bulk import as_array
from aggregation.services.champion import LearnerChanged, keeping_learner
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.predicting import predict_chunk
from aggregation.services.scoring import score_new
from aggregation.services.spreading import spread_first
from projects.models import Learner, LiveModel, PlacesDue, Project
from projects.queries import DRAW_LOTS, fetch
from projects.services.projects import request_refit
from projects.services.recompute import decode_posteriors

logger = logging.getLogger(__name__)

#: Tasks in one transaction.
CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Champion:
    """The learner whose predictions steer; and what it predicted of tasks that it was taught, not having seen them."""

    run: int
    learned: Any
    held_out: HeldOut

    def says(self, ids: NDArray[np.int64], payloads: list[dict[str, Any]]) -> NDArray[np.float64]:
        """Predictions f8[n, K], NaN where there is none."""
        proba = predict_chunk(self.learned, payloads)
        self.held_out.put_into(ids, proba)
        return proba


def places_due() -> list[int]:
    """The projects with tasks that wait."""
    return [id_ for (id_,) in fetch(place_queries.PLACES_DUE)]


def place_tasks(*, project_id: int) -> int | None:
    """How many tasks were brought up to date. None if another process is at it, or a retraining is predicting them."""
    with advisory_lock(Lock.PLACES, project_id) as mine:
        if not mine:
            return None
        fetch(queries.REFITTED_TABLE)
        placed, known, champion, whole = 0, None, None, False
        while not _is_predicting(project_id):
            waiting = dict(PlacesDue.objects.filter(project=project_id).values_list("id", "first"))
            if not waiting:
                if whole and champion is not None:
                    spread_first(project=Project.objects.get(id=project_id), run=Run.objects.get(id=champion.run))
                return placed
            whole |= 0 in waiting.values()
            # After what was asked for, so that it sees what that was asked for.
            project = Project.objects.get(id=project_id)
            run = LiveModel.objects.values_list("learner_run", flat=True).get(project=project)
            if run != known:
                known, champion = run, None if run is None else _champion(project, run)
            placed += _place_next(project, run, champion, waiting)
    return None


def _is_predicting(project_id: int) -> bool:
    """Whether a retraining predicts the pool: whatever came too late for it is left to us when it has ended."""
    running = Run.objects.filter(project=project_id, kind=RunKind.RETRAINING, status=RunStatus.RUNNING)
    return running.exclude(stage=RunStage.TRAINING).exists()


def _champion(project: Project, run: int) -> Champion | None:
    """None for one that is not to be asked now: a remote one says its word at its next retraining; or a damaged one."""
    if project.learner == Learner.REMOTE:
        return None
    of = Run.objects.get(id=run)
    try:
        return Champion(run, load_artefact(run=of), load_held_out(run=of))
    except Exception:  # whatever ails it, tasks keep what they have
        logger.warning("The learner of run %s could not be loaded", run, exc_info=True)
        return None


def _place_next(project: Project, run: int | None, champion: Champion | None, waiting: dict[int, int]) -> int:
    """Bring the first tasks that wait up to date, unless the champion has changed: how many.

    waiting: the first task by request.
    """
    asked = {"project": project.id, "champion": run, "first": min(waiting.values()), "limit": CHUNK}
    rows = fetch(place_queries.TO_PLACE, **asked)
    mine = PlacesDue.objects.filter(id__in=waiting)
    if not rows:
        with transaction.atomic():
            mine.delete()
            request_refit(project_id=project.id)  # it publishes what has moved with new predictions
        return 0
    ids, votes = (np.array([row[column] for row in rows], dtype=np.int64) for column in (0, 1))
    fetch(DRAW_LOTS, project=project.id, tasks=as_array(ids))
    proba, lacking = _predicted(project, champion, ids, rows)
    try:
        with keeping_learner(project) as now:
            if LiveModel.objects.values_list("learner_run", flat=True).get(project=project) != run:
                return 0
            fetch(queries.NO_WAIT)
            if champion is not None and lacking.any():
                write_predictions(champion.run, ids[lacking], proba[lacking])
                told = lacking & np.isfinite(proba).all(axis=1)
                said = dict(zip(ids[told].tolist(), proba[told].astype(np.float64), strict=True))
                score_new(project=project, run=champion.run, said=said, taught=champion.held_out.tasks)
            moved = lacking | (votes == 0)  # what else votes make of a task, a refit tells
            if run is None:
                fetch(place_queries.FORGET_PREDICTIONS, project=project.id, tasks=as_array(ids))
            elif moved.any():
                steer(now, ids[moved], proba[moved])
            mine.filter(first__lte=ids[-1]).update(first=ids[-1] + 1)
    except LearnerChanged:
        return 0
    return len(rows)


def _predicted(
    project: Project, champion: Champion | None, ids: NDArray[np.int64], rows: list[tuple[Any, ...]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What the champion says of tasks, f4[n, K], NaN where nothing; and of which it had not said anything, bool[n]."""
    proba = np.full((len(rows), len(project.labels)), np.nan, dtype=np.float32)
    lacking = np.array([posterior is None for _, _, posterior, _ in rows], dtype=np.bool_)
    said = [posterior for _, _, posterior, _ in rows if posterior is not None]
    proba[~lacking] = decode_posteriors(said, len(project.labels))
    if champion is not None and lacking.any():
        payloads = [orjson.loads(data) for _, _, posterior, data in rows if posterior is None]
        proba[lacking] = champion.says(ids[lacking], payloads)
    return proba, lacking
