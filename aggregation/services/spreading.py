"""A retraining's last step: the first places of the queue go to tasks that are unlike each other.

Doubtful tasks are often doubtful for the same reason, and most of them are settled by answers to a few.
"""

from __future__ import annotations

import numpy as np
import orjson

from aggregation import queries
from aggregation.core.queue import CANDIDATES, spread
from aggregation.models import Run
from aggregation.services.artefacts import load_artefact
from projects.models import Acquisition, Order, Project
from projects.queries import fetch


def spread_first(*, project: Project, run: Run) -> None:
    """Of the first tasks that nobody has voted on, put those that differ most before all others.

    They lie there until they are voted on, or the next retraining. Nothing is done in other orders than by doubt, and
    for learners whose features don't tell (`learners.SPREADING`).
    """
    from aggregation.learners import SPREADING

    if project.order != Order.PRIORITY or project.acquisition == Acquisition.SEARCH:
        return
    if project.learner not in SPREADING:
        return
    rows = fetch(queries.FIRST_PREDICTED, project=project.id, run=run.id, limit=CANDIDATES)
    if not rows:
        return
    ids, places, data = zip(*rows, strict=True)
    features = load_artefact(run=run).features([orjson.loads(each) for each in data])
    first = spread(np.array(places, dtype=np.float64), features)
    fetch(queries.PUT_FIRST, tasks=[ids[row] for row in first.tolist()])
