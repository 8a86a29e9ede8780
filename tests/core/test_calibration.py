"""Calibration: confidence becomes true, of any crowd, and no label changes."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from aggregation.core import calibration as module
from aggregation.core import calibration_report, dawid_skene
from aggregation.core.calibration import (
    ENOUGH_GOLD,
    SHIPPED_PRIOR,
    Calibration,
    Prior,
    calibrate,
    cross_fit,
    design,
    drawn,
    most_probable,
    split,
)
from aggregation.core.calibration_report import auc, cross_validate, ece, rightness, score
from aggregation.core.simulation import dawid_skene_votes
from benchmarks import calibration_prior, datasets

WIDE = Prior(np.zeros(3), 100.0 * np.eye(3), 100.0)


def overconfident(seed, T=4000, K=3, power=3.0, votes=5):
    """(posterior, vote counts, truth): the truth follows p, and the posterior claims p ** power."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(K, 0.7), size=T)
    truth = (random.random((T, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=K - 1).astype(np.int32)
    claimed = p**power
    counts = np.array([random.multinomial(votes, row) for row in p / p.sum(axis=1, keepdims=True)], dtype=np.float64)
    return claimed / claimed.sum(axis=1, keepdims=True), counts, truth


def known(truth, n):
    """The first n answers."""
    return np.where(np.arange(len(truth)) < n, truth, -1).astype(np.int32)


def calibration_error(posterior, truth):
    return ece(posterior.max(axis=1), rightness(posterior, truth))


def log_loss(posterior, truth):
    return -np.log(np.maximum(posterior[np.arange(len(truth)), truth], 1e-12)).mean()


@pytest.mark.parametrize(("n_gold", "left"), [(20, 0.7), (50, 0.6), (2000, 0.35)])
def test_confidence_becomes_true_the_more_gold_the_truer(n_gold, left):
    before, after = [], []
    for seed in range(5):
        posterior, counts, truth = overconfident(seed)
        q = calibrate(posterior, counts, known(truth, n_gold)).apply(posterior, counts)
        rest = slice(n_gold, None)
        before.append(calibration_error(posterior[rest], truth[rest]))
        after.append(calibration_error(q[rest], truth[rest]))
    assert np.mean(before) > 0.1
    assert np.mean(after) < left * np.mean(before)


def test_a_real_crowd_is_calibrated_by_fifty_answers():
    data = datasets.load(datasets.BLUEBIRD)
    counts, raw, calibrated = data.votes.per_task(), [], []
    for seed in range(5):
        drawn = np.random.default_rng(seed).choice(data.gold_tasks, 50, replace=False)
        gold = np.full(len(data.gold), -1, np.int32)
        gold[drawn] = data.gold[drawn]
        posterior = cross_fit(lambda known: dawid_skene.fit(data.votes, known).posterior, gold)
        rest = np.setdiff1d(data.gold_tasks, drawn)
        q = calibrate(posterior, counts, gold).apply(posterior, counts)
        raw.append(log_loss(posterior[rest], data.gold[rest]))
        calibrated.append(log_loss(q[rest], data.gold[rest]))
    assert np.mean(calibrated) < 0.5 * np.mean(raw)


def test_without_gold_it_is_what_other_crowds_tell_and_says_so():
    posterior, counts, truth = overconfident(0, T=200)
    calibration = calibrate(posterior, counts, known(truth, 0))
    np.testing.assert_array_equal(calibration.weights, SHIPPED_PRIOR.mean)
    np.testing.assert_array_equal(calibration.bias, np.zeros(3))
    assert (calibration.n_gold, calibration.state) == (0, "uncalibrated")
    assert log_loss(calibration.apply(posterior, counts), truth) < log_loss(posterior, truth)


def test_it_is_called_calibrated_from_twenty_answers_on():
    posterior, counts, truth = overconfident(0, T=200)
    assert calibrate(posterior, counts, known(truth, ENOUGH_GOLD - 1)).state == "uncalibrated"
    assert calibrate(posterior, counts, known(truth, ENOUGH_GOLD)).state == "gold"


def test_gold_without_votes_tells_nothing():
    posterior, counts, truth = overconfident(0, T=200)
    counts[10:40] = 0
    calibration = calibrate(posterior, counts, known(truth, 40))
    assert (calibration.n_gold, calibration.state) == (10, "uncalibrated")
    same = calibrate(posterior, counts, known(truth, 10))
    np.testing.assert_array_equal(calibration.weights, same.weights)
    without = np.zeros_like(counts)
    assert np.isfinite(calibration.apply(posterior, without)).all()


def test_of_very_much_gold_some_is_drawn(monkeypatch):
    posterior, counts, truth = overconfident(0, T=200)
    gold = known(truth, 100)
    monkeypatch.setattr(module, "MOST_GOLD", 30)
    chosen = drawn(np.flatnonzero(gold >= 0).astype(np.int32))
    assert len(set(chosen)) == 30 and chosen.max() > 60 and (np.diff(chosen) > 0).all()
    calibration = calibrate(posterior, counts, gold)
    assert calibration.n_gold == 30
    fewer = np.full_like(gold, -1)
    fewer[chosen] = gold[chosen]
    assert calibration.as_json() == calibrate(posterior, counts, fewer).as_json()


def test_the_weights_are_the_most_probable_ones():
    posterior, counts, truth = overconfident(1, T=60, votes=3)
    truth[truth == 2] = 0
    terms, precision = design(posterior, counts), np.linalg.inv(SHIPPED_PRIOR.covariance)

    def minus_log_posterior(theta):
        loss = 0.0
        for task in range(60):
            z = [float(terms[task, k] @ theta[:3]) + [theta[3], theta[4], 0.0][k] for k in range(3)]
            loss += np.log(np.exp(z).sum()) - z[truth[task]]
        away = theta[:3] - SHIPPED_PRIOR.mean
        return loss + 0.5 * away @ precision @ away + 0.5 * (theta[3:] ** 2).sum() / SHIPPED_PRIOR.bias_variance

    slow = minimize(minus_log_posterior, np.r_[SHIPPED_PRIOR.mean, 0.0, 0.0], method="BFGS")
    ours, covariance = most_probable(terms, truth, SHIPPED_PRIOR)
    assert minus_log_posterior(ours) <= slow.fun + 1e-8
    np.testing.assert_allclose(ours, slow.x, atol=2e-3)
    step = 1e-3 * np.eye(5)
    for i in range(5):  # the covariance is that of the curvature at the top
        row = [
            (minus_log_posterior(ours + step[i] + step[j]) - minus_log_posterior(ours + step[i] - step[j])
             - minus_log_posterior(ours - step[i] + step[j]) + minus_log_posterior(ours - step[i] - step[j])) / 4e-6
            for j in range(5)
        ]  # fmt: skip
        np.testing.assert_allclose(np.linalg.inv(covariance)[i], row, rtol=1e-3, atol=1e-2)


def test_each_answer_counts_its_weight():
    posterior, counts, truth = overconfident(2, T=80)
    terms = design(posterior, counts)
    twice, covariance = most_probable(np.concatenate([terms, terms]), np.concatenate([truth, truth]), SHIPPED_PRIOR)
    weighted, narrower = most_probable(terms, truth, SHIPPED_PRIOR, weight=2.0)
    np.testing.assert_allclose(weighted, twice, atol=1e-4)
    np.testing.assert_allclose(narrower, covariance, rtol=1e-3, atol=1e-6)


def test_with_much_gold_the_prior_no_longer_matters():
    posterior, counts, truth = overconfident(3, T=20_000)
    shipped, wide = (calibrate(posterior, counts, truth, prior=prior) for prior in (SHIPPED_PRIOR, WIDE))
    difference = shipped.apply(posterior, counts) - wide.apply(posterior, counts)
    assert np.abs(difference).mean() < 0.01


def test_a_label_that_people_vote_for_too_often_is_believed_less():
    posterior, counts, truth = overconfident(4, K=2)
    truth = np.where((truth == 1) & (np.random.default_rng(0).random(len(truth)) < 0.3), 0, truth).astype(np.int32)
    bias = calibrate(posterior, counts, known(truth, 500)).bias
    assert bias[0] > 0.2 and bias[1] < -0.2


def test_labels_without_gold_have_no_bias():
    posterior, counts, truth = overconfident(5, T=300, K=6)
    gold = np.where(truth % 2 == 0, truth, -1).astype(np.int32)
    bias = calibrate(posterior, counts, gold).bias
    assert (bias[1::2] == 0).all() and (bias[::2] != 0).all()


@given(st.integers(0, 10_000), st.integers(1, 30), st.booleans())
def test_rows_are_probabilities_and_no_label_changes(seed, K, extreme):
    random = np.random.default_rng(seed)
    posterior = random.dirichlet(np.full(K, 0.05 if extreme else 1.0), size=40)
    counts = random.integers(0, 4, size=(40, K)).astype(np.float64)
    gold = random.integers(-1, K, size=40).astype(np.int32)
    before = posterior.copy(), counts.copy(), gold.copy()
    q = calibrate(posterior, counts, gold).apply(posterior, counts)
    assert np.isfinite(q).all() and (q >= 0).all()
    np.testing.assert_allclose(q.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(q.argmax(axis=1), posterior.argmax(axis=1))
    for now, then in zip((posterior, counts, gold), before, strict=True):
        np.testing.assert_array_equal(now, then)


WEIGHTS = st.lists(st.floats(0, 2), min_size=3, max_size=3)


@given(WEIGHTS, st.integers(0, 10_000), st.integers(2, 20), st.integers(1, 60))
def test_of_equal_votes_the_higher_posterior_is_never_the_less_sure(weights, seed, K, n):
    random = np.random.default_rng(seed)
    others, p = random.dirichlet(np.full(K - 1, 0.3)), 1.0 - np.geomspace(0.5, 1e-15, 60)
    # With more than two labels, neither bias nor votes may be for another label: the winner's would have to be kept.
    bias = random.normal(0.0, 0.5, K) if K == 2 else np.zeros(K)
    votes = random.multinomial(n, np.full(K, 1 / K)) if K == 2 else np.full(K, n)
    posterior = np.column_stack([p, (1.0 - p)[:, None] * others])
    q = Calibration(np.array(weights), bias, 50).apply(posterior, np.tile(votes, (60, 1)).astype(np.float64))[:, 0]
    assert (np.diff(q) >= -1e-9).all()


@given(WEIGHTS, st.floats(0.55, 0.999), st.integers(2, 1000))
def test_votes_that_agree_make_surer_the_more_they_are(weights, accuracy, K):
    n, wrong = np.arange(1, 101), (1.0 - accuracy) / (K - 1)
    odds = np.exp(n * (np.log(wrong) - np.log(accuracy)))[:, None]
    posterior = np.column_stack([np.ones(100), np.tile(odds, (1, K - 1))])
    posterior /= posterior.sum(axis=1, keepdims=True)
    votes = np.zeros((100, K))
    votes[:, 0] = n
    q = Calibration(np.array(weights), np.zeros(K), 50).apply(posterior, votes)[:, 0]
    assert (np.diff(q) >= -1e-9).all()


def test_no_weight_is_negative_whatever_the_gold_says():
    posterior, counts, truth = overconfident(10, T=400)
    contrary = (truth + 1 + np.arange(400) % 2).astype(np.int32) % 3
    calibration = calibrate(posterior, counts, contrary)
    assert (calibration.weights >= 0).all() and (calibration.weights == 0).any()
    terms, precision = design(posterior, counts), np.linalg.inv(SHIPPED_PRIOR.covariance)

    def minus_log_posterior(theta):
        z = terms @ theta[:3] + theta[3:]
        loss = (np.log(np.exp(z).sum(axis=1)) - z[np.arange(400), contrary]).sum()
        away = theta[:3] - SHIPPED_PRIOR.mean
        return loss + 0.5 * away @ precision @ away + 0.5 * (theta[3:] ** 2).sum() / SHIPPED_PRIOR.bias_variance

    bounds = [(0, None)] * 3 + [(None, None)] * 3
    slow = minimize(minus_log_posterior, np.r_[SHIPPED_PRIOR.mean, np.zeros(3)], method="L-BFGS-B", bounds=bounds)
    ours = np.r_[calibration.weights, calibration.bias]
    assert minus_log_posterior(ours) <= slow.fun + 1e-8
    np.testing.assert_allclose(ours, slow.x, atol=2e-3)


def test_a_label_is_kept_at_the_least_change():
    # The bias and the votes are all for label 0, the posterior for the last: label 0 has to give way, no more.
    calibration = Calibration(np.array([0.0, 0.0, 1.0]), np.array([0.4, 0.2, 0.1, 0.0]), 50)
    posterior, counts = np.array([0.2, 0.2, 0.2, 0.4]), np.array([5.0, 2.0, 0.0, 1.0])
    wanted = np.array([5.5, 2.5, 0.5, 1.5]) * np.exp(calibration.bias)
    wanted /= wanted.sum()
    nearest = minimize(
        lambda q: ((q - wanted) ** 2).sum(),
        np.full(4, 0.25),
        constraints=[
            {"type": "eq", "fun": lambda q: q.sum() - 1},
            {"type": "ineq", "fun": lambda q: q[3] - q[:3]},
        ],
        method="SLSQP",
    )
    got = calibration.apply(posterior, counts)
    np.testing.assert_allclose(got, nearest.x, atol=1e-4)
    assert got.argmax() == 3


def test_of_labels_that_tie_the_votes_decide():
    calibration = Calibration(np.array([0.0, 0.0, 1.0]), np.zeros(3), 50)
    q = calibration.apply(np.array([[0.45, 0.45, 0.1]]), np.array([[1.0, 2.0, 9.0]]))
    assert q.argmax() == 1


def test_one_row_is_calibrated_as_in_a_table():
    posterior, counts, truth = overconfident(6, T=50)
    calibration = calibrate(posterior, counts, truth)
    table = calibration.apply(posterior, counts)
    for row, p, v in zip(table, posterior, counts, strict=True):
        np.testing.assert_allclose(calibration.apply(p, v), row, rtol=1e-12)


def test_names_of_labels_and_the_order_of_tasks_do_not_matter():
    posterior, counts, truth = overconfident(7, T=100)
    q = calibrate(posterior, counts, known(truth, 60)).apply(posterior, counts)
    names, order = np.array([2, 0, 1]), np.random.default_rng(0).permutation(100)
    renamed = posterior[:, names][order], counts[:, names][order]
    gold = known(truth, 60)
    gold = np.where(gold >= 0, np.argsort(names)[gold], -1).astype(np.int32)[order]
    np.testing.assert_allclose(calibrate(*renamed, gold).apply(*renamed), q[:, names][order], atol=1e-6)


def test_equal_input_gives_equal_bytes_and_json_keeps_them():
    posterior, counts, truth = overconfident(8, T=100)
    first, second = (calibrate(posterior, counts, known(truth, 60)) for _ in range(2))
    stored = Calibration.from_json(json.loads(json.dumps(first.as_json())))
    for other in (second, stored):
        assert other.apply(posterior, counts).tobytes() == first.apply(posterior, counts).tobytes()
        assert (other.n_gold, other.state) == (60, "gold")
    with pytest.raises(ValueError, match=r"weights has shape \(2,\); expected \(3,\)"):
        Calibration.from_json({"weights": [1, 2], "bias": [0], "n_gold": 0})


@pytest.mark.parametrize("K", [1, 1000])
def test_any_number_of_labels_will_do(K):
    random = np.random.default_rng(0)
    truth = random.integers(K, size=300).astype(np.int32)
    voted = np.where(random.random((300, 3)) < 0.7, truth[:, None], random.integers(K, size=(300, 3)))
    counts = np.zeros((300, K))
    np.add.at(counts, (np.arange(300)[:, None], voted), 1.0)
    posterior = counts / 3
    q = calibrate(posterior, counts, known(truth, 40)).apply(posterior, counts)
    assert np.isfinite(q).all()
    assert (q.argmax(axis=1) == truth).mean() > 0.7
    assert K == 1 or log_loss(q, truth) < log_loss(posterior, truth)


def test_ten_thousand_votes_and_certain_rows_are_no_trouble():
    posterior, counts = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[10_000.0, 0.0], [4_000.0, 6_000.0]])
    q = calibrate(posterior, counts, np.full(2, -1, np.int32)).apply(posterior, counts)
    assert q[0, 0] > 0.95 and 0.5 < q[1, 1] < q[0, 0] < 1.0


def test_gold_of_one_label_only_is_no_trouble():
    posterior, counts, _ = overconfident(9, T=100)
    q = calibrate(posterior, counts, np.zeros(100, np.int32)).apply(posterior, counts)
    assert np.isfinite(q).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, v, g: (p[:, :2], v, g), r"posterior has shape \(9, 2\), vote_counts \(9, 3\) and gold \(9,\)"),
        (lambda p, v, g: (p, v, g[:5]), r"gold \(5,\)"),
        (lambda p, v, g: (np.where(np.arange(9)[:, None] == 4, np.nan, p), v, g), "posterior in row 4"),
        (lambda p, v, g: (p + (np.arange(9)[:, None] == 3), v, g), "posterior in row 3"),
        (lambda p, v, g: (p, v - 6 * (np.arange(9)[:, None] == 2), g), "vote_counts in row 2"),
        (lambda p, v, g: (p, v, np.where(np.arange(9) == 7, 3, g)), "gold in row 7"),
    ],
)
def test_bad_input_is_named(change, message):
    posterior, counts, truth = overconfident(0, T=9)
    with pytest.raises(ValueError, match=message):
        calibrate(*change(posterior, counts, truth))


