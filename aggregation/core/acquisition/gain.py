"""What one more vote is worth: in what it tells of its task, and in what that teaches about others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition.uncertainty import nats
from aggregation.core.votes import Floats

#: No prediction counts as less than this, so that logarithms stay finite.
SMALLEST = 1e-9


def information_gain(states: Floats, confusion: Floats, n_labels: int | None = None) -> Floats:
    """The information, in nats, that a vote of this annotator is expected to give about each task's label: f8[T] >= 0.

    states: f8[T, C], posteriors of the tasks' states, which are the labels unless the model tells kinds of tasks apart
    (`live.states`; then n_labels says how many labels there are). confusion: f8[C, V], P(vote | state), rows sum to 1.

    The mutual information H(vote) - H(vote | label): 0 for a certain task and for somebody who answers the same
    whatever the truth, the whole entropy of the label for somebody who never errs. Lindley, D. V.: On a Measure of the
    Information Provided by an Experiment, Annals of Mathematical Statistics 27(4), 1956, doi:10.1214/aoms/1177728069.
    """
    vote = nats(states @ confusion)
    K = n_labels or states.shape[1]
    if states.shape[1] == K:
        return np.asarray(np.maximum(vote - states @ nats(confusion), 0.0))
    kinds = states.reshape(len(states), -1, K)
    joint = np.einsum("tdk,dkv->tkv", kinds, confusion.reshape(-1, K, confusion.shape[1]))
    # H(vote | label) = H(vote, label) - H(label)
    given = nats(joint.reshape(len(joint), -1)) - nats(kinds.sum(axis=1))
    return np.asarray(np.maximum(vote - given, 0.0))


def new_or_relabel(posterior: Floats, votes: NDArray[np.integer], confusion: Floats, teaching: float = 0.0) -> Floats:
    """What a vote is worth, f8[T] in 0..1: to a task that has some already, or to one without, which teaches, too.

    posterior: f8[T, K]. votes: int[T]. confusion: f8[K, K] as [true, voted], of whoever will be asked. teaching: nats,
    what one more task with votes tells of all that the learner answers (`teaching`).

    To its own task a vote is worth the information that it is expected to give; the first one is worth `teaching`
    more. It is told as a share of the largest there can be, that of a first vote on an even task; teaching beyond what
    any vote tells of its own task puts all tasks without votes before all others, and more can't. Each vote costs as
    much as any other, so the most valuable one is the best for its price.
    """
    K = posterior.shape[1]
    most = float(information_gain(np.full((1, K), 1.0 / K), confusion)[0])
    first = min(teaching, most)
    if most + first <= 0.0:
        return np.zeros(len(posterior))
    worth = information_gain(posterior, confusion) + first * (votes == 0)
    return np.asarray(np.minimum(worth / (most + first), 1.0))


def teaching(held_out: Floats, taught: Floats, posterior: Floats, answered: int) -> float:
    """What one more task to learn from is expected to tell a learner of all `answered` tasks together, in nats >= 0.

    held_out: f8[n, K], predictions of the n tasks that it was taught, by what had not seen each. taught: f8[n, K], the
    same by what had. posterior: f8[n, K], whose winning labels it was taught, weighted by their probability.

    A learner of d free parameters is worse than its best by d / 2n nats a task where it was not taught, and seems
    better by as much where it was; so half the difference is what more examples could still gain, and one more gains
    the n-th part of it: Akaike, H.: A New Look at the Statistical Model Identification, IEEE Transactions on Automatic
    Control 19(6), 1974, doi:10.1109/TAC.1974.1100705.
    """
    n = len(posterior)
    if not n:
        return 0.0
    label, weight = posterior.argmax(axis=1), posterior.max(axis=1)
    gained = np.log(np.maximum(taught, SMALLEST)) - np.log(np.maximum(held_out, SMALLEST))
    apart = float(np.average(gained[np.arange(n), label], weights=weight))
    return max(apart / 2.0, 0.0) / n * answered
