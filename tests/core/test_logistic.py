"""Logistic regression on soft labels with weights, and its out-of-fold predictions."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from aggregation.learners import Target, cross_fit, lbfgs, logistic, out_of_fold, train
from aggregation.learners.lbfgs import minimise

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4))
SOFT = RANDOM.dirichlet(np.ones(3), 60)
WEIGHT = RANDOM.uniform(0.1, 3.0, 60)


@pytest.fixture(autouse=True)
def exactly(monkeypatch):
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-12)


def scores(classifier, rows=X):
    return rows @ classifier.coefficients.T + classifier.intercepts


def test_soft_labels_are_repeated_rows_with_weights():
    """Against scikit-learn, which knows only hard labels."""
    from sklearn.linear_model import LogisticRegression

    found = train(X, Target.soft(SOFT, WEIGHT), c=2.0)
    repeated, label = np.repeat(X, 3, axis=0), np.tile(np.arange(3), 60)
    expected = LogisticRegression(C=2.0, tol=1e-10, max_iter=10_000).fit(
        repeated, label, sample_weight=(SOFT * WEIGHT[:, None]).ravel()
    )
    np.testing.assert_allclose(found.coefficients, expected.coef_, atol=1e-3)
    np.testing.assert_allclose(np.diff(scores(found)), np.diff(X @ expected.coef_.T + expected.intercept_), atol=3e-3)


def test_a_weight_of_two_is_the_row_twice_and_of_zero_its_absence():
    twice = np.array([0, 0, *range(1, 60)])
    weight = np.ones(60)
    weight[0] = 2.0
    weighted, repeated = train(X, Target.soft(SOFT, weight)), train(X[twice], Target.soft(SOFT[twice]))
    np.testing.assert_allclose(scores(weighted), scores(repeated), atol=1e-3)
    weight[0] = 0.0
    np.testing.assert_allclose(scores(train(X, Target.soft(SOFT, weight))), scores(train(X[1:], Target.soft(SOFT[1:]))))


def test_sparse_rows_are_taken_as_dense_ones_are():
    dense, sparse = (train(rows, Target.soft(SOFT)) for rows in (X, csr_matrix(X)))
    np.testing.assert_allclose(scores(dense), scores(sparse), atol=1e-4)


def test_nothing_to_train_on_predicts_evenly():
    learned = train(np.empty((0, 2)), Target.soft(np.empty((0, 4))))
    np.testing.assert_allclose(learned.predict_proba(np.ones((1, 2))), 0.25)
    without_weight = train(np.ones((3, 2)), Target.hard([0, 1, 2], 4, [0, 0, 0]))
    np.testing.assert_allclose(without_weight.predict_proba(np.ones((1, 2))), 0.25)


def test_out_of_fold_predictions_never_saw_their_row():
    X, posterior = RANDOM.normal(size=(60, 80)), np.eye(2)[RANDOM.integers(2, size=60)]
    target = Target.winning(posterior)
    held_out = out_of_fold(X, target, c=100.0)
    own = train(X, target, c=100.0).predict_proba(X)
    assert (own.argmax(axis=1) == posterior.argmax(axis=1)).all()  # it can learn this noise by heart
    assert (held_out.argmax(axis=1) == posterior.argmax(axis=1)).mean() < 0.75
    assert out_of_fold(X, target, seed=3).tobytes() == out_of_fold(X, target, seed=3).tobytes()


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_fewer_rows_than_folds(rows):
    crossed = cross_fit(np.ones((rows, 2)), Target.soft(np.full((rows, 3), 1 / 3)))
    assert crossed.proba.shape == (rows, 3) and len(crossed.members) == (rows if rows > 1 else 0)


def test_many_rows_take_fewer_folds(monkeypatch):
    monkeypatch.setattr(logistic, "MANY", 50)
    assert len(cross_fit(X, Target.soft(SOFT)).members) == 3
    assert len(cross_fit(X, Target.soft(SOFT), folds=4).members) == 4


@settings(max_examples=50, deadline=None)
@given(
    posterior=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(sum), min_size=1, max_size=6),
)
def test_the_winning_label_counts_as_it_is_probable_and_a_tie_as_one_of_its_labels(posterior):
    rows = np.array(posterior, dtype=float)
    rows /= rows.sum(axis=1, keepdims=True)
    target = Target.winning(rows)
    wins = rows == rows.max(axis=1, keepdims=True)
    np.testing.assert_allclose(target.weight, rows.max(axis=1))
    np.testing.assert_allclose(target.proba, wins / wins.sum(axis=1, keepdims=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Target.soft([[0.5, 0.5], [0.7, 0.7]]), "target in row 1"),
        (lambda: Target.soft([[0.5, 0.5], [np.nan, 0.5]]), "target in row 1"),
        (lambda: Target.soft([[1.5, -0.5]]), "target in row 0"),
        (lambda: Target.soft([[1.0], [1.0]], [1.0, np.inf]), "weight in row 1"),
        (lambda: Target.soft([[1.0], [1.0]], [1.0, -1.0]), "weight in row 1"),
        (lambda: Target.soft([[1.0]], [1.0, 1.0]), r"weight has shape \(2,\); expected \(1,\)"),
        (lambda: Target.soft([1.0, 0.0]), r"target has shape \(2,\)"),
        (lambda: Target.hard([0, 2], 2), "label in row 1 is not in 0..1"),
        (lambda: Target.hard([-1, 0], 2), "label in row 0 is not in 0..1"),
        (lambda: train(np.ones((2, 3)), Target.hard([0], 2)), r"features have shape \(2, 3\); expected \(1, columns\)"),
        (lambda: train(np.full((1, 3), np.nan), Target.hard([0], 2)), "must be finite"),
        (lambda: out_of_fold(csr_matrix([[np.inf]]), Target.hard([0], 2)), "must be finite"),
        (lambda: train(X, Target.soft(SOFT)).predict_proba(X[:, :2]), "rows have 2 features; expected 4"),
    ],
)
def test_bad_rows_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_of_very_many_coefficients_fewer_steps_are_remembered_and_one_fold_is_fitted_at_a_time(monkeypatch):
    assert (lbfgs.remembered(60_000), lbfgs.remembered(4_000_000), lbfgs.remembered(12_000_000)) == (8, 4, 2)
    as_ever = cross_fit(X, Target.soft(SOFT)).proba
    monkeypatch.setattr(lbfgs, "MOST_BYTES", 0)
    monkeypatch.setattr(logistic, "LARGE", 0)
    at_once = []
    monkeypatch.setattr(logistic, "ThreadPoolExecutor", lambda n: at_once.append(n) or ThreadPoolExecutor(n))
    np.testing.assert_allclose(cross_fit(X, Target.soft(SOFT)).proba, as_ever, atol=0.02)
    assert at_once == [1] and lbfgs.remembered(1) == 2


def test_the_minimum_of_a_crooked_bowl_is_found():
    turn, _ = np.linalg.qr(RANDOM.normal(size=(30, 30)))
    A, b = turn @ np.diag(np.geomspace(0.1, 10, 30)) @ turn.T, RANDOM.normal(size=30)
    seen = []

    def loss(x):
        seen.append(float(x @ A @ x / 2 - b @ x))
        return seen[-1] + 100.0, A @ x - b

    found = minimise(loss, np.zeros(30), tolerance=1e-16, max_iter=500)
    np.testing.assert_allclose(found, np.linalg.solve(A, b), atol=1e-4)
    seen.clear()
    assert minimise(loss, found, tolerance=0.0, max_iter=0) is found and len(seen) == 1
