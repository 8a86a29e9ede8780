"""Whatever people and managers do, in any order: tasks, places and money are those of a small model of the rules."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from projects import queries
from projects.errors import AnnotatorBlocked, AnswerKnown, Conflict
from projects.models import (
    Action,
    Assignment,
    AssignmentStatus,
    Member,
    Review,
    ReviewAction,
    Sanction,
    TaskState,
    User,
)
from projects.queries import fetch, fetch_together
from projects.services import gold
from projects.services.assignments import expire_leases, release_assignment, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import Lease, lease_tasks
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from projects.services.sanctions import lift, sanction
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, unique
from tests.services.model import Given, Model, Task
from tests.support.client import wait_for

ANNOTATORS, TASKS, MAX_LEASES = 3, 3, 3
PEOPLE = st.integers(0, ANNOTATORS - 1)
# Which one of those there are: what is drawn may not depend on what the database has drawn.
PICK = st.integers(0, 59)
# What depends most on what was before comes most often.
DEEDS = (
    "another_redundancy",
    "another_max_skips",
    "another_budget",
    "another_gold_share",
    "an_answer_is_uploaded",
    *["an_expert_decides_or_asks_for_more"] * 3,
    "ban_or_take_it_back",
)

BOOKS = """
SELECT s.votes, s.leases, s.redundancy, s.retired, q.open
FROM projects_taskstate s JOIN projects_taskqueue q ON q.task_id = s.task_id
WHERE s.project_id = %(project)s ORDER BY s.task_id
"""


class Crowd(RuleBasedStateMachine):
    """Annotators lease, vote, skip and give back; leases end; managers change the rules, review and ban."""

    users: list[User] = []

    @initialize(redundancy=st.integers(1, 3), budget=st.integers(4, 20), max_skips=st.sampled_from([None, 1, 2]))
    def begin(self, redundancy: int, budget: int, max_skips: int | None) -> None:
        self.stack = ExitStack()
        # Chance that can be repeated, here and in the database.
        self.stack.enter_context(patch.object(gold, "_random", Random(0)))
        fetch("SELECT setseed(0)")
        self.c = Campaign(redundancy=redundancy, max_skips=max_skips, max_leases=MAX_LEASES, budget=budget)
        self.stack.enter_context(self.c.alone())
        self.members = [self.c.join(user) for user in self.users]
        self.upload(*range(TASKS))
        self.ids = list(TaskState.objects.filter(project=self.c.id).order_by("task").values_list("task_id", flat=True))
        self.manager = Member.objects.select_related("project").get(project=self.c.id, user=self.c.manager)
        self.tasks = [Task(redundancy) for _ in range(TASKS)]
        self.m = Model(self.tasks, redundancy, budget, max_skips)
        self.configured(self.manager.project)
        self.bans: dict[int, Sanction] = {}
        for annotator in range(ANNOTATORS):
            self.lease(annotator, 2)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    def upload(self, *numbers: int, **more: Any) -> None:
        self.c.upload([{"key": str(n), "data": {"n": n}, **more} for n in numbers])

    def configure(self, **changes: Any) -> None:
        version = self.manager.project.version
        self.configured(configure_project(project_id=self.c.id, version=version, changes=changes))

    def configured(self, project: Any) -> None:
        """Everybody's next request reads these settings."""
        self.c.project = project
        for member in (self.manager, *self.members):
            member.project = project

    def request_of(self, id_: UUID) -> dict[str, Any]:
        return {"member": self.members[self.m.given[id_].annotator], "assignment_id": id_}

    # --- annotators ---------------------------------------------------------------------------------

    @rule(annotator=PEOPLE, count=st.integers(1, 5))
    def lease(self, annotator: int, count: int) -> None:
        member = self.members[annotator]
        if annotator in self.bans:
            with refused(AnnotatorBlocked):
                lease_tasks(member=member, count=count)
            return
        wanted, held = min(count, MAX_LEASES), self.m.held(annotator)
        more = min(max(0, wanted - held), self.m.available)
        free, surely = self.m.free(annotator), self.m.surely_free(annotator)
        least = min(wanted, held + min(more, len(surely)))

        def enough() -> tuple[list[Lease], str] | None:
            # A worker of the stack that publishes an expert's decision holds tasks for a moment: they are passed over.
            leases, why = lease_tasks(member=member, count=count)
            return (leases, why) if len(leases) >= least else None

        leases, why = wait_for(enough, seconds=20, what=f"{least} leases")
        assert len(leases) <= min(wanted, held + min(more, len(free)))
        assert (why == "ok") == bool(leases)
        if not leases:
            assert why == self.m.why_nothing(annotator)
        for lease in sorted(leases, key=lambda lease: int(lease.data["n"])):
            self.given_to(annotator, lease.id, lease.data["n"], free)

    def given_to(self, annotator: int, id_: UUID, number: int, free: set[int]) -> None:
        if id_ not in self.m.given:
            assert number in free
            self.m.given[id_] = Given(annotator, number)
            self.tasks[number].holders.add(annotator)
        given = self.m.given[id_]
        assert (given.annotator, given.task, given.status) == (annotator, number, "open")

    @rule(pick=PICK)
    def lease_again(self, pick: int) -> None:
        id_ = chosen(self.m.late(), pick)
        self.lease(pick % ANNOTATORS if id_ is None else self.m.given[id_].annotator, MAX_LEASES)

    @rule(pick=PICK)
    def vote(self, pick: int) -> None:
        self.vote_on(chosen(self.m.open(), pick))

    @rule(pick=PICK)
    def vote_late(self, pick: int) -> None:
        self.vote_on(chosen(self.m.late(), pick))

    @rule(pick=PICK)
    def vote_again_or_on_what_was_given_back(self, pick: int) -> None:
        self.vote_on(chosen(list(self.m.given), pick))

    def vote_on(self, id_: UUID | None) -> None:
        if id_ is None:
            return
        expected = self.m.vote(id_)
        (result,) = submit_votes(member=self.request_of(id_)["member"], votes=[VoteInput(id_, "cat")])
        assert (None if result is None else type(result)) == expected

    @rule(pick=PICK, reason=st.sampled_from(["broken", "unclear", "not_for_me", None]))
    def skip_or_give_back(self, pick: int, reason: str | None) -> None:
        id_ = chosen(self.m.open(), pick)
        if id_ is None:
            return
        if reason is None:
            release_assignment(**self.request_of(id_))
            self.m.close(id_, "released")
        else:
            skip_assignment(**self.request_of(id_), reason=reason)
            self.m.skip(id_, tells=reason != "not_for_me")

    # --- time ---------------------------------------------------------------------------------------

    @rule(pick=PICK)
    def a_lease_ends(self, pick: int) -> None:
        id_ = chosen(self.m.open(), pick)
        self.end([] if id_ is None else [id_])

    @rule()
    def the_clock_jumps(self) -> None:
        self.end(self.m.open())

    def end(self, ids: list[UUID]) -> None:
        if not ids:
            return
        Assignment.objects.filter(id__in=ids).update(expires_at=timezone.now() - timedelta(hours=1))
        expire_leases()
        # The stack's own sweeper may have come first, and not be done yet: what it holds is skipped here.
        still_open = Assignment.objects.filter(id__in=ids, status=AssignmentStatus.OPEN)
        wait_for(lambda: not still_open.exists(), what="the end of these leases")
        for id_ in ids:
            self.m.close(id_, "expired")

    # --- managers -----------------------------------------------------------------------------------

    @rule(deed=st.sampled_from(DEEDS), number=st.integers(0, 2), amount=st.integers(0, 20))
    def a_manager_steps_in(self, deed: str, number: int, amount: int) -> None:
        """One rule for all that managers do: most of a campaign is leases and votes, and what comes late or again."""
        getattr(self, deed)(number, amount)

    def another_redundancy(self, number: int, amount: int) -> None:
        self.m.redundancy = 1 + number
        self.configure(redundancy=self.m.redundancy)
        for task in self.tasks:
            if task.own is None or task.gold:
                self.m.place(task)

    def another_max_skips(self, number: int, amount: int) -> None:
        self.configure(max_skips=number or None)
        self.m.limit_skips(number or None)

    def another_budget(self, number: int, amount: int) -> None:
        if amount < self.m.spent + self.m.reserved:
            with refused(Conflict):
                self.configure(budget=amount)
            return
        self.configure(budget=amount)
        self.m.budget = amount

    def another_gold_share(self, number: int, amount: int) -> None:
        share, exposures = 0.5 if amount % 2 else None, number or None
        self.configure(gold_share=share, gold_exposures=exposures)
        self.m.injecting, self.m.exposures = share is not None, exposures
        for task in self.tasks:
            if task.gold:
                self.m.place(task)

    def an_answer_is_uploaded(self, number: int, amount: int) -> None:
        """The first task becomes gold, unless an expert's answer is there already."""
        task = self.tasks[0]
        if task.gold:
            return
        self.upload(0, gold="dog")
        if task.retired != "reviewed":
            task.gold = True
            if self.m.injecting:
                self.m.place(task)

    def an_expert_decides_or_asks_for_more(self, number: int, amount: int) -> None:
        task, votes = self.tasks[number], amount % 3
        if task.gold:
            with refused(AnswerKnown):
                self.review(number, votes)
            return
        self.review(number, votes)
        if votes:
            self.m.reopen(task, votes)
        else:
            task.retired = "reviewed"

    def review(self, number: int, votes: int) -> None:
        after = Review.objects.filter(task=self.ids[number]).count()
        what = {"action": ReviewAction.REOPEN, "votes": votes} if votes else {"action": "label", "label": "dog"}
        review_task(reviewer=self.manager, task_id=self.ids[number], after=after, **what)

    def ban_or_take_it_back(self, number: int, amount: int) -> None:
        if number in self.bans:
            lift(sanction=self.bans.pop(number), by=self.manager)
            self.m.take_back(number)
        else:
            self.ban(number, Action.DISCARD if amount % 2 else Action.BLOCK)
        self.members[number].refresh_from_db(fields=["standing"])

    def ban(self, annotator: int, action: Action) -> None:
        member = self.members[annotator]
        done = sanction(annotator=member, action=action, reason="clicks at random", by=self.manager)
        assert done is not None
        self.bans[annotator] = done
        self.m.ban(annotator, discard=action == Action.DISCARD)

    # --- what must hold after each of them ----------------------------------------------------------

    @invariant()
    def tasks_and_money_are_as_the_model_has_them(self) -> None:
        project = {"project": self.c.id}
        books, money = fetch_together((BOOKS, project), (queries.STANDING, project))
        assert books == self.m.books()
        assert money == [(self.m.spent, self.m.reserved, self.m.available)]


def chosen(ids: list[UUID], pick: int) -> UUID | None:
    return ids[pick % len(ids)] if ids else None


@contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was expected")


#: Runs of 50 steps each; CROWD_PROPERTY_RUNS=2000 for a thorough look.
RUNS = int(os.environ.get("CROWD_PROPERTY_RUNS", "200"))


def test_whatever_happens_in_any_order_is_what_the_rules_make_of_it(orm: None) -> None:
    fetch("SET synchronous_commit = off")  # what is promised of a crash is tested elsewhere
    Crowd.users = [User.objects.create(name=unique("annotator")) for _ in range(ANNOTATORS)]
    unhurried = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
    run_state_machine_as_test(Crowd, settings=settings(max_examples=RUNS, stateful_step_count=50, **unhurried))
