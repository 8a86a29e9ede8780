"""Champion and challenger on the same held-out votes; what a run says of a learner."""

import numpy as np
import pytest

from aggregation.core.challenge import challenge
from aggregation.core.prediction_metrics import measure_predictions

PRIOR = np.array([0.5, 0.5])
#: Votes speak for the first label on two tasks, for the second on two.
VOTES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
GOOD, POOR = VOTES, np.full((4, 2), 0.5)


def test_the_better_one_wins_and_equal_ones_are_not_worse():
    assert challenge(GOOD, POOR, VOTES, PRIOR).difference < 0 and challenge(GOOD, POOR, VOTES, PRIOR).passed
    assert not challenge(POOR, GOOD, VOTES, PRIOR).passed
    assert challenge(GOOD, GOOD, VOTES, PRIOR).difference == 0 and challenge(GOOD, GOOD, VOTES, PRIOR).passed


def test_the_difference_is_that_of_the_votes_log_loss_with_its_standard_error():
    of_votes = [-np.log((proba * VOTES / PRIOR).sum(axis=1)) for proba in (POOR, GOOD)]
    found = challenge(POOR, GOOD, VOTES, PRIOR)
    assert found.difference == pytest.approx((of_votes[0] - of_votes[1]).mean())
    assert found.error == pytest.approx((of_votes[0] - of_votes[1]).std(ddof=1) / 2)


def test_votes_that_say_nothing_decide_nothing():
    assert challenge(POOR, GOOD, np.tile(PRIOR, (4, 1)), PRIOR).difference == pytest.approx(0)


def test_without_common_tasks_there_is_nothing_to_be_worse_on():
    none = np.empty((0, 2))
    assert challenge(none, none, none, PRIOR).passed
    assert challenge(POOR[:1], GOOD[:1], VOTES[:1], PRIOR).error == 0


def test_metrics_of_predictions_by_hand():
    proba = np.array([[0.75, 0.25, 0.0], [0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.5, 0.5, 0.0]])
    found = measure_predictions(proba, np.array([0, 1, 1, 0], np.int32))
    assert found is not None
    assert found.accuracy == pytest.approx((1 + 0 + 1 + 0.5) / 4), "a tie at its expectation"
    assert found.log_loss == pytest.approx(-np.log([0.75, 0.25, 0.75, 0.5]).mean())
    assert found.brier == pytest.approx((0.125 + 1.125 + 0.125 + 0.5) / 4)
    assert found.ece == pytest.approx((abs(0.75 * 3 - 2) + abs(0.5 - 0.5)) / 4)
    first, second, third = found.labels
    assert (first.precision, first.recall, first.tasks) == (2 / 3, 1.0, 2)
    assert (second.precision, second.recall, second.tasks) == (1.0, 0.5, 2)
    assert (third.precision, third.recall, third.tasks) == (None, None, 0)


def test_no_tasks_have_no_metrics():
    assert measure_predictions(np.empty((0, 2)), np.empty(0, np.int32)) is None
