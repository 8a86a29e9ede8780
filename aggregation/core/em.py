"""Expectation maximisation for Dawid-Skene models: the steps and the loop.

Dempster, A. P., Laird, N. M. and Rubin, D. B.: Maximum Likelihood from Incomplete Data via the EM Algorithm, Journal
of the Royal Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.

An E-step hands over nothing but expected counts, and an M-step needs nothing else. So a sweep over the votes takes
counts to counts, and EM looks for counts that a sweep leaves as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Protocol

import numpy as np

from aggregation.core import e_steps
from aggregation.core.fit import LIKELIHOOD_FLOOR
from aggregation.core.structure import ERROR_WEIGHT, error_rows, error_target, shares, structured
from aggregation.core.votes import Floats, Ints, Votes

#: From so many votes times labels on, compiled kernels save more time than it takes to load them.
COMPILED_ABOVE = 400_000
#: Plain steps before the first leap: the first guess is rough, and a leap from it may end under another summit.
PLAIN_STEPS = 3

#: Expected counts. The first array is always the label totals f8[K], over tasks with votes or gold.
Expected = tuple[Floats, ...]


@dataclass(frozen=True, eq=False)
class Parameters:
    """label_prior f8[K], accuracy f8[A], errors f8[K, K] with zero diagonal, confusion f8[A, K, K] if free."""

    label_prior: Floats
    accuracy: Floats
    errors: Floats
    confusion: Floats | None = None


class Stage(Protocol):
    """One model of how annotators vote."""

    def count(self, posterior: Floats) -> Expected:
        """Expected counts if truth is distributed as posterior f8[T, K]."""

    def m_step(self, expected: Expected) -> Parameters:
        """The parameters that explain the counts best."""

    def e_step(self, parameters: Parameters) -> tuple[Expected, float]:
        """Expected counts under the parameters, and the objective they reach: the penalised log likelihood."""

    def posterior(self, parameters: Parameters) -> Floats:
        """Posterior f8[T, K] under the parameters."""


@dataclass(frozen=True, eq=False)
class Data:
    """Votes with gold int32[T] (-1 unknown), and the pseudo-tasks that draw the label prior towards even."""

    votes: Votes
    gold: Ints
    prior_weight: float

    @cached_property
    def steps(self) -> ModuleType:
        """`e_steps`, or its compiled twin where votes are many and numba is there. Votes alone decide, so that
        equal votes give equal bytes."""
        if len(self.votes) * self.votes.n_labels >= COMPILED_ABOVE:
            try:
                from aggregation.core import kernels
            except ImportError:
                return e_steps
            return kernels
        return e_steps

    @cached_property
    def per_annotator(self) -> Floats:
        """Votes of each annotator, f8[A]."""
        return np.bincount(self.votes.annotator, minlength=self.votes.n_annotators).astype(np.float64)

    @cached_property
    def error_target(self) -> Floats:
        return error_target(self.votes)

    def label_prior(self, totals: Floats) -> Floats:
        """Label frequencies f8[K]; tasks with neither votes nor gold say nothing about them."""
        return shares(totals + self.prior_weight / len(totals))

    def log_density(self, label_prior: Floats) -> float:
        """Of the label prior under its pseudo-tasks, but for a constant."""
        return float(self.prior_weight * _log(label_prior).mean()) if self.prior_weight else 0.0


@dataclass(frozen=True, eq=False)
class Climb:
    """Where EM ended: posterior and parameters agree. One objective value per iteration."""

    posterior: Floats
    parameters: Parameters
    objective: tuple[float, ...]
    converged: bool


def climb(data: Data, stage: Stage, expected: Expected, tol: float, max_iter: int) -> Climb:
    """EM from expected counts until the objective rises by less than tol per vote, or for max_iter sweeps.

    After two plain steps it leaps to where they seem to lead (SQUAREM: Varadhan, R. and Roland, C.: Simple and
    Globally Convergent Methods for Accelerating the Convergence of Any EM Algorithm, Scandinavian Journal of
    Statistics 35(2), 2008, doi:10.1111/j.1467-9469.2007.00585.x), and takes the leap back if the objective fell.
    """
    path, objective, converged = [expected], list[float](), False
    for _ in range(max_iter):
        leaps = len(path) == 3 and len(objective) > PLAIN_STEPS
        here = leap(*path) if leaps else path[-1]
        candidate = stage.m_step(here)
        expected, value = stage.e_step(candidate)
        if leaps and value < objective[-1]:
            path = path[-1:]
            continue
        parameters, path = candidate, [*([here] if leaps else path[-2:]), expected]
        objective.append(value)
        converged = len(objective) > 1 and abs(objective[-1] - objective[-2]) < tol * max(len(data.votes), 1)
        if converged:
            break
    return Climb(stage.posterior(parameters), parameters, tuple(objective), converged)


def leap(first: Expected, second: Expected, third: Expected) -> Expected:
    """The counts that lie ahead of three successive ones (Varadhan and Roland's third step length).

    Roots of counts are extrapolated: their squares are never negative, and a cell in which hardly anybody votes does
    not set the pace of all others.
    """
    roots = [tuple(np.sqrt(array) for array in expected) for expected in (first, second, third)]
    step = [b - a for a, b in zip(roots[0], roots[1], strict=True)]
    bend = [c - b - r for b, c, r in zip(roots[1], roots[2], step, strict=True)]
    length = max(1.0, _norm(step) / max(_norm(bend), np.finfo(np.float64).tiny))
    return tuple(np.square(a + 2.0 * length * r + length**2 * v) for a, r, v in zip(roots[0], step, bend, strict=True))


@dataclass(frozen=True, eq=False)
class Structured:
    """Annotator a is right with accuracy[a]; when wrong, errs as everybody does.

    The accuracy is shrunk towards `target` by `strength` pseudo-votes. Expected counts: label totals f8[K], right and
    wrong votes of each annotator f8[A], and all votes f8[K, K] as [voted, true].
    """

    data: Data
    target: float
    strength: float

    def count(self, posterior: Floats) -> Expected:
        totals, right, _doubt, pooled = self.data.steps.structured_count(
            self.data.votes.by_task, self.data.gold, posterior
        )
        return self._expected(totals, right, pooled)

    def m_step(self, expected: Expected) -> Parameters:
        totals, right, wrong, pooled = expected
        n = right + wrong + self.strength
        accuracy = np.where(n > 0, (right + self.strength * self.target) / np.where(n > 0, n, 1), self.target)
        return Parameters(self.data.label_prior(totals), accuracy, error_rows(pooled.T, self.data.error_target))

    def e_step(self, parameters: Parameters) -> tuple[Expected, float]:
        *counts, evidence = self.data.steps.structured_sweep(*self._arguments(parameters))
        objective = evidence + self._log_density(parameters) + self.data.log_density(parameters.label_prior)
        return self._expected(*counts), objective

    def posterior(self, parameters: Parameters) -> Floats:
        return np.asarray(self.data.steps.structured_posterior(*self._arguments(parameters)))

    def _expected(self, totals: Floats, right: Floats, pooled: Floats) -> Expected:
        return totals, right, np.maximum(self.data.per_annotator - right, 0.0), pooled

    def _arguments(self, parameters: Parameters) -> tuple[object, ...]:
        single = self.data.votes.n_labels == 1  # then nobody can be wrong
        right = np.ones_like(parameters.accuracy) if single else _floored(parameters.accuracy)
        errors = np.ascontiguousarray(_floored(parameters.errors).T)
        wrong = _floored(1.0 - parameters.accuracy)
        return self.data.votes.by_task, self.data.gold, parameters.label_prior, right, wrong, errors

    def _log_density(self, parameters: Parameters) -> float:
        right, wrong = _log(parameters.accuracy), _log(1.0 - parameters.accuracy)
        accuracy = self.strength * (self.target * right + (1.0 - self.target) * wrong).sum()
        return float(accuracy + ERROR_WEIGHT * (self.data.error_target * _log(parameters.errors)).sum())


@dataclass(frozen=True, eq=False)
class Free:
    """Annotator a votes v on a task of label t with confusion[a, t, v].

    Rows are shrunk towards the structured confusion of `around` by `strength` pseudo-votes. Memory A * K * K. Expected
    counts: label totals f8[K], and votes of each annotator f8[A * K, K] as [annotator * K + voted, true].
    """

    data: Data
    around: Parameters
    strength: float

    @cached_property
    def target(self) -> Floats:
        """f8[A, K, K] as [annotator, voted, true], like the counts."""
        return np.ascontiguousarray(structured(self.around.accuracy, self.around.errors).transpose(0, 2, 1))

    def count(self, posterior: Floats) -> Expected:
        return tuple(self.data.steps.free_count(self.data.votes.by_task, self.data.gold, posterior))

    def m_step(self, expected: Expected) -> Parameters:
        totals, votes = expected
        counts = votes.reshape(self.target.shape) + self.strength * self.target
        n = counts.sum(axis=1, keepdims=True)
        # Maximum likelihood knows nothing of a row without votes; the structured row is as good as any.
        confusion = np.where(n > 0, counts / np.where(n > 0, n, 1), self.target).transpose(0, 2, 1)
        return Parameters(self.data.label_prior(totals), self.around.accuracy, self.around.errors, confusion)

    def e_step(self, parameters: Parameters) -> tuple[Expected, float]:
        totals, votes, evidence = self.data.steps.free_sweep(*self._arguments(parameters))
        objective = evidence + self._log_density(parameters) + self.data.log_density(parameters.label_prior)
        return (totals, votes), objective

    def posterior(self, parameters: Parameters) -> Floats:
        return np.asarray(self.data.steps.free_posterior(*self._arguments(parameters)))

    def _arguments(self, parameters: Parameters) -> tuple[object, ...]:
        assert parameters.confusion is not None
        likelihood = _floored(parameters.confusion.transpose(0, 2, 1)).reshape(-1, self.data.votes.n_labels)
        return self.data.votes.by_task, self.data.gold, parameters.label_prior, likelihood

    def _log_density(self, parameters: Parameters) -> float:
        assert parameters.confusion is not None
        if self.strength == 0:
            return 0.0
        return float(self.strength * (self.target * _log(parameters.confusion.transpose(0, 2, 1))).sum())


def _floored(p: Floats) -> Floats:
    return np.maximum(p, LIKELIHOOD_FLOOR)


def _log(p: Floats) -> Floats:
    return np.log(_floored(p))


def _norm(arrays: list[Floats]) -> float:
    return float(np.sqrt(sum(float(np.square(array).sum()) for array in arrays)))
