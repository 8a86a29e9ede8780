"""Qualification: training with feedback, a test with a mark, and only then the ordinary tasks."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from aggregation.models import Consensus
from projects.errors import AnnotatorBlocked, AssignmentClosed, AssignmentExpired, MustBeAnswered, VoteConflict
from projects.models import Event, Gold, Member, Stage, Standing, TaskState, Vote
from projects.selectors import members_of, own_progress, task_statistics
from projects.services.assignments import release_assignment, skip_assignment
from projects.services.ballots import VoteInput
from projects.services.entry_answers import Answered
from projects.services.leases import Lease, lease_tasks
from projects.services.projects import configure_project
from projects.services.qualification import progress, qualification_of, set_stage
from projects.services.voting import Submitted, submit_votes, submit_votes_and_lease
from tests.services.campaign import Campaign, assert_counters_are_true
from tests.services.test_leases import expire

Make = Callable[..., Campaign]
RIGHT, WRONG = "dog", "cat"
HALF = Decimal("0.5")


def make(campaign: Make, entry: int = 6, **settings: Any) -> Campaign:
    """Two ordinary tasks (0, 1), and some for qualification (100, …) to which the right answer is dog."""
    c = campaign(tasks=2, annotators=2, **{"training_tasks": 0, "test_tasks": 0, **settings})
    c.upload([{"data": {"n": 100 + n}, "gold": RIGHT, "qualification": True} for n in range(entry)])
    return c


def take(c: Campaign, count: int = 9) -> list[Lease]:
    leases, why = lease_tasks(member=c.member(0), count=count)
    assert leases, why
    return leases


def give(c: Campaign, lease: Lease, label: str, *, then: int = 0) -> Submitted:
    submitted = submit_votes_and_lease(member=c.member(0), votes=[VoteInput(lease.id, label)], count=then)
    assert submitted.results == [None]
    return submitted


def answer(c: Campaign, *labels: str) -> None:
    for label in labels:
        give(c, take(c, 1)[0], label)


def stage(c: Campaign) -> tuple[str | None, int, int, int]:
    member = c.member(0)
    return member.stage, member.stage_answers, member.stage_right, member.tests


def test_in_training_each_answer_is_told_and_then_the_ordinary_tasks_come(campaign: Make) -> None:
    c = make(campaign, training_tasks=2)
    first, second = take(c)
    assert min(first.data["n"], second.data["n"]) >= 100

    assert give(c, first, WRONG).answered == {first.id: Answered(right=False, label=RIGHT)}
    assert stage(c) == (Stage.TRAINING, 1, 0, 0)
    after = give(c, second, RIGHT, then=5)

    assert after.answered == {second.id: Answered(right=True, label=RIGHT)}
    assert stage(c)[0] == Stage.QUALIFIED
    assert sorted(lease.data["n"] for lease in after.leases[0]) == [0, 1]


def test_in_a_test_nothing_is_told_and_enough_right_answers_open_the_queue_at_once(campaign: Make) -> None:
    c = make(campaign, test_tasks=5, pass_mark=0.8)
    leases = take(c)
    assert len(leases) == 5
    for lease, label in zip(leases, [RIGHT, WRONG, RIGHT, RIGHT], strict=False):
        assert give(c, lease, label).answered == {lease.id: Answered()}
    assert stage(c) == (Stage.TEST, 4, 3, 1)

    after = give(c, leases[4], RIGHT, then=5)

    assert stage(c) == (Stage.QUALIFIED, 5, 4, 1)
    assert sorted(lease.data["n"] for lease in after.leases[0]) == [0, 1]


def test_too_few_right_answers_fail_and_say_so(campaign: Make) -> None:
    c = make(campaign, test_tasks=2, pass_mark=0.6)
    answer(c, RIGHT)
    last = give(c, take(c)[0], WRONG, then=1)

    assert last.leases == ([], "not_qualified")
    assert lease_tasks(member=c.member(0), count=1) == ([], "not_qualified")
    assert progress(c.member(0)) == {"stage": "failed", "answered": 2, "of": 2, "right": 1}


def test_another_attempt_is_another_test_with_other_tasks(campaign: Make) -> None:
    c = make(campaign, training_tasks=1, test_tasks=2, test_attempts=2, pass_mark=1)
    answer(c, RIGHT, RIGHT, WRONG)
    assert stage(c) == (Stage.TEST, 0, 0, 2)
    assert progress(c.member(0)) == {"stage": "test", "answered": 0, "of": 2}

    answer(c, RIGHT, RIGHT)

    assert stage(c) == (Stage.QUALIFIED, 2, 2, 2)
    assert Vote.objects.filter(project=c.id).values("task").distinct().count() == 5


def test_answers_in_qualification_are_never_counted_paid_or_limited(campaign: Make) -> None:
    c = make(campaign, training_tasks=1, test_tasks=1, daily_quota=1, price_per_vote=HALF, budget=HALF)
    Event.objects.filter(project=c.id).delete()
    answer(c, RIGHT, RIGHT)

    assert set(Vote.objects.filter(project=c.id).values_list("status", "mode")) == {("uncounted", "qualification")}
    assert not Event.objects.filter(project=c.id).exists()
    assert not TaskState.objects.filter(project=c.id, votes__gt=0).exists()
    progress = own_progress(c.member(0))
    assert (progress["votes"], progress["earned"]) == (0, 0)
    c.vote(0, "cat")
    assert own_progress(c.member(0))["votes"] == 1
    assert lease_tasks(member=c.member(0), count=1) == ([], "quota_reached")
    statistics = task_statistics(c.fresh())
    assert (statistics["tasks"], statistics["votes_wanted"], statistics["uncounted_votes"]) == (2, 6, 0)
    assert members_of(c.project).get(id=c.annotators[0].id).uncounted_count == 0  # type: ignore[attr-defined]  # annotated
    assert_counters_are_true(c.project)


def test_a_refit_neither_learns_from_qualification_nor_publishes_it(campaign: Make) -> None:
    c = make(campaign, training_tasks=1)
    answer(c, RIGHT)
    c.vote(0, "cat")
    run = c.refit()
    assert run.counts["gold"] == 0
    assert run.counts["votes"] == 1
    assert Consensus.objects.filter(project=c.id).count() == 1


def test_nobody_else_is_ever_given_a_task_for_qualification(campaign: Make) -> None:
    c = make(campaign)
    Member.objects.filter(id=c.annotators[0].id).update(tags=["qualification"])
    assert sorted(lease.data["n"] for lease in take(c)) == [0, 1]


def test_managers_need_not_qualify(campaign: Make) -> None:
    c = make(campaign, test_tasks=1)
    manager = Member.objects.select_related("project").get(project=c.id, user=c.manager)
    assert {lease.data["n"] for lease in lease_tasks(member=manager, count=5)[0]} == {0, 1}


def test_an_answer_can_be_repeated_but_not_changed(campaign: Make) -> None:
    c = make(campaign, training_tasks=2)
    lease = take(c, 1)[0]
    give(c, lease, WRONG)
    assert give(c, lease, WRONG).answered == {lease.id: Answered(right=False, label=RIGHT)}
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, RIGHT)])[0].__class__ is VoteConflict
    assert stage(c) == (Stage.TRAINING, 1, 0, 0)


def test_a_late_answer_is_not_taken_and_its_task_comes_again(campaign: Make) -> None:
    c = make(campaign, entry=1, test_tasks=1)
    lease = take(c)[0]
    expire(lease.id)
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, RIGHT)])[0].__class__ is AssignmentExpired
    assert take(c)[0].data == lease.data
    assert stage(c) == (Stage.TEST, 0, 0, 1)
    assert not Vote.objects.filter(project=c.id).exists()
    assert_counters_are_true(c.project)


def test_a_task_of_a_test_can_be_given_back_but_not_skipped(campaign: Make) -> None:
    c = make(campaign, entry=1, test_tasks=1)
    lease = take(c)[0]
    with pytest.raises(MustBeAnswered):
        skip_assignment(member=c.member(0), assignment_id=lease.id)
    release_assignment(member=c.member(0), assignment_id=lease.id)
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, RIGHT)])[0].__class__ is AssignmentClosed
    assert take(c)[0].data == lease.data


def test_too_few_tasks_to_qualify_with_let_people_wait_and_managers_see_it(campaign: Make) -> None:
    c = make(campaign, entry=1, training_tasks=1, test_tasks=2, test_attempts=3)
    answer(c, RIGHT)
    assert lease_tasks(member=c.member(0), count=1) == ([], "waiting")
    seen = qualification_of(c.project)
    assert seen == {"tasks": 1, "wanted": 7, "members": {"training": 0, "test": 1, "qualified": 0, "failed": 0}}
    c.upload([{"data": {"n": 200}, "gold": RIGHT, "qualification": True}])
    assert [lease.data["n"] for lease in take(c)] == [200]


def test_a_manager_qualifies_somebody_by_hand_or_lets_them_begin_anew(campaign: Make) -> None:
    c = make(campaign, training_tasks=1, test_tasks=2)
    answer(c, WRONG)
    held = take(c)
    set_stage(project=c.project, member_id=c.annotators[0].id, stage=Stage.QUALIFIED)

    assert sorted(lease.data["n"] for lease in take(c)) == [0, 1], "what was held for the test is taken back"
    late = submit_votes(member=c.member(0), votes=[VoteInput(held[0].id, RIGHT)])
    assert late[0].__class__ is AssignmentClosed
    set_stage(project=c.project, member_id=c.annotators[0].id, stage=Stage.TRAINING)
    assert stage(c) == (Stage.TRAINING, 0, 0, 0)
    assert_counters_are_true(c.project)


def test_who_holds_ordinary_tasks_when_a_test_is_asked_for_answers_them_first(campaign: Make) -> None:
    c = make(campaign)
    lease = take(c, 1)[0]
    configure_project(project_id=c.id, version=c.fresh().version, changes={"test_tasks": 1, "pass_mark": 0.5})

    assert take(c, 1)[0].id == lease.id
    give(c, lease, "cat")
    assert c.state(lease.data["n"]).votes == 1
    assert [each.data["n"] >= 100 for each in take(c)] == [True]
    assert give(c, take(c)[0], RIGHT, then=1).leases[1] == "ok"
    assert_counters_are_true(c.project)


def test_a_shorter_test_is_over_for_whoever_has_answered_as_much(campaign: Make) -> None:
    c = make(campaign, test_tasks=3, pass_mark=1)
    answer(c, RIGHT, RIGHT)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"test_tasks": 2})
    assert sorted(lease.data["n"] for lease in take(c)) == [0, 1]
    assert stage(c)[0] == Stage.QUALIFIED


def test_without_training_and_test_everybody_is_let_in_again(campaign: Make) -> None:
    c = make(campaign, test_tasks=1, pass_mark=1)
    answer(c, WRONG)
    assert lease_tasks(member=c.member(0), count=1) == ([], "not_qualified")
    configure_project(project_id=c.id, version=c.fresh().version, changes={"test_tasks": 0})
    assert sorted(lease.data["n"] for lease in take(c)) == [0, 1]


def test_their_gold_has_an_origin_of_its_own(campaign: Make) -> None:
    c = make(campaign, entry=2)
    c.upload([{"data": {"n": 300}, "gold": RIGHT}])
    origins = Gold.objects.filter(project=c.id).order_by("task").values_list("origin", flat=True)
    assert list(origins) == ["qualification", "qualification", "uploaded"]


def test_nothing_of_an_entry_test_is_taken_from_somebody_blocked(campaign: Make) -> None:
    c = make(campaign, test_tasks=2)
    lease = take(c)[0]
    Member.objects.filter(id=c.annotators[0].id).update(standing=Standing.BLOCKED)
    assert submit_votes(member=c.member(0), votes=[VoteInput(lease.id, RIGHT)])[0].__class__ is AnnotatorBlocked
    assert stage(c) == (Stage.TEST, 0, 0, 1)


def test_a_training_task_given_back_is_no_task_for_the_qualified_where_gold_is_injected(campaign: Make) -> None:
    c = make(campaign, training_tasks=1, gold_share=0.5)
    release_assignment(member=c.member(0), assignment_id=take(c)[0].id)
    set_stage(project=c.project, member_id=c.annotators[0].id, stage=Stage.QUALIFIED)
    assert sorted(lease.data["n"] for lease in take(c)) == [0, 1]
