"""The demo's arms: the engine alone, on real digits and a simulated crowd."""

import numpy as np
import pytest

from aggregation.core.simulation import digit_crowd
from aggregation.learners import numeric
from crowd.demo.arms import fixed_majority, random_order


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    payloads = [{"pixels": row.tolist()} for row in data.data]
    features = numeric.LEARNER.fit_encoder(payloads, ["pixels"]).features(payloads)
    return features[:900], data.target[:900].astype(np.int32)


def test_the_arms_spend_what_they_say_and_are_the_same_by_seed():
    features, truth = digits()
    answers = digit_crowd(truth, seed=1)
    fixed = fixed_majority(answers)
    assert fixed.votes == 3 * len(truth)
    assert 0.7 < fixed.accuracy(truth) < 0.85
    spent = random_order(answers, 800, features)
    assert spent.votes == 800
    assert 0.4 < spent.accuracy(truth) < 0.85
    assert (random_order(answers, 800, features).label == spent.label).all()


def test_more_votes_than_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        random_order(np.zeros((3, 4), dtype=np.int32), 13, np.zeros((4, 1)))
