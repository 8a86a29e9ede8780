"""Leases: held, given back, expired."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from projects.errors import AssignmentClosed, AssignmentExpired, UnknownAssignment, VoteConflict
from projects.models import Assignment, TaskQueue, Vote
from projects.services.voting import VoteInput, expire_leases, lease_tasks, skip_assignment, submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true
from tests.support.client import wait_for

Make = Callable[..., Campaign]


def expire(assignment: UUID) -> None:
    """Let its time be over, and wait until a sweep (ours or the stack's own) has ended it."""
    Assignment.objects.filter(id=assignment).update(expires_at=timezone.now() - timedelta(seconds=1))
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
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, "cat")])[0].__class__ is AssignmentExpired
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
