"""Leases: held, given back, expired."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from projects.errors import AssignmentClosed, AssignmentExpired, UnknownAssignment, VoteConflict
from projects.models import Assignment, Project, TaskQueue, Vote
from projects.services.assignments import expire_leases, release_assignment, renew_assignment, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true
from tests.support.client import wait_for

Make = Callable[..., Campaign]


def let_time_pass(assignment: UUID) -> None:
    """Its time is over, and a sweep will end it soon."""
    Assignment.objects.filter(id=assignment).update(expires_at=timezone.now() - timedelta(seconds=1))


def expire(assignment: UUID) -> None:
    """Let its time be over, and wait until a sweep (ours or the stack's own) has ended it."""
    let_time_pass(assignment)
    expire_leases()
    wait_for(lambda: Assignment.objects.filter(id=assignment, status="expired").exists(), what="the sweep")


def test_whoever_asks_again_gets_what_they_hold(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=1)
    first = [lease_tasks(member=c.member(0), count=2), lease_tasks(member=c.member(0), count=2)]
    assert first[0] == first[1]

    more, _ = lease_tasks(member=c.member(0), count=3)

    assert more[:2] == first[0][0] and len(more) == 3
    assert_counters_are_true(c.project)


def set_priorities(c: Campaign, *priorities: int) -> None:
    for n, priority in enumerate(priorities):
        TaskQueue.objects.filter(task=c.task(n)).update(priority=priority)


def numbers(c: Campaign, annotator: int, count: int) -> list[int]:
    return [lease.data["n"] for lease in lease_tasks(member=c.member(annotator), count=count)[0]]


def test_the_most_urgent_task_comes_first_and_of_equals_the_oldest(campaign: Make) -> None:
    c = campaign(tasks=6, annotators=1)
    set_priorities(c, 10, 500, 501, 500, 999, 0)

    leased = [numbers(c, 0, count)[-1] for count in range(1, 7)]

    assert leased == [4, 2, 1, 3, 0, 5]


def test_several_at_once_are_the_most_urgent_ones_in_their_order(campaign: Make) -> None:
    c = campaign(tasks=6, annotators=1)
    set_priorities(c, 10, 500, 501, 499, 999, 0)

    assert numbers(c, 0, 3) == [4, 2, 1]


def test_a_task_that_nobody_is_answering_comes_before_a_more_urgent_one_that_somebody_holds(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=3, redundancy=3)
    set_priorities(c, 100, 900, 200)

    assert numbers(c, 0, 1) == [1]
    assert numbers(c, 1, 1) == [2], "1 is more urgent and has room, but an answer is on its way"
    assert set(numbers(c, 2, 2)) == {0, 1}, "then those in somebody's hands, by urgency"
    assert_counters_are_true(c.project)


def test_an_expired_lease_gives_its_place_back_once(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1)
    lease = c.lease(0)
    assert lease_tasks(member=c.member(1), count=1) == ([], "waiting")

    expire(lease.id)
    expire_leases()

    assert c.state(0).leases == 0
    assert c.lease(1), "somebody else gets it"
    assert c.state(0).votes == 0
    assert_counters_are_true(c.project)


def test_who_let_a_lease_expire_may_get_the_task_again(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, redundancy=1)
    expire(c.lease(0).id)

    c.vote(0, "dog")

    assert c.state(0).retired == "redundancy"


def test_a_skipped_task_goes_to_somebody_else(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1)
    lease = c.lease(0)
    skip_assignment(member=c.member(0), assignment_id=lease.id)
    skip_assignment(member=c.member(0), assignment_id=lease.id)

    assert lease_tasks(member=c.member(0), count=1) == ([], "finished")
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, "cat")])[0].__class__ is AssignmentClosed
    assert c.lease(1)
    assert_counters_are_true(c.project)


def test_each_vote_of_a_request_stands_on_its_own(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=2)
    mine, other = c.lease(0, 0), c.lease(0, 1)
    c.vote(0, "dog", 1)

    results = submit_votes(
        member=c.member(0),
        votes=[
            VoteInput(c.lease(1).id, "cat"),  # not mine
            VoteInput(mine.id, "cat"),
            VoteInput(mine.id, "cat"),  # a repeat
            VoteInput(other.id, "cat"),  # the stored vote says otherwise
        ],
    )

    assert [None if error is None else type(error) for error in results] == [
        UnknownAssignment,
        None,
        None,
        VoteConflict,
    ]
    assert sorted(Vote.objects.filter(project=c.project).values_list("label", flat=True)) == [0, 1]


