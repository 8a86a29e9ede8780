"""Pieces shared by the label models: counting votes by truth, and the structured confusion matrix."""

from __future__ import annotations

import numpy as np

from aggregation.core.votes import Floats, Ints, Votes

#: Pseudo-votes with which a pooled error row is drawn towards what people vote for overall; more if labels have an
#: order, which tells more of where errors go.
ERROR_WEIGHT, ORDERED_ERROR_WEIGHT = 1.0, 10.0


def shares(counts: Floats) -> Floats:
    """Counts along the last axis as shares that sum to 1; even where there is nothing to share."""
    total = counts.sum(axis=-1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), 1 / counts.shape[-1])


def clamp(posterior: Floats, gold: Ints) -> Floats:
    """A copy of posterior f8[T, K] in which tasks with gold (int32[T], -1 unknown) are certain of it."""
    clamped = posterior.copy()
    known = np.flatnonzero(gold >= 0)
    clamped[known] = 0.0
    clamped[known, gold[known]] = 1.0
    return clamped


def confusion_counts(votes: Votes, posterior: Floats) -> Floats:
    """Expected votes of each annotator by true and voted label, f8[A, K, K]."""
    A, K = votes.n_annotators, votes.n_labels
    cell = votes.annotator.astype(np.int64) * K + votes.label
    counts = np.empty((K, A * K))
    for true in range(K):  # one column at a time: n floats in memory, never n * K
        counts[true] = np.bincount(cell, posterior[votes.task, true], minlength=A * K)
    return np.ascontiguousarray(counts.reshape(K, A, K).transpose(1, 0, 2))


def pooled_level(votes: Votes, posterior: Floats, assumed: float) -> tuple[float, Floats]:
    """Pooled accuracy (0..1, after one pseudo-vote of `assumed` accuracy) and pooled errors f8[K, K] of all votes."""
    counts = posterior.T @ votes.per_task()
    accuracy = (float(np.trace(counts)) + assumed) / (len(votes) + 1.0)
    return accuracy, without_diagonal(counts + error_votes(votes))


def error_votes(votes: Votes, ordinal: bool = False) -> Floats:
    """Pseudo-votes that say where errors go when nothing is known, f8[K, K] with zero diagonal, rows sum to the weight.

    They go in proportion to all votes, and with ordinal labels half as often for each label that is skipped.
    """
    K = votes.n_labels
    target = np.tile(np.bincount(votes.label, minlength=K) + 1.0, (K, 1))
    if ordinal:
        return ORDERED_ERROR_WEIGHT * without_diagonal(target * nearness(K))
    return ERROR_WEIGHT * without_diagonal(target)


def nearness(n_labels: int) -> Floats:
    """f8[K, K]: 1 between neighbours in the order of labels, halved for each label in between; 0 on the diagonal."""
    away = np.abs(np.subtract.outer(np.arange(n_labels), np.arange(n_labels)))
    return np.where(away > 0, 0.5 ** (away - 1.0), 0.0)


def without_diagonal(rows: Floats) -> Floats:
    """Rows f8[K, K] with a zero diagonal, scaled to sum to 1. A single label has no errors: [[0]]."""
    off = rows * (1.0 - np.eye(len(rows)))
    return np.asarray(off / np.maximum(off.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def structured(accuracy: Floats, pooled_errors: Floats) -> Floats:
    """Confusions f8[A, K, K] with accuracy[a] on the diagonal and (1 - accuracy[a]) * pooled_errors off it."""
    if len(pooled_errors) == 1:
        return np.ones((len(accuracy), 1, 1))
    return accuracy[:, None, None] * np.eye(len(pooled_errors)) + (1 - accuracy)[:, None, None] * pooled_errors
