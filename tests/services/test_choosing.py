"""Choosing for the annotator who asks: what their vote would tell most of, among the first tasks of the queue."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest

from projects.models import (
    HANDOVER_PRIORITY,
    Confusion,
    LiveModel,
    Prediction,
    Project,
    Skill,
    Task,
    TaskQueue,
    TaskState,
)
from projects.services import gold
from projects.services.ballots import plain_ballot
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.recompute import recompute_tasks
from tests.services.campaign import Campaign, assert_counters_are_true

Make = Callable[..., Campaign]
LABELS = ["cat", "dog", "bird", "fish"]
#: Ada tells cats from dogs and guesses between birds and fish; Ben the other way round.
SURE, GUESS = [0.98, 0.02, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]
ADA = [SURE, SURE[1::-1] + [0.0, 0.0], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.5]]
BEN = [GUESS, GUESS, [0.0, 0.0, 0.98, 0.02], [0.0, 0.0, 0.02, 0.98]]


def choosing(campaign: Make, tasks: int = 12, **settings: object) -> Campaign:
    """Even tasks are cats or dogs, odd ones birds or fish, all as doubtful. Ada is annotator 0, Ben 1, 2 a newcomer."""
    settings = {"labels": LABELS, "acquisition": "information_gain", **settings}
    c = campaign(annotators=3, tasks=tasks, **settings)
    LiveModel.objects.filter(project=c.project).update(prediction_weight=1.0)
    ids = list(Task.objects.filter(project=c.project).order_by("id").values_list("id", flat=True))
    for n, id_ in enumerate(ids):
        said = [0.01, 0.01, 0.49, 0.49] if n % 2 else [0.49, 0.49, 0.01, 0.01]
        Prediction.objects.create(task_id=id_, posterior=said, run=1)
    for annotator, confusion in enumerate((ADA, BEN)):
        member = c.annotators[annotator]
        Skill.objects.create(annotator=member, project=c.project, accuracy=0.75, skill=0.75, run=1)
        for voted in range(4):
            vector = [row[voted] for row in confusion]
            Confusion.objects.create(annotator=member, voted=voted, vector=vector)
    recompute_tasks(project=c.fresh(), task_ids=ids)
    return c


def given(c: Campaign, annotator: int, count: int) -> list[int]:
    leases, why = lease_tasks(member=c.member(annotator), count=count)
    assert why == "ok"
    return sorted(lease.data["n"] for lease in leases)


def test_each_annotator_is_given_what_they_can_tell_most_of(campaign: Make) -> None:
    c = choosing(campaign)
    assert [given(c, 0, 1), given(c, 1, 1)] == [[0], [1]]
    assert given(c, 0, 4) == [0, 2, 4, 6] and given(c, 1, 4) == [1, 3, 5, 7]
    assert given(c, 2, 1) == [8], "of a newcomer's votes all would tell the same: the queue's order"
    assert_counters_are_true(c.project)


def test_other_projects_go_by_the_queue_alone(campaign: Make) -> None:
    assert given(choosing(campaign, acquisition="entropy"), 1, 3) == [0, 1, 2]
    assert given(choosing(campaign, order="sequential"), 1, 3) == [0, 1, 2]


def test_what_was_put_before_all_others_stays_there(campaign: Make) -> None:
    c = choosing(campaign)
    TaskQueue.objects.filter(task=c.task(10)).update(priority=HANDOVER_PRIORITY)
    assert given(c, 1, 1) == [10]
    assert given(c, 1, 3) == [1, 3, 10]


def test_it_looks_no_further_than_the_first_tasks_of_the_queue(campaign: Make) -> None:
    c = choosing(campaign, tasks=80)
    TaskQueue.objects.filter(project=c.project, task__in=[c.task(n) for n in range(1, 80, 2)]).update(priority=1)
    assert given(c, 1, 1) == [0], "33 others come before any that Ben is good at"
    assert given(c, 1, 20) == sorted([*range(0, 14, 2), *range(1, 27, 2)]), "52 are looked at where 20 are wanted"


def test_votes_and_gold_make_a_task_what_they_would_if_nobody_knew_its_answer(campaign: Make) -> None:
    c = choosing(campaign, redundancy=3)
    c.vote(0, "cat")
    c.project = c.fresh()
    c.upload([{"data": {"n": 100 + n}, "gold": "cat"} for n in range(2)])
    assert given(c, 2, 2) == [100, 101], "of which the machine has said nothing either"
    assert given(c, 2, 13) == [*range(1, 12), 100, 101], "Ada has settled 0"


def test_a_task_that_others_take_meanwhile_is_passed_over_for_the_next_best(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from projects.services import leases

    c = choosing(campaign, redundancy=1)
    really = leases.choosing.choosing

    def somebody_is_quicker(project: Project, wanted: dict[str, object]) -> object:
        chosen = really(project, wanted)
        monkeypatch.setattr(leases.choosing, "choosing", really)
        TaskState.objects.filter(task__in=[c.task(n) for n in (1, 3)]).update(leases=1)
        return chosen

    monkeypatch.setattr(leases.choosing, "choosing", somebody_is_quicker)
    assert given(c, 1, 2) == [5, 7]


def test_it_goes_together_with_gold_a_budget_and_chance(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gold, "_random", Random(1))
    price = {"price_per_vote": Decimal("0.1"), "budget": Decimal(3)}
    c = choosing(campaign, tasks=60, gold_share=0.3, **price)
    c.project = c.fresh()
    c.upload([{"data": {"n": 1000 + n}, "gold": "cat"} for n in range(20)])
    numbers = given(c, 1, 20)
    known = [n for n in numbers if n >= 1000]
    assert 2 <= len(known) <= 11 and all(n % 2 for n in numbers if n < 1000)
    assert len(given(c, 0, 20)) == 10, "the rest of the budget"
    assert_counters_are_true(c.project)


def test_whoever_chooses_is_not_served_together_with_others(campaign: Make) -> None:
    c = choosing(campaign)
    assert plain_ballot(member=c.member(0), votes=[], count=1) is None
    configure_project(project_id=c.id, version=c.fresh().version, changes={"acquisition": "margin"})
    assert plain_ballot(member=c.member(0), votes=[], count=1) is not None
