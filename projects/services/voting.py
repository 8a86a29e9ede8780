"""The way of a vote, its one straight line: ``submit_votes`` (tests/flows/test_vote_path.py tells the story)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg.types.json import Jsonb

from aggregation.core import choice
from projects import queries
from projects.errors import (
    AssignmentClosed,
    AssignmentExpired,
    DomainError,
    ProjectPaused,
    UnknownAssignment,
    UnknownLabel,
    VoteConflict,
)
from projects.models import Assignment, AssignmentStatus, Member, ProjectStatus
from projects.queries import fetch, from_json
from projects.services.hints import hint_after_commit
from projects.services.recompute import recompute_tasks


@dataclass(frozen=True)
class Lease:
    """What an annotator is given: nothing of it tells one task from another but its data."""

    id: UUID
    data: Any
    expires_at: Any


@dataclass(frozen=True)
class VoteInput:
    assignment: UUID
    label: str
    seconds: float | None = None


def lease_tasks(*, member: Member, count: int) -> tuple[list[Lease], str]:
    """Up to ``count`` assignments that the annotator now holds: those held already first, then newly leased ones.

    The second value says why there are not more: "ok" (there are), "retry" (rows were locked just now), "waiting" (all
    that is left is leased by others), "finished" (nothing is left for this person). Raises ProjectPaused.
    """
    project = member.project
    if project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    who = {"project": project.id, "annotator": member.id}
    rows = fetch(queries.HELD, **who, count=count)
    if len(rows) < count:
        seconds = timedelta(seconds=project.lease_seconds)
        rows += fetch(queries.LEASE, **who, count=count - len(rows), lease=seconds)
    if rows:
        return [Lease(id_, from_json(data), expires_at) for id_, data, expires_at in rows], "ok"
    ((has_room,),) = fetch(queries.LEFT_OVER, **who)
    return [], {None: "finished", True: "retry", False: "waiting"}[has_room]


def lease_next(*, member: Member, count: int) -> tuple[list[Lease], str]:
    """As ``lease_tasks`` for whoever has just voted: a pause must not take back that their votes were stored."""
    if count == 0:
        return [], "ok"
    try:
        return lease_tasks(member=member, count=count)
    except ProjectPaused:
        return [], "waiting"


def submit_votes(*, member: Member, votes: Sequence[VoteInput]) -> list[DomainError | None]:
    """Store votes, each on its own: for each, None or the reason why it was refused.

    A vote that is stored already is stored: its repeat is None too. An acknowledged vote is committed.
    """
    results: list[DomainError | None] = []
    for vote in votes:
        try:
            _submit_vote(member=member, vote=vote)
        except DomainError as error:
            results.append(error)
        else:
            results.append(None)
    return results


@transaction.atomic
def _submit_vote(*, member: Member, vote: VoteInput) -> None:
    project = member.project
    try:
        answer, label = choice.canonical({"label": vote.label}, project.labels)
    except ValueError as error:
        raise UnknownLabel(f"{str(error).capitalize()}.", field="label") from error
    task_id = _store_vote(member=member, vote=vote, answer=answer, label=label)
    if task_id is None:
        _explain_refusal(member=member, assignment_id=vote.assignment, label=label)
        return
    recompute_tasks(project=project, task_ids=[task_id])
    hint_after_commit("aggregation.refit", project.id)


def _store_vote(*, member: Member, vote: VoteInput, answer: dict[str, str], label: int) -> int | None:
    """The task voted on, or None when the assignment is not open to this vote. Leaves the task's row locked."""
    rows = fetch(
        queries.STORE_VOTE,
        assignment=vote.assignment,
        annotator=member.id,
        answer=Jsonb(answer),
        label=label,
        seconds=vote.seconds,
    )
    return rows[0][0] if rows else None


def _explain_refusal(*, member: Member, assignment_id: UUID, label: int) -> None:
    """Why nothing was stored; silent when the very same vote was stored before."""
    assignment = Assignment.objects.filter(id=assignment_id, annotator=member).select_related("project", "vote").first()
    if assignment is None:
        raise UnknownAssignment(field="assignment")
    if assignment.status == AssignmentStatus.VOTED:
        if assignment.vote.label == label:
            return
        raise VoteConflict(field="assignment")
    if assignment.status == AssignmentStatus.SKIPPED:
        raise AssignmentClosed("You skipped this task: ask for new assignments.", field="assignment")
    if assignment.project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    raise AssignmentExpired(field="assignment")


@transaction.atomic
def skip_assignment(*, member: Member, assignment_id: UUID) -> None:
    """Give a task back, never to be offered to this annotator again. Repeating it changes nothing."""
    if fetch(queries.SKIP, assignment=assignment_id, annotator=member.id):
        return
    assignment = Assignment.objects.filter(id=assignment_id, annotator=member).first()
    if assignment is None:
        raise UnknownAssignment()
    if assignment.status == AssignmentStatus.VOTED:
        raise AssignmentClosed("You have voted on this task already.")
    if assignment.status != AssignmentStatus.SKIPPED:
        raise AssignmentExpired()


def expire_leases(*, limit: int = 1000) -> int:
    """End up to ``limit`` leases whose time is over, by the database's clock; how many were ended."""
    with transaction.atomic():
        ((ended,),) = fetch(queries.EXPIRE, limit=limit)
    return int(ended)
