"""The way of a vote, its one straight line: ``submit_votes`` (tests/flows/test_vote_path.py tells the story)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg.types.json import Jsonb

from aggregation.core import choice
from projects import queries
from projects.errors import (
    AssignmentClosed,
    DomainError,
    LateVoteNoBudget,
    LateVoteNoRoom,
    ProjectPaused,
    UnknownAssignment,
    UnknownLabel,
    VoteConflict,
)
from projects.models import Assignment, AssignmentStatus, Member, ProjectStatus, UncountedReason, VoteStatus
from projects.queries import fetch
from projects.services import budget
from projects.services.hints import hint_after_commit
from projects.services.leases import CLOSED
from projects.services.recompute import recompute_tasks

#: What a late vote that does not count is answered with.
UNCOUNTED = {UncountedReason.ROOM: LateVoteNoRoom, UncountedReason.BUDGET: LateVoteNoBudget}


@dataclass(frozen=True)
class VoteInput:
    assignment: UUID
    label: str
    seconds: float | None = None


def submit_votes(*, member: Member, votes: Sequence[VoteInput]) -> list[DomainError | None]:
    """Store votes, each on its own: for each, None or the reason why it was refused.

    A vote that is stored already is stored: its repeat is None too. A vote after the end of its lease is stored as any
    other while its task has a place for it and the budget affords it; LateVoteNoRoom or LateVoteNoBudget say that it
    was recorded, but does not count. An acknowledged vote is committed.
    """
    results: list[DomainError | None] = []
    for vote in votes:
        try:
            results.append(_submit_vote(member=member, vote=vote))
        except DomainError as error:
            results.append(error)
    return results


@transaction.atomic
def _submit_vote(*, member: Member, vote: VoteInput) -> DomainError | None:
    """None: stored. What is raised stores nothing; what is returned has left an uncounted vote."""
    project = member.project
    try:
        answer, label = choice.canonical({"label": vote.label}, project.labels)
    except ValueError as error:
        raise UnknownLabel(f"{str(error).capitalize()}.", field="label") from error
    who = {"assignment": vote.assignment, "annotator": member.id}
    what = {"answer": Jsonb(answer), "label": label, "seconds": vote.seconds}
    rows = fetch(queries.STORE_VOTE, **who, **what)
    if not rows:
        rows = _store_late_vote(project.id, who, what)
    if not rows:
        if _was_stored(member=member, assignment_id=vote.assignment, label=label):
            return None
        return _submit_vote(member=member, vote=vote)  # it was renewed or resumed since we looked
    ((task_id, uncounted_for),) = rows
    if uncounted_for is not None:
        return UNCOUNTED[uncounted_for](field="assignment")
    recompute_tasks(project=project, task_ids=[task_id])
    hint_after_commit("aggregation.refit", project.id)
    return None


def _store_late_vote(project_id: int, who: dict[str, Any], what: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The task voted on and why the vote does not count, if so; nothing unless the lease has ended, unanswered."""
    fetch(queries.LOCK_ANNOTATOR, annotator=who["annotator"])
    price = budget.lock_late(project_id=project_id, **who)
    fetch(queries.END_LEASE, **who)
    funds = budget.late_funds(project_id=project_id, price=price)
    rows = fetch(queries.STORE_LATE_VOTE, **who, **what, funded=funds.suffice)
    if rows and rows[0][1] is None:
        funds.spend()
    return rows


def _was_stored(*, member: Member, assignment_id: UUID, label: int) -> bool:
    """Whether this very vote is stored and counted. Raises the reason why nothing was stored now, if there is one."""
    assignment = Assignment.objects.filter(id=assignment_id, annotator=member).select_related("project", "vote").first()
    if assignment is None:
        raise UnknownAssignment(field="assignment")
    stored = getattr(assignment, "vote", None)
    if stored is not None:
        if stored.label != label:
            raise VoteConflict(field="assignment")
        if stored.status == VoteStatus.UNCOUNTED:
            raise UNCOUNTED[stored.uncounted_for or UncountedReason.ROOM](field="assignment")
        return True
    if assignment.status in CLOSED:
        raise AssignmentClosed(CLOSED[AssignmentStatus(assignment.status)], field="assignment")
    if assignment.project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    return False
