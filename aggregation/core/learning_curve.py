"""How much better a learner gets with more labels, and what the next ones will buy.

The inverse power law  accuracy(n) = a - b n^-c  (Figueroa, R. L. and others: Predicting sample size required for
classification performance, BMC Medical Informatics and Decision Making 12:8, 2012, doi:10.1186/1472-6947-12-8), fitted
by weighted least squares. For each c, a and b follow in closed form; c is taken from a grid, so that nothing can fail
to converge. The band comes of fitting curves drawn anew around the points by their standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.votes import Floats

#: Rates of decay. Below the first a curve can't be told from a logarithm, above the last from a step.
DECAYS = np.geomspace(0.1, 2.0, 25)
DRAWS = 400
#: The band leaves out this much on either side.
TAIL = 0.05
#: A gain in accuracy that is not worth a vote: a tenth of a point.
NOTHING = 0.001
#: A curve has three parameters.
FEWEST_POINTS = 4


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Curves of accuracy that fit the points, f8[1 + DRAWS] each, the best fit first: accuracy(n) = a - b n^-c."""

    a: Floats
    b: Floats
    c: Floats

    def accuracy(self, n: Floats | float) -> tuple[Floats, Floats, Floats]:
        """Expected at n > 0 labels, and the band in which it lies with 90 % probability; 0..1, shapes of n."""
        found = self._curves(np.asarray(n, dtype=np.float64))
        low, high = np.quantile(found[1:], [TAIL, 1.0 - TAIL], axis=0)
        return np.clip(found[0], 0.0, 1.0), np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)

    def gain(self, n: float, more: float) -> Gain:
        """What `more` labels beyond n buy."""
        curves = self._curves(np.array([n, n + more]))
        gains = curves[:, 1] - curves[:, 0]
        low, high = np.quantile(gains[1:], [TAIL, 1.0 - TAIL])
        return Gain(float(gains[0]), float(low), float(high))

    def _curves(self, n: Floats) -> Floats:
        shape = (-1,) + (1,) * n.ndim
        a, b, c = (each.reshape(shape) for each in (self.a, self.b, self.c))
        return np.asarray(a - b * n**-c)


@dataclass(frozen=True)
class Gain:
    """Expected gain in accuracy, and its 90 % band; shares, so 0.01 is a point."""

    expected: float
    low: float
    high: float

    @property
    def nothing(self) -> bool:
        """Even at the upper end of the band it is not worth the votes."""
        return self.high < NOTHING


def fit_learning_curve(n: Floats, accuracy: Floats, error: Floats, seed: int = 0) -> LearningCurve | None:
    """Fit points: accuracy f8[m] with its standard errors f8[m] of learners taught n f8[m] > 0 labels.

    None for fewer than FEWEST_POINTS different n. Curves rise (b >= 0) to no more than 1 (a <= 1).
    """
    n, accuracy = np.asarray(n, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if len(np.unique(n)) < FEWEST_POINTS:
        return None
    error = np.maximum(np.asarray(error, dtype=np.float64), 1e-4)
    drawn = np.random.default_rng(seed).normal(accuracy, error, (DRAWS, len(n)))
    a, b, c = _least_squares(n, np.vstack([accuracy, drawn]), 1.0 / error**2)
    return LearningCurve(a, b, c)


def _least_squares(n: Floats, accuracy: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """a, b and c, f8[R] each, of R sets of points with accuracy f8[R, m] at n f8[m]."""
    best = np.full(len(accuracy), np.inf)
    a, b, c = (np.zeros(len(accuracy)) for _ in range(3))
    for decay in DECAYS:
        x = n**-decay
        found = _line(x, accuracy, weight)
        misfit = (accuracy - (found[0][:, None] - found[1][:, None] * x)) ** 2 @ weight
        better = misfit < best
        best[better], c[better] = misfit[better], decay
        a[better], b[better] = found[0][better], found[1][better]
    return a, b, c


def _line(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """a <= 1 and b >= 0, f8[R] each, of the weighted least squares line y = a - b x through y f8[R, m]."""
    share = weight / weight.sum()
    x_mean, y_mean = x @ share, y @ share
    b = np.maximum(-((y - y_mean[:, None]) * (x - x_mean)) @ share / ((x - x_mean) ** 2 @ share), 0.0)
    a = y_mean + b * x_mean
    too_high = a > 1.0
    # Through 1 at infinity, where the best line would go beyond.
    b[too_high] = np.maximum(((1.0 - y[too_high]) * x) @ share / (x**2 @ share), 0.0)
    return np.minimum(a, 1.0), b
