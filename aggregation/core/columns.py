"""Columns of names, as a table has them, to votes of indices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.core.votes import Ints, Votes

#: Whole numbers are looked up in a table of all those in their range, if it has at most so many entries per row.
ENTRIES_PER_ROW = 4


@dataclass(frozen=True, eq=False)
class Encoded:
    """Votes, and what each of their tasks, annotators and labels is called."""

    votes: Votes
    tasks: NDArray[Any]
    annotators: NDArray[Any]
    labels: NDArray[Any]


def encode(task: Any, annotator: Any, label: Any) -> Encoded:
    """Votes from three columns of equal length: arrays, pandas or pyarrow columns of whole numbers or strings.

    Numbers are named in ascending order, anything else in order of first appearance. All three are read at once. Raises
    ValueError naming the column and the first row that is empty.
    """
    columns = {"task": task, "annotator": annotator, "label": label}
    with ThreadPoolExecutor(len(columns)) as pool:
        coded = list(pool.map(_encode, columns, columns.values()))
    (tasks, names), (annotators, people), (labels, answers) = coded
    return Encoded(
        Votes(tasks, annotators, labels, len(names), len(people), max(len(answers), 1)), names, people, answers
    )


def _encode(field: str, column: Any) -> tuple[Ints, NDArray[Any]]:
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        return _whole_numbers(np.asarray(column))
    import pyarrow as pa

    values = pa.array(column)
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(f"{field} in row {row} is empty")
    values = values.dictionary_encode()
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values.indices.to_numpy(), values.dictionary.to_numpy(zero_copy_only=False)


def _whole_numbers(values: NDArray[np.integer]) -> tuple[Ints, NDArray[Any]]:
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    span = high - low + 1
    if span > ENTRIES_PER_ROW * len(values) + 1:
        names, index = np.unique(values, return_inverse=True)
        return index.astype(np.int32), names
    at = values if low == 0 else values - low
    seen = np.zeros(span, dtype=np.bool_)
    seen[at] = True
    if seen.all():
        return at.astype(np.int32), np.arange(low, high + 1)
    rank = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    return rank[at], np.flatnonzero(seen) + low
