"""Refit: the label model on all votes, published in two steps so that readers always see whole rows of a named run.

Driven by append-only events: their ids are noted *before* the votes are loaded, and deleted with the result. A vote
that commits in between leaves an event of its own for the next refit; killed anywhere, the events are still there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from aggregation import queries
from aggregation.core import live
from aggregation.core.fit import Fit
from aggregation.models import ConsensusSource, Run, RunKind, RunStatus
from aggregation.services.fitting import Loaded, fit_label_model, load_votes
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.runs import INTERRUPTED, finish_run, recorded_run
from projects.models import Confusion, Event, LiveModel, PooledError, Project, Skill
from projects.queries import fetch, from_json
from projects.services.recompute import TaskSummary, summarise, summary_of, write_summaries

#: Tasks published in one transaction.
CHUNK = 1000
#: After so many rounds over rows that others held, publishing waits for them instead of passing them over.
PATIENT_ROUNDS = 20
#: A published posterior moves when one of its probabilities has by this much; a smaller change is no news.
PUBLISH_TOLERANCE = 0.001
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
        events = list(Event.objects.filter(project=project).values_list("id", flat=True))
        loaded = load_votes(project=project)
        started = time.monotonic()
        fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
        fit_seconds = time.monotonic() - started
        _make_current(project=project, run=run, loaded=loaded, fit=fit)
        recomputed = _publish(project=project, run=run, loaded=loaded, fit=fit)
        with transaction.atomic():
            Event.objects.filter(id__in=events).delete()
            # Only the request that this refit has seen: a newer one stays due.
            Project.objects.filter(id=project.id, refit_requested_at=project.refit_requested_at).update(
                refit_requested_at=None
            )
            finish_run(
                run=run,
                counts={
                    "votes": len(loaded.votes),
                    "tasks": len(loaded.task_ids),
                    "annotators": len(loaded.annotator_ids),
                    "gold": int((loaded.gold >= 0).sum()),
                    "events": len(events),
                    "recomputed": recomputed,
                },
                metrics={
                    "iterations": fit.n_iter,
                    "converged": fit.converged,
                    "objective": fit.objective[-1] if fit.objective else None,
                    "fit_seconds": round(fit_seconds, 4),
                    "mean_confidence": float(fit.posterior.max(axis=1).mean()) if len(fit.posterior) else None,
                },
            )
    run.refresh_from_db()
    return run


@transaction.atomic
def _make_current(*, project: Project, run: Run, loaded: Loaded, fit: Fit) -> None:
    """Step one: the new run's skills and prior steer every vote from now on."""
    K = len(project.labels)
    LiveModel.objects.filter(project=project).update(
        run=run.id,
        label_prior=fit.label_prior.tolist(),
        pooled_accuracy=fit.pooled_accuracy,
        updated_at=timezone.now(),
    )
    PooledError.objects.bulk_create(
        [PooledError(project=project, voted=voted, vector=fit.pooled_errors[:, voted].tolist()) for voted in range(K)],
        update_conflicts=True,
        unique_fields=["project", "voted"],
        update_fields=["vector"],
    )
    annotators = [int(annotator) for annotator in loaded.annotator_ids]
    skills = fit.skill
    Skill.objects.bulk_create(
        [
            Skill(
                annotator_id=id_, project=project, accuracy=float(fit.accuracy[a]), skill=float(skills[a]), run=run.id
            )
            for a, id_ in enumerate(annotators)
        ],
        batch_size=CHUNK,
        update_conflicts=True,
        unique_fields=["annotator"],
        update_fields=["accuracy", "skill", "run"],
    )
    if fit.confusion is not None:
        Confusion.objects.bulk_create(
            [
                Confusion(annotator_id=id_, voted=voted, vector=fit.confusion[a, :, voted].tolist())
                for a, id_ in enumerate(annotators)
                for voted in range(K)
            ],
            batch_size=CHUNK,
            update_conflicts=True,
            unique_fields=["annotator", "voted"],
            update_fields=["vector"],
        )


