"""The budget: reserved by a lease, spent by a vote, given back by whatever else ends the lease."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, connection

from projects.errors import Conflict, DomainError, Invalid, LateVoteNoBudget, LateVoteNoRoom
from projects.models import Assignment, BudgetShare, Payment, TaskState, Vote
from projects.selectors import budget_of, earnings_of, own_progress
from projects.services.assignments import release_assignment, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh
from tests.services.money import assert_money_adds_up, spent_reserved_available, standing
from tests.services.test_leases import expire, let_time_pass

Make = Callable[..., Campaign]


def configure(c: Campaign, **changes: Any) -> None:
    configure_project(project_id=c.id, version=c.fresh().version, changes=changes)


def ask(c: Campaign, annotator: int = 0, count: int = 1) -> tuple[int, str]:
    leases, why = lease_tasks(member=c.member(annotator), count=count)
    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)
    return len(leases), why


def vote_on(c: Campaign, annotator: int, assignment: Any, label: str = "cat") -> DomainError | None:
    (result,) = submit_votes(member=c.member(annotator), votes=[VoteInput(assignment, label)])
    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)
    return result


def test_a_lease_reserves_its_price_and_a_vote_spends_it(campaign: Make) -> None:
    c = campaign(tasks=5, annotators=1, price_per_vote=Decimal("0.07"), budget=Decimal("1.00"))
    assert spent_reserved_available(c) == (0, 0, 1)

    lease = c.lease(0)
    assert spent_reserved_available(c) == (0, Decimal("0.07"), Decimal("0.93"))

    assert [vote_on(c, 0, lease.id), vote_on(c, 0, lease.id)] == [None, None]
    assert spent_reserved_available(c) == (Decimal("0.07"), 0, Decimal("0.93"))
    (line,) = Payment.objects.filter(project=c.id)
    assert (line.vote.assignment_id, line.annotator_id, line.amount) == (lease.id, c.annotators[0].id, Decimal("0.07"))


def test_a_project_without_budget_and_price_has_no_shares_and_no_ledger(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    c.vote(0, "cat")
    assert budget_of(c.fresh()) is None
    assert not BudgetShare.objects.filter(project=c.id).exists() and not Payment.objects.filter(project=c.id).exists()
    assert own_progress(c.member(0))["earned"] is None


def test_a_price_without_a_budget_pays_without_limit(campaign: Make) -> None:
    c = campaign(tasks=30, annotators=1, price_per_vote=Decimal("0.5"))
    assert ask(c, count=25) == (25, "ok")
    for lease in lease_tasks(member=c.member(0), count=4)[0][:4]:
        assert vote_on(c, 0, lease.id) is None
    assert standing(c)["available"] is None
    assert own_progress(c.member(0))["earned"] == 2
    (earner,) = earnings_of(c.project)
    assert (earner.paid_votes, earner.paid) == (4, 2)  # type: ignore[attr-defined]  # annotated


def give_up_by_release(c: Campaign, lease: Any) -> None:
    release_assignment(member=c.member(0), assignment_id=lease.id)


def give_up_by_skip(c: Campaign, lease: Any) -> None:
    skip_assignment(member=c.member(0), assignment_id=lease.id)


def give_up_by_waiting(c: Campaign, lease: Any) -> None:
    expire(lease.id)


@pytest.mark.parametrize("give_up", [give_up_by_release, give_up_by_skip, give_up_by_waiting])
def test_what_ends_a_lease_unanswered_gives_its_price_back(campaign: Make, give_up: Callable[..., None]) -> None:
    c = campaign(tasks=3, annotators=2, budget=Decimal(1))
    lease = c.lease(0)
    assert ask(c, 1) == (0, "waiting"), "it may come back"

    give_up(c, lease)

    assert spent_reserved_available(c) == (0, 0, 1)
    assert ask(c, 1) == (1, "ok")


def test_a_small_budget_is_handed_out_to_the_last_vote_however_it_is_asked_for(campaign: Make) -> None:
    c = campaign(tasks=20, annotators=3, budget=Decimal(7))
    assert [ask(c, 0, 1), ask(c, 1, 4), ask(c, 0, 2), ask(c, 2, 100)] == [(1, "ok"), (4, "ok"), (2, "ok"), (1, "ok")]
    assert ask(c, 0, 50) == (2, "ok"), "what one holds is theirs"

    for annotator in range(3):
        for lease in lease_tasks(member=c.member(annotator), count=9)[0]:
            assert vote_on(c, annotator, lease.id) is None

    assert ask(c) == (0, "budget_spent")
    assert spent_reserved_available(c) == (7, 0, 0)
    assert Vote.objects.filter(project=c.id).count() == 7


def test_the_rest_that_buys_no_vote_is_left(campaign: Make) -> None:
    c = campaign(tasks=20, annotators=1, budget=Decimal("1"), price_per_vote=Decimal("0.3"))
    assert ask(c, count=10) == (3, "ok")
    for lease in lease_tasks(member=c.member(0), count=3)[0]:
        vote_on(c, 0, lease.id)
    assert ask(c) == (0, "budget_spent")
    assert spent_reserved_available(c) == (Decimal("0.9"), 0, Decimal("0.1"))


def test_a_budget_of_nothing_hands_out_nothing(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, budget=Decimal(0))
    assert ask(c) == (0, "budget_spent")
    configure(c, budget=Decimal(1))
    assert ask(c) == (1, "ok")


def test_who_has_had_all_tasks_has_finished_whatever_the_budget(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, budget=Decimal(1))
    c.vote(0, "cat")
    assert ask(c) == (0, "finished")


def test_what_a_lease_found_no_tasks_for_goes_back(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=1, budget=Decimal(1000))
    assert ask(c, count=40) == (2, "ok")
    assert spent_reserved_available(c) == (0, 2, 998)


def test_a_price_is_that_of_the_lease(campaign: Make) -> None:
    c = campaign(tasks=5, annotators=2, price_per_vote=Decimal("0.10"), budget=Decimal("1"))
    old = c.lease(0)
    configure(c, price_per_vote=Decimal("0.25"))
    new = c.lease(1)

    assert [vote_on(c, 0, old.id), vote_on(c, 1, new.id)] == [None, None]

    assert sorted(Payment.objects.filter(project=c.id).values_list("amount", flat=True)) == [
        Decimal("0.1"),
        Decimal("0.25"),
    ]
    assert standing(c)["available"] == Decimal("0.65")


def test_a_budget_that_is_raised_is_there_at_once(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=2, budget=Decimal(1))
    c.vote(0, "cat")
    assert ask(c, 1, 3) == (0, "budget_spent")
    configure(c, budget=Decimal(4))
    assert ask(c, 1, 3) == (3, "ok")


def test_a_budget_is_lowered_to_what_is_spent_and_reserved_and_no_further(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=2, budget=Decimal(50))
    c.vote(0, "cat")
    assert ask(c, 1, 3) == (3, "ok")
    before = c.fresh()

    with pytest.raises(Conflict, match="At least 4: 1 is spent and 3 is reserved") as refused:
        configure(c, budget=Decimal(3), name="Not stored")
    assert (refused.value.code, refused.value.errors[0].field) == ("budget_too_low", "budget")
    assert (c.fresh().budget, c.fresh().name, c.fresh().version) == (50, before.name, before.version)
    assert_money_adds_up(c.project)

    configure(c, budget=Decimal(4))
    assert spent_reserved_available(c) == (1, 3, 0)
    assert ask(c, 0) == (0, "waiting")


def test_a_budget_taken_away_and_set_again_knows_what_was_spent(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=1, price_per_vote=Decimal(2), budget=Decimal(10))
    c.vote(0, "cat")
    configure(c, budget=None)
    c.vote(0, "cat")
    assert ask(c, count=2) == (2, "ok")
    assert standing(c)["available"] is None

    configure(c, budget=Decimal(11))

    assert spent_reserved_available(c) == (4, 4, 3)
    assert_money_adds_up(c.project)


def test_votes_before_there_was_a_budget_have_cost_nothing(campaign: Make) -> None:
    c = campaign(tasks=9, annotators=2)
    c.vote(0, "cat")
    free = c.lease(0)

    configure(c, budget=Decimal(2))

    assert vote_on(c, 0, free.id) is None
    assert spent_reserved_available(c) == (0, 0, 2)
    c.vote(1, "cat")
    assert spent_reserved_available(c) == (1, 0, 1)


def test_a_lease_is_paid_though_the_price_is_gone(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=1, price_per_vote=Decimal(2))
    promised = c.lease(0)
    with pytest.raises(Conflict, match="Votes are paid for already") as refused:
        configure(c, price_per_vote=None)
    assert (refused.value.code, refused.value.errors[0].field) == ("budget_unit_fixed", "price_per_vote")
    assert vote_on(c, 0, promised.id) is None
    assert standing(c)["spent"] == 2


def test_a_budget_in_votes_is_a_whole_number(campaign: Make) -> None:
    with pytest.raises(Invalid) as refused:
        campaign(budget=Decimal("2.5"))
    assert (refused.value.errors[0].field, refused.value.errors[0].code) == ("budget", "not_whole")


def test_imported_votes_cost_nothing(campaign: Make) -> None:
    c = campaign(annotators=1, budget=Decimal(1), redundancy=3)
    c.upload([{"key": "a", "data": {"n": 0}}])
    c.import_votes([("a", "ann", "cat"), ("a", "bob", "cat")])
    assert spent_reserved_available(c) == (0, 0, 1)
    assert ask(c) == (1, "ok")


def test_a_vote_that_is_discarded_stays_paid(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, budget=Decimal(1), redundancy=1)
    c.vote(0, "cat")
    Vote.objects.filter(project=c.id).update(status="discarded")
    TaskState.objects.filter(project=c.id).update(votes=0, retired=None)
    assert spent_reserved_available(c) == (1, 0, 0)
    assert_money_adds_up(c.project)


@pytest.mark.parametrize("ended", [expire, let_time_pass], ids=["after the sweeper", "before the sweeper"])
def test_a_late_vote_is_paid_like_any_other(campaign: Make, ended: Callable[[Any], None]) -> None:
    c = campaign(tasks=1, annotators=1, budget=Decimal("0.05"), price_per_vote=Decimal("0.05"))
    late = c.lease(0)
    ended(late.id)

    assert [vote_on(c, 0, late.id), vote_on(c, 0, late.id)] == [None, None]

    assert spent_reserved_available(c) == (Decimal("0.05"), 0, 0)
    assert_state_is_fresh(c.project)


def test_a_late_vote_that_nobody_can_pay_is_recorded_and_said_so_again_and_again(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=2, budget=Decimal(1), redundancy=2)
    late = c.lease(0)
    expire(late.id)
    taken = c.lease(1)

    assert [type(vote_on(c, 0, late.id)) for _ in range(3)] == [LateVoteNoBudget] * 3

    recorded = Vote.objects.get(assignment=late.id)
    assert (recorded.status, recorded.uncounted_for) == ("uncounted", "budget")
    assert Assignment.objects.get(id=late.id).status == "voted"
    assert vote_on(c, 1, taken.id) is None
    assert spent_reserved_available(c) == (1, 0, 0)
    assert not Payment.objects.filter(vote=recorded).exists()
    assert_state_is_fresh(c.project)


def test_a_late_vote_without_room_costs_nothing(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, budget=Decimal(5), redundancy=1)
    late = c.lease(0)
    expire(late.id)
    c.vote(1, "dog")

    assert isinstance(vote_on(c, 0, late.id), LateVoteNoRoom)

    assert Vote.objects.get(assignment=late.id).uncounted_for == "room"
    assert spent_reserved_available(c) == (1, 0, 4)


def test_the_ledger_is_append_only(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, budget=Decimal(5))
    c.vote(0, "cat")
    for change in ("UPDATE projects_payment SET amount = 2", "DELETE FROM projects_payment"):
        with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
            cursor.execute(f"{change} WHERE project_id = %s", [c.id])
    with pytest.raises((IntegrityError, InternalError), match="append-only"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE projects_payment CASCADE")


def test_the_database_itself_refuses_one_too_many(campaign: Make) -> None:
    """Behind all of the above stands the constraint budget_not_exceeded."""
    c = campaign(tasks=1, annotators=1, budget=Decimal(5))
    with pytest.raises(IntegrityError, match="budget_not_exceeded"), connection.cursor() as cursor:
        cursor.execute("UPDATE projects_budgetshare SET available = available - 5 WHERE project_id = %s", [c.id])
