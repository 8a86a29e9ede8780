"""A retraining's last stage: the new champion's predictions, set aside before, become the tasks' own and re-prioritise
them. It can be killed anywhere: what is still to be done is what is still set aside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from aggregation import queries
from aggregation.core import live
from aggregation.core.acquisition import PRIORITY_STEPS
from aggregation.core.fit import DENSE_LABELS
from aggregation.core.votes import Floats
from aggregation.models import Run
from aggregation.services.bulk import as_array
from aggregation.services.champion import keeping_learner
from aggregation.services.predicting import tasks_seen
from aggregation.services.publishing import write_tasks
from aggregation.services.runs import RunCancelled
from projects.models import Project
from projects.queries import WRITE_UNVOTED_TASKS, fetch
from projects.services.live_model import Live, live_model
from projects.services.recompute import Summaries, TaskRows, priorities, recompute_tasks, summaries_of

Proba = NDArray[np.float32]
Ids = NDArray[np.int64]

#: Confidence of a task without votes that has moved by less since it was written stays, and so does its place.
TOLERANCE = 0.01


def apply_predictions(*, project: Project, run: Run) -> None:
    """Apply what is set aside, a chunk a transaction: votes wait for a thousand rows, not for the project."""
    fetch(queries.REFITTED_TABLE)
    share = 0.5 / max(tasks_seen(run.counts), 1)
    while _apply_next(project, run, share):
        continue


def _apply_next(project: Project, run: Run, share: float) -> bool:
    """share: how much of the whole one task is. False if nothing was left."""
    with keeping_learner(project) as now:
        # Lost together with what it wrote, should the server crash: it need not wait for the disk.
        fetch(queries.NO_WAIT)
        taken = fetch(queries.TAKE_PREDICTED, run=run.id)
        if not taken:
            return False
        tasks = np.frombuffer(taken[0][0], dtype=np.int64)
        proba = np.frombuffer(taken[0][1], dtype=np.float32).reshape(len(tasks), -1)
        write_predictions(run.id, tasks, proba)
        steer(now, tasks, proba)
        if not fetch(queries.NOTE_PROGRESS, run=run.id, more=share * len(tasks)):
            raise RunCancelled(f"run {run.id} was ended meanwhile")
    return True


def steer(project: Project, tasks: Ids, proba: Proba) -> None:
    """State and place of tasks, i8[n] ascending, that are predicted so, f4[n, K].

    Most of a pool has no votes, and is what its prediction makes of it; the others are recomputed from their votes.
    Votes that come in meanwhile wait for the lock, and then see the predictions.
    """
    others = fetch(queries.LOCK_PREDICTED, tasks=as_array(tasks))
    model = live_model(project_id=project.id)
    known = np.isin(tasks, np.array([id_ for id_, *_ in others], dtype=np.int64))
    _write_unvoted(project, model, tasks[~known], proba[~known])
    unvoted = [row for row in others if row[1] == 0]
    if unvoted:
        place = np.searchsorted(tasks, np.array([id_ for id_, *_ in unvoted], dtype=np.int64))
        write_tasks([_summaries(project, model, unvoted, proba[place])], model.run, WRITE_UNVOTED_TASKS)
    recompute_tasks(project=project, task_ids=[id_ for id_, votes, *_ in others if votes > 0])


def write_predictions(run: int, tasks: Ids, proba: Proba) -> None:
    """What the learner of a retraining says of tasks, i8[n], becomes their own: f4[n, K], NaN for none."""
    readable = np.isfinite(proba).all(axis=1)
    if not readable.all():
        fetch(queries.FORGET_UNREADABLE, tasks=as_array(tasks[~readable]))
    stored = ";".join(_as_json(proba[readable]))
    fetch(queries.APPLY_PREDICTIONS, tasks=as_array(tasks[readable]), posteriors=stored, run=run)


def _as_json(proba: Proba) -> list[str]:
    """Each row, finite, as `live.encode_posterior` would have it stored."""
    if proba.shape[1] > DENSE_LABELS or not len(proba):
        return [orjson.dumps(live.encode_posterior(row.astype(np.float64))).decode() for row in proba]
    rows = orjson.dumps(np.ascontiguousarray(proba), option=orjson.OPT_SERIALIZE_NUMPY).decode()[2:-2].split("],[")
    return [f"[{row}]" for row in rows]


def _write_unvoted(project: Project, model: Live, tasks: Ids, proba: Proba) -> None:
    """State and queue of tasks of which nothing is known but their predictions."""
    posterior, _ = _as_predicted(model, proba)
    label, confidence, runner_up = live.summary(posterior)
    places = priorities(project, model, posterior, np.zeros_like(posterior))
    fetch(
        queries.WRITE_PREDICTED,
        tasks=as_array(tasks),
        labels=as_array(label),
        runners_up=as_array(runner_up),
        confidences=as_array(confidence),
        priorities="{}" if places is None else as_array(places),
        tolerance=TOLERANCE,
        places=round(TOLERANCE * PRIORITY_STEPS),
        run=model.run,
    )


def _as_predicted(model: Live, proba: Proba) -> tuple[Floats, NDArray[np.bool_]]:
    """Posteriors f8[n, K] of tasks without votes from their predictions f4[n, K]; and which predictions say something.

    As `recompute.summarise` would have them, without reading back what was just written.
    """
    predicted = np.asarray(np.isfinite(proba).all(axis=1) & (model.prediction_weight > 0), dtype=np.bool_)
    priors = np.tile(live.task_prior(model.label_prior, None, 0.0), (len(proba), 1))
    said = proba[predicted].astype(np.float64)
    priors[predicted] = live.task_prior(model.label_prior, said, model.prediction_weight)
    states = np.zeros_like(priors) if model.kinds is None else np.zeros((len(proba), model.kinds.size))
    return live.posteriors(priors, states, model.kinds), predicted


def _summaries(project: Project, model: Live, rows: Sequence[tuple[object, ...]], proba: Proba) -> Summaries:
    """Of tasks without votes that are gold, or retired for another reason."""
    posterior, predicted = _as_predicted(model, proba)
    return summaries_of(project, model, TaskRows.of(rows), posterior, np.zeros_like(posterior), predicted)
