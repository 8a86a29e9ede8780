"""Qualification: training tasks and a test before the ordinary tasks (docs/people.md).

An annotator's stage moves on in the transaction that stores their answers, with the annotator locked: each answer moves
it once, whatever is sent at the same time.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from projects import queries
from projects.models import QUALIFICATION_POOL, Member, Project, Role, Stage
from projects.queries import fetch, fetch_together

#: What somebody in such a stage is given.
ENTRY = {Stage.TRAINING, Stage.TEST}


def is_due(member: Member) -> bool:
    """Whether this person has yet to qualify for the ordinary tasks: an annotator of a project that asks for it."""
    return member.project.qualifies and member.role != Role.MANAGER and member.stage != Stage.QUALIFIED


def advance(member: Member, *, answers: int = 0, correct: int = 0) -> str | None:
    """Work in so many answers; the stage that they belonged to. ``member`` is then as stored.

    In a transaction, which locks the annotator.
    """
    who = {"annotator": member.id}
    _, rows = fetch_together(
        (queries.LOCK_ANNOTATOR, who), (queries.ADVANCE, {**who, "answers": answers, "correct": correct})
    )
    if not rows:
        member.refresh_from_db(fields=["stage", "stage_answers", "stage_right", "tests"])
        return member.stage
    ((before, member.stage, member.stage_answers, member.stage_right, member.tests),) = rows
    return str(before)


def settle(member: Member) -> int:
    """How many tasks of their stage this annotator has yet to answer. In a transaction; the annotator is locked then.

    Whoever is asked for the first time begins; whoever has answered all that the settings now want goes on.
    """
    while advance(member) != member.stage:
        pass
    return max(0, wanted(member) - member.stage_answers) if member.stage in ENTRY else 0


def wanted(member: Member) -> int:
    """How many tasks the annotator's stage has."""
    project = member.project
    return project.test_tasks if member.stage == Stage.TEST else project.training_tasks


def progress(member: Member) -> dict[str, Any]:
    """How far an annotator who has yet to qualify has come. In a test nobody is told what was right."""
    stage = member.stage or Stage.TRAINING
    if stage == Stage.FAILED:
        return {
            "stage": stage,
            "answered": member.stage_answers,
            "of": member.stage_answers,
            "right": member.stage_right,
        }
    return {"stage": stage, "answered": member.stage_answers, "of": wanted(member)}


@transaction.atomic
def set_stage(*, project: Project, member_id: int, stage: Stage) -> bool:
    """Put somebody at the beginning of a stage by hand; False if there is no such member."""
    member = Member.objects.filter(project=project, id=member_id, user__isnull=False).first()
    if member is None:
        return False
    fetch(queries.LOCK_ANNOTATOR, annotator=member.id)
    return bool(fetch(queries.SET_STAGE, annotator=member.id, stage=stage.value))


def qualification_of(project: Project) -> dict[str, Any] | None:
    """Tasks that there are for training and tests, and that somebody who needs all attempts wants; None: not asked."""
    if not project.qualifies:
        return None
    ((tasks,),) = fetch(queries.QUALIFICATION_TASKS, project=project.id, pool=QUALIFICATION_POOL)
    needed = project.training_tasks + project.test_tasks * project.test_attempts
    stages = Member.objects.filter(project=project, stage__isnull=False, user__isnull=False).values_list(
        "stage", flat=True
    )
    found = list(stages)
    return {"tasks": tasks, "wanted": needed, "members": {stage: found.count(stage) for stage in Stage.values}}
