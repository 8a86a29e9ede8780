"""When a task stops collecting votes, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats


def retire_reason(
    votes: int,
    redundancy: int,
    confidence: float,
    target: float | None,
    min_votes: int = 1,
    flag_below: float | None = None,
) -> str | None:
    """Say why the task stops: "target", "redundancy" or "disputed"; None to go on.

    "redundancy": it has all its votes. "disputed": it has them and is still less sure than flag_below, so that an
    expert should look at it; None never says so. "target": it is sure enough before it has them.

    votes: counted votes of the task. confidence: probability of its winning label, 0..1. target: stop at this
    confidence once there are min_votes votes; None never stops early.
    """
    if votes >= redundancy:
        disputed = flag_below is not None and votes > 0 and confidence < flag_below
        return "disputed" if disputed else "redundancy"
    if target is not None and votes >= min_votes and confidence >= target:
        return "target"
    return None


def retire_reasons(
    votes: NDArray[np.integer],
    redundancy: int | NDArray[np.integer],
    confidence: Floats,
    target: float | None,
    min_votes: int = 1,
    flag_below: float | None = None,
) -> NDArray[np.object_]:
    """`retire_reason` for votes int[T], redundancy (or int[T]) and confidence f8[T] at once: object[T], str or None."""
    reasons = np.full(len(votes), None, dtype=object)
    if target is not None:
        reasons[(votes >= min_votes) & (confidence >= target)] = "target"
    reasons[votes >= redundancy] = "redundancy"
    if flag_below is not None:
        reasons[(votes >= redundancy) & (votes > 0) & (confidence < flag_below)] = "disputed"
    return reasons
