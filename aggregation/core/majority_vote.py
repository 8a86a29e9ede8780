"""Majority vote: the posterior of a task is the share of its votes for each label."""

from __future__ import annotations

import numpy as np

from aggregation.core.fit import Fit, Start, check_start, read_off
from aggregation.core.structure import clamp, shares
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Probabilities that differ by no more than this are equal but for rounding.
TIE = 1e-12


def fit(votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit:
    """Vote shares f8[T, K]; ties are shared, tasks without votes get the label shares, gold is clamped.

    gold: int32[T], -1 where unknown. start: f8[T, K]; checked, but there is nothing to begin from. Accuracies and
    errors are estimated from the shares, so that the live path has something to work with; the shares themselves do
    not use them. Raises ValueError on bad gold or start.
    """
    check_start(start, votes)
    return read_off(votes, *vote_shares(votes, check_gold(gold, votes)))


def vote_shares(votes: Votes, gold: Ints, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Shares of the votes by task, f8[T, K], and the label shares, f8[K], over tasks with votes or gold.

    weight: f8[A], >= 0, what a vote of each annotator counts; None: one. A task whose votes weigh nothing has no votes.
    """
    counts = votes.per_task() if weight is None else weighted_counts(votes, weight)
    total = counts.sum(axis=1, keepdims=True)
    posterior = clamp(counts / np.where(total > 0, total, 1), gold)
    informed = (total[:, 0] > 0) | (gold >= 0)
    label_prior = shares(posterior[informed].sum(axis=0))
    posterior[~informed] = label_prior
    return posterior, label_prior


def weighted_counts(votes: Votes, weight: Floats) -> Floats:
    """Votes of each task for each label, f8[T, K], each counting what its annotator weighs, f8[A]."""
    cell = votes.task.astype(np.int64) * votes.n_labels + votes.label
    counts = np.bincount(cell, weight[votes.annotator], minlength=votes.n_tasks * votes.n_labels)
    return np.asarray(counts.reshape(votes.n_tasks, votes.n_labels), dtype=np.float64)


def winners(posterior: Floats) -> Floats:
    """1 for the most probable label of each task and 0 for the others, f8[T, K]; those that tie share the 1."""
    best = (posterior >= posterior.max(axis=1, keepdims=True) - TIE).astype(np.float64)
    return np.asarray(best / best.sum(axis=1, keepdims=True))


def agreement(votes: Votes, posterior: Floats) -> Floats:
    """The share of each annotator's votes that go to the most probable label, f8[A]; 0 for who has not voted."""
    agreed = np.bincount(votes.annotator, winners(posterior)[votes.task, votes.label], minlength=votes.n_annotators)
    return np.asarray(agreed / np.maximum(np.bincount(votes.annotator, minlength=votes.n_annotators), 1))
