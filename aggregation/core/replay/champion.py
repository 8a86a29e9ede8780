"""The learner in the course of a replay: a challenger replaces the champion if it is not worse, as in the service."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import teaching
from aggregation.core.bounds import Bools
from aggregation.core.challenge import challenge
from aggregation.core.prediction import consensus_to_learn, fit_weight
from aggregation.core.votes import Floats, Votes

#: From the rows of the tasks to learn from, int[n], their posteriors f8[n, K] and a seed: held-out predictions of those
#: tasks, f8[n, K], and predictions of all, f8[T, K]; rows of NaN where a task can't be read.
Teach = Callable[[NDArray[np.integer], Floats, int], tuple[Floats, Floats]]


class Champion:
    """prediction: f8[T, K], what it says of all tasks, out of fold where it was taught; None before the first.

    weight: how far it was found reliable where it was taught, from 0. teaching: what one more task would teach it of
    all that nobody has voted on, in nats.
    """

    def __init__(self, teach: Teach | None) -> None:
        self.teach = teach
        self.prediction: Floats | None = None
        self.weight = self.teaching = 0.0

    def retrain(self, votes: Votes, voted: Bools) -> bool:
        """From votes alone on the tasks bool[T]; whether it is in force, being not worse than what is."""
        tasks = np.flatnonzero(voted)
        if self.teach is None or not len(tasks):
            return False
        said = self.prediction
        consensus = consensus_to_learn(votes, None if said is None else np.where(voted[:, None], said, np.nan))
        posterior = consensus.posterior[tasks]
        held_out, everywhere = self.teach(tasks, posterior, 0)
        read = np.isfinite(held_out).all(axis=1)
        tasks, posterior, held_out = tasks[read], posterior[read], held_out[read]
        # What the champion has said of them was out of fold, too, or before their votes.
        if self.prediction is not None and not (
            challenge(held_out, self.prediction[tasks], posterior, consensus.label_prior).passed
        ):
            return False
        self.prediction = everywhere.copy()
        self.prediction[tasks] = held_out
        self.weight = fit_weight(held_out, posterior, consensus.label_prior)
        untouched = votes.n_tasks - len(np.unique(votes.task))
        self.teaching = teaching(held_out, everywhere[tasks], posterior, untouched)
        return True
