"""How far a learner's prediction may be trusted, measured on tasks it was not trained on."""

from __future__ import annotations

import numpy as np

from aggregation.core.live import PRIOR_FLOOR, softmax
from aggregation.core.votes import Floats

STEPS = 40  # halvings of 0..1: far below any difference that matters


def fit_weight(out_of_fold: Floats, posterior_from_votes: Floats, label_prior: Floats) -> float:
    """The weight w in 0..1 with which `live.task_prior` best foretells what the votes say.

    out_of_fold: f8[n, K], predictions for n voted tasks, each made without that task. posterior_from_votes: f8[n, K],
    their posteriors from votes only. label_prior: f8[K]. Returns the w that maximises the mean expected log score of
    task_prior(label_prior, out_of_fold, w), exactly 0 where no w > 0 gains anything (also for n = 0).
    """
    if len(out_of_fold) == 0:
        return 0.0
    base = np.log(np.maximum(label_prior, PRIOR_FLOOR))
    direction = np.log(np.maximum(out_of_fold, PRIOR_FLOOR)) - base

    def slope(weight: float) -> float:
        pooled = softmax(base + weight * direction)
        return float(((posterior_from_votes - pooled) * direction).sum(axis=1).mean())

    # The score is concave in w (linear minus log-sum-exp), so its slope changes sign once.
    if slope(0.0) <= 0.0:
        return 0.0
    if slope(1.0) >= 0.0:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low
