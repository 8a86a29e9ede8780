"""What consumers pull: the incremental feed and the export."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection, transaction

from aggregation import queries, webhook_queries
from aggregation.core import live
from aggregation.models import ConsensusSource
from aggregation.services.calibrating import says
from projects.errors import Invalid
from projects.models import Project
from projects.queries import fetch, from_json
from projects.services.exports import EXPORT_ROWS, csv_line


@dataclass(frozen=True)
class ConsensusRow:
    """One task's published consensus. ``posterior``: probability of each label, in the project's order.

    Where the machine's label was revoked there is no label, confidence or posterior.

    ``calibration``: whether the run that published it had calibrated its confidence, in words.
    """

    task: int
    key: str | None
    label: str | None
    confidence: float | None
    votes: int
    posterior: list[float] | None
    source: str
    retired: str | None
    run: int
    revision: int
    updated_at: datetime
    calibration: str

    def as_json(self, labels: list[str]) -> dict[str, Any]:
        """As the API gives it, the posterior by label."""
        return {
            "task": self.task,
            "key": self.key,
            "label": self.label,
            "confidence": self.confidence,
            "calibration": self.calibration,
            "votes": self.votes,
            "posterior": None if self.posterior is None else dict(zip(labels, self.posterior, strict=True)),
            "source": self.source,
            "run": self.run,
            "retired": self.retired,
            "updated_at": self.updated_at,
        }


def _row(project: Project, row: tuple[Any, ...]) -> ConsensusRow:
    task, key, label, confidence, votes, encoded, source, retired, run, revision, updated_at, calibration = row
    posterior = None if encoded is None else live.decode_posterior(from_json(encoded), len(project.labels)).tolist()
    name = None if label is None else project.labels[label]
    said = MACHINE_ONLY if source in MACHINES else _says(calibration)
    return ConsensusRow(task, key, name, confidence, votes, posterior, source, retired, run, revision, updated_at, said)


#: What is said of a label that nobody has looked at, and of one that is no more.
MACHINE_ONLY = "machine only: see certificates"
MACHINES = {ConsensusSource.MACHINE, ConsensusSource.REVOKED}


@lru_cache
def _says(calibration: str | None) -> str:
    """In words; of a run's many rows, once."""
    return says(from_json(calibration))


def read_feed(*, project: Project, revision: int, task: int, limit: int) -> list[ConsensusRow]:
    """Up to ``limit`` published rows after the cursor (revision, task), oldest change first.

    Following the cursor sees every change of every task in the end, none is jumped over. Raises Invalid for a cursor
    of another server (transactions are counted by server).
    """
    if revision:
        ((newest,),) = fetch(queries.NEWEST)
        if revision > newest:
            detail = "This cursor is from before the service was restored from a backup: start without one."
            raise Invalid(detail, field="cursor", code="invalid_cursor")
    rows = fetch(queries.FEED, project=project.id, revision=revision, task=task, limit=limit)
    return [_row(project, row) for row in rows]


@transaction.atomic
def republish_after_restore() -> None:
    """Every published row is news again, in this server's count of transactions, and webhooks begin anew."""
    fetch(queries.REPUBLISH)
    fetch(webhook_queries.REWIND_WEBHOOKS)


def export_rows(*, project: Project) -> Iterator[ConsensusRow]:
    """All published rows by task, from one snapshot, a few thousand at a time."""
    with transaction.atomic(), connection.connection.cursor(name="export") as cursor:
        cursor.itersize = EXPORT_ROWS
        cursor.execute(queries.EXPORT, {"project": project.id})
        for row in cursor:
            yield _row(project, row)


def export_jsonl(*, project: Project) -> Iterator[bytes]:
    for row in export_rows(project=project):
        yield orjson.dumps(row.as_json(project.labels), option=orjson.OPT_APPEND_NEWLINE)


def export_csv(*, project: Project) -> Iterator[bytes]:
    """A header, then a line a task: what the feed has, with the posterior as one column p_<label> each."""
    header = ["task", "key", "label", "confidence", "calibration", "votes", "source", "run", "retired", "updated_at"]
    yield csv_line(header + [f"p_{label}" for label in project.labels])
    for row in export_rows(project=project):
        cells = [row.task, row.key, row.label, row.confidence, row.calibration, row.votes, row.source, row.run]
        posterior = [""] * len(project.labels) if row.posterior is None else row.posterior
        yield csv_line([*cells, row.retired, row.updated_at.isoformat(), *posterior])
