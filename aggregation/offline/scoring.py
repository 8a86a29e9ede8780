"""How true a posterior is where the truth is known: accuracy, calibration error, Brier score, log loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.calibration_report import BINS, bin_of, ece_interval, rightness
from aggregation.core.votes import Floats, Ints

Z95 = 1.959964


@dataclass(frozen=True, eq=False)
class Score:
    """A posterior against n true labels. A tie counts at its expectation: one of two tied labels is half right.

    accuracy: share right, 0..1, with its 95 % Wilson interval low..high. stated: mean confidence, 0..1.
    ece: expected calibration error, the mean distance of confidence from accuracy in BINS equal-width bins of
    confidence, weighted by their tasks; ece_interval: bounds of the true one. brier: squared distance from the truth,
    summed over labels, 0..2. log_loss: - log p(truth), nats, p no less than 1e-15. bins: int[BINS] tasks. confidence,
    right: f8[BINS], their means by bin, NaN where it is empty.
    """

    n: int
    accuracy: float
    low: float
    high: float
    stated: float
    ece: float
    ece_interval: tuple[float, float]
    brier: float
    log_loss: float
    bins: NDArray[np.int64]
    confidence: Floats
    right: Floats


def score(posterior: Floats, truth: Ints) -> Score:
    """Score posterior f8[n, K], n >= 1, against truth int[n].

    Wilson, E. B.: Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
    Statistical Association 22(158), 1927, doi:10.1080/01621459.1927.10502953; Brier, G. W.: Verification of Forecasts
    Expressed in Terms of Probability, Monthly Weather Review 78(1), 1950.
    """
    n = len(truth)
    right = rightness(posterior, truth)
    confidence = posterior.max(axis=1)
    place = bin_of(confidence)
    tasks = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, values, minlength=BINS) for values in (confidence, right)]
    mean_confidence, mean_right = (np.where(tasks > 0, total / np.maximum(tasks, 1), np.nan) for total in sums)
    p_truth = posterior[np.arange(n), truth]
    accuracy = float(right.mean())
    low, high = wilson(accuracy, n)
    return Score(
        n=n,
        accuracy=accuracy,
        low=low,
        high=high,
        stated=float(confidence.mean()),
        ece=float(np.abs(sums[0] - sums[1]).sum() / n),
        ece_interval=ece_interval(confidence[None], right[None]),
        brier=float(((posterior**2).sum(axis=1) - 2 * p_truth + 1).mean()),
        log_loss=float(-np.log(np.maximum(p_truth, 1e-15)).mean()),
        bins=tasks,
        confidence=mean_confidence,
        right=mean_right,
    )


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n."""
    middle = share + Z95**2 / (2 * n)
    reach = Z95 * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    low, high = ((middle + side * reach) / (1 + Z95**2 / n) for side in (-1.0, 1.0))
    return max(0.0, float(low)), min(1.0, float(high))
