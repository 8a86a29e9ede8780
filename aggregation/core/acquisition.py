"""Acquisition: how much one more vote on a task is worth, from its posterior alone.

Each function takes posterior rows f8[T, K] and returns f8[T] in 0..1: 1 is an even posterior, 0 a certain one,
whatever the number of labels. Settles, B.: Active Learning Literature Survey, 2009, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats

Acquisition = Callable[[Floats], Floats]

#: Priorities are whole numbers 0..PRIORITY_STEPS: an indexed column that changes only when it matters.
PRIORITY_STEPS = 1000


def entropy(posterior: Floats) -> Floats:
    """Shannon entropy as a share of its maximum, log K."""
    K = posterior.shape[-1]
    if K < 2:
        return np.zeros(posterior.shape[:-1])
    p = np.where(posterior > 0, posterior, 1.0)  # p log p is 0 at p = 0
    return np.asarray(np.clip(-(posterior * np.log(p)).sum(axis=-1) / np.log(K), 0.0, 1.0))


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


ACQUISITIONS: dict[str, Acquisition] = {
    "entropy": entropy,
    "margin": margin,
    "least_confidence": least_confidence,
}


def priority(score: Floats) -> NDArray[np.int16]:
    """Scores in 0..1 as int16 0..PRIORITY_STEPS, rounded to the nearest step."""
    return np.rint(np.clip(score, 0.0, 1.0) * PRIORITY_STEPS).astype(np.int16)