def test_other_labels_than_it_was_learnt_for_are_refused():
    posterior, counts, truth = overconfident(0, T=9)
    with pytest.raises(ValueError, match="with 3 labels"):
        calibrate(posterior, counts, truth).apply(np.full(2, 0.5), np.ones(2))


@pytest.mark.parametrize(("n", "parts"), [(2, 2), (5, 5), (23, 5), (100, 5)])
def test_folds_cover_everything_once(n, parts):
    found = split(n, 5, seed=0)
    assert len(found) == parts
    assert sorted(np.concatenate(found).tolist()) == list(range(n))
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert [part.tolist() for part in found] == [part.tolist() for part in split(n, 5, seed=0)]


def spied(gold, folds=5):
    """What cross_fit asks of a fit that answers a task's row with what it knows of it, and the posterior."""
    asked, answers = [], []

    def fit(given):
        asked.append(given.copy())
        answers.append(np.stack([given, np.full(len(given), len(asked))], axis=1).astype(np.float64))
        return answers[-1]

    before = gold.copy()
    posterior = cross_fit(fit, gold, folds=folds)
    np.testing.assert_array_equal(gold, before)
    np.testing.assert_array_equal(answers[0][:, 0], gold)
    return asked, posterior


def test_no_task_knows_its_own_gold_and_the_others_know_it_all():
    gold = np.where(np.arange(60) % 3 == 0, np.arange(60) % 2, -1).astype(np.int32)
    asked, posterior = spied(gold)
    np.testing.assert_array_equal(posterior[:, 0], np.full(60, -1))
    np.testing.assert_array_equal(asked[0], gold)
    assert (posterior[gold < 0, 1] == 1).all()
    folds = [np.flatnonzero((gold >= 0) & (given < 0)) for given in asked[1:]]
    assert [len(fold) for fold in folds] == [4] * 5
    assert sorted(np.concatenate(folds)) == np.flatnonzero(gold >= 0).tolist()


