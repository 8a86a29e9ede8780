"""Certified thresholds: above which confidence the machine may label alone, and how often it is then wrong at most.

    plan = plan_thresholds(pool_score, max_error=0.05)              # once for each champion, before its first look
    is_audit = (lots(task_ids, seed) < share) & (score >= plan.threshold[-1])  # `acquisition.lots`
    audits = ScoredAudits(score, right, lot)                        # all tasks ever drawn, unanswered ones as not right
    found = certified_threshold(audits, pool_score, share, plan)    # at any time, as often as one likes
    found.threshold                                                 # None: too little evidence, no auto-labels yet

A task is audited, that is answered without the machine's help and kept from every learner, if its lot, drawn evenly
from 0..1 once and for all, is below the audit share. The share may grow, it may grow above some thresholds only, and
tasks may arrive at any time: a fixed pool and a stream are alike. All of this may depend on the audits so far; only the
lots must not, and neither the plan.

**One threshold.** Suppose V tasks above it are wrong and not audited. As the share grows from 0 to q, or a task arrives
and is at once exposed to q, each wrong task is found at the rate 1 per unit of exposure u = -log(1 - share). A bettor
who believes that only the part 1 - b of the wrong tasks exists multiplies the wealth by exp(b du) for every wrong task
exposed to du more, and by 1 - b for every one found. That is the likelihood ratio of two counting processes: its
expectation is 1, however often one looks. With S wrong tasks found, at the exposures u[i], it amounts to

    wealth = exp(b * (V * u + sum u[i])) * (1 - b)**S,

which rises with V. Averaged over bettors it ever reaches 1 / alpha with probability at most alpha (Ville), so at all
looks V is among those for which it is smaller. The largest, divided by the number of labels, is the bound. Nothing is
assumed about scores, tasks or the order in which they come.

**All thresholds.** They are tested from the strictest of the plan down, each at the whole alpha, until the first is not
certified (fixed-sequence testing). To certify one whose error is too high, the strictest such one must have been
certified, which happens at any look with probability at most alpha. This needs it to be the same one at all looks, as
in a fixed pool or a stream that doesn't change; what a stream that drifts does is measured by `benchmarks/tiers.py`.

**Audit truth.** If it is a consensus that is itself wrong at most at the rate d, the machine is wrong at most d more
often than it disagrees with it: `truth_error` is added to the bound.

**A new champion** starts from the audits there are, with the scores and labels that it gives them: it hasn't learnt
from them, so to it they are one look. See `alpha_of` for the price of several champions.

Waudby-Smith, I. and Ramdas, A.: Estimating means of bounded random variables by betting, Journal of the Royal
Statistical Society B 86(1), 2024, doi:10.1093/jrsssb/qkad009. Angelopoulos, A. N. et al.: Learn then Test: Calibrating
Predictive Algorithms to Achieve Risk Control, Annals of Applied Statistics 19(2), 2025, arXiv:2110.01052.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.bounds import Bools, check_share, refuse
from aggregation.core.votes import Floats

#: What bettors stake, b. Where the error refuted would have shown x wrong tasks, the best belief about the part r of
#: them that exists wins x (r log r - r + 1), nearly 2 x (1 - sqrt(r))**2, and decides when that is log(1 / alpha). The
#: horizons are x / log(1 / alpha); the first bettor believes that there are no wrong tasks at all.
HORIZONS = 0.5 * 2.0 ** np.arange(8)
STAKES = 1.0 - (1.0 - np.sqrt(0.5 / HORIZONS)) ** 2
#: Half of the wealth is with the bettor who believes what the champion's scores promise.
WEIGHTS = np.append(0.5, 0.5 * 0.75 ** np.arange(8) / (0.75 ** np.arange(8)).sum())
LEAST_STAKE, MOST_STAKE = 0.05, 0.95


@dataclass(frozen=True, eq=False)
class ThresholdPlan:
    """What is tested, and in which order; fixed before the champion's first look and kept as long as it is champion.

    threshold: f8[G], falling. expected: f8[G] in 0..1, the share wrong at or above each by the champion's own scores;
    if it is off, the bound is less tight, but holds. max_error, alpha: in (0, 1), as the manager sets them.

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

    @property
    def stakes(self) -> Floats:
        """What each bettor stakes at each threshold, f8[bettors, G]."""
        promised = np.clip(1.0 - self.expected / self.max_error, LEAST_STAKE, MOST_STAKE)
        return np.vstack([promised, np.tile(STAKES[:, None], len(self.threshold))])


@dataclass(frozen=True, eq=False)
class ScoredAudits:
    """n audits, in any order: all tasks ever drawn, also those that are not answered yet.

    score: f8[n], the champion's confidence in its label, on the scale of the pool's. right: bool[n], whether its label
    is right; False while that is unknown. lot: f8[n] in 0..1, the smallest share at which the task is drawn.

    Raises ValueError naming the field and the first bad row.
    """

    score: Floats
    right: Bools
    lot: Floats

    def __post_init__(self) -> None:
        for name in ("right", "lot"):
            if np.shape(getattr(self, name)) != (len(self.score),):
                raise ValueError(f"{name} has shape {np.shape(getattr(self, name))}; expected ({len(self.score)},)")
        refuse("score", self.score, ~np.isfinite(self.score), "a finite number")
        refuse("lot", self.lot, ~((self.lot >= 0) & (self.lot < 1)), "0 or more and less than 1")


