"""What is odd about a crowd, though nothing is wrong: kept as it is, and pointed out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aggregation.offline.labels import alike
from aggregation.offline.reading import Column
from aggregation.offline.words import count, listed

#: What programs write for "nothing"; a crowd may really have said it.
NOTHING = ("nan", "na", "n/a", "#n/a", "null", "none")
#: So many different labels may well have been chosen from a list.
MANY = 50


def oddities(task: Column, worker: Column, label: Column, labels: Sequence[str]) -> list[str]:
    """One sentence each. labels: all of them, also those known from gold alone."""
    said = []
    voted = set(label.names.to_pylist())
    unvoted = [name for name in labels if name not in voted]
    if len(voted) == 1:
        said.append(f"All votes say {voted.pop()!r}: nothing tells good annotators from bad, nor how sure a label is.")
    if len(worker.names) == 1:
        said.append("All votes are of one annotator: nothing checks them.")
    if unvoted:
        said.append(f"Nobody voted {listed(unvoted)}: known as a label from gold or --labels alone.")
    if len(labels) > max(MANY, len(label.index) / 3):
        said.append(
            f"{len(labels):,} different labels in {len(label.index):,} votes: is it free text, or another column?"
        )
    similar = alike(labels)
    if similar:
        said.append(f"Labels kept apart but looking alike, to be merged if they are one: {listed(similar)}.")
    for word, column in (("task", task), ("worker", worker), ("label", label)):
        said += [
            f"{count(rows, 'vote')} {'has' if rows == 1 else 'have'} the {word} {name!r}: if that means it is missing, "
            f"remove {'this row' if rows == 1 else 'these rows'}."
            for name, rows in _nothings(column)
        ]
    return said


def _nothings(column: Column) -> list[tuple[str, int]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = np.flatnonzero(pc.is_in(pc.utf8_lower(column.names), value_set=pa.array(NOTHING)).to_numpy(False))
    return [(column.names[int(i)].as_py(), int((column.index == i).sum())) for i in found]
