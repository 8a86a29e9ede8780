"""What to ask about before there is any vote: tasks that stand for many others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats

Rows = NDArray[np.int64]

#: Clusters are sought among so many rows, drawn at random.
MOST_ROWS = 20_000
ROUNDS = 5


def representatives(X: NDArray[np.floating], n: int, seed: int = 0) -> Rows:
    """The rows nearest to the centres of n clusters, those of the largest first: int64[min(n, N)], each once.

    X: f[N, D], dense features, such as `learners.sketch`. Deterministic by seed. Typical tasks teach most while labels
    are few, doubtful ones later: Hacohen, G. et al.: Active Learning on a Budget, ICML 2022, arXiv:2202.02794. Clusters
    by k-means from seeds drawn far apart (Arthur, D. and Vassilvitskii, S.: k-means++: The Advantages of Careful
    Seeding, SODA 2007). Where there are fewer different rows than n, the rest is drawn at random.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(X))
    sample = np.sort(shuffled[:MOST_ROWS])
    points = np.asarray(X[sample], dtype=np.float64)
    centres = _seeds(points, min(n, len(points)), random)
    for _ in range(ROUNDS):
        nearest, _ = _nearest(points, centres)
        size = np.bincount(nearest, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        centres = np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centres)
    nearest, distance = _nearest(points, centres)
    size = np.bincount(nearest, minlength=len(centres))
    order = np.lexsort((distance, nearest))
    first = order[np.flatnonzero(np.diff(nearest[order], prepend=-1))]
    chosen = sample[first[np.argsort(-size[nearest[first]], kind="stable")]]
    rest = shuffled[~np.isin(shuffled, chosen)]
    return np.concatenate([chosen, rest])[: min(n, len(X))].astype(np.int64)


def _seeds(points: Floats, n: int, random: np.random.Generator) -> Floats:
    """Up to n points, each drawn by its squared distance from those before: fewer if all others are copies."""
    chosen: list[int] = []
    distance = np.ones(len(points))
    while len(chosen) < n and (total := distance.sum()) > 0:
        chosen.append(int(random.choice(len(points), p=distance / total)))
        apart = ((points - points[chosen[-1]]) ** 2).sum(axis=1)
        distance = apart if len(chosen) == 1 else np.minimum(distance, apart)
    return points[chosen]


def _nearest(points: Floats, centres: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The nearest centre of each point, and its squared distance."""
    if not len(points):
        return np.empty(0, np.intp), np.empty(0)
    squares = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2.0 * points @ centres.T
    nearest = squares.argmin(axis=1)
    return nearest, squares[np.arange(len(points)), nearest]
