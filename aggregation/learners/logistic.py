"""Multinomial logistic regression on soft labels, with a ridge penalty: what all learners predict by.

It minimises  sum_i w_i * sum_k -t_ik log p_ik  +  |coefficients|^2 / (2 C)  over p = softmax(X @ coefficients.T +
intercepts). Soft labels count as so many repeated rows, one for each label and weighted by its probability, but none is
written down.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.learners.lbfgs import minimise
from aggregation.learners.target import Target

Floats = NDArray[np.float64]

#: Inverse strength of the ridge penalty, for rows of length about 1. Consensus labels are noisy, so it is strong: on
#: simulated crowds of 1.8 votes per digit, 2 was up to 2 points better on held-out digits than 0.2 or 6.
C = 2.0
MAX_ITER = 200
#: Stop when a step gains less than this share of the loss. What more steps gain on the rows taught is none on others.
TOLERANCE = 1e-3
#: With so many rows fewer folds will do: two thirds of them teach nearly what four fifths do, in half the time.
FOLDS = 5
MANY, FEW_FOLDS = 20_000, 3
#: With so many coefficients a fit takes about a gigabyte, so that folds are fitted one after the other.
LARGE = 4_000_000


@dataclass(frozen=True, eq=False)
class Classifier:
    """Coefficients f4[L, D] and intercepts f8[L] of the L labels seen in training (int32[L]), out of n_labels."""

    seen: NDArray[np.int32]
    coefficients: NDArray[np.float32]
    intercepts: Floats
    n_labels: int
    n_trained: float

    def predict_proba(self, X: Any) -> Floats:
        """Predictions f8[N, K] for features [N, D]; rows sum to 1, none is 0.

        Smoothed as if every label had been seen once more than it was, so that a label without examples keeps a
        small probability, the smaller the more was seen. Raises ValueError if X has another number of columns.
        """
        if X.shape[1] != self.coefficients.shape[1]:
            raise ValueError(f"rows have {X.shape[1]} features; expected {self.coefficients.shape[1]}")
        proba = np.zeros((X.shape[0], self.n_labels))
        proba[:, self.seen] = _softmax(np.asarray(X @ self.coefficients.T) + self.intercepts)
        return np.asarray((self.n_trained * proba + 1.0) / (self.n_trained + self.n_labels))

    def arrays(self) -> dict[str, NDArray[Any]]:
        sizes = np.array([self.n_labels, self.n_trained], dtype=np.float64)
        return {"seen": self.seen, "coefficients": self.coefficients, "intercepts": self.intercepts, "sizes": sizes}

    @classmethod
    def restore(cls, arrays: dict[str, NDArray[Any]]) -> Classifier:
        n_labels, n_trained = arrays["sizes"]
        return cls(arrays["seen"], arrays["coefficients"], arrays["intercepts"], int(n_labels), float(n_trained))


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Predictions f8[n, K], each by a classifier that has not seen its row, and those classifiers: a committee."""

    proba: Floats
    members: tuple[Classifier, ...]


def train(X: Any, target: Target, *, c: float = C) -> Classifier:
    """Train on features [n, D], dense or sparse, n >= 0. Nothing is drawn at random.

    With fewer than two labels there is nothing to tell apart yet: the smoothing alone says how sure that label is.
    """
    n, K = target.proba.shape
    _check(X, n)
    rows = np.flatnonzero(target.weight > 0)
    seen = np.flatnonzero(target.weight @ target.proba > 0).astype(np.int32)
    if len(seen) < 2:
        seen = seen if len(seen) else np.arange(K, dtype=np.int32)
        nothing = np.zeros((len(seen), X.shape[1]), np.float32), np.zeros(len(seen))
        return Classifier(seen, *nothing, n_labels=K, n_trained=float(len(rows)))
    coefficients, intercepts = _minimise(X[rows], target.proba[rows][:, seen], target.weight[rows], c)
    return Classifier(seen, coefficients, intercepts, K, float(len(rows)))


