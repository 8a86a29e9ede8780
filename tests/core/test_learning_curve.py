"""The inverse power law: it finds the curve it was drawn from, and its band holds the truth."""

import numpy as np
import pytest

from aggregation.core.learning_curve import fit_learning_curve
from aggregation.learners import Target, curve

SIZES = np.array([50, 100, 200, 400, 800, 1600], dtype=np.float64)


def law(n, a=0.9, b=1.2, c=0.5):
    return a - b * np.asarray(n, dtype=np.float64) ** -c


def test_it_finds_the_curve_without_noise():
    curve = fit_learning_curve(SIZES, law(SIZES), np.full(6, 0.001))
    assert curve is not None
    assert curve.accuracy(6400.0)[0] == pytest.approx(law(6400), abs=0.002)
    assert curve.gain(1600, 1600).expected == pytest.approx(law(3200) - law(1600), abs=0.001)


@pytest.mark.parametrize("c", [0.3, 0.5, 1.0])
def test_the_band_of_the_gain_holds_the_truth_as_often_as_it_says(c):
    """100 simulated campaigns each: the 90 % band of what as many labels again will buy."""
    truth = law(3200, c=c) - law(1600, c=c)
    random, held = np.random.default_rng(5), 0
    for campaign in range(100):
        error = np.sqrt(law(SIZES, c=c) * (1 - law(SIZES, c=c)) / 400)
        curve = fit_learning_curve(SIZES, random.normal(law(SIZES, c=c), error), error, seed=campaign)
        assert curve is not None
        gain = curve.gain(1600, 1600)
        assert gain.low <= gain.high
        held += gain.low - 1e-9 <= truth <= gain.high + 1e-9
    assert held >= 80


def test_a_flat_curve_says_that_more_votes_buy_nothing():
    flat = fit_learning_curve(SIZES, np.full(6, 0.8), np.full(6, 0.0005))
    steep = fit_learning_curve(SIZES, law(SIZES), np.full(6, 0.0005))
    assert flat is not None and flat.gain(1600, 500).nothing
    assert steep is not None and not steep.gain(1600, 500).nothing
    unsure = fit_learning_curve(SIZES, np.full(6, 0.8), np.full(6, 0.05))
    assert unsure is not None and not unsure.gain(1600, 5000).nothing, "too little is known to say so"


def test_curves_never_fall_nor_rise_above_one():
    falling = fit_learning_curve(SIZES, 1.0 - law(SIZES), np.full(6, 0.01))
    assert falling is not None and falling.gain(1600, 1600).expected == 0
    rising = fit_learning_curve(SIZES, np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.99]), np.full(6, 0.001))
    assert rising is not None and rising.accuracy(1e9)[0] <= 1


def test_three_points_make_no_curve():
    assert fit_learning_curve(SIZES[:3], law(SIZES[:3]), np.full(3, 0.01)) is None
    assert fit_learning_curve(np.repeat(SIZES[:2], 3), np.full(6, 0.5), np.full(6, 0.01)) is None


def test_the_draws_of_a_small_sample_hold_out_every_row_once(monkeypatch):
    """So the standard error may count each of them as one row tested."""
    tested, taught = [], []

    class Knows:
        def predict_proba(self, X):
            tested.append(X[:, 0])
            return np.tile([0.5, 0.5], (len(X), 1))

    def train(X, target):
        taught.append(X[:, 0])
        return Knows()

    monkeypatch.setattr(curve, "train", train)
    X, posterior = np.arange(100)[:, None], np.tile([0.9, 0.1], (100, 1))
    points = curve.learning_points(X, Target.winning(posterior))
    draws = [rows for rows, known in zip(tested, taught, strict=True) if len(known) == 80]
    assert len(draws) == curve.DRAWS and sorted(np.concatenate(draws)) == list(range(100))
    assert not any(set(rows) & set(known) for rows, known in zip(tested, taught, strict=True))
    np.testing.assert_allclose(points.error, np.sqrt(101 / 102 * 1 / 102 / 102))
