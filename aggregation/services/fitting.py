"""From rows to arrays and through the label model: what a refit and a retraining have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from django.db import connection, transaction

from aggregation import queries
from aggregation.core.fit import Fit
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.votes import Floats, Votes
from aggregation.services.bulk import copy_columns
from projects.models import Project


@dataclass(frozen=True)
class Loaded:
    """A project's votes as of one instant. Task ids, versions and gold are aligned: row t is task t of ``votes``.

    random_gold: the gold of tasks that were drawn at random, so that it tells of all tasks. Gold that comes of a review
    tells of what was disputed: it is known, but no measure.
    """

    votes: Votes
    task_ids: np.ndarray[Any, np.dtype[np.int64]]
    versions: np.ndarray[Any, np.dtype[np.int64]]
    gold: np.ndarray[Any, np.dtype[np.int32]]  # -1 = unknown
    random_gold: np.ndarray[Any, np.dtype[np.int32]]  # likewise
    annotator_ids: np.ndarray[Any, np.dtype[np.int64]]

    @cached_property
    def vote_counts(self) -> Floats:
        """Votes of each task for each label, f8[T, K]."""
        return self.votes.per_task()

    def known(self, newcomer_votes: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which annotators have at least so many votes, bool[A]."""
        return np.bincount(self.votes.annotator, minlength=len(self.annotator_ids)) >= newcomer_votes

    def touched_by_newcomers(self, newcomer_votes: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which tasks have a vote of somebody with fewer, bool[T]."""
        touched = np.zeros(len(self.task_ids), dtype=np.bool_)
        touched[self.votes.task[~self.known(newcomer_votes)[self.votes.annotator]]] = True
        return touched

    @property
    def votes_per_task(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.bincount(self.votes.task, minlength=len(self.task_ids))


def load_votes(*, project: Project) -> Loaded:
    """All counted votes, and the tasks they are on, in one snapshot: versions say what the fit has seen."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        mine = {"project": project.id}
        tasks = copy_columns(queries.LOAD_TASKS, mine, task="i8", version="i4", gold="i2", random_gold="i2")
        votes = copy_columns(queries.LOAD_VOTES, mine, task="i8", annotator="i8", label="i2")
    annotator_ids, annotator = np.unique(votes["annotator"], return_inverse=True)
    return Loaded(
        votes=Votes(
            task=np.searchsorted(tasks["task"], votes["task"]).astype(np.int32),
            annotator=annotator.astype(np.int32),
            label=votes["label"].astype(np.int32),
            n_tasks=len(tasks["task"]),
            n_annotators=len(annotator_ids),
            n_labels=len(project.labels),
        ),
        task_ids=tasks["task"],
        versions=tasks["version"].astype(np.int64),
        gold=tasks["gold"].astype(np.int32),
        random_gold=tasks["random_gold"].astype(np.int32),
        annotator_ids=annotator_ids,
    )


def fit_label_model(*, project: Project, votes: Votes, gold: np.ndarray[Any, np.dtype[np.int32]] | None) -> Fit:
    """The project's label model on these votes, gold (if given) clamped."""
    return LABEL_MODELS[project.label_model](votes, gold)
