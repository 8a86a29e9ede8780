"""Whatever people and managers do, in any order: tasks, places and money are those of a small model of the rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from projects import queries
from projects.errors import (
    AnnotatorBlocked,
    AssignmentClosed,
    Conflict,
    LateVoteNoBudget,
    LateVoteNoRoom,
)
from projects.models import Action, Assignment, AssignmentStatus, Member, Review, ReviewAction, Sanction, TaskState
from projects.queries import fetch
from projects.services.leases import expire_leases, lease_tasks, release_assignment, skip_assignment
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from projects.services.sanctions import lift, sanction
from projects.services.voting import VoteInput, submit_votes
from tests.services.campaign import Campaign
from tests.support.client import wait_for

ANNOTATORS, TASKS, MAX_LEASES = 3, 4, 3
PEOPLE = st.integers(0, ANNOTATORS - 1)
NUMBERS = st.integers(0, TASKS - 1)
SETTLED = ("flagged", "reviewed")


@dataclass
class Task:
    """What the rules say of one task: who has voted, who holds it, who has had it."""

    redundancy: int
    own: bool = False
    votes: set[int] = field(default_factory=set)
    holders: set[int] = field(default_factory=set)
    had: set[int] = field(default_factory=set)
    skips: set[int] = field(default_factory=set)
    retired: str | None = None

    @property
    def taken(self) -> int:
        return len(self.votes) + len(self.holders)

    def has_place_for(self, annotator: int) -> bool:
        return self.retired is None and self.taken < self.redundancy and annotator not in self.had | self.holders

    def retire(self) -> None:
        if self.retired not in SETTLED:
            self.retired = "redundancy" if len(self.votes) >= self.redundancy else None


@dataclass
class Given:
    """An assignment: whose, on which task, and what became of it."""

    annotator: int
    task: int
    status: str = "open"
    counted: bool = False
    answer: type[Exception] | None = None  # what a late vote on it was told


class Crowd(RuleBasedStateMachine):
    """Annotators lease, vote, skip and give back; leases end; managers change the rules, review and ban."""

    @initialize(redundancy=st.integers(1, 3), budget=st.integers(0, 14), max_skips=st.sampled_from([None, 1, 2]))
    def begin(self, redundancy: int, budget: int, max_skips: int | None) -> None:
        self.stack = ExitStack()
        chosen = {"redundancy": redundancy, "max_skips": max_skips, "max_leases": MAX_LEASES, "budget": budget}
        self.c = Campaign(annotators=ANNOTATORS, **chosen)
        self.stack.enter_context(self.c.alone())
        self.c.upload([{"data": {"n": n}} for n in range(TASKS)])
        self.ids = [self.c.task(n) for n in range(TASKS)]
        self.manager = Member.objects.get(project=self.c.id, user=self.c.manager)
        self.tasks = [Task(redundancy) for _ in range(TASKS)]
        self.given: dict[UUID, Given] = {}
        self.budget, self.spent, self.max_skips = budget, 0, max_skips
        self.bans: dict[int, tuple[Sanction, set[int]]] = {}
        for annotator in range(ANNOTATORS):
            self.lease(annotator, 2)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    # --- the model's own sums -----------------------------------------------------------------------

    @property
    def reserved(self) -> int:
        return sum(len(task.holders) for task in self.tasks)

    @property
    def available(self) -> int:
        return self.budget - self.spent - self.reserved

    def held(self, annotator: int) -> int:
        return sum(annotator in task.holders for task in self.tasks)

    def open_ones(self) -> list[UUID]:
        return [id_ for id_, given in self.given.items() if given.status == "open"]

    def close(self, id_: UUID, status: str) -> Task:
        given = self.given[id_]
        given.status = status
        self.tasks[given.task].holders.discard(given.annotator)
        return self.tasks[given.task]

    def configure(self, **changes: Any) -> None:
        configure_project(project_id=self.c.id, version=self.c.fresh().version, changes=changes)

    # --- annotators ---------------------------------------------------------------------------------

    @rule(annotator=PEOPLE, count=st.integers(1, 5))
    def lease(self, annotator: int, count: int) -> None:
        if annotator in self.bans:
            with refused(AnnotatorBlocked):
                lease_tasks(member=self.c.member(annotator), count=count)
            return
        count, held = min(count, MAX_LEASES), self.held(annotator)
        free = {n for n, task in enumerate(self.tasks) if task.has_place_for(annotator)}
        new = min(max(0, count - held), len(free), self.available)
        leases, why = lease_tasks(member=self.c.member(annotator), count=count)
        assert len(leases) == min(count, held + new)
        assert (why == "ok") == bool(leases)
        if not leases:
            assert why == self.why_nothing(annotator)
        for lease in leases:
            number = lease.data["n"]
            if lease.id not in self.given:
                assert number in free
                self.given[lease.id] = Given(annotator, number)
                self.tasks[number].holders.add(annotator)
            given = self.given[lease.id]
            assert (given.annotator, given.task, given.status) == (annotator, number, "open")

    @rule(annotator=PEOPLE)
    def lease_all_one_may(self, annotator: int) -> None:
        self.lease(annotator, MAX_LEASES)

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def vote_once_more(self, data: st.DataObject) -> None:
        self.vote(data)

    def why_nothing(self, annotator: int) -> str:
        if not any(task.retired is None and annotator not in task.had for task in self.tasks):
            return "finished"
        if self.available < 1:
            return "waiting" if self.reserved else "budget_spent"
        return "waiting"

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def vote(self, data: st.DataObject) -> None:
        """In time, late, again, or on what was given back."""
        id_ = data.draw(st.sampled_from(list(self.given)))
        expected = self.expected(self.given[id_], id_)
        vote = VoteInput(id_, "cat")
        (result,) = submit_votes(member=self.c.member(self.given[id_].annotator), votes=[vote])
        assert (None if result is None else type(result)) == expected

    def expected(self, given: Given, id_: UUID) -> type[Exception] | None:
        task, who = self.tasks[given.task], given.annotator
        if given.counted:
            return None
        if given.answer is not None:
            return given.answer
        if who in self.bans:
            return AnnotatorBlocked
        if given.status in ("skipped", "released"):
            return AssignmentClosed
        if given.status == "open":
            self.close(id_, "voted")
            self.count(given, task)
            return None
        only_one = who not in task.had | task.holders
        room = only_one and task.retired is None and task.taken < task.redundancy
        funded = self.available >= 1
        if only_one:
            given.status = "voted"
            task.had.add(who)
        if room and funded:
            self.count(given, task)
            return None
        given.answer = LateVoteNoBudget if room else LateVoteNoRoom
        return given.answer

    def count(self, given: Given, task: Task) -> None:
        given.counted = True
        task.votes.add(given.annotator)
        task.had.add(given.annotator)
        self.spent += 1
        task.retire()

    @precondition(lambda self: self.given and self.open_ones())
    @rule(data=st.data(), reason=st.sampled_from(["broken", "unclear", "not_for_me"]))
    def skip(self, data: st.DataObject, reason: str) -> None:
        id_ = data.draw(st.sampled_from(self.open_ones()))
        who = self.given[id_].annotator
        skip_assignment(member=self.c.member(who), assignment_id=id_, reason=reason)
        task = self.close(id_, "skipped")
        task.had.add(who)
        if reason != "not_for_me":
            task.skips.add(who)
            if task.retired is None and self.max_skips is not None and len(task.skips) >= self.max_skips:
                task.retired = "flagged"

    @precondition(lambda self: self.given and self.open_ones())
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(self.open_ones()))
        release_assignment(member=self.c.member(self.given[id_].annotator), assignment_id=id_)
        self.close(id_, "released")

    # --- time ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.given and self.open_ones())
    @rule(data=st.data())
    def a_lease_ends(self, data: st.DataObject) -> None:
        self.end([data.draw(st.sampled_from(self.open_ones()))])

    @rule()
    def the_clock_jumps(self) -> None:
        self.end(self.open_ones())

    def end(self, ids: list[UUID]) -> None:
        Assignment.objects.filter(id__in=ids).update(expires_at=timezone.now() - timedelta(hours=1))
        expire_leases()
        # The stack's own sweeper may have come first, and not be done yet: what it holds is skipped here.
        still_open = Assignment.objects.filter(id__in=ids, status=AssignmentStatus.OPEN)
        wait_for(lambda: not still_open.exists(), what="the end of these leases")
        for id_ in ids:
            self.close(id_, "expired")

    # --- managers -----------------------------------------------------------------------------------

    @rule(redundancy=st.integers(1, 3))
    def another_redundancy(self, redundancy: int) -> None:
        self.configure(redundancy=redundancy)
        for task in self.tasks:
            if not task.own:
                task.redundancy = max(redundancy, task.taken)
            task.retire()

    @rule(max_skips=st.sampled_from([None, 1, 2]))
    def another_limit_of_skips(self, max_skips: int | None) -> None:
        self.configure(max_skips=max_skips)
        self.max_skips = max_skips
        for task in self.tasks:
            many = max_skips is not None and len(task.skips) >= max_skips
            if task.skips and task.retired is None and many:
                task.retired = "flagged"
            elif task.skips and task.retired == "flagged" and not many:
                task.retired = None
            task.retire()

    @rule(budget=st.integers(0, 20))
    def another_budget(self, budget: int) -> None:
        if budget < self.spent + self.reserved:
            with refused(Conflict):
                self.configure(budget=budget)
            return
        self.configure(budget=budget)
        self.budget = budget

    @rule(number=NUMBERS)
    def an_expert_decides(self, number: int) -> None:
        self.review(number, ReviewAction.LABEL, label="dog")
        self.tasks[number].retired = "reviewed"

    @rule(number=NUMBERS, votes=st.integers(1, 2))
    def an_expert_asks_for_more(self, number: int, votes: int) -> None:
        self.review(number, ReviewAction.REOPEN, votes=votes)
        task = self.tasks[number]
        task.redundancy, task.own, task.retired = max(task.redundancy, task.taken + votes), True, None
        task.retire()

    def review(self, number: int, action: ReviewAction, **what: Any) -> None:
        after = Review.objects.filter(task=self.ids[number]).count()
        review_task(reviewer=self.manager, task_id=self.ids[number], action=action, after=after, **what)

    @rule(annotator=PEOPLE, action=st.sampled_from([Action.BLOCK, Action.DISCARD]))
    def ban(self, annotator: int, action: Action) -> None:
        if annotator in self.bans:
            return
        done = sanction(annotator=self.c.member(annotator), action=action, reason="clicks at random", by=self.manager)
        assert done is not None
        for id_ in self.open_ones():
            if self.given[id_].annotator == annotator:
                self.close(id_, "released")
        discarded = set()
        if action == Action.DISCARD:
            discarded = {n for n, task in enumerate(self.tasks) if annotator in task.votes}
            for n in discarded:
                self.tasks[n].votes.discard(annotator)
                self.tasks[n].retire()
        self.bans[annotator] = done, discarded

    @precondition(lambda self: self.given and self.bans)
    @rule(data=st.data())
    def take_a_ban_back(self, data: st.DataObject) -> None:
        annotator = data.draw(st.sampled_from(sorted(self.bans)))
        done, discarded = self.bans.pop(annotator)
        lift(sanction=done, by=self.manager)
        for n in discarded:
            task = self.tasks[n]
            task.redundancy = max(task.redundancy, task.taken + 1)
            task.votes.add(annotator)
            task.retire()

    # --- what must hold after each of them ----------------------------------------------------------

    @invariant()
    def tasks_are_as_the_model_has_them(self) -> None:
        if not hasattr(self, "c"):
            return
        columns = ("votes", "leases", "redundancy", "retired", "task__queue__open")
        rows = TaskState.objects.filter(project=self.c.id).order_by("task").values_list(*columns)
        assert list(rows) == [
            (len(t.votes), len(t.holders), t.redundancy, t.retired, t.retired is None) for t in self.tasks
        ]

    @invariant()
    def money_is_where_the_model_has_it(self) -> None:
        if not hasattr(self, "c"):
            return
        assert fetch(queries.STANDING, project=self.c.id) == [(self.spent, self.reserved, self.available)]


@contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")


#: Runs of 50 steps each; CROWD_PROPERTY_RUNS=200 for a thorough look.
RUNS = int(os.environ.get("CROWD_PROPERTY_RUNS", "40"))


def test_whatever_happens_in_any_order_is_what_the_rules_make_of_it(orm: None) -> None:
    unhurried = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
    run_state_machine_as_test(Crowd, settings=settings(max_examples=RUNS, stateful_step_count=50, **unhurried))
