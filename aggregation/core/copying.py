"""Copying: pairs of annotators who give the same wrong answers more often than chance explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aggregation.core.annotators import likelihood
from aggregation.core.co_votes import CoVotes, first_votes
from aggregation.core.copying_pairs import Pairs, Rows, busiest, co_votes, worth_testing
from aggregation.core.fit import Fit
from aggregation.core.live import softmax
from aggregation.core.poisson_binomial import upper_tail
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Pairs with fewer tasks in common are left out: they could show nothing, and there are most of them.
MIN_OVERLAP = 10
#: Pseudo-votes that the confusions' prediction is worth against the task's own votes; the best of these is taken.
CONCENTRATIONS = (*np.geomspace(1.0, 1000.0, 16), 1e6)
#: Votes from which it is estimated, at most.
SAMPLE = 50_000
#: Numbers held at a time.
ROOM = 1_000_000


@dataclass(frozen=True, eq=False)
class Copying:
    """The P pairs of annotators with enough tasks in common that were tested, ordered by first, then second.

    first, second: int32[P], first < second; which of them copied is not told. overlap: int32[P], tasks in common.
    wrong: int32[P], those on which one of the two (the one of whom chance explains more) was wrong, going by the other
    annotators. coincident: int32[P], those on which the other gave the same wrong answer. expected: f8[P], on how many
    they would by chance. p_value: f8[P], probability of so many by chance. adjusted: f8[P], the p-value after
    Benjamini and Hochberg: of the pairs at or below q a share of q is expected to be honest. untested: pairs that there
    was no time for, which agree less in doubtful answers; adjusted counts them. left_out: annotators whom there was no
    time for, though they have voted often enough; all others have voted as often or more.
    """

    first: Ints
    second: Ints
    overlap: Ints
    wrong: Ints
    coincident: Ints
    expected: Floats
    p_value: Floats
    adjusted: Floats
    untested: int
    left_out: int

    def __len__(self) -> int:
        return len(self.first)

    @property
    def score(self) -> Floats:
        """The share of wrong answers that was copied, if the excess is copying, f8[P]: at most 1, 0 is chance."""
        room = self.wrong - self.expected
        return np.where(room > 0, (self.coincident - self.expected) / np.where(room > 0, room, 1.0), 0.0)


def copying(votes: Votes, fit: Fit, gold: Ints | None = None, *, min_overlap: int = MIN_OVERLAP) -> Copying:
    """Test pairs of annotators with min_overlap tasks in common for copying.

    An answer is wrong if it is not the label that the votes of all others but the two make most probable, under the
    confusions and label prior of the fit. Given that one of the two is wrong on a task, the other gives the same
    answer with a probability that all other votes on it tell, the first one's included: the confusions' prediction,
    mixed with the share of this label among those votes, since some tasks mislead everybody alike (how much that
    weighs is estimated by leaving out one vote at a time), and no less than how often that annotator gives this answer
    where it is wrong, since two who always say the same have copied nothing. The number of coincident wrong answers
    then follows the Poisson binomial distribution. Either of the two may have been first: the larger p-value of both
    ways counts. Right answers that were copied cannot be told from right answers.

    All pairs are tested in crowds of ordinary size. Time is bounded in others: only the busiest annotators are looked
    at, as long as they have MOST_CO_VOTES in common, and of their pairs those are tested who agree most beyond chance
    in answers that are probably wrong, as long as those have MOST_TESTED (fewer with many labels) in common.

    gold: int32[T], -1 where unknown: tasks of known truth. Of repeated votes the first counts. A group that copies
    one another and outnumbers the rest on its tasks looks like a consensus, and is not found. Raises ValueError on bad
    gold or a min_overlap below 1.

    After van der Linden, W. J. and Sotaridona, L.: Detecting Answer Copying When the Regular Response Process Follows
    a Known Response Model, Journal of Educational and Behavioral Statistics 31(3), 2006, doi:10.3102/10769986031003283;
    Benjamini, Y. and Hochberg, Y.: Controlling the False Discovery Rate, Journal of the Royal Statistical Society B
    57(1), 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    if min_overlap < 1:
        raise ValueError(f"min_overlap is {min_overlap}; expected at least 1")
    kept = first_votes(votes)
    looked_at, left_out = busiest(kept, min_overlap)
    found, common = CoVotes(_votes_of(kept, looked_at)).overlaps(min_overlap)
    chance = _Chance(kept, fit, gold)
    tested = worth_testing(kept, chance.doubt, found, common)
    pairs, overlap, untested = found[tested], common[tested], len(found) - len(tested)
    first_wrong, second_wrong = _coincidences(chance, pairs)
    ways = [way.test(len(pairs)) for way in (first_wrong, second_wrong)]
    likelier = (ways[1][-1] > ways[0][-1]).astype(np.intp)
    wrong, coincident, expected, p_value = (
        np.stack(column)[likelier, np.arange(len(pairs))] for column in zip(*ways, strict=True)
    )
    first, second = np.divmod(pairs, kept.n_annotators)
    return Copying(
        first.astype(np.int32),
        second.astype(np.int32),
        overlap.astype(np.int32),
        wrong.astype(np.int32),
        coincident.astype(np.int32),
        expected,
        p_value,
        benjamini_hochberg(p_value, untested),
        untested,
        left_out,
    )


