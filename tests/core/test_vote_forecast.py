"""What more votes will make of all labels, forecast from the votes there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.vote_forecast import Now, Thinned, VoteForecast, forecast, thinned
from aggregation.core.votes import Floats, Votes

NOW = Now(voted=900, settled=100, unlabelled=0, accuracy=0.9, error=0.01, votes=2_700, room=3_000)
POINTS = Thinned(np.arange(1.0, 4.0, 0.5), 0.98 - 0.2 * np.arange(1.0, 4.0, 0.5) ** -1.0, np.full(6, 1e-3))


def fitted(votes: Votes) -> Floats:
    return LABEL_MODELS["hierarchical_dawid_skene"](votes).posterior


def at(now: Now) -> VoteForecast:
    found = forecast(POINTS, now, seed=0)
    assert found is not None
    return found


def test_labels_of_fewer_votes_are_less_right_and_close_to_as_right_as_they_seem() -> None:
    votes, truth, _ = dawid_skene_votes(3, 800, 40, 3, 6)
    believed = fitted(votes)
    points = thinned(votes, believed, fitted, seed=0)
    assert points is not None and (np.diff(points.votes) > 0).all() and (np.diff(points.accuracy) > 0).all()
    assert (points.votes[0], points.votes[-1]) == (1.0, 6.0) and points.error[-1] == 0
    assert points.accuracy[-1] == pytest.approx((believed.argmax(axis=1) == truth).mean(), abs=0.03)


def test_a_forecast_begins_where_the_project_stands_and_rises() -> None:
    found = at(NOW)
    assert found.at(0.0)[0] == pytest.approx(0.9)
    assert (np.diff(found.accuracy) > 0).all() and (found.low <= found.accuracy).all()
    assert found.at(1e9) == found.at(3_000.0), "no more than there is room for"
    assert found.high[0] - found.low[0] == pytest.approx(2 * 1.645 * 0.01, rel=0.15)


def test_tasks_without_a_label_come_first_and_bring_what_others_have() -> None:
    found = at(replace(NOW, voted=400, unlabelled=500, votes=1_200))
    assert found.at(0.0)[0] == pytest.approx(0.45)
    a_task = POINTS.votes[-1]
    assert found.at(500 * a_task)[0] == pytest.approx(0.9, abs=0.01)


def test_votes_until_an_accuracy_and_that_it_is_never_reached() -> None:
    found = at(replace(NOW, error=0.002))
    expected, low, high = found.votes_for(0.91)
    assert expected is not None and low is not None and high is not None and low <= expected <= high
    assert found.at(expected)[0] == pytest.approx(0.91, abs=0.002)
    assert found.votes_for(0.5) == (0, 0, 0) and found.votes_for(0.999) == (None, None, None)


def test_single_votes_tell_nothing_of_second_ones() -> None:
    votes, _, _ = dawid_skene_votes(3, 100, 10, 2, 1)
    assert thinned(votes, fitted(votes), fitted, seed=0) is None
    assert forecast(None, NOW, seed=0) is None
