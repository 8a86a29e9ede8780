"""Whatever happens in whatever order, the money adds up, and the budget buys what a simple model says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects.errors import Conflict, LateVoteNoBudget, LateVoteNoRoom
from projects.models import Assignment
from projects.services.assignments import expire_leases, release_assignment, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign
from tests.services.money import assert_money_adds_up, spent_reserved_available
from tests.services.test_leases import let_time_pass

PEOPLE = 3
PRICES = st.sampled_from([Decimal("0.01"), Decimal("0.3333"), Decimal(1), Decimal("2.5")])
AMOUNTS = st.integers(0, 30_000).map(lambda thousandths: Decimal(thousandths) / 1000)
PERSON = st.integers(0, PEOPLE - 1)
STEPS = st.one_of(
    st.tuples(st.just("lease"), PERSON, st.integers(1, 6)),
    st.tuples(st.sampled_from(["vote", "skip", "release", "time passes", "vote late"]), PERSON),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("budget"), AMOUNTS),
    st.tuples(st.just("price"), PRICES),
)


class Model:
    """What a campaign's money should be, one person after the other: three amounts and the price of each lease."""

    def __init__(self, c: Campaign, price: Decimal, budget: Decimal) -> None:
        self.c, self.price, self.budget = c, price, budget
        self.spent = Decimal(0)
        self.open: list[dict[Any, Decimal]] = [{} for _ in range(PEOPLE)]
        self.late: list[dict[Any, Decimal]] = [{} for _ in range(PEOPLE)]

    @property
    def reserved(self) -> Decimal:
        return sum((sum(held.values()) for held in self.open), Decimal(0))

    @property
    def available(self) -> Decimal:
        return self.budget - self.spent - self.reserved

    def lease(self, person: int, count: int) -> None:
        leases, why = lease_tasks(member=self.c.member(person), count=count)
        held = self.open[person]
        wanted = min(count, len(held) + int(self.available // self.price))
        new = [lease.id for lease in leases if lease.id not in held]
        assert len(leases) == (wanted if wanted > len(held) else min(count, len(held)))
        if not leases:
            assert why == ("waiting" if self.reserved else "budget_spent")
        held |= dict.fromkeys(new, self.price)

    def vote(self, person: int) -> None:
        if self.open[person]:
            assignment, price = self.open[person].popitem()
            assert self._submit(person, assignment) is None
            self.spent += price

    def vote_late(self, person: int) -> None:
        if self.late[person]:
            assignment, price = self.late[person].popitem()
            affordable = self.available >= price
            result = self._submit(person, assignment)
            if result is None:
                assert affordable
                self.spent += price
            else:  # no room: the same task may be with this person again
                assert isinstance(result, LateVoteNoRoom) or (isinstance(result, LateVoteNoBudget) and not affordable)

    def _submit(self, person: int, assignment: Any) -> Any:
        return submit_votes(member=self.c.member(person), votes=[VoteInput(assignment, "cat")])[0]

    def give_back(self, person: int, how: Callable[..., None]) -> None:
        if self.open[person]:
            assignment, _price = self.open[person].popitem()
            how(member=self.c.member(person), assignment_id=assignment)

    def let_time_pass(self, person: int) -> None:
        """A lease ends, and is swept at once: the stack's own sweeper could come at any time."""
        if self.open[person]:
            assignment, price = self.open[person].popitem()
            let_time_pass(assignment)
            while Assignment.objects.filter(id=assignment, status="open").exists():
                expire_leases()
            self.late[person][assignment] = price

    def configure(self, **changes: Decimal) -> bool:
        try:
            configure_project(project_id=self.c.id, version=self.c.fresh().version, changes=changes)
        except Conflict as refused:
            assert refused.code == "budget_too_low" and changes["budget"] < self.spent + self.reserved
            return False
        return True

    def do(self, step: str, *what: Any) -> None:
        match step:
            case "lease":
                self.lease(*what)
            case "vote":
                self.vote(*what)
            case "vote late":
                self.vote_late(*what)
            case "skip":
                self.give_back(*what, how=skip_assignment)
            case "release":
                self.give_back(*what, how=release_assignment)
            case "time passes":
                self.let_time_pass(*what)
            case "sweep":
                expire_leases()
            case "budget":
                if self.configure(budget=what[0]):
                    self.budget = what[0]
            case "price":
                self.configure(price_per_vote=what[0])
                self.price = what[0]


@pytest.fixture(scope="module")
def orm(_django_on_the_stack: None) -> Iterator[None]:
    """Of the whole module: hypothesis runs one test many times."""
    yield
    connections.close_all()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_money_adds_up_whatever_happens(orm: None, data: st.DataObject) -> None:
    price, budget = data.draw(PRICES), data.draw(AMOUNTS)
    c = Campaign(tasks=40, annotators=PEOPLE, redundancy=3, price_per_vote=price, budget=budget)
    model = Model(c, price, budget)
    for step in data.draw(st.lists(STEPS, min_size=10, max_size=40)):
        model.do(*step)
        assert spent_reserved_available(c) == (model.spent, model.reserved, model.available), step
    assert_money_adds_up(c.project)
