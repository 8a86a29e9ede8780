"""A project in the course of its recorded votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.calibration_report import rightness
from aggregation.core.policy import Policy
from aggregation.core.replay.champion import Champion, Teach
from aggregation.core.replay.machine import Answers, MachineTier
from aggregation.core.replay.recording import Recording
from aggregation.core.replay.refits import Refits
from aggregation.core.replay.turns import Features, Turns
from aggregation.core.stopping import retire_reasons
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints, Votes

#: Refits in the course of all votes, and rounds between two of them.
REFITS, ROUNDS = 50, 10
#: Refits between two retrainings.
RETRAIN = 3
#: More than any task has.
UNLIMITED = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Replayed:
    """One replay with M = REFITS + 1 measurements, the first without any votes.

    share: f8[M], votes revealed as a share of those recorded. accuracy: f8[M], over all tasks with known truth that the
    policy was not told, ties at their expectation. revealed: int64[m], rows of the votes in their order. known:
    bool[T], whose truth the policy knew. reason: object[T], why each task retired, or None; "auto": labelled by the
    machine alone. posterior: f8[T, K], as it ended. calibrated: whether the confidence was, in the end. audits: how
    many tasks audited the machine; None if it was never to label alone. worst: the largest share of its labels that was
    wrong at any look, 0..1.
    """

    share: Floats
    accuracy: Floats
    revealed: NDArray[np.int64]
    known: NDArray[np.bool_]
    reason: NDArray[np.object_]
    posterior: Floats
    calibrated: bool
    audits: int | None = None
    worst: float = 0.0


def replay(
    votes: Votes,
    truth: Ints,
    policy: Policy,
    seed: int,
    teach: Teach | None = None,
    features: Features | None = None,
) -> Replayed:
    """Replay a policy. truth: int32[T], -1 where unknown. teach: the policy's learner, if it has one. features: what it
    tells tasks apart by, as `learners.sketch` gives it; without any the first places of the queue are not spread.

    Deterministic by seed. Raises ValueError if no truth is known beside what the policy wants as gold.
    """
    _check(truth, policy, teach)
    campaign = _Campaign(votes, truth, policy, np.random.default_rng(seed), teach, features)
    scored = np.flatnonzero((truth >= 0) & (campaign.gold < 0))
    share, accuracy = np.linspace(0.0, 1.0, REFITS + 1), np.empty(REFITS + 1)
    for each in range(REFITS + 1):
        if each:
            campaign.collect(round(share[each] * len(votes)))
        campaign.refit(last=campaign.finished or each == REFITS)
        accuracy[each:] = rightness(campaign.posterior[scored], truth[scored]).mean()
        if campaign.finished:
            break
    return campaign.told(share, accuracy)


def _check(truth: Ints, policy: Policy, teach: Teach | None) -> None:
    known = int((truth >= 0).sum())
    if not known:
        raise ValueError("no task's truth is known: there is nothing to score by")
    if policy.gold >= known:
        raise ValueError(f"gold is {policy.gold}; expected fewer than the {known} tasks whose truth is known")
    if policy.auto_label_error is not None:
        if teach is None:
            raise ValueError("auto_label_error is set, but there is no learner that could label alone")
        if policy.audits_by == "experts" and (truth < 0).any():
            raise ValueError("audits_by is 'experts', but not every task's truth is known")


class _Campaign:
    """posterior: f8[T, K], what is thought of the tasks. reason: object[T], why each has retired; None: it goes on."""

    posterior: Floats

    def __init__(
        self,
        votes: Votes,
        truth: Ints,
        policy: Policy,
        random: np.random.Generator,
        teach: Teach | None,
        features: Features | None,
    ) -> None:
        T = votes.n_tasks
        self.policy, self.truth = policy, truth
        self.gold = np.full(T, -1, np.int32)
        known = random.permutation(np.flatnonzero(truth >= 0))[: policy.gold]
        self.gold[known] = truth[known]
        self.recording = Recording(votes, random)
        self.wanted = self._wanted()
        self.turns = Turns(policy, T, features, random)
        self.refits, self.champion = Refits(policy, self.gold), Champion(teach)
        self.tier = None if policy.auto_label_error is None else MachineTier(policy, T, int(random.integers(1 << 32)))
        self.reason: NDArray[np.object_] = np.full(T, None, object)
        self.going_on = np.ones(T, np.bool_)
        self.times, self.worst = 0, 0.0

    def _wanted(self) -> NDArray[np.int64]:
        """Votes of each task, int64[T], at which it is done, or an expert's: no more are recorded."""
        policy, recorded = self.policy, self.recording.many
        wanted = np.full(len(recorded), UNLIMITED if policy.redundancy is None else policy.redundancy)
        return wanted if policy.flag_below is None else np.minimum(wanted, recorded)

    @property
    def finished(self) -> bool:
        return not self._open.any()

    @property
    def _open(self) -> NDArray[np.bool_]:
        return self.recording.left & self.going_on

    def collect(self, upto: int) -> None:
        """Reveal votes until there are so many, or no task is open."""
        recording = self.recording
        size = max(round(len(recording) / (REFITS * ROUNDS)), 1)
        asked = np.zeros(len(self.gold), np.bool_) if self.tier is None else self.tier.asked
        while recording.spent < upto:
            tasks = self.turns.next(min(size, upto - recording.spent), self._open, asked)
            if not len(tasks):
                return
            rows, votes = recording.reveal(tasks), recording.recorded
            self._settle(tasks, self.refits.heed(tasks, votes.annotator[rows], votes.label[rows]))

    def refit(self, last: bool) -> None:
        """The label model on all votes revealed, and the learner where it is due. last: from anew."""
        votes = self.recording.votes
        retrain = self.champion.teach is not None and len(votes) > 0 and (last or self.times % RETRAIN == 1)
        self.times += 1
        if retrain and self.champion.retrain(votes, self._teaching()) and self.tier is not None:
            self.tier.learn()
        posterior = self.refits.refit(votes, self.champion.prediction, anew=last)
        self.posterior, self.reason = np.empty_like(posterior), np.full(len(posterior), None, object)
        self.turns.begin()
        self._settle(np.arange(len(posterior)), posterior)
        self.turns.put_ahead(self.recording.given == 0, self._open, anew=retrain)
        self._look()

    def _teaching(self) -> NDArray[np.bool_]:
        """The tasks that teach the learner: those voted on, but for audits."""
        voted = self.recording.given > 0
        return voted if self.tier is None else voted & ~self.tier.audit

    def _settle(self, tasks: NDArray[np.integer], posterior: Floats) -> None:
        """Confidence, place and retirement of n tasks from the label model's posterior, f8[n, K]."""
        policy, votes = self.policy, self.recording.given[tasks]
        counts = self.recording.counts[tasks]
        posterior = self.refits.believed(posterior, counts)
        self.posterior[tasks] = clamp(posterior, self.gold[tasks])
        wanted, confidence = self.wanted[tasks], posterior.max(axis=1)
        reason = retire_reasons(
            votes, wanted, confidence, policy.target_confidence, policy.min_votes, policy.flag_below
        )
        if self.tier is not None:  # audits get all their votes, whatever the machine says
            reason[self.tier.audit[tasks] & (reason == "target")] = None
        self.reason[tasks] = reason
        self.going_on[tasks] = [reason is None for reason in self.reason[tasks]]
        self.turns.put(tasks, posterior, counts, self.refits.worth(self.champion.teaching))

    def _look(self) -> None:
        """At the tiers, as the service does after each run: what the machine labels alone."""
        if self.tier is None or self.champion.prediction is None:
            return
        self.tier.look(self.champion.prediction, self.champion.weight, self._answers(self.tier))
        alone = self.tier.alone
        self.reason[alone], self.going_on[alone] = "auto", False
        if alone.any():
            self.posterior[alone] = self.tier.said[alone]
            scored = alone & (self.truth >= 0)
            right = rightness(self.posterior[scored], self.truth[scored])
            self.worst = max(self.worst, float(1.0 - right.mean()) if len(right) else 0.0)

    def _answers(self, tier: MachineTier) -> Answers:
        """By votes an audit is decided when people have given all theirs, by the label model without predictions."""
        votes, free, open_ = self.recording.given, self.gold < 0, self._open
        truth, right = np.full(len(votes), -1, np.int32), self.refits.right
        if self.policy.audits_by == "experts":
            return Answers(votes, free, open_, self.truth, None)
        done = np.flatnonzero(tier.audit & ~open_ & (votes > 0))
        if len(right):
            truth[done] = self.refits.posterior(done, alone=True).argmax(axis=1)
        return Answers(votes, free, open_, truth, right)

    def told(self, share: Floats, accuracy: Floats) -> Replayed:
        calibrated = self.refits.calibration is not None
        audits = None if self.tier is None else int(self.tier.audit.sum())
        ended = self.reason, self.posterior, calibrated, audits, self.worst
        return Replayed(share, accuracy, self.recording.rows, self.gold >= 0, *ended)
