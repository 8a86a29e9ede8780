"""Majority vote: the posterior of a task is the share of its votes for each label."""

from __future__ import annotations

import numpy as np

from aggregation.core.fit import DENSE_LABELS, Fit
from aggregation.core.structure import clamp, confusion_counts, pooled_level, shares, structured
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: The accuracy of the one pseudo-vote that keeps pooled accuracies away from 0 and 1.
HALF = 0.5


def fit(votes: Votes, gold: Ints | None = None) -> Fit:
    """Vote shares f8[T, K]; ties are shared, tasks without votes get the label shares, gold is clamped.

    gold: int32[T], -1 where unknown. Accuracies and errors are estimated from the shares, so that the live path
    has something to work with; the shares themselves do not use them. Raises ValueError on bad gold.
    """
    known = check_gold(gold, votes)
    posterior, label_prior = vote_shares(votes, known)
    pooled_accuracy, pooled_errors = pooled_level(votes, posterior, HALF)
    correct = np.bincount(votes.annotator, posterior[votes.task, votes.label], minlength=votes.n_annotators)
    total = np.bincount(votes.annotator, minlength=votes.n_annotators)
    # One pseudo-vote at the pooled accuracy: nobody is certain to be right, or wrong, after three votes.
    accuracy = (correct + pooled_accuracy) / (total + 1)
    confusion = None
    if votes.n_labels <= DENSE_LABELS:
        counts = confusion_counts(votes, posterior) + structured(accuracy, pooled_errors)
        confusion = counts / counts.sum(axis=2, keepdims=True)
    return Fit(posterior, label_prior, confusion, accuracy, pooled_accuracy, pooled_errors, 1, True, ())


def vote_shares(votes: Votes, gold: Ints) -> tuple[Floats, Floats]:
    """Shares of the votes by task, f8[T, K], and the label shares, f8[K], over tasks with votes or gold."""
    counts = votes.per_task()
    total = counts.sum(axis=1, keepdims=True)
    posterior = clamp(counts / np.maximum(total, 1), gold)
    informed = (total[:, 0] > 0) | (gold >= 0)
    label_prior = shares(posterior[informed].sum(axis=0))
    posterior[~informed] = label_prior
    return posterior, label_prior
