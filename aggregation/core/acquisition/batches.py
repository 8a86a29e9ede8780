"""Batches whose tasks don't repeat each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats

Rows = NDArray[np.int64]


def diverse(score: Floats, X: NDArray[np.floating], n: int, known: NDArray[np.floating] | None = None) -> Rows:
    """n rows, the first ones best, of high score and far from each other: int64[min(n, N)], each once.

    score: f8[N] >= 0. X: f[N, D], dense features, such as `learners.sketch`. known: f[M, D], those of tasks asked about
    before, if any. Begin with the highest score, if nothing is known; then always take the row whose score times its
    distance from the nearest one known or taken is largest, so that a copy of one comes last. Ties go to the higher
    score, then to the first row. Time grows with n * N * D: give it some ten candidates for each place. Greedy k-centre
    (Gonzalez, T. F.: Clustering to minimize the maximum intercluster distance, Theoretical Computer Science 38, 1985,
    doi:10.1016/0304-3975(85)90224-5), weighted as in Zhdanov, F.: Diverse mini-batch Active Learning, 2019,
    arXiv:1901.05954. Raises ValueError for a score below 0.
    """
    if not (score >= 0).all():
        raise ValueError(f"score in row {int((~(score >= 0)).argmax())} is not a number from 0 up")
    order = np.argsort(-score, kind="stable")
    score, points = score[order], X[order].astype(np.float64)
    squares = np.einsum("nd,nd->n", points, points)
    chosen = np.empty(min(n, len(score)), np.int64)
    distance, left = np.full(len(score), np.inf), np.ones(len(score), np.bool_)
    for one in () if known is None else known:
        distance = np.minimum(distance, _distance(points, squares, one.astype(np.float64)))
    for place in range(len(chosen)):
        worth = score if np.isinf(distance).any() else score * np.sqrt(distance)
        row = int(np.where(left, worth, -1.0).argmax())
        chosen[place], left[row] = row, False
        distance = np.minimum(distance, _distance(points, squares, points[row]))
    return np.asarray(order[chosen])


def _distance(points: Floats, squares: Floats, one: Floats) -> Floats:
    """Squared distances f8[N] of all points f8[N, D] from one, f8[D]; what differs by rounding only is a copy."""
    sums = squares + one @ one
    apart = sums - 2.0 * (points @ one)
    return np.where(apart > 1e-9 * sums, apart, 0.0)
