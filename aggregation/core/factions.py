"""A ring of annotators who agree with each other far more than the truth of the tasks explains.

Dawid-Skene models take annotators to err independently of each other. Where some copy one answer sheet, their
agreement is read as skill, and if they give enough votes, the sheet is read as the truth. Then the *others* seem to
agree beyond what the "truth" explains. So a crowd in two factions shows the same sign whichever of them was believed:
one block of annotators with much excess agreement inside, and none, or less than none, across.

Excess agreement of a pair: how often they agree, less how often they would given the posterior and their confusions.
The block is found by the first eigenvector of the matrix of excess agreements (Newman, M. E. J.: Modularity and
Community Structure in Networks, PNAS 103(23), 2006, doi:10.1073/pnas.0601602103), and its borders by how much each
annotator exceeds with the block rather than with the rest. Crowds without a ring err together as well, but as one: on
twelve real ones inside exceeds across by at most 0.12, and on simulated rings by 0.3 to 0.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.structure import shares
from aggregation.core.votes import Floats, Votes

#: Votes that an annotator needs to be told from others, and how many of the busiest are looked at.
LEAST_VOTES = 5
MOST_ANNOTATORS = 400
#: By how much a block's excess agreement must be above that with the rest, and by how many standard errors above 0.
LEAST_EXCESS = 0.32
LEAST_Z = 8.0
#: Tasks in common that a pair's excess is drawn towards 0 by.
SHRINKAGE = 3.0
BORDER_ROUNDS = 5

Members = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Factions:
    """block, rest: bool[A], who is in either; those hardly seen are in neither. excess: the excess agreement (share of
    common tasks) inside the block above that across."""

    block: Members
    rest: Members
    excess: float


def factions(votes: Votes, posterior: Floats) -> Factions | None:
    """The two factions of a crowd, or None if there are none. posterior: f8[T, K] of any label model."""
    number = np.bincount(votes.annotator, minlength=votes.n_annotators)
    busiest = np.argsort(-number, kind="stable")[:MOST_ANNOTATORS]
    seen = np.sort(busiest[number[busiest] >= LEAST_VOTES])
    if len(seen) < 4 or votes.n_labels < 2:
        return None
    excess, common, variance = _excess(votes, posterior, seen)
    block = _block(excess, common)
    if block is None:
        return None
    inside, across = _mean(excess, common, block, block), _mean(excess, common, block, ~block)
    z = excess[np.ix_(block, block)].sum() / np.sqrt(max(2.0 * variance[np.ix_(block, block)].sum(), 1e-9))
    if inside - across < LEAST_EXCESS or z < LEAST_Z:
        return None
    return Factions(_members(seen[block], votes), _members(seen[~block], votes), inside - across)


def _excess(votes: Votes, posterior: Floats, seen: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
    """Agreements beyond those expected, tasks in common and the variance of agreements, f8[S, S], of annotators seen.

    Diagonals are zero.
    """
    from scipy import sparse  # slow to import, and no web process asks

    S, K, T = len(seen), votes.n_labels, votes.n_tasks
    place = np.full(votes.n_annotators, -1)
    place[seen] = np.arange(S)
    rows = np.flatnonzero(place[votes.annotator] >= 0)
    task, who, label = votes.task[rows], place[votes.annotator[rows]], votes.label[rows]
    confusion = np.empty((K, S, K))  # [true, annotator, voted]
    for true in range(K):
        counts = np.bincount(who * K + label, posterior[task, true], minlength=S * K).astype(np.float64)
        confusion[true] = shares(counts.reshape(S, K) + 0.01)
    together = sparse.csr_array((np.ones(len(rows)), (task, who)), shape=(T, S))
    common = (together.T @ together).toarray()
    agreed = np.zeros((S, S))
    expected, variance = np.zeros((S, S)), np.zeros((S, S))
    for k in range(K):
        of_label = label == k
        voted = sparse.csr_array((np.ones(int(of_label.sum())), (task[of_label], who[of_label])), shape=(T, S))
        agreed += (voted.T @ voted).toarray()
        weight = (together.T @ (sparse.diags_array(posterior[:, k]) @ together)).toarray()
        chance = confusion[k] @ confusion[k].T
        expected += weight * chance
        variance += weight * chance * (1.0 - chance)
    for matrix in (agreed, expected, common, variance):
        np.fill_diagonal(matrix, 0.0)
    return agreed - expected, common, variance


def _block(excess: Floats, common: Floats) -> Members | None:
    """bool[S]: of the two sides of the first eigenvector that with more excess inside than across; borders mended."""
    from scipy.linalg import eigh  # slow to import, and no web process asks

    last = len(excess) - 1
    _value, first = eigh(excess / (common + SHRINKAGE), subset_by_index=(last, last))
    sides = (first[:, 0] > 0, first[:, 0] <= 0)
    if min(int(side.sum()) for side in sides) < 2:
        return None
    block = max(sides, key=lambda side: _mean(excess, common, side, side) - _mean(excess, common, side, ~side))
    for _ in range(BORDER_ROUNDS):
        gap = _mean(excess, common, block, block) - _mean(excess, common, block, ~block)
        nearer = _with(excess, common, block) - _with(excess, common, ~block) > gap / 2.0
        if not 2 <= nearer.sum() <= len(nearer) - 2 or (nearer == block).all():
            break
        block = nearer
    return block


def _mean(excess: Floats, common: Floats, first: Members, second: Members) -> float:
    return float(excess[np.ix_(first, second)].sum() / max(common[np.ix_(first, second)].sum(), 1.0))


def _with(excess: Floats, common: Floats, group: Members) -> Floats:
    """Each annotator's excess agreement with a group, f8[S]."""
    return np.asarray(excess[:, group].sum(axis=1) / (common[:, group].sum(axis=1) + SHRINKAGE))


def _members(annotators: NDArray[np.intp], votes: Votes) -> Members:
    members = np.zeros(votes.n_annotators, dtype=bool)
    members[annotators] = True
    return members
