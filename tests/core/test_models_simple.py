"""Wawa, Zero-Based Skill, one-coin and GLAD: each against its definition."""

import math
import warnings

import numpy as np
import pytest

from aggregation.core import glad, majority_vote, one_coin, wawa, zero_based_skill
from aggregation.core.even_errors import alternate
from aggregation.core.simulation import dawid_skene_votes
from aggregation.core.votes import Votes

from .strategies import as_votes


def test_wawa_on_three_votes_by_hand():
    # The majority is 0, 0, 1: annotator 0 always agrees, 1 and 2 twice in three.
    votes = as_votes([(0, 0, 0), (0, 1, 0), (0, 2, 1), (1, 0, 0), (1, 1, 1), (1, 2, 0), (2, 0, 1), (2, 1, 1)], 3, 3, 2)
    shares = wawa.fit(votes).posterior
    agreement = {0: 1.0, 1: 2 / 3, 2: 1 / 2}
    np.testing.assert_allclose(shares[0, 1], agreement[2] / sum(agreement.values()))
    np.testing.assert_allclose(shares[1, 1], agreement[1] / sum(agreement.values()))
    np.testing.assert_allclose(shares[2], [0, 1])


def test_agreeing_with_one_of_two_labels_that_tie_counts_half():
    votes = as_votes([(0, 0, 0), (0, 1, 1), (1, 0, 0)], 2, 2, 2)
    np.testing.assert_allclose(majority_vote.agreement(votes, majority_vote.fit(votes).posterior), [0.75, 0.5])
    np.testing.assert_allclose(wawa.fit(votes).posterior[0], [0.6, 0.4])


@pytest.mark.parametrize(("ours", "theirs"), [(wawa.fit, "Wawa"), (zero_based_skill.fit, "ZeroBasedSkill")])
@pytest.mark.parametrize("seed", range(3))
def test_weighted_majorities_agree_with_crowd_kit(monkeypatch, ours, theirs, seed):
    votes = dawid_skene_votes(seed, 80, 9, 2, 5, diagonal=2.0)[0]  # an odd number of votes, so no ties
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # crowd-kit's imports and calls warn; ours must not
        import pandas as pd
        from crowdkit.aggregation.classification import wawa as wawa_module
        from crowdkit.aggregation.classification import zero_based_skill as zbs_module

        for module in (wawa_module, zbs_module):  # refuses what is no estimator of scikit-learn's, since its 1.7
            monkeypatch.setattr(module, "check_is_fitted", lambda *_, **__: None)
        model = getattr(wawa_module if theirs == "Wawa" else zbs_module, theirs)()
        table = pd.DataFrame({"task": votes.task, "worker": votes.annotator, "label": votes.label})
        probabilities = model.fit_predict_proba(table)
    fit = ours(votes)
    np.testing.assert_allclose(fit.posterior[probabilities.index], probabilities.to_numpy(), atol=1e-6)


def test_zero_based_skill_goes_on_where_wawa_stops():
    votes, truth, _ = dawid_skene_votes(5, 300, 20, 4, 5, diagonal=2.0)
    first, further = wawa.fit(votes), zero_based_skill.fit(votes)
    assert further.converged and further.n_iter > 2
    assert np.abs(first.posterior - further.posterior).max() > 1e-3
    np.testing.assert_array_equal(zero_based_skill.fit(votes, max_iter=1).posterior, first.posterior)


def test_one_coin_agrees_with_a_slow_reference():
    votes = dawid_skene_votes(2, 60, 8, 3, 4)[0]
    for iterations in (1, 2, 7):
        fit = one_coin.fit(votes, tol=0.0, max_iter=iterations)
        posterior, accuracy = slow_one_coin(votes, iterations)
        np.testing.assert_allclose(fit.posterior, posterior, atol=1e-9)
        np.testing.assert_allclose(fit.accuracy, accuracy, atol=1e-9)


def slow_one_coin(votes, iterations):
    """One-coin EM from accuracies of 0.7, one number at a time."""
    rows = list(zip(votes.task.tolist(), votes.annotator.tolist(), votes.label.tolist(), strict=True))
    T, A, K = votes.n_tasks, votes.n_annotators, votes.n_labels

    def e_step(accuracy):
        posterior = [[1.0] * K for _ in range(T)]
        for task, annotator, label in rows:
            for k in range(K):
                posterior[task][k] *= accuracy[annotator] if k == label else (1 - accuracy[annotator]) / (K - 1)
        return [[p / sum(row) for p in row] for row in posterior]

    accuracy = [0.7] * A
    posterior = e_step(accuracy)
    for _ in range(iterations):
        correct, total = [5 * 0.7] * A, [5.0] * A
        for task, annotator, label in rows:
            correct[annotator] += posterior[task][label]
            total[annotator] += 1
        accuracy = [c / n for c, n in zip(correct, total, strict=True)]
        posterior = e_step(accuracy)
    return np.array(posterior), np.array(accuracy)


