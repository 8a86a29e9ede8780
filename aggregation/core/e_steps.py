"""The E-step of Dawid-Skene models in numpy, and the expected counts that it hands to the M-step.

Each function has a twin of the same name in `aggregation.core.kernels`. Arguments they share:

tasks: the votes by task, with what else is known of each (task_prior). gold: int32[T], -1 where unknown.
prior: f8[C], of C states, in which a task may be. There is a state for each label, or several kinds of tasks of each:
state c is one of label c % K. likelihood: f8[R, C], P(vote | state), a row for each of `tasks.cells`.
right: f8[A], wrong: f8[A], errors: f8[K, K] as [voted, true] with an empty diagonal: a structured likelihood, in which
annotator a votes the true label with probability right[a], another v with wrong[a] * errors[v, true].

Results: posterior f8[T, C]; totals f8[C] of the states over tasks with votes or gold; expected counts; log likelihood.
In structured models the states are the labels: C = K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.live import softmax
from aggregation.core.structure import clamp, shares
from aggregation.core.votes import ByTask, Floats, Ints


def free_sweep(tasks: ByTask, gold: Ints, prior: Floats, likelihood: Floats) -> tuple[Floats, Floats, float]:
    """Totals, counts f8[R, C] and log likelihood: E-step and count in one."""
    joint = _free_joint(tasks, gold, prior, likelihood)
    return *free_count(tasks, gold, softmax(joint)), _log_likelihood(tasks, gold, joint)


def free_posterior(tasks: ByTask, gold: Ints, prior: Floats, likelihood: Floats) -> Floats:
    return softmax(_free_joint(tasks, gold, prior, likelihood))


def free_count(tasks: ByTask, gold: Ints, posterior: Floats) -> tuple[Floats, Floats]:
    """Totals and counts f8[R, C]: expected votes by annotator and voted label, and by state."""
    task, C = tasks.task, posterior.shape[1]
    counts = np.empty((len(tasks.cells), C))
    for state in range(C):  # one column at a time: n floats in memory, never n * C
        counts[:, state] = _sums(tasks.row, posterior[task, state], len(counts))
    return _totals(tasks, gold, posterior), counts


def structured_sweep(
    tasks: ByTask, gold: Ints, prior: Floats, right: Floats, wrong: Floats, errors: Floats
) -> tuple[Floats, Floats, Floats, float]:
    """Label totals, correct f8[A] (the expected right votes of each annotator), pooled f8[K, K] as [voted, true], and
    log likelihood: E-step and count in one."""
    joint = _structured_joint(tasks, prior, right, wrong, errors)
    totals, correct, _doubt, pooled = structured_count(tasks, gold, clamp(softmax(joint), gold))
    known = np.flatnonzero(gold >= 0)
    joint[known] = np.where(np.arange(len(prior)) == gold[known, None], joint[known], -np.inf)
    return totals, correct, pooled, _log_likelihood(tasks, gold, joint)


def structured_posterior(
    tasks: ByTask, gold: Ints, prior: Floats, right: Floats, wrong: Floats, errors: Floats
) -> Floats:
    return clamp(softmax(_structured_joint(tasks, prior, right, wrong, errors)), gold)


def structured_count(tasks: ByTask, gold: Ints, posterior: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Label totals; of each annotator's votes, with q the probability that one is right, the sums f8[A] of q and of
    q (1 - q); and pooled f8[K, K] as [voted, true]."""
    annotator, label = np.divmod(tasks.cell, tasks.n_labels)
    q = posterior[tasks.task, label]
    correct, doubt = (_sums(annotator, each, tasks.n_annotators) for each in (q, q * (1.0 - q)))
    return _totals(tasks, gold, posterior), correct, doubt, _votes_per_task(tasks).T @ posterior


def vote_shares(tasks: ByTask, gold: Ints) -> Floats:
    """Shares of the votes of each task, f8[T, K]; gold is certain, and a task with neither has the mean of the rest."""
    return fill(clamp(shares(_votes_per_task(tasks)), gold), tasks, gold)


def fill(posterior: Floats, tasks: ByTask, gold: Ints) -> Floats:
    """The same array, with the label shares in the rows of tasks that have neither votes nor gold."""
    informed = _informed(tasks, gold)
    if not informed.all():
        posterior[~informed] = shares(posterior[informed].sum(axis=0))
    return posterior


def _free_joint(tasks: ByTask, gold: Ints, prior: Floats, likelihood: Floats) -> Floats:
    """log P(state, votes), f8[T, C]; nothing but the states of its gold is possible for a task that has one."""
    task, T, C = tasks.task, len(tasks.start) - 1, len(prior)
    log = np.log(likelihood)
    joint = np.empty((T, C))
    for state in range(C):
        joint[:, state] = _sums(task, log[tasks.row, state], T)
    joint += _log(prior)
    if tasks.task_prior is not None:
        joint += np.tile(np.log(tasks.task_prior), C // tasks.n_labels)
    known = np.flatnonzero(gold >= 0)
    joint[known] = np.where(np.arange(C) % tasks.n_labels == gold[known, None], joint[known], -np.inf)
    return joint


def _structured_joint(tasks: ByTask, prior: Floats, right: Floats, wrong: Floats, errors: Floats) -> Floats:
    """log P(true label, votes), f8[T, K]."""
    task, T, K = tasks.task, len(tasks.start) - 1, tasks.n_labels
    annotator, label = np.divmod(tasks.cell, K)
    log_right, log_wrong = np.log(right), np.log(wrong)
    log_errors = np.log(np.where(np.eye(K) > 0, 1.0, errors))
    # Every vote as if wrong, then corrected at the one label under which it is right.
    all_wrong = _sums(task, log_wrong[annotator], T)[:, None] + _votes_per_task(tasks) @ log_errors
    correction = _sums(task * K + label, (log_right - log_wrong)[annotator], T * K).reshape(T, K)
    alone = 0.0 if tasks.task_prior is None else np.log(tasks.task_prior)
    return np.asarray(all_wrong + correction + _log(prior) + alone)


def _sums(index: NDArray[np.integer], values: Floats, size: int) -> Floats:
    """The sum of the values at each index, f8[size]."""
    return np.bincount(index, values, minlength=size).astype(np.float64, copy=False)


def _votes_per_task(tasks: ByTask) -> Floats:
    T, K = len(tasks.start) - 1, tasks.n_labels
    counts = np.bincount(tasks.task * K + tasks.cell % K, minlength=T * K)
    return counts.astype(np.float64).reshape(T, K)


def _totals(tasks: ByTask, gold: Ints, posterior: Floats) -> Floats:
    return np.asarray(posterior[_informed(tasks, gold)].sum(axis=0))


def _log_likelihood(tasks: ByTask, gold: Ints, joint: Floats) -> float:
    """Of votes and gold, from their joint probabilities; a task with neither says nothing."""
    top = joint.max(axis=1, initial=-np.inf)
    evidence = top + np.log(np.exp(joint - top[:, None]).sum(axis=1))
    return float(evidence[_informed(tasks, gold)].sum())


def _informed(tasks: ByTask, gold: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray((np.diff(tasks.start) > 0) | (gold >= 0))


def _log(p: Floats) -> Floats:
    return np.log(np.maximum(p, np.finfo(np.float64).tiny))
