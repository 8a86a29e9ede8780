"""Ballots: the votes of several annotators and their next leases, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from aggregation.core import choice
from projects import queries
from projects.errors import UnknownLabel
from projects.models import Member, Project
from projects.queries import Statement, trips
from projects.services.leases import Lease, leasing, leasing_together, shared_out
from projects.services.recompute import summarise_rows, writing


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


def canonical(project: Project, vote: VoteInput) -> Canonical | UnknownLabel:
    try:
        answer, label = choice.canonical({"label": vote.label}, project.labels)
    except ValueError as error:
        return UnknownLabel(f"{str(error).capitalize()}.", field="label")
    return Canonical(vote.assignment, answer, label, vote.seconds)


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
    checked = [canonical(member.project, vote) for vote in votes]
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
