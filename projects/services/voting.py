"""The way of a vote, its one straight line: ``submit_votes`` (tests/flows/test_vote_path.py tells the story)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from projects.errors import DomainError, UnknownLabel
from projects.models import Member
from projects.services.ballots import Ballot, Canonical, VoteInput, canonical, take_ballots
from projects.services.entry_answers import Answered, earlier_answer, store_answers
from projects.services.hints import send_hint
from projects.services.late_votes import submit_alone
from projects.services.leases import Lease, lease_next


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
    checked = [canonical(member.project, vote) for vote in votes]
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
        return submit_alone(member=member, vote=vote)
    except DomainError as error:
        return error