def test_where_gold_is_rare_one_fit_without_any_serves():
    gold = np.full(1000, -1, np.int32)
    gold[:9] = 1
    asked, posterior = spied(gold)
    assert len(asked) == 2 and (asked[1] == -1).all()
    assert (posterior[:9, 0] == -1).all() and (posterior[9:, 1] == 1).all()
    gold[9] = 1
    assert len(spied(gold)[0]) == 6
    assert len(spied(np.full(1000, -1, np.int32))[0]) == 1


def test_cross_validation_scores_no_gold_by_what_was_fitted_to_it(monkeypatch):
    posterior, counts, truth = overconfident(1, T=40)
    gold, learnt_from = known(truth, 30), []

    class Spy:
        def __init__(self, given):
            learnt_from.append(np.flatnonzero(given >= 0))

        def apply(self, rows, _):
            tasks = [np.flatnonzero((posterior == row).all(axis=1))[0] for row in rows]
            assert not np.isin(tasks, learnt_from[-1]).any()
            return rows

    monkeypatch.setattr(calibration_report, "calibrate", lambda p, v, given, prior: Spy(given))
    report = cross_validate(posterior, counts, gold, folds=5, repeats=2)
    assert [len(tasks) for tasks in learnt_from] == [24] * 10
    assert report.n_gold == 30