def _publish(*, project: Project, run: Run, loaded: Loaded, fit: Fit) -> int:
    """Step two, chunk by chunk. Returns how many tasks had newer votes and were recomputed from them."""
    model = LiveModel.objects.get(project=project)
    row_of = {int(task_id): row for row, task_id in enumerate(loaded.task_ids)}
    recomputed, rounds = 0, 0
    left = list(row_of)
    while left:
        wait = "SKIP LOCKED" if rounds < PATIENT_ROUNDS else ""
        for start in range(0, len(left), CHUNK):
            chunk = left[start : start + CHUNK]
            done, newer = _publish_chunk(
                project=project, run=run, model=model, loaded=loaded, fit=fit, row_of=row_of, task_ids=chunk, wait=wait
            )
            recomputed += newer
            # Having waited for every row, those not found are gone with their task.
            for task_id in done if wait else chunk:
                row_of.pop(task_id, None)
        left = list(row_of)
        rounds += 1
        if left:
            time.sleep(0.02)
    return recomputed


@transaction.atomic
def _publish_chunk(
    *,
    project: Project,
    run: Run,
    model: LiveModel,
    loaded: Loaded,
    fit: Fit,
    row_of: dict[int, int],
    task_ids: Sequence[int],
    wait: str,
) -> tuple[list[int], int]:
    """Publish the tasks of a chunk that nobody else holds: which, and how many of them had newer votes.

    A task whose votes are those the fit saw takes the fit's posterior; any other is recomputed from its votes with the
    new skills, so that a refit never overwrites a newer vote.
    """
    K = len(project.labels)
    locked = fetch(queries.LOCK_TASKS.format(wait=wait), tasks=list(task_ids))
    summaries, stale = [], []
    label_prior = np.asarray(fit.label_prior)
    for task_id, version, votes, redundancy, gold, encoded in locked:
        row = row_of[task_id]
        if version != loaded.versions[row] or gold is not None:
            stale.append(task_id)  # gold too: it is clamped in the fit, while its own votes steer its collection
            continue
        prediction = None if encoded is None else live.decode_posterior(from_json(encoded), K)
        prior = live.task_prior(label_prior, prediction, model.prediction_weight)
        posterior = live.with_prior(fit.posterior[row : row + 1], label_prior, prior[None, :])[0]
        summaries.append(
            summary_of(
                project=project,
                task_id=task_id,
                votes=votes,
                redundancy=redundancy,
                posterior=posterior,
                gold=None,
                has_prediction=prediction is not None and model.prediction_weight > 0,
            )
        )
    if stale:
        summaries += summarise(project=project, model=model, task_ids=stale)
    write_summaries(summaries=summaries, run=run.id)
    _publish_consensus(project=project, run=run, summaries=summaries)
    newer = sum(1 for task_id, version, *_ in locked if version != loaded.versions[row_of[task_id]])
    return [task_id for task_id, *_ in locked], newer


def _publish_consensus(*, project: Project, run: Run, summaries: Sequence[TaskSummary]) -> None:
    rows: list[dict[str, Any]] = [
        {
            "task_id": summary.task_id,
            "label": summary.label,
            "confidence": summary.confidence,
            "votes": summary.votes,
            "retired": summary.retired,
            "source": _source(summary),
            "posterior": live.encode_posterior(summary.posterior),
        }
        for summary in summaries
    ]
    fetch(queries.PUBLISH, rows=Jsonb(rows), project=project.id, run=run.id, tolerance=PUBLISH_TOLERANCE)


def _source(summary: TaskSummary) -> str:
    if summary.has_gold:
        return ConsensusSource.GOLD
    return ConsensusSource.VOTES_AND_MACHINE if summary.has_prediction else ConsensusSource.VOTES
