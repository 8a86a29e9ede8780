"""Recorded crowds: one folder each, of `votes.csv` (task, worker, label) and `gold.csv` (task, label), or both .gz."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aggregation.core.votes import Ints, Votes

#: Shipped with the project.
BLUEBIRD = Path(__file__).resolve().parent.parent / "crowd/demo/data/bluebird"
#: More labels than this are text or numbers, not a choice.
MOST_LABELS = 50


class Unsuitable(Exception):
    """A folder holds no categorical votes with gold; the message says why."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """votes: the first of each annotator on each task. gold: int32[T], -1 where unknown. tasks: their names."""

    name: str
    votes: Votes
    gold: Ints
    tasks: tuple[str, ...]

    @property
    def gold_tasks(self) -> Ints:
        """The tasks with gold, ascending."""
        return np.flatnonzero(self.gold >= 0).astype(np.int32)


def folders(place: Path) -> list[Path]:
    """The folders with votes in a place, by name."""
    found = sorted(folder for folder in place.iterdir() if _file(folder, "votes"))
    if not found:
        raise FileNotFoundError(f"{place} holds no folder with votes.csv or votes.csv.gz")
    return found


def load(folder: Path) -> Dataset:
    """Read one folder. Raises Unsuitable if it has no gold or too many labels."""
    if not _file(folder, "gold"):
        raise Unsuitable("it has no gold")
    votes: dict[tuple[str, str], str] = {}
    for row in _rows(folder, "votes"):
        votes.setdefault((row["task"], row["worker"]), row["label"])
    truth = {row["task"]: row["label"] for row in _rows(folder, "gold")}
    labels = _numbered([*votes.values(), *truth.values()])
    if len(labels) > MOST_LABELS:
        raise Unsuitable(f"its {len(labels)} labels are no choice of at most {MOST_LABELS}")
    tasks, workers = _numbered(task for task, _ in votes), _numbered(worker for _, worker in votes)
    columns = np.array([(tasks[t], workers[w], labels[label]) for (t, w), label in votes.items()], dtype=np.int32)
    gold = np.full(len(tasks), -1, dtype=np.int32)
    for task, label in truth.items():
        if task in tasks:
            gold[tasks[task]] = labels[label]
    return Dataset(folder.name, Votes(*columns.T, len(tasks), len(workers), len(labels)), gold, tuple(tasks))


def _file(folder: Path, stem: str) -> Path | None:
    return next((path for path in (folder / f"{stem}.csv.gz", folder / f"{stem}.csv") if path.is_file()), None)


def _rows(folder: Path, stem: str) -> list[dict[str, str]]:
    path = _file(folder, stem)
    assert path is not None
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: index for index, name in enumerate(sorted(set(names)))}
