"""One-coin Dawid-Skene: an annotator is right with one probability, whatever the true label, and errs evenly.

Zhang, Y., Chen, X., Zhou, D. and Jordan, M. I.: Spectral Methods Meet EM: A Provably Optimal Algorithm for
Crowdsourcing, Journal of Machine Learning Research 17(102), 2016; the label prior is even, as there. A Beta prior draws
the accuracies together: without it, annotators of a few votes become oracles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.even_errors import alternate
from aggregation.core.fit import LIKELIHOOD_FLOOR, Fit, Start, check_start, known_votes, written_out
from aggregation.core.structure import clamp, pooled_level, structured, without_diagonal
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: About the mean accuracy of annotators in real crowds, and the pseudo-votes that draw everybody towards it.
ASSUMED_ACCURACY = 0.7
STRENGTH = 5.0


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Start | None = None,
    *,
    strength: float = STRENGTH,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Fit:
    """Fit the one-coin model by EM.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: f8[T, K], an earlier posterior to begin from.
    strength: pseudo-votes of the Beta prior, >= 0; 0 is maximum likelihood. tol: EM has converged when the objective
    rises by less than tol per vote. Raises ValueError on bad gold, start, strength or max_iter.
    """
    if strength < 0 or max_iter < 1:
        raise ValueError(f"strength is {strength} and max_iter {max_iter}; expected >= 0 and >= 1")
    known, begin = check_gold(gold, votes), check_start(start, votes)
    coins = Coins(votes, strength)
    reached = alternate(votes, known, coins, None if begin is None else clamp(begin, known), tol, max_iter)
    accuracy, errors = reached.parameters, without_diagonal(np.ones((votes.n_labels, votes.n_labels)))
    return Fit(
        posterior=reached.posterior,
        label_prior=np.full(votes.n_labels, 1.0 / votes.n_labels),
        confusion=structured(accuracy, errors) if written_out(votes.n_annotators, votes.n_labels) else None,
        accuracy=accuracy,
        pooled_accuracy=pooled_level(votes, reached.posterior, ASSUMED_ACCURACY)[0],
        pooled_errors=errors,
        n_iter=len(reached.objective),
        converged=reached.converged,
        objective=reached.objective,
        skill_votes=known_votes(votes, reached.posterior, strength),
    )


@dataclass(frozen=True, eq=False)
class Coins:
    """The parameters are accuracies f8[A], drawn from Beta(1 + strength * 0.7, 1 + strength * 0.3)."""

    votes: Votes
    strength: float

    def start(self) -> Floats:
        return np.full(self.votes.n_annotators, ASSUMED_ACCURACY)

    def m_step(self, parameters: Floats, right: Floats) -> Floats:
        correct = np.bincount(self.votes.annotator, right, minlength=self.votes.n_annotators)
        total = np.bincount(self.votes.annotator, minlength=self.votes.n_annotators) + self.strength
        accuracy = (correct + self.strength * ASSUMED_ACCURACY) / np.where(total > 0, total, 1.0)
        # Maximum likelihood knows nothing of who has not voted.
        return np.asarray(np.where(total > 0, accuracy, ASSUMED_ACCURACY))

    def log_odds(self, parameters: Floats) -> Floats:
        p = np.clip(parameters, LIKELIHOOD_FLOOR, 1.0 - LIKELIHOOD_FLOOR)
        return np.asarray((np.log(p) - np.log1p(-p))[self.votes.annotator])

    def log_density(self, parameters: Floats) -> float:
        p = np.clip(parameters, LIKELIHOOD_FLOOR, 1.0 - LIKELIHOOD_FLOOR)
        return float(self.strength * (ASSUMED_ACCURACY * np.log(p) + (1 - ASSUMED_ACCURACY) * np.log1p(-p)).sum())
