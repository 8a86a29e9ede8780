"""Retraining: a classifier on consensus from votes only, its predictions, and with them who is asked what next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import transaction
from psycopg.types.json import Jsonb

from aggregation import queries
from aggregation.core import live
from aggregation.core.prediction import fit_weight
from aggregation.models import LearnerArtefact, Run, RunKind
from aggregation.services.auditing import audit_share_of, is_audited
from aggregation.services.fitting import Loaded, fit_label_model, load_votes
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.runs import finish_run, recorded_run
from projects.models import Gold, LiveModel, Prediction, Project, Task
from projects.queries import fetch, from_json
from projects.services.hints import hint_after_commit
from projects.services.projects import request_refit
from projects.services.recompute import recompute_tasks

if TYPE_CHECKING:
    from aggregation.learners import Learned

#: Tasks predicted and re-prioritised in one transaction.
CHUNK = 1000
SEED = 0


class LearnerChanged(Exception):
    """A retraining was overtaken by a change of its project's learner."""


def retrain(*, project_id: int) -> Run | None:
    """Train, predict, re-prioritise. None if it is not due, or another process is at it."""
    with advisory_lock(Lock.RETRAINING, project_id) as mine:
        if not mine or not retraining_due(project_id=project_id):
            return None
        project = Project.objects.get(id=project_id)
        try:
            return _retrain(project)
        finally:
            # Whatever came of it, the request was answered (a killed run's was not); a newer one stays due.
            Project.objects.filter(id=project_id, retrain_requested_at=project.retrain_requested_at).update(
                retrain_requested_at=None
            )


def retraining_due(*, project_id: int | None = None) -> list[int]:
    """The projects (or this one) whose learner is due by request, new votes or time."""
    return [id_ for (id_,) in fetch(queries.RETRAINING_DUE, project=project_id)]


def _retrain(project: Project) -> Run:
    from aggregation.learners import LEARNERS, Target

    parameters = {"learner": project.learner, "fields": project.learner_fields, "seed": SEED} | {
        "audit_share": audit_share_of(project)
    }
    assert project.learner, "retraining_due lists no project without a learner"
    with recorded_run(project=project, kind=RunKind.RETRAINING, parameters=parameters) as run:
        loaded = load_votes(project=project)
        # What audits the learner does not teach it.
        voted = np.flatnonzero((loaded.votes_per_task > 0) & ~is_audited(project, loaded.task_ids))
        # Noted at once, so that a failed run is not due again before there are new votes.
        Run.objects.filter(id=run.id).update(counts={"votes": len(loaded.votes), "trained_on": len(voted)})
        if not len(voted):
            raise ValueError("There are no votes to learn from yet.")
        # From votes alone: gold stays apart, to measure the learner by.
        fit = fit_label_model(project=project, votes=loaded.votes, gold=None)
        posterior = fit.posterior[voted]
        payloads = _payloads(loaded.task_ids[voted])
        learnt = LEARNERS[project.learner].fit(payloads, Target.winning(posterior), project.learner_fields, seed=SEED)
        held_out = learnt.held_out
        weight = fit_weight(held_out, posterior, fit.label_prior)
        content = learnt.learned.save()
        LearnerArtefact.objects.create(run=run, content=content, sha256=hashlib.sha256(content).hexdigest())

        predictions = dict(zip(loaded.task_ids[voted].tolist(), held_out, strict=True))
        with _keeping_learner(project):
            LiveModel.objects.filter(project=project).update(prediction_weight=weight, learner_run=run.id)
        predicted = unreadable = 0
        for ids, pool_payloads in _pool(project):
            readable, proba = _predict(learnt.learned, pool_payloads)
            with _keeping_learner(project):
                _write_predictions(run=run, ids=[ids[row] for row in readable], proba=proba, held_out=predictions)
                Prediction.objects.filter(task__in=ids).exclude(run=run.id).delete()
                _reprioritise(project=project, task_ids=ids)
            predicted += len(readable)
            unreadable += len(ids) - len(readable)
        finish_run(
            run=run,
            counts={
                "votes": len(loaded.votes),
                "trained_on": len(voted),
                "predicted": predicted,
                "unreadable": unreadable,
            },
            metrics={
                "out_of_fold_agreement": float((held_out.argmax(axis=1) == posterior.argmax(axis=1)).mean()),
                "prediction_weight": weight,
                **_gold_accuracy(project=project, run=run, loaded=loaded),
            },
        )
    # Confidence has moved with the predictions: a refit publishes it.
    request_refit(project_id=project.id)
    run.refresh_from_db()
    return run


