"""Quotas and tests are exact, however many requests one annotator sends at once."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest

from projects.models import Assignment, Stage, Vote
from projects.services.assignments import expire_leases
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.qualification import set_stage
from projects.services.voting import submit_votes, submit_votes_and_lease
from tests.concurrency.races import meanwhile, together
from tests.services.campaign import Campaign, assert_counters_are_true
from tests.services.test_leases import let_time_pass

Make = Callable[..., Campaign]


@pytest.mark.parametrize("settings", [{"daily_quota": 7}, {"total_quota": 7, "budget": 100, "max_leases": 5}])
def test_two_tabs_at_the_edge_of_a_quota(campaign: Make, settings: dict[str, int]) -> None:
    """Each tab leases, votes and leases again with its votes, until there is nothing more."""
    c = campaign(tasks=30, annotators=1, redundancy=1, **settings)

    def label_all() -> None:
        member = c.member(0)
        leases, why = lease_tasks(member=member, count=3)
        while why != "quota_reached":
            votes = [VoteInput(lease.id, "cat") for lease in leases]
            leases, why = submit_votes_and_lease(member=member, votes=votes, count=3).leases
            if not leases and why == "ok":
                leases, why = lease_tasks(member=member, count=3)

    together([label_all] * 4)

    assert Vote.objects.filter(project=c.id, status="counted").count() == 7
    assert not Assignment.objects.filter(project=c.id, status="open").exists()
    assert_counters_are_true(c.project)


def test_late_votes_and_leases_at_once_never_exceed_a_quota(campaign: Make) -> None:
    c = campaign(tasks=40, annotators=1, redundancy=2, total_quota=5)
    late = []
    for _ in range(3):
        leases, _why = lease_tasks(member=c.member(0), count=5)
        for lease in leases:
            let_time_pass(lease.id)
        late += leases

    def answer(lease_id: UUID) -> None:
        submit_votes(member=c.member(0), votes=[VoteInput(lease_id, "cat")])

    with meanwhile(expire_leases):
        together(
            [
                *(partial(answer, lease.id) for lease in late[:8]),
                *[partial(lease_tasks, member=c.member(0), count=3)] * 4,
            ]
        )

    voted = Vote.objects.filter(project=c.id, status="counted").count()
    held = Assignment.objects.filter(project=c.id, status="open").count()
    assert voted + held <= 5
    assert_counters_are_true(c.project)


def with_test(campaign: Make, **settings: object) -> Campaign:
    c = campaign(tasks=2, annotators=1, **settings)
    c.upload([{"data": {"n": 100 + n}, "gold": "dog", "qualification": True} for n in range(12)])
    return c


@pytest.mark.parametrize("round_", range(3))
def test_a_test_passed_twice_at_once_is_passed_once(campaign: Make, round_: int) -> None:
    """Every answer is sent by two tabs at the same moment."""
    c = with_test(campaign, test_tasks=6, pass_mark=0.5)
    leases, _why = lease_tasks(member=c.member(0), count=6)
    labels = ["dog", "dog", "dog", "cat", "cat", "cat"]

    def tab(order: int) -> list[object]:
        votes = [VoteInput(lease.id, label) for lease, label in zip(leases, labels, strict=True)][::order]
        return [answer for vote in votes for answer in submit_votes(member=c.member(0), votes=[vote])]

    answers = together([partial(tab, 1), partial(tab, -1), partial(tab, 1)])

    assert Counter(type(answer) for each in answers for answer in each) == {type(None): 18}
    member = c.member(0)
    assert (member.stage, member.stage_answers, member.stage_right, member.tests) == (Stage.QUALIFIED, 6, 3, 1)
    assert Vote.objects.filter(project=c.id).count() == 6
    assert_counters_are_true(c.project)


def test_nobody_holds_more_of_a_test_than_it_has_however_many_tabs_ask(campaign: Make) -> None:
    c = with_test(campaign, training_tasks=1, test_tasks=4)
    together([partial(lease_tasks, member=c.member(0), count=9)] * 6)
    assert Assignment.objects.filter(project=c.id, status="open").count() == 1
    assert c.member(0).stage == Stage.TRAINING


@pytest.mark.parametrize("round_", range(3))
def test_a_manager_who_starts_somebody_anew_while_they_answer_is_not_overruled(campaign: Make, round_: int) -> None:
    c = with_test(campaign, test_tasks=4, pass_mark=1)
    leases, _why = lease_tasks(member=c.member(0), count=4)
    votes = [VoteInput(lease.id, "dog") for lease in leases]

    together(
        [
            *(partial(submit_votes, member=c.member(0), votes=[vote]) for vote in votes),
            partial(set_stage, project=c.project, member_id=c.annotators[0].id, stage=Stage.FAILED),
        ]
    )

    member = c.member(0)
    assert member.stage == Stage.FAILED
    assert not Assignment.objects.filter(project=c.id, status="open").exists()
    assert_counters_are_true(c.project)
