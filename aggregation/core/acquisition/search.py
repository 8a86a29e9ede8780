"""Search: find as many tasks of one rare label as can be, rather than learn where labels part.

The most probable first is the best choice for the last vote, and hard to beat before: Garnett, R. et al.: Bayesian
Optimal Active Search and Surveying, ICML 2012, arXiv:1206.6406. Until one is found no learner can tell what to look
for: then take what is least like all that was asked about (`batches.diverse` with `known`), where rare things lie.
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
