"""Logistic regression on consensus: posteriors in, smoothed predictions for all labels out.

It is trained on winning labels weighted by their confidence. Training on the whole posterior made predictions doubt
themselves more and rank no better: on simulated crowds of 1.8 votes per digit, held-out log loss 0.81 against 0.68.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Inverse strength of the ridge penalty, for rows of length about 1. Consensus labels are noisy, so it is strong: on
#: simulated crowds of 1.8 votes per digit, 2 was up to 2 points better on held-out digits than 0.2 or 6.
C = 2.0
MAX_ITER = 200


@dataclass(frozen=True, eq=False)
class Classifier:
    """Coefficients f8[L, D] and intercepts f8[L] of the L labels seen in training (int32[L]), out of n_labels."""

    seen: NDArray[np.int32]
    coefficients: Floats
    intercepts: Floats
    n_labels: int
    n_trained: float

    def predict_proba(self, X: Any) -> Floats:
        """Predictions f8[N, K] for features [N, D]; rows sum to 1, none is 0.

        Smoothed as if every label had been seen once more than it was, so that a label without examples keeps a
        small probability, the smaller the more was seen.
        """
        scores = np.asarray(X @ self.coefficients.T) + self.intercepts
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        proba = np.zeros((X.shape[0], self.n_labels))
        proba[:, self.seen] = odds / odds.sum(axis=1, keepdims=True)
        return np.asarray((self.n_trained * proba + 1.0) / (self.n_trained + self.n_labels))

    def arrays(self) -> dict[str, NDArray[Any]]:
        sizes = np.array([self.n_labels, self.n_trained], dtype=np.float64)
        return {"seen": self.seen, "coefficients": self.coefficients, "intercepts": self.intercepts, "sizes": sizes}

    @classmethod
    def restore(cls, arrays: dict[str, NDArray[Any]]) -> Classifier:
        n_labels, n_trained = arrays["sizes"]
        return cls(arrays["seen"], arrays["coefficients"], arrays["intercepts"], int(n_labels), float(n_trained))


def train(X: Any, posterior: Floats, *, seed: int = 0, c: float = C) -> Classifier:
    """Train on features [n, D] and posteriors f8[n, K] from votes only; n may be 0. Deterministic by seed.

    A row counts for its winning label as much as that is probable: an undecided task teaches little.
    """
    row, label, weight = _decided(posterior)
    seen = np.unique(label).astype(np.int32)
    if len(seen) < 2:  # nothing to tell apart yet: the smoothing alone says how sure that label is
        seen = seen if len(seen) else np.arange(posterior.shape[1], dtype=np.int32)
        nothing = np.zeros((len(seen), X.shape[1])), np.zeros(len(seen))
        return Classifier(seen, *nothing, n_labels=posterior.shape[1], n_trained=float(X.shape[0]))
    coefficients, intercepts = _logistic_regression(X[row], label, weight, seed, c)
    return Classifier(seen, coefficients, intercepts, posterior.shape[1], float(X.shape[0]))


def out_of_fold(X: Any, posterior: Floats, *, folds: int = 5, seed: int = 0, c: float = C) -> Floats:
    """Predictions f8[n, K] for features [n, D], each by a classifier that has not seen its row.

    posterior: f8[n, K] from votes only. Rows are dealt to the folds at random by seed; with fewer rows than folds
    there are as many folds as rows, and a single row gets an even prediction.
    """
    n, K = posterior.shape
    fold = np.random.default_rng(seed).permutation(n) % max(min(folds, n), 1)
    proba = np.full((n, K), 1.0 / K)
    for held_out in range(folds if n > 1 else 0):
        test = np.flatnonzero(fold == held_out)
        rest = np.flatnonzero(fold != held_out)
        if len(test):
            proba[test] = train(X[rest], posterior[rest], seed=seed, c=c).predict_proba(X[test])
    return proba


def _decided(posterior: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Posterior rows as weighted examples: row, winning label (each of them in a tie) and its probability as weight."""
    row, label = np.nonzero(posterior == posterior.max(axis=1, keepdims=True))
    return row, label, posterior[row, label]


def _logistic_regression(X: Any, label: NDArray[np.intp], weight: Floats, seed: int, c: float) -> tuple[Floats, Floats]:
    """Multinomial coefficients f8[L, D] and intercepts f8[L], one row per label that occurs, by rising label."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, max_iter=MAX_ITER, random_state=seed)
    # A few steps short of the optimum predicts as well; waiting for it would only cost time. Not catch_warnings(): jobs
    # run in threads, which share one list of filters.
    warnings.simplefilter("ignore", ConvergenceWarning)
    model.fit(X, label, sample_weight=weight)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:  # two labels: scikit-learn keeps the scores of the second only
        coefficients, intercepts = np.vstack([0 * coefficients, coefficients]), np.append(0.0, intercepts)
    return np.asarray(coefficients, dtype=np.float64), np.asarray(intercepts, dtype=np.float64)
