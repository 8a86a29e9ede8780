"""Certified thresholds: above which confidence the machine may label alone, and how often it is then wrong at most.

    plan = plan_thresholds(pool_score, max_error=0.05)              # once for each champion, before its first look
    is_audit = (lots(task_ids, seed) < share) & (score >= plan.threshold[-1])  # `acquisition.lots`
    audits = ScoredAudits(score, right, lot)                        # all tasks ever drawn, of which more below
    found = certified_threshold(audits, pool_score, share, plan)    # at any time, as often as one likes
    found.threshold                                                 # None: too little evidence, no auto-labels yet

**Unanswered audits** count as not right; or all tasks from the first such one on, in the order in which they came,
are left out of audits and pool alike, for a look may be had after any task. Never leave out the audits alone: the pool
would grow and what is known to be wrong would not.

A task is audited, that is answered without the machine's help and kept from every learner, if its lot, drawn evenly
from 0..1 once and for all, is below the audit share. The share may grow and tasks may arrive at any time: a fixed pool
and a stream are alike. All of this may depend on the audits so far; only the lots must not, and neither the plan. The
share may also grow above strict thresholds only. In a fixed pool that is exact, for the bound holds for all shares at
once; where tasks arrive it is exact for one share, and several were tried by simulation.

**One threshold.** Suppose V tasks above it are wrong and not audited. As the share grows from 0 to q, or a task arrives
and is at once exposed to q, each wrong task is found at the rate 1 per unit of exposure u = -log(1 - share). A bettor
who believes that only the part 1 - b of the wrong tasks exists multiplies the wealth by exp(b du) for every wrong task
exposed to du more, and by 1 - b for every one found. That is the likelihood ratio of two counting processes: its
expectation is 1, however often one looks. With S wrong tasks found, at the exposures u[i], it amounts to

    wealth = exp(b * (V * u + sum u[i])) * (1 - b)**S,

which rises with V. Averaged over bettors it ever reaches 1 / alpha with probability at most alpha (Ville), so at all
looks V is among those for which it is smaller. The largest, divided by the number of labels, is the bound. Nothing is
assumed about scores, tasks or the order in which they come.

**All thresholds.** They are tested one after the other from a first one down, all at the same level, until one is not
certified (fixed-sequence testing). To certify any whose error is too high, the first such one must have been certified,
which happens at any look with probability at most that level. This needs it to be the same one at all looks, as in a
fixed pool or a stream that doesn't change; what a stream that drifts does is measured by `benchmarks/tiers.py`. Where
to begin depends on how true the scores are: three sequences, from a strict, a middle and a lax threshold, share alpha.

**Audit truth.** If it is a consensus that is itself wrong at most at the rate d, the machine is wrong at most d more
often than it disagrees with it: `truth_error` is added to the bound. `aggregation.core.audit_truth` says how large it
is by gold, with its part of alpha.

What to audit next is said by `aggregation.core.audit_plan`, and whether labels in force have become worse since by
`aggregation.core.drift`.

**A new champion** starts from the audits there are, with the scores and labels that it gives them: it hasn't learnt
from them, so to it they are one look. See `alpha_of` for the price of several champions.

Waudby-Smith, I. and Ramdas, A.: Estimating means of bounded random variables by betting, Journal of the Royal
Statistical Society B 86(1), 2024, doi:10.1093/jrsssb/qkad009. Bretz, F. et al.: Graphical approaches for multiple
comparison procedures, Biometrical Journal 53(6), 2011, doi:10.1002/bimj.201000239. Angelopoulos, A. N. et al.: Learn
then Test: Calibrating Predictive Algorithms to Achieve Risk Control, Annals of Applied Statistics 19(2), 2025,
doi:10.1214/24-AOAS1998.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.bounds import Bools, Ids, refuse
from aggregation.core.threshold_plan import (
    WEIGHTS,
    ThresholdPlan,
    alpha_of,
    audits_needed,
    exposure_refuted,
    plan_thresholds,
)
from aggregation.core.votes import Floats

__all__ = [
    "CertifiedThreshold",
    "Evidence",
    "ScoredAudits",
    "ThresholdPlan",
    "alpha_of",
    "audits_needed",
    "certified_threshold",
    "certify",
    "count_evidence",
    "evidence_of",
    "plan_thresholds",
]


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


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that a look needs to know, at each threshold of the plan; to be counted by whoever holds the data.

    tasks: int[G], those of the pool at or above it: labels that would be in force. audits, wrong: int[G], tasks at or
    above it that were drawn by this share, and those of them not found right. exposed: f8[G], the
    `exposures` of the wrong ones, summed. share: f8[G] in 0..1, not rising, what the lots of all tasks at or above it
    were compared with.
    """

    tasks: Ids
    audits: Ids
    wrong: Ids
    exposed: Floats
    share: Floats


