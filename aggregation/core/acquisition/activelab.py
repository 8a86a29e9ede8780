"""ActiveLab: one score for tasks with and without votes. Goh, H. W. and Mueller, J.: ActiveLab: Active Learning with
Re-Labeling by Multiple Annotators, 2023, arXiv:2301.11856.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.votes import Floats


def activelab(confidence: Floats, weight: Floats, one_more: float, n_labels: int) -> Floats:
    """How much a task needs a vote, f8[T] in 0..1; the highest first.

    confidence: f8[T], probability of the winning label by all that has been said: by votes and learner, or by the
    learner alone where there are no votes. weight: f8[T] >= 0, the weights of those who said it, added up. one_more:
    the mean weight of an annotator, > 0. n_labels: K.

    The next vote is not known yet, so it is taken to be even: s = (weight * confidence + one_more / K) / (weight +
    one_more), and the score is 1 - s as a share of its maximum, 1 - 1/K. Two tasks of equal confidence differ by how
    many have spoken: with few, a vote can still change much.
    """
    if n_labels < 2:
        return np.zeros(len(confidence))
    s = (weight * confidence + one_more / n_labels) / (weight + one_more)
    return np.asarray(np.clip((1.0 - s) * n_labels / (n_labels - 1), 0.0, 1.0))
