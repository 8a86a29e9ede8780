"""What is odd about a crowd, though nothing is wrong: kept as it is, and pointed out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from aggregation.offline.reading import Column

#: What programs write for "nothing"; a crowd may really have said it.
NOTHING = ("nan", "na", "n/a", "#n/a", "null", "none")
#: So many different labels may well have been chosen from a list.
MANY = 50
SHOWN, LONGEST = 8, 40


def oddities(task: Column, worker: Column, label: Column, labels: Sequence[str]) -> list[str]:
    """One sentence each. labels: all of them, also those known from gold alone."""
    said = []
    voted = set(label.names.to_pylist())
    unvoted = [name for name in labels if name not in voted]
    if len(voted) == 1:
        said.append(f"All votes say {voted.pop()!r}: there is nothing to compare.")
    if len(worker.names) == 1:
        said.append("All votes are of one annotator: nothing checks them.")
    if unvoted:
        said.append(f"Nobody voted {_listed(unvoted)}: known as a label from gold or --labels alone.")
    if len(labels) > max(MANY, len(label.index) / 3):
        said.append(
            f"{len(labels):,} different labels in {len(label.index):,} votes: is it free text, or another column?"
        )
    alike = _alike(labels)
    if alike:
        said.append(f"Labels kept apart but looking alike, to be merged if they are one: {_listed(alike)}.")
    for word, column in (("task", task), ("worker", worker), ("label", label)):
        said += [
            f"{rows:,} votes have the {word} {name!r}: remove these rows if that means it is missing."
            for name, rows in _nothings(column)
        ]
    return said


def _alike(labels: Sequence[str]) -> list[str]:
    """Labels that differ from another only in white space, letter case or how Unicode spells them."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(unicodedata.normalize("NFC", label.strip()).casefold(), []).append(label)
    return [label for group in groups.values() if len(group) > 1 for label in group]


def _nothings(column: Column) -> list[tuple[str, int]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = np.flatnonzero(pc.is_in(pc.utf8_lower(column.names), value_set=pa.array(NOTHING)).to_numpy(False))
    return [(column.names[int(i)].as_py(), int((column.index == i).sum())) for i in found]


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…") for name in names[:SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