@pytest.mark.parametrize("strength", [0.0, 5.0])
def test_one_coin_finds_the_coins(strength):
    votes, truth, accuracy = coins(1)
    fit = one_coin.fit(votes, strength=strength)
    assert (fit.label == truth).mean() > (majority_vote.fit(votes).label == truth).mean() + 0.03
    assert np.abs(fit.accuracy - accuracy).mean() < 0.08  # 100 votes each


def coins(seed):
    random = np.random.default_rng(seed)
    truth, accuracy = random.integers(3, size=400), random.uniform(0.3, 0.95, 30)
    task = np.repeat(np.arange(400), 8)
    annotator = np.argsort(random.random((400, 30)), axis=1)[:, :8].ravel()
    right = random.random(len(task)) < accuracy[annotator]
    label = np.where(right, truth[task], (truth[task] + random.integers(1, 3, len(task))) % 3)
    return Votes(task, annotator, label, 400, 30, 3), truth, accuracy


def test_no_small_change_of_glads_parameters_explains_the_votes_better():
    votes = dawid_skene_votes(4, 40, 8, 3, 5, diagonal=4.0)[0]
    model, gold = glad.Glad(votes), np.full(40, -1, dtype=np.int32)
    reached = alternate(votes, gold, model, None, 1e-13, 5000)

    def objective(ability, log_ease):
        parameters = glad.Parameters(ability, log_ease)
        odds, label = model.log_odds(parameters), votes.label
        joint = np.full((40, 3), -math.log(3))
        for task, x, voted in zip(votes.task, odds, label, strict=True):
            joint[task] -= math.log1p(math.exp(x))
            joint[task] += np.where(np.arange(3) == voted, x, -math.log(2))
        return np.log(np.exp(joint).sum(axis=1)).sum() + model.log_density(parameters)

    ability, log_ease = reached.parameters
    best = objective(ability, log_ease)
    assert best == pytest.approx(reached.objective[-1], abs=1e-8)
    for delta in (-0.01, 0.01):
        for i in range(8):
            assert objective(ability + delta * (np.arange(8) == i), log_ease) < best
        for t in range(40):
            assert objective(ability, log_ease + delta * (np.arange(40) == t)) < best


def test_glad_is_less_sure_of_hard_tasks():
    random = np.random.default_rng(3)
    truth = random.integers(2, size=300)
    right = np.where(np.arange(300) < 150, 0.97, 0.6)
    label = np.where(random.random((300, 15)) < right[:, None], truth[:, None], 1 - truth[:, None])
    votes = as_votes([(t, a, label[t, a]) for t in range(300) for a in range(15)], 300, 15, 2)
    reached = alternate(votes, np.full(300, -1, dtype=np.int32), glad.Glad(votes), None, 1e-7, 200)
    assert reached.parameters.log_ease[:150].mean() > reached.parameters.log_ease[150:].mean() + 0.5
    sure = reached.posterior.max(axis=1)
    assert sure[150:].mean() < one_coin.fit(votes).posterior.max(axis=1)[150:].mean()


@pytest.mark.parametrize("model", [one_coin.fit, glad.fit])
def test_gold_teaches_models_with_even_errors_who_is_wrong(model):
    liars = as_votes([(t, a, 1 - t % 2 if a < 3 else t % 2) for t in range(40) for a in range(5)], 40, 5, 2)
    gold = np.full(40, -1, dtype=np.int32)
    gold[:20] = np.arange(20) % 2
    assert (model(liars, gold).label == np.arange(40) % 2).all()


@pytest.mark.parametrize("model", [one_coin.fit, glad.fit])
def test_a_start_from_the_end_ends_at_once(model):
    votes = dawid_skene_votes(6, 200, 20, 3, 5, diagonal=4.0)[0]
    cold = model(votes)
    warm = model(votes, start=cold.posterior)
    assert warm.n_iter < cold.n_iter or cold.n_iter <= 2
    assert (warm.label == cold.label).mean() > 0.98


@pytest.mark.parametrize(
    ("model", "kwargs", "message"),
    [
        (one_coin.fit, {"strength": -1.0}, "strength is -1.0"),
        (one_coin.fit, {"max_iter": 0}, "max_iter 0"),
        (glad.fit, {"max_iter": 0}, "max_iter is 0"),
        (zero_based_skill.fit, {"max_iter": 0}, "max_iter is 0"),
    ],
)
def test_bad_settings_are_named(model, kwargs, message):
    with pytest.raises(ValueError, match=message):
        model(as_votes([(0, 0, 0)], 1, 1, 2), **kwargs)
