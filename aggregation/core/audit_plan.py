"""Which tasks to audit next, so that few audits certify many labels.

Whatever is decided here, certified thresholds stay valid: their bettors never ask why a share grew. What an audit finds
is worth most where it decides; audits of tasks far below any threshold in reach are labels like any others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.threshold_plan import ThresholdPlan
from aggregation.core.tiers import Evidence
from aggregation.core.votes import Floats

#: What the scores promise is corrected by what audits found, as if so many wrong ones had been promised and found.
PRIOR_WRONG = 3.0
#: Wrong tasks that an error just allowed would have shown: from one to more than any audit finds.
FOUND = np.geomspace(1.0, 1e5, 150)
#: With this exposure, -log(1 - share), all are drawn.
MOST_EXPOSED = 36.0


def audit_goal(
    evidence: Evidence, plan: ThresholdPlan, budget: int, certified: int = 0, truth_error: float = 0.0
) -> int | None:
    """The row of the lowest threshold that `budget` more audits may well certify; None if none is left to be certified,
    or if audits whose truth is wrong so often, 0..1, certify nothing.

    certified: how many thresholds are already. While there are none, that which comes nearest.
    """
    if certified >= len(plan.threshold) or truth_error >= plan.max_error:
        return None
    cost = audits_to_certify(evidence, plan, truth_error)
    within = np.flatnonzero(cost[certified:] <= budget)
    if len(within):
        return certified + int(within[-1])
    return None if certified else int(cost.argmin())


def audits_to_certify(evidence: Evidence, plan: ThresholdPlan, truth_error: float = 0.0) -> Floats:
    """How many more audits are likely to certify each threshold, f8[G]: inf if its error seems too high.

    truth_error: as in `certified_threshold`; audits have to show that much less than the error allowed.
    """
    size, allowed = np.diff(evidence.tasks, prepend=0), plan.max_error - truth_error
    if allowed <= 0:
        return np.full(len(size), np.inf)
    level = np.zeros(len(size))
    for start, part in plan.sequences.items():
        level[start:] = np.maximum(level[start:], part * plan.alpha)
    needed = _null_needed(_error(evidence, plan) / allowed, level)
    needed /= allowed * np.maximum(evidence.tasks, 1)
    drawn = -np.expm1(-np.tril(np.maximum(needed[:, None] - _exposure(evidence.share), 0.0)))
    return np.asarray(np.where(np.isfinite(needed), drawn @ size, np.inf))


def next_share(evidence: Evidence, plan: ThresholdPlan, goal: int, n: int) -> Floats:
    """The shares, f8[G], by which some n more tasks are drawn, of those at or above the goal exposed least so far."""
    exposure, size = _exposure(evidence.share)[: goal + 1], np.diff(evidence.tasks, prepend=0)[: goal + 1]
    low, high = exposure[goal], MOST_EXPOSED
    for _ in range(40):
        level = (low + high) / 2.0
        drawn = size @ -np.expm1(-np.maximum(level - exposure, 0.0))
        low, high = (low, level) if drawn > n else (level, high)
    share = evidence.share.copy()
    share[: goal + 1] = np.maximum(share[: goal + 1], -np.expm1(-low))
    return share


def answered_share(share: Floats, drawn: Floats, waiting: Floats) -> Floats:
    """How far evidence may go, f8[G]: from `share` up to what has been drawn, but no further than all have answered.

    share, drawn: f8[G] in 0..1, not rising. waiting: f8[m], lots of those drawn beyond `share` that are not answered.
    Audits count in the order of their lots, whatever is known of them, so that none waits for what it would say.
    """
    return np.asarray(np.maximum(share, np.minimum(drawn, waiting.min(initial=1.0))))


@dataclass(frozen=True)
class Outlook:
    """What a first certificate still needs.

    audits: about how many more, if the machine goes on to be wrong as often as now; None if it can't be reached so.
    error: 0..1, how often it seems to be wrong where it is surest, for the threshold that comes nearest.
    """

    audits: int | None
    error: float


def outlook(evidence: Evidence, plan: ThresholdPlan, truth_error: float = 0.0) -> Outlook:
    """A forecast of the first certificate by the bound itself, at the error that scores promise and audits correct."""
    cost, error = audits_to_certify(evidence, plan, truth_error), _error(evidence, plan)
    if not np.isfinite(cost).any():
        return Outlook(None, float(min(error.min(), 1.0)))
    nearest = int(cost.argmin())
    return Outlook(int(np.ceil(cost[nearest])), float(min(error[nearest], 1.0)))


def _exposure(share: Floats) -> Floats:
    return np.asarray(-np.log1p(-np.minimum(share, -np.expm1(-MOST_EXPOSED))))


def _error(evidence: Evidence, plan: ThresholdPlan) -> Floats:
    """The share wrong at or above each threshold, f8[G]: as promised, times what audits have found of the promise."""
    most = int(evidence.audits.argmax())
    promised = plan.expected[most] * evidence.audits[most]
    return np.asarray(plan.expected * (evidence.wrong[most] + PRIOR_WRONG) / (promised + PRIOR_WRONG))


def _null_needed(part: Floats, alpha: Floats) -> Floats:
    """How many wrong tasks the error allowed would have shown when it is refuted, if only this part exists, f8[G]."""
    found = np.minimum(part[:, None] * FOUND, FOUND)
    won = FOUND - found + found * np.log(np.maximum(found, 1e-300) / FOUND)
    with np.errstate(divide="ignore"):
        enough = won >= np.log(2.0 / alpha)[:, None]
    return np.where(enough.any(axis=1), FOUND[enough.argmax(axis=1)], np.inf)
