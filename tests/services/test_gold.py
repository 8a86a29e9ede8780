"""Gold among other tasks: how often, to how many, and what becomes of it when a manager changes their mind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aggregation.selectors import statistics_of
from projects.errors import LateVoteNoRoom
from projects.models import Assignment, Gold, GoldOrigin, ReviewAction, TaskQueue, TaskState
from projects.services.assignments import release_assignment, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.gold import toss
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from projects.services.voting import submit_votes, submit_votes_and_lease
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh
from tests.services.test_leases import expire

Make = Callable[..., Campaign]
FIRST_GOLD = 1000


def configure(c: Campaign, **changes: Any) -> None:
    configure_project(project_id=c.id, version=c.fresh().version, changes=changes)


def injecting(campaign: Make, *, tasks: int, gold: int, **settings: Any) -> Campaign:
    """A campaign of so many ordinary tasks, 0, 1, …, and so many of gold, 1000, 1001, …"""
    c = campaign(**settings)
    c.upload(ordinary(tasks) + [{"data": {"n": FIRST_GOLD + n}, "gold": "cat"} for n in range(gold)])
    return c


def ordinary(tasks: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"data": {"n": n}, **fields} for n in range(tasks)]


def given(c: Campaign, annotator: int, count: int) -> list[int]:
    return [lease.data["n"] for lease in lease_tasks(member=c.member(annotator), count=count)[0]]


def gold_among(numbers: list[int]) -> int:
    return sum(n >= FIRST_GOLD for n in numbers)


def places(c: Campaign) -> list[tuple[int, str, int]]:
    """Of each gold task: its number, its pool and its redundancy."""
    rows = TaskQueue.objects.filter(task__gold__project=c.id).order_by("task")
    return [(row.task.data["n"], row.pool, row.task.state.redundancy) for row in rows.select_related("task__state")]


def test_coins_are_tossed_for_each_assignment() -> None:
    assert toss(0, 3) == [0, 0, 0, 0] and toss(1, 3) == [0, 1, 2, 3]
    assert 800 < toss(0.1, 10_000)[-1] < 1200


def test_without_a_share_gold_is_handed_out_as_any_other_task(campaign: Make) -> None:
    c = injecting(campaign, tasks=1, gold=2, annotators=1)
    assert given(c, 0, 3) == [0, 1000, 1001]
    assert places(c) == [(1000, "", 3), (1001, "", 3)]


def test_every_assignment_may_be_gold_until_somebody_has_had_it_all(campaign: Make) -> None:
    c = injecting(campaign, tasks=6, gold=4, annotators=1, gold_share=1.0)
    numbers = given(c, 0, 6)
    assert (len(numbers), gold_among(numbers)) == (6, 4)
    assert sorted(n for n in numbers if n < FIRST_GOLD) == [0, 1]
    assert_counters_are_true(c.project)


def test_a_share_of_nothing_hands_out_none(campaign: Make) -> None:
    c = injecting(campaign, tasks=6, gold=4, annotators=1, gold_share=0.0)
    assert sorted(given(c, 0, 10)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("order", ["priority", "sequential"])
def test_about_as_many_are_gold_as_the_manager_said(campaign: Make, order: str) -> None:
    c = injecting(campaign, tasks=300, gold=300, annotators=4, gold_share=0.25, order=order, redundancy=4)
    numbers = [n for annotator in range(4) for n in given(c, annotator, 100)]
    assert len(numbers) == 400 and 60 < gold_among(numbers) < 140


def test_whoever_has_had_all_ordinary_tasks_is_finished_and_gets_no_gold(campaign: Make) -> None:
    c = injecting(campaign, tasks=2, gold=5, annotators=1, gold_share=0.0)
    c.vote(0, "cat")
    c.vote(0, "cat")
    configure(c, gold_share=1.0)
    assert lease_tasks(member=c.member(0), count=1) == ([], "finished")


def test_a_campaign_is_finished_when_its_ordinary_tasks_are(campaign: Make) -> None:
    c = injecting(campaign, tasks=2, gold=3, annotators=1, redundancy=1, gold_share=1.0)
    for _ in range(5):
        c.vote(0, "cat")

    statistics = statistics_of(c.fresh())

    assert lease_tasks(member=c.member(0), count=1) == ([], "finished")
    assert (statistics["tasks"], statistics["open"], statistics["progress"]) == (5, 0, 1.0)
    assert statistics["retired"] == {"redundancy": 2}
    assert (statistics["votes"], statistics["votes_wanted"]) == (5, 5)


def test_the_cap_and_the_tasks_own_redundancy_bound_who_sees_gold(campaign: Make) -> None:
    c = campaign(annotators=3, gold_share=1.0, gold_exposures=2, redundancy=5)
    c.upload(ordinary(5))
    gold = [{"data": {"n": 1000}, "gold": "cat"}, {"data": {"n": 1001}, "gold": "cat", "redundancy": 1}]
    c.upload([*gold, {"data": {"n": 1002}, "gold": "cat", "redundancy": 0}])
    assert places(c) == [(1000, "\x01", 2), (1001, "\x01", 1), (1002, "", 0)]

    seen = [n for annotator in range(3) for n in given(c, annotator, 5)]

    assert (seen.count(1000), seen.count(1001), seen.count(1002)) == (2, 1, 0)


def test_confidence_retires_no_gold_and_its_cap_does(campaign: Make) -> None:
    settings = {"gold_share": 1.0, "gold_exposures": 4, "target_confidence": 0.5, "redundancy": 2, "flag_below": 0.99}
    c = injecting(campaign, tasks=9, gold=1, annotators=5, **settings)
    for annotator in range(3):
        c.vote(annotator, "dog", FIRST_GOLD)
        state = c.state(FIRST_GOLD)
        assert (state.retired, state.label, state.confidence) == (None, 0, 1.0)
    c.refit()
    assert c.state(FIRST_GOLD).retired is None

    c.vote(3, "cat", FIRST_GOLD)

    assert (c.state(FIRST_GOLD).retired, TaskQueue.objects.get(task=c.task(FIRST_GOLD)).open) == ("redundancy", False)
    assert FIRST_GOLD not in given(c, 4, 5)
    c.refit()
    assert c.state(FIRST_GOLD).retired == "redundancy"
    assert_state_is_fresh(c.fresh())


@pytest.mark.parametrize("order", ["priority", "breadth_first", "depth_first", "sequential"])
def test_turning_it_on_and_off_moves_all_gold_at_once_and_back(campaign: Make, order: str) -> None:
    c = injecting(campaign, tasks=1, gold=3, annotators=4, redundancy=3, order=order)
    c.upload([{"data": {"n": 1 + n}, "redundancy": 9} for n in range(3)])
    for annotator in range(3):
        c.vote(annotator, "dog", FIRST_GOLD)
    c.vote(0, "cat", FIRST_GOLD + 1)
    before = list(TaskQueue.objects.filter(project=c.project).order_by("task").values_list("pool", "open", "priority"))
    states = list(TaskState.objects.filter(project=c.project).order_by("task").values_list("redundancy", "retired"))
    assert c.state(FIRST_GOLD).retired == "redundancy"

    configure(c, gold_share=1.0, gold_exposures=7)
    assert places(c) == [(FIRST_GOLD + n, "\x01", 7) for n in range(3)]
    assert c.state(FIRST_GOLD).retired is None
    assert gold_among(given(c, 3, 3)) == 3
    for lease in lease_tasks(member=c.member(3), count=3)[0]:
        skip_assignment(member=c.member(3), assignment_id=lease.id)
    configure(c, gold_exposures=None, redundancy=2)
    assert {redundancy for *_, redundancy in places(c)} == {1_000_000_000}

    configure(c, gold_share=None, redundancy=3)
    after = list(TaskQueue.objects.filter(project=c.project).order_by("task").values_list("pool", "open", "priority"))
    assert (
        list(TaskState.objects.filter(project=c.project).order_by("task").values_list("redundancy", "retired"))
        == states
    )
    assert after == before
    assert_state_is_fresh(c.fresh())


def test_another_order_leaves_gold_in_none(campaign: Make) -> None:
    c = injecting(campaign, tasks=1, gold=20, annotators=1, gold_share=0.5)
    configure(c, order="sequential")
    priorities = TaskQueue.objects.filter(project=c.project, pool="\x01").values_list("priority", flat=True)
    assert len(set(priorities)) > 5


def test_gold_that_is_uploaded_for_a_known_task_leaves_the_queue(campaign: Make) -> None:
    c = campaign(annotators=2, redundancy=1, gold_share=1.0)
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(3)])
    c.vote(0, "dog")
    assert c.state(0).retired == "redundancy"

    c.upload([{"key": "0", "data": {"n": 0}, "gold": "cat"}])

    assert places(c) == [(0, "\x01", 1_000_000_000)]
    assert (c.state(0).retired, c.state(0).label) == (None, 0)
    assert 0 in given(c, 1, 1)


def test_what_an_expert_decides_is_not_injected(campaign: Make) -> None:
    c = injecting(campaign, tasks=2, gold=1, annotators=1, gold_share=1.0)
    expert = c.join()
    review_task(reviewer=expert, task_id=c.task(0), action=ReviewAction.LABEL, label="cat")
    Gold.objects.create(task_id=c.task(1), project=c.project, label=0, origin=GoldOrigin.QUALIFICATION)
    configure(c, redundancy=4)
    assert places(c) == [(0, "", 4), (1, "", 4), (FIRST_GOLD, "\x01", 1_000_000_000)]
    assert c.state(0).retired == "reviewed"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_what_comes_back_does_not_come_again_while_there_are_others(campaign: Make, share: float) -> None:
    """An ordinary task would, as the first of its queue, and gold would not."""
    c = injecting(campaign, tasks=5, gold=5, annotators=1, gold_share=share)
    seen = []
    for n in range(5):
        (lease,) = lease_tasks(member=c.member(0), count=1)[0]
        seen.append(lease.data["n"])
        if n % 2:
            release_assignment(member=c.member(0), assignment_id=lease.id)
        else:
            expire(lease.id)
    assert len(set(seen)) == 5


def test_in_the_end_whatever_came_back_comes_again(campaign: Make) -> None:
    c = injecting(campaign, tasks=2, gold=1, annotators=1, gold_share=0.0)
    for lease in lease_tasks(member=c.member(0), count=2)[0]:
        release_assignment(member=c.member(0), assignment_id=lease.id)
    assert sorted(given(c, 0, 2)) == [0, 1]
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_late_vote_counts_for_no_task(campaign: Make, share: float) -> None:
    c = injecting(campaign, tasks=2, gold=2, annotators=1, gold_share=share)
    lease = c.lease(0)
    expire(lease.id)
    (refused,) = submit_votes(member=c.member(0), votes=[VoteInput(lease.id, "cat")])
    assert isinstance(refused, LateVoteNoRoom)


def test_an_answer_is_in_no_order_of_tasks(campaign: Make) -> None:
    """Held first, as they were given; of those given at once the random ids decide, not what came from where."""
    c = injecting(campaign, tasks=60, gold=60, annotators=1, gold_share=0.5)
    first = lease_tasks(member=c.member(0), count=40)[0]
    assert [lease.id for lease in first] == sorted(lease.id for lease in first)
    assert len({lease.expires_at for lease in first}) == 1

    both = lease_tasks(member=c.member(0), count=60)[0]

    assert both[:40] == first and len(both) == 60


def test_a_vote_may_bring_gold_with_it(campaign: Make) -> None:
    c = injecting(campaign, tasks=3, gold=3, annotators=1, gold_share=1.0)
    vote = VoteInput(c.lease(0).id, "cat")
    submitted = submit_votes_and_lease(member=c.member(0), votes=[vote], count=2)
    (stored,), (following, why) = submitted.results, submitted.leases
    assert stored is None and why == "ok"
    assert gold_among([lease.data["n"] for lease in following]) == 2
    assert Assignment.objects.filter(project=c.project).count() == 3


def test_everybody_meets_gold_in_another_order(campaign: Make) -> None:
    c = injecting(campaign, tasks=8, gold=8, annotators=6, gold_share=1.0, redundancy=6)
    orders = set()
    for annotator in range(6):
        order = []
        for _ in range(4):
            lease = c.lease(annotator)
            order.append(lease.data["n"])
            assert submit_votes(member=c.member(annotator), votes=[VoteInput(lease.id, "cat")]) == [None]
        orders.add(tuple(order))
    assert len(orders) > 3


def test_gold_is_paid_for_like_any_other_task(campaign: Make) -> None:
    c = injecting(campaign, tasks=9, gold=9, annotators=1, gold_share=0.5, budget=4)
    for _ in range(4):
        c.vote(0, "cat")
    assert lease_tasks(member=c.member(0), count=1) == ([], "budget_spent")
