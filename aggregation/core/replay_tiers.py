"""What the machine labels alone in a replay, certified by the functions that the service runs.

Audits are drawn by lot once and for all, evenly (the service draws them where they certify most, and so needs fewer):
no learner is ever taught them, and the machine never labels them. At each look those that have been answered are
counted in the order of their lots, and the lowest threshold that they certify is in force: tasks above it that nobody
has voted on are the machine's, until it isn't. The next audits are asked for before other tasks. Each learner starts
from the audits that there are, scored by itself.

What a replay can't know: people who were shown what the machine says (the confirm tier) would have voted otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import lots
from aggregation.core.bounds import Bools
from aggregation.core.confirming import sharpened
from aggregation.core.policy import Policy
from aggregation.core.tiers import ScoredAudits, ThresholdPlan, alpha_of, certified_threshold, plan_thresholds
from aggregation.core.votes import Floats, Ints

#: Audits that people are asked for at a time, and the largest part of all tasks they have answered that are audits.
AT_WORK, PART = 50, 1 / 3


class Answers(NamedTuple):
    """What people have made of the tasks. votes: int[T]. free: bool[T], not known beforehand.

    truth: int32[T], what audits say, -1 where they don't yet. doubt: f8[T] in 0..1, the chance that it is wrong.
    """

    votes: NDArray[np.integer]
    free: Bools
    truth: Ints
    doubt: Floats


class MachineTier:
    """bool[T] each: audit, the tasks that are audits; asked, those of them that people are asked for first; alone, the
    tasks that the machine labels. said: f8[T, K], what it says of all."""

    said: Floats
    score: Floats

    def __init__(self, policy: Policy, n_tasks: int, seed: int) -> None:
        assert policy.auto_label_error is not None
        self.policy, self.error = policy, policy.auto_label_error
        self.lot = lots(np.arange(n_tasks), seed)
        self.audit = self.lot < policy.audit_share
        self.asked, self.alone = np.zeros(n_tasks, np.bool_), np.zeros(n_tasks, np.bool_)
        self.champions, self.share = 0, 0.0
        self.plan: ThresholdPlan | None = None

    def learn(self) -> None:
        """Another learner: it is planned for anew, at the next look."""
        self.plan = None

    def look(self, prediction: Floats, weight: float, found: Answers) -> None:
        """Bring audits and the machine's labels up to date. weight: how far the learner was found reliable, from 0."""
        untouched = (found.votes == 0) & found.free & ~self.audit
        self.alone, self.asked = np.zeros_like(self.alone), np.zeros_like(self.asked)
        if self.plan is None:
            if weight <= 0 or not untouched.any():
                return
            self.plan = self._plan(sharpened(prediction, weight), untouched)
        audits = np.flatnonzero(self.audit & found.free & (self.score >= self.plan.threshold[-1]))
        waiting = audits[found.truth[audits] < 0]
        self.share = max(self.share, min(self.lot[waiting].min(initial=1.0), self.policy.audit_share))
        counted = audits[(self.lot[audits] < self.share) & (found.truth[audits] >= 0)]
        right = self.said[counted].argmax(axis=1) == found.truth[counted]
        truth_error = float(found.doubt[counted].mean()) if len(counted) else 0.0
        certificate = certified_threshold(
            ScoredAudits(self.score[counted], right, self.lot[counted]),
            self.score[untouched],
            max(self.share, 1e-9),
            self.plan,
            truth_error,
        )
        if certificate.threshold is not None:
            self.alone = untouched & (self.score >= certificate.threshold)
        voted = found.votes > 0
        if (voted & self.audit).sum() <= max(AT_WORK, PART * voted.sum()):
            self.asked[waiting[np.argsort(self.lot[waiting])][:AT_WORK]] = True

    def _plan(self, said: Floats, untouched: Bools) -> ThresholdPlan:
        self.champions, self.share = self.champions + 1, 0.0
        self.said, self.score = said, said.max(axis=1)
        alpha = alpha_of(self.champions, 1.0 - self.policy.auto_label_confidence)
        return plan_thresholds(self.score[untouched], self.error, alpha)
