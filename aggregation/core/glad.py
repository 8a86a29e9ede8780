"""Task difficulty: an annotator of ability a is right on a task of ease b with probability sigmoid(a * b).

Whitehill, J., Ruvolo, P., Wu, T., Bergsma, J. and Movellan, J.: Whose Vote Should Count More: Optimal Integration of
Labels from Labelers of Unknown Expertise (GLAD), Advances in Neural Information Processing Systems 22, 2009. As there,
errors fall evenly on the other labels, the label prior is even, abilities are normal and eases log-normal. The M-step
is one guarded Newton step for all abilities at once, then one for all eases: the objective never falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aggregation.core.even_errors import alternate
from aggregation.core.fit import Fit, Start, check_start, read_off
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Abilities are Normal(1, 1): their mean is right 73 % of the time on a task of ease 1, one below 0 less than half.
ABILITY_MEAN, ABILITY_DEVIATION = 1.0, 1.0
#: The logs of the eases are Normal(0, 1): two tasks in three lie within 0.37..2.7.
LOG_EASE_DEVIATION = 1.0
#: How often a step that overshoots is halved before it is given up.
HALVINGS = 5


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Start | None = None,
    *,
    tol: float = 1e-6,
    max_iter: int = 200,
) -> Fit:
    """Fit GLAD by generalised EM; accuracies and confusions are counted from its posterior.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: f8[T, K], an earlier posterior to begin from.
    tol: EM has converged when the objective rises by less than tol per vote. Raises ValueError on bad gold, start or
    max_iter.
    """
    if max_iter < 1:
        raise ValueError(f"max_iter is {max_iter}; expected >= 1")
    known, begin = check_gold(gold, votes), check_start(start, votes)
    reached = alternate(votes, known, Glad(votes), None if begin is None else clamp(begin, known), tol, max_iter)
    return read_off(
        votes,
        reached.posterior,
        np.full(votes.n_labels, 1.0 / votes.n_labels),
        n_iter=len(reached.objective),
        converged=reached.converged,
        objective=reached.objective,
    )


class Parameters(NamedTuple):
    """ability f8[A], log_ease f8[T]."""

    ability: Floats
    log_ease: Floats


@dataclass(frozen=True, eq=False)
class Glad:
    """The log odds of a vote are its annotator's ability times its task's ease."""

    votes: Votes

    def start(self) -> Parameters:
        return Parameters(np.full(self.votes.n_annotators, ABILITY_MEAN), np.zeros(self.votes.n_tasks))

    def log_odds(self, parameters: Parameters) -> Floats:
        ability, log_ease = parameters
        return np.asarray(ability[self.votes.annotator] * np.exp(log_ease)[self.votes.task])

    def log_density(self, parameters: Parameters) -> float:
        return float(_log_density_ability(parameters.ability).sum() + _log_density_ease(parameters.log_ease).sum())

    def m_step(self, parameters: Parameters, right: Floats) -> Parameters:
        ability, log_ease = parameters
        ability = self._ability_step(ability, np.exp(log_ease)[self.votes.task], right)
        return Parameters(ability, self._ease_step(ability[self.votes.annotator], log_ease, right))

    def _ability_step(self, ability: Floats, ease: Floats, right: Floats) -> Floats:
        """One step for each ability f8[A], given the ease of each vote's task, f8[n]."""
        annotator, A = self.votes.annotator, len(ability)
        p = _sigmoid(ability[annotator] * ease)
        pull = (ability - ABILITY_MEAN) / ABILITY_DEVIATION**2
        slope = np.bincount(annotator, (right - p) * ease, minlength=A) - pull
        bend = np.bincount(annotator, p * (1.0 - p) * ease**2, minlength=A) + 1.0 / ABILITY_DEVIATION**2

        def value(candidate: Floats) -> Floats:
            fits = _log_likelihood(candidate[annotator] * ease, right)
            return np.bincount(annotator, fits, minlength=A) + _log_density_ability(candidate)

        return _guarded(ability, slope / bend, value)

    def _ease_step(self, ability: Floats, log_ease: Floats, right: Floats) -> Floats:
        """One step for each log ease f8[T], given the ability of each vote's annotator, f8[n]."""
        task, T = self.votes.task, len(log_ease)
        x = ability * np.exp(log_ease)[task]
        p = _sigmoid(x)
        pull = log_ease / LOG_EASE_DEVIATION**2
        slope = np.bincount(task, (right - p) * x, minlength=T) - pull
        # Fisher's expected curvature, which unlike the observed one is never negative.
        bend = np.bincount(task, p * (1.0 - p) * x**2, minlength=T) + 1.0 / LOG_EASE_DEVIATION**2

        def value(candidate: Floats) -> Floats:
            fits = _log_likelihood(ability * np.exp(candidate)[task], right)
            return np.bincount(task, fits, minlength=T) + _log_density_ease(candidate)

        return _guarded(log_ease, slope / bend, value)


def _guarded(at: Floats, step: Floats, value: Callable[[Floats], Floats]) -> Floats:
    """at + step, element by element; where that lowers the element's value, a halved step, or none."""
    before = value(at)
    for _ in range(HALVINGS):
        lower = value(at + step) < before
        if not lower.any():
            return at + step
        step = np.where(lower, 0.5 * step, step)
    return at + np.where(value(at + step) < before, 0.0, step)


def _log_likelihood(log_odds: Floats, right: Floats) -> Floats:
    """Expected log probability of votes that are right with probability right, f8[n]: less the choice of the error."""
    return np.asarray(right * log_odds - np.logaddexp(0.0, log_odds))


def _log_density_ability(ability: Floats) -> Floats:
    return np.asarray(-0.5 * ((ability - ABILITY_MEAN) / ABILITY_DEVIATION) ** 2)


def _log_density_ease(log_ease: Floats) -> Floats:
    return np.asarray(-0.5 * (log_ease / LOG_EASE_DEVIATION) ** 2)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
