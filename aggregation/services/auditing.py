"""Which tasks audit the machine. They are drawn where audits certify most, by lots that no learner, run or score has a
say in; and with which probability is recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from aggregation import tier_queries
from aggregation.core.acquisition import lots
from aggregation.core.tiers import ThresholdPlan
from aggregation.core.votes import Floats
from projects.models import Audit, Project
from projects.queries import fetch

Ints = NDArray[np.int64]


def is_audited(project: Project, task_ids: Sequence[int] | NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether each of these tasks was drawn for audits, bool[n]: people answer it blind, no learner is taught it."""
    drawn = Audit.objects.filter(project=project).values_list("task_id", flat=True)
    return np.isin(np.asarray(task_ids, dtype=np.int64), np.fromiter(drawn, np.int64))


def lots_of(project: Project, task_ids: Sequence[int] | NDArray[np.integer]) -> Floats:
    """The smallest share with which each task is drawn, f8[n]."""
    return lots(np.asarray(task_ids, dtype=np.int64), seed=project.id)


def draw(
    *,
    project: Project,
    run: int,
    plan: ThresholdPlan,
    share: Floats,
    first: int = 0,
    task_ids: Sequence[int] | None = None,
) -> list[int]:
    """Make audits of all tasks (or of these) that the machine may label and whose lot is below the share of their like.

    share: f8[G] in 0..1, of tasks at or above each of the plan's thresholds. A task that somebody has voted on, holds
    or was shown the machine's answer of is none: the machine won't label it, either. One that the machine has labelled
    is taken back. Gives the ids; those drawn before are not among them.
    """
    asked = {"project": project.id, "run": run, "first": first, "confirmed": project.has_confirmed}
    # From the lowest threshold up, as width_bucket counts them.
    wanted = {"thresholds": plan.threshold[::-1].tolist(), "shares": share[::-1].tolist(), "most": float(share.max())}
    with transaction.atomic():
        among = None if task_ids is None else list(task_ids)
        drawn = [id_ for (id_,) in fetch(tier_queries.DRAW_AUDITS, tasks=among, **asked, **wanted)]
        fetch(tier_queries.REOPEN, tasks=drawn)
    return drawn
