"""Votes of several annotators, stored and answered with leases in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection
from django.utils import timezone

from projects.access import Seen, digest, require_seen, seen_by_api_token, who_by_api_token
from projects.models import Action, Assignment, Event, Member, Payment, Project, Task, TaskQueue, Vote
from projects.services.accounts import create_api_token
from projects.services.ballots import Ballot, Taken, VoteInput, plain_ballot, take_ballots
from projects.services.leases import Lease, lease_tasks
from projects.services.projects import configure_project
from projects.services.sanctions import sanction
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh

Make = Callable[..., Campaign]


def ballot(c: Campaign, annotator: int, lease: Lease, label: str = "cat", count: int = 1) -> Ballot:
    plain = plain_ballot(member=c.member(annotator), votes=[VoteInput(lease.id, label, 1.5)], count=count)
    assert plain is not None
    return plain


def numbers(taken: list[Taken]) -> list[list[int]]:
    return [[lease.data["n"] for lease in each.leases] for each in taken]


def test_each_annotators_votes_are_stored_and_each_is_given_another_task(campaign: Make) -> None:
    c = campaign(tasks=12, annotators=4)
    held = [c.lease(n) for n in range(4)]

    taken = take_ballots([ballot(c, n, held[n], ("cat", "dog")[n % 2]) for n in range(4)])

    assert [each.stored for each in taken] == [{lease.id} for lease in held]
    given = numbers(taken)
    assert [len(each) for each in given] == [1, 1, 1, 1]
    assert len({each[0] for each in given} | {lease.data["n"] for lease in held}) == 8
    votes = Vote.objects.filter(project=c.id).order_by("assignment")
    assert {(v.assignment_id, v.annotator_id, v.answer["label"], v.label, v.seconds) for v in votes} == {
        (held[n].id, c.annotators[n].id, ("cat", "dog")[n % 2], n % 2, 1.5) for n in range(4)
    }
    assert Event.objects.filter(project=c.id, kind="vote").count() == 4
    assert_state_is_fresh(c.project)


def test_two_votes_on_one_task_at_once_both_count(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=3)
    held = [c.lease(n) for n in range(3)]

    take_ballots([ballot(c, n, held[n], count=0) for n in range(2)])

    state = c.state(0)
    assert (state.votes, state.leases, state.retired) == (2, 1, None)
    assert_state_is_fresh(c.project)
    take_ballots([ballot(c, 2, held[2], count=0)])
    assert (c.state(0).votes, c.state(0).retired) == (3, "redundancy")
    assert_state_is_fresh(c.project)


def test_what_one_holds_counts_and_who_has_had_what_comes_first_is_given_nothing_here(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=2, redundancy=3, order="sequential")
    first, second = lease_tasks(member=c.member(0), count=2)[0]
    for n in (1, 2, 3):
        c.vote(1, "cat", n)
    own = c.lease(1)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"order": "random"})
    TaskQueue.objects.filter(project=c.id).update(priority=500)
    assert (first.data["n"], second.data["n"], own.data["n"]) == (0, 1, 0)

    taken = take_ballots([ballot(c, 0, first, count=2), ballot(c, 1, own)])

    # The first tasks that nobody holds are 0, which annotator 0 has just answered, and 2, which annotator 1 has had.
    assert [sorted(each) for each in numbers(taken)] == [[1], []]
    assert_counters_are_true(c.project)


def test_what_is_late_blocked_or_another_persons_is_not_stored_and_the_others_are(campaign: Make) -> None:
    c = campaign(tasks=8, annotators=4)
    held = [c.lease(n) for n in range(4)]
    manager = Member.objects.get(project=c.id, user=c.manager)
    ballots = [ballot(c, n, held[n]) for n in range(4)]
    ballots[3] = ballot(c, 3, held[0])
    Assignment.objects.filter(id=held[1].id).update(expires_at=timezone.now() - timedelta(hours=1))
    sanction(annotator=c.member(2), action=Action.BLOCK, reason="clicks at random", by=manager)

    taken = take_ballots(ballots)

    assert [bool(each.stored) for each in taken] == [True, False, False, False]
    assert [len(each) for each in numbers(taken)] == [1, 0, 0, 0]
    assert Vote.objects.filter(project=c.id).count() == 1
    assert_counters_are_true(c.project)


def test_nobody_is_told_of_more_than_they_asked_for(campaign: Make) -> None:
    c = campaign(tasks=8, annotators=2)
    leases, _ = lease_tasks(member=c.member(0), count=3)
    other = c.lease(1)

    taken = take_ballots([ballot(c, 0, leases[0]), ballot(c, 1, other)])

    assert numbers(taken)[0] == [leases[1].data["n"]]
    assert Assignment.objects.filter(annotator=c.annotators[0], status="open").count() == 2


def test_a_price_is_paid_for_each_vote_once(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=2, budget=10, price_per_vote=Decimal("0.05"))
    held = [c.lease(n) for n in range(2)]
    ballots = [Ballot(b.member, b.votes, 0) for b in (ballot(c, n, held[n], count=0) for n in range(2))]

    take_ballots(ballots)
    again = take_ballots(ballots)

    assert [each.stored for each in again] == [set(), set()]
    assert [str(p.amount) for p in Payment.objects.filter(project=c.id)] == ["0.0500", "0.0500"]


def test_nothing_is_stored_for_anybody_when_one_is_not_who_was_seen(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=2)
    seen = [see(c, n) for n in range(2)]
    held = [c.lease(n) for n in range(2)]
    ballots = [ballot(c, n, held[n]) for n in range(2)]
    Member.objects.filter(id=c.annotators[1].id).update(name="Somebody else")

    with pytest.raises(Error):
        take_ballots(ballots, provided=[require_seen(c.id, seen)])

    assert not Vote.objects.filter(project=c.id).exists()
    assert connection.connection.info.transaction_status.name == "IDLE"
    assert take_ballots([ballots[0]], provided=[require_seen(c.id, seen[:1])])[0].stored == {held[0].id}


def see(c: Campaign, annotator: int) -> Seen:
    _, token = create_api_token(user=c.annotators[annotator].user, name="tests")
    assert who_by_api_token(token, c.id) is not None
    seen = seen_by_api_token(token, c.id)
    assert seen is not None and seen.digest == digest(token)
    return seen


@pytest.mark.parametrize("revoked", ["token", "user", "project", "member"])
def test_every_change_of_who_may_do_what_is_seen(campaign: Make, revoked: str) -> None:
    c = campaign(tasks=4, annotators=1)
    seen, lease = see(c, 0), c.lease(0)
    user = c.annotators[0].user
    {
        "token": lambda: user.api_tokens.update(revoked_at=timezone.now()),
        "user": lambda: type(user).objects.filter(id=user.id).update(is_active=False),
        "project": lambda: configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 2}),
        "member": lambda: Member.objects.filter(id=c.annotators[0].id).update(user=None),
    }[revoked]()

    with pytest.raises(Error, match="changed since they were seen"):
        take_ballots([ballot(c, 0, lease)], provided=[require_seen(c.id, [seen])])

    assert not Vote.objects.filter(project=c.id).exists()


def test_a_ballot_is_plain_when_there_is_only_to_vote(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=1)
    lease = c.lease(0)
    vote = VoteInput(lease.id, "cat")
    assert plain_ballot(member=c.member(0), votes=[vote], count=1)
    assert not plain_ballot(member=c.member(0), votes=[VoteInput(lease.id, "horse")], count=0)
    assert not plain_ballot(member=c.member(0), votes=[vote, vote], count=0)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"budget": 10})
    assert not plain_ballot(member=c.member(0), votes=[vote], count=1), "leases cost something"
    assert plain_ballot(member=c.member(0), votes=[vote], count=0)


def test_votes_and_leases_alone_come_together(campaign: Make) -> None:
    c = campaign(tasks=12, annotators=4)
    manager = Member.objects.get(project=c.id, user=c.manager)
    sanction(annotator=c.member(3), action=Action.BLOCK, reason="clicks at random", by=manager)
    held = c.lease(0)
    ballots = [ballot(c, 0, held), *[Ballot(c.member(n), {}, count) for n, count in ((1, 2), (2, 1))]]

    first = take_ballots(ballots)
    second = take_ballots([Ballot(each.member, {}, each.count) for each in ballots])
    blocked = take_ballots(
        [Ballot(c.member(2), {}, 1), Ballot(Member(id=c.annotators[3].id, project=c.fresh()), {}, 1)]
    )

    assert [len(each.stored) for each in first] == [1, 0, 0]
    assert [len(each) for each in numbers(first)] == [1, 2, 1]
    assert len({n for each in numbers(first) for n in each} | {held.data["n"]}) == 5
    assert numbers(second) == numbers(first), "what one holds comes first"
    assert numbers(blocked) == [numbers(first)[2], []]
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("model", [Project, Task, Member, Assignment])
def test_what_others_name_is_never_deleted(campaign: Make, model: Any) -> None:
    c = campaign(tasks=1, annotators=1)
    c.vote(0, "cat")
    assignment = Assignment.objects.get(project=c.id)
    ids = {Project: c.id, Task: c.task(0), Member: c.annotators[0].id, Assignment: assignment.id}

    with pytest.raises(IntegrityError, match="is still named in"), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id = %s", [ids[model]])

    assert submit_votes(member=c.member(0), votes=[]) == []