def test_the_report_is_what_its_words_say():
    posterior, counts, truth = overconfident(2, T=400)
    report = cross_validate(posterior, counts, known(truth, 300))
    q = calibrate(posterior, counts, known(truth, 300)).apply(posterior, counts)[300:]
    rest = truth[300:]
    squares = ((q - np.eye(3)[rest]) ** 2).sum(axis=1).mean()
    assert report.log_loss == pytest.approx(log_loss(q, rest), abs=0.1)
    assert report.brier == pytest.approx(squares, abs=0.1)
    assert report.accuracy == pytest.approx(rightness(posterior[:300], truth[:300]).mean())
    assert report.auc == pytest.approx(auc(q.max(axis=1), rightness(q, rest)), abs=0.1)
    assert sum(each.n for each in report.curve) == pytest.approx(300)
    assert sum(each.n * each.right for each in report.curve) == pytest.approx(300 * report.accuracy)
    assert list(report.curve) == sorted(report.curve)
    assert report == cross_validate(posterior, counts, known(truth, 300))
    assert report != cross_validate(posterior, counts, known(truth, 300), seed=1)
    assert report.ece != cross_validate(posterior, counts, known(truth, 300), repeats=1).ece
    assert report.ece != cross_validate(posterior, counts, known(truth, 300), prior=WIDE).ece


