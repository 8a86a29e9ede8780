"""Dawid-Skene by maximum likelihood.

Dawid, A. P. and Skene, A. M.: Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm,
Applied Statistics 28(1), 1979, doi:10.2307/2346806.

Every annotator has a confusion of their own, and nothing holds it back: with few votes each it is mostly noise. See
`aggregation.core.hierarchical` for the model that shrinks it.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.em import Data, Expected, Free, Level, Rates, Structured, squarem
from aggregation.core.fit import DENSE_LABELS, Fit, Start, check_start, worth, written_out
from aggregation.core.structure import clamp, structured, without_diagonal
from aggregation.core.votes import Cells, Floats, Ints, Votes, check_gold

#: What an annotator is trusted with before anything is known: about the mean over real crowds. Where votes do not
#: overlap nothing ever will be known, and majority vote's guess, that everybody is always right, would stand.
ASSUMED_ACCURACY = 0.7


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Start | None = None,
    *,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Fit:
    """Fit Dawid-Skene to votes. Beyond DENSE_LABELS labels each annotator has an accuracy, and errors are everybody's.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: f8[T, K], an earlier posterior of the same tasks:
    EM begins there instead of from vote shares, and may settle in another optimum. tol: EM has converged when the
    objective, the log likelihood, rises by less than tol per vote. max_iter: iterations allowed. Raises ValueError on
    bad gold, start or max_iter.
    """
    data = Data(votes, check_gold(gold, votes), 0.0)
    begin = first_posterior(data, check_start(start, votes), max_iter)
    if votes.n_labels > DENSE_LABELS:
        stage = Structured(data, ASSUMED_ACCURACY, 0.0)
        level = squarem(data, stage, stage.count(begin), tol, max_iter)
        found = level.parameters
        return as_fit(data, level.posterior, found.prior, None, level.objective, level.converged, level=found)
    free = Free(data, _even(votes.by_task.cells), np.zeros(votes.n_labels))
    reached = squarem(data, free, free.count(begin), tol, max_iter)
    rates = reached.parameters
    return as_fit(data, reached.posterior, rates.prior, _dense(data, rates), reached.objective, reached.converged)


def _even(cells: Cells) -> Floats:
    """What is assumed f8[R, K] where an annotator's votes say nothing: right with ASSUMED_ACCURACY, errors even."""
    K = cells.n_labels
    level = structured(np.array([ASSUMED_ACCURACY]), without_diagonal(np.ones((K, K))))[0]
    return np.asarray(level.T[cells.label])


def _dense(data: Data, rates: Rates) -> Floats | None:
    """Confusions f8[A, K, K] as [annotator, true, voted] from those of the cells that occur, if they fit."""
    cells, even = data.votes.by_task.cells, assumed_level(data)
    if not written_out(cells.n_annotators, cells.n_labels):
        return None
    confusion = rates.shrinkage[:, :, None] * structured(even.accuracy, even.errors)
    confusion[cells.annotator, :, cells.label] = rates.likelihood
    return np.asarray(confusion)


def first_posterior(data: Data, start: Floats | None, max_iter: int) -> Floats:
    """Where EM begins, f8[T, K]: at `start`, or at the vote shares; gold is clamped."""
    if max_iter < 1:
        raise ValueError(f"max_iter is {max_iter}; expected >= 1")
    if start is None:
        return np.asarray(data.steps.vote_shares(data.votes.by_task, data.gold))
    return clamp(start, data.gold)


def assumed_level(data: Data) -> Level:
    """Everybody is right with ASSUMED_ACCURACY and errs evenly."""
    K = data.votes.n_labels
    return Level(
        prior=np.full(K, 1.0 / K),
        accuracy=np.full(data.votes.n_annotators, ASSUMED_ACCURACY),
        errors=without_diagonal(np.ones((K, K))),
    )


def pooled_accuracy(level: Expected) -> float:
    """Of all votes, after one pseudo-vote of ASSUMED_ACCURACY."""
    _totals, right, wrong, _pooled = level
    return (float(right.sum()) + ASSUMED_ACCURACY) / (float(right.sum() + wrong.sum()) + 1.0)


def as_fit(
    data: Data,
    posterior: Floats,
    label_prior: Floats,
    confusion: Floats | None,
    objective: tuple[float, ...],
    converged: bool,
    *,
    pseudo_votes: float = 0.0,
    level: Level | None = None,
) -> Fit:
    """The Fit of a Dawid-Skene model. posterior: f8[T, K]. confusion: f8[A, K, K] as [annotator, true, voted].

    pseudo_votes: with which each annotator's accuracy is drawn towards everybody's. level: accuracies and errors, where
    they are the model; elsewhere they are read off the posterior, for the live path.
    """
    totals, right, doubt, pooled = data.steps.structured_count(data.votes.by_task, data.gold, posterior)
    counts = totals, right, data.per_annotator - right, pooled
    everybody = pooled_accuracy(counts)
    level = Structured(data, everybody, pseudo_votes).m_step(counts) if level is None else level
    return Fit(
        posterior=posterior,
        label_prior=label_prior,
        confusion=confusion,
        accuracy=level.accuracy,
        pooled_accuracy=everybody,
        pooled_errors=level.errors,
        n_iter=len(objective),
        converged=converged,
        objective=objective,
        skill_votes=worth(data.per_annotator, right, doubt) + pseudo_votes,
    )
