"""EM for models in which a vote is right with some probability and otherwise falls evenly on the other labels.

Such a model gives every vote log odds x of being right: P(vote | true label) is sigmoid(x) where they agree, and
sigmoid(-x) / (K - 1) where they do not. So a task's posterior is the label prior, tilted towards each voted label by
x + log(K - 1).

The label prior is even and stays so. Estimated, it lets one label explain whatever errors are not even: on twelve real
crowds the one-coin model was then right on 75 % of the tasks, and on 79 % with an even prior.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np

from aggregation.core.em import Reached, settled
from aggregation.core.live import softmax
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints, Votes

P = TypeVar("P")


class Model(Protocol[P]):
    """Where the log odds come from: parameters P, and a prior on them."""

    def start(self) -> P:
        """The parameters before anything is known."""

    def m_step(self, parameters: P, right: Floats) -> P:
        """Parameters that explain the votes as well or better if vote i is right with probability right[i], f8[n]."""

    def log_odds(self, parameters: P) -> Floats:
        """Log odds that each vote is right, f8[n]."""

    def log_density(self, parameters: P) -> float:
        """Log density of the parameters under their prior, but for a constant."""


def alternate(
    votes: Votes, gold: Ints, model: Model[P], posterior: Floats | None, tol: float, max_iter: int
) -> Reached[P]:
    """Alternate E- and M-steps until the objective, the penalised log likelihood, rises by less than tol per vote.

    gold: int32[T], -1 unknown. posterior: f8[T, K] to begin from; None begins from the parameters before anything is
    known. Every iteration ends with an E-step, so posterior and parameters returned agree.
    """
    parameters = model.start()
    if posterior is None:
        posterior, _ = e_step(votes, gold, model.log_odds(parameters))
    objective: list[float] = []
    converged = False
    while not converged and len(objective) < max_iter:
        parameters = model.m_step(parameters, posterior[votes.task, votes.label])
        posterior, evidence = e_step(votes, gold, model.log_odds(parameters))
        objective.append(evidence + model.log_density(parameters))
        converged = settled(objective, len(votes), tol)
    return Reached(posterior, parameters, tuple(objective), converged)


def e_step(votes: Votes, gold: Ints, log_odds: Floats) -> tuple[Floats, float]:
    """The posterior f8[T, K], clamped to gold, and the log likelihood of votes and gold."""
    K = votes.n_labels
    others = np.log(max(K - 1, 1))
    cell = votes.task.astype(np.int64) * K + votes.label
    tilt = np.bincount(cell, log_odds + others, minlength=votes.n_tasks * K)
    joint = -np.log(K) + tilt.reshape(votes.n_tasks, K).astype(np.float64)
    top = joint.max(axis=1)
    # Of a task without votes or gold this is log(1).
    evidence = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
    known = np.flatnonzero(gold >= 0)
    evidence[known] = joint[known, gold[known]]
    all_wrong = -np.logaddexp(0.0, log_odds) - others
    return clamp(softmax(joint), gold), float(evidence.sum() + all_wrong.sum())
