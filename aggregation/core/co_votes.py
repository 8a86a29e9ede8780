"""Co-votes: votes of two annotators on the same task, counted for all pairs of annotators at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aggregation.core.votes import Floats, Ints, Votes

#: Annotators are multiplied out so many at a time that they have about this many co-votes.
CO_VOTES_AT_ONCE = 4_000_000


def first_votes(votes: Votes) -> Votes:
    """The votes without repeats: the first of each annotator on each task, in the order of task and annotator."""
    pair = votes.task.astype(np.int64) * votes.n_annotators + votes.annotator
    _, rows = np.unique(pair, return_index=True)
    columns = (votes.task[rows], votes.annotator[rows], votes.label[rows])
    return Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)


def of_the_active(votes: Votes, min_votes: int) -> Votes:
    """The votes of annotators who have at least min_votes of them."""
    rows = np.flatnonzero(np.bincount(votes.annotator, minlength=votes.n_annotators)[votes.annotator] >= min_votes)
    columns = (votes.task[rows], votes.annotator[rows], votes.label[rows])
    return Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)


class CoVotes:
    """Counts over pairs of annotators, as products of sparse incidence matrices."""

    def __init__(self, votes: Votes) -> None:
        """votes: without repeats."""
        self.votes = votes
        A, T = votes.n_annotators, votes.n_tasks
        cells, cell = np.unique(votes.task.astype(np.int64) * votes.n_labels + votes.label, return_inverse=True)
        self.tasks = _incidence(votes.annotator, votes.task, A, T)
        self.answers = _incidence(votes.annotator, cell, A, len(cells))
        self.tasks_turned, self.answers_turned = self.tasks.T.tocsr(), self.answers.T.tocsr()
        of_label = (votes.label == label for label in np.unique(votes.label))
        self.by_label = [_incidence(votes.annotator[rows], votes.task[rows], A, T) for rows in of_label]

    def overlaps(self, min_overlap: int) -> tuple[NDArray[np.int64], Floats]:
        """The P pairs with min_overlap tasks in common: first * A + second with first < second, ascending int64[P],
        and how many tasks they have in common, f8[P]."""
        found = [self._overlaps(rows, min_overlap) for rows in self._blocks()]
        return np.concatenate([pair for pair, _ in found]), np.concatenate([overlap for _, overlap in found])

    def pairs(self, min_overlap: int) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
        """`overlaps`, tasks with the same answer, and the squared overlap times the agreement by chance, f8[P]."""
        found = [self._pairs(rows, min_overlap) for rows in self._blocks()]
        pair, overlap, agreeing, chance = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return pair, overlap, agreeing, chance

    def _blocks(self) -> list[slice]:
        """Ranges of annotators whose co-votes together stay near CO_VOTES_AT_ONCE; at least one range."""
        votes = self.votes
        co_votes = np.bincount(votes.task, minlength=votes.n_tasks)[votes.task]
        by_annotator = np.bincount(votes.annotator, co_votes, minlength=votes.n_annotators)
        block = (np.cumsum(by_annotator) // CO_VOTES_AT_ONCE).astype(np.int64)
        starts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist()]
        return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], votes.n_annotators], strict=True)]

    def _overlaps(self, rows: slice, min_overlap: int) -> tuple[NDArray[np.int64], Floats]:
        """`overlaps` of the pairs whose first is one of the rows."""
        pair, overlap = self._entries(self.tasks[rows] @ self.tasks_turned, rows)
        kept = overlap >= min_overlap
        return pair[kept], overlap[kept]

    def _pairs(self, rows: slice, min_overlap: int) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
        """`pairs` of those whose first is one of the rows."""
        pair, overlap = self._overlaps(rows, min_overlap)
        agreeing = _at(pair, *self._entries(self.answers[rows] @ self.answers_turned, rows))
        chance = np.zeros(len(pair))
        mine_turned = self.tasks[rows].T.tocsr()
        for voted in self.by_label:
            first_voted, second_voted = voted[rows] @ self.tasks_turned, (voted @ mine_turned).T
            chance += _at(pair, *self._entries(first_voted.multiply(second_voted), rows))
        return pair, overlap, agreeing, chance

    def _entries(self, product: sparse.csr_array | sparse.coo_array, rows: slice) -> tuple[NDArray[np.int64], Floats]:
        """first * A + second, ascending, and the value of each entry above the diagonal of a product [rows, A]."""
        entries = product.tocsr()
        entries.sort_indices()
        first = np.repeat(np.arange(rows.start, rows.stop, dtype=np.int64), np.diff(entries.indptr))
        above = entries.indices > first
        return first[above] * entries.shape[1] + entries.indices[above], entries.data[above]


def _incidence(annotator: Ints, column: Ints, n_annotators: int, n_columns: int) -> sparse.csr_array:
    """Ones where an annotator meets a column, sparse [A, columns]."""
    return sparse.csr_array((np.ones(len(annotator)), (annotator, column)), shape=(n_annotators, n_columns))


def _at(wanted: NDArray[np.int64], keys: NDArray[np.int64], values: Floats) -> Floats:
    """The values at the wanted keys, 0 where there is none; both ascending."""
    if not len(keys):
        return np.zeros(len(wanted))
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0.0)
