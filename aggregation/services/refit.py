"""Refit: the label model on all votes, published in two steps so that readers always see whole rows of a named run.

Driven by append-only events: their ids are noted *before* the votes are loaded, and deleted with the result. A vote
that commits in between leaves an event of its own for the next refit; killed anywhere, the events are still there.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from aggregation import queries
from aggregation.models import Run, RunKind, RunStatus
from aggregation.services.calibrating import learn_calibration
from aggregation.services.conduct import record_conduct
from aggregation.services.current import make_current
from aggregation.services.drifting import moved_since_taught
from aggregation.services.fitting import Loaded, fit_with_learner, load_votes, with_predictions
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.publishing import Published, publish
from aggregation.services.runs import INTERRUPTED, finish_run, recorded_run
from projects.models import Event, Project
from projects.queries import fetch

#: After a refit a project rests for this many times as long as it took.
REST_FACTOR = 2.0
#: A refit that failed is tried again, but not at every sweep.
REST_SECONDS_AFTER_FAILURE = 30.0


def refit(*, project_id: int) -> Run | None:
    """Fit, publish, delete the events seen. None if there was nothing to do, or another process is at it."""
    with advisory_lock(Lock.REFIT, project_id) as mine:
        if not mine:
            return None
        project = Project.objects.filter(id=project_id).first()
        if project is None or not _due(project):
            return None
        return _refit(project)


def _due(project: Project) -> bool:
    """There is news, and the last refit has ended long enough ago that a burst of votes becomes one refit."""
    if project.refit_requested_at is None and not Event.objects.filter(project=project).exists():
        return False
    last = Run.objects.filter(project=project, kind=RunKind.REFIT, finished_at__isnull=False).order_by("-id").first()
    if last is None or last.finished_at is None:
        return True
    rest = max(settings.REFIT_DEBOUNCE_SECONDS, REST_FACTOR * (last.finished_at - last.started_at).total_seconds())
    if last.status == RunStatus.FAILED and last.error != INTERRUPTED:
        rest = max(rest, REST_SECONDS_AFTER_FAILURE)
    return bool((timezone.now() - last.finished_at).total_seconds() >= rest)


def _refit(project: Project) -> Run:
    with recorded_run(project=project, kind=RunKind.REFIT, parameters={"label_model": project.label_model}) as run:
        times = [time.monotonic()]
        news = fetch(queries.NEWS, project=project.id)
        loaded = with_predictions(project=project, loaded=load_votes(project=project))
        times.append(time.monotonic())
        fit = fit_with_learner(project=project, loaded=loaded)
        times.append(time.monotonic())
        calibration, report = learn_calibration(project=project, loaded=loaded, fit=fit)
        times.append(time.monotonic())
        make_current(project=project, run=run, loaded=loaded, fit=fit, calibration=calibration, report=report)
        voted = [task for _, task in news if task is not None]
        published = publish(project=project, run=run, loaded=loaded, fit=fit, voted=voted)
        times.append(time.monotonic())
        record_conduct(project=project, run=run, loaded=loaded, fit=fit)
        moved = moved_since_taught(project=project, loaded=loaded, fit=fit)
        with transaction.atomic():
            fetch(queries.NO_NEWS, events=[event for event, _ in news])
            # Only the request that this refit has seen: a newer one stays due.
            if project.refit_requested_at is not None:
                seen = Project.objects.filter(id=project.id, refit_requested_at=project.refit_requested_at)
                seen.update(refit_requested_at=None)
            finish_run(
                run=run,
                counts=_counts(loaded, published) | {"events": len(news)},
                metrics=_metrics(published) | _seconds(times) | moved,
            )
    run.refresh_from_db()
    return run


def _counts(loaded: Loaded, published: Published) -> dict[str, int]:
    return {
        "votes": len(loaded.votes),
        "tasks": len(loaded.task_ids),
        "annotators": len(loaded.annotator_ids),
        "gold": int((loaded.gold >= 0).sum()),
        "recomputed": published.recomputed,
    }


def _metrics(published: Published) -> dict[str, Any]:
    """What comes to those of the fit, which the run has had since it became current."""
    return {"mean_confidence": published.mean_confidence, "drift": vars(published.drift)}


def _seconds(times: list[float]) -> dict[str, float]:
    parts = ("load", "fit", "calibration", "publish")
    return {f"{part}_seconds": round(end - start, 4) for part, (start, end) in zip(parts, pairwise(times), strict=True)}
