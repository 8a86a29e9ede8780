"""Redundancy is exact: however many ask at once, no task gets more votes and leases than it wants."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from projects.errors import DomainError, LateVoteNoRoom
from projects.models import Assignment, TaskState, Vote
from projects.services.assignments import expire_leases
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.concurrency.conftest import Person
from tests.concurrency.races import meanwhile, together
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh, settle
from tests.support.client import wait_for

Make = Callable[..., Campaign]
ROUNDS = 5


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_sixteen_connections_for_the_last_free_slot(campaign: Make, round_: int) -> None:
    c = campaign(tasks=1, annotators=18, redundancy=3)
    c.vote(16, "cat")
    c.lease(17)

    answers = together([partial(lease_tasks, member=c.member(a), count=1) for a in range(16)])

    assert Counter(len(leases) for leases, _ in answers) == {1: 1, 0: 15}
    assert {why for leases, why in answers if not leases} <= {"waiting", "retry"}, (
        "never 'finished': a lease may expire"
    )
    assert (c.state(0).votes, c.state(0).leases) == (1, 2)
    assert_counters_are_true(c.project)


def test_sixteen_people_for_the_last_free_slot_over_http(campaign: Make, crowd: list[Person]) -> None:
    c = campaign(annotators=2, redundancy=3)
    for person in crowd:
        c.join(person.user)
    for n in range(ROUNDS):
        c.upload([{"data": {"n": n}}])
        for annotator in range(2):
            c.vote(annotator, "cat", n)

        path = f"/api/projects/{c.id}/assignments"
        answers = together(
            [partial(person.client.ok, "POST", path, {"count": 100}) for person in crowd], database=False
        )

        winners = [answer["assignments"][-1] for answer in answers if answer["assignments"]]
        assert [assignment["data"]["n"] for assignment in winners].count(n) == 1
        assert (c.state(n).votes, c.state(n).leases) == (2, 1)
    assert_counters_are_true(c.project)


def test_twelve_people_drain_sixty_tasks_of_redundancy_three(campaign: Make, crowd: list[Person]) -> None:
    """Exactly 180 votes, and nobody sees a task twice; refits publish in between."""
    c = campaign(redundancy=3)
    c.upload([{"data": {"n": n}} for n in range(60)])
    people = crowd[:12]
    for person in people:
        c.join(person.user)

    def label_all(person: Person) -> list[int]:
        seen: list[int] = []
        while True:
            answer = person.client.ok("POST", f"/api/projects/{c.id}/assignments", {"count": 3})
            if answer["status"] == "finished":
                return seen
            # "waiting" or "retry": what is left is somebody else's just now; ask again.
            votes = [
                {"assignment": a["id"], "label": "cat" if a["data"]["n"] % 2 else "dog"} for a in answer["assignments"]
            ]
            if votes:
                person.client.ok("POST", f"/api/projects/{c.id}/votes", {"votes": votes})
                seen += [a["data"]["n"] for a in answer["assignments"]]

    seen = together([partial(label_all, person) for person in people], database=False)

    assert sum(map(len, seen)) == 180
    for numbers in seen:
        assert len(numbers) == len(set(numbers)), "the same task twice"
    assert Counter(n for numbers in seen for n in numbers) == dict.fromkeys(range(60), 3)
    assert Vote.objects.filter(project=c.id).count() == 180
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_one_person_in_two_tabs_gets_no_task_twice_and_the_same_tasks_in_both(
    campaign: Make, crowd: list[Person]
) -> None:
    c = campaign(redundancy=2)
    c.join(crowd[0].user)
    member = crowd[0].member_of(c)
    for n in range(ROUNDS):
        c.upload([{"data": {"n": n}}])
        answers = together([partial(lease_tasks, member=member, count=10)] * 4)
        assert Assignment.objects.filter(annotator=member, task=c.task(n)).count() == 1
        assert c.state(n).leases == 1
        for leases, _why in answers:
            assert leases == answers[0][0]
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_however_many_tabs_ask_at_once_one_person_holds_what_the_project_allows(campaign: Make, round_: int) -> None:
    c = campaign(tasks=60, annotators=1, max_leases=4)

    answers = together([partial(lease_tasks, member=c.member(0), count=100)] * 12)

    assert Assignment.objects.filter(project=c.id, status="open").count() == 4
    assert {len(leases) for leases, _ in answers} == {4}
    assert_counters_are_true(c.project)


def test_a_vote_and_the_end_of_its_lease_never_both(campaign: Make) -> None:
    """Votes come in at the very moment when their leases end, the sweeper runs and others take what it gives back."""
    c = campaign(tasks=40, annotators=10, redundancy=1)
    leases = {a: lease_tasks(member=c.member(a), count=5)[0] for a in range(8)}
    ends = timezone.now() + timedelta(seconds=0.5)
    Assignment.objects.filter(project=c.id).update(expires_at=ends)

    def vote_late(annotator: int) -> list[DomainError | None]:
        member = c.member(annotator)
        answers = []
        for index, lease in enumerate(leases[annotator]):
            # Some just before the end, some just after it.
            wait_for(lambda at=ends + timedelta(milliseconds=20 * index - 60): timezone.now() >= at, what="the end")
            answers += submit_votes(member=member, votes=[VoteInput(lease.id, "cat")])
        return answers

    def take_over(annotator: int) -> list[DomainError | None]:
        member = c.member(annotator)
        wait_for(lambda: timezone.now() >= ends, what="the end")
        taken = [lease for _ in range(20) for lease in lease_tasks(member=member, count=100)[0]]
        return submit_votes(member=member, votes=[VoteInput(id_, "dog") for id_ in {lease.id for lease in taken}])

    with meanwhile(expire_leases):
        *late, ours, theirs = together(
            [*(partial(vote_late, annotator) for annotator in range(8)), partial(take_over, 8), partial(take_over, 9)]
        )
        wait_for(lambda: not Assignment.objects.filter(project=c.id, status="open").exists(), what="the sweep")

    assert ours.count(None) == len(ours) and theirs.count(None) == len(theirs)
    answers = [answer for each in late for answer in each]
    counted = answers.count(None) + len(ours) + len(theirs)
    assert {type(answer) for answer in answers} <= {type(None), LateVoteNoRoom}
    assert counted == Vote.objects.filter(project=c.id, status="counted").count() == 40
    assert 40 - answers.count(None) == Vote.objects.filter(project=c.id, status="uncounted").count()
    assert TaskState.objects.filter(project=c.id, votes=1, leases=0).count() == 40
    assert_counters_are_true(c.project)


def test_redundancy_changes_while_tasks_are_handed_out(campaign: Make) -> None:
    c = campaign(tasks=30, annotators=8, redundancy=2)

    def label_some(annotator: int) -> None:
        member = c.member(annotator)
        for _ in range(15):
            leases, _why = lease_tasks(member=member, count=2)
            submit_votes(member=member, votes=[VoteInput(lease.id, "dog") for lease in leases[:1]])

    def change() -> None:
        for redundancy in (6, 1, 4, 2, 5, 3):
            configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": redundancy})

    together([*(partial(label_some, annotator) for annotator in range(8)), change])

    assert_counters_are_true(c.project)
    for state in TaskState.objects.filter(project=c.id).select_related("task__queue"):
        assert state.redundancy == max(3, state.votes + state.leases)
        assert (state.retired == "redundancy") == (state.votes >= state.redundancy)
        assert state.task.queue.open == (state.retired is None)


def test_who_asks_while_redundancy_is_lowered_gets_no_place_that_is_gone(campaign: Make) -> None:
    """The lease waits for nobody and still believes the row, not its snapshot: here the row changes in between."""
    c = campaign(tasks=1, annotators=3, redundancy=3)
    c.vote(0, "cat")
    for _ in range(ROUNDS):
        change = partial(configure_project, project_id=c.id, version=c.fresh().version, changes={"redundancy": 1})
        together([change, *(partial(lease_tasks, member=c.member(a), count=1) for a in (1, 2))])
        state = c.state(0)
        assert state.redundancy == max(1, 1 + state.leases)
        assert_counters_are_true(c.project)


def test_the_database_itself_refuses_one_too_many(campaign: Make) -> None:
    """Behind every rule above stands the constraint task_redundancy_not_exceeded."""
    c = campaign(tasks=1, annotators=1, redundancy=1)
    c.lease(0)
    with pytest.raises(IntegrityError, match="task_redundancy_not_exceeded"), connection.cursor() as cursor:
        cursor.execute("UPDATE projects_taskstate SET votes = votes + 1 WHERE task_id = %s", [c.task(0)])
    with pytest.raises(IntegrityError, match="task_redundancy_not_exceeded"), connection.cursor() as cursor:
        cursor.execute("UPDATE projects_taskstate SET leases = leases - 2 WHERE task_id = %s", [c.task(0)])
