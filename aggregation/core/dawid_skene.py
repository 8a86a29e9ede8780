"""Dawid-Skene from coarse to fine.

Dawid, A. P. and Skene, A. M.: Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm,
Applied Statistics 28(1), 1979, doi:10.2307/2346806.

Few annotators give enough votes for a free confusion matrix, so three models are fitted one after the other, and
each draws the next towards itself with `strength` pseudo-votes:

1. pooled:     everybody has the same accuracy and errs in the same way;
2. structured: everybody has an accuracy of their own, shrunk towards the pooled one, and errs in the pooled way;
3. free:       everybody has a confusion matrix of their own, each row shrunk towards the structured one.

Within a stage the targets of the shrinkage are fixed, so each stage climbs one objective, its penalised log
likelihood, which never falls. The three objectives are not comparable with each other. Beyond DENSE_LABELS labels the
second stage is the last. strength = 0 is maximum likelihood: no shrinkage, and straight to the last stage.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.em import Climb, Data, Free, Parameters, Structured, climb
from aggregation.core.fit import DENSE_LABELS, Fit
from aggregation.core.majority_vote import vote_shares
from aggregation.core.structure import clamp, pooled_level
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Pseudo-votes per confusion row, and per annotator's accuracy.
STRENGTH = 5.0
#: The pooled accuracy itself starts from one pseudo-vote, half right.
POOLED_TARGET, POOLED_STRENGTH = 0.5, 1.0
#: Pseudo-tasks that draw the label prior towards even when there is shrinkage.
PRIOR_WEIGHT = 1.0


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

    gold: int32[T], -1 where unknown; known tasks are clamped. start: f8[T, K], an earlier posterior of the same tasks,
    for a warm start (a warm and a cold start may settle in different optima). strength: pseudo-votes of the shrinkage,
    >= 0; 0 is maximum likelihood. tol: a stage has converged when its objective rises by less than tol per vote.
    max_iter: iterations allowed to each stage. The Fit's objective and n_iter are those of the last stage; converged
    says whether every stage did. Raises ValueError on bad gold, start, strength or max_iter.
    """
    if strength < 0 or max_iter < 1:
        raise ValueError(f"strength is {strength} and max_iter {max_iter}; expected >= 0 and >= 1")
    known = check_gold(gold, votes)
    begin = vote_shares(votes, known)[0] if start is None else clamp(_check_start(start, votes), known)
    climbs = (
        _fine(votes, known, begin, tol, max_iter)
        if strength == 0
        else _coarse_to_fine(votes, known, begin, strength, tol, max_iter)
    )
    return _as_fit(votes, climbs)


def _coarse_to_fine(votes: Votes, gold: Ints, begin: Floats, strength: float, tol: float, max_iter: int) -> list[Climb]:
    data, everybody = Data(votes, gold, PRIOR_WEIGHT), Data(_as_one(votes), gold, PRIOR_WEIGHT)
    pooled = climb(everybody, Structured(everybody, POOLED_TARGET, POOLED_STRENGTH), begin, tol, max_iter)
    own = climb(data, Structured(data, float(pooled.parameters.accuracy[0]), strength), pooled.posterior, tol, max_iter)
    if votes.n_labels > DENSE_LABELS:
        return [pooled, own]
    return [pooled, own, climb(data, Free(data, own.parameters, strength), own.posterior, tol, max_iter)]


def _fine(votes: Votes, gold: Ints, begin: Floats, tol: float, max_iter: int) -> list[Climb]:
    data = Data(votes, gold, 0.0)
    pooled_accuracy, pooled_errors = pooled_level(votes, begin)
    if votes.n_labels > DENSE_LABELS:
        return [climb(data, Structured(data, pooled_accuracy, 0.0), begin, tol, max_iter)]
    around = Parameters(begin.mean(axis=0), np.full(votes.n_annotators, pooled_accuracy), pooled_errors)
    return [climb(data, Free(data, around, 0.0), begin, tol, max_iter)]


def _as_fit(votes: Votes, climbs: list[Climb]) -> Fit:
    last, parameters = climbs[-1], climbs[-1].parameters
    if len(climbs) == 1:  # maximum likelihood: the pooled level is only read off
        pooled_accuracy, errors = pooled_level(votes, last.posterior)
        alone = Structured(Data(votes, np.full(votes.n_tasks, -1, np.int32), 0.0), pooled_accuracy, 0.0)
        accuracy = alone.m_step(last.posterior, parameters.label_prior).accuracy
        errors = errors if parameters.confusion is not None else parameters.errors
    else:
        pooled_accuracy = float(climbs[0].parameters.accuracy[0])
        accuracy, errors = parameters.accuracy, parameters.errors
    return Fit(
        posterior=last.posterior,
        label_prior=parameters.label_prior,
        confusion=parameters.confusion,
        accuracy=accuracy,
        pooled_accuracy=pooled_accuracy,
        pooled_errors=errors,
        n_iter=len(last.objective),
        converged=all(stage.converged for stage in climbs),
        objective=last.objective,
    )


def _as_one(votes: Votes) -> Votes:
    """The same votes as if one annotator had given them all."""
    return Votes(votes.task, np.zeros(len(votes), np.int32), votes.label, votes.n_tasks, 1, votes.n_labels)


def _check_start(start: Floats, votes: Votes) -> Floats:
    posterior = np.asarray(start, dtype=np.float64)
    if posterior.shape != (votes.n_tasks, votes.n_labels):
        raise ValueError(f"start has shape {posterior.shape}; expected {(votes.n_tasks, votes.n_labels)}")
    if not (np.isfinite(posterior).all() and (posterior >= 0).all()):
        raise ValueError("start must hold probabilities: finite and not negative")
    return posterior