def benjamini_hochberg(p_value: Floats, untested: int = 0) -> Floats:
    """P-values adjusted for the false discovery rate, f8[P] each. untested: hypotheses more, of p-value 1."""
    order = np.argsort(p_value)
    ratio = p_value[order] * (len(order) + untested) / np.arange(1, len(order) + 1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.minimum.accumulate(ratio[::-1])[::-1], 1.0)
    return adjusted


class _Chance:
    """How probable votes are, given the other votes of their task.

    Likelihoods f8[n, K] are computed again for the rows that are asked for: all at once would be K numbers a vote.
    """

    def __init__(self, votes: Votes, fit: Fit, gold: Ints | None) -> None:
        """votes: without repeats, in the order of task and annotator."""
        self.votes, self.fit = votes, fit
        self.joint = self._joint(check_gold(gold, votes))
        self.counts = votes.per_task()
        self.size = self.counts.sum(axis=1)
        self.false_rate = self._false_rate()
        self.concentration = self._best_concentration()

    @property
    def doubt(self) -> Floats:
        """P(the vote is wrong | all votes of the task), f8[n]."""
        votes = self.votes
        return np.asarray(1.0 - softmax(self.joint)[votes.task, votes.label])

    def of_wrong(self, rows: Rows, label: Ints) -> Floats:
        """P(who cast votes[row] votes label | all other votes of the task), f8[n], for rows and wrong labels int[n].

        No less than how often the annotator gives it wrongly: confusions are drawn towards everybody's, so they never
        quite believe that somebody always says the same.
        """
        likely = self._mixed(self._predicted(rows, label), rows, label, self.concentration)
        return np.maximum(likely, self.false_rate[self.votes.annotator[rows], label])

    def consensus_without(self, one: Rows, other: Rows) -> Ints:
        """The most probable label of a task by all votes but these two of it, int[n]."""
        joint = self.joint[self.votes.task[one]] - self._log(one) - self._log(other)
        return np.asarray(joint.argmax(axis=1), dtype=np.int32)

    def _predicted(self, rows: Rows, label: Ints) -> Floats:
        """What the confusions say of `label`, the truth being as the other votes of the task have it, f8[n]."""
        truth = softmax(self.joint[self.votes.task[rows]] - self._log(rows))
        return np.asarray((truth * likelihood(self.fit, self.votes.annotator[rows], label)).sum(axis=1))

    def _mixed(self, predicted: Floats, rows: Rows, label: Ints, concentration: float) -> Floats:
        """The prediction f8[n] mixed with the share of `label` among the other votes of the task, f8[n]."""
        task = self.votes.task[rows]
        alike = self.counts[task, label] - (self.votes.label[rows] == label)
        return np.asarray((alike + concentration * predicted) / (self.size[task] - 1.0 + concentration))

    def _log(self, rows: Rows) -> Floats:
        """log P(vote | true label), f8[n, K]."""
        return np.log(likelihood(self.fit, self.votes.annotator[rows], self.votes.label[rows]))

    def _joint(self, gold: Ints) -> Floats:
        """log P(label k and the votes of the task), f8[T, K]; -inf where gold says otherwise."""
        T, K = self.votes.n_tasks, self.votes.n_labels
        joint = np.tile(np.log(np.maximum(self.fit.label_prior, np.finfo(np.float64).tiny)), (T, 1))
        n_parts = 1 + len(self.votes) * K // ROOM
        for rows in np.array_split(np.arange(len(self.votes)), n_parts):
            if len(rows):
                first, last = self.votes.task[rows[[0, -1]]]  # votes are in the order of tasks
                for label, evidence in enumerate(self._log(rows).T):
                    joint[first : last + 1, label] += np.bincount(self.votes.task[rows] - first, evidence)
        known = np.flatnonzero(gold >= 0)
        certain = joint[known, gold[known]]
        joint[known] = -np.inf
        joint[known, gold[known]] = certain
        return joint

    def _false_rate(self) -> Floats:
        """How often each annotator votes a label where it is not the true one, f8[A, K]."""
        votes, untrue = self.votes, 1.0 - softmax(self.joint)
        A, K = votes.n_annotators, votes.n_labels
        cell = votes.annotator.astype(np.int64) * K + votes.label
        given = np.bincount(cell, untrue[votes.task, votes.label], minlength=A * K).reshape(A, K)
        columns = [np.bincount(votes.annotator, untrue[votes.task, label], minlength=A) for label in range(K)]
        possible = np.stack(columns, axis=1)
        return np.where(possible > 0, given / np.where(possible > 0, possible, 1.0), 0.0)

    def _best_concentration(self) -> float:
        """The one under which each vote is most probable given the others."""
        rows = np.flatnonzero(self.size[self.votes.task] > 1)
        rows = rows[:: 1 + len(rows) // min(SAMPLE, 1 + ROOM // self.votes.n_labels)]
        label = self.votes.label[rows]
        predicted = self._predicted(rows, label)
        fitness = [np.log(self._mixed(predicted, rows, label, c)).sum() for c in CONCENTRATIONS]
        return float(CONCENTRATIONS[int(np.argmax(fitness))])


@dataclass(frozen=True, eq=False)
class _Way:
    """Tasks on which one of a pair was wrong: int[n] which pair, whether the other said the same, and P(they would)."""

    pair: NDArray[np.intp]
    same: NDArray[np.bool_]
    chance: Floats

    def test(self, n_pairs: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
        """By pair: wrong answers, coincident ones, those expected, and their p-value, f8[P] each."""
        order = np.argsort(self.pair, kind="stable")
        wrong = np.bincount(self.pair, minlength=n_pairs)
        coincident = np.bincount(self.pair[self.same], minlength=n_pairs)
        expected = np.bincount(self.pair, self.chance, minlength=n_pairs)
        return wrong, coincident, np.asarray(expected), upper_tail(self.chance[order], wrong, coincident)


def _coincidences(chance: _Chance, pairs: Pairs) -> tuple[_Way, _Way]:
    """Where the first of the pairs was wrong, and where the second was."""
    votes, label = chance.votes, chance.votes.label
    parts: tuple[list[_Way], list[_Way]] = ([], [])
    for pair, one, other in _in_parts(co_votes(votes, pairs), votes.n_labels):
        consensus = chance.consensus_without(one, other)
        for way, erring, following in zip(parts, (one, other), (other, one), strict=True):
            wrong = label[erring] != consensus
            erring, following = erring[wrong], following[wrong]
            same = label[erring] == label[following]
            way.append(_Way(pair[wrong], same, chance.of_wrong(following, label[erring])))
    return _joined(parts[0]), _joined(parts[1])


def _in_parts(found: Iterator[tuple[Rows, Rows, Rows]], width: int) -> Iterator[tuple[Rows, Rows, Rows]]:
    """The same columns in parts of which each row may take so many numbers."""
    for columns in found:
        n_parts = 1 + len(columns[0]) * width // ROOM
        yield from zip(*(np.array_split(column, n_parts) for column in columns), strict=True)


def _joined(parts: list[_Way]) -> _Way:
    return _Way(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("pair", "same", "chance")))


def _votes_of(votes: Votes, annotators: NDArray[np.bool_]) -> Votes:
    rows = np.flatnonzero(annotators[votes.annotator])
    columns = (votes.task[rows], votes.annotator[rows], votes.label[rows])
    return Votes(*columns, votes.n_tasks, votes.n_annotators, votes.n_labels)
