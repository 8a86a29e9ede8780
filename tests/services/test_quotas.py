"""Quotas: votes of one annotator in a day and in all, together with what they hold, never exceed them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError

from projects.errors import LateVoteNoQuota
from projects.models import Project, Tally, TaskQueue, Vote
from projects.queries import fetch
from projects.services.assignments import skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.quotas import resets_at
from projects.services.voting import submit_votes, submit_votes_and_lease
from tests.services.campaign import Campaign, assert_counters_are_true, other_connection
from tests.services.test_leases import expire
from tests.support.client import wait_for

Make = Callable[..., Campaign]


def ask(c: Campaign, count: int, annotator: int = 0) -> tuple[int, str]:
    leases, why = lease_tasks(member=c.member(annotator), count=count)
    return len(leases), why


def cast_long_ago(c: Campaign) -> None:
    """All votes until now were cast yesterday."""
    yesterday = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)
    Vote.objects.filter(project=c.id).update(created_at=yesterday)


@pytest.mark.parametrize("quota", ["daily_quota", "total_quota"])
def test_nobody_gets_more_tasks_than_their_quota_has_left(campaign: Make, quota: str) -> None:
    c = campaign(tasks=9, annotators=2, **{quota: 4})
    c.vote(0, "cat")

    assert ask(c, 9) == (3, "ok")
    for _ in range(3):
        c.vote(0, "cat")

    assert ask(c, 9) == (0, "quota_reached")
    assert ask(c, 9, annotator=1) == (4, "ok"), "everybody has a quota of their own"
    assert_counters_are_true(c.project)


def test_a_day_begins_anew_at_midnight_in_utc_and_the_total_does_not(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=1, daily_quota=2, total_quota=3)
    c.vote(0, "cat")
    c.vote(0, "cat")
    assert ask(c, 9) == (0, "quota_reached")
    midnight = resets_at(c.member(0))
    assert midnight is not None and midnight.utcoffset() == timedelta(0)
    assert (midnight.hour, midnight.minute, midnight > datetime.now(UTC)) == (0, 0, True)

    cast_long_ago(c)
    assert ask(c, 9) == (1, "ok")
    c.vote(0, "cat")
    assert ask(c, 9) == (0, "quota_reached")
    assert resets_at(c.member(0)) is None


def test_the_lease_that_comes_with_a_vote_obeys_the_quota(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=1, daily_quota=2)
    for expected in ((1, "ok"), (0, "quota_reached")):
        vote = VoteInput(c.lease(0).id, "cat")
        submitted = submit_votes_and_lease(member=c.member(0), votes=[vote], count=5)
        assert submitted.results == [None]
        assert (len(submitted.leases[0]), submitted.leases[1]) == expected


def test_what_is_skipped_or_expired_uses_up_nothing(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=1, daily_quota=1)
    skip_assignment(member=c.member(0), assignment_id=c.lease(0).id)
    expire(c.lease(0).id)
    assert ask(c, 9) == (1, "ok")


def test_a_late_vote_counts_while_the_quota_has_a_vote_that_nobody_holds(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=1, redundancy=2, daily_quota=2)
    first, second = lease_tasks(member=c.member(0), count=2)[0]
    expire(first.id)
    expire(second.id)
    TaskQueue.objects.filter(task__in=[c.task(first.data["n"]), c.task(second.data["n"])]).update(priority=0)
    assert ask(c, 1) == (1, "ok")

    votes = [VoteInput(lease.id, "cat") for lease in (first, second)]
    answers = [submit_votes(member=c.member(0), votes=[vote])[0] for vote in [*votes, votes[1]]]

    assert [answer.__class__ for answer in answers] == [type(None), LateVoteNoQuota, LateVoteNoQuota]
    assert list(Vote.objects.filter(project=c.id).values_list("status", "uncounted_for").order_by("id")) == [
        ("counted", None),
        ("uncounted", "quota"),
    ]
    assert ask(c, 9) == (1, "ok")
    assert_counters_are_true(c.project)


def test_a_lowered_quota_takes_nothing_back_and_gives_nothing_more(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=1, total_quota=6)
    c.vote(0, "cat")
    assert ask(c, 4) == (4, "ok")
    configure_project(project_id=c.id, version=c.fresh().version, changes={"total_quota": 2})

    assert ask(c, 9) == (4, "ok")
    for _ in range(4):
        c.vote(0, "dog")

    assert ask(c, 9) == (0, "quota_reached")
    configure_project(project_id=c.id, version=c.fresh().version, changes={"total_quota": None})
    assert ask(c, 9) == (4, "ok")


def test_a_quota_and_a_budget_both_hold(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=2, redundancy=2, daily_quota=3, budget=4)
    assert ask(c, 9) == (3, "ok")
    assert ask(c, 9, annotator=1) == (1, "ok")
    assert_counters_are_true(c.project)


def test_a_project_without_quotas_counts_nobodys_votes(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = campaign(tasks=2, annotators=1)
    monkeypatch.setattr("projects.services.quotas.allowance", lambda member: pytest.fail("asked"))
    assert ask(c, 1) == (1, "ok")


def test_the_database_itself_refuses_a_quota_of_nothing(campaign: Make) -> None:
    c = campaign()
    with pytest.raises(IntegrityError, match="project_quotas_positive"):
        Project.objects.filter(id=c.id).update(daily_quota=0)


#: Somebody's transaction that began before the newest vote.
OLDER = """
SELECT 1 FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND xact_start <= (SELECT max(created_at) FROM projects_vote)
"""


def test_what_was_voted_long_ago_is_counted_once(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projects.services.quotas.TALLIED", 3)
    c = campaign(tasks=12, annotators=2, total_quota=8)
    for _ in range(4):
        c.vote(0, "cat")
    c.vote(1, "cat")
    wait_for(lambda: not fetch(OLDER), what="the end of transactions that might still add a vote")
    ask(c, 1)
    tally = Tally.objects.get(annotator=c.annotators[0].id)
    assert tally.votes >= 3 and not Tally.objects.exclude(annotator=c.annotators[0].id).exists()

    # Of those in the tally; what is in it is not looked at again.
    Vote.objects.filter(annotator=c.annotators[0].id, created_at__lt=tally.until).update(status="uncounted")
    for _ in range(3):
        c.vote(0, "cat")
        assert resets_at(c.member(0)) is not None
    c.vote(0, "cat")
    assert ask(c, 9) == (0, "quota_reached")
    assert resets_at(c.member(0)) is None
    assert Tally.objects.get(annotator=c.annotators[0].id).votes > tally.votes


def test_a_tally_ends_before_the_oldest_transaction_that_may_still_add_a_vote(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projects.services.quotas.TALLIED", 1)
    c = campaign(tasks=9, annotators=1, total_quota=9)
    c.vote(0, "cat")
    with other_connection() as other:
        ((begun,),) = other.execute("SELECT now()").fetchall()
        c.vote(0, "cat")
        ask(c, 1)
        tally = Tally.objects.get(annotator=c.annotators[0].id)
        assert (tally.votes, tally.until) == (1, begun), "the second came after it began"
    ask(c, 1)
    assert Tally.objects.get(annotator=c.annotators[0].id).votes == 2
