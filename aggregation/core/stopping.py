"""When a task stops collecting votes, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats


def retire_reason(
    votes: int, redundancy: int, confidence: float, target: float | None, min_votes: int = 1
) -> str | None:
    """Say "redundancy" when the task has all its votes, "target" when it is sure enough, None to go on.

    votes: counted votes of the task. confidence: probability of its winning label, 0..1. target: stop at this
    confidence once there are min_votes votes; None never stops early.
    """
    if votes >= redundancy:
        return "redundancy"
    if target is not None and votes >= min_votes and confidence >= target:
        return "target"
    return None


def retire_reasons(
    votes: NDArray[np.integer], redundancy: int, confidence: Floats, target: float | None, min_votes: int = 1
) -> NDArray[np.object_]:
    """`retire_reason` for votes int[T] and confidence f8[T] at once: object[T] of str or None."""
    reasons = np.full(len(votes), None, dtype=object)
    if target is not None:
        reasons[(votes >= min_votes) & (confidence >= target)] = "target"
    reasons[votes >= redundancy] = "redundancy"
    return reasons
