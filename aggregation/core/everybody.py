"""One accuracy for everybody: the model under which majority vote is the right thing to do.

All annotators are right with the same probability, err evenly, and labels are equally frequent. Of two fits, that with
skills must explain the votes better by more than the noise that it can fit.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.dawid_skene import ASSUMED_ACCURACY, as_fit
from aggregation.core.em import Data, Level, Structured, settled
from aggregation.core.fit import Fit, written_out
from aggregation.core.structure import structured, without_diagonal
from aggregation.core.votes import Ints, Votes, check_gold


def fit(votes: Votes, gold: Ints | None = None, *, tol: float = 1e-7, max_iter: int = 200) -> Fit:
    """Fit the one accuracy by EM until the log likelihood rises by less than tol per vote.

    gold: int32[T], -1 where unknown; known tasks are clamped. Raises ValueError on bad gold.
    """
    data = Data(votes, check_gold(gold, votes), 0.0)
    stage, K = Structured(data, ASSUMED_ACCURACY, 0.0), votes.n_labels
    errors, prior = without_diagonal(np.ones((K, K))), np.full(K, 1.0 / K)
    accuracy, objective, converged = ASSUMED_ACCURACY, list[float](), False
    while not converged and len(objective) < max_iter:
        level = Level(prior, np.full(votes.n_annotators, accuracy), errors)
        (_totals, right, wrong, _pooled), value = stage.e_step(level)
        # One vote more, of the assumed accuracy: nobody is always right.
        accuracy = (right.sum() + ASSUMED_ACCURACY) / (right.sum() + wrong.sum() + 1.0)
        objective.append(value)
        converged = settled(objective, len(votes), tol)
    confusion = structured(level.accuracy, errors) if written_out(votes.n_annotators, K) else None
    return as_fit(data, stage.posterior(level), prior, confusion, tuple(objective), converged, level=level)