@contextmanager
def _keeping_learner(project: Project) -> Iterator[None]:
    """A transaction that no change of the project's learner passes: what was forgotten with a learner stays so.

    Raises LearnerChanged if there is another one already.
    """
    with transaction.atomic():
        now = Project.objects.select_for_update(no_key=True).get(id=project.id)
        if (now.learner, now.learner_fields) != (project.learner, project.learner_fields):
            raise LearnerChanged("The learner was changed while it was being trained.")
        yield


def _payloads(task_ids: Sequence[int] | np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """The tasks' data, in the order of the ids."""
    data = Task.objects.in_bulk([int(id_) for id_ in task_ids])
    return [data[int(id_)].data for id_ in task_ids]


def _pool(project: Project) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """All tasks of a project, a chunk at a time, so that a large pool never lies in memory."""
    after = 0
    while rows := fetch(queries.POOL, project=project.id, after=after, limit=CHUNK):
        yield [id_ for id_, _ in rows], [from_json(data) for _, data in rows]
        after = rows[-1][0]


def _predict(learned: Learned, payloads: list[dict[str, Any]]) -> tuple[list[int], np.ndarray[Any, Any]]:
    """The rows that the learner can read, and its predictions for them: one odd task is left out, not all of them."""
    from aggregation.learners import predict_readable

    readable, proba = predict_readable(learned, payloads)
    return readable.tolist(), proba


def _write_predictions(
    *, run: Run, ids: Sequence[int], proba: np.ndarray[Any, Any], held_out: dict[int, np.ndarray[Any, Any]]
) -> None:
    """Store predictions; out of fold where the task was trained on."""
    rows = [
        {"task_id": id_, "posterior": live.encode_posterior(held_out.get(id_, row))}
        for id_, row in zip(ids, proba, strict=True)
    ]
    fetch(queries.WRITE_PREDICTIONS, rows=Jsonb(rows), run=run.id)


def _reprioritise(*, project: Project, task_ids: Sequence[int]) -> None:
    """New joint uncertainty for these tasks, under their locks: votes wait for a thousand rows, not for the project."""
    fetch(queries.LOCK_TASKS.format(wait=""), tasks=list(task_ids))
    recompute_tasks(project=project, task_ids=task_ids)


def _gold_accuracy(*, project: Project, run: Run, loaded: Loaded) -> dict[str, Any]:
    """Accuracy of the stored predictions against gold, apart for tasks with votes (out of fold) and without."""
    K = len(project.labels)
    with_votes = set(loaded.task_ids[loaded.votes_per_task > 0].tolist())
    right: dict[bool, list[bool]] = {True: [], False: []}
    golds = Gold.objects.filter(project=project, task__prediction__run=run.id)
    for task_id, label, encoded in golds.values_list("task_id", "label", "task__prediction__posterior"):
        right[task_id in with_votes].append(int(live.decode_posterior(encoded, K).argmax()) == label)
    both = right[True] + right[False]
    return {
        "accuracy_gold": sum(both) / len(both) if both else None,
        "gold": len(both),
        "accuracy_gold_without_votes": sum(right[False]) / len(right[False]) if right[False] else None,
        "gold_without_votes": len(right[False]),
    }


def hint_if_due(*, project_id: int) -> None:
    """After a refit: its votes may have made a retraining due."""
    if retraining_due(project_id=project_id):
        hint_after_commit("aggregation.retrain", project_id)
