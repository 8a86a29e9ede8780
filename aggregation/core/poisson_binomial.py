"""The Poisson binomial distribution: how many of several independent events happen, each with its own probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats

#: Trials times successes up to which the tail is summed exactly; beyond, it is bounded.
EXACT = 250_000
#: Numbers held at a time.
ROOM = 4_000_000

Counts = NDArray[np.integer]


def upper_tail(p: Floats, trials: Counts, successes: Counts) -> Floats:
    """P(at least successes[g] of the trials[g] events of group g happen), f8[G].

    p: f8[sum of trials], the probabilities of the events, those of group 0 first. trials, successes: int[G]. Exact, to
    the relative precision of floats, while trials * successes <= EXACT, for groups of more by Hoeffding's bound, which
    is never below the tail: Hoeffding, W.: Probability Inequalities for Sums of Bounded Random Variables, Journal of
    the American Statistical Association 58(301), 1963, theorem 1, doi:10.1080/01621459.1963.10500830.
    """
    start = np.cumsum(trials) - trials
    tail = np.ones(len(trials))
    exact = np.flatnonzero((successes > 0) & (trials * successes <= EXACT))
    # Groups that need about as many successes share a table.
    exact = exact[np.argsort(successes[exact], kind="stable")]
    width = 2 ** np.ceil(np.log2(successes[exact]))
    table = np.cumsum(width) // ROOM
    for groups in np.split(exact, np.flatnonzero(np.diff(width) + np.diff(table)) + 1):
        tail[groups] = _summed(p, start[groups], trials[groups], successes[groups])
    many = np.flatnonzero(trials * successes > EXACT)
    total = np.bincount(np.repeat(np.arange(len(trials)), trials), p, minlength=len(trials))
    tail[many] = _bound(total[many] / trials[many], trials[many], successes[many])
    return tail


def _summed(p: Floats, start: Counts, trials: Counts, successes: Counts) -> Floats:
    """The tail by dynamic programming over the events, all groups at once; successes >= 1."""
    tail = np.zeros(len(trials))
    if not len(trials):
        return tail
    by_length = np.argsort(-trials, kind="stable")
    start, trials, successes = start[by_length], trials[by_length], successes[by_length]
    # missing[g, r]: probability that group g lacks r + 1 successes.
    missing = np.zeros((len(trials), int(successes.max()) + 1))
    missing[np.arange(len(trials)), successes - 1] = 1.0
    for event in range(int(trials[0])):
        going_on = int(np.searchsorted(-trials, -event))
        happens = p[start[:going_on] + event][:, None]
        now = missing[:going_on]
        tail[:going_on] += happens[:, 0] * now[:, 0]
        now[:, :-1] = now[:, :-1] * (1.0 - happens) + now[:, 1:] * happens
    unsorted = np.empty(len(trials))
    unsorted[by_length] = tail
    return np.minimum(unsorted, 1.0)


def _bound(mean: Floats, trials: Counts, successes: Counts) -> Floats:
    """exp(-n KL(successes / n, mean)) where successes are above the mean, else 1."""
    share = successes / trials
    mean = np.clip(mean, np.finfo(np.float64).tiny, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        misses = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - mean)), 0.0)
        divergence = share * np.log(share / mean) + misses
    return np.where(share > mean, np.exp(-trials * divergence), 1.0)
