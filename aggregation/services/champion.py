"""The champion: the learner whose predictions steer. `LiveModel.learner_run` names the run that made it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from aggregation import queries
from aggregation.core.challenge import Challenge, challenge
from aggregation.core.fit import Fit
from aggregation.core.votes import Floats
from aggregation.models import Run, RunStage
from aggregation.services.runs import checkpoint
from projects.models import LiveModel, Project
from projects.queries import fetch
from projects.services.projects import request_places
from projects.services.recompute import decode_posteriors


class LearnerChanged(Exception):
    """A retraining was overtaken by a change of its project's learner."""


@contextmanager
def keeping_learner(project: Project) -> Iterator[Project]:
    """A transaction that no change of the project's settings passes: what was forgotten with a learner stays so.

    Gives the project as it is now. Raises LearnerChanged if it has another learner already.
    """
    with transaction.atomic():
        now = Project.objects.select_for_update(no_key=True).get(id=project.id)
        if (now.learner, now.learner_fields) != (project.learner, project.learner_fields):
            raise LearnerChanged("The learner was changed while it was being trained.")
        yield now


def make_champion(*, project: Project, run: Run) -> None:
    """From here on the run's predictions steer, task by task as they are applied; it can't be cancelled any more."""
    with keeping_learner(project):
        before = LiveModel.objects.values("learner_run", "prediction_weight", "teaching").get(project=project)
        checkpoint(run=run, stage=RunStage.APPLYING, parameters=run.parameters | {"replaces": before})
        LiveModel.objects.filter(project=project).update(
            prediction_weight=run.metrics["prediction_weight"],
            teaching=run.metrics.get("teaching") or 0.0,
            learner_run=run.id,
        )


def bring_back_champion(*, project: Project, run: Run) -> None:
    """The learner that this run has replaced, if it has, steers again; a job does so task by task."""
    before = run.parameters.get("replaces")
    if before is not None and LiveModel.objects.filter(project=project, learner_run=run.id).update(**before):
        request_places(project_id=project.id)


def challenge_champion(
    *, project: Project, tasks: NDArray[np.int64], held_out: Floats, fit: Fit, posterior: Floats
) -> Challenge:
    """The challenger's held-out predictions f8[n, K] of voted tasks (ids i8[n]) against the champion's.

    On the tasks of which the champion has said something: what is stored of it is out of fold where it was taught, and
    was made before the votes elsewhere. posterior: of those tasks from votes only, f8[n, K].
    """
    said = stored_predictions(project=project, tasks=tasks)
    both = np.isfinite(said).all(axis=1)
    return challenge(held_out[both], said[both], posterior[both], fit.label_prior)


def stored_predictions(*, project: Project, tasks: NDArray[np.int64]) -> Floats:
    """What the champion has said of tasks (ids i8[n], ascending), f8[n, K]; NaN where nothing."""
    found = np.full((len(tasks), len(project.labels)), np.nan)
    champion = LiveModel.objects.values_list("learner_run", flat=True).get(project=project)
    rows = fetch(queries.PREDICTED_BY, tasks=tasks.tolist(), run=champion) if champion else []
    if rows:
        place = np.searchsorted(tasks, np.array([task for task, _ in rows], dtype=np.int64))
        found[place] = decode_posteriors([stored for _, stored in rows], len(project.labels))
    return found
