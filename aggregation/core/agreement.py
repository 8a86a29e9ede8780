"""Agreement: how far annotators say the same, from raw votes alone.

Of several votes of one annotator on one task only the first counts: nobody agrees with themselves. A statistic that
the votes leave undefined is NaN, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aggregation.core.co_votes import CoVotes, first_votes, of_the_active
from aggregation.core.votes import Floats, Ints, Votes

Level = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(votes: Votes, level: Level = "nominal", values: Floats | None = None) -> float:
    """Krippendorff's alpha: 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement.

    level: how far apart two labels are. nominal: equal or not; ordinal: by rank, labels 0..K-1 being in order;
    interval: by the difference of their values f8[K]. Tasks with fewer than two votes say nothing and are left out.
    NaN if no task has two votes, or if all votes that could be paired are the same (or of the same value).
    Raises ValueError on an unknown level and on values that are missing, not wanted, or not K finite numbers.

    Krippendorff, K.: Computing Krippendorff's Alpha-Reliability, University of Pennsylvania, 2011; Hayes, A. F. and
    Krippendorff, K.: Answering the Call for a Standard Reliability Measure for Coding Data, Communication Methods and
    Measures 1(1), 2007, doi:10.1080/19312450709336664.
    """
    units = _Units.of(votes)
    return _alpha(units, units.copies, level, _check_values(level, values, votes.n_labels))


def alpha_interval(
    votes: Votes,
    level: Level = "nominal",
    values: Floats | None = None,
    *,
    mass: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of Krippendorff's alpha, tasks (those with two votes) drawn with replacement.

    mass: of the interval, 0..1. Equal seeds give equal intervals. Draws in which alpha is undefined are left out;
    (NaN, NaN) if it is undefined in all of them. Raises ValueError as `krippendorff_alpha` does.
    """
    units = _Units.of(votes)
    checked = _check_values(level, values, votes.n_labels)
    random = np.random.default_rng(seed)
    total = int(units.copies.sum())
    copies = (random.multinomial(total, units.copies / total).astype(np.float64) for _ in range(draws if total else 0))
    drawn = np.array([_alpha(units, weight, level, checked) for weight in copies])
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [(1.0 - mass) / 2, (1.0 + mass) / 2])
    return float(low), float(high)


def fleiss_kappa(votes: Votes) -> float:
    """Fleiss' kappa: 1 is perfect agreement, 0 what chance gives.

    Where tasks have differing numbers of votes, every task with at least two weighs the same, in the agreement
    observed and in the label frequencies that give the agreement by chance; the others are left out. NaN if there is
    no such task, or if all their votes are for one label.

    Fleiss, J. L.: Measuring Nominal Scale Agreement among Many Raters, Psychological Bulletin 76(5), 1971,
    doi:10.1037/h0031619.
    """
    units = _Units.of(votes)
    if not len(units.size):
        return np.nan
    weight = units.copies / units.copies.sum()
    observed = weight @ (units.agreeing_pairs() / (units.size * (units.size - 1.0)))
    frequency = (weight / units.size) @ units.counts
    return float(_kappa(float(observed), float((frequency**2).sum())))


def cohen_kappa(votes: Votes, first: int, second: int) -> float:
    """Cohen's kappa of two annotators over the tasks that both voted on: 1 is perfect agreement, 0 that of chance.

    NaN if there is no such task, or if both gave one and the same label to all of them. Raises ValueError if an
    annotator is none of 0..A-1.

    Cohen, J.: A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1), 1960,
    doi:10.1177/001316446002000104.
    """
    for annotator in (first, second):
        if not 0 <= annotator < votes.n_annotators:
            raise ValueError(f"annotator is {annotator}; expected 0..{votes.n_annotators - 1}")
    kept = first_votes(votes)
    one, other = (kept.annotator == annotator for annotator in (first, second))
    _, i, j = np.intersect1d(kept.task[one], kept.task[other], assume_unique=True, return_indices=True)
    if not len(i):
        return np.nan
    mine, theirs = kept.label[one][i], kept.label[other][j]
    frequency = [np.bincount(labels, minlength=votes.n_labels) / len(i) for labels in (mine, theirs)]
    return float(_kappa(float((mine == theirs).mean()), float(frequency[0] @ frequency[1])))


@dataclass(frozen=True, eq=False)
class Pairs:
    """The P pairs of annotators who voted on the same tasks, ordered by first, then second.

    first, second: int32[P], first < second. overlap: int32[P], tasks that both voted on. agreement: f8[P], the share
    of them that both gave the same label. kappa: f8[P], Cohen's; NaN where undefined.
    """

    n_annotators: int
    first: Ints
    second: Ints
    overlap: Ints
    agreement: Floats
    kappa: Floats

    def __len__(self) -> int:
        return len(self.first)

    def matrix(self, values: NDArray[np.generic]) -> sparse.csr_array:
        """One of the columns as a symmetric sparse annotator-by-annotator matrix [A, A] without diagonal."""
        rows = np.concatenate([self.first, self.second])
        columns = np.concatenate([self.second, self.first])
        shape = (self.n_annotators, self.n_annotators)
        return sparse.csr_array((np.concatenate([values, values]), (rows, columns)), shape=shape)


