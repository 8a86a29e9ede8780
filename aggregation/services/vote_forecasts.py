"""What more votes will make of a project's labels, from its own votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.core import live
from aggregation.core.gold_calibration import believed
from aggregation.core.vote_forecast import Now, Thinned, VoteForecast, forecast, thinned
from aggregation.core.votes import Floats, Votes
from aggregation.services.fitting import Loaded, fit_label_model, load_votes
from projects.models import Project
from projects.queries import TASKS_TO_RECOMPUTE, fetch
from projects.services.live_model import live_model
from projects.services.recompute import TaskRows, task_priors

#: Votes of more tasks would tell the same, and take their time.
MOST_TASKS = 5_000


@dataclass(frozen=True, eq=False)
class Seen:
    """The points that a forecast rests on, and the forecast; None where votes are too few to tell."""

    points: Thinned | None
    forecast: VoteForecast | None

    def as_json(self, now: Now) -> dict[str, Any]:
        """Points and curve by votes of the whole project. Points are moved to where the project stands today."""
        if self.points is None or self.forecast is None:
            return {"points": [], "curve": []}
        moved = now.overall - self.points.accuracy[-1]
        part = self.points.votes / self.points.votes[-1]
        curve = zip(self.forecast.more, self.forecast.accuracy, self.forecast.low, self.forecast.high, strict=True)
        return {
            "points": [
                {"votes": round(now.votes * share), "accuracy": float(np.clip(accuracy + moved, 0.0, 1.0))}
                for share, accuracy in zip(part.tolist(), self.points.accuracy.tolist(), strict=True)
            ],
            "curve": [
                {"votes": now.votes + round(more), "accuracy": float(expected), "low": float(low), "high": float(high)}
                for more, expected, low, high in curve
            ],
        }


def vote_forecast(*, project: Project, now: Now) -> Seen:
    """Fit the project's label model to fewer of its votes, and follow the curve to more of them."""
    votes, rows = _some(project, load_votes(project=project))
    if not len(votes):
        return Seen(None, None)
    model = live_model(project_id=project.id)

    def posterior_of(some: Votes) -> Floats:
        fit = fit_label_model(project=project, votes=some, gold=None)
        priors, _ = task_priors(rows, fit.label_prior, model.prediction_weight)
        return live.with_prior(fit.posterior, fit.label_prior, priors)

    today = believed(model.calibration, posterior_of(votes), votes.per_task())
    points = thinned(votes, today, posterior_of, seed=project.id)
    return Seen(points, forecast(points, now, seed=project.id))


def _some(project: Project, loaded: Loaded) -> tuple[Votes, TaskRows]:
    """The votes of up to MOST_TASKS tasks with votes and without gold, drawn at random; and what is stored of these."""
    eligible = np.flatnonzero((loaded.votes_per_task > 0) & (loaded.gold < 0))
    if len(eligible) > MOST_TASKS:
        eligible = np.sort(np.random.default_rng(project.id).choice(eligible, MOST_TASKS, replace=False))
    place = np.full(len(loaded.task_ids), -1, np.int32)
    place[eligible] = np.arange(len(eligible))
    mine = place[loaded.votes.task] >= 0
    votes = Votes(
        task=place[loaded.votes.task[mine]],
        annotator=loaded.votes.annotator[mine],
        label=loaded.votes.label[mine],
        n_tasks=len(eligible),
        n_annotators=loaded.votes.n_annotators,
        n_labels=loaded.votes.n_labels,
    )
    ids = loaded.task_ids[eligible].tolist()
    stored = {row[0]: row for row in fetch(TASKS_TO_RECOMPUTE, tasks=ids)}
    return votes, TaskRows.of([stored[id_] for id_ in ids])
