"""Search: find as many tasks of one rare label as can be, rather than learn where labels part.

The most probable first is the best choice for the last vote, and hard to beat before: Garnett, R. et al.: Bayesian
Optimal Active Search and Surveying, ICML 2012, arXiv:1206.6406. Until one is found no learner can tell what to look
for: then take what is least like all that was asked about (`batches.diverse` with `known`), where rare things lie, or
what is like an example (`likeness`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats


def search(probability: Floats, votes: NDArray[np.integer], sure: float = 0.95) -> Floats:
    """How much a task is worth a vote, f8[T] in 0..1: the probability that it has the label that is sought.

    probability: f8[T], by votes and learner. votes: int[T]. What people have settled either way, with at least `sure`,
    scores 0; what only the learner is sure of is still to be found. sure: above 0.5, at most 1.
    """
    settled = (votes > 0) & (np.maximum(probability, 1.0 - probability) >= sure)
    return np.asarray(np.where(settled, 0.0, probability))


def likeness(X: NDArray[np.floating], examples: NDArray[np.floating]) -> Floats:
    """How like its nearest example each row is, f8[N] in 0..1: to search by before there is a learner.

    X: f[N, D], examples: f[m, D], features of tasks known to have the label. The cosine, below 0 taken as 0; a row of
    zeros is like none, and without examples all rows are equally like.
    """
    if not len(examples):
        return np.ones(len(X))
    cosine = _directions(X) @ _directions(examples).T
    return np.asarray(np.clip(cosine.max(axis=1), 0.0, 1.0))


def _directions(X: NDArray[np.floating]) -> Floats:
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return np.asarray(X / np.where(length > 0, length, 1.0), dtype=np.float64)
