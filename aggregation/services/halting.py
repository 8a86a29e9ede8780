"""A project stops because its labels are certified to be right enough, and goes on when that is no longer so."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from aggregation.models import AccuracyCertificate, CertificateKind, Freeze
from projects.models import Project


@transaction.atomic
def stop(*, project: Project, freeze: Freeze | None, figures: dict[str, Any]) -> bool:
    """Hand out nothing more, and record on what grounds. False if the manager wishes otherwise by now.

    freeze: whose audits certify it; None: the answers of so many tasks are known. figures: with the `bound`.
    """
    wishes = {name: getattr(project, name) for name in ("target_accuracy", "target_accuracy_confidence")}
    held = Project.objects.select_for_update(no_key=True).filter(id=project.id, **wishes).first()
    if held is None or project.target_accuracy is None:
        return False
    if held.stopped_at is None:
        Project.objects.filter(id=project.id).update(stopped_at=Now())
    before = _in_force(project).first()
    terms = (freeze and freeze.id, project.target_accuracy, project.target_accuracy_confidence)
    if before is not None and (before.freeze_id, before.accuracy, before.confidence) == terms:
        return True
    _in_force(project).update(ended_at=timezone.now())
    AccuracyCertificate.objects.create(
        project=project,
        kind=CertificateKind.ISSUED,
        freeze=freeze,
        accuracy=project.target_accuracy,
        confidence=project.target_accuracy_confidence,
        figures=figures,
        reason=_certified(project, figures),
    )
    return True


@transaction.atomic
def go_on(*, project: Project, reason: str) -> None:
    """What was certified is not any more, if anything was: tasks are handed out again."""
    before = _in_force(project).first()
    if before is not None:
        _in_force(project).update(ended_at=timezone.now())
        AccuracyCertificate.objects.create(
            project=project,
            kind=CertificateKind.REVOKED,
            freeze=before.freeze,
            accuracy=before.accuracy,
            confidence=before.confidence,
            reason=reason,
        )
    Project.objects.filter(id=project.id, stopped_at__isnull=False).update(stopped_at=None)


def _in_force(project: Project) -> QuerySet[AccuracyCertificate]:
    mine = AccuracyCertificate.objects.select_for_update(of=("self",))
    return mine.filter(project=project, kind=CertificateKind.ISSUED, ended_at__isnull=True)


def _certified(project: Project, figures: dict[str, Any]) -> str:
    confidence = f"{project.target_accuracy_confidence:.1%}"
    sure = f"at least {figures['bound']:.1%} of all labels are right, with {confidence} confidence"
    if "audits" not in figures:
        return f"So many answers are known that {sure}."
    return f"{figures['right']} of {figures['audits']} audited labels were right: {sure}."
