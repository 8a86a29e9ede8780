"""Retraining: a challenger is trained, and if it is not worse than the champion, predicts every task and takes over.

    training    consensus from votes only -> classifier, its held-out predictions and metrics, its artefact
    predicting  every task, set aside chunk by chunk; nothing steers yet, and the run can be cancelled
    applying    the live model names the run; predictions and priorities are written, chunk by chunk

Each stage leaves in rows what the next one needs, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import F

from aggregation import queries
from aggregation.models import LearnerArtefact, PredictedChunk, Run, RunKind, RunStage, RunStatus
from aggregation.services.applying import apply_predictions
from aggregation.services.artefacts import prune_artefacts
from aggregation.services.champion import LearnerChanged, bring_back_champion, make_champion
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.predicting import predict_pool
from aggregation.services.runs import INTERRUPTED, RunCancelled, fail_run, finish_run, reason
from aggregation.services.spreading import spread_first
from aggregation.services.training import parameters_of, train
from projects.models import Learner, Project
from projects.queries import fetch
from projects.services.hints import hint_after_commit
from projects.services.projects import request_places, request_refit

#: A retraining that was begun, or went on, so often without coming to an end is given up.
MOST_ATTEMPTS = 3


def is_remote(*, project_id: int) -> bool:
    """Whether a retraining waits for somebody else's server."""
    return Project.objects.filter(id=project_id, learner=Learner.REMOTE).exists()


def retrain(*, project_id: int, remote: bool | None = None) -> Run | None:
    """Train, predict, re-prioritise. None if it is not due, or another process is at it.

    remote: what `is_remote` has said; None too if that is true no more.
    """
    with advisory_lock(Lock.RETRAINING, project_id) as mine:
        if not mine or not retraining_due(project_id=project_id):
            return None
        project = Project.objects.get(id=project_id)
        if remote not in (None, project.learner == Learner.REMOTE):
            return None
        run = _run_to_go_on_with(project)
        if run is None:
            return None
        Run.objects.filter(id=run.id).update(attempts=F("attempts") + 1)
        try:
            _carry_out(project, run)
        finally:
            # Whatever came of it, the request was answered (a killed run's was not); a newer one stays due.
            Project.objects.filter(id=project_id, retrain_requested_at=project.retrain_requested_at).update(
                retrain_requested_at=None
            )
    run.refresh_from_db()
    return run


def retraining_due(*, project_id: int | None = None) -> list[int]:
    """The projects (or this one) whose learner is due by request, new votes, time or moved consensus, or was killed."""
    return [id_ for (id_,) in fetch(queries.RETRAINING_DUE, project=project_id)]


def hint_if_due(*, project_id: int) -> None:
    """After a refit: its votes may have made a retraining due."""
    if retraining_due(project_id=project_id):
        hint_after_commit("aggregation.retrain", project_id)


def _run_to_go_on_with(project: Project) -> Run | None:
    """The run that was killed, if its learner was trained already, or a new one. None if there was none to begin.

    Whoever gets here holds the project's advisory lock, so a run that says RUNNING was killed, or waits to begin.
    """
    left = Run.objects.filter(project=project, kind=RunKind.RETRAINING, status=RunStatus.RUNNING).first()
    if left is not None and left.attempts >= MOST_ATTEMPTS:
        _give_up(project, left)
        return None
    if left is not None and LearnerArtefact.objects.filter(run=left).exists():
        return left
    if left is not None:
        fail_run(run=left, why=INTERRUPTED)
    if project.learner is None:
        return None
    try:
        with transaction.atomic():
            return Run.objects.create(
                project=project,
                kind=RunKind.RETRAINING,
                parameters=parameters_of(project),
                counts=_votes_refitted(project),
                stage=RunStage.TRAINING,
                progress=0.0,
                attempts=0 if left is None else left.attempts,
            )
    except IntegrityError:  # a restored one has come in between; the sweeper hints at it
        return None


@transaction.atomic
def _give_up(project: Project, run: Run) -> None:
    """What was killed so often, or fails whenever it goes on, would be again: the champion before it steers again."""
    bring_back_champion(project=project, run=run)
    PredictedChunk.objects.filter(run=run).delete()
    fail_run(run=run, why=f"Given up after {run.attempts} attempts. The last one: {run.error or INTERRUPTED}")
    Project.objects.filter(id=project.id, retrain_requested_at=project.retrain_requested_at).update(
        retrain_requested_at=None
    )


def _votes_refitted(project: Project) -> dict[str, int]:
    """The votes that have made this run due: cancelled before it has loaded any, it is not due again for them."""
    last = Run.objects.filter(project=project, kind=RunKind.REFIT, status=RunStatus.DONE).order_by("-id").first()
    return {"votes": last.counts.get("votes", 0)} if last else {}


def _carry_out(project: Project, run: Run) -> None:
    """From the stage that the run is in to its end. A failure before the champion changes leaves the champion."""
    try:
        _of_the_same_learner(project, run)
        if run.stage == RunStage.TRAINING:
            train(project=project, run=run)
            run.refresh_from_db()
        if run.metrics["promoted"]:
            _take_over(project, run)
        else:
            # Tasks have come since the champion predicted the pool, and go on being its own.
            request_places(project_id=project.id)
        finish_run(run=run, counts=run.counts, metrics={})
        prune_artefacts(project=project)
    except RunCancelled:
        pass
    except Exception as error:
        # Its predictions may be in force in part: then whoever comes next goes on, a few times.
        Run.objects.filter(id=run.id, status=RunStatus.RUNNING).update(error=reason(error))
        if run.stage != RunStage.APPLYING or isinstance(error, LearnerChanged):
            fail_run(run=run, why=reason(error))
            PredictedChunk.objects.filter(run=run).delete()
        raise


def _of_the_same_learner(project: Project, run: Run) -> None:
    if (run.parameters["learner"], run.parameters["fields"]) != (project.learner, project.learner_fields):
        raise LearnerChanged("The learner was changed after it was trained.")


def _take_over(project: Project, run: Run) -> None:
    if run.stage == RunStage.PREDICTING:
        predict_pool(project=project, run=run)
        make_champion(project=project, run=run)
        run.refresh_from_db()
    apply_predictions(project=project, run=run)
    spread_first(project=project, run=run)
    # Confidence has moved with the predictions: a refit publishes it.
    request_refit(project_id=project.id)
