"""How good a learner is that was taught fewer rows: the points of a learning curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.learners.logistic import train
from aggregation.learners.target import Floats, Target

#: Shares of the rows that are not held out.
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
#: One row in so many is held out; smaller samples are drawn more often, as far as that is cheap.
HELD_OUT = 5
DRAWS, FEW = 5, 2_000
#: Rows beyond these are left out: the curve is drawn for what it says of its end, not to cost more than the training.
MOST_ROWS = 20_000
FEWEST = 5


@dataclass(frozen=True, eq=False)
class Points:
    """Of learners taught n rows, f8[m]: their mean accuracy on rows held out, its standard error, and log loss, nats.

    The rows held out are the same for all n, and their labels are the most probable ones of the target.
    """

    n: Floats
    accuracy: Floats
    error: Floats
    log_loss: Floats


def learning_points(X: Any, target: Target, *, seed: int = 0) -> Points:
    """Teach nested samples of features [n, D], and measure each on the same rows held out. No points for few rows."""
    random = np.random.default_rng(seed)
    rows = random.permutation(np.flatnonzero(target.weight > 0))[:MOST_ROWS]
    held = len(rows) // HELD_OUT
    sizes = sorted({max(FEWEST, int(share * (len(rows) - held))) for share in SHARES if held})
    right, loss = np.zeros(len(sizes)), np.zeros(len(sizes))
    draws = DRAWS if len(rows) < FEW else 1
    for draw in range(draws):
        order = np.roll(rows, draw * held)
        test, rest = order[:held], order[held:]
        label = target.proba[test].argmax(axis=1)
        for place, size in enumerate(sizes):
            taught = rest[:size]
            proba = train(X[taught], target[taught]).predict_proba(X[test])
            right[place] += (proba.argmax(axis=1) == label).mean() / draws
            loss[place] -= np.log(proba[np.arange(held), label]).mean() / draws
    # As if one more row each had been right and wrong: none or all of a few is not certain.
    tested = held * draws
    share = (right * tested + 1.0) / (tested + 2.0)
    error = np.sqrt(share * (1.0 - share) / (tested + 2.0))
    return Points(np.array(sizes, dtype=np.float64), right, error, loss)