def test_the_figures_are_those_worked_out_by_hand():
    posterior = np.array([[0.9, 0.1], [0.9, 0.1], [0.35, 0.65], [0.0, 1.0]])
    found = score([posterior], np.array([0, 1, 1, 1]))
    assert (found.n_gold, found.accuracy) == (4, 0.75)
    # Bins: two tasks stated 0.9, one right; one stated 0.65, right; one stated 1.0, right, in the last bin as well.
    assert [each.n for each in found.curve] == [1, 3]
    assert found.curve[1] == pytest.approx((2.8 / 3, 2 / 3, 3))
    assert found.ece == pytest.approx((abs(2.8 - 2) + abs(0.65 - 1)) / 4)
    assert found.brier == pytest.approx((2 * 0.1**2 + 2 * 0.9**2 + 2 * 0.35**2 + 0) / 4)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.1, 0.65, 1.0]).mean())


def test_ties_count_at_their_expectation():
    posterior = np.array([[0.4, 0.4, 0.2], [0.5, 0.5 + 1e-15, 0.0], [0.2, 0.2, 0.6]])
    assert rightness(posterior, np.array([1, 0, 0])).tolist() == [0.5, 0.5, 0.0]


@pytest.mark.parametrize(("excess", "n"), [(0.0, 100), (0.05, 500), (0.15, 100)])
def test_the_true_calibration_error_is_mostly_in_the_interval(excess, n, monkeypatch):
    monkeypatch.setattr(calibration_report, "RESAMPLES", 300)
    random, hits, bounds = np.random.default_rng(0), 0, []
    for seed in range(60):
        sure = random.uniform(0.5, 1.0, n)
        right = (random.random(n) < sure - excess).astype(np.float64)
        low, high = calibration_report.ece_interval(sure[None], right[None], seed)
        assert 0 <= low <= high <= 1
        bounds.append((low, high))
        hits += low <= excess + 1e-9 <= high + 2e-9
    reach = np.mean(bounds, axis=0)
    assert excess - 2.5 / np.sqrt(n) <= reach[0] <= excess + 0.005 and reach[1] <= excess + 2.5 / np.sqrt(n)
    assert hits >= 53  # 57 are expected; fewer than 53 are in fewer than one run of fifty


