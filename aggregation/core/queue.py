"""Whose turn it is: the place of each open task in the queue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import ACQUISITIONS, PRIORITY_STEPS, priority
from aggregation.core.votes import Floats

#: Which open task is handed out first: the most uncertain, that with the fewest votes, that with the most, the one that
#: was uploaded first, any.
ORDERS = ("priority", "breadth_first", "depth_first", "sequential", "random")


def places(order: str, acquisition: str, posterior: Floats, votes: NDArray[np.integer]) -> NDArray[np.integer] | None:
    """Places int[T] in 0..PRIORITY_STEPS, the highest is handed out first; None where votes move no task.

    order: one of ORDERS. acquisition: by "priority", the function of the posterior f8[T, K] that says how uncertain a
    task is. votes: int[T].
    """
    if order == "priority":
        return priority(ACQUISITIONS[acquisition](posterior))
    if order == "breadth_first":
        return np.asarray(np.maximum(PRIORITY_STEPS - votes, 0))
    if order == "depth_first":
        return np.asarray(np.minimum(votes, PRIORITY_STEPS))
    return None
