"""Votes after the end of their lease: counted while there is room, else recorded."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest

from projects.errors import DomainError, LateVoteNoRoom, ProjectPaused, VoteConflict
from projects.models import Assignment, Event, ProjectStatus, TaskState, Vote
from projects.services.assignments import skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project, set_status
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh
from tests.services.test_leases import expire, let_time_pass

Make = Callable[..., Campaign]


def vote_late(c: Campaign, annotator: int, assignment: UUID, label: str = "cat") -> DomainError | None:
    (result,) = submit_votes(member=c.member(annotator), votes=[VoteInput(assignment, label)])
    assert_counters_are_true(c.project)
    return result


@pytest.mark.parametrize("ended", [expire, let_time_pass], ids=["after the sweeper", "before the sweeper"])
def test_a_late_vote_is_counted_while_its_task_has_room(campaign: Make, ended: Callable[[UUID], None]) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=2)
    c.vote(1, "dog")
    lease = c.lease(0)
    ended(lease.id)

    assert [vote_late(c, 0, lease.id), vote_late(c, 0, lease.id)] == [None, None]

    state = c.state(0)
    assert (state.votes, state.leases, state.version, state.retired) == (2, 0, 2, "redundancy")
    assert Assignment.objects.get(id=lease.id).status == "voted"
    assert Vote.objects.get(assignment=lease.id).status == "counted"
    assert Event.objects.filter(project=c.id, kind="vote").count() == 2
    assert_state_is_fresh(c.project)


def test_a_late_vote_without_room_is_recorded_once_and_counts_for_nothing(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1)
    late = c.lease(0)
    expire(late.id)
    c.vote(1, "dog")
    before = TaskState.objects.filter(task=c.task(0)).values().get()

    results = [vote_late(c, 0, late.id) for _ in range(3)]

    assert [type(result) for result in results] == [LateVoteNoRoom] * 3
    assert len({str(result) for result in results}) == 1
    assert isinstance(vote_late(c, 0, late.id, "dog"), VoteConflict), "what was recorded stays"
    recorded = Vote.objects.get(assignment=late.id)
    assert (recorded.status, recorded.label, recorded.answer) == ("uncounted", 0, {"label": "cat"})
    assert TaskState.objects.filter(task=c.task(0)).values().get() == before
    assert Event.objects.filter(project=c.id).count() == 1, "no news for a refit"
    assert_state_is_fresh(c.project)


def test_a_lease_of_somebody_else_leaves_no_room(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1)
    late = c.lease(0)
    expire(late.id)
    theirs = c.lease(1)

    assert isinstance(vote_late(c, 0, late.id), LateVoteNoRoom)

    assert vote_late(c, 1, theirs.id, "dog") is None
    assert (c.state(0).votes, c.state(0).label) == (1, 1)


@pytest.mark.parametrize("ended", [expire, let_time_pass], ids=["after the sweeper", "before the sweeper"])
def test_a_task_that_was_retired_meanwhile_has_no_room(campaign: Make, ended: Callable[[UUID], None]) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=3, max_skips=1)
    late, other = c.lease(0), c.lease(1)
    skip_assignment(member=c.member(1), assignment_id=other.id, reason="broken")
    assert c.state(0).retired == "flagged"
    ended(late.id)

    assert isinstance(vote_late(c, 0, late.id), LateVoteNoRoom)
    assert (c.state(0).votes, c.state(0).leases) == (0, 0)


def test_who_answered_late_without_room_does_not_get_the_task_again(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=1)
    late = c.lease(0)
    expire(late.id)
    c.vote(1, "dog")
    assert isinstance(vote_late(c, 0, late.id), LateVoteNoRoom)

    configure_project(project_id=c.id, version=1, changes={"redundancy": 3})

    assert lease_tasks(member=c.member(0), count=1) == ([], "finished")
    assert isinstance(vote_late(c, 0, late.id), LateVoteNoRoom), "the same answer, though there is room now"
    assert Vote.objects.filter(task=c.task(0), status="counted").count() == 1


@pytest.mark.parametrize("answered", [False, True], ids=["held again", "answered again"])
def test_a_late_vote_beside_another_assignment_of_the_same_task_is_one_too_many(campaign: Make, answered: bool) -> None:
    c = campaign(tasks=1, annotators=1, redundancy=3)
    late = c.lease(0)
    expire(late.id)
    again = c.lease(0)
    if answered:
        assert vote_late(c, 0, again.id, "dog") is None

    assert isinstance(vote_late(c, 0, late.id), LateVoteNoRoom)

    assert vote_late(c, 0, again.id, "dog") is None
    assert sorted(Vote.objects.filter(task=c.task(0)).values_list("status", "label")) == [
        ("counted", 1),
        ("uncounted", 0),
    ]
    assert isinstance(vote_late(c, 0, late.id), LateVoteNoRoom)
    assert_state_is_fresh(c.project)


def test_while_the_project_is_paused_a_late_vote_waits(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, redundancy=1)
    late = c.lease(0)
    expire(late.id)
    set_status(project_id=c.id, status=ProjectStatus.PAUSED)
    assert isinstance(vote_late(c, 0, late.id), ProjectPaused)
    assert not Vote.objects.filter(project=c.id).exists()

    set_status(project_id=c.id, status=ProjectStatus.ACTIVE)

    assert vote_late(c, 0, late.id) is None


def test_a_late_vote_among_others_takes_nothing_from_them(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=2, redundancy=1)
    late, good, other = (c.lease(0, n) for n in range(3))
    expire(late.id)
    c.vote(1, "dog")  # the only task with room is the late one

    results = submit_votes(member=c.member(0), votes=[VoteInput(each.id, "cat") for each in (good, late, other)])

    assert [type(result) for result in results] == [type(None), LateVoteNoRoom, type(None)]
    assert Vote.objects.filter(project=c.id, status="counted").count() == 3
    assert_counters_are_true(c.project)
