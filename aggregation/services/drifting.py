"""How far consensus has moved since the learner was taught it: a reason to teach it again."""

from __future__ import annotations

import numpy as np

from aggregation.core.fit import Fit
from aggregation.models import LearnerArtefact, RunKind
from aggregation.services.artefacts import HeldOut
from aggregation.services.fitting import Loaded
from projects.models import Project


def moved_since_taught(*, project: Project, loaded: Loaded, fit: Fit) -> dict[str, float]:
    """The share of labels that are others than when the last retraining loaded its votes; nothing if nobody asks."""
    if project.retrain_after_moved is None or project.learner is None:
        return {}
    last = LearnerArtefact.objects.filter(
        run__project=project, run__kind=RunKind.RETRAINING, held_out__isnull=False
    ).order_by("-run_id")
    stored = last.values_list("held_out", flat=True).first()
    if stored is None:
        return {}
    taught = HeldOut.load(bytes(stored))
    both, now, then = np.intersect1d(loaded.task_ids, taught.tasks, assume_unique=True, return_indices=True)
    if not len(both):
        return {}
    return {"moved": float((fit.posterior[now].argmax(axis=1) != taught.consensus[then]).mean())}
