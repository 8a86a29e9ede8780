"""A prediction weighs as much as it has earned on held-out tasks."""

import numpy as np
import pytest

from aggregation.core.live import task_prior
from aggregation.core.prediction import fit_weight

PRIOR = np.array([0.5, 0.3, 0.2])


def votes_say(n, seed=0):
    truth = np.random.default_rng(seed).choice(3, size=n, p=PRIOR)
    return 0.85 * np.eye(3)[truth] + 0.05


def test_a_prediction_without_information_weighs_nothing():
    random = np.random.default_rng(1)
    assert fit_weight(np.tile(PRIOR, (500, 1)), votes_say(500), PRIOR) == 0.0
    assert fit_weight(random.dirichlet(np.ones(3) * 0.2, 500), votes_say(500), PRIOR) < 0.1


def test_a_prediction_that_contradicts_the_votes_weighs_nothing():
    posterior = votes_say(500)
    assert fit_weight(posterior[:, [1, 2, 0]], posterior, PRIOR) == 0.0


def test_a_prediction_that_foretells_the_votes_weighs_fully():
    posterior = votes_say(500)
    assert fit_weight(posterior, posterior, PRIOR) == pytest.approx(1.0, abs=1e-6)


def test_an_over_confident_prediction_is_held_back():
    posterior = votes_say(2000)
    wrong = np.random.default_rng(2).random(2000) < 0.3
    guess = np.where(wrong[:, None], np.roll(posterior, 1, axis=1), posterior)
    weight = fit_weight(np.where(guess > 0.5, 0.998, 0.001), posterior, PRIOR)
    assert 0.05 < weight < 0.5


def test_the_weight_is_the_best_on_a_grid():
    random = np.random.default_rng(3)
    posterior = votes_say(300)
    guess = np.where(random.random((300, 1)) < 0.5, posterior, random.dirichlet(np.ones(3), 300))
    grid = np.linspace(0, 1, 201)
    scores = [(posterior * np.log(task_prior(PRIOR, guess, w))).sum() for w in grid]
    assert fit_weight(guess, posterior, PRIOR) == pytest.approx(grid[int(np.argmax(scores))], abs=0.005)


def test_without_tasks_there_is_no_weight():
    assert fit_weight(np.empty((0, 3)), np.empty((0, 3)), PRIOR) == 0.0
