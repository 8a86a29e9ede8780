"""Whose turn it is: the place of each open task in the queue, and which of the first ones is whose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import ACQUISITIONS, PRIORITY_STEPS, activelab, diverse, priority
from aggregation.core.votes import Floats

#: Which open task is handed out first: the most uncertain, that with the fewest votes, that with the most, the one that
#: was uploaded first, any.
ORDERS = ("priority", "breadth_first", "depth_first", "sequential", "random")
#: How uncertain a task is: by its posterior alone, or by ActiveLab also by how many votes it has.
DOUBTS = (*ACQUISITIONS, "activelab")

#: Gains that differ by less than so many decimals of a nat are equal.
SAME = 6

#: After a retraining so many of the first tasks are looked at, and one in ten of them comes before all others:
#: `diverse` wants ten candidates for each place.
CANDIDATES, PART = 2_000, 10


def places(order: str, acquisition: str, posterior: Floats, votes: NDArray[np.integer]) -> NDArray[np.integer] | None:
    """Places int[T] in 0..PRIORITY_STEPS, the highest is handed out first; None where votes move no task.

    order: one of ORDERS. acquisition: one of DOUBTS, by which "priority" goes. posterior: f8[T, K]. votes: int[T].
    """
    if order == "priority":
        return priority(_doubt(acquisition, posterior, votes))
    if order == "breadth_first":
        return np.asarray(np.maximum(PRIORITY_STEPS - votes, 0))
    if order == "depth_first":
        return np.asarray(np.minimum(votes, PRIORITY_STEPS))
    return None


def _doubt(acquisition: str, posterior: Floats, votes: NDArray[np.integer]) -> Floats:
    """f8[T] in 0..1."""
    if acquisition == "activelab":  # every annotator weighs the same
        return activelab(posterior.max(axis=1), votes.astype(np.float64), 1.0, posterior.shape[1])
    return ACQUISITIONS[acquisition](posterior)


def best_for_annotator(place: NDArray[np.integer], gain: Floats) -> NDArray[np.int64]:
    """The first tasks of the queue as somebody is given them of whom it is known what they can tell: rows, int64[n].

    place: int[n], theirs, the highest first. gain: f8[n] >= 0, what a vote by this annotator is expected to tell. What
    was put before all others by hand (beyond PRIORITY_STEPS) stays there; where gains are equal the queue decides.
    """
    ahead = np.where(place > PRIORITY_STEPS, place, 0)
    return np.lexsort((np.where(ahead > 0, 0.0, -np.round(gain, SAME)), -ahead)).astype(np.int64)


def spread(place: Floats, X: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which of the first tasks of the queue, that nobody has voted on, come before all others: rows, int64[n // PART].

    place: f8[n] >= 0, theirs. X: f[n, D], their features as `learners.sketch` gives them.
    """
    return diverse(place, X, len(place) // PART)
