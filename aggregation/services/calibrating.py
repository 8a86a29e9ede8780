"""Confidence that is true: what a project's gold teaches about how far to believe its label model."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.core.calibration import calibrate
from aggregation.core.calibration_report import cross_validate
from aggregation.core.fit import Fit
from aggregation.core.gold_calibration import lesson
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.services.fitting import Loaded, fit_again
from projects.models import Project
from projects.queries import TASKS_TO_RECOMPUTE, fetch
from projects.services.live_model import live_model
from projects.services.recompute import TaskRows, task_priors


def learn_calibration(*, project: Project, loaded: Loaded, fit: Fit) -> tuple[dict[str, Any] | None, Any]:
    """A calibration as the live model stores it, and its report as its run keeps it; neither with too little gold.

    Learnt on posteriors as they are published, predictions worked in, of tasks whose own gold is not known to the fit
    and that have no more votes than others. With it, for audits, of how many of these votes alone make something else.
    """

    def fitted(votes: Votes, gold: Ints) -> Fit:
        return fit_again(project=project, loaded=loaded, fit=fit, votes=votes, gold=gold)

    def priors(label_prior: Floats, tasks: Ints) -> Floats:
        weight = fit.prediction_weight
        if weight is None:
            weight = live_model(project_id=project.id).prediction_weight
        return task_priors(_rows(loaded, tasks), label_prior, weight)[0]

    found = lesson(loaded.votes, loaded.gold, loaded.random_gold, fitted, priors)
    if found is None:
        return None, None
    learnt_from = found.posterior, found.counts, found.gold
    calibration, report = calibrate(*learnt_from), cross_validate(*learnt_from)
    stored = calibration.as_json() | {"ece": report.ece, "ece_interval": report.ece_interval}
    stored["votes_alone"] = {"gold": len(found.right), "wrong": np.flatnonzero(~found.right).tolist()}
    return stored, asdict(report)


def votes_alone(calibration: dict[str, Any] | None) -> NDArray[np.bool_] | None:
    """Whether the consensus of votes alone was what gold says, bool[n] in the order of tasks; None where too little
    gold tells. calibration: as a live model keeps it."""
    found = (calibration or {}).get("votes_alone")
    if found is None:
        return None
    right = np.ones(found["gold"], dtype=np.bool_)
    right[found["wrong"]] = False
    return right


def says(calibration: dict[str, Any] | None) -> str:
    """In words, from what a live model or a run keeps of a calibration."""
    if calibration is None:
        return "uncalibrated"
    low, high = calibration["ece_interval"]
    return f"calibrated on {calibration['n_gold']} gold, ECE {calibration['ece']:.3f} ({low:.3f}-{high:.3f})"


def _rows(loaded: Loaded, tasks: Ints) -> TaskRows:
    ids = loaded.task_ids[tasks].tolist()
    stored = {row[0]: row for row in fetch(TASKS_TO_RECOMPUTE, tasks=ids)}
    return TaskRows.of([stored[id_] for id_ in ids])
