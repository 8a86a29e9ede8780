"""What becomes of an assignment beside a vote: renewed, given back, ended. Only the database's clock counts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from projects import queries
from projects.errors import AssignmentClosed, AssignmentExpired, MustBeAnswered, UnknownAssignment
from projects.models import Assignment, AssignmentStatus, GoldOrigin, Member, SkipReason
from projects.queries import fetch
from projects.services.hints import hint_after_commit

#: Skips that say something of the task, and not of the annotator alone.
TELLING = {SkipReason.BROKEN, SkipReason.UNCLEAR}
#: Why an assignment that has ended is not open any more.
CLOSED = {
    AssignmentStatus.VOTED: "You have voted on this task already.",
    AssignmentStatus.SKIPPED: "You skipped this task: ask for new assignments.",
    AssignmentStatus.RELEASED: "You gave this task back: ask for new assignments.",
}


def renew_assignment(*, member: Member, assignment_id: UUID) -> datetime:
    """Give an assignment that is open and in time the project's whole time again; its new end.

    Raises UnknownAssignment, AssignmentClosed, or AssignmentExpired when it is too late.
    """
    rows = fetch(queries.RENEW, assignment=assignment_id, annotator=member.id)
    if not rows:
        assignment = _own_assignment(member, assignment_id)
        _refuse_unless(assignment, AssignmentStatus.OPEN, AssignmentStatus.EXPIRED)
        raise AssignmentExpired()
    ((expires_at,),) = rows
    assert isinstance(expires_at, datetime)
    return expires_at


@transaction.atomic
def skip_assignment(
    *, member: Member, assignment_id: UUID, reason: str = SkipReason.NOT_FOR_ME, comment: str | None = None
) -> None:
    """Give a task back, never to be offered to this annotator again. Repeating it changes nothing.

    Once the project's ``max_skips`` annotators found the task broken or unclear it is flagged for an expert: retired,
    until the project allows more. Raises UnknownAssignment, AssignmentClosed or AssignmentExpired; MustBeAnswered for a
    task of a training or test.
    """
    if member.stage is not None and _is_to_qualify(member, assignment_id):
        raise MustBeAnswered()
    task_id = _give_back(member, assignment_id, AssignmentStatus.SKIPPED, reason, comment)
    if task_id is None:
        assignment = _own_assignment(member, assignment_id)
        _refuse_unless(assignment, AssignmentStatus.SKIPPED, AssignmentStatus.OPEN, AssignmentStatus.EXPIRED)
        if assignment.status != AssignmentStatus.SKIPPED:
            raise AssignmentExpired()
    elif reason in TELLING and fetch(queries.FLAG, task=task_id):
        hint_after_commit("aggregation.refit", member.project_id)


def _is_to_qualify(member: Member, assignment_id: UUID) -> bool:
    mine = Assignment.objects.filter(id=assignment_id, annotator=member)
    return mine.filter(task__gold__origin=GoldOrigin.QUALIFICATION).exists()


def release_assignment(*, member: Member, assignment_id: UUID) -> None:
    """Give a task back without an opinion: it may come again. Repeating it, or being late, changes nothing.

    Raises UnknownAssignment, or AssignmentClosed if it was voted on or skipped.
    """
    if _give_back(member, assignment_id, AssignmentStatus.RELEASED) is None:
        assignment = _own_assignment(member, assignment_id)
        # An open one is over and the sweeper about to end it: to its task it is all the same.
        _refuse_unless(assignment, AssignmentStatus.RELEASED, AssignmentStatus.OPEN, AssignmentStatus.EXPIRED)


def _give_back(
    member: Member, assignment_id: UUID, status: str, reason: str | None = None, comment: str | None = None
) -> int | None:
    """The task given back, its row locked; None when the assignment is not open and in time."""
    who = {"assignment": assignment_id, "annotator": member.id}
    rows = fetch(queries.GIVE_BACK, **who, status=str(status), reason=reason and str(reason), comment=comment)
    return rows[0][0] if rows else None


def _own_assignment(member: Member, assignment_id: UUID) -> Assignment:
    assignment = Assignment.objects.filter(id=assignment_id, annotator=member).first()
    if assignment is None:
        raise UnknownAssignment()
    return assignment


def _refuse_unless(assignment: Assignment, *statuses: AssignmentStatus) -> None:
    status = AssignmentStatus(assignment.status)
    if status not in statuses:
        raise AssignmentClosed(CLOSED[status])


def expire_leases(*, limit: int = 1000) -> int:
    """End up to ``limit`` leases whose time is over, by the database's clock; how many were ended."""
    with transaction.atomic():
        fetch(queries.LOCK_SWEEP)
        ((ended,),) = fetch(queries.EXPIRE, limit=limit)
    return int(ended)
