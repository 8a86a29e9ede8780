"""The budget is a hard cap, and every part of it is somewhere: whoever leases, votes, is late or edits at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from projects import queries
from projects.errors import Conflict, EditedMeanwhile, LateVoteNoBudget, LateVoteNoRoom
from projects.models import Assignment, BudgetShare, Payment, Vote
from projects.queries import fetch
from projects.services import assignments, budget, late_votes, leases, recompute
from projects.services.assignments import expire_leases, release_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.concurrency.races import beside, meanwhile, together, wait_until_blocked_by
from tests.services.campaign import Campaign, assert_counters_are_true, other_connection
from tests.services.money import assert_budget_adds_up, assert_money_adds_up, spent_reserved_available
from tests.services.test_leases import expire, let_time_pass
from tests.support.client import wait_for

Make = Callable[..., Campaign]
ROUNDS = 4


def label_until_told(c: Campaign, annotator: int, count: int) -> int:
    """Lease and vote until the budget is spent; how many votes that were."""
    member, votes = c.member(annotator), 0
    while True:
        leases, why = lease_tasks(member=member, count=count)
        assert why in ("ok", "retry", "waiting", "budget_spent")
        if why == "budget_spent":
            return votes
        results = submit_votes(member=member, votes=[VoteInput(lease.id, "cat") for lease in leases])
        assert results == [None] * len(leases)
        votes += len(leases)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("budget", [7, 60])
def test_eight_people_spend_a_budget_to_the_last_vote(campaign: Make, budget: int, count: int) -> None:
    c = campaign(tasks=40, annotators=8, redundancy=8, budget=Decimal(budget))

    votes = together([partial(label_until_told, c, annotator, count) for annotator in range(8)])

    assert sum(votes) == budget == Vote.objects.filter(project=c.id).count()
    assert spent_reserved_available(c) == (budget, 0, 0)
    assert_money_adds_up(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_sixteen_people_for_the_last_vote_that_can_be_paid(campaign: Make, round_: int) -> None:
    c = campaign(tasks=40, annotators=16, price_per_vote=Decimal("0.3"), budget=Decimal("0.5"))

    answers = together([partial(lease_tasks, member=c.member(a), count=1) for a in range(16)])

    assert sum(len(leases) for leases, _ in answers) == 1
    assert {why for leases, why in answers if not leases} <= {"waiting", "retry"}, "never 'budget_spent': it may expire"
    assert spent_reserved_available(c) == (0, Decimal("0.3"), Decimal("0.2"))
    assert_counters_are_true(c.project)


def test_leases_that_end_in_every_way_at_once_lose_nothing_of_the_budget(campaign: Make) -> None:
    """Votes, late votes, releases and the sweeper, on leases that end at that moment, while others lease."""
    c = campaign(tasks=60, annotators=12, redundancy=3, price_per_vote=Decimal("0.07"), budget=Decimal("4.5"))
    held = {a: lease_tasks(member=c.member(a), count=5)[0] for a in range(10)}
    for theirs in held.values():
        for lease in theirs[1:3]:
            let_time_pass(lease.id)

    def finish(annotator: int) -> None:
        member = c.member(annotator)
        for lease in held[annotator][::2]:
            submit_votes(member=member, votes=[VoteInput(lease.id, "dog")])
        release_assignment(member=member, assignment_id=held[annotator][3].id)
        lease_tasks(member=member, count=3)

    with meanwhile(expire_leases):
        together(
            [
                *(partial(finish, annotator) for annotator in range(10)),
                *(partial(lease_tasks, member=c.member(a), count=9) for a in (10, 11)),
            ]
        )
        due = Assignment.objects.filter(project=c.id, status="open", id__in=[held[a][1].id for a in range(10)])
        wait_for(lambda: not due.exists(), what="the sweep")

    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)


def test_the_budget_goes_up_and_down_while_people_work(campaign: Make) -> None:
    c = campaign(tasks=60, annotators=8, redundancy=4, price_per_vote=Decimal("0.05"), budget=Decimal("1"))

    def label_some(annotator: int) -> None:
        member = c.member(annotator)
        for turn in range(12):
            leases, _why = lease_tasks(member=member, count=2)
            submit_votes(member=member, votes=[VoteInput(lease.id, "dog") for lease in leases[: turn % 3]])

    def change() -> None:
        for changes in (
            {"budget": Decimal("0.6")},
            {"budget": None},
            {"price_per_vote": Decimal("0.07")},
            {"budget": Decimal("3")},
            {"budget": Decimal("0.1")},
            {"price_per_vote": Decimal("0.03"), "budget": Decimal("9")},
            {"budget": Decimal("5")},
        ):
            try:
                configure_project(project_id=c.id, version=c.fresh().version, changes=changes)
            except Conflict as refused:
                assert refused.code == "budget_too_low"
            assert_budget_adds_up(c.project)

    together([*(partial(label_some, annotator) for annotator in range(8)), change])

    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_first_budget_beside_leases_that_know_of_none(campaign: Make, round_: int) -> None:
    """What was leased before costs nothing; what is leased with a price is in the budget."""
    c = campaign(tasks=40, annotators=8)
    members = [c.member(a) for a in range(8)]
    set_budget = partial(configure_project, project_id=c.id, version=1, changes={"budget": Decimal(4)})

    together([set_budget, *(partial(lease_tasks, member=member, count=2) for member in members)])
    together([partial(lease_tasks, member=c.member(a), count=3) for a in range(8)])

    assert Assignment.objects.filter(project=c.id, price__isnull=False).count() == 4
    assert_money_adds_up(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_late_votes_for_the_last_of_the_budget(campaign: Make, round_: int) -> None:
    c = campaign(tasks=8, annotators=8, redundancy=8, budget=Decimal(8))
    lates = [c.lease(a) for a in range(8)]
    for late in lates:
        expire(late.id)
    configure_project(project_id=c.id, version=1, changes={"budget": Decimal(3)})

    results = together(
        [partial(submit_votes, member=c.member(a), votes=[VoteInput(lates[a].id, "cat")]) for a in range(8)]
    )

    answers = [type(result) for (result,) in results]
    assert answers.count(type(None)) == 3 and answers.count(LateVoteNoBudget) == 5
    assert Payment.objects.filter(project=c.id).count() == 3
    assert spent_reserved_available(c) == (3, 0, 0)
    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_late_votes_and_leases_for_the_last_of_the_budget(campaign: Make, round_: int) -> None:
    c = campaign(tasks=8, annotators=8, redundancy=8, budget=Decimal(4))
    lates = [c.lease(a) for a in range(4)]
    for late in lates:
        let_time_pass(late.id)

    def late(annotator: int) -> Any:
        return submit_votes(member=c.member(annotator), votes=[VoteInput(lates[annotator].id, "cat")])[0]

    with meanwhile(expire_leases):
        results = together(
            [
                *(partial(late, a) for a in range(4)),
                *(partial(lease_tasks, member=c.member(a), count=2) for a in range(8)),
            ]
        )

    # No room: their task is with them again.
    assert {type(result) for result in results[:4]} <= {type(None), LateVoteNoBudget, LateVoteNoRoom}
    assert results[:4].count(None) == Payment.objects.filter(project=c.id).count()
    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)


def test_sweepers_who_give_back_to_the_same_projects_in_another_order_never_wait_in_a_circle(campaign: Make) -> None:
    """Each project has a single share, and the leases that the sweepers end lie crosswise."""
    ours = [campaign(tasks=40, annotators=1, redundancy=1, max_leases=40, budget=Decimal(100)) for _ in range(2)]
    for c in ours:
        BudgetShare.objects.filter(project=c.project, number__gt=0).delete()
        BudgetShare.objects.filter(project=c.project).update(available=100)
    for _ in range(5 * ROUNDS):
        a, b = ([lease.id for lease in lease_tasks(member=c.member(0), count=40)[0]] for c in ours)
        end_in_order([*a[:20], *b[:20], *b[20:], *a[20:]])

        together([partial(expire_leases, limit=40)] * 2)

        expire_leases()  # what the stack's own sweeper has begun meanwhile has ended, too
        assert [spent_reserved_available(c) for c in ours] == [(0, 0, 100)] * 2


def end_in_order(assignments: list[UUID]) -> None:
    """Their time is over, that of the first since longest."""
    fetch(
        """
        UPDATE projects_assignment a SET expires_at = now() - interval '1 hour' + place * interval '1 s'
        FROM unnest(%(assignments)s::uuid[]) WITH ORDINALITY AS o(id, place) WHERE a.id = o.id
        """,
        assignments=assignments,
    )


def test_one_sweeper_waits_for_another(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, budget=Decimal(1))
    let_time_pass(c.lease(0).id)
    with other_connection() as sweeping, other_connection(autocommit=True) as observer:
        sweeping.execute(queries.LOCK_SWEEP)
        with beside(expire_leases) as (sweep,):
            wait_until_blocked_by(sweeping, observer)
            assert not sweep.done() and spent_reserved_available(c) == (0, 1, 0)
            sweeping.rollback()
    assert spent_reserved_available(c) == (0, 0, 1)


def test_of_managers_who_lower_it_at_once_one_wins(campaign: Make) -> None:
    c = campaign(tasks=8, annotators=1, budget=Decimal(100))

    def lower(budget: int) -> str:
        try:
            configure_project(project_id=c.id, version=1, changes={"budget": Decimal(budget)})
        except EditedMeanwhile:
            return "told"
        return "won"

    assert sorted(together([partial(lower, budget) for budget in range(10, 16)])) == ["told"] * 5 + ["won"]
    assert_money_adds_up(c.project)


def kill_before(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The server ends our connection before the statement of this number, counted from 0."""
    seen = []

    def fetch(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        seen.append(sql)
        if len(seen) == number + 1:
            with other_connection(autocommit=True) as somebody:
                pid = connection.connection.info.backend_pid
                somebody.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
        return queries.fetch(sql, **parameters)

    for module in (assignments, budget, late_votes, leases, recompute):
        monkeypatch.setattr(module, "fetch", fetch)


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("step", ["lease", "the last lease", "vote", "late vote", "release"])
def test_a_connection_that_is_killed_between_two_statements_leaves_everything_where_it_was_or_will_be(
    campaign: Make, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    c = campaign(tasks=8, annotators=2, redundancy=8, price_per_vote=Decimal("0.3"), budget=Decimal(500))
    lease = c.lease(0)
    if step == "the last lease":
        configure_project(project_id=c.id, version=1, changes={"budget": Decimal("2.9")})
    if step == "late vote":
        let_time_pass(lease.id)
    member = c.member(0)
    vote = partial(submit_votes, member=member, votes=[VoteInput(lease.id, "cat")])
    steps = {
        "lease": partial(lease_tasks, member=member, count=3),
        "the last lease": partial(lease_tasks, member=member, count=8),
        "vote": vote,
        "late vote": vote,
        "release": partial(release_assignment, member=member, assignment_id=lease.id),
    }

    with monkeypatch.context() as patched:
        kill_before(patched, number)
        with suppress(OperationalError):
            steps[step]()
    connection.close()

    assert_money_adds_up(c.project)
    assert_counters_are_true(c.project)
