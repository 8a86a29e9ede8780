"""What a campaign's gold teaches about how far to believe its label model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core import live
from aggregation.core.calibration import ENOUGH_GOLD, Calibration, cross_fit, drawn, gold_tasks
from aggregation.core.fit import Fit
from aggregation.core.votes import Floats, Ints, Votes

#: Gold that everybody is shown has many more votes than tasks usually have: so many times more than nearly all of them.
FAR_MORE, NEARLY_ALL = 1.5, 0.95
SEED = 0


@dataclass(frozen=True, eq=False)
class Lesson:
    """What to calibrate by, of n tasks with gold: their posteriors f8[n, K] by a label model that does not know their
    own gold, their votes for each label f8[n, K], and their gold int32[n].

    right: bool[n], whether the winning label by votes alone, without predictions, is the gold.
    """

    posterior: Floats
    counts: Floats
    gold: Ints
    right: NDArray[np.bool_]


def lesson(
    votes: Votes,
    gold: Ints,
    random_gold: Ints,
    fit: Callable[[Votes, Ints], Fit],
    priors: Callable[[Floats, Ints], Floats],
) -> Lesson | None:
    """None with less than ENOUGH_GOLD gold tasks that have votes.

    gold: int32[T], -1 where unknown, all that is known. random_gold: the same of tasks that were drawn at random, so
    that they tell of all. fit: the label model on votes, with some of the gold. priors: f8[n, K] of n tasks,
    predictions worked in, from the label prior f8[K] and the tasks int32[n].
    """
    known = drawn(gold_tasks(votes.per_task(), random_gold))  # thinning leaves each of them some votes
    if len(known) < ENOUGH_GOLD:
        return None
    fewer = thinned(votes, gold)
    other_gold = np.where(random_gold < 0, gold, np.int32(-1))
    right = np.zeros(len(known), dtype=np.bool_)

    def posterior_of(told: Ints) -> Floats:
        if told is random_gold:  # with all gold told, no row of it is used
            return np.zeros((votes.n_tasks, votes.n_labels))
        fitted = fit(fewer, np.where(told < 0, other_gold, told))
        untold = told[known] < 0
        right[untold] = fitted.posterior[known[untold]].argmax(axis=1) == random_gold[known[untold]]
        posterior = fitted.posterior.copy()
        asked = priors(fitted.label_prior, known)
        posterior[known] = live.with_prior(posterior[known], fitted.label_prior, asked)
        return posterior

    posterior = cross_fit(posterior_of, random_gold, seed=SEED)
    return Lesson(posterior[known], fewer.per_task()[known], random_gold[known], right)


def believed(calibration: Calibration | None, posterior: Floats, counts: Floats) -> Floats:
    """The posterior f8[n, K] as gold has taught to believe it, or as it is while there is too little of it.

    counts: f8[n, K], the tasks' votes for each label. Where there are none, nothing was learnt that could be applied.
    """
    voted = counts.any(axis=1)
    if calibration is None or not voted.any():
        return posterior
    found = posterior.copy()
    found[voted] = calibration.apply(posterior[voted], counts[voted])
    return found


def thinned(votes: Votes, gold: Ints) -> Votes:
    """The votes, but of tasks with gold that have far more than nearly all others only as many as is usual.

    Which are kept is drawn at random, equally for equal votes in any order. Where no task has far more, it is the same
    Votes, with all that has been worked out of them.
    """
    many = np.bincount(votes.task, minlength=votes.n_tasks)
    others = many[(gold < 0) & (many > 0)]
    if not len(others):
        return votes
    usual = int(np.median(others))
    crowded = (gold >= 0) & (many > FAR_MORE * np.quantile(others, NEARLY_ALL))
    if not crowded.any():
        return votes
    rows = np.flatnonzero(crowded[votes.task])
    rows = rows[np.lexsort((votes.annotator[rows], votes.task[rows]))]
    rows = rows[np.lexsort((np.random.default_rng(SEED).random(len(rows)), votes.task[rows]))]
    place = np.arange(len(rows)) - np.searchsorted(votes.task[rows], votes.task[rows])
    kept = np.ones(len(votes), dtype=bool)
    kept[rows[place >= usual]] = False
    return votes.those(kept)
