"""The arms that act 2 compares the loop with. They use the engine directly: no HTTP, no database.

All arms see the same simulated answers (`aggregation.core.simulation.digit_crowd`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.core import live
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.prediction import fit_with_predictions
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.learners import Target, out_of_fold, train


@dataclass(frozen=True, eq=False)
class Arm:
    """What an arm ends with: its votes, and a label int32[T] for every task."""

    votes: int
    label: Ints

    def accuracy(self, truth: Ints) -> float:
        """Share of all tasks labelled rightly, those without votes included."""
        return float((self.label == truth).mean())


def fixed_majority(answers: Ints, *, n_labels: int = 10, redundancy: int = 3, seed: int = 0) -> Arm:
    """The same number of votes for every task, by annotators drawn at random; majority vote, first label in a tie.

    answers: int32[A, T], what each annotator answers to each task.
    """
    votes = _ask(answers, np.full(answers.shape[1], redundancy), n_labels, seed)
    return Arm(len(votes), LABEL_MODELS["majority_vote"](votes, None).label)


def random_order(
    answers: Ints, n_votes: int, features: Any, *, n_labels: int = 10, most: int = 3, seed: int = 0
) -> Arm:
    """n_votes on tasks drawn at random, at most `most` each, our label model.

    features: [T, D]. Tasks that were given no vote are answered by a learner trained on this arm's own consensus, the
    same learner as the loop's, so that the arms differ in how votes are spent.
    """
    votes = _ask(answers, _spread(n_votes, answers.shape[1], most, seed), n_labels, seed)
    posterior = LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None).posterior
    voted = np.unique(votes.task)
    prediction = train(features[voted], Target.winning(posterior[voted])).predict_proba(features)
    label = prediction.argmax(axis=1)
    label[voted] = posterior[voted].argmax(axis=1)
    return Arm(len(votes), label.astype(np.int32))


def random_order_joint(
    answers: Ints, n_votes: int, features: Any, *, n_labels: int = 10, most: int = 3, seed: int = 0
) -> Arm:
    """As `random_order`, with out-of-fold predictions as task priors as in the loop: what order and stopping add."""
    votes = _ask(answers, _spread(n_votes, answers.shape[1], most, seed), n_labels, seed)
    fit = LABEL_MODELS[DEFAULT_LABEL_MODEL](votes, None)
    voted = np.unique(votes.task)
    consensus = Target.winning(fit.posterior[voted])
    prediction = train(features[voted], consensus).predict_proba(features)
    prediction[voted] = out_of_fold(features[voted], consensus)
    joint = fit_with_predictions(DEFAULT_LABEL_MODEL, votes, None, prediction)
    priors: Floats = live.task_prior(joint.label_prior, prediction, joint.prediction_weight or 0.0)
    return Arm(len(votes), live.summary(live.with_prior(joint.posterior, joint.label_prior, priors))[0])


def _spread(n_votes: int, n_tasks: int, most: int, seed: int) -> Ints:
    """How many of n_votes each task gets, int32[T], drawn at random with at most `most` each."""
    if n_votes > n_tasks * most:
        raise ValueError(f"{n_votes} votes do not fit {n_tasks} tasks of at most {most}")
    slots = np.random.default_rng(seed).permutation(np.repeat(np.arange(n_tasks), most))[:n_votes]
    return np.bincount(slots, minlength=n_tasks).astype(np.int32)


def _ask(answers: Ints, wanted: Ints, n_labels: int, seed: int) -> Votes:
    """Votes of `wanted` int[T] different annotators on each task, drawn at random by seed."""
    A, T = answers.shape
    order = np.argsort(np.random.default_rng(seed + 1).random((T, A)), axis=1)
    task, place = np.nonzero(np.arange(A) < wanted[:, None])
    annotator = order[task, place]
    label = answers[annotator, task]
    return Votes(task.astype(np.int32), annotator.astype(np.int32), label.astype(np.int32), T, A, n_labels)
