"""A learner that is taught again and again on tasks that stay the same, as replays do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.learners.base import without_bad_rows
from aggregation.learners.encoded import EncodedLearner
from aggregation.learners.logistic import cross_fit, train
from aggregation.learners.reading import Payloads
from aggregation.learners.sketch import SPREADING, sketch
from aggregation.learners.target import Floats, Target


@dataclass(frozen=True, eq=False)
class Pupil:
    """Of n tasks those that the learner can read, int[m] ascending, and their features [m, D].

    They are encoded once, for no encoder sees labels.
    """

    learner: str
    n_tasks: int
    readable: NDArray[np.intp]
    X: Any

    @classmethod
    def of(cls, learner: EncodedLearner, payloads: Payloads, fields: Sequence[str]) -> Pupil:
        """Raises ValueError naming the first bad row and its field if too many can't be read: see `fit_readable`."""

        def encode(some: Payloads, rows: NDArray[np.intp]) -> Any:
            return learner.fit_encoder(some, fields).features(some)

        return cls(learner.name, len(payloads), *without_bad_rows(payloads, encode))

    @property
    def left_out(self) -> int:
        """How many tasks it can't read."""
        return self.n_tasks - len(self.readable)

    @property
    def features(self) -> NDArray[np.float32] | None:
        """What tells the tasks apart, f4[n, D], zeros where one can't be read; None where it does not: see `sketch`."""
        if self.learner not in SPREADING:
            return None
        read = sketch(self.X)
        found = np.zeros((self.n_tasks, read.shape[1]), np.float32)
        found[self.readable] = read
        return found

    def teach(self, rows: NDArray[np.integer], posterior: Floats, seed: int) -> tuple[Floats, Floats]:
        """Taught these tasks, int[k], by their posteriors f8[k, K] from votes only: held-out predictions of them,
        f8[k, K], and predictions of all, f8[n, K]. Rows of NaN where a task can't be read."""
        K = posterior.shape[1]
        place = np.full(self.n_tasks, -1)
        place[self.readable] = np.arange(len(self.readable))
        read = np.flatnonzero(place[rows] >= 0)
        X, target = self.X[place[rows][read]], Target.winning(posterior[read])
        held_out, everywhere = np.full((len(rows), K), np.nan), np.full((self.n_tasks, K), np.nan)
        held_out[read] = cross_fit(X, target, seed=seed).proba
        everywhere[self.readable] = train(X, target).predict_proba(self.X)
        return held_out, everywhere