def count_evidence(audits: ScoredAudits, pool_score: Floats, share: float | Floats, plan: ThresholdPlan) -> Evidence:
    """Count what was audited and what is left; arguments as those of `certified_threshold`."""
    tasks = len(pool_score) - np.searchsorted(np.sort(pool_score), plan.threshold)
    return evidence_of(audits, np.asarray(tasks, np.int64), share, plan)


def evidence_of(audits: ScoredAudits, tasks: Ids, share: float | Floats, plan: ThresholdPlan) -> Evidence:
    """As `count_evidence`, of a pool that was counted elsewhere: int[G], its tasks at or above each threshold."""
    share = np.array(np.broadcast_to(share, plan.threshold.shape), np.float64)
    refuse("share", share, ~((share >= 0) & (share <= 1)), "0 to 1")
    refuse("share", share[1:], np.diff(share) > 0, "no more than the one before")
    counted = (audits.score[:, None] >= plan.threshold) & (audits.lot[:, None] < share)
    wrong = counted & ~audits.right[:, None]
    return Evidence(
        tasks=tasks,
        audits=counted.sum(axis=0),
        wrong=wrong.sum(axis=0),
        exposed=exposures(audits.lot) @ wrong,
        share=share,
    )


def exposures(lot: Floats) -> Floats:
    """At which exposure each audit was drawn, f8[n] in 0..1. No more than 1 counts, lest a late wrong one be welcome.

    As log(1 - b) <= -b, a wrong audit then never raises any wealth, nor does one not answered that counts as wrong.
    """
    return np.asarray(np.minimum(-np.log1p(-lot), 1.0))


def certified_threshold(
    audits: ScoredAudits,
    pool_score: Floats,
    share: float | Floats,
    plan: ThresholdPlan,
    truth_error: float = 0.0,
    held: float | None = None,
) -> CertifiedThreshold:
    """The lowest threshold certified so far.

    pool_score: f8[N], the champion's confidence in each task that it may label alone: not audited, not answered by
    people. Tasks may leave the pool for any reason, and its own audits leave it. share: in 0..1, what the lots of all
    tasks at or above the threshold were compared with, whenever they arrived; f8[G] if it is higher for stricter ones.
    truth_error: how often the audits' truth is wrong at most, 0..1. held: a threshold certified at an earlier look; the
    guarantee is for all looks, so what was certified once stays so, unless `aggregation.core.drift` says otherwise.

    Raises ValueError naming what is out of range.
    """
    return certify(count_evidence(audits, pool_score, share, plan), plan, truth_error, held)


def certify(
    evidence: Evidence, plan: ThresholdPlan, truth_error: float = 0.0, held: float | None = None
) -> CertifiedThreshold:
    """As `certified_threshold`, from counts."""
    if not 0.0 <= truth_error <= 1.0:
        raise ValueError(f"truth_error is {truth_error}; expected 0 to 1")
    most = most_wrong(evidence, plan, plan.alpha * np.array(list(plan.sequences.values())))
    bounds = np.where(evidence.tasks > 0, np.minimum(most / np.maximum(evidence.tasks, 1) + truth_error, 1.0), 1.0)
    passed = [_passed(row <= plan.max_error, start) for row, start in zip(bounds, plan.sequences, strict=True)]
    lowest = max([*passed, plan.row(held)])
    bounds = bounds.min(axis=0)
    if not lowest:
        drawn, wrong = int(evidence.audits.max(initial=0)), int(evidence.wrong.max(initial=0))
        return CertifiedThreshold(None, 1.0, 0, drawn, wrong, bounds)
    at = lowest - 1
    return CertifiedThreshold(
        threshold=float(plan.threshold[at]),
        bound=min(float(bounds[at]), plan.max_error),
        tasks=int(evidence.tasks[at]),
        audits=int(evidence.audits[at]),
        wrong=int(evidence.wrong[at]),
        bounds=bounds,
    )


def _passed(certified: Bools, start: int) -> int:
    """How many thresholds a sequence from `start` certifies, counted from the strictest; 0 if not even its first."""
    row = start + int(np.append(certified[start:], False).argmin())
    return row if row > start else 0


def most_wrong(evidence: Evidence, plan: ThresholdPlan, alphas: Floats) -> Floats:
    """How many tasks at or above each threshold are wrong at most, audited ones aside: f8[A, G], whole numbers or inf.

    alphas: f8[A], each in (0, 1).
    """
    stakes = plan.stakes
    log_wealth = np.log(WEIGHTS)[:, None] + stakes * evidence.exposed + evidence.wrong * np.log1p(-stakes)
    exposure = exposure_refuted(log_wealth, stakes, alphas)
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(np.ceil(exposure / -np.log1p(-evidence.share)) - 1.0, 0.0))
