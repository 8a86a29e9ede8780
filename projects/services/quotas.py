"""Quotas: how many votes one annotator may give, in a day and in all (docs/people.md)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from projects import queries
from projects.models import Member
from projects.queries import fetch, fetch_together

#: From so many votes on that were cast since somebody's tally, it is brought up to date.
TALLIED = 1000


@dataclass(frozen=True)
class Allowance:
    """Of one annotator, locked until the end of the transaction: votes they may still give, and leases they hold."""

    votes: int
    held: int

    @property
    def leases(self) -> int:
        """How many assignments they may hold: what they hold already is theirs even if a quota was lowered since."""
        return max(self.votes, self.held)

    @property
    def affords_late_vote(self) -> bool:
        """Whether there is a vote left that no open lease has been promised."""
        return self.votes > self.held


def allowance(member: Member) -> Allowance:
    """What the project's quotas leave to this annotator. Locks the annotator first."""
    project = member.project
    who = {"annotator": member.id}
    _, ((today, before, since, held),) = fetch_together(
        (queries.LOCK_ANNOTATOR, who), (queries.WORK_DONE, {**who, "all": project.total_quota is not None})
    )
    if since >= TALLIED:
        fetch(queries.TALLY, **who)
    done = (project.daily_quota, today), (project.total_quota, before + since)
    left = [quota - votes for quota, votes in done if quota]
    return Allowance(votes=max(0, min(left)), held=held)


def resets_at(member: Member) -> datetime | None:
    """When the quota that this annotator has reached begins anew; None: never."""
    project = member.project
    ((_today, before, since, _held),) = fetch(queries.WORK_DONE, annotator=member.id, all=True)
    if project.total_quota is not None and before + since >= project.total_quota:
        return None
    ((tomorrow,),) = fetch(queries.NEXT_DAY)
    assert isinstance(tomorrow, datetime)
    return tomorrow
