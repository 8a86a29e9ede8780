"""How good a learner's predictions are against labels that they were made without."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aggregation.core.calibration_report import brier, ece, log_loss, rightness
from aggregation.core.votes import Floats, Ints


@dataclass(frozen=True)
class LabelMetrics:
    """One label: of the tasks predicted so, the share that are (precision); of those that are, the share predicted so
    (recall). None where there are no such tasks. tasks: those that are."""

    precision: float | None
    recall: float | None
    tasks: int


@dataclass(frozen=True)
class PredictionMetrics:
    """accuracy: 0..1, ties at their expectation. log_loss: of the true label, nats. brier: squared error summed over
    labels, 0..2. ece: expected calibration error in ten bins, 0..1. labels: in the order of the project's."""

    tasks: int
    accuracy: float
    log_loss: float
    brier: float
    ece: float
    labels: tuple[LabelMetrics, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_predictions(proba: Floats, truth: Ints) -> PredictionMetrics | None:
    """Predictions f8[n, K] against labels int[n]; None for no tasks."""
    if len(truth) == 0:
        return None
    right = rightness(proba, truth)
    return PredictionMetrics(
        tasks=len(truth),
        accuracy=float(right.mean()),
        log_loss=log_loss(proba, truth),
        brier=brier(proba, truth),
        ece=ece(proba.max(axis=1), right),
        labels=_by_label(proba.argmax(axis=1).astype(np.int32), truth, proba.shape[1]),
    )


def _by_label(predicted: Ints, truth: Ints, n_labels: int) -> tuple[LabelMetrics, ...]:
    hits = np.bincount(truth[predicted == truth], minlength=n_labels)
    said, true = np.bincount(predicted, minlength=n_labels), np.bincount(truth, minlength=n_labels)
    return tuple(
        LabelMetrics(hit / of_said if of_said else None, hit / of_true if of_true else None, of_true)
        for hit, of_said, of_true in zip(hits.tolist(), said.tolist(), true.tolist(), strict=True)
    )
