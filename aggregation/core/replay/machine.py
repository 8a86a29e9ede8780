"""What the machine labels alone in a replay, certified by the functions that the service runs.

As there, audits are drawn by lots where they certify most, from tasks that nobody has voted on: no learner is ever
taught them, and the machine never labels them. At each look those that have been answered are counted in the order of
their lots, and the lowest threshold that they certify is in force: tasks above it that nobody has voted on are the
machine's, until it isn't. Audits are asked for before other tasks. Each learner starts from the audits that there are,
scored by itself.

All tasks are there from the beginning, so drift isn't watched for, and no audit is passed over for newer ones. What a
replay can't know: people who were shown what the machine says (the confirm tier) would have voted otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import lots
from aggregation.core.audit_plan import answered_share
from aggregation.core.audit_truth import most_often_wrong
from aggregation.core.audits import (
    ALWAYS,
    Audits,
    Issued,
    Progress,
    share_of_like,
    shares_to_draw,
    still_certified,
)
from aggregation.core.bounds import Bools
from aggregation.core.confirming import sharpened
from aggregation.core.policy import Policy
from aggregation.core.tiers import (
    Evidence,
    ThresholdPlan,
    alpha_of,
    certify,
    count_evidence,
    plan_thresholds,
)
from aggregation.core.votes import Floats, Ints


class Answers(NamedTuple):
    """What people have made of the tasks. votes: int[T]. free: bool[T], not known beforehand. open: bool[T], whether
    people may answer.

    truth: int32[T], what audits say, -1 where they don't yet. right: bool[g], of votes alone on gold, by which they are
    judged how often they are wrong; None: experts answer.
    """

    votes: NDArray[np.integer]
    free: Bools
    open: Bools
    truth: Ints
    right: Bools | None


class MachineTier:
    """bool[T] each: audit, the tasks that are audits; asked, those of them that people are asked for first; alone, the
    tasks that the machine labels. said: f8[T, K], what it says of all."""

    said: Floats

    def __init__(self, policy: Policy, n_tasks: int, seed: int) -> None:
        assert policy.auto_label_error is not None
        self.policy, self.error = policy, policy.auto_label_error
        self.lot = lots(np.arange(n_tasks), seed)
        self.audit, self.asked, self.alone = (np.zeros(n_tasks, np.bool_) for _ in range(3))
        self.champions, self.truth = 0, 0  # parts of alpha that are taken; the one of the truth
        self.plan: ThresholdPlan | None = None

    def learn(self) -> None:
        """Another learner: it is planned for anew, at the next look."""
        self.plan = None

    def look(self, prediction: Floats, weight: float, found: Answers) -> None:
        """Bring audits and the machine's labels up to date.

        prediction: f8[T, K], rows of NaN where a task can't be read. weight: how reliable the learner is, from 0.
        """
        self.alone = np.zeros_like(self.alone)
        if self.plan is None:
            if weight <= 0:
                return
            self._begin(sharpened(prediction, weight))
            if not self._untouched(found).any():
                return
            self._plan(found)
        assert self.plan is not None
        threshold = self._certify(self.plan, found)
        if threshold is not None:
            self.alone = self._untouched(found) & (self.score >= threshold)
        self.asked = self.audit & found.open & (found.truth < 0)

    def _begin(self, said: Floats) -> None:
        self.said = said
        self.score = np.where(np.isfinite(said).all(axis=1), said.max(axis=1), -1.0)

    def _plan(self, found: Answers) -> None:
        self.champions += 1
        alpha = alpha_of(self.champions, 1.0 - self.policy.auto_label_confidence)
        self.plan = plan_thresholds(self.score[self._untouched(found)], self.error, alpha)
        self.drawn = self.answered = np.zeros(len(self.plan.threshold))
        self.issued: Issued | None = None

    def _certify(self, plan: ThresholdPlan, found: Answers) -> float | None:
        """The threshold in force; and audits are drawn until there is something to answer."""
        held = self._held(plan, found)
        while True:
            audits, free = self._audits(found), self._untouched(found)
            waiting = audits.waiting(self.answered, self.drawn, plan)
            self.answered = answered_share(self.answered, self.drawn, waiting)
            counted = audits.counted(self.answered, plan)
            evidence = count_evidence(audits.scored(counted), self.score[free], self.answered, plan)
            truth_error = audits.truth_error(counted)
            certificate = certify(evidence, plan, truth_error, held)
            held, row = certificate.threshold, plan.row(certificate.threshold)
            share = shares_to_draw(audits, evidence, plan, self._progress(evidence, found), row, truth_error)
            if share is None:
                break
            self.drawn = share
            self.audit |= free & (self.lot < share_of_like(self.score, share, plan))
        if held is None:
            self.issued = None
        elif self.issued is None or self.issued.threshold != held:
            share_then, error = float(self.answered[row - 1]), plan.max_error
            self.issued = Issued(held, ALWAYS, share_then, certificate.wrong, certificate.bound, truth_error, error)
        return held

    def _held(self, plan: ThresholdPlan, found: Answers) -> float | None:
        if self.issued is None:
            return None
        audits = self._audits(found)
        error = audits.truth_error(audits.counted(self.answered, plan))
        return self.issued.threshold if still_certified(self.issued, audits, error) else None

    def _untouched(self, found: Answers) -> Bools:
        """What the machine may label, or has."""
        return np.asarray((found.votes == 0) & found.free & ~self.audit & (self.score >= 0.0))

    def _audits(self, found: Answers) -> Audits:
        ids = np.flatnonzero(self.audit & (self.score >= 0.0))
        answered, nobody = found.truth[ids] >= 0, np.zeros(len(ids), np.bool_)
        return Audits(
            ids=ids,
            score=self.score[ids],
            lot=self.lot[ids],
            right=answered & (self.said[ids].argmax(axis=1) == found.truth[ids]),
            answered=answered,
            late=nobody,
            reviewed=np.full(len(ids), found.right is None),
            votes=found.votes[ids].astype(np.int64),
            open=found.open[ids],
            limit=self._limit(found),
        )

    def _limit(self, found: Answers) -> float:
        """How often votes alone are wrong at most: with a part of alpha, as soon as gold tells something."""
        if found.right is None or not len(found.right):
            return 1.0
        if self.truth == 0:
            self.champions += 1
            self.truth = self.champions
        return most_often_wrong(found.right, alpha_of(self.truth, 1.0 - self.policy.auto_label_confidence))

    def _progress(self, evidence: Evidence, found: Answers) -> Progress:
        voted, all_ = int(((found.votes > 0) & found.free).sum()), int(found.free.sum())
        return Progress(self.drawn, self.answered, evidence.tasks, voted, all_, self.policy.audit_share)
