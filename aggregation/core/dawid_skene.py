"""Dawid-Skene, plain and hierarchical.

Dawid, A. P. and Skene, A. M.: Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm,
Applied Statistics 28(1), 1979, doi:10.2307/2346806.

Few annotators give enough votes for a confusion matrix of their own. So each row of it is shrunk towards a target:
on the diagonal the annotator's own accuracy (itself shrunk towards everybody's), off it the errors that everybody
makes. The targets are estimated in rounds, and held while EM climbs:

1. targets from a cautious guess (every vote right with probability ASSUMED_ACCURACY), EM;
2. targets from the posterior which that gave, EM from there.

Within a round the objective is one function, the penalised log likelihood, and never falls; objectives of different
rounds are not comparable. More rounds do not help: with few votes per task the targets then come to believe their own
posterior (on simulated crowds of 1.2 votes per task, what it called 90 % sure was right 96 % of the time after two
rounds and 87 % after eight). Beyond DENSE_LABELS labels the target itself is the model, with accuracies fitted by EM.

strength = 0 is maximum likelihood: one round, no targets.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.em import Climb, Data, Expected, Free, Parameters, Stage, Structured, climb
from aggregation.core.fit import DENSE_LABELS, Fit, check_start, worth
from aggregation.core.structure import clamp, without_diagonal
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Pseudo-votes per free cell of a confusion matrix: K - 1 times as many for a row of K cells.
STRENGTH = 2.0
#: Pseudo-votes with which an annotator's accuracy is drawn towards everybody's.
ACCURACY_STRENGTH = 5.0
#: What an annotator is trusted with before anything is known: about the mean over real crowds. Where votes do not
#: overlap nothing ever will be known, and majority vote's guess, that everybody is always right, would stand.
ASSUMED_ACCURACY = 0.7
#: Pseudo-tasks that draw the label prior towards even.
PRIOR_WEIGHT = 1.0
ROUNDS = 2


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Floats | None = None,
    *,
    strength: float = STRENGTH,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Fit:
    """Fit Dawid-Skene to votes.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: f8[T, K], an earlier posterior of the same tasks:
    EM begins there (and may settle in another optimum than a cold start); targets do not come from it. strength:
    pseudo-votes per free cell of the shrinkage, >= 0; 0 is maximum likelihood. tol: EM has converged when the objective
    rises by less than tol per vote. max_iter: iterations allowed to each round. The Fit's objective and n_iter are
    those of the last round; converged says whether every round did. Raises ValueError on bad gold, start, strength or
    max_iter.
    """
    if strength < 0 or max_iter < 1:
        raise ValueError(f"strength is {strength} and max_iter {max_iter}; expected >= 0 and >= 1")
    known = check_gold(gold, votes)
    begin = check_start(start, votes)
    begin = None if begin is None else clamp(begin, known)
    if strength == 0:
        return _maximum_likelihood(Data(votes, known, 0.0), begin, tol, max_iter)
    return _hierarchical(Data(votes, known, PRIOR_WEIGHT), begin, strength, tol, max_iter)


def _hierarchical(data: Data, begin: Floats | None, strength: float, tol: float, max_iter: int) -> Fit:
    cautious = Structured(data, ASSUMED_ACCURACY, 0.0)
    posterior, converged = cautious.posterior(_even(data)), True
    for _ in range(ROUNDS):
        level = cautious.count(posterior)
        own = Structured(data, _pooled_accuracy(level), ACCURACY_STRENGTH)
        stage: Stage = own
        if data.votes.n_labels <= DENSE_LABELS:
            stage = Free(data, own.m_step(level), strength * (data.votes.n_labels - 1))
        reached = climb(data, stage, stage.count(posterior if begin is None else begin), tol, max_iter)
        posterior, begin = reached.posterior, None
        converged = converged and reached.converged
    return _as_fit(data, reached, converged, ACCURACY_STRENGTH, own.target, reached.parameters)


def _maximum_likelihood(data: Data, begin: Floats | None, tol: float, max_iter: int) -> Fit:
    dense = data.votes.n_labels <= DENSE_LABELS
    stage: Stage = Free(data, _even(data), 0.0) if dense else Structured(data, ASSUMED_ACCURACY, 0.0)
    first = stage.count(data.steps.vote_shares(data.votes.by_task, data.gold) if begin is None else begin)
    reached = climb(data, stage, first, tol, max_iter)
    return _as_fit(data, reached, reached.converged, 0.0, None, None if dense else reached.parameters)


def _even(data: Data) -> Parameters:
    """Everybody is right with ASSUMED_ACCURACY and errs evenly."""
    K = data.votes.n_labels
    return Parameters(
        label_prior=np.full(K, 1.0 / K),
        accuracy=np.full(data.votes.n_annotators, ASSUMED_ACCURACY),
        errors=without_diagonal(np.ones((K, K))),
    )


def _pooled_accuracy(level: Expected) -> float:
    """Of all votes, after one pseudo-vote of ASSUMED_ACCURACY."""
    _totals, right, wrong, _pooled = level
    return (float(right.sum()) + ASSUMED_ACCURACY) / (float(right.sum() + wrong.sum()) + 1.0)


def _as_fit(
    data: Data,
    reached: Climb,
    converged: bool,
    pseudo_votes: float,
    pooled_accuracy: float | None,
    structured: Parameters | None,
) -> Fit:
    """A pooled level that played no part in the fit is None; it is read off the posterior, for the live path."""
    totals, right, doubt, pooled = data.steps.structured_count(data.votes.by_task, data.gold, reached.posterior)
    level = totals, right, data.per_annotator - right, pooled
    if pooled_accuracy is None:
        pooled_accuracy = _pooled_accuracy(level)
    if structured is None:
        structured = Structured(data, pooled_accuracy, 0.0).m_step(level)
    return Fit(
        posterior=reached.posterior,
        label_prior=reached.parameters.label_prior,
        confusion=reached.parameters.confusion,
        accuracy=structured.accuracy,
        pooled_accuracy=pooled_accuracy,
        pooled_errors=structured.errors,
        n_iter=len(reached.objective),
        converged=converged,
        objective=reached.objective,
        skill_votes=worth(data.per_annotator, right, doubt) + pseudo_votes,
    )