def test_a_renewed_lease_has_the_projects_whole_time_again(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1, lease_seconds=600)
    lease = c.lease(0)
    Assignment.objects.filter(id=lease.id).update(expires_at=timezone.now() + timedelta(seconds=60))

    first = renew_assignment(member=c.member(0), assignment_id=lease.id)
    assert first > lease.expires_at
    assert Assignment.objects.get(id=lease.id).expires_at == first

    Project.objects.filter(id=c.id).update(lease_seconds=10)
    assert renew_assignment(member=c.member(0), assignment_id=lease.id) < first, "as long as the project says now"
    assert_counters_are_true(c.project)


def test_only_ones_own_lease_is_renewed_while_it_is_open_and_in_time(campaign: Make) -> None:
    c = campaign(tasks=5, annotators=2)
    other = c.lease(1, 0)
    voted, skipped, released, over = (c.lease(0, n) for n in range(1, 5))
    c.vote(0, "cat", 1)
    skip_assignment(member=c.member(0), assignment_id=skipped.id)
    release_assignment(member=c.member(0), assignment_id=released.id)

    def renew(assignment: UUID) -> type[Exception]:
        before = Assignment.objects.filter(id=assignment).values_list("expires_at", flat=True).first()
        with pytest.raises((AssignmentClosed, AssignmentExpired, UnknownAssignment)) as raised:
            renew_assignment(member=c.member(0), assignment_id=assignment)
        after = Assignment.objects.filter(id=assignment).values_list("expires_at", flat=True).first()
        assert before == after
        return raised.type

    assert renew(other.id) is renew(uuid4()) is UnknownAssignment
    assert renew(voted.id) is renew(skipped.id) is renew(released.id) is AssignmentClosed
    let_time_pass(over.id)
    assert renew(over.id) is AssignmentExpired
    expire(over.id)
    assert renew(over.id) is AssignmentExpired


def test_a_released_task_may_come_to_the_same_annotator_again(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, redundancy=1)
    first = c.lease(0)
    for _ in range(2):
        release_assignment(member=c.member(0), assignment_id=first.id)
        assert_counters_are_true(c.project)
    assert c.state(0).leases == 0

    second = c.lease(0)

    assert second.id != first.id and second.data == first.data
    release_assignment(member=c.member(0), assignment_id=first.id)
    assert c.state(0).leases == 1, "the new lease is another one"
    results = submit_votes(member=c.member(0), votes=[VoteInput(first.id, "cat"), VoteInput(second.id, "dog")])
    assert [type(result) for result in results] == [AssignmentClosed, type(None)]
    assert_counters_are_true(c.project)


def test_what_is_over_or_closed_is_released_by_no_one(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=2)
    voted, skipped, over = (c.lease(0, n) for n in range(3))
    c.vote(0, "cat", 0)
    skip_assignment(member=c.member(0), assignment_id=skipped.id)
    for closed in (voted, skipped):
        with pytest.raises(AssignmentClosed):
            release_assignment(member=c.member(0), assignment_id=closed.id)
    with pytest.raises(UnknownAssignment):
        release_assignment(member=c.member(1), assignment_id=over.id)
    for ended in (let_time_pass, expire):
        ended(over.id)
        release_assignment(member=c.member(0), assignment_id=over.id)
    assert c.state(2).leases == 0
    assert_counters_are_true(c.project)


