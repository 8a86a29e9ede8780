"""Whose turn it is in a replay: which tasks are asked about next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import PRIORITY_STEPS, explore
from aggregation.core.bounds import Bools
from aggregation.core.policy import Policy
from aggregation.core.queue import CANDIDATES, Worth, places, spread
from aggregation.core.votes import Floats

#: Of the tasks, f[T, D].
Features = NDArray[np.floating]
Tasks = NDArray[np.int64]

#: More than any other key in the queue, and still exact beside one.
BEFORE_ALL = 2.0**50


class Turns:
    """The tasks' places, int64[T]: of those equal the one uploaded first, in an order drawn evenly, comes first.

    features: what tells tasks apart; without any the first places are not spread over unlike tasks.
    """

    def __init__(self, policy: Policy, n_tasks: int, features: Features | None, random: np.random.Generator) -> None:
        self.policy, self.features, self._random = policy, features, random
        self.place, self._ahead = np.zeros(n_tasks, np.int64), np.zeros(n_tasks, np.bool_)
        self._uploaded = random.permutation(n_tasks)

    def begin(self) -> None:
        """After a refit every task is placed anew."""
        self.place = np.zeros(len(self.place), np.int64)

    def put(self, tasks: NDArray[np.integer], posterior: Floats, counts: Floats, worth: Worth) -> None:
        """Place n tasks by their posteriors f8[n, K], votes for each label, f8[n, K], and what more votes are worth."""
        place = places(self.policy.order, self.policy.acquisition, posterior, counts, worth)
        if place is not None:
            self.place[tasks] = place

    def put_ahead(self, untouched: Bools, open_: Bools, anew: bool) -> None:
        """Tasks that a retraining has put before all others stay there until they are voted on. bool[T] each."""
        if self.features is None or self.policy.order != "priority":
            return
        if anew:
            free = np.flatnonzero(open_ & untouched)
            free = free[np.argsort(-self.place[free], kind="stable")[:CANDIDATES]]
            self._ahead[:] = False
            self._ahead[free[spread(self.place[free].astype(np.float64), self.features[free])]] = True
        self.place[self._ahead & untouched] = PRIORITY_STEPS

    def next(self, n: int, open_: Bools, asked: Bools) -> Tasks:
        """Up to n of the open tasks, the first in the queue, those asked for before all others; a share by chance."""
        tasks = np.flatnonzero(open_)
        if self.policy.explore_share is not None and len(tasks):
            seed = int(self._random.integers(1 << 32))
            first = self._key(tasks).astype(np.float64) + np.where(asked[tasks], BEFORE_ALL, 0.0)
            return tasks[explore(first, n, self.policy.explore_share, seed).row]
        before, others = tasks[asked[tasks]], tasks[~asked[tasks]]
        if not len(before):
            return self._first(others, n)
        found = self._first(before, n)
        return np.append(found, self._first(others, n - len(found)))

    def _first(self, tasks: Tasks, n: int) -> Tasks:
        if self.policy.order == "random":
            return np.asarray(self._random.permutation(tasks)[:n])
        if len(tasks) > n:
            tasks = tasks[np.argpartition(-self._key(tasks), n - 1)[:n]]
        return tasks

    def _key(self, tasks: Tasks) -> Tasks:
        """The highest is asked about first, int64[n]; no two are equal."""
        if self.policy.order == "random":
            return np.asarray(self._random.permutation(len(tasks)))
        return np.asarray(self.place[tasks] * len(self.place) + self._uploaded[tasks])
