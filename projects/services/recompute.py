"""A task's posterior, always recomputed from its counted votes and never multiplied on: undoing a vote is exact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from aggregation.core import live
from aggregation.core.acquisition import ACQUISITIONS, priority
from aggregation.core.stopping import retire_reason
from projects import queries
from projects.models import LiveModel, Project
from projects.queries import fetch, from_json


@dataclass(frozen=True)
class TaskSummary:
    """A task's state as its votes, its gold and its prediction make it. ``posterior``: f8[K]."""

    task_id: int
    votes: int
    label: int
    runner_up: int
    confidence: float
    priority: int
    retired: str | None
    posterior: np.ndarray[Any, np.dtype[np.float64]]
    has_gold: bool
    has_prediction: bool


def recompute_tasks(*, project: Project, task_ids: Sequence[int]) -> list[TaskSummary]:
    """Recompute and write these tasks' posterior, confidence, priority and retirement from what is stored.

    The caller holds the tasks' rows (``projects_taskstate``) locked, so that no vote comes in between.
    """
    model = LiveModel.objects.get(project=project)
    summaries = summarise(project=project, model=model, task_ids=task_ids)
    write_summaries(summaries=summaries, run=model.run)
    return summaries


def summarise(*, project: Project, model: LiveModel, task_ids: Sequence[int]) -> list[TaskSummary]:
    """The summaries of these tasks, nothing written."""
    K = len(project.labels)
    label_prior = np.asarray(model.label_prior)
    likelihoods: dict[int, list[Any]] = defaultdict(list)
    tasks = list(task_ids)
    for task_id, voted, vector, accuracy, errors in fetch(queries.VOTES_TO_RECOMPUTE, tasks=tasks):
        likelihoods[task_id].append(live.vote_likelihood(voted, K, vector, accuracy, model.pooled_accuracy, errors))
    summaries = []
    for task_id, votes, redundancy, gold, encoded in fetch(queries.TASKS_TO_RECOMPUTE, tasks=tasks):
        prediction = None if encoded is None else live.decode_posterior(from_json(encoded), K)
        prior = live.task_prior(label_prior, prediction, model.prediction_weight)
        posterior = live.posterior(prior, np.array(likelihoods[task_id]).reshape(-1, K))
        summaries.append(
            summary_of(
                project=project,
                task_id=task_id,
                votes=votes,
                redundancy=redundancy,
                posterior=posterior,
                gold=gold,
                has_prediction=prediction is not None and model.prediction_weight > 0,
            )
        )
    return summaries


def summary_of(
    *,
    project: Project,
    task_id: int,
    votes: int,
    redundancy: int,
    posterior: np.ndarray[Any, np.dtype[np.float64]],
    gold: int | None,
    has_prediction: bool,
) -> TaskSummary:
    """One task's summary from its posterior f8[K]. A gold label is certain, but the task goes on collecting by the
    rules of any other: its votes measure people, and nobody can tell it apart."""
    stopping_posterior = posterior
    if gold is not None:
        posterior = np.eye(len(posterior))[gold]
    label, confidence, runner_up = live.summary(posterior)
    score = ACQUISITIONS[project.acquisition](stopping_posterior[None, :])
    return TaskSummary(
        task_id=task_id,
        votes=votes,
        label=int(label[0]),
        runner_up=int(runner_up[0]),
        confidence=float(confidence[0]),
        priority=int(priority(score)[0]),
        retired=retire_reason(
            votes, redundancy, float(stopping_posterior.max()), project.target_confidence, project.min_votes
        ),
        posterior=posterior,
        has_gold=gold is not None,
        has_prediction=has_prediction,
    )


def write_summaries(*, summaries: Sequence[TaskSummary], run: int | None) -> None:
    """Write summaries to the hot row, the posterior's row and (where they change) the queue, in one statement."""
    if not summaries:
        return
    rows = [
        {
            "task_id": summary.task_id,
            "label": summary.label,
            "runner_up": summary.runner_up,
            "confidence": summary.confidence,
            "retired": summary.retired,
            "priority": summary.priority,
            "posterior": live.encode_posterior(summary.posterior),
        }
        for summary in summaries
    ]
    fetch(queries.WRITE_TASKS, rows=Jsonb(rows), run=run)
