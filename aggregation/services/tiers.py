"""The three tiers: what the machine labels alone, what people confirm, what they label; looked at after every run.

A look reads what audits have shown, issues or revokes the certificate, and makes the tasks agree with it. It can be
killed anywhere and done again: what is to be done follows from the rows.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from aggregation import tier_queries
from aggregation.core.audits import ALWAYS
from aggregation.models import Auditing, Certificate, CertificateKind, Run, RunStage, RunStatus
from aggregation.services.alone import InForce, give_all, in_force, take_back_all
from aggregation.services.certifying import Finding, find
from aggregation.services.drawing import first_task, planned
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.scoring import Part, Pool, count_pool, score_pool
from projects.models import LiveModel, Project
from projects.queries import fetch
from projects.services.hints import send_hint

#: After a look a project rests for this many times as long as it took.
REST_FACTOR = 5.0


def looks_due(*, project_id: int | None = None) -> list[int]:
    """The projects (or this one) whose tiers are to be looked at."""
    return [id_ for (id_,) in fetch(tier_queries.LOOKS_DUE, project=project_id)]


def hint_if_due(*, project_id: int) -> None:
    """After a run: a look may have become due."""
    if looks_due(project_id=project_id):
        send_hint("aggregation.look", project_id)


def look(*, project_id: int) -> bool:
    """Bring certificate, audits and tasks up to date. False if there was nothing to do, or another process is at it."""
    with advisory_lock(Lock.TIERS, project_id) as mine, advisory_lock(Lock.RETRAINING, project_id) as still:
        # While predictions are being replaced, some of them are of one learner and some of another.
        if not mine or not still or not looks_due(project_id=project_id) or _is_replacing(project_id):
            return False
        begun = time.monotonic()
        project = Project.objects.get(id=project_id)
        ((seen_run,),) = fetch(tier_queries.LAST_RUN, project=project_id)
        auditing, _ = Auditing.objects.get_or_create(project=project)
        auditing.figures = _look(project, auditing)
        auditing.seen_run, auditing.seen_version = seen_run, project.version
        auditing.rests_until = timezone.now() + timedelta(seconds=REST_FACTOR * (time.monotonic() - begun))
        auditing.save()
        return True


def _is_replacing(project_id: int) -> bool:
    """Whether a retraining was killed while it was replacing predictions: it goes on soon."""
    running = Run.objects.filter(project=project_id, status=RunStatus.RUNNING, stage=RunStage.APPLYING)
    return running.exists()


def _look(project: Project, auditing: Auditing) -> dict[str, Any]:
    run = LiveModel.objects.values_list("learner_run", flat=True).get(project=project)
    sharpness = _sharpness(auditing, run)
    if run is None or sharpness <= 0:
        said = "There is no learner" if run is None else "The learner knows no more than the label prior"
        _conclude(project, Finding(None, None, f"{said}."))
        return {}
    score_pool(project=project, auditing=auditing, run=run, sharpness=sharpness)
    part = Part(project, run, first_task(project, auditing, run))
    finding = find(part, auditing)
    certificate = _conclude(project, finding)
    if certificate is not None:
        scope = _scope(part, certificate)
        sure = fetch(tier_queries.SURE, threshold=certificate.threshold, **scope.asked)
        give_all(project=project, certificate=certificate, task_ids=[id_ for (id_,) in sure])
    return {
        "tiers": _tiers(part, auditing, certificate, finding.pool),
        "audits": finding.figures,
        "says": finding.reason,
    }


def _sharpness(auditing: Auditing, run: int | None) -> float:
    """How sure the learner of a run should be, as its training measured; refits go on measuring, with audits, too.

    The scale of a plan's thresholds stays as it was.
    """
    if auditing.plan is not None and auditing.learner_run == run:
        return auditing.sharpness
    trained = None if run is None else Run.objects.filter(id=run).first()
    return 0.0 if trained is None else trained.metrics.get("prediction_weight", 0.0)


def _tiers(part: Part, auditing: Auditing, certificate: InForce | None, pool: Pool | None) -> dict[str, int]:
    """How many tasks that people have not finished lie in each tier. pool: what the look has counted, if it has."""
    plan, scope = planned(auditing), _scope(part, certificate)
    if pool is None or scope != part:
        pool = count_pool(scope, plan)
    covered = 0 if certificate is None or plan is None else plan.row(certificate.threshold)
    return pool.tiers(covered)


def _scope(part: Part, certificate: InForce | None) -> Part:
    """The tasks that the certificate is about; those that a look is about while there is none."""
    if certificate is None:
        return part
    return replace(part, first=certificate.first, before=ALWAYS if certificate.before is None else certificate.before)


@transaction.atomic
def _issue(project: Project, finding: Finding) -> None:
    """The one certificate in force is what was found, or there is none; each change is a row."""
    current = Certificate.objects.select_for_update().filter(
        project=project, kind=CertificateKind.ISSUED, ended_at__isnull=True
    )
    before = current.first()
    wishes = (project.auto_label_error, project.auto_label_confidence)
    if before is None and finding.threshold is None:
        return
    found = finding.run, finding.threshold, finding.before, *wishes, finding.figures.get("first", 0)
    if before and found == _terms(before):
        return
    current.update(ended_at=timezone.now())
    about = {"project": project, "figures": finding.figures, "reason": finding.reason}
    if finding.run is not None and finding.threshold is not None and project.auto_label_error is not None:
        Certificate.objects.create(
            **about,
            kind=CertificateKind.ISSUED,
            learner_run_id=finding.run,
            threshold=finding.threshold,
            error=project.auto_label_error,
            confidence=project.auto_label_confidence,
            before_task=finding.before,
        )
    elif before is not None:
        same = {name: getattr(before, name) for name in TERMS}
        Certificate.objects.create(**about, kind=CertificateKind.REVOKED, **same)


#: What a certificate says.
TERMS = ("learner_run_id", "threshold", "before_task", "error", "confidence")


def _terms(certificate: Certificate) -> tuple[Any, ...]:
    return *(getattr(certificate, name) for name in TERMS), certificate.figures.get("first", 0)


def _conclude(project: Project, finding: Finding) -> InForce | None:
    """Certificate and tasks as the finding has it; labels that are not covered any more are taken back at once."""
    _issue(project, finding)
    with transaction.atomic():
        certificate = in_force(project)
    take_back_all(project=project, certificate=certificate)
    return certificate
