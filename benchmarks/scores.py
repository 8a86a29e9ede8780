"""Scores of posteriors against known truth. n tasks, K labels; confidence is the largest posterior of a task."""

from __future__ import annotations

import numpy as np

from aggregation.core.calibration_report import BINS, auc, bin_of, brier, ece, log_loss
from aggregation.core.calibration_report import rightness as correct
from aggregation.core.votes import Floats, Ints

TARGET = 0.95
#: With fewer tasks than this above the target, that none of ours is there says nothing.
ENOUGH = 20
#: Log loss takes no probability as smaller.
FLOOR = 1e-10


def score(posterior: Floats, truth: Ints, seed: int) -> dict[str, float | None]:
    """All scores of a posterior f8[n, K] against truth int32[n]; None where a score is not defined."""
    sure, right = posterior.max(axis=1), correct(posterior, truth)
    return {
        "accuracy": float(right.mean()),
        "ece": ece(sure, right),
        "excess_ece": excess_ece(sure, right, seed),
        "brier": brier(posterior, truth),
        "log_loss": log_loss(posterior, truth, FLOOR),
        "auc": auc(sure, right),
        **at_target(sure, right),
    }


def excess_ece(sure: Floats, right: Floats, seed: int, draws: int = 200) -> float:
    """ECE less what it would be on average if every task were right with probability `sure`."""
    random = np.random.default_rng(seed)
    member = np.eye(BINS)[bin_of(sure)]
    drawn = (random.random((draws, len(sure))) < sure).astype(np.float64)
    return ece(sure, right) - float(np.abs((sure - drawn) @ member).sum(axis=1).mean() / len(sure))


def at_target(sure: Floats, right: Floats) -> dict[str, float | None]:
    """What is claimed and true among the tasks of confidence TARGET or more, and how many they are.

    oracle_share_at_95: the most tasks, in order of confidence, that are TARGET right together; tasks of equal
    confidence go together. share_of_oracle_at_95: ours as a share of the oracle's, at most 1; None where ours are none
    and the oracle's are fewer than ENOUGH.
    """
    among = sure >= TARGET
    ours, most = int(among.sum()), oracle(sure, right)
    return {
        "right_at_95": float(right[among].mean()) if ours else None,
        "stated_at_95": float(sure[among].mean()) if ours else None,
        "share_at_95": ours / len(sure),
        "oracle_share_at_95": most / len(sure),
        "share_of_oracle_at_95": min(ours / most, 1.0) if most >= (1 if ours else ENOUGH) else None,
    }


def oracle(sure: Floats, right: Floats) -> int:
    """How many tasks, in order of confidence, are TARGET right together, at most."""
    order = np.argsort(-sure, kind="stable")
    last_of_equals = np.r_[np.diff(sure[order]) != 0, True]
    share = np.cumsum(right[order]) / np.arange(1, len(sure) + 1)
    reached = np.flatnonzero(last_of_equals & (share >= TARGET - 1e-12))
    return int(reached[-1]) + 1 if reached.size else 0
