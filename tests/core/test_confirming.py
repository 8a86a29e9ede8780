"""Confirming: the difference that seeing an answer makes, and how sure that is."""

import numpy as np
import pytest

from aggregation.core.confirming import anchoring, sharpened


def test_the_interval_is_that_of_newcombes_tables():
    # Newcombe 1998, table II, case (a), method 10: 56/70 - 48/80 is 0.2, from 0.0524 to 0.3339.
    found = anchoring(56, 70, 48, 80)
    assert found is not None
    assert (found.points, found.low, found.high) == pytest.approx((20.0, 5.24, 33.39), abs=0.01)


def test_it_holds_what_is_true_in_about_95_of_100_campaigns():
    random, held = np.random.default_rng(0), 0
    for _ in range(2000):
        shown, blind = random.binomial(200, 0.9), random.binomial(60, 0.8)
        found = anchoring(int(shown), 200, int(blind), 60)
        assert found is not None
        held += found.low <= 10.0 <= found.high
    assert 0.93 < held / 2000 < 0.985


def test_without_a_comparison_nothing_is_said():
    assert anchoring(3, 5, 0, 0) is None and anchoring(0, 0, 3, 5) is None
    everybody = anchoring(10, 10, 0, 10)
    assert everybody is not None and everybody.points == 100.0 and everybody.high == 100.0


def test_more_that_agree_than_vote_are_refused():
    with pytest.raises(ValueError, match="6 of 5"):
        anchoring(6, 5, 0, 1)


def test_sharpening_keeps_the_order_of_two_labels_and_a_weight_of_nothing_knows_nothing():
    prediction = np.array([[0.8, 0.2], [0.3, 0.7]])
    assert sharpened(prediction, 0.0) == pytest.approx(np.full((2, 2), 0.5))
    assert sharpened(prediction, 1.0) == pytest.approx(prediction)
    assert sharpened(prediction[0], 2.0) == pytest.approx([0.64 / 0.68, 0.04 / 0.68])
