"""A retraining's second stage: every task is predicted, thousands at a time, and set aside until all are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
from django.db.models import Max
from numpy.typing import NDArray

from aggregation import queries
from aggregation.models import PredictedChunk, Run, RunStage
from aggregation.services.artefacts import load_artefact, load_held_out
from aggregation.services.champion import keeping_learner
from aggregation.services.remote import Predict, remote_predictor
from aggregation.services.runs import checkpoint
from projects.models import Learner, Project, Task
from projects.queries import fetch

#: Tasks predicted at a time, and of these so many are later re-prioritised in one transaction.
CHUNK, APPLIED = 5000, 1000


def predict_pool(*, project: Project, run: Run) -> None:
    """Leaves predictions of all tasks in `PredictedChunk`, held-out ones for the tasks taught; goes on where it was.

    Raises RunCancelled or LearnerChanged between two chunks.
    """
    predict, held_out = _predictor(project, run), load_held_out(run=run)
    total = max(Task.objects.filter(project=project).count(), 1)
    counts = {"predicted": 0, "unreadable": 0, **run.counts}
    remote = project.learner == Learner.REMOTE
    after = PredictedChunk.objects.filter(run=run).aggregate(last=Max("last_task"))["last"] or 0
    for ids, votes, payloads in _pool(project, after):
        proba = predict(ids, votes, payloads)
        held_out.put_into(ids, proba)
        nothing = np.isnan(proba).any(axis=1)
        not_asked = nothing & (votes > 0) & remote
        counts["predicted"] += int((~nothing).sum())
        counts["unreadable"] += int((nothing & ~not_asked).sum())
        if remote:
            counts["not_asked"] = counts.get("not_asked", 0) + int(not_asked.sum())
        done = tasks_seen(counts) / total
        with keeping_learner(project):
            checkpoint(run=run, counts=counts, progress=min(done, 1.0) / 2)
            PredictedChunk.objects.bulk_create(_chunks(run, ids, proba.astype(np.float32)))


def tasks_seen(counts: dict[str, int]) -> int:
    """Of a run that predicts: predicted, not readable, and what a remote learner is not asked about."""
    return sum(counts.get(name, 0) for name in ("predicted", "unreadable", "not_asked"))


def _chunks(run: Run, ids: NDArray[np.int64], proba: NDArray[np.float32]) -> Iterator[PredictedChunk]:
    for first in range(0, len(ids), APPLIED):
        tasks = ids[first : first + APPLIED]
        part = proba[first : first + APPLIED]
        yield PredictedChunk(run=run, last_task=int(tasks[-1]), tasks=tasks.tobytes(), proba=part.tobytes())


def predict_chunk(learned: Any, payloads: list[dict[str, Any]]) -> NDArray[np.float64]:
    """Predictions f8[n, K]; NaN for what the learner can't read: one odd task is left out, not all of them."""
    from aggregation.learners import predict_readable

    readable, found = predict_readable(learned, payloads)
    proba = np.full((len(payloads), learned.n_labels), np.nan)
    proba[readable] = found
    return proba


def _predictor(project: Project, run: Run) -> Predict:
    if project.learner == Learner.REMOTE:
        return _remote(project, run)
    learned = load_artefact(run=run)
    return lambda ids, votes, payloads: predict_chunk(learned, payloads)


def _remote(project: Project, run: Run) -> Predict:
    """The run keeps the version of what was taught elsewhere, and is cancelled also while that goes on."""

    def taught(version: str) -> None:
        checkpoint(run=run, parameters=run.parameters | {"model_version": version})

    return remote_predictor(project, still=lambda: checkpoint(run=run, stage=RunStage.PREDICTING), taught=taught)


def _pool(project: Project, after: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], list[dict[str, Any]]]]:
    """Ids, votes and data of a project's tasks behind this one, so that a large pool never lies in memory."""
    while rows := fetch(queries.POOL, project=project.id, after=after, limit=CHUNK):
        ids, votes, data = zip(*rows, strict=True)
        yield np.array(ids, dtype=np.int64), np.array(votes, dtype=np.int64), list(map(orjson.loads, data))
        after = ids[-1]
