"""What every label model returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.votes import Floats, Ints

#: Up to this many labels each annotator has a free confusion matrix; beyond, a structured one.
#: 200 x 200 free cells per annotator could never be estimated from an annotator's few hundred votes.
DENSE_LABELS = 16

#: No vote is ever taken as less likely than this under any label, so that no single vote annihilates a label.
LIKELIHOOD_FLOOR = 1e-10


@dataclass(frozen=True, eq=False)
class Fit:
    """A label model fitted to votes. T tasks, A annotators, K labels.

    posterior: f8[T, K], rows sum to 1. label_prior: f8[K], sums to 1.
    confusion: f8[A, K, K] as [annotator, true, voted], rows sum to 1; None beyond DENSE_LABELS labels, where an
      annotator's row is accuracy[a] on the diagonal and (1 - accuracy[a]) * pooled_errors[true, voted] off it.
    accuracy: f8[A], 0..1. pooled_accuracy: 0..1, that of an annotator nothing is known about.
    pooled_errors: f8[K, K] as [true, voted]: zero diagonal, rows sum to 1: how people err when they err.
    n_iter, converged, objective: how EM went; objective holds one value per iteration and never falls.
    """

    posterior: Floats
    label_prior: Floats
    confusion: Floats | None
    accuracy: Floats
    pooled_accuracy: float
    pooled_errors: Floats
    n_iter: int
    converged: bool
    objective: tuple[float, ...]

    @property
    def skill(self) -> Floats:
        """Expected accuracy of each annotator on tasks drawn by label_prior, f8[A], 0..1."""
        if self.confusion is None:
            return self.accuracy
        return np.asarray(np.einsum("akk,k->a", self.confusion, self.label_prior))

    @property
    def label(self) -> Ints:
        """Most probable label of each task, int32[T]; the lowest index wins a tie."""
        return np.asarray(self.posterior.argmax(axis=1), dtype=np.int32)
