"""Late votes against whatever else wants the last place, with a connection each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from projects.errors import LateVoteNoRoom
from projects.models import Assignment, Vote
from projects.services.assignments import expire_leases, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.voting import submit_votes
from tests.concurrency.races import meanwhile, together
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh, settle
from tests.services.test_leases import expire, let_time_pass

Make = Callable[..., Campaign]
ROUNDS = 8


def late_vote(c: Campaign, annotator: int, assignment: Any, label: str = "cat") -> Callable[[], list[Any]]:
    return partial(submit_votes, member=c.member(annotator), votes=[VoteInput(assignment, label)])


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_late_vote_and_a_lease_for_the_last_place(campaign: Make, round_: int) -> None:
    c = campaign(tasks=1, annotators=6, redundancy=1)
    late = c.lease(0)
    expire(late.id)

    (result,), *leases = together(
        [late_vote(c, 0, late.id), *(partial(lease_tasks, member=c.member(a), count=1) for a in range(1, 6))]
    )

    given = sum(len(held) for held, _ in leases)
    assert given == (0 if result is None else 1), "one of them has it"
    assert result is None or isinstance(result, LateVoteNoRoom)
    assert Vote.objects.get(assignment=late.id).status == ("counted" if result is None else "uncounted")
    assert (c.state(0).votes, c.state(0).leases) == (1 - given, given)
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("place", ["free", "taken", "taken by the same person"])
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_same_late_vote_eight_times_at_once_is_one_vote_and_one_answer(
    campaign: Make, round_: int, place: str
) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1)
    late = c.lease(0)
    expire(late.id)
    if place != "free":
        c.lease(1 if place == "taken" else 0)

    answers = [type(result) for (result,) in together([late_vote(c, 0, late.id)] * 8)]

    assert answers == [type(None) if place == "free" else LateVoteNoRoom] * 8
    assert Vote.objects.get(assignment=late.id).status == ("counted" if place == "free" else "uncounted")
    assert (c.state(0).votes, c.state(0).leases) == ((1, 0) if place == "free" else (0, 1))
    settle(c.project)
    assert_state_is_fresh(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_late_votes_of_many_people_for_two_places(campaign: Make, round_: int) -> None:
    c = campaign(tasks=1, annotators=8, redundancy=8)
    lates = [c.lease(a) for a in range(8)]
    for late in lates:
        expire(late.id)
    c.state(0).__class__.objects.filter(task=c.task(0)).update(redundancy=2)

    results = [result for (result,) in together([late_vote(c, a, late.id) for a, late in enumerate(lates)])]

    assert Counter(type(result) for result in results) == {type(None): 2, LateVoteNoRoom: 6}
    assert Counter(Vote.objects.filter(project=c.id).values_list("status", flat=True)) == {"counted": 2, "uncounted": 6}
    assert (c.state(0).votes, c.state(0).retired) == (2, "redundancy")
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_late_votes_while_the_sweeper_ends_their_leases(campaign: Make) -> None:
    """Whoever comes first, the vote counts and the place is given back once: nobody else wants it."""
    c = campaign(tasks=40, annotators=8, redundancy=1)
    leases = {a: lease_tasks(member=c.member(a), count=5)[0] for a in range(8)}
    for held in leases.values():
        for lease in held:
            let_time_pass(lease.id)

    with meanwhile(expire_leases):
        results = together([late_vote(c, a, lease.id) for a, held in leases.items() for lease in held[:2]])

    assert results == [[None]] * 16
    assert Assignment.objects.filter(project=c.id, status="voted").count() == 16
    assert sum(c.state(n).leases for n in range(40)) == 0
    settle(c.project)
    assert_state_is_fresh(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_late_vote_and_the_same_person_taking_the_task_again(campaign: Make, round_: int) -> None:
    """One opinion of one person is counted, or its task is with them again: never both."""
    c = campaign(tasks=1, annotators=1, redundancy=3)
    late = c.lease(0)
    expire(late.id)

    (result,), *leases = together([late_vote(c, 0, late.id), *[partial(lease_tasks, member=c.member(0), count=1)] * 3])

    again = {lease.id for held, _ in leases for lease in held}
    assert len(again) == (0 if result is None else 1)
    assert (c.state(0).votes, c.state(0).leases) == ((1, 0) if result is None else (0, 1))
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_last_skip_flags_the_task_though_all_come_at_once(campaign: Make, round_: int) -> None:
    c = campaign(tasks=1, annotators=4, redundancy=4, max_skips=4)
    leases = [c.lease(a) for a in range(4)]

    together(
        [
            partial(skip_assignment, member=c.member(a), assignment_id=lease.id, reason="broken")
            for a, lease in enumerate(leases)
        ]
    )

    assert (c.state(0).retired, c.state(0).leases) == ("flagged", 0)
