"""A prediction weighs as much as it has earned on held-out tasks."""

from dataclasses import replace

import numpy as np
import pytest

from aggregation.core.label_models import HEED_TASK_PRIORS, LABEL_MODELS
from aggregation.core.live import task_prior, with_prior
from aggregation.core.prediction import MAX_WEIGHT, consensus_to_learn, fit_weight, fit_with_predictions, weigh
from aggregation.core.votes import Votes

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


def test_what_is_gained_by_chance_is_taken_off():
    random, weights = np.random.default_rng(3), []
    for _ in range(40):
        posterior = votes_say(30, random.integers(1 << 30))
        weights.append(weigh(random.dirichlet(np.ones(3), 30), posterior, PRIOR))
    assert all((weight == 0.0) == (gain == 0.0) for weight, gain in weights)
    assert sum(weight > 0.0 for weight, _ in weights) <= 4, "one time in ten is what a nat means, about"


def crowd(votes_per_task, tasks=1500, seed=0):
    """Votes of people right with 0.85 on two labels, and predictions right with 0.75 that know how sure to be."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, tasks)
    task = np.repeat(np.arange(tasks), votes_per_task)
    annotator = random.integers(0, 30, len(task))
    label = np.where(random.random(len(task)) < 0.85, truth[task], 1 - truth[task])
    sure = random.beta(1.0, 1.0, tasks) / 2 + 0.5
    says = np.where(random.random(tasks) < sure, truth, 1 - truth)
    predictions = np.where(np.arange(2) == says[:, None], sure[:, None], 1 - sure[:, None])
    return Votes(task, annotator, label, tasks, 30, 2), truth, predictions


def accuracy(fit, predictions, truth):
    priors = task_prior(fit.label_prior, predictions, fit.prediction_weight)
    return float((with_prior(fit.posterior, fit.label_prior, priors).argmax(axis=1) == truth).mean())


def test_where_tasks_have_one_vote_predictions_tell_how_good_people_are():
    votes, truth, predictions = crowd(votes_per_task=1)
    alone = LABEL_MODELS["auto"](votes)
    assert abs(alone.pooled_accuracy - 0.7) < 0.01, "nothing but what was assumed"

    fit = fit_with_predictions("auto", votes, None, predictions)
    assert 0.77 < fit.pooled_accuracy < 0.87
    assert 0.8 <= fit.prediction_weight <= 1.4 and fit.prediction_gain > 0.02
    apart = replace(alone, prediction_weight=fit_weight(predictions, alone.posterior, alone.label_prior))
    assert accuracy(fit, predictions, truth) > accuracy(apart, predictions, truth) + 0.01
    assert accuracy(fit, predictions, truth) > (votes.label == truth).mean()


@pytest.mark.parametrize("model", sorted(HEED_TASK_PRIORS))
def test_the_posterior_is_that_of_the_votes_alone(model):
    """Predictions are worked in where a task's state is made: they must not be in the fit's posterior already."""
    votes, _, predictions = crowd(votes_per_task=3, tasks=300)
    fit = fit_with_predictions(model, votes, None, predictions)
    rates = fit.confusion if fit.kinds is None else fit.kinds.confusion  # [annotator, (kind,) true, voted]
    joint = np.zeros((300, 1 if fit.kinds is None else 2, 2))
    np.add.at(joint, votes.task, np.log(rates)[votes.annotator, ..., votes.label].reshape(len(votes), -1, 2))
    prior = fit.label_prior[None] if fit.kinds is None else fit.kinds.prior
    states = np.exp(joint) * prior
    expected = states.sum(axis=1) / states.sum(axis=(1, 2))[:, None]
    np.testing.assert_allclose(fit.posterior, expected, atol=1e-6)


def test_gold_stays_certain_and_measures_the_machine_too():
    votes, truth, predictions = crowd(votes_per_task=1, tasks=400)
    gold = np.where(np.arange(400) % 4 == 0, truth, -1)
    fit = fit_with_predictions("auto", votes, gold, predictions)
    assert (fit.posterior[gold >= 0].max(axis=1) == 1.0).all()
    assert fit.prediction_weight > 0.5


def test_a_useless_machine_leaves_the_fit_as_it_is_and_so_does_none():
    votes, _, predictions = crowd(votes_per_task=3, tasks=300)
    alone = LABEL_MODELS["auto"](votes)
    for useless in (np.full_like(predictions, np.nan), predictions[:, ::-1]):
        fit = fit_with_predictions("auto", votes, None, useless)
        assert (fit.prediction_weight, fit.prediction_gain) == (0.0, 0.0)
        np.testing.assert_array_equal(fit.posterior, alone.posterior)


def test_a_model_that_heeds_no_priors_still_weighs_predictions():
    votes, _, predictions = crowd(votes_per_task=3, tasks=300)
    fit = fit_with_predictions("majority_vote", votes, None, predictions)
    np.testing.assert_array_equal(fit.posterior, LABEL_MODELS["majority_vote"](votes).posterior)
    assert fit.prediction_weight > 0.0


@pytest.mark.parametrize(
    ("prior", "complaint"),
    [
        (np.full((2, 3), 1 / 3), "shape"),
        (np.array([[0.5, 0.5], [np.nan, 1.0], [0.5, 0.5]]), "row 1"),
        (np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.6]]), "row 2"),
    ],
)
def test_a_task_prior_that_is_none_is_refused(prior, complaint):
    with pytest.raises(ValueError, match=complaint):
        Votes(np.array([0, 1, 2]), np.array([0, 0, 0]), np.array([0, 1, 0]), 3, 1, 2, prior)


def uneven_crowd(tasks=1500, seed=0):
    """One vote on each task, of ten people right with 0.95 or of ten who guess, on three labels; and predictions."""
    random = np.random.default_rng(seed)
    truth, annotator = random.integers(0, 3, tasks), random.integers(0, 20, tasks)
    right = random.random(tasks) < np.where(annotator < 10, 0.95, 1 / 3)
    label = np.where(right, truth, (truth + random.integers(1, 3, tasks)) % 3)
    says = np.where(random.random(tasks) < 0.7, truth, random.integers(0, 3, tasks))
    predictions = np.where(np.arange(3) == says[:, None], 0.8, 0.1)
    return Votes(np.arange(tasks), annotator, label, tasks, 20, 3), predictions, annotator < 10


def test_a_champion_tells_those_who_teach_the_next_learner_from_those_who_guess():
    votes, champion, good = uneven_crowd()
    sure, alone = (consensus_to_learn(votes, said).posterior.max(axis=1) for said in (champion, None))
    assert sure[good].mean() > 0.75 and sure[~good].mean() < 0.45
    assert sure[good].mean() - sure[~good].mean() > alone[good].mean() - alone[~good].mean() + 0.3


def test_a_champions_word_on_a_task_is_not_taught_to_the_next_learner():
    votes, champion, good = uneven_crowd()
    consensus = consensus_to_learn(votes, champion)
    for task in (0, 1, 2):
        other = champion.copy()
        other[task] = np.roll(champion[task], 1)
        changed = consensus_to_learn(votes, other)
        np.testing.assert_allclose(changed.posterior[task], consensus.posterior[task], atol=0.03)
    assert (consensus.posterior.argmax(axis=1) == votes.label)[good].all(), "one vote is all that speaks on a task"
