"""The label model in the course of a replay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core import live
from aggregation.core.bounds import Bools
from aggregation.core.calibration import Calibration, calibrate
from aggregation.core.fit import Fit
from aggregation.core.gold_calibration import believed, lesson
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.policy import Policy
from aggregation.core.prediction import fit_under, fit_with_predictions
from aggregation.core.queue import Worth
from aggregation.core.votes import Floats, Ints, Votes

#: A fit begins where the last one ended, until the votes have grown by this factor; then anew.
ANEW = 1.25


class Refits:
    """The last refit, and the votes since by its confusions.

    gold: int32[T], what the policy knows beforehand, -1 elsewhere. fit, calibration: of the last refit, the latter None
    while there is too little gold. right: bool[g], whether by it votes alone were what gold says, none while there is
    too little. evidence: f8[T, C], the summed log likelihoods of each task's votes.
    """

    fit: Fit
    calibration: Calibration | None
    right: Bools
    evidence: Floats

    def __init__(self, policy: Policy, gold: Ints) -> None:
        self.policy, self.gold = policy, gold
        self._prediction: Floats | None = None
        self._before: dict[bytes, Fit] = {}
        self._anew_at = 0

    def refit(self, votes: Votes, prediction: Floats | None, anew: bool) -> Floats:
        """Posteriors f8[T, K] by all votes so far, beside predictions f8[T, K] with rows of NaN where there is none."""
        self._prediction = prediction
        if anew or len(votes) >= ANEW * self._anew_at:
            self._before, self._anew_at = {}, len(votes)
        self.fit = self._fitted(votes, self.gold, prediction)
        self._priors = self._priors_from(self.fit.label_prior)
        found = lesson(votes, self.gold, self.gold, self._again, lambda prior, tasks: self._priors_from(prior)[tasks])
        self.calibration = None if found is None else calibrate(found.posterior, found.counts, found.gold)
        self.right = np.empty(0, np.bool_) if found is None else found.right
        many = np.bincount(votes.annotator, minlength=votes.n_annotators)
        self._newcomer = many < self.policy.newcomer_votes
        K, kinds = votes.n_labels, self.fit.kinds
        self.evidence = np.zeros((votes.n_tasks, K if kinds is None else kinds.prior.size))
        np.add.at(self.evidence, votes.task, self._log_likelihoods(votes.annotator, votes.label))
        posterior = live.with_prior(self.fit.posterior, self.fit.label_prior, self._priors)
        # The fit clamps gold, whose own votes steer its collection, and believes newcomers more or less than votes do.
        other = self.gold >= 0
        other[votes.task[self._newcomer[votes.annotator]]] = True
        posterior[other] = self.posterior(np.flatnonzero(other))
        return posterior

    def heed(self, tasks: NDArray[np.integer], annotator: Ints, label: Ints) -> Floats:
        """The posteriors f8[n, K] of n tasks, each after one more vote."""
        self.evidence[tasks] += self._log_likelihoods(annotator, label)
        return self.posterior(tasks)

    def posterior(self, tasks: NDArray[np.integer], alone: bool = False) -> Floats:
        """As votes have it by the last refit's confusions, f8[n, K]. alone: without predictions."""
        kinds = None if self.fit.kinds is None else live.kind_shares(self.fit.kinds.prior)
        priors = self._even(self.fit.label_prior, len(tasks)) if alone else self._priors[tasks]
        return live.posteriors(priors, self.evidence[tasks], kinds)

    def believed(self, posterior: Floats, counts: Floats) -> Floats:
        """As gold has taught to believe it, f8[n, K]; counts: f8[n, K], the tasks' votes by label."""
        return believed(self.calibration, posterior, counts)

    def worth(self, teaching: float) -> Worth:
        """What votes are worth, if one more task teaches the learner so many nats: as far as it is believed."""
        weight = min(self.fit.prediction_weight or 0.0, 1.0)
        return Worth(self.fit.pooled_accuracy, self.fit.pooled_errors, teaching * weight)

    def _log_likelihoods(self, annotator: Ints, label: Ints) -> Floats:
        """f8[n, C]. Newcomers vote as everybody does."""
        known = np.where(self._newcomer[annotator], -1, annotator)
        return np.asarray(np.log(live.likelihoods(self.fit, known, label)))

    def _fitted(self, votes: Votes, gold: Ints, prediction: Floats | None) -> Fit:
        """The policy's label model, beside predictions if there are any."""
        start, name = self._start(gold), self.policy.label_model
        if prediction is None:
            fit = LABEL_MODELS[name](votes, _told(gold), start)
        else:
            fit = fit_with_predictions(name, votes, _told(gold), prediction, start)
        self._before[gold.tobytes()] = fit
        return fit

    def _again(self, votes: Votes, gold: Ints) -> Fit:
        """The same with less gold, the predictions weighed as they were."""
        weight = self.fit.prediction_weight
        if self._prediction is None or not weight:
            return self._fitted(votes, gold, None)
        beside = self._prediction, self.fit.label_prior, weight
        fit = fit_under(self.policy.label_model, votes, _told(gold), *beside, self._start(gold))
        self._before[gold.tobytes()] = fit
        return fit

    def _start(self, gold: Ints) -> Fit | None:
        """Where the fit with that gold ended the last time; None to begin anew."""
        before = self._before.get(gold.tobytes())
        return None if before is None or before.kinds is None else before

    def _priors_from(self, label_prior: Floats) -> Floats:
        """Priors f8[T, K] of the tasks, predictions worked in."""
        priors = self._even(label_prior, len(self.gold))
        if self._prediction is not None:
            told = np.isfinite(self._prediction).all(axis=1)
            priors[told] = live.task_prior(label_prior, self._prediction[told], self.fit.prediction_weight or 0.0)
        return priors

    def _even(self, label_prior: Floats, n: int) -> Floats:
        return np.tile(live.task_prior(label_prior, None, 0.0), (n, 1))


def _told(gold: Ints) -> Ints | None:
    return gold if (gold >= 0).any() else None
