"""Champion and challenger: which of two learners' held-out predictions explain the same votes better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.live import PRIOR_FLOOR
from aggregation.core.votes import Floats

#: Predictions are stored in single precision: a smaller difference in log loss, in nats, is none.
ROUNDING = 1e-6
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Challenge:
    """A challenger against the champion on n tasks: the mean of its loss less the champion's in nats, and the standard
    error of that mean, 0 for fewer than two tasks."""

    tasks: int
    difference: float
    error: float

    @property
    def passed(self) -> bool:
        """Not worse: no difference, or a gain (but for rounding). Also where there is no task to compare them on."""
        return self.difference <= ROUNDING


def challenge(challenger: Floats, champion: Floats, posterior_from_votes: Floats, label_prior: Floats) -> Challenge:
    """Compare predictions f8[n, K] of the same n >= 0 tasks, each made without its task's votes, task by task.

    The loss of a task is that of its votes, - log sum_k prediction[k] * P(votes | k), of which the difference is known
    though P(votes | k) is known but for a constant: posterior_from_votes f8[n, K] by label_prior f8[K]. Paired, for the
    tasks differ far more among each other than two learners do on one (Dietterich, T. G.: Approximate Statistical Tests
    for Comparing Supervised Classification Learning Algorithms, Neural Computation 10(7), 1998,
    doi:10.1162/089976698300017197).
    """
    likelihood = posterior_from_votes / np.maximum(label_prior, PRIOR_FLOOR)
    losses = [-np.log(np.maximum((proba * likelihood).sum(axis=1), TINY)) for proba in (challenger, champion)]
    differences = losses[0] - losses[1]
    n = len(differences)
    if n == 0:
        return Challenge(0, 0.0, 0.0)
    error = float(differences.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return Challenge(n, float(differences.mean()), error)
