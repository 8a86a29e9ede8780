"""A refit's first step: what it has made of annotators and labels steers every vote from now on."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from aggregation import queries
from aggregation.core.fit import Fit
from aggregation.models import Run
from aggregation.services.bulk import as_text, copy_rows
from aggregation.services.fitting import Loaded
from projects.models import ConfirmConfusion, LiveModel, PooledError, Project
from projects.queries import fetch


class LabelsChanged(Exception):
    """A refit was overtaken by a change of its project's labels."""


@transaction.atomic
def make_current(
    *, project: Project, run: Run, loaded: Loaded, fit: Fit, calibration: dict[str, Any] | None, report: Any
) -> None:
    """One small transaction: all of the new run's parameters, or none.

    calibration: as `calibrating.learn_calibration` gives it, with its report. The run tells of its fit from now on, for
    its rows are read with that. Raises LabelsChanged if the project has other labels by now: nothing is written.
    """
    # No change of labels may pass us: what was fitted to the old ones would be read as if it were of the new ones.
    if Project.objects.select_for_update(no_key=True).get(id=project.id).labels != project.labels:
        raise LabelsChanged("The labels were changed while the votes were being fitted.")
    LiveModel.objects.filter(project=project).update(
        run=run.id,
        label_prior=fit.label_prior.tolist(),
        kind_prior=None if fit.kinds is None else fit.kinds.prior.tolist(),
        pooled_accuracy=fit.pooled_accuracy,
        calibration=calibration,
        updated_at=timezone.now(),
    )
    # Of another learner, if one was trained meanwhile, this fit has measured nothing.
    if fit.prediction_weight is not None:
        LiveModel.objects.filter(project=project, learner_run=loaded.learner_run).update(
            prediction_weight=fit.prediction_weight
        )
    Run.objects.filter(id=run.id).update(metrics=_metrics(project, fit) | {"calibration": report})
    _replace_pooled_errors(project, fit)
    fetch(queries.FITTED_TABLES)
    # A newcomer stays unknown: until there are votes enough to judge by, they weigh what anybody weighs.
    known = np.flatnonzero(loaded.known(project.newcomer_votes))
    _replace_confirm_confusions(project, known[loaded.annotator_ids[known] < 0], loaded, fit)
    known = known[loaded.annotator_ids[known] >= 0]
    who = loaded.annotator_ids[known].tolist()
    figures = zip(who, fit.accuracy[known].tolist(), fit.skill[known].tolist(), strict=True)
    copy_rows("fitted_skill", (f"{id_}\t{accuracy!r}\t{skill!r}" for id_, accuracy, skill in figures))
    copy_rows("fitted_confusion", _confusions(who, known, fit))
    fetch(queries.REPLACE_SKILLS, project=project.id, run=run.id)
    fetch(queries.REPLACE_CONFUSIONS, project=project.id)


def _metrics(project: Project, fit: Fit) -> dict[str, Any]:
    return {
        "method": project.label_model,
        "notes": fit.notes,
        "iterations": fit.n_iter,
        "converged": fit.converged,
        "objective": fit.objective[-1] if fit.objective else None,
        "prediction_weight": fit.prediction_weight,
        "prediction_gain": fit.prediction_gain,
    }


def _replace_pooled_errors(project: Project, fit: Fit) -> None:
    """Also the confusion of people whom the fit has not seen, where kinds of tasks leave no single accuracy to them."""
    by_vote = None if fit.kinds is None else fit.kinds.pooled.transpose(2, 0, 1).reshape(len(fit.label_prior), -1)
    PooledError.objects.bulk_create(
        [
            PooledError(
                project=project,
                voted=voted,
                vector=fit.pooled_errors[:, voted].tolist(),
                confusion=None if by_vote is None else by_vote[voted].tolist(),
            )
            for voted in range(len(fit.label_prior))
        ],
        update_conflicts=True,
        unique_fields=["project", "voted"],
        update_fields=["vector", "confusion"],
    )


def _replace_confirm_confusions(project: Project, rows: NDArray[np.intp], loaded: Loaded, fit: Fit) -> None:
    """What the fit has made of people who were shown what the machine says, one row of it for each label shown."""
    if not project.has_confirmed:
        return
    K = len(fit.label_prior)
    by_vote = None
    if fit.confusion is not None:
        by_vote = fit.confusion.transpose(0, 2, 1) if fit.kinds is None else fit.kinds.confusion.transpose(0, 3, 1, 2)
    ConfirmConfusion.objects.filter(project=project).delete()
    ConfirmConfusion.objects.bulk_create(
        ConfirmConfusion(
            project=project,
            shown=-1 - int(loaded.annotator_ids[row]),
            voted=voted,
            vector=None if by_vote is None else by_vote[row, voted].ravel().tolist(),
            accuracy=float(fit.accuracy[row]),
        )
        for row in rows
        for voted in range(K)
    )


def _confusions(who: list[int], known: NDArray[np.intp], fit: Fit) -> list[str]:
    """A line for each annotator and voted label; none where confusions are structured."""
    if fit.confusion is None or not who:
        return []
    K = len(fit.label_prior)
    by_vote = fit.confusion.transpose(0, 2, 1) if fit.kinds is None else fit.kinds.confusion.transpose(0, 3, 1, 2)
    vectors = as_text(by_vote[known].reshape(len(who) * K, -1))
    return [f"{who[row // K]}\t{row % K}\t{{{vector}}}" for row, vector in enumerate(vectors)]
