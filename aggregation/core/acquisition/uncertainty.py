"""How doubtful a task is, from its posterior alone.

Each function takes posterior rows f8[T, K] and returns f8[T] in 0..1: 1 is an even posterior, 0 a certain one,
whatever the number of labels. Settles, B.: Active Learning Literature Survey, 2009, section 3.1.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.votes import Floats


def entropy(posterior: Floats) -> Floats:
    """Shannon entropy as a share of its maximum, log K."""
    K = posterior.shape[-1]
    if K < 2:
        return np.zeros(posterior.shape[:-1])
    return np.asarray(np.minimum(nats(posterior) / np.log(K), 1.0))


def margin(posterior: Floats) -> Floats:
    """1 - (largest - second largest probability)."""
    if posterior.shape[-1] < 2:
        return np.zeros(posterior.shape[:-1])
    top = np.partition(posterior, -2, axis=-1)
    return np.clip(1.0 - (top[..., -1] - top[..., -2]), 0.0, 1.0)


def least_confidence(posterior: Floats) -> Floats:
    """1 - largest probability, as a share of its maximum, 1 - 1/K."""
    K = posterior.shape[-1]
    if K < 2:
        return np.zeros(posterior.shape[:-1])
    return np.asarray(np.clip((1.0 - posterior.max(axis=-1)) * K / (K - 1), 0.0, 1.0))


def nats(rows: Floats) -> Floats:
    """Shannon entropy in nats along the last axis of distributions f8[..., K]: f8[...]."""
    p = np.where(rows > 0, rows, 1.0)  # p log p is 0 at p = 0
    return np.asarray(np.maximum(-(rows * np.log(p)).sum(axis=-1), 0.0))
