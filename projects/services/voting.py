"""The way of a vote, its one straight line: ``submit_votes`` (tests/flows/test_vote_path.py tells the story)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from psycopg.types.json import Jsonb

from aggregation.core import choice
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
    UnknownLabel,
    VoteConflict,
)
from projects.models import (
    Assignment,
    AssignmentStatus,
    Member,
    Project,
    ProjectStatus,
    Standing,
    UncountedReason,
    VoteStatus,
)
from projects.queries import Rows, Statement, fetch, trips
from projects.services import budget, quotas
from projects.services.entry_answers import Answered, earlier_answer, store_answers
from projects.services.hints import hint_after_commit, send_hint
from projects.services.leases import CLOSED, Lease, lease_next, leasing, leasing_together, shared_out
from projects.services.recompute import recompute_tasks, summarise_rows, writing

#: What a late vote that does not count is answered with.
UNCOUNTED = {
    UncountedReason.ROOM: LateVoteNoRoom,
    UncountedReason.BUDGET: LateVoteNoBudget,
    UncountedReason.QUOTA: LateVoteNoQuota,
}


@dataclass(frozen=True)
class VoteInput:
    assignment: UUID
    label: str
    seconds: float | None = None


@dataclass(frozen=True)
class Canonical:
    """A vote whose answer the label type has understood."""

    assignment: UUID
    answer: dict[str, Any]
    label: int
    seconds: float | None

    def as_row(self) -> dict[str, Any]:
        return {"assignment": str(self.assignment), "answer": self.answer, "label": self.label, "seconds": self.seconds}


def submit_votes(*, member: Member, votes: Sequence[VoteInput]) -> list[DomainError | None]:
    """Store votes, each on its own: for each, None or the reason why it was refused.

    A vote that is stored already is stored: its repeat is None too. A vote after the end of its lease is stored as any
    other while its task has a place for it and budget and quota afford it; LateVoteNoRoom, LateVoteNoBudget and
    LateVoteNoQuota say that it was recorded, but does not count. An acknowledged vote is committed.
    """
    return submit_votes_and_lease(member=member, votes=votes, count=0).results


@dataclass(frozen=True)
class Submitted:
    """What came of votes, each in its place; of those in training or a test, what may be told; and the next leases."""

    results: list[DomainError | None]
    answered: dict[UUID, Answered]
    leases: tuple[list[Lease], str]


def submit_votes_and_lease(*, member: Member, votes: Sequence[VoteInput], count: int) -> Submitted:
    """As ``submit_votes``; and, once a vote is stored, what ``leases.lease_next`` gives for ``count`` after it.

    Votes in time, and the lease, are one transaction. All others follow, each in its own.
    """
    checked = [_canonical(member.project, vote) for vote in votes]
    first = {vote.assignment: vote for vote in reversed(checked) if isinstance(vote, Canonical)}
    # Who was never asked to qualify holds no task for that.
    answered = store_answers(member=member, votes=first) if first and member.stage is not None else {}
    ordinary = {assignment: vote for assignment, vote in first.items() if assignment not in answered}
    count = min(count, member.project.max_leases)
    (taken,) = take_ballots([Ballot(member, ordinary, count if ordinary else 0)])
    if taken.stored:
        send_hint("aggregation.refit", member.project_id)
    kept = {assignment: first[assignment] for assignment in taken.stored | answered.keys()}
    results = [
        vote if isinstance(vote, UnknownLabel) else _result_of(member, vote, kept.get(vote.assignment), answered)
        for vote in checked
    ]
    if len(taken.leases) < count and None in results:
        return Submitted(results, answered, lease_next(member=member, count=count))
    return Submitted(results, answered, (taken.leases, "ok"))


@dataclass(frozen=True, eq=False)
class Ballot:
    """One annotator's votes, by assignment, and how many assignments they want to hold afterwards (0: no matter).

    Without a vote it asks for assignments alone.
    """

    member: Member
    votes: Mapping[UUID, Canonical]
    count: int


@dataclass(frozen=True)
class Taken:
    """What came of a ballot: the votes stored, by assignment, and assignments held, if any was; perhaps too few."""

    stored: set[UUID]
    leases: list[Lease]


def plain_ballot(*, member: Member, votes: Sequence[VoteInput], count: int) -> Ballot | None:
    """The ballot of somebody who has only to vote, on assignments that are plainly different; None for others."""
    checked = [_canonical(member.project, vote) for vote in votes]
    first = {vote.assignment: vote for vote in checked if isinstance(vote, Canonical)}
    if member.stage is not None or len(first) < len(votes):
        return None
    if count and leasing(member=member, count=count) is None:
        return None
    return Ballot(member, first, min(count, member.project.max_leases))


def take_ballots(ballots: Sequence[Ballot], provided: Sequence[Statement] = ()) -> list[Taken]:
    """Store those votes whose lease is open and in time, their tasks recomputed, and lease: one transaction for all.

    The ballots are of one project, no two of one annotator. Hints are the caller's. Nothing is done if one of these
    statements (``provided``) fails, whose error is raised.
    """
    lock = (queries.LOCK_ANNOTATORS, {"annotators": [ballot.member.id for ballot in ballots]})
    votes = [(ballot.member.id, vote) for ballot in ballots for vote in ballot.votes.values()]
    stored: list[set[UUID]] = [set() for _ in ballots]
    with trips() as trip:
        then: list[Statement] = [*provided, lock]
        if votes:
            closed, read = trip(*then, *_storing(ballots[0].member.project, votes))[len(then) :]
            then = []
            for of, ballot in zip(stored, ballots, strict=True):
                of.update(assignment for assignment, annotator, _ in closed if annotator == ballot.member.id)
            if closed:
                tasks = {task_id for _, _, task_id in closed}
                rows = [row for row in read if row[0] in tasks]
                then = [writing(*summarise_rows(project=ballots[0].member.project, rows=rows))]
        wanted = [
            (ballot.member, ballot.count if of or not ballot.votes else 0)
            for ballot, of in zip(ballots, stored, strict=True)
        ]
        given = leasing_together([(member, count) for member, count in wanted if count])
        found = trip(*then, *[statement for _, statement in given], last=True)[len(then) :] if then or given else []
    return [Taken(*each) for each in zip(stored, shared_out(wanted, given, found), strict=True)]


def _storing(project: Project, votes: Sequence[tuple[int, Canonical]]) -> list[Statement]:
    """The statements that store votes, each with its annotator, and read what their tasks' posteriors are made of."""
    which = {"assignments": [vote.assignment for _, vote in votes], "annotators": [annotator for annotator, _ in votes]}
    what = {
        "answers": orjson.dumps([vote.answer for _, vote in votes]).decode(),
        "labels": [vote.label for _, vote in votes],
        "seconds": [vote.seconds for _, vote in votes],
    }
    recomputing = queries.TASKS_VOTED_ON_CONFIRMING if project.has_confirmed else queries.TASKS_VOTED_ON
    return [(queries.STORE_VOTES, {**which, **what}), (recomputing, which)]


def _canonical(project: Project, vote: VoteInput) -> Canonical | UnknownLabel:
    try:
        answer, label = choice.canonical({"label": vote.label}, project.labels)
    except ValueError as error:
        return UnknownLabel(f"{str(error).capitalize()}.", field="label")
    return Canonical(vote.assignment, answer, label, vote.seconds)


def _result_of(
    member: Member, vote: Canonical, stored: Canonical | None, answered: dict[UUID, Answered]
) -> DomainError | None:
    """None if this is the vote that was stored; else it is late, a repeat, or wrong, and tried by itself."""
    if vote is stored:
        return None
    try:
        earlier = earlier_answer(member=member, vote=vote) if member.stage is not None else None
        if earlier is not None:
            answered[vote.assignment] = earlier
            return None
        return _submit_vote(member=member, vote=vote)
    except DomainError as error:
        return error


@transaction.atomic
def _submit_vote(*, member: Member, vote: Canonical) -> DomainError | None:
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
        return _submit_vote(member=member, vote=vote)
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
