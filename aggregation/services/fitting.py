"""From rows to arrays and through the label model: what a refit and a retraining have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from django.db import connection, transaction

from aggregation import queries
from aggregation.core.fit import Fit
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.prediction import fit_under, fit_with_predictions
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.services.bulk import copy_columns
from projects.models import LiveModel, Project
from projects.queries import fetch
from projects.services.recompute import decode_posteriors

#: Predictions read at a time.
PREDICTIONS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Loaded:
    """A project's votes as of one instant. Task ids, versions and gold are aligned: row t is task t of ``votes``.

    annotator_ids: those below 0 are no people: all who were shown that the machine says label -1 - id, together.

    random_gold: the gold of tasks that were drawn at random, so that it tells of all tasks. Gold that comes of a review
    tells of what was disputed: it is known, but no measure.
    """

    votes: Votes
    task_ids: np.ndarray[Any, np.dtype[np.int64]]
    versions: np.ndarray[Any, np.dtype[np.int64]]
    gold: np.ndarray[Any, np.dtype[np.int32]]  # -1 = unknown
    random_gold: np.ndarray[Any, np.dtype[np.int32]]  # likewise
    annotator_ids: np.ndarray[Any, np.dtype[np.int64]]
    newest_vote: int  # of all votes there were, counted or not: with their number, how far this fit has seen; 0 = none
    # What the learner of this run has predicted, f8[T, K], NaN where it has nothing; None without a learner.
    learner_run: int | None = None
    predictions: Floats | None = None

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
        load = queries.LOAD_VOTES_CONFIRMING if project.has_confirmed else queries.LOAD_VOTES
        votes = copy_columns(load, mine, task="i8", annotator="i8", label="i2")
        ((newest_vote,),) = fetch(queries.NEWEST_VOTE, **mine)
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
        newest_vote=newest_vote,
    )


def with_predictions(*, project: Project, loaded: Loaded) -> Loaded:
    """The same votes beside what the project's learner has predicted of their tasks, if it has one."""
    learner_run = LiveModel.objects.get(project=project).learner_run
    if learner_run is None:
        return loaded
    K = len(project.labels)
    predictions = np.full((len(loaded.task_ids), K), np.nan)
    with transaction.atomic(), connection.connection.cursor(name="predictions") as cursor:
        cursor.itersize = PREDICTIONS_AT_ONCE
        cursor.execute(queries.LOAD_PREDICTIONS, {"project": project.id})
        while rows := cursor.fetchmany(PREDICTIONS_AT_ONCE):
            ids, stored = zip(*rows, strict=True)
            place = np.searchsorted(loaded.task_ids, ids).clip(max=len(loaded.task_ids) - 1)
            known = loaded.task_ids[place] == ids
            predictions[place[known]] = decode_posteriors(
                [each for each, is_one in zip(stored, known, strict=True) if is_one], K
            )
    return replace(loaded, learner_run=learner_run, predictions=predictions)


def fit_with_learner(*, project: Project, loaded: Loaded) -> Fit:
    """The project's label model on people's votes, gold clamped, beside the predictions if there are any."""
    if loaded.predictions is None:
        return fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    return fit_with_predictions(project.label_model, loaded.votes, loaded.gold, loaded.predictions)


def fit_again(*, project: Project, loaded: Loaded, fit: Fit, votes: Votes, gold: Ints) -> Fit:
    """As ``fit_with_learner`` has fitted, but with other gold, or fewer of the votes."""
    if loaded.predictions is None or not fit.prediction_weight:
        return fit_label_model(project=project, votes=votes, gold=gold)
    return fit_under(project.label_model, votes, gold, loaded.predictions, fit.label_prior, fit.prediction_weight)


def fit_label_model(*, project: Project, votes: Votes, gold: np.ndarray[Any, np.dtype[np.int32]] | None) -> Fit:
    """The project's label model on these votes, gold (if given) clamped."""
    return LABEL_MODELS[project.label_model](votes, gold)
