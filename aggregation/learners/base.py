"""The contract of a learner.

    learner = LEARNERS["text"]
    fit = learner.fit(payloads, Target.winning(posterior), ["text"], seed=0)
    fit.held_out                               # f8[n, K]: no row was predicted by what had seen it
    fit.learned.predict_proba(other_payloads)  # f8[N, K]
    for ids, rows, proba in predict_stream(fit.learned, batches): ...  # a pool that never lies in memory
    load(fit.learned.save())                   # npz and JSON with a checksum, never pickle

Targets must come from votes, gold or experts: a learner never learns from itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from aggregation.learners.curve import Points
from aggregation.learners.reading import BadRow, Payloads
from aggregation.learners.storage import Arrays
from aggregation.learners.target import Floats, Target

Ids = TypeVar("Ids")
R = TypeVar("R")


class Learned(Protocol):
    """A trained learner: predicts from payloads, and can be stored."""

    @property
    def n_labels(self) -> int: ...

    def predict_proba(self, payloads: Payloads) -> Floats:
        """Predictions f8[N, K], rows sum to 1, none is 0. Raises ValueError naming a bad row and its field."""

    def member_proba(self, payloads: Payloads) -> Floats:
        """What each of M >= 1 learners taught on different rows predicts, f8[M, N, K]: see `acquisition.bald`.

        They are there after a fit; one that was stored has no other member than itself.
        """

    def features(self, payloads: Payloads) -> NDArray[np.float32]:
        """What it tells payloads apart by, f4[N, D], as few columns as `sketch` gives. Raises ValueError as above."""

    def save(self) -> bytes:
        """The whole as one npz file. Equal learned models give equal bytes."""


@dataclass(frozen=True, eq=False)
class LearnerFit:
    """The learner trained on everything, and what says how good it is.

    held_out: f8[n, K], predictions of the rows taught, each by one that had not seen it.
    """

    learned: Learned
    held_out: Floats


class Learner(Protocol):
    """One kind of learner."""

    @property
    def name(self) -> str:
        """What it is called in the registry and in stored files."""

    def fit(
        self, payloads: Payloads, target: Target, fields: Sequence[str], *, folds: int | None = None, seed: int = 0
    ) -> LearnerFit:
        """Train on these fields of n payloads. Deterministic by seed; the order of the payloads decides the folds.

        One label only, or rows that are all alike, give the labels' shares, smoothed. Raises ValueError naming the
        first row and field that can't be read, or the first target that can't be taught.
        """

    def points(self, payloads: Payloads, target: Target, fields: Sequence[str], *, seed: int = 0) -> Points:
        """How good it is when taught fewer of these payloads; deterministic by seed."""

    def restore(self, fields: Sequence[str], groups: Mapping[str, Arrays]) -> Learned:
        """The learned that was saved. Raises KeyError or ValueError if its arrays are others."""


#: Rows that can't be read and are left out; where there are more, the fields are the wrong ones.
MOST_BAD = 100


def fit_readable(
    learner: Learner, payloads: Payloads, target: Target, fields: Sequence[str], *, seed: int = 0
) -> tuple[NDArray[np.intp], LearnerFit]:
    """The rows that the learner can read, int[m] ascending, and what it learnt from them: see `without_bad_rows`."""
    return without_bad_rows(payloads, lambda some, rows: learner.fit(some, target[rows], fields, seed=seed))


def without_bad_rows(payloads: Payloads, work: Callable[[Payloads, NDArray[np.intp]], R]) -> tuple[NDArray[np.intp], R]:
    """The rows of payloads in which nothing is bad, int[m] ascending, and what `work` makes of these.

    Where most others differ from the first, that one is left out. Raises BadRow if more than `MOST_BAD`, or half of
    them, are bad.
    """
    most = min(MOST_BAD, len(payloads) // 2)
    worst: BadRow | None = None
    for first in (0, 1):
        rows = np.arange(first, len(payloads))
        while len(rows) and len(payloads) - len(rows) <= most:
            some = payloads if len(rows) == len(payloads) else [payloads[int(row)] for row in rows]
            try:
                return rows, work(some, rows)
            except BadRow as error:
                worst = worst or error
                rows = np.delete(rows, error.row)
    raise worst or ValueError("no payloads to learn from")


def predict_stream(
    learned: Learned, batches: Iterable[tuple[Ids, Payloads]]
) -> Iterator[tuple[Ids, NDArray[np.intp], Floats]]:
    """Predict a pool batch by batch: for each, its ids, the rows that could be read, int[m], and f8[m, K] for them.

    One batch is held at a time; a row that can't be read is left out, not its batch.
    """
    for ids, payloads in batches:
        yield ids, *predict_readable(learned, payloads)


def predict_readable(learned: Learned, payloads: Payloads) -> tuple[NDArray[np.intp], Floats]:
    """The rows that the learner can read, int[m] ascending, and its predictions for them, f8[m, K].

    Bad rows are found by halving, so that a few among thousands cost little.
    """
    try:
        return np.arange(len(payloads)), learned.predict_proba(payloads)
    except ValueError:
        if len(payloads) == 1:
            return np.empty(0, np.intp), np.empty((0, learned.n_labels))
        half = len(payloads) // 2
        first, proba = predict_readable(learned, payloads[:half])
        second, more = predict_readable(learned, payloads[half:])
        return np.concatenate([first, half + second]), np.concatenate([proba, more])
