"""Gold from a file: known answers of voted tasks, and what is wrong or odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregation.core.votes import Ints
from aggregation.offline import labels
from aggregation.offline.files import BadFile, Source
from aggregation.offline.reading import Column, find, positions, read
from aggregation.offline.scanning import place, rows, within
from aggregation.offline.words import count, listed

SHOWN = 3


@dataclass(frozen=True, eq=False)
class Gold:
    """Known answers. label: int32[T], -1 where unknown; unseen: tasks with gold that nobody voted on, left out."""

    label: Ints
    unseen: int


@dataclass(frozen=True, eq=False)
class Known:
    """Rows of a gold file. at: for each of its tasks, the index among the voted ones, -1 where nobody voted."""

    source: Source
    columns: Sequence[str]
    task: Column
    label: Column
    at: Ints
    voted_tasks: Column

    @cached_property
    def labels(self) -> list[str]:
        """The labels of voted tasks."""
        seen = self.at[self.task.index] >= 0
        return sorted(self.label.names[int(index)].as_py() for index in np.unique(self.label.index[seen]))

    def as_gold(self, order: Sequence[str]) -> Gold:
        """Raises BadFile at a label that is not in order."""
        labels.check(self.source, self.columns[1], self.labels, order)
        task = self.at[self.task.index]
        gold = np.full(len(self.voted_tasks.names), -1, np.int32)
        gold[task[task >= 0]] = positions(self.label.names, order)[self.label.index[task >= 0]]
        return Gold(gold, int((self.at < 0).sum()))

    def check_spelling(self, voted: Sequence[str]) -> None:
        """Raises BadFile at a label that nobody voted though one that looks like it was: they would count as two."""
        spelt = {labels.likeness(label): label for label in voted}
        for label in self.labels:
            other = spelt.get(labels.likeness(label), label)
            if other != label and label not in voted:
                where = find(self.source, [self.columns[1]], label)[0]
                raise BadFile(
                    f"{where}: label {label!r} looks like {other!r}, which is how it was voted, but is another text; "
                    "write both alike, or name both in --labels if they are two"
                )

    def oddities(self, voted: Sequence[str]) -> list[str]:
        """One sentence each. voted: the labels of the votes."""
        unseen = [self.task.names[int(i)].as_py() for i in np.flatnonzero(self.at < 0)[:SHOWN]]
        there = [name.as_py() for name in self.voted_tasks.names[:SHOWN]]
        n, missing = len(self.at), int((self.at < 0).sum())
        if missing == n:
            return [
                f"Nobody voted on any of the {count(n, 'task')} with gold (such as {listed(unseen)}), so gold is not "
                f"used. Votes are on tasks such as {listed(there)}: do both files mean the same tasks?"
            ]
        said = []
        if missing:
            said.append(
                f"{count(missing, 'gold task')} of {n:,} (such as {listed(unseen)}) "
                f"{'has' if missing == 1 else 'have'} no votes and {'is' if missing == 1 else 'are'} not used."
            )
        if not set(self.labels) & set(voted):
            said.append(
                f"Nobody voted any of the labels of gold ({listed(self.labels)}); the votes say {listed(voted)}. Is "
                "this the right file, and the right column?"
            )
        return said


def read_known(source: Source, columns: Sequence[str], voted_tasks: Column) -> Known:
    """Read gold (columns task, label). Raises BadFile where it contradicts itself."""
    task, label = read(source, columns)
    _check_conflicts(source, columns, task, label)
    return Known(source, columns, task, label, positions(task.names, voted_tasks.names), voted_tasks)


def _check_conflicts(source: Source, columns: Sequence[str], task: Column, label: Column) -> None:
    first = np.full(len(task.names), -1, np.int32)
    first[task.index[::-1]] = label.index[::-1]  # of several, the first row is written last
    conflict = np.flatnonzero(first[task.index] != label.index)
    if not conflict.size:
        return
    name, other = task.names[int(task.index[conflict[0]])].as_py(), label.names[int(label.index[conflict[0]])].as_py()
    answers = [(number, values[1]) for number, values in rows(source, columns) if values[0] == name]
    again = next(number for number, value in answers if value == other)
    before, answer = answers[0]
    raise BadFile(
        f"{place(source, again)}: gold of task {name!r} is {other!r}, but {answer!r} in {within(source, before)}; "
        "keep one of them"
    )
