"""A crowd's votes and gold from files: names become indices, repeats and oddities are counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.core.votes import Ints, Votes
from aggregation.offline.files import BadFile, Source
from aggregation.offline.oddities import oddities
from aggregation.offline.reading import Column, find, read
from aggregation.offline.scanning import place, rows

#: Larger tables of tasks x labels or labels x labels (8 bytes a cell, several at once) fit no ordinary machine.
MAX_CELLS = 250_000_000


@dataclass(frozen=True, eq=False)
class Gold:
    """Known answers. label: int32[T], -1 where unknown; unseen: tasks with gold that nobody voted on, left out."""

    label: Ints
    unseen: int


@dataclass(frozen=True, eq=False)
class Crowd:
    """Votes with their names: tasks and annotators by first appearance, labels in their order.

    tasks: a pyarrow string array. repeated: rows left out because their annotator had voted on their task before;
    conflicting: those of them with another label than the first. warnings: oddities, a sentence each.
    """

    votes: Votes
    tasks: Any
    annotators: list[str]
    labels: list[str]
    ordinal: bool
    repeated: int
    conflicting: int
    gold: Gold | None
    warnings: tuple[str, ...]

    def label_values(self) -> list[float] | None:
        """The labels as numbers, if all are."""
        values = [_number(label) for label in self.labels]
        return None if None in values else [value for value in values if value is not None]


def read_crowd(
    votes: Source,
    gold: Source | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    gold_columns: Mapping[str, str] | None = None,
    labels: Sequence[str] | None = None,
    ordinal: bool = False,
) -> Crowd:
    """Read votes (columns task, worker, label) and gold (task, label).

    columns, gold_columns: what those are called in the file, where it differs. labels: all labels in their order; by
    default those that occur, numbers by value and other texts by code point. ordinal: the order means something, so
    labels that are not numbers need `labels`. Of several votes of one annotator on one task the first counts. Raises
    BadFile naming the line of what is wrong.
    """
    names = [(columns or {}).get(word, word) for word in ("task", "worker", "label")]
    task, worker, label = read(votes, names)
    known = None
    if gold is not None:
        known = _read_known(gold, [(gold_columns or {}).get(word, word) for word in ("task", "label")], task)
    voted = label.names.to_pylist()
    order = _order(voted, known.labels if known else [], labels, ordinal, votes.name)
    if labels is not None:
        _check_labels(votes, names[2], voted, order)
    _check_size(len(task.names), order, votes.name)
    kept, repeated, conflicting = _first_votes(task, worker, label)
    as_label = _positions(label.names, order)
    table = Votes(
        task.index[kept],
        worker.index[kept],
        as_label[label.index[kept]],
        len(task.names),
        len(worker.names),
        len(order),
    )
    return Crowd(
        votes=table,
        tasks=task.names,
        annotators=worker.names.to_pylist(),
        labels=order,
        ordinal=ordinal,
        repeated=repeated,
        conflicting=conflicting,
        gold=known.as_gold(order) if known else None,
        warnings=tuple(oddities(task, worker, label, order)),
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """Rows of a gold file: the label, and the task by its index among the voted ones, -1 where nobody voted."""

    source: Source
    columns: Sequence[str]
    task: Ints
    label: Column
    n_tasks: int
    unseen: int

    @property
    def labels(self) -> list[str]:
        """The labels of voted tasks."""
        return [self.label.names[int(index)].as_py() for index in np.unique(self.label.index[self.task >= 0])]

    def as_gold(self, order: Sequence[str]) -> Gold:
        _check_labels(self.source, self.columns[1], self.labels, order)
        seen = self.task >= 0
        gold = np.full(self.n_tasks, -1, np.int32)
        gold[self.task[seen]] = _positions(self.label.names, order)[self.label.index[seen]]
        return Gold(gold, self.unseen)


def _read_known(source: Source, columns: Sequence[str], task: Column) -> _Known:
    known, label = read(source, columns)
    _check_conflicts(source, columns, known, label)
    at = _positions(known.names, task.names)
    return _Known(source, columns, at[known.index], label, len(task.names), int((at < 0).sum()))


def _first_votes(task: Column, worker: Column, label: Column) -> tuple[Any, int, int]:
    """(rows to keep, in order; how many are repeats; how many of these contradict the first)."""
    ordered = _pairs(task, worker)
    ordered.sort()
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered  # as large as all that was read
    if not len(repeated):
        return slice(None), 0, 0
    pair = _pairs(task, worker)
    rows = np.flatnonzero(repeated[np.searchsorted(repeated, pair).clip(max=len(repeated) - 1)] == pair)
    _, first, group = np.unique(pair[rows], return_index=True, return_inverse=True)
    keep = np.ones(len(pair), bool)
    keep[rows] = False
    keep[rows[first]] = True
    conflicting = int((label.index[rows] != label.index[rows[first]][group]).sum())
    return keep, len(rows) - len(first), conflicting


def _pairs(task: Column, worker: Column) -> Any:
    """One number for each (task, worker), int64[n]."""
    pair = task.index.astype(np.int64)
    pair *= len(worker.names)
    pair += worker.index
    return pair


def _positions(names: Any, among: Any) -> Ints:
    """Where each name is in another list, -1 if nowhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    among = pa.array(among, pa.string())
    return np.asarray(pc.index_in(names, value_set=among).fill_null(-1).to_numpy(zero_copy_only=False), np.int32)


def _check_conflicts(source: Source, columns: Sequence[str], task: Column, label: Column) -> None:
    first = np.full(len(task.names), -1, np.int32)
    first[task.index[::-1]] = label.index[::-1]  # of several, the first row is written last
    conflict = np.flatnonzero(first[task.index] != label.index)
    if not conflict.size:
        return
    name, other = task.names[int(task.index[conflict[0]])].as_py(), label.names[int(label.index[conflict[0]])].as_py()
    answers = [(number, values[1]) for number, values in rows(source, columns) if values[0] == name]
    again = next(number for number, value in answers if value == other)
    raise BadFile(
        f"{place(source, again)}: gold of task {name!r} is {other!r}, but {answers[0][1]!r} in line {answers[0][0]}; "
        "keep one of them"
    )


def _order(voted: list[str], added: list[str], given: Sequence[str] | None, ordinal: bool, name: str) -> list[str]:
    if given is not None:
        return list(given)
    labels = sorted({*voted, *added})
    values = {label: _number(label) for label in labels}
    if None not in values.values():
        return sorted(labels, key=lambda label: (values[label], label))
    if ordinal:
        text = next(label for label in labels if values[label] is None)
        raise BadFile(f"{name}: label {text!r} is not a number; give the order of all labels with --labels low,…,high")
    return labels


def _number(text: str) -> float | None:
    """The value of a plain finite number, None of anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _check_labels(source: Source, column: str, found: Sequence[str], allowed: Sequence[str]) -> None:
    unknown = next((name for name in found if name not in allowed), None)
    if unknown is not None:
        where = find(source, [column], unknown)[0]
        raise BadFile(f"{where}: label {unknown!r} is none of those in --labels; correct it or add it there")


def _check_size(n_tasks: int, labels: Sequence[str], name: str) -> None:
    if max(n_tasks, len(labels)) * len(labels) > MAX_CELLS:
        raise BadFile(
            f"{name}: {n_tasks:,} tasks with {len(labels):,} different labels (such as {labels[0]!r}) do not fit in "
            "memory; is this the right column? Say which one holds the label with --columns label=name"
        )
