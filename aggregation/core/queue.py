"""Whose turn it is: the place of each open task in the queue, and which of the first ones is whose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import (
    ACQUISITIONS,
    PRIORITY_STEPS,
    activelab,
    diverse,
    new_or_relabel,
    priority,
    vote_entropy,
)
from aggregation.core.structure import structured
from aggregation.core.votes import Floats

#: Which open task is handed out first: the most uncertain, that with the fewest votes, that with the most, the one that
#: was uploaded first, any.
ORDERS = ("priority", "breadth_first", "depth_first", "sequential", "random")
#: How uncertain a task is: by its posterior alone; by ActiveLab also by how many votes it has; by its votes alone; by
#: what a vote is worth.
DOUBTS = (*ACQUISITIONS, "activelab", "vote_entropy", "new_or_relabel")

#: Gains that differ by less than so many decimals of a nat are equal.
SAME = 6

#: After a retraining so many of the first tasks are looked at, and one in ten of them comes before all others:
#: `diverse` wants ten candidates for each place.
CANDIDATES, PART = 2_000, 10


@dataclass(frozen=True, eq=False)
class Worth:
    """What votes are worth at present, to "new_or_relabel": whoever nobody knows is right with this accuracy, and errs
    by errors f8[K, K] as [true, voted], zero on the diagonal; `teaching`, in nats, as `acquisition.teaching` has it."""

    accuracy: float
    errors: Floats
    teaching: float = 0.0


def places(order: str, acquisition: str, posterior: Floats, counts: Floats, worth: Worth) -> NDArray[np.integer] | None:
    """Places int[T] in 0..PRIORITY_STEPS, the highest is handed out first; None where votes move no task.

    order: one of ORDERS. acquisition: one of DOUBTS, by which "priority" goes. posterior: f8[T, K]. counts: f8[T, K],
    votes for each label.
    """
    if order == "priority":
        return priority(_doubt(acquisition, posterior, counts, worth))
    votes = counts.sum(axis=1).astype(np.int64)
    if order == "breadth_first":
        return np.asarray(np.maximum(PRIORITY_STEPS - votes, 0))
    if order == "depth_first":
        return np.asarray(np.minimum(votes, PRIORITY_STEPS))
    return None


def _doubt(acquisition: str, posterior: Floats, counts: Floats, worth: Worth) -> Floats:
    """f8[T] in 0..1."""
    if acquisition == "activelab":  # every annotator weighs the same
        return activelab(posterior.max(axis=1), counts.sum(axis=1), 1.0, posterior.shape[1])
    if acquisition == "vote_entropy":
        return vote_entropy(counts)
    if acquisition == "new_or_relabel":
        (confusion,) = structured(np.array([worth.accuracy]), worth.errors)
        return new_or_relabel(posterior, counts.sum(axis=1), confusion, worth.teaching)
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
