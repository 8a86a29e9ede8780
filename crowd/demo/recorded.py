"""Recorded crowds: votes and gold from files, `task,worker,label` and `task,label`."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.votes import Votes

BLUEBIRD = Path(__file__).parent / "data" / "bluebird"
LABELS = range(2, 201)  # how many a project may have


class BadFile(Exception):
    """A file is not what it should be; the message names file and line."""


@dataclass(frozen=True)
class RecordedCrowd:
    """Every vote in the file's order, and gold for some of the tasks, all as they are written."""

    votes: list[tuple[str, str, str]]  # task, worker, label
    gold: dict[str, str] = field(default_factory=dict)

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(task for task, _, _ in self.votes))

    @property
    def workers(self) -> list[str]:
        return list(dict.fromkeys(worker for _, worker, _ in self.votes))

    @property
    def labels(self) -> list[str]:
        """Those that occur, numbers by size."""
        found = {label for _, _, label in self.votes} | set(self.gold.values())
        return sorted(found, key=lambda label: (len(label), label) if label.isdecimal() else (1000, label))

    def majority(self) -> dict[str, str]:
        """The label of every task by majority vote, the first label in a tie. A repeated vote counts once."""
        tasks, workers, labels = (
            {name: i for i, name in enumerate(names)} for names in (self.tasks, self.workers, self.labels)
        )
        once = {(task, worker): label for task, worker, label in reversed(self.votes)}
        rows = np.array([(tasks[t], workers[w], labels[label]) for (t, w), label in once.items()], dtype=np.int32)
        votes = Votes(rows[:, 0], rows[:, 1], rows[:, 2], len(tasks), len(workers), len(labels))
        winner = LABEL_MODELS["majority_vote"](votes, None).posterior.argmax(axis=1)
        return {task: self.labels[winner[row]] for task, row in tasks.items()}

    def as_csv(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["task", "worker", "label"])
        writer.writerows(self.votes)
        return text.getvalue().encode()


def bluebird() -> RecordedCrowd:
    """The real crowd that comes with the demo: data/bluebird/README.md."""
    return read_crowd(BLUEBIRD / "votes.csv", BLUEBIRD / "gold.csv")


def read_crowd(votes: Path, gold: Path | None = None) -> RecordedCrowd:
    """A recorded crowd from CSV files, gzipped or not. Raises BadFile."""
    rows = [tuple(row) for row in _rows(votes, ("task", "worker", "label"))]
    crowd = RecordedCrowd([(task, worker, label) for task, worker, label in rows], _gold(gold, rows) if gold else {})
    if len(crowd.labels) not in LABELS:
        raise BadFile(f"{votes}: {len(crowd.labels)} different labels occur; a project has 2 to 200 of them")
    return crowd


def _gold(path: Path, votes: list[tuple[str, ...]]) -> dict[str, str]:
    """Gold of the tasks that have votes."""
    voted = {task for task, *_ in votes}
    gold: dict[str, str] = {}
    for task, label in _rows(path, ("task", "label")):
        if gold.setdefault(task, label) != label:
            raise BadFile(f"{path}: task {task!r} has two gold labels, {gold[task]!r} and {label!r}")
    known = {task: label for task, label in gold.items() if task in voted}
    if not known:
        raise BadFile(f"{path}: none of its tasks has votes")
    return known


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[list[str]]:
    """These columns of every line, none of them empty. Raises BadFile."""
    try:
        opened = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
            yield from _checked(path, lines, columns)
    except (OSError, EOFError) as error:
        raise BadFile(f"{path}: can't be read: {error}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: is not UTF-8") from error
    except csv.Error as error:
        raise BadFile(f"{path}: is not valid CSV: {error}") from error


def _checked(path: Path, lines: Iterable[str], columns: tuple[str, ...]) -> Iterator[list[str]]:
    reader = csv.DictReader(lines, strict=True)
    missing = [name for name in columns if name not in (reader.fieldnames or [])]
    if missing:
        raise BadFile(f"{path}: its first line must name the columns {','.join(columns)}; {missing[0]} is missing")
    empty = True
    for row in reader:
        empty = False
        values = [(row[name] or "").strip() for name in columns]
        if not all(values):
            raise BadFile(f"{path}: line {reader.line_num}: {columns[values.index('')]} is missing")
        yield values
    if empty:
        raise BadFile(f"{path}: holds no lines but the first")
