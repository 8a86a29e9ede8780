"""A retraining's last stage: the new champion's predictions, set aside before, become the tasks' own and re-prioritise
them. It can be killed anywhere: what is still to be done is what is still set aside."""

from __future__ import annotations

import numpy as np
import orjson
from django.db.models import F
from django.db.models.functions import Least
from numpy.typing import NDArray

from aggregation import queries
from aggregation.core import live
from aggregation.core.fit import DENSE_LABELS
from aggregation.models import PredictedChunk, Run
from aggregation.services.bulk import copy_rows
from aggregation.services.champion import keeping_learner
from aggregation.services.publishing import write_tasks
from aggregation.services.runs import checkpoint
from projects.models import Project
from projects.queries import WRITE_UNVOTED_TASKS, fetch
from projects.services.live_model import live_model
from projects.services.recompute import Summaries, TaskRows, recompute_tasks, summaries_of

Proba = NDArray[np.float32]


def apply_predictions(*, project: Project, run: Run) -> None:
    """Apply what is set aside, a chunk a transaction: votes wait for a thousand rows, not for the project."""
    fetch(queries.REFITTED_TABLE)
    fetch(queries.PREDICTED_TABLE)
    share = 0.5 / max(run.counts["predicted"] + run.counts["unreadable"], 1)
    while _apply_next(project, run, share):
        continue


def _apply_next(project: Project, run: Run, share: float) -> bool:
    """share: how much of the whole one task is. False if nothing was left."""
    with keeping_learner(project) as now:
        chunk = PredictedChunk.objects.filter(run=run).order_by("last_task").first()
        if chunk is None:
            return False
        tasks = np.frombuffer(bytes(chunk.tasks), dtype=np.int64)
        proba = np.frombuffer(bytes(chunk.proba), dtype=np.float32).reshape(len(tasks), -1)
        _write(run, tasks, proba)
        _reprioritise(now, tasks, proba)
        chunk.delete()
        checkpoint(run=run, progress=Least(F("progress") + share * len(tasks), 1.0))
    return True


def _write(run: Run, tasks: NDArray[np.int64], proba: Proba) -> None:
    copy_rows("predicted", (f"{task}\t{text}" for task, text in zip(tasks.tolist(), _as_json(proba), strict=True)))
    fetch(queries.APPLY_PREDICTIONS, run=run.id)


def _as_json(proba: Proba) -> list[str]:
    """Each row as `live.encode_posterior` would have it stored; null for one of NaN."""
    if proba.shape[1] <= DENSE_LABELS:
        rows = orjson.dumps(np.ascontiguousarray(proba), option=orjson.OPT_SERIALIZE_NUMPY).decode()[2:-2].split("],[")
        return ["\\N" if row.startswith("null") else f"[{row}]" for row in rows]
    return [
        "\\N" if np.isnan(row).any() else orjson.dumps(live.encode_posterior(row.astype(np.float64))).decode()
        for row in proba
    ]


def _reprioritise(project: Project, tasks: NDArray[np.int64], proba: Proba) -> None:
    """New joint uncertainty for these tasks, under their locks.

    Most of a pool has no votes, and is what its prediction makes of it; the others are recomputed from their votes.
    """
    rows = fetch(queries.LOCK_PREDICTED, tasks=tasks.tolist())
    model = live_model(project_id=project.id)
    unvoted = [row for row in rows if row[1] == 0]
    if unvoted:
        place = np.searchsorted(tasks, np.array([id_ for id_, *_ in unvoted], dtype=np.int64))
        write_tasks([_as_predicted(project, unvoted, proba[place].astype(np.float64))], model.run, WRITE_UNVOTED_TASKS)
    recompute_tasks(project=project, task_ids=[id_ for id_, votes, *_ in rows if votes > 0])


def _as_predicted(project: Project, rows: list[tuple[object, ...]], proba: NDArray[np.float64]) -> Summaries:
    """As `recompute.summarise` would have them, without reading back what was just written."""
    model = live_model(project_id=project.id)
    predicted = np.asarray(np.isfinite(proba).all(axis=1) & (model.prediction_weight > 0), dtype=np.bool_)
    priors = np.tile(live.task_prior(model.label_prior, None, 0.0), (len(rows), 1))
    priors[predicted] = live.task_prior(model.label_prior, proba[predicted], model.prediction_weight)
    nothing = np.zeros_like(priors)
    states = nothing if model.kinds is None else np.zeros((len(rows), model.kinds.size))
    posterior = live.posteriors(priors, states, model.kinds)
    return summaries_of(project, model, TaskRows.of(rows), posterior, nothing, predicted)