def test_the_interval_is_that_of_tasks_drawn_again(monkeypatch):
    monkeypatch.setattr(calibration_report, "RESAMPLES", 20_000)
    random = np.random.default_rng(3)
    truly, n = random.uniform(0.5, 1.0, 300), 300
    sure = np.clip(truly + 0.1 + random.normal(0.0, 0.1, (3, n)), 0.0, 1.0)
    right = np.tile(random.random(n) < truly, (3, 1)).astype(np.float64)

    def error(tasks):
        return np.mean([ece(sure[repeat, tasks], right[repeat, tasks]) for repeat in range(3)])

    again = np.array([error(random.integers(n, size=n)) for _ in range(4000)])
    found, highest = error(np.arange(n)), np.quantile(again, 0.975)
    expected = 2 * found - highest, highest - (again.mean() - found)
    assert calibration_report.ece_interval(sure, right) == pytest.approx(expected, abs=0.004)


def test_the_lower_bound_is_0_where_true_confidence_would_err_as_much():
    random, by_chance = np.random.default_rng(4), []
    sure = np.tile(random.uniform(0.5, 1.0, 200), (3, 1))
    for _ in range(200):
        right = np.tile(random.random(200) < sure[0], (3, 1)).astype(np.float64)
        by_chance.append(calibration_report.ece_interval(sure, right)[0] > 0)
    assert 0 < np.sum(by_chance) <= 10  # 5 are expected


