"""The learner that predicts now, as a process that answers requests keeps it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from aggregation.core.votes import Floats
from aggregation.models import Run
from aggregation.services.artefacts import load_artefact
from projects.models import LiveModel, Project

if TYPE_CHECKING:
    from aggregation.learners import Learned

logger = logging.getLogger(__name__)

#: Learners that a process keeps: those of projects that production asks.
KEPT = 8


def champion_run(project: Project) -> int | None:
    """The retraining whose learner predicts this project's tasks, if there is one."""
    return LiveModel.objects.values_list("learner_run", flat=True).get(project=project)


def predict_now(*, run: int | None, payloads: Sequence[dict[str, Any]]) -> dict[int, Floats]:
    """What the learner of this retraining says of payloads, f8[K] by place: without those that it can't read.

    Whatever ails the learner, the answer is that nothing is known.
    """
    if run is None:
        return {}
    from aggregation.learners import predict_readable

    try:
        rows, proba = predict_readable(_learned(run), payloads)
    except Exception:  # a damaged artefact: people answer
        logger.warning("The learner of run %s could not be asked", run, exc_info=True)
        return {}
    return {int(row): each for row, each in zip(rows, np.asarray(proba), strict=True)}


@lru_cache(maxsize=KEPT)
def _learned(run: int) -> Learned:
    return load_artefact(run=Run.objects.get(id=run))
