"""Expectation maximisation for Dawid-Skene models: the steps and the loop.

Dempster, A. P., Laird, N. M. and Rubin, D. B.: Maximum Likelihood from Incomplete Data via the EM Algorithm, Journal
of the Royal Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.

An E-step hands over nothing but expected counts, and an M-step needs nothing else. So a sweep over the votes takes
counts to counts, and EM looks for counts that a sweep leaves as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Generic, Protocol, TypeVar

import numpy as np

from aggregation.core import e_steps
from aggregation.core.fit import LIKELIHOOD_FLOOR
from aggregation.core.structure import error_votes, shares, without_diagonal
from aggregation.core.votes import ByTask, Cells, Floats, Ints, Votes

#: From so many votes times states on, kernels save a fit about what a process takes to load them, two seconds.
COMPILED_ABOVE = 750_000
#: Plain steps before the first leap: the first guess is rough, and a leap from it may end under another summit.
PLAIN_STEPS = 3

#: In steps. Where the path is straight, nothing else would end it.
LONGEST_LEAP = 1000.0

#: Expected counts. The first array is always the totals f8[C] of the states, over tasks with votes or gold.
Expected = tuple[Floats, ...]


class HasPrior(Protocol):
    """Parameters of any model: prior f8[C] of the states that a task may be in, and what else it has."""

    @property
    def prior(self) -> Floats: ...


P = TypeVar("P", bound=HasPrior)
Q = TypeVar("Q")


class Stage(Protocol[P]):
    """One model of how annotators vote, with parameters P. States are labels, or kinds of tasks of each label."""

    def count(self, posterior: Floats) -> Expected:
        """Expected counts if the states are distributed as posterior f8[T, C]."""

    def m_step(self, expected: Expected) -> P:
        """The parameters that explain the counts best."""

    def e_step(self, parameters: P) -> tuple[Expected, float]:
        """Expected counts under the parameters, and the objective they reach: the penalised log likelihood."""

    def posterior(self, parameters: P) -> Floats:
        """Posterior f8[T, C] under the parameters."""


@dataclass(frozen=True, eq=False)
class Data:
    """Votes with gold int32[T] (-1 unknown), the pseudo-tasks that draw the label prior towards even, how many kinds of
    tasks there are of each label, and whether labels have an order."""

    votes: Votes
    gold: Ints
    prior_weight: float
    kinds: int = 1
    ordinal: bool = False

    @cached_property
    def steps(self) -> ModuleType:
        """`e_steps`, or its compiled twin where votes are many and numba is there. Votes alone decide, so that
        equal votes give equal bytes."""
        if len(self.votes) * self.votes.n_labels * self.kinds >= COMPILED_ABOVE:
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
    def error_votes(self) -> Floats:
        return error_votes(self.votes, self.ordinal)

    def prior(self, totals: Floats) -> Floats:
        """Frequencies f8[C] of the states; tasks with neither votes nor gold say nothing about them."""
        return shares(totals + self.prior_weight / len(totals))

    def label_prior(self, totals: Floats) -> Floats:
        """Frequencies f8[K] of the labels: even where each task has a prior of its own, in which they are already."""
        return self.prior(totals) if self.votes.task_prior is None else np.full(len(totals), 1.0 / len(totals))

    def log_density(self, prior: Floats) -> float:
        """Of the prior under its pseudo-tasks, but for a constant."""
        return float(self.prior_weight * _log(prior).mean()) if self.prior_weight else 0.0


@dataclass(frozen=True, eq=False)
class Reached(Generic[Q]):
    """Where EM ended: posterior f8[T, C] and parameters agree. One objective value per iteration, which never falls."""

    posterior: Floats
    parameters: Q
    objective: tuple[float, ...]
    converged: bool


def squarem(data: Data, stage: Stage[P], expected: Expected, tol: float, max_iter: int) -> Reached[P]:
    """EM from expected counts until the objective has settled, or for max_iter sweeps.

    After two plain steps it leaps to where they seem to lead (SQUAREM: Varadhan, R. and Roland, C.: Simple and
    Globally Convergent Methods for Accelerating the Convergence of Any EM Algorithm, Scandinavian Journal of
    Statistics 35(2), 2008, doi:10.1111/j.1467-9469.2007.00585.x), and takes the leap back if the objective fell.
    """
    path, objective, converged = [expected], list[float](), False
    for _ in range(max_iter):
        leaps = len(path) == 3 and len(objective) > PLAIN_STEPS
        here = leap(*path) if leaps else path[-1]
        if leaps:
            path = path[-1:]
        candidate = stage.m_step(here)
        expected, value = stage.e_step(candidate)
        if leaps and value < objective[-1]:
            continue
        parameters, path = candidate, [*([here] if leaps else path[-2:]), expected]
        objective.append(value)
        converged = settled(objective, len(data.votes), tol)
        if converged:
            break
    return Reached(stage.posterior(parameters), parameters, tuple(objective), converged)


def settled(objective: Sequence[float], n_votes: int, tol: float) -> bool:
    """Whether the last iteration raised the objective by less than tol per vote."""
    return len(objective) > 1 and abs(objective[-1] - objective[-2]) < tol * max(n_votes, 1)


def leap(first: Expected, second: Expected, third: Expected) -> Expected:
    """The counts that lie ahead of three successive ones (Varadhan and Roland's third step length).

    Roots of counts are extrapolated: their squares are never negative, and a cell in which hardly anybody votes does
    not set the pace of all others.
    """
    start, step, bend = (tuple(np.sqrt(array) for array in expected) for expected in (first, second, third))
    for a, b, c in zip(start, step, bend, strict=True):  # in place: there may be as many counts as votes
        c -= b
        b -= a
        c -= b
    length = np.clip(_norm(step) / max(_norm(bend), np.finfo(np.float64).tiny), 1.0, LONGEST_LEAP)
    for a, b, c in zip(start, step, bend, strict=True):
        b *= 2.0 * length
        c *= length**2
        a += b
        a += c
        a *= a
    return start


@dataclass(frozen=True, eq=False)
class Level:
    """prior f8[K], accuracy f8[A], and errors f8[K, K] as [true, voted] with zero diagonal."""

    prior: Floats
    accuracy: Floats
    errors: Floats


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

    def m_step(self, expected: Expected) -> Level:
        totals, right, wrong, pooled = expected
        n = right + wrong + self.strength
        accuracy = np.where(n > 0, (right + self.strength * self.target) / np.where(n > 0, n, 1), self.target)
        return Level(self.data.label_prior(totals), accuracy, without_diagonal(pooled.T + self.data.error_votes))

    def e_step(self, parameters: Level) -> tuple[Expected, float]:
        *counts, evidence = self.data.steps.structured_sweep(*self._arguments(parameters))
        objective = evidence + self._log_density(parameters) + self.data.log_density(parameters.prior)
        return self._expected(*counts), objective

    def posterior(self, parameters: Level) -> Floats:
        return np.asarray(self.data.steps.structured_posterior(*self._arguments(parameters)))

    def _expected(self, totals: Floats, right: Floats, pooled: Floats) -> Expected:
        return totals, right, np.maximum(self.data.per_annotator - right, 0.0), pooled

    def _arguments(self, parameters: Level) -> tuple[object, ...]:
        single = self.data.votes.n_labels == 1  # then nobody can be wrong
        right = np.ones_like(parameters.accuracy) if single else _floored(parameters.accuracy)
        errors = np.ascontiguousarray(_floored(parameters.errors).T)
        wrong = _floored(1.0 - parameters.accuracy)
        return self.data.votes.by_task, self.data.gold, parameters.prior, right, wrong, errors

    def _log_density(self, parameters: Level) -> float:
        right, wrong = _log(parameters.accuracy), _log(1.0 - parameters.accuracy)
        accuracy = self.strength * (self.target * right + (1.0 - self.target) * wrong).sum()
        return float(accuracy + (self.data.error_votes * _log(parameters.errors)).sum())


@dataclass(frozen=True, eq=False)
class Rates:
    """prior f8[C]; likelihood f8[R, C], the confusions of the cells that occur as [cell, state]; shrinkage f8[A, C],
    0..1: the share of the target in each confusion. What an annotator never voted has that share of its target."""

    prior: Floats
    likelihood: Floats
    shrinkage: Floats


@dataclass(frozen=True, eq=False)
class Free:
    """Annotator a votes v on a task in state c with a probability of their own.

    These are shrunk towards a target by `strength` f8[C] pseudo-votes. target: f8[R, C], of the cells that occur; all
    that an annotator never voted is one label more, with what is left. So nothing is larger than the votes. Expected
    counts: totals f8[C], and votes f8[R, C] as [cell, state]. own_share: every label has its own share of each of the
    `data.kinds` kinds; otherwise they are equally frequent under every label. State c is one of kind c // K.
    """

    data: Data
    target: Floats
    strength: Floats
    own_share: bool = True

    @cached_property
    def pseudo_votes(self) -> Floats:
        """For each cell that occurs, f8[R, C]."""
        return self.strength * self.target

    @cached_property
    def pseudo_votes_elsewhere(self) -> Floats:
        """For all that an annotator never voted, f8[A, C]."""
        return np.maximum(self.strength - self._cells.by_annotator(self.pseudo_votes), 0.0)

    def count(self, posterior: Floats) -> Expected:
        return tuple(self.data.steps.free_count(self.data.votes.by_task, self.data.gold, posterior))

    def m_step(self, expected: Expected) -> Rates:
        totals, votes = expected
        n = self._cells.by_annotator(votes) + self.strength
        # Maximum likelihood knows nothing of a state without votes; the target is as good as any.
        unknown = n <= 0
        n[unknown] = 1.0
        shrinkage = np.where(unknown, 1.0, self.strength / n)
        likelihood = votes + self.pseudo_votes
        likelihood /= n[self._cells.annotator]
        if unknown.any():
            np.copyto(likelihood, self.target, where=unknown[self._cells.annotator])
        return Rates(self._prior(totals), likelihood, shrinkage)

    def e_step(self, parameters: Rates) -> tuple[Expected, float]:
        arguments = self._arguments(parameters)
        totals, votes, evidence = self.data.steps.free_sweep(*arguments)
        return (totals, votes), evidence + self._log_density(parameters, arguments[-1])

    def posterior(self, parameters: Rates) -> Floats:
        return np.asarray(self.data.steps.free_posterior(*self._arguments(parameters)))

    def log_likelihood(self, parameters: Rates) -> float:
        """Of the votes, without their gold."""
        tasks, gold, *rates = self._arguments(parameters)
        return float(self.data.steps.free_sweep(tasks, np.full_like(gold, -1), *rates)[2])

    @property
    def _cells(self) -> Cells:
        return self.data.votes.by_task.cells

    def _prior(self, totals: Floats) -> Floats:
        if self.own_share:
            return self._as_labels_are(self.data.prior(totals))
        by_kind = totals.reshape(self.data.kinds, -1)
        return np.outer(self.data.prior(by_kind.sum(axis=1)), self.data.label_prior(by_kind.sum(axis=0))).ravel()

    def _as_labels_are(self, prior: Floats) -> Floats:
        """Frequencies f8[C] of the states; even over the labels where tasks have priors of their own."""
        if self.data.votes.task_prior is None:
            return prior
        states = prior.reshape(-1, self.data.votes.n_labels)
        return np.asarray(states / states.sum(axis=0) / states.shape[1]).ravel()

    def _arguments(self, parameters: Rates) -> tuple[ByTask, Ints, Floats, Floats]:
        return self.data.votes.by_task, self.data.gold, parameters.prior, _floored(parameters.likelihood)

    def _log_density(self, parameters: Rates, floored: Floats) -> float:
        by_kind = parameters.prior.reshape(1 if self.own_share else self.data.kinds, -1)
        prior = self.data.log_density(by_kind.sum(axis=1)) + self.data.log_density(by_kind.sum(axis=0))
        if not self.strength.any():
            return prior
        voted = float(np.vdot(self.pseudo_votes, np.log(floored)))
        return prior + voted + float(np.vdot(self.pseudo_votes_elsewhere, _log(parameters.shrinkage)))


def _floored(p: Floats) -> Floats:
    return np.maximum(p, LIKELIHOOD_FLOOR)


def _log(p: Floats) -> Floats:
    return np.log(_floored(p))


def _norm(arrays: Expected) -> float:
    return float(np.sqrt(sum(float(np.vdot(array, array)) for array in arrays)))
