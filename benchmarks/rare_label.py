"""How many tasks of a rare label a search finds while a tenth of all are labelled; called by `tiers.py`.

One task in a hundred has the label. It begins without any answer, by representatives and then by what is least like
all that was asked about, until a first one is found; from then on a learner, taught again after every batch, says which
tasks are most probably such. Answers are true. Digits: 16 images of one digit among 1,600 others, ten digits in turn.
Simulated: 4,000 tasks in 32 dimensions, in 30 clusters, of which the label has three small ones of its own between the
others, so that a learner has to find one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition import diverse, representatives, search
from aggregation.core.bounds import Bools, Ids
from aggregation.learners import Target, sketch, train
from aggregation.learners.images import LEARNER as IMAGES

BATCHES, LABELLED = 16, 0.1


def searched(X: NDArray[np.floating[Any]], truth: Bools) -> float:
    """The share of the tasks with the label found among the tenth labelled. X: f[N, D], features; truth: bool[N]."""
    most, small = round(LABELLED * len(X)), sketch(X)
    batch = max(most // BATCHES, 1)
    asked = representatives(small, batch)
    while len(asked) < most:
        left = np.setdiff1d(np.arange(len(X)), asked)
        asked = np.append(asked, left[next_batch(X, small, truth, asked, left, min(batch, most - len(asked)))])
    return float(truth[asked].sum() / truth.sum())


def next_batch(
    X: NDArray[np.floating[Any]], small: NDArray[np.floating[Any]], truth: Bools, asked: Ids, left: Ids, n: int
) -> Ids:
    """Which n of those left to ask about."""
    if not truth[asked].any():
        return diverse(np.ones(len(left)), small[left], n, known=small[asked])
    probability = train(X[asked], Target.hard(truth[asked].astype(np.int64), 2)).predict_proba(X[left])[:, 1]
    return np.argsort(-search(probability, np.zeros(len(left), np.int64)), kind="stable")[:n]


def digits(seed: int, times: int) -> dict[str, Any]:
    from sklearn.datasets import load_digits

    data, shares = load_digits(), []
    for draw in range(times):
        random, digit = np.random.default_rng([seed, draw]), draw % 10
        rare, others = np.flatnonzero(data.target == digit), np.flatnonzero(data.target != digit)
        rows = random.permutation(np.append(random.choice(rare, 16, replace=False), others[:1600]))
        payloads = [{"pixels": image.tolist()} for image in data.images[rows]]
        X = IMAGES.fit_encoder(payloads, ["pixels"]).features(payloads)
        shares.append(searched(X, data.target[rows] == digit))
    return summary(shares)


def simulated(seed: int, times: int, tasks: int = 4000) -> dict[str, Any]:
    shares = []
    for draw in range(times):
        random = np.random.default_rng([seed, draw])
        centres, rare = random.normal(size=(30, 32)), np.arange(tasks) < tasks // 100
        cluster = np.where(rare, random.integers(3, size=tasks), random.integers(3, 30, size=tasks))
        X = (centres[cluster] + random.normal(0.0, 0.7, (tasks, 32)))[mixed := random.permutation(tasks)]
        shares.append(searched(X, rare[mixed]))
    return summary(shares)


def summary(shares: list[float]) -> dict[str, Any]:
    return {"searches": len(shares), "found": round(float(np.mean(shares)), 3), "worst": round(min(shares), 3)}


SEARCHES: dict[str, Callable[[int, int], dict[str, Any]]] = {"digits": digits, "simulated": simulated}
