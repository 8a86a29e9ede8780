"""Votes that are late, repeated or wrong: each by itself."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg.types.json import Jsonb

from projects import queries
from projects.errors import (
    AnnotatorBlocked,
    AssignmentClosed,
    DomainError,
    LateVoteNoBudget,
    LateVoteNoQuota,
    LateVoteNoRoom,
    ProjectPaused,
    UnknownAssignment,
    VoteConflict,
)
from projects.models import Assignment, AssignmentStatus, Member, ProjectStatus, Standing, UncountedReason, VoteStatus
from projects.queries import Rows, fetch
from projects.services import budget, quotas
from projects.services.assignments import CLOSED
from projects.services.ballots import Ballot, Canonical, take_ballots
from projects.services.hints import hint_after_commit
from projects.services.recompute import recompute_tasks

#: What a late vote that does not count is answered with.
UNCOUNTED = {
    UncountedReason.ROOM: LateVoteNoRoom,
    UncountedReason.BUDGET: LateVoteNoBudget,
    UncountedReason.QUOTA: LateVoteNoQuota,
}


@transaction.atomic
def submit_alone(*, member: Member, vote: Canonical) -> DomainError | None:
    """None: stored. What is raised stores nothing; what is returned has left an uncounted vote."""
    who = {"assignment": vote.assignment, "annotator": member.id}
    rows = _store_late_vote(member, who, {"answer": Jsonb(vote.answer), "label": vote.label, "seconds": vote.seconds})
    if not rows:
        # Neither late nor stored: it was renewed or resumed since we looked.
        if _was_stored(member=member, assignment_id=vote.assignment, label=vote.label):
            return None
        if take_ballots([Ballot(member, {vote.assignment: vote}, 0)])[0].stored:
            hint_after_commit("aggregation.refit", member.project_id)
            return None
        return submit_alone(member=member, vote=vote)
    ((task_id, uncounted_for),) = rows
    if uncounted_for is not None:
        return UNCOUNTED[uncounted_for](field="assignment")
    recompute_tasks(project=member.project, task_ids=[task_id])
    hint_after_commit("aggregation.refit", member.project_id)
    return None


def _store_late_vote(member: Member, who: dict[str, Any], what: dict[str, Any]) -> Rows:
    """The task voted on and why the vote does not count, if so; nothing unless the lease has ended, unanswered."""
    fetch(queries.LOCK_ANNOTATOR, annotator=who["annotator"])
    allowed = not member.project.has_quotas or quotas.allowance(member).affords_late_vote
    price = budget.lock_late(project_id=member.project_id, **who)
    fetch(queries.END_LEASE, **who)
    funds = budget.late_funds(project_id=member.project_id, price=price)
    lacks = UncountedReason.QUOTA if not allowed else None if funds.suffice else UncountedReason.BUDGET
    rows = fetch(queries.STORE_LATE_VOTE, **who, **what, lacks=lacks and lacks.value)
    if rows and rows[0][1] is None:
        funds.spend()
    return rows


def _was_stored(*, member: Member, assignment_id: UUID, label: int) -> bool:
    """Whether this very vote is stored and counted. Raises the reason why nothing was stored now, if there is one."""
    mine = Assignment.objects.filter(id=assignment_id, annotator=member)
    assignment = mine.select_related("project", "annotator", "vote").first()
    if assignment is None:
        raise UnknownAssignment(field="assignment")
    stored = getattr(assignment, "vote", None)
    if stored is not None:
        if stored.label != label:
            raise VoteConflict(field="assignment")
        if stored.status == VoteStatus.UNCOUNTED:
            raise UNCOUNTED[stored.uncounted_for or UncountedReason.ROOM](field="assignment")
        return True
    if assignment.annotator.standing == Standing.BLOCKED:
        raise AnnotatorBlocked(field="assignment")
    if assignment.status in CLOSED:
        raise AssignmentClosed(CLOSED[AssignmentStatus(assignment.status)], field="assignment")
    if assignment.project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    return False
