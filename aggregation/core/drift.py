"""Drift: have labels in force become worse than allowed, and since when?

Audits go on after a threshold has been certified. If labels made at any time are wrong at most at the rate e, whatever
else changes, a bettor who believes in q > e multiplies the wealth by q / e at a wrong label and by (1 - q) / (1 - e) at
a right one, in expectation by at most 1. Start a bettor of each belief anew with every audit and add up what all have,
averaged over beliefs (Shiryaev-Roberts):

    evidence[t] = (evidence[t - 1] + 1) * factor[t].

evidence[t] - t is then a supermartingale, so that with labels as allowed it reaches a number A only after A audits or
more on average, and later the better they are. When it does, labels are revoked: those made since the start that has
won most, or nearly most. Shin, J., Ramdas, A. and Rinaldo, A.: E-detectors: a nonparametric framework for sequential
change detection, New England Journal of Statistics in Data Science, 2023, arXiv:2203.03532.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aggregation.core.bounds import Bools
from aggregation.core.votes import Floats

#: Beliefs: the error, as a multiple of what is allowed, from slowly worse to broken; at most one half.
BELIEFS = np.array([1.5, 2.0, 3.0, 4.5])
#: Labels are revoked back to the earliest start that has won at least this part of what the best one has.
NEARLY = 0.1


@dataclass(frozen=True)
class Drift:
    """What audits say of labels in force.

    evidence: at the last audit, from 0 up. revoked_at: the audit, counted from 0, at which it reached the run length;
    None if none did. since: the first audit of the time in which labels were too often wrong, as far as can be told:
    labels made from then on are revoked and their tasks reopen.
    """

    evidence: float
    revoked_at: int | None
    since: int | None


def watch(right: Bools, max_error: float, run_length: float = 1000.0) -> Drift:
    """Whether labels in force have become worse than allowed.

    right: bool[n], audits since the threshold was certified, in the order in which their labels were made, not in that
    of their answers, up to the first not answered yet. max_error: in 0..1/2, the share wrong that is allowed; if the
    audits' truth is itself wrong at most at the rate d, max_error + d. run_length: above 1; labels that are as bad as
    allowed, but no worse, are revoked no more often than once in so many audits.

    Raises ValueError naming what is out of range.
    """
    if not 0.0 < max_error < 0.5:
        raise ValueError(f"max_error is {max_error}; expected a number between 0 and 0.5, such as 0.05")
    if not run_length > 1.0:
        raise ValueError(f"run_length is {run_length}; expected a number of audits above 1, such as 1000")
    right = np.asarray(right, np.bool_)
    path = evidence(right, max_error)
    reached = path >= run_length
    if not reached.any():
        return Drift(float(path[-1]) if len(path) else 0.0, None, None)
    at = int(reached.argmax())
    return Drift(float(path[-1]), at, changed_at(right[: at + 1], max_error))


def evidence(right: Bools, max_error: float) -> Floats:
    """The evidence after each audit, f8[n, …]; right: bool[n, …], as many sequences at once as there are."""
    factor = np.exp(_log_factors(max_error))
    each = np.zeros((*right.shape[1:], len(BELIEFS)))
    path = np.empty(right.shape)
    for row, now in enumerate(right):
        each = (each + 1.0) * factor[np.asarray(now, np.int64)]
        path[row] = each.mean(axis=-1)
    return path


def changed_at(right: Bools, max_error: float) -> int:
    """The earliest start from which on audits, bool[n], n >= 1, speak nearly as much against `max_error` as can be."""
    won = _log_factors(max_error)[right.astype(np.int64)][::-1].cumsum(axis=0)[::-1]
    by_start = np.logaddexp.reduce(won, axis=1)
    return int((by_start >= by_start.max() + np.log(NEARLY)).argmax())


def _log_factors(max_error: float) -> Floats:
    """What a wrong and a right label multiply wealth by, logs, f8[2, beliefs]."""
    belief = np.minimum(BELIEFS * max_error, (1.0 + max_error) / 2.0)
    return np.asarray(np.log([belief / max_error, (1.0 - belief) / (1.0 - max_error)]))
