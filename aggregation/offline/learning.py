"""A policy's learner for a replay: what it reads, from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation.core.policy import Policy
from aggregation.learners import LEARNERS, MissingPackage, Pupil
from aggregation.learners.encoded import EncodedLearner
from aggregation.offline.files import BadFile, Source
from aggregation.offline.reading import positions, read
from aggregation.offline.scanning import header

#: What features from a file are called where a learner asks for a field.
FEATURES = "features"


def known_learner(name: str, learner: str) -> None:
    """Raises BadFile naming the policy if there is no such learner, or none that a replay can teach."""
    if learner == "remote":
        raise BadFile(f"{name}: a remote learner can't be replayed: nobody knows what it would have said")
    if learner not in LEARNERS:
        raise BadFile(f"{name}: learner is {learner!r}; expected one of {', '.join(LEARNERS)}")


@dataclass(frozen=True, eq=False)
class Material:
    """Payloads of all tasks, in the order of the votes' tasks. learner: the one that reads such data by default."""

    payloads: Sequence[Mapping[str, Any]]
    fields: tuple[str, ...]
    learner: str
    name: str

    def with_learner(self, policy: Policy) -> Policy:
        """The policy with the learner, and the fields, that suit the data, where it names none."""
        return replace(
            policy, learner=policy.learner or self.learner, learner_fields=policy.learner_fields or self.fields
        )

    def learnt_by(self, policy: Policy) -> Pupil:
        """The policy's learner on this data. Raises BadFile naming what is wrong with policy or data."""
        assert policy.learner is not None
        fields = policy.learner_fields or self.fields
        learner = LEARNERS.get(policy.learner)
        assert isinstance(learner, EncodedLearner), "what `known_learner` lets pass"
        missing = [field for field in fields if field not in self.fields]
        if missing:
            raise BadFile(f"{self.name} has no column {missing[0]!r}; it has {', '.join(self.fields)}")
        try:
            return Pupil.of(learner, self.payloads, fields)
        except MissingPackage as error:
            raise BadFile(str(error)) from error
        except ValueError as error:
            raise BadFile(f"{self.name}: {error} (rows are the tasks in the order of the votes, from 0)") from error


def read_items(source: Source, tasks: Any) -> Material:
    """Texts of the tasks: a column `task`, and others. tasks: pyarrow strings. Raises BadFile if one has no row."""
    names = header(source, ["task"]) if source.format == "csv" else _names(source)
    fields = tuple(name for name in names if name != "task")
    if "task" not in names or not fields:
        raise BadFile(f"{source.name}: expected a column task, and others for the learner to read")
    task, *columns = read(replace(source, blank=frozenset(fields)), ["task", *fields])
    row = np.full(len(task.names), -1)
    row[task.index[::-1]] = np.arange(len(task.index))[::-1]  # of several rows of a task the first counts
    at = _rows_of(tasks, task.names, row, source.name)
    texts = [column.names.to_pylist() for column in columns]
    payloads = [
        {field: held[column.index[r]] for field, held, column in zip(fields, texts, columns, strict=True)} for r in at
    ]
    return Material(payloads, fields, "text", source.name)


def read_features(name: str, tasks: Any) -> Material:
    """Features of the tasks: an .npz with arrays `task` and `X`, a row for each. Raises BadFile."""
    try:
        with np.load(name, allow_pickle=False) as stored:
            names, X = stored["task"], np.asarray(stored["X"], dtype=np.float64)
    except OSError as error:
        raise BadFile(f"{name}: {error.strerror or error}") from error
    except (KeyError, ValueError) as error:
        raise BadFile(f"{name}: expected an .npz file with the arrays task and X ({error})") from error
    if names.ndim != 1 or X.ndim != 2 or len(names) != len(X):
        raise BadFile(f"{name}: task has shape {names.shape} and X {X.shape}; expected (n,) and (n, columns)")
    at = _rows_of(tasks, names.astype(str).tolist(), np.arange(len(names)), name)
    return Material([{FEATURES: X[row]} for row in at], (FEATURES,), "numeric", name)


def _names(source: Source) -> list[str]:
    """The columns of Parquet, or the keys of the first line of JSON."""
    import orjson
    import pyarrow.parquet as pq

    try:
        if source.format == "parquet":
            return list(pq.read_schema(source.name).names)
        with source.raw() as raw:
            first = orjson.loads(next(iter(source.unpacked(raw)), b"{}"))
    except (OSError, ValueError) as error:
        raise BadFile(f"{source.name}: cannot be read as {source.format} ({error})") from error
    return list(first) if isinstance(first, dict) else []


def _rows_of(tasks: Any, names: Any, row: NDArray[np.integer], where: str) -> NDArray[np.integer]:
    """The row of each voted task."""
    at = positions(tasks, names)
    if (at < 0).any():
        raise BadFile(f"{where}: has no row for task {tasks[int((at < 0).argmax())].as_py()!r}, which was voted on")
    return row[at]
