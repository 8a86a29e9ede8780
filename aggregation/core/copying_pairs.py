"""Which pairs of annotators are tested for copying: all in crowds of ordinary size, the likeliest in others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Floats, Votes

#: Co-votes of the annotators who are looked at, at most; and of the pairs that are tested, a test being far dearer.
MOST_CO_VOTES, MOST_TESTED = 5_000_000, 1_000_000
#: Numbers that the tests take, at most: K for each co-vote.
MOST_NUMBERS = 20_000_000
#: Co-votes held at a time.
ROOM = 250_000

Rows = NDArray[np.intp]
Pairs = NDArray[np.int64]


def busiest(votes: Votes, min_votes: int) -> tuple[NDArray[np.bool_], int]:
    """bool[A]: those with at least min_votes votes; only the busiest of them, and how many others there are, if all
    have too many co-votes together.

    votes: without repeats. Two are always among them.
    """
    number = np.bincount(votes.annotator, minlength=votes.n_annotators)
    active = number >= min_votes
    rows = np.flatnonzero(active[votes.annotator])
    per_task = np.bincount(votes.task[rows], minlength=votes.n_tasks)
    if (per_task * (per_task - 1) // 2).sum() <= MOST_CO_VOTES:
        return active, 0
    order = np.argsort(-number, kind="stable")
    rank = np.empty(votes.n_annotators, dtype=np.intp)
    rank[order] = np.arange(votes.n_annotators)
    rows = rows[np.lexsort((rank[votes.annotator[rows]], votes.task[rows]))]
    task = votes.task[rows]
    busier = np.arange(len(rows)) - np.searchsorted(task, task)  # who has voted on the same task
    co_votes = np.cumsum(np.bincount(rank[votes.annotator[rows]], busier, minlength=votes.n_annotators))
    within = (co_votes <= MOST_CO_VOTES) | (np.arange(votes.n_annotators) < 2)
    looked_at = active & within[rank]
    return looked_at, int(active.sum() - looked_at.sum())


def worth_testing(votes: Votes, doubt: Floats, pairs: Pairs, overlap: Floats) -> Rows:
    """The places of the pairs to be tested, ascending: those of largest excess while there is time, at least one.

    votes: n of them, without repeats, in the order of task and annotator. doubt: f8[n], P(the vote is wrong). pairs:
    first * A + second, ascending, and their tasks in common, f8[P].
    """
    most = min(MOST_TESTED, MOST_NUMBERS // votes.n_labels)
    if overlap.sum() <= most:
        return np.arange(len(pairs))
    order = np.argsort(-_excess(votes, doubt, pairs), kind="stable")
    chosen = np.cumsum(overlap[order]) <= most
    chosen[0] = True
    return np.sort(order[chosen])


def co_votes(votes: Votes, pairs: Pairs) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Pairs, as places int[m], and the rows of their votes on one task, first and second; in parts.

    votes and pairs: as above.
    """
    listed = np.zeros(votes.n_annotators, dtype=bool)
    listed[np.concatenate(np.divmod(pairs, votes.n_annotators))] = True
    rows = np.flatnonzero(listed[votes.annotator])
    later = np.searchsorted(votes.task[rows], votes.task[rows], side="right") - np.arange(len(rows)) - 1
    part = np.cumsum(later) // ROOM
    for places in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(part)) + 1):
        times = later[places]
        one = np.repeat(places, times)
        step = np.arange(len(one)) - np.repeat(np.cumsum(times) - times, times) + 1
        first, second = rows[one], rows[one + step]
        key = votes.annotator[first].astype(np.int64) * votes.n_annotators + votes.annotator[second]
        pair = np.minimum(np.searchsorted(pairs, key), len(pairs) - 1)
        known = pairs[pair] == key
        yield pair[known], first[known], second[known]


def _excess(votes: Votes, doubt: Floats, pairs: Pairs) -> Floats:
    """By how many standard deviations a pair gives the same wrong answers more often than other pairs do, f8[P].

    As if who errs on the tasks of the other did so as often as on all tasks, and all errors were equally likely to
    coincide: rough, but the same for all pairs.
    """
    alike, first_wrong, second_wrong = np.zeros((3, len(pairs)))
    for pair, one, other in co_votes(votes, pairs):
        same = votes.label[one] == votes.label[other]
        alike += np.bincount(pair[same], doubt[one[same]], minlength=len(pairs))
        first_wrong += np.bincount(pair, doubt[one], minlength=len(pairs))
        second_wrong += np.bincount(pair, doubt[other], minlength=len(pairs))
    number = np.bincount(votes.annotator, minlength=votes.n_annotators)
    error = np.bincount(votes.annotator, doubt, minlength=votes.n_annotators) / np.maximum(number, 1)
    first, second = np.divmod(pairs, votes.n_annotators)
    by_chance = np.maximum(first_wrong * error[second], second_wrong * error[first])
    by_chance *= alike.sum() / max(by_chance.sum(), np.finfo(np.float64).tiny)
    return np.asarray((alike - by_chance) / np.sqrt(by_chance + 1.0))
