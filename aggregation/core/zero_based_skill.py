"""Zero-Based Skill: weighted majority vote whose weights are the annotators' agreement with it.

As defined by crowd-kit: Ustalov, D., Pavlichenko, N. and Tseitlin, B.: Learning from Crowds with Crowd-Kit, Journal of
Open Source Software 9(96), 2024, doi:10.21105/joss.06227. There the steps towards the agreement are halved after every
20th; on real crowds the weights have settled by then (ten steps at most on twelve of them), so ours stay whole.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.fit import Fit, Start, check_start, read_off
from aggregation.core.majority_vote import agreement, vote_shares
from aggregation.core.votes import Ints, Votes, check_gold


def fit(
    votes: Votes, gold: Ints | None = None, start: Start | None = None, *, tol: float = 1e-9, max_iter: int = 100
) -> Fit:
    """Shares of the votes f8[T, K], each weighted by how often its annotator agrees with the labels that then win.

    Where labels tie, agreeing with one of them counts in part. gold: int32[T], -1 where unknown. start: f8[T, K], an
    earlier posterior to agree with first. tol: converged when no weight moves by more. Raises ValueError on bad gold,
    start or max_iter.
    """
    if max_iter < 1:
        raise ValueError(f"max_iter is {max_iter}; expected >= 1")
    known, begin = check_gold(gold, votes), check_start(start, votes)
    posterior, label_prior = vote_shares(votes, known)
    if begin is not None:
        posterior = begin
    weight, converged, n_iter = np.full(votes.n_annotators, np.inf), False, 0
    while not converged and n_iter < max_iter:
        n_iter += 1
        before, weight = weight, agreement(votes, posterior)
        posterior, label_prior = vote_shares(votes, known, weight)
        converged = float(np.abs(weight - before).max(initial=0.0)) <= tol
    return read_off(votes, posterior, label_prior, n_iter=n_iter, converged=converged)