def test_a_task_that_enough_people_find_broken_or_unclear_is_flagged(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=6, redundancy=3, max_skips=2)
    for annotator, reason in enumerate(("not_for_me", "broken", "not_for_me", "unclear")):
        assert c.state(0).retired is None
        assert lease_tasks(member=c.member(5), count=1)[1] == "ok"
        skip_assignment(member=c.member(annotator), assignment_id=c.lease(annotator).id, reason=reason, comment="?")

    assert c.state(0).retired == "flagged"
    assert lease_tasks(member=c.member(4), count=1) == ([], "finished")
    held = lease_tasks(member=c.member(5), count=1)[0][0]
    assert submit_votes(member=c.member(5), votes=[VoteInput(held.id, "cat")]) == [None], "who has it may answer"
    assert (c.state(0).retired, c.state(0).votes) == ("flagged", 1), "and it stays flagged"
    c.refit()
    assert (c.state(0).retired, c.consensus(0).retired) == ("flagged", "flagged")
    for redundancy in (1, 3):
        configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": redundancy})
        assert c.state(0).retired == "flagged", "neither done nor open again"
    assert not TaskQueue.objects.get(task=c.task(0)).open
    assert_counters_are_true(c.project)


def test_without_a_limit_no_number_of_skips_flags_a_task(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=6, redundancy=1)
    for annotator in range(5):
        skip_assignment(member=c.member(annotator), assignment_id=c.lease(annotator).id, reason="broken")
    assert c.state(0).retired is None
    assert c.lease(5)


def test_another_limit_flags_and_frees_tasks_at_once(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=4, redundancy=3)
    for n, skips in enumerate((1, 2, 3)):
        for annotator in range(skips):
            skip_assignment(member=c.member(annotator), assignment_id=c.lease(annotator, n).id, reason="unclear")

    def flagged_at(max_skips: int | None) -> list[str | None]:
        configure_project(project_id=c.id, version=c.fresh().version, changes={"max_skips": max_skips})
        queue = [TaskQueue.objects.get(task=c.task(n)).open for n in range(3)]
        assert queue == [c.state(n).retired is None for n in range(3)]
        return [c.state(n).retired for n in range(3)]

    assert flagged_at(2) == [None, "flagged", "flagged"]
    assert flagged_at(3) == [None, None, "flagged"]
    configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 5})
    assert c.state(2).retired == "flagged", "more votes make it no clearer"
    assert flagged_at(None) == [None, None, None]
    assert sorted(numbers(c, 3, 3)) == [0, 1, 2]


def test_nobody_holds_more_than_the_project_allows(campaign: Make) -> None:
    c = campaign(tasks=10, annotators=2, max_leases=3)

    assert len(numbers(c, 0, 10)) == 3
    assert numbers(c, 0, 10) == numbers(c, 0, 3), "asking again gives what one holds"
    c.vote(0, "cat", numbers(c, 0, 1)[0])
    assert len(numbers(c, 0, 10)) == 3
    assert Assignment.objects.filter(project=c.id, status="open").count() == 3
    assert len(numbers(c, 1, 10)) == 3


def test_a_lower_limit_takes_nothing_away_and_gives_nothing_new(campaign: Make) -> None:
    c = campaign(tasks=10, annotators=1, max_leases=5)
    held = [c.lease(0, n) for n in range(5)]
    configure_project(project_id=c.id, version=1, changes={"max_leases": 2})

    assert len(numbers(c, 0, 10)) == 2
    assert Assignment.objects.filter(project=c.id, status="open").count() == 5
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, "cat") for lease in held]) == [None] * 5


def test_whoever_waits_for_the_end_of_their_own_lease_is_not_told_that_nothing_is_left(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, redundancy=1)
    lease = c.lease(0)
    let_time_pass(lease.id)
    leases, why = lease_tasks(member=c.member(0), count=1)
    assert leases or why == "waiting"  # the sweeper may have come already


def test_only_the_databases_clock_counts(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process's clock leaps forth and back by ten years: no lease ends by it, and none lasts longer."""
    c = campaign(tasks=3, annotators=1, redundancy=1, lease_seconds=600)
    years = 10 * 365 * 86400.0
    now = timezone.now()
    real = time.time
    for leap, n in ((years, 0), (-years, 1)):
        monkeypatch.setattr(time, "time", lambda leap=leap: real() + leap)
        monkeypatch.setattr(timezone, "now", lambda leap=leap: now + timedelta(seconds=leap))
        lease = c.lease(0, n)
        assert isinstance(lease.expires_at, datetime) and abs(lease.expires_at - now) < timedelta(days=1)
        assert abs(renew_assignment(member=c.member(0), assignment_id=lease.id) - now) < timedelta(days=1)
        expire_leases()
        assert Assignment.objects.get(id=lease.id).status == "open"
        assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, "cat")]) == [None]