def cross_fit(X: Any, target: Target, *, folds: int | None = None, seed: int = 0, c: float = C) -> CrossFit:
    """Out-of-fold predictions for features [n, D]. Rows are dealt to the folds at random by seed.

    folds: FOLDS unless given, FEW_FOLDS for MANY rows. With fewer rows than folds there are as many folds as rows, and
    a single row gets an even prediction.
    """
    n, K = target.proba.shape
    _check(X, n)
    folds = folds or (FOLDS if n < MANY else FEW_FOLDS)
    fold = np.random.default_rng(seed).permutation(n) % max(min(folds, n), 1)
    held_out = [np.flatnonzero(fold == k) for k in range(min(folds, n) if n > 1 else 0)]
    rest = [np.flatnonzero(fold != k) for k in range(len(held_out))]
    at_once = 1 if X.shape[1] * K > LARGE else 2
    with ThreadPoolExecutor(at_once) as pool:  # sparse products run without the interpreter's lock
        members = tuple(pool.map(lambda rows: train(X[rows], target[rows], c=c), rest))
    proba = np.full((n, K), 1.0 / K)
    for rows, member in zip(held_out, members, strict=True):
        proba[rows] = member.predict_proba(X[rows])
    return CrossFit(proba, members)


def out_of_fold(X: Any, target: Target, *, folds: int | None = None, seed: int = 0, c: float = C) -> Floats:
    """The predictions of `cross_fit`, f8[n, K]."""
    return cross_fit(X, target, folds=folds, seed=seed, c=c).proba


def _minimise(X: Any, proba: Floats, weight: Floats, c: float) -> tuple[NDArray[np.float32], Floats]:
    """Coefficients f4[L, D] and intercepts f8[L] for features [n, D] and soft labels f8[n, L]."""
    X = X.astype(np.float32)
    transposed = X.T
    D, L = X.shape[1], proba.shape[1]
    scale = _scale(X, weight, L, c)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scaled = parameters.reshape(D + 1, L)
        table = scale * scaled
        p = _softmax(np.asarray(X @ table[:-1].astype(np.float32)) + table[-1])
        value = -(weight @ (proba * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum(axis=1))
        residual = weight[:, None] * (p - proba)
        gradient = np.empty_like(table)
        gradient[:-1] = transposed @ residual.astype(np.float32)
        gradient[:-1] += table[:-1] / c
        gradient[-1] = residual.sum(axis=0)
        return float(value + (table[:-1] ** 2).sum() / (2.0 * c)), (scale * gradient).ravel()

    start = np.zeros((D + 1, L))
    start[-1] = np.log(np.maximum(weight @ proba / weight.sum(), 1e-12)) / scale[-1]
    found = minimise(loss, start.ravel(), tolerance=TOLERANCE, max_iter=MAX_ITER)
    table = scale * found.reshape(D + 1, L)
    return np.ascontiguousarray(table[:-1].T, dtype=np.float32), table[-1]


def _scale(X: Any, weight: Floats, n_labels: int, c: float) -> Floats:
    """What each column's coefficients are measured in, f8[D + 1, 1]: its curvature is then about 1, which takes a
    third of the steps."""
    squares = X.multiply(X) if hasattr(X, "multiply") else X**2
    curvature = np.append(squares.T @ weight, weight.sum()) * (n_labels - 1) / n_labels**2
    curvature[:-1] += 1.0 / c
    return np.asarray(1.0 / np.sqrt(np.maximum(curvature, 1e-12)))[:, None]


def _softmax(scores: Floats) -> Floats:
    odds: Floats = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    odds /= odds.sum(axis=1, keepdims=True)
    return odds


def _check(X: Any, n: int) -> None:
    if X.ndim != 2 or X.shape[0] != n:
        raise ValueError(f"features have shape {X.shape}; expected ({n}, columns), a row for each target")
    values = X.data if hasattr(X, "nnz") else X
    if not np.isfinite(values).all():
        raise ValueError("features must be finite numbers")
