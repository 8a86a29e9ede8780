"""Recorded votes that are revealed one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Votes


class Recording:
    """Of each task its votes in an order drawn evenly beforehand, and how far they are revealed.

    many: int64[T], how many each has. given: int64[T], how many of these are. counts: f8[T, K], these by label.
    """

    def __init__(self, recorded: Votes, random: np.random.Generator) -> None:
        T = recorded.n_tasks
        self.recorded = recorded
        order = random.permutation(len(recorded))
        self._rows = order[np.argsort(recorded.task[order], kind="stable")]
        self.many = np.bincount(recorded.task, minlength=T)
        self._first = np.append(0, np.cumsum(self.many))
        self._revealed: list[NDArray[np.int64]] = []
        self.given, self.counts = np.zeros(T, np.int64), np.zeros((T, recorded.n_labels))

    def __len__(self) -> int:
        """How many votes are recorded."""
        return len(self.recorded)

    @property
    def spent(self) -> int:
        """How many of them are revealed."""
        return int(self.given.sum())

    @property
    def left(self) -> NDArray[np.bool_]:
        """Which tasks have more, bool[T]."""
        return self.given < self.many

    @property
    def rows(self) -> NDArray[np.int64]:
        """Those revealed, rows of the recorded votes in their order, int64[m]."""
        return np.concatenate([np.empty(0, np.int64), *self._revealed])

    @property
    def votes(self) -> Votes:
        """Those revealed."""
        rows, all_ = self.rows, self.recorded
        columns = all_.task[rows], all_.annotator[rows], all_.label[rows]
        return Votes(*columns, all_.n_tasks, all_.n_annotators, all_.n_labels)

    def reveal(self, tasks: NDArray[np.integer]) -> NDArray[np.int64]:
        """One more vote on each of these tasks, which all have more: rows, int64[n]."""
        rows: NDArray[np.int64] = self._rows[self._first[tasks] + self.given[tasks]]
        self._revealed.append(rows)
        self.given[tasks] += 1
        self.counts[tasks, self.recorded.label[rows]] += 1
        return rows
