"""What one more vote is worth: in what it tells, in labels put right, and by what it costs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition.uncertainty import nats
from aggregation.core.votes import Floats

#: Annotators are neither surer nor less sure than this, so that logarithms stay finite.
SUREST = 1.0 - 1e-9


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


def accuracy_gain(posterior: Floats, accuracy: float, room: NDArray[np.integer]) -> Floats:
    """The rise in the probability that a task's label is right, per vote, if it gets as many as pay best: f8[T] >= 0.

    posterior: f8[T, K]. accuracy: 0..1, of those who will be asked, who err evenly. room: int[T] >= 0, votes that the
    task may still get.

    One vote alone often cannot change the winning label, and would look worthless; so the best average over 1..room
    votes counts. Frazier, P. I. and Powell, W. B.: Paradoxes in Learning and the Marginal Value of Information,
    Decision Analysis 7(4), 2010, doi:10.1287/deca.1100.0190. Only the two most probable labels are weighed against
    each other: exact for two labels, at most the true value for more.
    """
    T, K = posterior.shape
    best = np.zeros(T)
    right = min(accuracy, SUREST)
    wrong = (1.0 - right) / max(K - 1, 1)
    if K < 2 or right <= wrong or not T:
        return best
    top = np.partition(posterior, -2, axis=1)
    second, first = top[:, -2], top[:, -1]
    # So many more votes for the second than for the first turn the label.
    odds = np.log(first) - np.log(np.maximum(second, np.finfo(np.float64).tiny))
    lead = np.floor(odds / (np.log(right) - np.log(wrong))).astype(np.int64) + 1
    step = np.array([wrong, 1.0 - right - wrong, right])  # votes for the second, for another, for the first
    step = np.maximum(step, 0.0)
    ahead = np.ones(1)
    for votes in range(1, int(room.max()) + 1):
        ahead = np.convolve(ahead, step)  # of the first label's lead among so many votes, if it is the truth: -n..n
        at_least = np.append(ahead[::-1].cumsum()[::-1], 0.0)
        at_most = np.append(0.0, ahead.cumsum())
        turns = np.minimum(lead, votes + 1)
        gain = second * at_least[turns + votes] - first * at_most[votes - turns + 1]
        best = np.where(votes <= room, np.maximum(best, gain / votes), best)
    return best


def new_or_relabel(gain: Floats, votes: NDArray[np.integer], cost: Floats, teaching: float = 0.0) -> Floats:
    """Value by cost, f8[T] >= 0: whether to ask about a task without votes, or once more about one that has some.

    gain: f8[T], what a vote is worth to its own task, such as `accuracy_gain` in labels put right. votes: int[T]. cost:
    f8[T] > 0, the price of a vote. teaching: what one more task with votes is worth to all the others, in the unit of
    gain: the slope of the learning curve times the tasks that the learner answers. Raises ValueError for a cost <= 0.
    """
    if not (cost > 0).all():
        row = int((~(cost > 0)).argmax())
        raise ValueError(f"cost in row {row} is {cost[row]}; expected more than 0")
    return np.asarray((gain + teaching * (votes == 0)) / cost)