def pairwise(votes: Votes, min_overlap: int = 1) -> Pairs:
    """Overlap, agreement and Cohen's kappa of all pairs of annotators with at least min_overlap tasks in common.

    Memory is proportional to the pairs that there are, never A * A; time to the co-votes, the sum over tasks of their
    votes squared. Raises ValueError if min_overlap is below 1.
    """
    if min_overlap < 1:
        raise ValueError(f"min_overlap is {min_overlap}; expected at least 1")
    pair, overlap, agreeing, chance = CoVotes(of_the_active(first_votes(votes), min_overlap)).pairs(min_overlap)
    first, second = np.divmod(pair, votes.n_annotators)
    agreement = agreeing / overlap
    return Pairs(
        votes.n_annotators,
        first.astype(np.int32),
        second.astype(np.int32),
        overlap.astype(np.int32),
        agreement,
        _kappa(agreement, chance / overlap**2),
    )


@dataclass(frozen=True, eq=False)
class _Units:
    """Tasks with at least two votes, those that were voted on alike taken together; U kinds of them.

    counts: their votes by label, sparse [U, K]. size: f8[U], votes of each. copies: f8[U], tasks of each kind.
    """

    counts: sparse.csr_array
    size: Floats
    copies: Floats

    @classmethod
    def of(cls, votes: Votes) -> _Units:
        kept = first_votes(votes)
        entries = (np.ones(len(kept)), (kept.task, kept.label))
        counts = sparse.csr_array(entries, shape=(kept.n_tasks, kept.n_labels))
        size = np.bincount(kept.task, minlength=kept.n_tasks)
        paired = np.flatnonzero(size >= 2)
        # Tasks are alike if their votes' random numbers have equal sums: by accident once in 2**64.
        numbers = np.random.default_rng(0).integers(2**64, size=kept.n_labels, dtype=np.uint64)
        sums = np.asarray(counts[paired].astype(np.uint64) @ numbers, dtype=np.uint64)
        _, of_kind, copies = np.unique(sums, return_index=True, return_counts=True)
        chosen = paired[of_kind]
        return cls(counts[chosen], size[chosen].astype(np.float64), copies.astype(np.float64))

    def agreeing_pairs(self) -> Floats:
        """Ordered pairs of votes of a task for the same label, f8[U]."""
        return np.asarray(self.counts.power(2).sum(axis=1)) - self.size

    def squared_differences(self, values: Floats) -> Floats:
        """Squared differences of all ordered pairs of votes of a task, f8[U]; values: f8[K]."""
        mean = self.counts @ values / self.size
        unit = np.repeat(np.arange(len(self.size)), np.diff(self.counts.indptr))
        deviation = (values[self.counts.indices] - mean[unit]) ** 2
        return 2.0 * self.size * np.bincount(unit, self.counts.data * deviation, minlength=len(self.size))


def _check_values(level: Level, values: Floats | None, n_labels: int) -> Floats | None:
    if level not in get_args(Level):
        raise ValueError(f"level is {level!r}; expected one of {', '.join(get_args(Level))}")
    if level != "interval":
        if values is not None:
            raise ValueError(f"values are given, but level {level} does not use them; expected level interval")
        return None
    checked = np.asarray(values, dtype=np.float64) if values is not None else np.empty(0)
    if checked.shape != (n_labels,) or not np.isfinite(checked).all():
        raise ValueError(f"level interval needs values: the finite number of each of the {n_labels} labels")
    return checked


def _alpha(units: _Units, weight: Floats, level: Level, values: Floats | None) -> float:
    """Alpha of weight f8[U] tasks of each kind: 1 - observed / expected disagreement.

    The ordinal metric of Krippendorff is the squared difference of mid-ranks, so it is interval in disguise.
    """
    frequency = weight @ units.counts
    total = frequency.sum()
    if level == "nominal":
        disagreeing = units.size * (units.size - 1.0) - units.agreeing_pairs()
        expected = total**2 - (frequency**2).sum()
    else:
        places = np.cumsum(frequency) - frequency / 2 if values is None else values
        places = places - (frequency @ places) / max(total, 1.0)
        disagreeing = units.squared_differences(places)
        expected = 2.0 * total * (frequency @ places**2)
    observed = weight @ (disagreeing / (units.size - 1.0))
    voted = np.count_nonzero(frequency) if values is None else len(np.unique(values[frequency > 0]))
    return float(1.0 - (total - 1.0) * observed / expected) if voted > 1 else np.nan


def _kappa(observed: Floats | float, by_chance: Floats | float) -> Floats:
    """Agreement above chance as a share of what it could be; NaN where chance alone agrees always."""
    # Sums of squared shares miss 1 by rounding only.
    room = 1.0 - by_chance
    possible = np.asarray(room > 1e-12)
    return np.where(possible, (observed - by_chance) / np.where(possible, room, 1.0), np.nan)
