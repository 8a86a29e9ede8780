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


class RunCancelled(Exception):
    """Somebody has cancelled this run."""


@contextmanager
def recorded_run(*, project: Project, kind: RunKind, parameters: dict[str, Any]) -> Iterator[Run]:
    """A run that is RUNNING now; FAILED, with the reason, if the block raises. The block itself makes it DONE.

    Whoever gets here holds the project's advisory lock, so another run that still says RUNNING was killed.
    """
    for killed in Run.objects.filter(project=project, kind=kind, status=RunStatus.RUNNING):
        fail_run(run=killed, why=INTERRUPTED)
    run = Run.objects.create(project=project, kind=kind, parameters=parameters)
    try:
        yield run
    except Exception as error:
        fail_run(run=run, why=reason(error))
        raise


def fail_run(*, run: Run, why: str) -> None:
    """The run has failed, unless it has ended otherwise by now."""
    Run.objects.filter(id=run.id, status=RunStatus.RUNNING).update(
        status=RunStatus.FAILED, error=why, finished_at=Now()
    )


def reason(error: Exception) -> str:
    """What a manager is told of an error: of those that are made for that, the sentence alone."""
    ours = type(error).__module__.partition(".")[0] in ("aggregation", "projects")
    return (str(error) if ours else f"{type(error).__name__}: {error}")[:1000]


def checkpoint(*, run: Run, **changes: Any) -> None:
    """Note how far a run is, here too. Raises RunCancelled if it was cancelled meanwhile."""
    if not Run.objects.filter(id=run.id, status=RunStatus.RUNNING).update(**changes):
        raise RunCancelled(f"run {run.id} was cancelled")
    run.refresh_from_db(fields=list(changes))


def finish_run(*, run: Run, counts: dict[str, Any], metrics: dict[str, Any]) -> None:
    """The run is done; its metrics are added to those that it has."""
    run.refresh_from_db(fields=["metrics"])
    Run.objects.filter(id=run.id).update(
        status=RunStatus.DONE, counts=counts, metrics=run.metrics | metrics, finished_at=Now()
    )
