"""Choosing for the annotator who asks: of the first tasks of the queue those of which their vote would tell most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from aggregation.core import live
from aggregation.core.acquisition import information_gain
from aggregation.core.gold_calibration import believed
from aggregation.core.queue import best_for_annotator
from aggregation.core.votes import Floats
from projects import queries
from projects.models import Acquisition, Order, Project
from projects.queries import Rows, Statement, fetch_together
from projects.services.live_model import Live, live_model
from projects.services.recompute import heard, task_priors


def chooses(project: Project) -> bool:
    """Whether which task comes next depends on who asks."""
    return project.acquisition == Acquisition.INFORMATION_GAIN and project.order == Order.PRIORITY


def choosing(project: Project, wanted: Mapping[str, Any]) -> list[Statement]:
    """The statement that leases what was chosen for this annotator, if anything was; the others come after it.

    wanted: the parameters of a lease. Nothing is locked while it is chosen: what others take meanwhile is passed over
    for the next best, and where they have taken everything the queue goes on as it would without choosing.
    """
    if not chooses(project):
        return []
    to_choose = queries.TO_CHOOSE_FROM_CONFIRMING if project.has_confirmed else queries.TO_CHOOSE_FROM
    rows, theirs = fetch_together((to_choose, wanted), (queries.CONFUSION_OF, wanted))
    tasks = best_first(project, rows, theirs)
    if not tasks:
        return []
    lease = queries.LEASE_CHOSEN if project.gold_share is None else queries.INJECT_CHOSEN
    return [(lease, {**wanted, "tasks": tasks})]


def best_first(project: Project, rows: Rows, theirs: Rows) -> list[int]:
    """The tasks of rows of ``queries.TO_CHOOSE_FROM`` by what a vote of an annotator is expected to tell of them.

    theirs: rows of ``queries.CONFUSION_OF``. None where a refit became current since they were read. Of a gold task it
    is what it would be if nobody knew the answer, so that nothing tells it from others.
    """
    version = rows[0][7] if rows else None
    model = live_model(project_id=project.id, version=version)
    if model.version != version:
        return []
    tasks, evidence, counts = heard(model, [row[:-1] for row in rows])
    priors, _ = task_priors(tasks, model.label_prior, model.prediction_weight)
    states = live.posterior_states(priors, evidence, model.kinds)
    posterior = live.labels(states, len(model.label_prior))
    states = live.with_labels(states, believed(model.calibration, posterior, counts))
    gain = information_gain(states, _confusion(model, theirs), len(model.label_prior))
    place = {row[0]: -row[-1] for row in rows}
    return [tasks.ids[row] for row in best_for_annotator(np.array([*place.values()]), gain).tolist()]


def _confusion(model: Live, theirs: Sequence[tuple[Any, ...]]) -> Floats:
    """P(vote | state) of an annotator, f8[C, K]: as a refit has it, or as of anybody whom it does not know."""
    vectors = {voted: vector for _, voted, vector in theirs}
    labels = range(len(model.label_prior))
    return np.array([model.likelihood(voted, vectors.get(voted), theirs[0][0]) for voted in labels]).T
