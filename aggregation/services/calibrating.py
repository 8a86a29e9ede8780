"""Confidence that is true: what a project's gold teaches about how far to believe its label model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from aggregation.core import live
from aggregation.core.calibration import ENOUGH_GOLD, calibrate, cross_fit, drawn, gold_tasks
from aggregation.core.calibration_report import cross_validate
from aggregation.core.fit import Fit
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.services.fitting import Loaded, fit_label_model
from projects.models import Project
from projects.queries import TASKS_TO_RECOMPUTE, fetch
from projects.services.live_model import live_model
from projects.services.recompute import TaskRows, task_priors

#: Gold that everybody is shown has many more votes than tasks usually have: so many times more than nearly all of them.
FAR_MORE, NEARLY_ALL = 1.5, 0.95
SEED = 0


def learn_calibration(*, project: Project, loaded: Loaded, fit: Fit) -> tuple[dict[str, Any] | None, Any]:
    """A calibration as the live model stores it, and its report as its run keeps it; neither with too little gold.

    Learnt on posteriors as they are published, predictions worked in, of tasks whose own gold is not known to the fit
    and that have no more votes than others.
    """
    gold = loaded.random_gold
    known = drawn(gold_tasks(loaded.vote_counts, gold))  # thinning leaves each of them some votes
    if len(known) < ENOUGH_GOLD:
        return None, None
    votes = thinned(loaded.votes, loaded.gold)
    counts = votes.per_task()
    posterior = _without_their_gold(project, loaded, votes, fit, known)
    learnt_from = posterior[known], counts[known], gold[known]
    calibration, report = calibrate(*learnt_from), cross_validate(*learnt_from)
    stored = calibration.as_json() | {"ece": report.ece, "ece_interval": report.ece_interval}
    return stored, asdict(report)


def says(calibration: dict[str, Any] | None) -> str:
    """In words, from what a live model or a run keeps of a calibration."""
    if calibration is None:
        return "uncalibrated"
    low, high = calibration["ece_interval"]
    return f"calibrated on {calibration['n_gold']} gold, ECE {calibration['ece']:.3f} ({low:.3f}-{high:.3f})"


def thinned(votes: Votes, gold: Ints) -> Votes:
    """The votes, but of tasks with gold that have far more than nearly all others only as many as is usual.

    Which are kept is drawn at random, equally for equal votes in any order. Where no task has far more, it is the same
    Votes, with all that has been worked out of them.
    """
    many = np.bincount(votes.task, minlength=votes.n_tasks)
    others = many[(gold < 0) & (many > 0)]
    if not len(others):
        return votes
    usual = int(np.median(others))
    crowded = (gold >= 0) & (many > FAR_MORE * np.quantile(others, NEARLY_ALL))
    if not crowded.any():
        return votes
    rows = np.flatnonzero(crowded[votes.task])
    rows = rows[np.lexsort((votes.annotator[rows], votes.task[rows]))]
    rows = rows[np.lexsort((np.random.default_rng(SEED).random(len(rows)), votes.task[rows]))]
    place = np.arange(len(rows)) - np.searchsorted(votes.task[rows], votes.task[rows])
    kept = np.ones(len(votes), dtype=bool)
    kept[rows[place >= usual]] = False
    columns = votes.task[kept], votes.annotator[kept], votes.label[kept]
    return Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)


def _without_their_gold(project: Project, loaded: Loaded, votes: Votes, fit: Fit, known: Ints) -> Floats:
    """The posterior f8[T, K] in whose known rows the gold of the task itself has no part, nor have its extra votes."""
    gold, other_gold = loaded.random_gold, np.where(loaded.random_gold < 0, loaded.gold, np.int32(-1))
    model = live_model(project_id=project.id)
    ids = loaded.task_ids[known].tolist()
    stored = {row[0]: row for row in fetch(TASKS_TO_RECOMPUTE, tasks=ids)}
    tasks = TaskRows.of([stored[id_] for id_ in ids])

    def posterior_of(told: Ints) -> Floats:
        # With all gold told, no row of it is used: any fit will do.
        gold_told = np.where(told < 0, other_gold, told)
        fitted = fit if told is gold else fit_label_model(project=project, votes=votes, gold=gold_told)
        priors, _ = task_priors(tasks, fitted.label_prior, model.prediction_weight)
        posterior = fitted.posterior.copy()
        posterior[known] = live.with_prior(posterior[known], fitted.label_prior, priors)
        return posterior

    return cross_fit(posterior_of, gold, seed=SEED)
