"""Scores, against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aggregation.core.calibration_report import rightness
from aggregation.offline.scoring import score, wilson


def test_the_figures_are_those_worked_out_by_hand() -> None:
    posterior = np.array([[0.9, 0.1], [0.9, 0.1], [0.35, 0.65], [0.0, 1.0]])
    found = score(posterior, np.array([0, 1, 1, 1], np.int32))
    assert found.accuracy == 0.75
    # Bins: two tasks stated 0.9, one right; one stated 0.65, right; one stated 1.0, right, in the last bin as well.
    assert found.bins.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 3]
    assert found.ece == pytest.approx((abs(2.8 - 2) + abs(0.65 - 1)) / 4)
    assert found.brier == pytest.approx((2 * 0.1**2 + 2 * 0.9**2 + 2 * 0.35**2 + 0) / 4)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.1, 0.65, 1.0]).mean())
    assert found.confidence[9] == pytest.approx(2.8 / 3) and found.right[9] == pytest.approx(2 / 3)
    assert np.isnan(found.right[0])


def test_ties_count_at_their_expectation() -> None:
    posterior = np.array([[0.4, 0.4, 0.2], [0.5, 0.5 + 1e-15, 0.0], [0.2, 0.2, 0.6]])
    assert rightness(posterior, np.array([1, 0, 0], np.int32)).tolist() == [0.5, 0.5, 0.0]


def test_the_interval_is_wilsons() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (right, n), expected in published.items():
        assert wilson(right / n, n) == pytest.approx(expected, abs=5e-5)
