"""Runs: every refit and retraining leaves a row that says what went in, what came out, and how long it took."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models.functions import Now

from aggregation.models import Run, RunKind, RunStatus
from projects.models import Project

#: The error of a run whose process was killed.
INTERRUPTED = "interrupted"


@contextmanager
def recorded_run(*, project: Project, kind: RunKind, parameters: dict[str, Any]) -> Iterator[Run]:
    """A run that is RUNNING now; FAILED, with the reason, if the block raises. The block itself makes it DONE.

    Whoever gets here holds the project's advisory lock, so another run that still says RUNNING was killed.
    """
    Run.objects.filter(project=project, kind=kind, status=RunStatus.RUNNING).update(
        status=RunStatus.FAILED, error=INTERRUPTED, finished_at=Now()
    )
    run = Run.objects.create(project=project, kind=kind, parameters=parameters)
    try:
        yield run
    except Exception as error:
        Run.objects.filter(id=run.id).update(
            status=RunStatus.FAILED, error=f"{type(error).__name__}: {error}"[:1000], finished_at=Now()
        )
        raise


def finish_run(*, run: Run, counts: dict[str, Any], metrics: dict[str, Any]) -> None:
    """The run is done; its metrics are added to those that it has."""
    run.refresh_from_db(fields=["metrics"])
    Run.objects.filter(id=run.id).update(
        status=RunStatus.DONE, counts=counts, metrics=run.metrics | metrics, finished_at=Now()
    )