@dataclass(frozen=True, eq=False)
class CertifiedThreshold:
    """With confidence 1 - alpha, at all looks together, at most `bound` of the labels in force are wrong.

    threshold: labels with at least this score may be in force; None if there is too little evidence for any.
    bound: share wrong at most, 0..1, by audits and `truth_error`; 1.0 without a threshold. tasks: how many tasks of the
    pool are at or above the threshold. audits, wrong: how many were drawn at or above it, and not found right; of all
    audits if there is no threshold.
    bounds: f8[G], the bound at each threshold of the plan, each for itself.
    """

    threshold: float | None
    bound: float
    tasks: int
    audits: int
    wrong: int
    bounds: Floats


def plan_thresholds(pool_score: Floats, max_error: float, alpha: float = 0.05, steps: int = 30) -> ThresholdPlan:
    """Where to begin and how far to go, by what the champion's scores promise.

    pool_score: f8[N] in 0..1, the probability that its label is right, as calibrated as can be. The first set is the
    one that refutes `max_error` with the smallest audit share, if the scores are true; then sizes grow by a constant
    factor to the largest set that still promises it. Without such a set, that of the highest score.
    """
    _check_open("max_error", max_error)
    refuse("pool_score", pool_score, ~((pool_score >= 0) & (pool_score <= 1)), "0 to 1")
    score = np.sort(pool_score)[::-1]
    size = np.arange(1, len(score) + 1)
    expected = (1.0 - score).cumsum() / size
    kept = np.maximum(expected / max_error, 1e-12)
    last = int(np.searchsorted(expected, max_error, side="right")) or min(len(score), 1)
    first = int((size * (kept * np.log(kept) - kept + 1.0))[:last].argmax()) + 1 if last else 0
    row = np.unique(np.rint(np.geomspace(first, last, steps)).astype(np.int64)) - 1 if last else size
    row = np.searchsorted(-score, -np.unique(score[row])[::-1], side="right") - 1
    return ThresholdPlan(score[row], expected[row], max_error, alpha)


def certified_threshold(
    audits: ScoredAudits, pool_score: Floats, share: float | Floats, plan: ThresholdPlan, truth_error: float = 0.0
) -> CertifiedThreshold:
    """The lowest threshold certified so far.

    pool_score: f8[N], the champion's confidence in each task that it may label alone: not audited, not answered by
    people. Tasks may leave the pool for any reason, and its own audits leave it. share: in (0, 1), what the lots of all
    tasks at or above the threshold were compared with, whenever they arrived; f8[G] if it is not the same for all
    thresholds. truth_error: how often the audits' truth is wrong at most, 0..1.

    Raises ValueError naming what is out of range.
    """
    share = np.broadcast_to(np.asarray(share, np.float64), plan.threshold.shape)
    check_share("share", share, len(plan.threshold))
    if not 0.0 <= truth_error <= 1.0:
        raise ValueError(f"truth_error is {truth_error}; expected 0 to 1")
    tasks = len(pool_score) - np.searchsorted(np.sort(pool_score), plan.threshold)
    most = np.minimum(most_wrong(audits, share, plan), tasks)
    bounds = np.minimum(np.where(tasks > 0, most / np.maximum(tasks, 1), 1.0) + truth_error, 1.0)
    passed = int(np.append(bounds <= plan.max_error, False).argmin())
    if not passed:
        return CertifiedThreshold(None, 1.0, 0, len(audits.score), int((~audits.right).sum()), bounds)
    threshold = float(plan.threshold[passed - 1])
    above = audits.score >= threshold
    return CertifiedThreshold(
        threshold=threshold,
        bound=float(bounds[passed - 1]),
        tasks=int(tasks[passed - 1]),
        audits=int(above.sum()),
        wrong=int((above & ~audits.right).sum()),
        bounds=bounds,
    )


def most_wrong(audits: ScoredAudits, share: Floats, plan: ThresholdPlan) -> Floats:
    """How many tasks at or above each threshold are wrong at most, audited ones aside: f8[G], whole numbers."""
    score, lot = audits.score[~audits.right], audits.lot[~audits.right]
    found = (score[:, None] >= plan.threshold) & (lot[:, None] < share)
    exposed, count = -np.log1p(-lot) @ found, found.sum(axis=0)
    stakes = plan.stakes
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(count > 0, count * np.log1p(-stakes), 0.0)
    log_wealth = np.log(WEIGHTS)[:, None] + stakes * exposed + lost
    exposure = _exposure_refuted(log_wealth, stakes, np.log(1.0 / plan.alpha))
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(np.ceil(exposure / -np.log1p(-share)) - 1.0, 0.0))


def audits_needed(max_error: float, alpha: float = 0.05) -> int:
    """How many audits certify a threshold if all of them are right, by a champion that promised as much."""
    plan = ThresholdPlan(np.zeros(1), np.zeros(1), max_error, alpha)
    wrong = _exposure_refuted(np.log(WEIGHTS)[:, None], plan.stakes, np.log(1.0 / alpha))
    return int(np.ceil(wrong[0] / max_error))


def alpha_of(champion: int, alpha: float = 0.05) -> float:
    """The part of alpha for the champion-th champion, 1, 2, …: alpha / (c (c + 1)), so that all parts sum to alpha.

    With it the guarantee is one for all champions of a project together; with the whole alpha, one for each champion.
    """
    if champion < 1:
        raise ValueError(f"champion is {champion}; expected 1 or more")
    return alpha / (champion * (champion + 1))


def _exposure_refuted(log_wealth: Floats, stakes: Floats, log_target: float) -> Floats:
    """The exposure x of wrong tasks, f8[G], with log(sum over bettors of exp(log_wealth + stakes * x)) = log_target.

    By Newton's method, which comes from above, as the left side is convex and rises.
    """
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
