"""Votes as arrays: the one input of every label model."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
R = TypeVar("R")

#: Nothing that is known of a task alone makes a label less likely than this: votes can always overrule it.
TASK_PRIOR_FLOOR = 1e-10


@dataclass(frozen=True, eq=False)
class ByTask:
    """The votes of task t are cell[start[t] : start[t + 1]], ascending, whatever order they came in.

    start: int64[T + 1]. cell: int32[n] (int64 where A * K needs it): annotator * K + label. task_prior: of `Votes`.
    """

    start: NDArray[np.int64]
    cell: NDArray[np.signedinteger]
    n_annotators: int
    n_labels: int
    task_prior: Floats | None = None

    @property
    def task(self) -> NDArray[np.int64]:
        """The task of each vote, int64[n]."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    @cached_property
    def cells(self) -> Cells:
        """The cells that occur: tables of them are never larger than the votes, however many annotators there are."""
        occurs = np.zeros(self.n_annotators * self.n_labels, dtype=bool)
        occurs[self.cell] = True
        annotator, label = np.divmod(np.flatnonzero(occurs), self.n_labels)
        return Cells(annotator, label, self.n_annotators, self.n_labels)

    @cached_property
    def row(self) -> NDArray[np.signedinteger]:
        """The place of each vote's cell among `cells`, int32[n] (int64 where cell is)."""
        if len(self.cells) == self.n_annotators * self.n_labels:
            return self.cell
        place = np.zeros(self.n_annotators * self.n_labels, self.cell.dtype)
        place[self.cells.annotator * self.n_labels + self.cells.label] = np.arange(len(self.cells))
        return np.asarray(place[self.cell])


@dataclass(frozen=True, eq=False)
class Cells:
    """The R pairs of an annotator and a label they voted for that occur, ascending. annotator, label: int64[R]."""

    annotator: NDArray[np.int64]
    label: NDArray[np.int64]
    n_annotators: int
    n_labels: int

    def __len__(self) -> int:
        return len(self.annotator)

    def by_annotator(self, values: Floats) -> Floats:
        """Sums f8[A, C] of what each annotator's cells hold, values f8[R, C]."""
        return np.asarray(self._belongs @ values)

    @cached_property
    def _belongs(self) -> Any:
        """Ones where a cell is an annotator's, sparse [A, R]: adding up rows by it is the fastest way there is."""
        from scipy.sparse import csr_array  # slow to import, and no web process asks

        last = np.cumsum(np.bincount(self.annotator, minlength=self.n_annotators))
        parts = np.ones(len(self)), np.arange(len(self)), np.append(0, last)
        return csr_array(parts, shape=(self.n_annotators, len(self)))

    def by_label(self, values: Floats) -> Floats:
        """Sums f8[K, C] of what the cells of each label hold, values f8[R, C]."""
        columns = [np.bincount(self.label, column, minlength=self.n_labels) for column in values.T]
        return np.stack(columns, axis=1).astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Votes:
    """n votes, one per row, on T tasks by A annotators with K labels.

    task, annotator, label: int32[n], indices in 0..T-1, 0..A-1 and 0..K-1. Other integer types are
    converted into a copy; what the caller passed in is never changed.

    task_prior: f8[T, K], what is known of each task before anybody votes on it, a learner's prediction say; rows sum to
    1. None: of all tasks the same, which label models then estimate. Those that climb by EM (`aggregation.core.em`)
    heed it; the others do without.

    Raises ValueError naming the field and the first bad row.
    """

    task: Ints
    annotator: Ints
    label: Ints
    n_tasks: int
    n_annotators: int
    n_labels: int
    task_prior: Floats | None = None

    def __post_init__(self) -> None:
        if self.n_labels < 1:
            raise ValueError(f"n_labels is {self.n_labels}; at least one label is needed")
        sizes = {"task": self.n_tasks, "annotator": self.n_annotators, "label": self.n_labels}
        for field, size in sizes.items():
            object.__setattr__(self, field, _indices(field, getattr(self, field), size))
        for field in ("annotator", "label"):
            if len(getattr(self, field)) != len(self.task):
                raise ValueError(f"{field} has {len(getattr(self, field))} rows, task has {len(self.task)}")
        if self.task_prior is not None:
            _check_task_prior(self.task_prior, (self.n_tasks, self.n_labels))

    def __len__(self) -> int:
        return len(self.task)

    @cached_property
    def by_task(self) -> ByTask:
        """The same votes sorted: once, when first asked for."""
        start = np.zeros(self.n_tasks + 1, np.int64)
        np.cumsum(np.bincount(self.task, minlength=self.n_tasks), out=start[1:])
        width = self.n_annotators * self.n_labels
        cell: NDArray[Any] = self.annotator.astype(np.int32 if width <= np.iinfo(np.int32).max else np.int64)
        cell *= self.n_labels
        cell += self.label
        # Sorted as one number each, the task in its upper bits: much faster than by two keys.
        bits = width.bit_length()
        key = self.task.astype(np.int64)
        key <<= bits
        key |= cell
        key.sort()
        key &= (1 << bits) - 1
        cell[:] = key
        alone = None if self.task_prior is None else np.maximum(self.task_prior, TASK_PRIOR_FLOOR)
        return ByTask(start, cell, self.n_annotators, self.n_labels, alone)

    def those(self, rows: NDArray[np.bool_]) -> Votes:
        """Some of the votes, bool[n], on the same tasks by the same annotators."""
        return replace(self, task=self.task[rows], annotator=self.annotator[rows], label=self.label[rows])

    def once(self, name: Hashable, work: Callable[[], R]) -> R:
        """What work() gives: done when it is first asked for by that name, and kept as long as these votes are."""
        if name not in self._kept:
            self._kept[name] = work()
        return cast(R, self._kept[name])

    @cached_property
    def _kept(self) -> dict[Hashable, object]:
        return {}

    def per_task(self) -> Floats:
        """Votes of each task for each label, f8[T, K]."""
        cell = self.task.astype(np.int64) * self.n_labels + self.label
        counts = np.bincount(cell, minlength=self.n_tasks * self.n_labels)
        return counts.astype(np.float64).reshape(self.n_tasks, self.n_labels)


