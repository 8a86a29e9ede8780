"""Replay: what a policy would have made of votes that are recorded already.

One vote after the other is revealed: of the task that the policy would hand out next, one of its recorded votes that
are not yet revealed, drawn evenly. In between all is as in the service, by the same functions: each vote updates its
task's posterior by the confusions of the last refit (`live`), which moves its place (`queue`) and may retire it
(`stopping`); after every fiftieth of the votes the label model is refitted. The policy sees no vote before it is
revealed, and of the truth only what it says is known beforehand.

Tasks are handed out to several annotators at a time, so a task gets one vote of a round at most, as long as others are
open: the votes of one round do not know each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core import live
from aggregation.core.acquisition import PRIORITY_STEPS
from aggregation.core.calibration import calibrate
from aggregation.core.calibration_report import rightness
from aggregation.core.challenge import challenge
from aggregation.core.fit import Fit
from aggregation.core.gold_calibration import believed, lesson
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.policy import Policy
from aggregation.core.prediction import consensus_to_learn, fit_under, fit_with_predictions
from aggregation.core.queue import CANDIDATES, places, spread
from aggregation.core.replay_tiers import Answers, MachineTier
from aggregation.core.stopping import retire_reasons
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints, Votes

#: Refits in the course of all votes, and rounds between two of them.
REFITS, ROUNDS = 50, 10
#: Refits between two retrainings.
RETRAIN = 3
#: A fit begins where the last one ended, until the votes have grown by this factor; then anew.
ANEW = 1.25
#: More than any task has.
UNLIMITED = np.iinfo(np.int32).max

#: From the rows of the tasks to learn from, int[n], their posteriors f8[n, K] and a seed: held-out predictions of those
#: tasks, f8[n, K], and predictions of all, f8[T, K].
Teach = Callable[[NDArray[np.integer], Floats, int], tuple[Floats, Floats]]
#: Of the tasks, f[T, D].
Features = NDArray[np.floating]


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


class _Campaign:
    """A project in the course of its votes."""

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
        self.features, self.ahead = features, np.zeros(T, np.bool_)
        self.recorded, self.policy, self.random, self.teach = votes, policy, random, teach
        self.gold = np.full(T, -1, np.int32)
        known = random.permutation(np.flatnonzero(truth >= 0))[: policy.gold]
        self.gold[known] = truth[known]
        # Each task's votes in the order in which they will be revealed.
        order = random.permutation(len(votes))
        self.rows = order[np.argsort(votes.task[order], kind="stable")]
        self.first = np.append(0, np.cumsum(np.bincount(votes.task, minlength=T)))
        self.votes = np.zeros(T, np.int64)
        self.reason: NDArray[np.object_] = np.full(T, None, object)
        self.going_on = np.ones(T, np.bool_)
        self.uploaded = random.permutation(T)  # of equal tasks the one uploaded first
        self.revealed: list[NDArray[np.int64]] = []
        self.counts = np.zeros((T, votes.n_labels))
        self.prediction: Floats | None = None
        self.refits, self.anew_at = 0, 0
        self.truth, self.worst = truth, 0.0
        self.tier = None if policy.auto_label_error is None else MachineTier(policy, T, int(random.integers(1 << 32)))
        self.fits: dict[bytes, Fit] = {}

    @property
    def spent(self) -> int:
        return int(self.votes.sum())

    @property
    def finished(self) -> bool:
        return not self._open().any()

    def collect(self, upto: int) -> None:
        """Reveal votes until there are so many, or no task is open."""
        size = max(round(len(self.recorded) / (REFITS * ROUNDS)), 1)
        while self.spent < upto:
            tasks = self._next(min(size, upto - self.spent))
            if not len(tasks):
                return
            self._reveal(tasks)

    def _open(self) -> NDArray[np.bool_]:
        return (self.votes < np.diff(self.first)) & self.going_on

    def _next(self, n: int) -> NDArray[np.int64]:
        """Up to n open tasks, the first in the queue; audits before others."""
        tasks = np.flatnonzero(self._open())
        if self.tier is None:
            return self._first(tasks, n)
        asked = self.tier.asked[tasks]
        audits = self._first(tasks[asked], n)
        return np.append(audits, self._first(tasks[~asked], n - len(audits)))

    def _first(self, tasks: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        if self.policy.order == "random":
            return np.asarray(self.random.permutation(tasks)[:n])
        T = len(self.votes)
        key = self.place[tasks] * T + self.uploaded[tasks]
        if len(tasks) > n:
            tasks = tasks[np.argpartition(-key, n - 1)[:n]]
        return tasks

    def _reveal(self, tasks: NDArray[np.int64]) -> None:
        """One more vote on each of these tasks, and what it changes."""
        rows = self.rows[self.first[tasks] + self.votes[tasks]]
        self.revealed.append(rows)
        self.votes[tasks] += 1
        label = self.recorded.label[rows]
        self.counts[tasks, label] += 1
        self.evidence[tasks] += np.log(live.likelihoods(self.fit, self.recorded.annotator[rows], label))
        kinds = None if self.fit.kinds is None else live.kind_shares(self.fit.kinds.prior)
        self._settle(tasks, live.posteriors(self.priors[tasks], self.evidence[tasks], kinds))

    def _settle(self, tasks: NDArray[np.int64], posterior: Floats) -> None:
        """Confidence, place and retirement from the label model's posterior."""
        policy = self.policy
        posterior = believed(self.calibration, posterior, self.counts[tasks])
        redundancy = UNLIMITED if policy.redundancy is None else policy.redundancy
        self.posterior[tasks] = clamp(posterior, self.gold[tasks])
        self.reason[tasks] = retire_reasons(
            self.votes[tasks], redundancy, posterior.max(axis=1), policy.target_confidence, policy.min_votes
        )
        self.going_on[tasks] = [reason is None for reason in self.reason[tasks]]
        place = self._places(tasks, posterior)
        if place is not None:
            self.place[tasks] = place

    def _places(self, tasks: NDArray[np.integer], posterior: Floats) -> NDArray[np.integer] | None:
        return places(self.policy.order, self.policy.acquisition, posterior, self.votes[tasks])

    def refit(self, last: bool) -> None:
        """The label model on all votes revealed, and the learner where it is due. last: from anew."""
        votes = self._so_far()
        if last or len(votes) >= ANEW * self.anew_at:
            self.fits, self.anew_at = {}, len(votes)
        retrain = self.teach is not None and len(votes) > 0 and (last or self.refits % RETRAIN == 1)
        if retrain:
            self._retrain(votes)
        self.refits += 1
        self.fit = self._fitted(votes, self.gold, self.prediction)
        self.priors = self._priors(self.fit.label_prior)
        found = lesson(votes, self.gold, self.gold, self._again, lambda prior, tasks: self._priors(prior)[tasks])
        self.calibration = None if found is None else calibrate(found.posterior, found.counts, found.gold)
        T, K = len(self.votes), votes.n_labels
        C = K if self.fit.kinds is None else self.fit.kinds.prior.size
        self.evidence = np.zeros((T, C))
        np.add.at(self.evidence, votes.task, np.log(live.likelihoods(self.fit, votes.annotator, votes.label)))
        self.posterior, self.place = np.empty((T, K)), np.zeros(T, np.int64)
        self.reason = np.full(T, None, object)
        self._settle(np.arange(T), live.with_prior(self.fit.posterior, self.fit.label_prior, self.priors))
        self._put_ahead(anew=retrain)
        self._look()

    def _put_ahead(self, anew: bool) -> None:
        """Tasks that a retraining has put before all others stay there until they are voted on."""
        if self.features is None or self.policy.order != "priority":
            return
        if anew:
            free = np.flatnonzero(self._open() & (self.votes == 0))
            free = free[np.argsort(-self.place[free], kind="stable")[:CANDIDATES]]
            self.ahead[:] = False
            self.ahead[free[spread(self.place[free].astype(np.float64), self.features[free])]] = True
        self.place[self.ahead & (self.votes == 0)] = PRIORITY_STEPS

    def _look(self) -> None:
        """At the tiers, as the service does after each run: what the machine labels alone."""
        if self.tier is None or self.prediction is None:
            return
        self.tier.look(self.prediction, self.fit.prediction_weight or 0.0, self._answers())
        alone = self.tier.alone
        self.reason[alone], self.going_on[alone] = "auto", False
        if alone.any():
            self.posterior[alone] = self.tier.said[alone]
            scored = alone & (self.truth >= 0)
            right = rightness(self.posterior[scored], self.truth[scored])
            self.worst = max(self.worst, float(1.0 - right.mean()) if len(right) else 0.0)

    def _answers(self) -> Answers:
        """By votes an audit is decided when people have given all theirs, by the label model without predictions."""
        assert self.tier is not None
        truth, doubt = np.full(len(self.votes), -1, np.int32), np.zeros(len(self.votes))
        free = self.gold < 0
        if self.policy.audits_by == "experts":
            return Answers(self.votes, free, self.truth, doubt)
        done = np.flatnonzero(self.tier.audit & ~self._open() & (self.votes > 0))
        if self.calibration is not None and len(done):
            kinds = None if self.fit.kinds is None else live.kind_shares(self.fit.kinds.prior)
            alone = np.tile(live.task_prior(self.fit.label_prior, None, 0.0), (len(done), 1))
            posterior = live.posteriors(alone, self.evidence[done], kinds)
            posterior = believed(self.calibration, posterior, self.counts[done])
            truth[done], doubt[done] = posterior.argmax(axis=1), 1.0 - posterior.max(axis=1)
        return Answers(self.votes, free, truth, doubt)

    def _so_far(self) -> Votes:
        rows = np.concatenate([np.empty(0, np.int64), *self.revealed])
        all_ = self.recorded
        columns = all_.task[rows], all_.annotator[rows], all_.label[rows]
        return Votes(*columns, all_.n_tasks, all_.n_annotators, all_.n_labels)

    def _fitted(self, votes: Votes, gold: Ints, prediction: Floats | None) -> Fit:
        """The policy's label model, beside predictions f8[T, K] if there are any."""
        start, name = self._start(gold), self.policy.label_model
        if prediction is None:
            fit = LABEL_MODELS[name](votes, _told(gold), start)
        else:
            fit = fit_with_predictions(name, votes, _told(gold), prediction, start)
        self.fits[gold.tobytes()] = fit
        return fit

    def _again(self, votes: Votes, gold: Ints) -> Fit:
        """The same with less gold, the predictions weighed as they were."""
        weight = self.fit.prediction_weight
        if self.prediction is None or not weight:
            return self._fitted(votes, gold, None)
        beside = self.prediction, self.fit.label_prior, weight
        fit = fit_under(self.policy.label_model, votes, _told(gold), *beside, self._start(gold))
        self.fits[gold.tobytes()] = fit
        return fit

    def _start(self, gold: Ints) -> Fit | None:
        """Where the fit with that gold ended the last time; None to begin anew."""
        before = self.fits.get(gold.tobytes())
        return None if before is None or before.kinds is None else before

    def _priors(self, label_prior: Floats) -> Floats:
        """Priors f8[T, K] of the tasks, predictions worked in."""
        if self.prediction is None:
            return np.tile(live.task_prior(label_prior, None, 0.0), (len(self.votes), 1))
        return live.task_prior(label_prior, self.prediction, self.fit.prediction_weight or 0.0)

    def _retrain(self, votes: Votes) -> None:
        """From votes alone, and in force if not worse than what is, as in the service."""
        assert self.teach is not None
        voted = np.flatnonzero(self.votes > 0 if self.tier is None else (self.votes > 0) & ~self.tier.audit)
        if not len(voted):
            return
        consensus = consensus_to_learn(votes)
        posterior = consensus.posterior[voted]
        held_out, everywhere = self.teach(voted, posterior, 0)
        # What the champion has said of them was out of fold, too, or before their votes.
        if self.prediction is not None and not (
            challenge(held_out, self.prediction[voted], posterior, consensus.label_prior).passed
        ):
            return
        self.prediction = everywhere.copy()
        self.prediction[voted] = held_out
        if self.tier is not None:
            self.tier.learn()

    def told(self, share: Floats, accuracy: Floats) -> Replayed:
        rows = np.concatenate([np.empty(0, np.int64), *self.revealed])
        calibrated = self.calibration is not None
        audits = None if self.tier is None else int(self.tier.audit.sum())
        ended = self.reason, self.posterior, calibrated, audits, self.worst
        return Replayed(share, accuracy, rows, self.gold >= 0, *ended)


def _told(gold: Ints) -> Ints | None:
    return gold if (gold >= 0).any() else None
