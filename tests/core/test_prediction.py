"""A prediction weighs as much as it has earned on held-out tasks."""

import numpy as np

from aggregation.core.prediction import MAX_WEIGHT, fit_weight

PRIOR = np.array([0.5, 0.3, 0.2])


def votes_say(n, seed=0):
    truth = np.random.default_rng(seed).choice(3, size=n, p=PRIOR)
    return 0.85 * np.eye(3)[truth] + 0.05


def test_a_prediction_without_information_weighs_nothing():
    random = np.random.default_rng(1)
    assert fit_weight(np.tile(PRIOR, (500, 1)), votes_say(500), PRIOR) == 0.0
    assert fit_weight(random.dirichlet(np.ones(3) * 0.2, 500), votes_say(500), PRIOR) <= 0.1


def test_a_prediction_that_contradicts_the_votes_weighs_nothing():
    posterior = votes_say(500)
    assert fit_weight(posterior[:, [1, 2, 0]], posterior, PRIOR) == 0.0


def test_a_prediction_that_foretells_the_votes_weighs_fully():
    posterior = votes_say(500)
    assert fit_weight(posterior, posterior, PRIOR) >= 1.0


def test_a_prediction_that_doubts_itself_too_much_is_sharpened():
    posterior = votes_say(500)
    assert fit_weight(0.5 * posterior + 0.5 * PRIOR, posterior, PRIOR) == MAX_WEIGHT


def test_an_over_confident_prediction_is_held_back():
    posterior = votes_say(2000)
    wrong = np.random.default_rng(2).random(2000) < 0.3
    guess = np.where(wrong[:, None], np.roll(posterior, 1, axis=1), posterior)
    weight = fit_weight(np.where(guess > 0.5, 0.998, 0.001), posterior, PRIOR)
    assert 0.0 < weight < 0.5


def test_without_tasks_there_is_no_weight():
    assert fit_weight(np.empty((0, 3)), np.empty((0, 3)), PRIOR) == 0.0
