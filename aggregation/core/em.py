"""Expectation maximisation for Dawid-Skene models, in log space: the steps and the loop.

Dempster, A. P., Laird, N. M. and Rubin, D. B.: Maximum Likelihood from Incomplete Data via the EM Algorithm, Journal
of the Royal Statistical Society B 39(1), 1977, doi:10.1111/j.2517-6161.1977.tb01600.x.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from aggregation.core.fit import LIKELIHOOD_FLOOR
from aggregation.core.live import softmax
from aggregation.core.structure import (
    ERROR_WEIGHT,
    clamp,
    confusion_counts,
    error_rows,
    error_target,
    shares,
    structured,
)
from aggregation.core.votes import Floats, Ints, Votes


@dataclass(frozen=True, eq=False)
class Parameters:
    """label_prior f8[K], accuracy f8[A], errors f8[K, K] with zero diagonal, confusion f8[A, K, K] if free."""

    label_prior: Floats
    accuracy: Floats
    errors: Floats
    confusion: Floats | None = None


class Stage(Protocol):
    """One model of how annotators vote."""

    def m_step(self, posterior: Floats, label_prior: Floats) -> Parameters:
        """The parameters that explain the votes best if truth is distributed as posterior f8[T, K]."""

    def log_likelihood(self, parameters: Parameters) -> Floats:
        """log P(votes of a task | true label), f8[T, K]."""

    def penalty(self, parameters: Parameters) -> float:
        """Log density of the parameters under their shrinkage, but for a constant."""


@dataclass(frozen=True, eq=False)
class Data:
    """Votes with gold int32[T] (-1 unknown), and the pseudo-tasks that draw the label prior towards even."""

    votes: Votes
    gold: Ints
    prior_weight: float
    per_task: Floats = field(init=False)
    informed: np.ndarray[tuple[int], np.dtype[np.bool_]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "per_task", self.votes.per_task())
        object.__setattr__(self, "informed", (self.per_task.sum(axis=1) > 0) | (self.gold >= 0))


@dataclass(frozen=True, eq=False)
class Climb:
    """Where EM ended: posterior and parameters agree. One objective value per iteration."""

    posterior: Floats
    parameters: Parameters
    objective: tuple[float, ...]
    converged: bool


def climb(data: Data, stage: Stage, posterior: Floats, tol: float, max_iter: int) -> Climb:
    """Alternate M- and E-steps from a posterior f8[T, K] until the objective rises by less than tol per vote.

    Every iteration ends with an E-step, so the posterior returned agrees with the parameters returned.
    """
    objectives: list[float] = []
    while True:
        parameters = stage.m_step(posterior, label_prior(data, posterior))
        posterior, objective = e_step(data, stage, parameters)
        objectives.append(objective)
        converged = len(objectives) > 1 and abs(objectives[-1] - objectives[-2]) < tol * max(len(data.votes), 1)
        if converged or len(objectives) >= max_iter:
            return Climb(posterior, parameters, tuple(objectives), converged)


def label_prior(data: Data, posterior: Floats) -> Floats:
    """Label frequencies f8[K] over tasks with votes or gold; tasks without either say nothing about them."""
    K = data.votes.n_labels
    return shares(posterior[data.informed].sum(axis=0) + data.prior_weight / K)


def e_step(data: Data, stage: Stage, parameters: Parameters) -> tuple[Floats, float]:
    """The posterior f8[T, K] under the parameters, and the objective they reach: the penalised log likelihood."""
    log_prior = np.log(np.maximum(parameters.label_prior, np.finfo(np.float64).tiny))
    joint = stage.log_likelihood(parameters) + log_prior
    top = joint.max(axis=1)
    evidence = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
    known = np.flatnonzero(data.gold >= 0)
    evidence[known] = joint[known, data.gold[known]]
    objective = evidence[data.informed].sum() + stage.penalty(parameters) + data.prior_weight * log_prior.mean()
    return clamp(softmax(joint), data.gold), float(objective)


@dataclass(frozen=True, eq=False)
class Structured:
    """Annotator a is right with accuracy[a]; when wrong, errs as everybody does.

    The accuracy is shrunk towards `target` by `strength` pseudo-votes. Memory is that of T * K, whatever A.
    """

    data: Data
    target: float
    strength: float

    def m_step(self, posterior: Floats, label_prior: Floats) -> Parameters:
        votes = self.data.votes
        correct = np.bincount(votes.annotator, posterior[votes.task, votes.label], minlength=votes.n_annotators)
        total = np.bincount(votes.annotator, minlength=votes.n_annotators) + self.strength
        accuracy = np.where(
            total > 0, (correct + self.strength * self.target) / np.where(total > 0, total, 1), self.target
        )
        return Parameters(label_prior, accuracy, error_rows(posterior.T @ self.data.per_task, votes))

    def log_likelihood(self, parameters: Parameters) -> Floats:
        votes, K = self.data.votes, self.data.votes.n_labels
        if K == 1:
            return np.zeros((votes.n_tasks, 1))
        right, wrong = _log(parameters.accuracy), _log(1.0 - parameters.accuracy)
        errors = _log(parameters.errors) * (1.0 - np.eye(K))
        # Every vote as if wrong, then corrected at the one label under which it is right.
        all_wrong = np.bincount(votes.task, wrong[votes.annotator], minlength=votes.n_tasks)
        cell = votes.task.astype(np.int64) * K + votes.label
        correction = np.bincount(cell, (right - wrong)[votes.annotator], minlength=votes.n_tasks * K)
        return np.asarray(all_wrong[:, None] + self.data.per_task @ errors.T + correction.reshape(-1, K))

    def penalty(self, parameters: Parameters) -> float:
        right, wrong = _log(parameters.accuracy), _log(1.0 - parameters.accuracy)
        accuracy = self.strength * (self.target * right + (1.0 - self.target) * wrong).sum()
        return float(accuracy + ERROR_WEIGHT * (error_target(self.data.votes) * _log(parameters.errors)).sum())


@dataclass(frozen=True, eq=False)
class Free:
    """Annotator a votes v on a task of label t with confusion[a, t, v].

    Rows are shrunk towards the structured confusion of `around` by `strength` pseudo-votes. Memory A * K * K.
    """

    data: Data
    around: Parameters
    strength: float

    @property
    def target(self) -> Floats:
        return structured(self.around.accuracy, self.around.errors)

    def m_step(self, posterior: Floats, label_prior: Floats) -> Parameters:
        counts = confusion_counts(self.data.votes, posterior) + self.strength * self.target
        total = counts.sum(axis=2, keepdims=True)
        # Maximum likelihood knows nothing of a row without votes; the structured row is as good as any.
        confusion = np.where(total > 0, counts / np.where(total > 0, total, 1), self.target)
        return Parameters(label_prior, self.around.accuracy, self.around.errors, confusion)

    def log_likelihood(self, parameters: Parameters) -> Floats:
        assert parameters.confusion is not None
        votes, K = self.data.votes, self.data.votes.n_labels
        log = _log(parameters.confusion)
        cell = votes.annotator.astype(np.int64) * K + votes.label
        likelihood = np.empty((votes.n_tasks, K))
        for true in range(K):  # one column at a time: n floats in memory, never n * K
            likelihood[:, true] = np.bincount(votes.task, log[:, true].ravel()[cell], minlength=votes.n_tasks)
        return likelihood

    def penalty(self, parameters: Parameters) -> float:
        assert parameters.confusion is not None
        return float(self.strength * (self.target * _log(parameters.confusion)).sum()) if self.strength else 0.0


def _log(p: Floats) -> Floats:
    return np.log(np.maximum(p, LIKELIHOOD_FLOOR))
