"""Answers in training and tests: stored, judged, never counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import transaction
from psycopg.types.json import Jsonb

from projects import queries
from projects.errors import AnnotatorBlocked, AssignmentClosed, AssignmentExpired, ProjectPaused, VoteConflict
from projects.models import Assignment, AssignmentStatus, GoldOrigin, Member, ProjectStatus, Stage, Standing
from projects.queries import fetch
from projects.services import qualification
from projects.services.assignments import CLOSED


class Answer(Protocol):
    """A vote whose label is known by its index."""

    @property
    def assignment(self) -> UUID: ...
    @property
    def label(self) -> int: ...
    def as_row(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Answered:
    """What came of an answer: in training whether it was right, and what is; in a test nothing (both None)."""

    right: bool | None = None
    label: str | None = None


@transaction.atomic
def store_answers(*, member: Member, votes: Mapping[UUID, Answer]) -> dict[UUID, Answered]:
    """Store those votes that are of open assignments, in time, of tasks for qualification; ``member`` moves on.

    votes: by assignment.
    """
    fetch(queries.LOCK_ANNOTATOR, annotator=member.id)
    given = {
        "assignments": list(votes),
        "annotator": member.id,
        "votes": Jsonb([vote.as_row() for vote in votes.values()]),
    }
    rows = fetch(queries.STORE_ANSWERS, **given)
    if not rows:
        return {}
    stage = qualification.advance(member, answers=len(rows), correct=sum(right for _, right, _ in rows))
    return {assignment: _told(member, stage, right, gold) for assignment, right, gold in rows}


def _told(member: Member, stage: str | None, right: bool, gold: int) -> Answered:
    return Answered(right, member.project.labels[gold]) if stage == Stage.TRAINING else Answered()


def earlier_answer(*, member: Member, vote: Answer) -> Answered | None:
    """For an assignment of qualification that was not just stored: what it was answered, if it is a repeat.

    None if the assignment is another's or of an ordinary task. Raises the reason why nothing is stored.
    """
    mine = Assignment.objects.filter(id=vote.assignment, annotator=member)
    assignment = (
        mine.filter(task__gold__origin=GoldOrigin.QUALIFICATION)
        .select_related("project", "annotator", "vote", "task__gold")
        .first()
    )
    if assignment is None:
        return None
    stored = getattr(assignment, "vote", None)
    if stored is not None:
        if stored.label != vote.label:
            raise VoteConflict(field="assignment")
        gold = assignment.task.gold.label
        return _told(member, member.stage, stored.label == gold, gold)
    if assignment.annotator.standing == Standing.BLOCKED:
        raise AnnotatorBlocked(field="assignment")
    if assignment.status in CLOSED:
        raise AssignmentClosed(CLOSED[AssignmentStatus(assignment.status)], field="assignment")
    if assignment.project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    # Nothing late is taken here: the task comes again. Unless it was renewed or resumed since we looked.
    now = store_answers(member=member, votes={assignment.id: vote})
    if not now:
        raise AssignmentExpired(field="assignment")
    return now[assignment.id]