def check_gold(gold: Ints | None, votes: Votes) -> Ints:
    """Gold as int32[T], -1 where unknown; None means all unknown. Raises ValueError naming the first bad task."""
    if gold is None:
        return np.full(votes.n_tasks, -1, np.int32)
    values = np.asarray(gold)
    if values.shape != (votes.n_tasks,):
        raise ValueError(f"gold has shape {values.shape}; expected ({votes.n_tasks},)")
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"gold must hold integers, not {values.dtype}")
    _check_range("gold", values, -1, votes.n_labels)
    return values.astype(np.int32)


def _check_task_prior(prior: Floats, shape: tuple[int, int]) -> None:
    if prior.shape != shape:
        raise ValueError(f"task_prior has shape {prior.shape}; expected {shape}")
    bad = np.flatnonzero(~(np.isfinite(prior).all(axis=1) & (prior >= 0).all(axis=1)))
    bad = bad if bad.size else np.flatnonzero(np.abs(prior.sum(axis=1) - 1.0) > 1e-6)
    if bad.size:
        raise ValueError(
            f"task_prior in row {bad[0]} is {prior[bad[0]].tolist()}; expected probabilities that sum to 1"
        )


def _indices(field: str, values: Ints, size: int) -> Ints:
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{field} must be one-dimensional, not {array.ndim}-dimensional")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{field} must hold integers, not {array.dtype}")
    _check_range(field, array, 0, size)
    return np.ascontiguousarray(array, dtype=np.int32)


def _check_range(field: str, values: NDArray[np.integer], low: int, size: int) -> None:
    bad = np.flatnonzero((values < low) | (values >= size))
    if bad.size:
        row = int(bad[0])
        raise ValueError(f"{field} in row {row} is {values[row]}; expected {low}..{size - 1}")
