"""Which tasks audit the machine: drawn by lot once and for all, so that no learner, run or score has a say in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import lots
from aggregation.core.votes import Floats
from aggregation.models import Run
from projects.models import LiveModel, Project


def audit_share_of(project: Project) -> float:
    """The share of tasks that a learner taught now never sees: 0 where the machine never answers alone."""
    return 0.0 if project.auto_label_error is None else project.audit_share


def is_audited(project: Project, task_ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of these tasks is for audits, bool[n]: people answer it blind, and no learner is taught on it.

    None is where the machine never answers alone. A task stays audited when the share grows.
    """
    return np.asarray(lots_of(project, task_ids) < audit_share_of(project))


def lots_of(project: Project, task_ids: Sequence[int] | NDArray[np.integer]) -> Floats:
    """The smallest share with which each task is drawn, f8[n]."""
    return lots(np.asarray(task_ids, dtype=np.int64), seed=project.id)


def champion_has_seen_audits(project: Project) -> bool:
    """Whether the project's learner has been taught tasks that are for audits now, which so tell nothing of it."""
    champion = LiveModel.objects.values_list("learner_run", flat=True).get(project=project)
    run = Run.objects.filter(id=champion).first() if champion else None
    return run is not None and run.parameters.get("audit_share", 0.0) < audit_share_of(project)
