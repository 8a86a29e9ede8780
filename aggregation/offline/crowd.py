"""A crowd's votes and gold from files: names become indices, repeats and oddities are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.core.fit import DENSE_LABELS
from aggregation.core.votes import Votes
from aggregation.offline.files import BadFile, Source
from aggregation.offline.gold import Gold, read_known
from aggregation.offline.labels import check, in_order
from aggregation.offline.oddities import oddities
from aggregation.offline.reading import Column, positions, read

#: Larger tables of tasks x labels or labels x labels (8 bytes a cell, several at once) fit no ordinary machine.
MAX_CELLS = 250_000_000
#: Nor do more labels voted by each annotator x kinds of tasks x labels: 180 bytes each, where confusions are estimated.
MAX_RATES = 100_000_000


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
        known = read_known(gold, [(gold_columns or {}).get(word, word) for word in ("task", "label")], task)
    voted = label.names.to_pylist()
    if labels is not None:
        check(votes, names[2], voted, labels)
    elif known:
        known.check_spelling(voted)
    order = in_order({*voted, *(known.labels if known else [])}, labels, ordinal, votes.name)
    _check_size(len(task.names), len(worker.names), order, len(label.index), votes.name)
    kept, repeated, conflicting = _first_votes(task, worker, label)
    as_label = positions(label.names, order)
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
        warnings=(*(known.oddities(voted) if known else ()), *oddities(task, worker, label, order)),
    )


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


def _check_size(n_tasks: int, n_annotators: int, labels: Sequence[str], n_votes: int, name: str) -> None:
    K = len(labels)
    if max(n_tasks, K) * K > MAX_CELLS:
        raise BadFile(
            f"{name}: {n_tasks:,} tasks with {K:,} different labels (such as {labels[0]!r}) do not fit in "
            "memory; is this the right column? Say which one holds the label with --columns label=name"
        )
    if K <= DENSE_LABELS and min(n_votes, n_annotators * K) * 2 * K > MAX_RATES:
        raise BadFile(
            f"{name}: {n_votes:,} votes by {n_annotators:,} annotators with {K} labels do not fit in memory; is this "
            "the right column? Say which one holds the annotator with --columns worker=name"
        )
