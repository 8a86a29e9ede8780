"""Pools: a task in a pool goes only to members who have its tag."""

from collections.abc import Callable

from projects.models import Member, TaskQueue
from projects.selectors import pools_of
from projects.services.assignments import release_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.voting import submit_votes_and_lease
from tests.services.campaign import Campaign, assert_counters_are_true

Make = Callable[..., Campaign]


def tag(c: Campaign, annotator: int, *tags: str) -> None:
    Member.objects.filter(id=c.annotators[annotator].id).update(tags=list(tags))


def put(c: Campaign, pool: str, *numbers: int, priority: int | None = None) -> None:
    c.upload([{"data": {"n": n}, "pool": pool} for n in numbers])
    if priority is not None:
        for n in numbers:
            TaskQueue.objects.filter(task=c.task(n)).update(priority=priority)


def numbers(c: Campaign, annotator: int, count: int) -> list[int]:
    return [lease.data["n"] for lease in lease_tasks(member=c.member(annotator), count=count)[0]]


def test_only_members_with_its_tag_get_a_task_in_a_pool(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=3)
    put(c, "german", 10, 11)
    put(c, "french", 20)
    tag(c, 1, "german")
    tag(c, 2, "german", "french")

    assert sorted(numbers(c, 0, 9)) == [0, 1]
    assert sorted(numbers(c, 1, 9)) == [0, 1, 10, 11]
    assert sorted(numbers(c, 2, 9)) == [0, 1, 10, 11, 20]
    assert_counters_are_true(c.project)


def test_the_pool_with_the_most_urgent_task_comes_first(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    TaskQueue.objects.filter(task=c.task(0)).update(priority=500)
    put(c, "german", 10, priority=900)
    put(c, "french", 20, priority=100)
    tag(c, 0, "german", "french")

    assert numbers(c, 0, 1) == [10]
    assert numbers(c, 0, 3) == [10, 0, 20]


def test_what_an_annotator_holds_comes_first_even_when_its_pool_has_nothing_more(campaign: Make) -> None:
    c = campaign(annotators=1, redundancy=1)
    put(c, "german", 10)
    tag(c, 0, "german")
    assert numbers(c, 0, 1) == numbers(c, 0, 5) == [10]
    TaskQueue.objects.filter(task=c.task(10)).update(open=False)
    assert numbers(c, 0, 5) == [10]


def test_somebody_without_the_tag_is_finished_and_somebody_with_it_waits(campaign: Make) -> None:
    c = campaign(annotators=3, redundancy=1)
    put(c, "german", 10)
    tag(c, 1, "german")
    tag(c, 2, "german")
    assert numbers(c, 1, 1) == [10]

    assert lease_tasks(member=c.member(0), count=1) == ([], "finished")
    assert lease_tasks(member=c.member(2), count=1) == ([], "waiting")


def test_the_lease_that_comes_with_a_vote_is_of_the_annotators_pools(campaign: Make) -> None:
    c = campaign(annotators=2)
    put(c, "german", 10, 11)
    tag(c, 0, "german")
    vote = VoteInput(c.lease(0).id, "cat")
    given, why = submit_votes_and_lease(member=c.member(0), votes=[vote], count=1).leases
    assert ([lease.data["n"] for lease in given], why) == ([11], "ok")


def test_a_tag_taken_away_takes_back_nothing_that_is_held(campaign: Make) -> None:
    c = campaign(annotators=1)
    put(c, "german", 10, 11)
    tag(c, 0, "german")
    lease = c.lease(0)
    tag(c, 0)
    assert [each.id for each in lease_tasks(member=c.member(0), count=5)[0]] == [lease.id]
    c.vote(0, "cat")
    assert lease_tasks(member=c.member(0), count=5) == ([], "finished")


def test_managers_see_which_pool_nobody_may_have(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    put(c, "german", 10, 11)
    put(c, "french", 20)
    tag(c, 0, "german")
    assert pools_of(c.project) == [
        {"pool": "french", "open": 1, "members": 0},
        {"pool": "german", "open": 2, "members": 1},
    ]


def test_gold_is_injected_among_the_tasks_of_its_own_pool_alone(campaign: Make) -> None:
    c = campaign(annotators=2, gold_share=1.0)
    put(c, "german", 10, 11)
    c.upload([{"data": {"n": n}, "pool": "german", "gold": "cat"} for n in (100, 101)])
    c.upload([{"data": {"n": n}} for n in (20, 21)])
    tag(c, 0, "german")

    assert set(numbers(c, 1, 2)) == {20, 21}, "its pool has no gold"
    assert set(numbers(c, 0, 4)) >= {100, 101}
    assert pools_of(c.project) == [{"pool": "german", "open": 2, "members": 1}]


def test_what_was_given_back_comes_again_from_its_pool_alone(campaign: Make) -> None:
    c = campaign(annotators=1, gold_share=0.0)
    put(c, "german", 10)
    c.upload([{"data": {"n": 20}, "redundancy": 1}])
    tag(c, 0, "german")
    for lease in lease_tasks(member=c.member(0), count=2)[0]:
        release_assignment(member=c.member(0), assignment_id=lease.id)
    tag(c, 0)
    assert numbers(c, 0, 5) == [20]
