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
    LateVoteNoRoom,
    ProjectPaused,
    UnknownAssignment,
    UnknownLabel,
    VoteConflict,
)
from projects.models import Assignment, AssignmentStatus, Member, ProjectStatus, VoteStatus
from projects.queries import fetch
from projects.services.hints import hint_after_commit
from projects.services.leases import CLOSED
from projects.services.recompute import recompute_tasks


@dataclass(frozen=True)
class VoteInput:
    assignment: UUID
    label: str
    seconds: float | None = None


def submit_votes(*, member: Member, votes: Sequence[VoteInput]) -> list[DomainError | None]:
    """Store votes, each on its own: for each, None or the reason why it was refused.

    A vote that is stored already is stored: its repeat is None too. A vote after the end of its lease is stored as any
    other while its task has a place for it; LateVoteNoRoom says that it was recorded, but does not count. An
    acknowledged vote is committed.
    """
    results: list[DomainError | None] = []
    for vote in votes:
        try:
            results.append(_submit_vote(member=member, vote=vote))
        except DomainError as error:
            results.append(error)
    return results


@transaction.atomic
def _submit_vote(*, member: Member, vote: VoteInput) -> LateVoteNoRoom | None:
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
        rows = _store_late_vote(who, what)
    if not rows:
        if _was_stored(member=member, assignment_id=vote.assignment, label=label):
            return None
        return _submit_vote(member=member, vote=vote)  # it was renewed or resumed since we looked
    ((task_id, counted),) = rows
    if not counted:
        return LateVoteNoRoom(field="assignment")
    recompute_tasks(project=project, task_ids=[task_id])
    hint_after_commit("aggregation.refit", project.id)
    return None


def _store_late_vote(who: dict[str, Any], what: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The task voted on and whether the vote counts; nothing unless the lease has ended, unanswered."""
    fetch(queries.LOCK_ANNOTATOR, annotator=who["annotator"])
    fetch(queries.END_LEASE, **who)
    return fetch(queries.STORE_LATE_VOTE, **who, **what)


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
            raise LateVoteNoRoom(field="assignment")
        return True
    if assignment.status in CLOSED:
        raise AssignmentClosed(CLOSED[AssignmentStatus(assignment.status)], field="assignment")
    if assignment.project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    return False
