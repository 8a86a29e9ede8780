"""Labels frozen for audits by experts, and how far these have come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from secrets import randbits

import numpy as np
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from numpy.typing import NDArray

from aggregation import target_queries
from aggregation.core.bounds import draw_audits
from aggregation.core.certificate import Audits, FrozenLabels
from aggregation.core.target_accuracy import AuditedWhole
from aggregation.core.tiers import alpha_of
from aggregation.models import Freeze
from aggregation.services.census import Census
from projects.models import LabelAudit, Project
from projects.queries import fetch

#: An audit may wait so long for an expert, while newer ones are answered, before it counts as wrong.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Progress:
    """How far the audits of a freeze have come: those that count, all before the first that waits; how many were drawn.

    beyond: answers to those after the first that waits, which count once that is answered.
    """

    freeze: Freeze
    frozen: FrozenLabels
    audits: Audits
    drawn: int
    beyond: int

    @property
    def waiting(self) -> int:
        return self.drawn - len(self.audits.task)

    def of(self, census: Census) -> AuditedWhole:
        """The project as it is now."""
        row = np.searchsorted(census.ids, self.frozen.task)
        alpha = self.freeze.alpha
        return AuditedWhole(self.frozen, self.audits, census.label[row], census.known[row], census.whole, alpha)


def open_freeze(project: Project) -> Freeze | None:
    return Freeze.objects.filter(project=project, ended_at__isnull=True).first()


def next_number(project: Project) -> int:
    """Of the next freeze of this project, from 1 on."""
    last = Freeze.objects.filter(project=project).order_by("-number").values_list("number", flat=True).first()
    return (last or 0) + 1


def freeze(*, project: Project, run: int, census: Census) -> Freeze:
    """Freeze the labels of all tasks whose answer is not known. Nobody knows which of them are going to be audited."""
    number, chosen = next_number(project), census.unproven
    return Freeze.objects.create(
        project=project,
        number=number,
        run=run,
        confidence=project.target_accuracy_confidence,
        alpha=alpha_of(number, 1.0 - project.target_accuracy_confidence),
        seed=randbits(62),
        tasks=census.ids[chosen].astype("<i8").tobytes(),
        labels=census.label[chosen].astype("<i2").tobytes(),
        size=int(chosen.sum()),
        votes=int(census.votes.sum()),
    )


def progress_of(freeze: Freeze) -> Progress:
    task, label = np.frombuffer(freeze.tasks, "<i8").astype(np.int64), np.frombuffer(freeze.labels, "<i2")
    frozen = FrozenLabels(f"run {freeze.run}", "all tasks whose answer was not known", task, label.astype(np.int32))
    rows = fetch(target_queries.LABEL_AUDITS, freeze=freeze.id, patience=PATIENCE)
    drawn, truth, late = (np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else (_none(),) * 3
    newest = np.flatnonzero(truth >= 0).max(initial=-1)
    decided = (truth >= 0) | ((late > 0) & (np.arange(len(drawn)) < newest))
    n = int(np.append(decided, False).argmin())
    return Progress(
        freeze, frozen, Audits(drawn[:n], truth[:n].astype(np.int32)), len(drawn), int((truth[n:] >= 0).sum())
    )


def _none() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@transaction.atomic
def ask(*, progress: Progress, waiting: int) -> int:
    """Draw audits, evenly among what remains, until so many wait for experts; they are asked about all: how many."""
    freeze, size = progress.freeze, len(progress.frozen.task)
    wanted = min(len(progress.audits.task) + waiting, size)
    row, probability, _least = draw_audits(np.ones(size), wanted, freeze.seed)
    LabelAudit.objects.bulk_create(
        LabelAudit(
            project_id=freeze.project_id,
            task_id=int(progress.frozen.task[row[number]]),
            freeze=freeze.id,
            number=number,
            label=int(progress.frozen.label[row[number]]),
            probability=float(probability[number]),
        )
        for number in range(progress.drawn, wanted)
    )
    # An expert's patience begins anew with those that nobody was asked about for a while.
    LabelAudit.objects.filter(freeze=freeze.id, open=False).update(open=True, drawn_at=Now())
    return max(progress.waiting, wanted - len(progress.audits.task))


def ask_no_more(freeze: Freeze) -> None:
    LabelAudit.objects.filter(freeze=freeze.id, open=True).update(open=False)


def wishes_of(project: Project) -> dict[str, float | None]:
    """What decides whether audits lead anywhere, beside the labels."""
    names = ("target_accuracy", "target_accuracy_confidence", "audit_share")
    return {name: getattr(project, name) for name in names}


def ended_for_these_wishes(freeze: Freeze, project: Project) -> bool:
    """Whether its audits led nowhere for what the manager wishes now, and were not ended for a change of mind."""
    return freeze.confidence == project.target_accuracy_confidence and freeze.ended_wishes == wishes_of(project)


@transaction.atomic
def end(project: Project, freeze: Freeze, why: str) -> None:
    """Its audits say nothing more, and its labels are forgotten."""
    ask_no_more(freeze)
    Freeze.objects.filter(id=freeze.id).update(
        ended_at=timezone.now(), ended_for=why, ended_wishes=wishes_of(project), tasks=b"", labels=b""
    )


def audited(project: Project) -> int:
    """How many tasks of the project experts have audited, for any freeze."""
    ((found,),) = fetch(target_queries.AUDITED, project=project.id)
    return int(found)