def test_one_answer_cannot_be_cross_validated():
    posterior, counts, truth = overconfident(0, T=9)
    with pytest.raises(ValueError, match="1 tasks have gold and votes; cross-validation needs two"):
        cross_validate(posterior, counts, known(truth, 1))


def simulated_crowd(family, random, mean):
    """A crowd whose weights are drawn about a mean: everything that calibration assumes is true of it."""
    votes, _, _ = dawid_skene_votes(int(random.integers(1 << 30)), 400, 20, 3, 5)
    counts = votes.per_task()
    terms = design(dawid_skene.fit(votes).posterior, counts)
    weights = np.maximum(mean + 0.1 * random.standard_normal(3), 0.0)
    z = terms @ weights
    p = np.exp(z - z.max(axis=1, keepdims=True))
    below = (p / p.sum(axis=1, keepdims=True)).cumsum(axis=1)
    truth = (random.random((400, 1)) > below).sum(axis=1).clip(max=2).astype(np.int32)
    return calibration_prior.Crowd(family, terms, truth)


def test_what_crowds_have_in_common_is_learnt_from_them():
    random = np.random.default_rng(0)
    mean = np.array([0.3, 0.5, 0.4])
    crowds = [simulated_crowd(str(i), random, mean) for i in range(12)]
    prior = calibration_prior.learn(crowds)
    terms = np.concatenate([crowd.terms for crowd in crowds]).reshape(-1, 3, 3)
    spread = terms - terms.mean(axis=1, keepdims=True)
    # Single weights may stand in for each other; what they say together may not.
    wrong = np.sqrt(((spread @ (prior.mean - mean)) ** 2).mean())
    assert wrong < 0.15 * np.sqrt(((spread @ mean) ** 2).mean())
    np.testing.assert_allclose(prior.covariance, prior.covariance.T)


def test_each_family_of_crowds_weighs_the_same():
    random = np.random.default_rng(1)
    low, high = np.array([0.2, 0.3, 0.2]), np.array([0.2, 0.3, 1.0])
    crowds = [simulated_crowd(str(i), random, low) for i in range(5)] + [simulated_crowd("big", random, high)]
    once = calibration_prior.learn(crowds).mean
    again = calibration_prior.learn(crowds + [crowds[-1]] * 4).mean
    np.testing.assert_allclose(again, once, atol=0.02)
    with pytest.raises(ValueError, match="fewer than 5 families"):
        calibration_prior.learn(crowds[:4])


def test_the_shipped_constants_are_as_the_benchmark_writes_them():
    random = np.random.default_rng(2)
    crowds = [simulated_crowd(str(i), random, np.full(3, 0.2)) for i in range(5)]
    written: dict = {}
    exec(calibration_prior.as_module(SHIPPED_PRIOR, crowds), written)
    np.testing.assert_allclose(written["MEAN"], SHIPPED_PRIOR.mean, atol=1e-6)
    np.testing.assert_allclose(written["COVARIANCE"], SHIPPED_PRIOR.covariance, atol=1e-6)
    assert written["BIAS_VARIANCE"] == pytest.approx(SHIPPED_PRIOR.bias_variance)


def test_a_crowd_is_measured_with_what_other_families_tell(monkeypatch):
    random = np.random.default_rng(3)
    names = {family: name for name, family in calibration_prior.FAMILIES.items()}
    crowds = [simulated_crowd(family, random, np.full(3, 0.2)) for family in names]
    monkeypatch.setattr(calibration_prior, "read", lambda place: crowds)
    learnt_from = []
    monkeypatch.setattr(calibration_prior, "learn", lambda given: learnt_from.append({c.family for c in given}))
    priors = calibration_prior.leave_one_family_out(None)
    assert set(priors) == set(calibration_prior.FAMILIES)
    assert sorted(map(len, learnt_from)) == [len(names) - 1] * len(names)
    del crowds[5:]
    assert calibration_prior.leave_one_family_out(None) == {}
