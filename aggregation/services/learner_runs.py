"""What a manager does with a retraining: cancel it while it runs, or bring back an earlier champion."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from aggregation.models import PredictedChunk, Run, RunKind, RunStage, RunStatus
from aggregation.services.artefacts import KEPT, copy_artefact
from projects.errors import Conflict, NotFound
from projects.models import Learner, LiveModel, Project
from projects.services.hints import hint_after_commit


@transaction.atomic
def cancel_run(*, project: Project, run_id: int) -> Run:
    """The retraining ends as cancelled; the champion stays. The job notices before its next chunk.

    Raises NotFound without such a run, Conflict if it is a refit, has ended, or its predictions steer already.
    """
    run = _run_of(project, run_id)
    running = Run.objects.filter(id=run.id, kind=RunKind.RETRAINING, status=RunStatus.RUNNING)
    if not running.exclude(stage=RunStage.APPLYING).update(status=RunStatus.CANCELLED, finished_at=Now()):
        run.refresh_from_db()
        raise Conflict(_why_not_cancelled(run), code="not_cancellable")
    PredictedChunk.objects.filter(run=run).delete()
    # What asked for this run asked for no other.
    Project.objects.filter(id=project.id, retrain_requested_at__lte=run.started_at).update(retrain_requested_at=None)
    run.refresh_from_db()
    return run


def _why_not_cancelled(run: Run) -> str:
    if run.kind != RunKind.RETRAINING:
        return "Only retrainings can be cancelled: a refit is over in a moment."
    if run.status == RunStatus.RUNNING:
        return "Its predictions are in force already: restore an earlier run instead."
    return f"This run is {run.status} already."


@transaction.atomic
def restore_run(*, project: Project, run_id: int) -> Run:
    """A new run that makes an earlier champion current again; the job predicts every task by it.

    Tasks that it was taught keep its held-out predictions. Raises NotFound without such a run, Conflict if it never was
    champion of the project's present learner, is champion now or is kept no more, or if a retraining is running.
    """
    earlier = _run_of(project, run_id)
    if LiveModel.objects.filter(project=project, learner_run=earlier.id).exists():
        raise Conflict("This run's learner is in force already.", code="already_current")
    if earlier.kind != RunKind.RETRAINING or earlier.status != RunStatus.DONE or not earlier.metrics.get("promoted"):
        raise Conflict("Only a retraining that was once in force can be restored.", code="not_restorable")
    if project.learner == Learner.REMOTE:
        raise Conflict("A remote learner keeps its own versions: bring one back there.", code="not_restorable")
    if (earlier.parameters["learner"], earlier.parameters["fields"]) != (project.learner, project.learner_fields):
        raise Conflict("This run trained another learner than the project has now.", code="another_learner")
    try:
        with transaction.atomic():
            run = Run.objects.create(
                project=project,
                kind=RunKind.RETRAINING,
                parameters=earlier.parameters | {"restores": earlier.id},
                counts=_counts(project, earlier),
                metrics=earlier.metrics | {"why": f"Restored from run {earlier.id}.", "challenge": None},
                stage=RunStage.PREDICTING,
                progress=0.0,
            )
    except IntegrityError:
        raise Conflict("A retraining is running: cancel it first, or wait for it.", code="retraining_runs") from None
    if not copy_artefact(of=earlier, to=run):
        kept = f"The learner of this run is not kept any more: of those that were in force only the last {KEPT} are."
        raise Conflict(kept, code="learner_not_kept")
    hint_after_commit("aggregation.retrain", project.id)
    return run


def restorable_runs(project: Project) -> QuerySet[Run]:
    """Those that `restore_run` would bring back, if no retraining is running."""
    champion = LiveModel.objects.filter(project=project, learner_run__isnull=False).values("learner_run")
    kept = Run.objects.filter(project=project, kind=RunKind.RETRAINING, artefact__held_out__isnull=False)
    mine = kept.filter(parameters__learner=project.learner, parameters__fields=project.learner_fields)
    promoted = mine.filter(status=RunStatus.DONE, metrics__promoted=True).exclude(id__in=champion)
    return promoted.exclude(parameters__learner=Learner.REMOTE.value)


def _counts(project: Project, earlier: Run) -> dict[str, int]:
    """What the earlier run was trained on, but all votes that any has seen, so that the next comes after new ones."""
    seen = Run.objects.filter(project=project, kind=RunKind.RETRAINING).values_list("counts__votes", flat=True)
    return {"votes": max(votes or 0 for votes in seen), "trained_on": earlier.counts["trained_on"]}


def _run_of(project: Project, run_id: int) -> Run:
    run = Run.objects.filter(project=project, id=run_id).first()
    if run is None:
        raise NotFound("This project has no such run.")
    return run
