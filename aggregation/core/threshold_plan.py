"""What is tested for certified auto-labels (`aggregation.core.tiers`), in which order, and by which bettors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.bounds import refuse
from aggregation.core.votes import Floats

#: What bettors stake, b. Where the error refuted would have shown x wrong tasks, the best belief about the part r of
#: them that exists wins x (r log r - r + 1), nearly 2 x (1 - sqrt(r))**2, and decides when that is log(1 / alpha). The
#: horizons are x / log(1 / alpha); the first bettor believes that there are hardly any wrong tasks.
HORIZONS = 0.5 * 2.0 ** np.arange(6)
LEAST_STAKE, MOST_STAKE = 0.05, 0.99
STAKES = np.minimum(1.0 - (1.0 - np.sqrt(0.5 / HORIZONS)) ** 2, MOST_STAKE)
#: The bettor who believes what the champion's scores promise has a larger part of the wealth than any other.
WEIGHTS = np.append(0.3, np.full(6, 0.7 / 6))
#: Sequences begin where scores promise these parts of the error allowed, each at its part of alpha. If scores are true
#: and error grows with the size x of the set as x**c, evidence is largest at 0.39, 0.28, 0.17 for c of 1/2, 1, 3; the
#: middle one begins before that, as one that is stuck at its beginning gains nothing. Scores that are too sure or not
#: sure enough, by half in log odds, move it to the others. Chosen by simulation (`benchmarks/tiers.py`).
STARTS = np.array([0.01, 0.1, 0.4])
PARTS = np.array([0.25, 0.5, 0.25])
#: Thresholds are planned down to this multiple of the error allowed, as scores may not be sure enough.
FARTHEST = 1.5


@dataclass(frozen=True, eq=False)
class ThresholdPlan:
    """What is tested, and in which order; fixed before the champion's first look and kept as long as it is champion.

    threshold: f8[G], falling. expected: f8[G] in 0..1, not falling, the share wrong at or above each by the champion's
    own scores; if it is off, the bound is less tight, but holds. max_error, alpha: in (0, 1), as the manager sets them.

    Raises ValueError naming the field and the first bad row.
    """

    threshold: Floats
    expected: Floats
    max_error: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        _check_open("max_error", self.max_error)
        _check_open("alpha", self.alpha)
        if self.expected.shape != self.threshold.shape:
            raise ValueError(f"expected has shape {self.expected.shape}; threshold has {self.threshold.shape}")
        rising = np.append(False, ~(np.diff(self.threshold) < 0))[: len(self.threshold)]
        refuse("threshold", self.threshold, rising, "less than the one before")
        refuse("expected", self.expected, ~((self.expected >= 0) & (self.expected <= 1)), "0 to 1")
        refuse("expected", self.expected[1:], np.diff(self.expected) < 0, "no less than the one before")

    def row(self, threshold: float | None) -> int:
        """How many of the thresholds are at or above this one."""
        return 0 if threshold is None else int((self.threshold >= threshold).sum())

    @property
    def sequences(self) -> dict[int, float]:
        """Where sequences begin, rows of thresholds, and the part of alpha of each."""
        parts: dict[int, float] = {}
        for start, part in zip(np.searchsorted(self.expected, STARTS * self.max_error).tolist(), PARTS, strict=True):
            row = min(start, len(self.expected) - 1)
            parts[row] = parts.get(row, 0.0) + float(part)
        return parts

    @property
    def stakes(self) -> Floats:
        """What each bettor stakes at each threshold, f8[bettors, G]."""
        promised = np.clip(1.0 - self.expected / self.max_error, LEAST_STAKE, MOST_STAKE)
        return np.vstack([promised, np.tile(STAKES[:, None], len(self.threshold))])


def plan_thresholds(pool_score: Floats, max_error: float, alpha: float = 0.05, steps: int = 30) -> ThresholdPlan:
    """Thresholds between which the sizes of the sets grow by a constant factor, by what the champion's scores promise.

    pool_score: f8[N] in 0..1, the probability that its label is right, as calibrated as can be. An empty plan if there
    are no scores.
    """
    _check_open("max_error", max_error)
    refuse("pool_score", pool_score, ~((pool_score >= 0) & (pool_score <= 1)), "0 to 1")
    score = np.sort(pool_score)[::-1]
    expected = np.maximum.accumulate((1.0 - score).cumsum() / np.arange(1, len(score) + 1))
    first, last = np.searchsorted(expected, np.array([STARTS[0], FARTHEST]) * max_error, side="right")
    smallest = min(max(int(first), 2 * audits_needed(max_error, alpha)), len(score))
    size = np.geomspace(max(smallest, 1), max(int(last), smallest, 1), steps)
    chosen = score[np.unique(np.rint(size).astype(np.int64))[: len(score)] - 1]
    row = np.searchsorted(-score, -np.unique(chosen)[::-1], side="right") - 1
    return ThresholdPlan(score[row], expected[row], max_error, alpha)


def audits_needed(max_error: float, alpha: float = 0.05) -> int:
    """How many audits certify a threshold if all of them are right, by a champion that promised as much."""
    plan = ThresholdPlan(np.zeros(1), np.zeros(1), max_error, alpha)
    wrong = exposure_refuted(np.log(WEIGHTS)[:, None], plan.stakes, np.array([alpha]))
    return int(np.ceil(wrong[0, 0] / max_error))


def alpha_of(champion: int, alpha: float = 0.05) -> float:
    """The part of alpha for the champion-th champion, 1, 2, …: alpha / (c (c + 1)), so that all parts sum to alpha.

    With it the guarantee is one for all champions of a project together; with the whole alpha, one for each champion.
    """
    if champion < 1:
        raise ValueError(f"champion is {champion}; expected 1 or more")
    return alpha / (champion * (champion + 1))


def exposure_refuted(log_wealth: Floats, stakes: Floats, alphas: Floats) -> Floats:
    """The exposure x of wrong tasks, f8[A, G], at which bettors have 1 / alpha: sum of exp(log_wealth + stakes * x).

    log_wealth: f8[bettors, G], if no wrong task was left unseen. By Newton's method on the logs, from above, as the
    left side is convex and rises.
    """
    log_wealth, stakes, log_target = log_wealth[:, None, :], stakes[:, None, :], -np.log(alphas)[:, None]
    x = np.min((log_target - log_wealth) / stakes, axis=0)
    for _ in range(60):
        each = log_wealth + stakes * x
        top = each.max(axis=0)
        part = np.exp(each - top)
        total = part.sum(axis=0)
        step = (top + np.log(total) - log_target) / ((stakes * part).sum(axis=0) / total)
        x = x - step
        if (np.abs(step) <= 1e-12 * np.maximum(np.abs(x), 1.0)).all():
            break
    return np.asarray(x)


def _check_open(name: str, value: float) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is {value}; expected a number between 0 and 1, such as 0.05")
