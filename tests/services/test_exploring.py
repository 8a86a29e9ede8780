"""Choosing the next tasks otherwise than by doubt: searching for one label, and leaving a share to chance."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

import pytest
from django.db.models import F

from aggregation.services.handover import predict
from aggregation.services.placing import place_tasks
from projects.errors import Invalid
from projects.models import Assignment, LiveModel, Prediction, Task, TaskQueue
from projects.selectors import tasks_of
from projects.services import gold
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.recompute import recompute_tasks
from tests.services.campaign import Campaign, assert_counters_are_true

Make = Callable[..., Campaign]


def predicted(campaign: Make, tasks: int = 5, **settings: object) -> Campaign:
    """Task n is a dog with the probability n / 10."""
    c = campaign(annotators=2, tasks=tasks, **settings)
    LiveModel.objects.filter(project=c.project).update(prediction_weight=1.0)
    ids = list(Task.objects.filter(project=c.project).order_by("id").values_list("id", flat=True))
    for n, id_ in enumerate(ids):
        dog = min(n / 10, 1.0)
        Prediction.objects.create(task_id=id_, posterior=[1 - dog, dog], run=1)
    recompute_tasks(project=c.fresh(), task_ids=ids)
    return c


def places(c: Campaign) -> dict[int, int]:
    return dict(TaskQueue.objects.filter(project=c.project).values_list("task__data__n", "priority"))


def test_a_search_begins_with_what_is_most_probably_found(campaign: Make) -> None:
    c = predicted(campaign, acquisition="search", search_label="dog", redundancy=2)
    assert places(c) == {0: 0, 1: 100, 2: 200, 3: 300, 4: 400}
    assert c.lease(0).data == {"n": 4}
    cats = predicted(campaign, acquisition="search", search_label="cat")
    assert cats.lease(0).data == {"n": 0}


def test_what_people_have_settled_is_found_and_sought_no_more(campaign: Make) -> None:
    c = predicted(campaign, acquisition="search", search_label="dog", redundancy=9)
    Prediction.objects.filter(task=c.task(4)).update(posterior=[0.01, 0.99])
    recompute_tasks(project=c.fresh(), task_ids=[c.task(4)])
    assert places(c)[4] == 990, "what the learner alone is sure of is still to be found"
    c.vote(0, "dog", 4)
    assert places(c)[4] == 0


def test_who_searches_names_a_label_of_the_project(campaign: Make) -> None:
    for settings in ({"acquisition": "search"}, {"search_label": "bird"}):
        with pytest.raises(Invalid) as refused:
            campaign(**settings)
        assert refused.value.errors[0].field == "search_label"
    c = campaign()
    with pytest.raises(Invalid):
        configure_project(project_id=c.id, version=c.fresh().version, changes={"acquisition": "search"})
    assert c.fresh().acquisition == "entropy"


def searching(campaign: Make, share: float | None, **settings: object) -> Campaign:
    """A search with 300 tasks, of which the last are the most probable, and a share left to chance."""
    c = predicted(
        campaign, tasks=300, explore_share=share, acquisition="search", search_label="dog", redundancy=1, **settings
    )
    place_tasks(project_id=c.id)
    TaskQueue.objects.filter(project=c.project).update(priority=F("task_id") - c.task(0))
    return c


def leased(c: Campaign, count: int, annotator: int = 0) -> dict[int, float | None]:
    """Numbers of the tasks, and the probability that is noted with each."""
    leases, why = lease_tasks(member=c.member(annotator), count=count)
    assert len(leases) == count, why
    noted = Assignment.objects.filter(id__in=[lease.id for lease in leases])
    return dict(noted.values_list("task__data__n", "explored"))


@pytest.fixture
def fair_coins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gold, "_random", Random(1))


def test_a_share_of_what_is_asked_is_left_to_chance_and_the_others_go_on_in_order(
    campaign: Make, fair_coins: None
) -> None:
    c = searching(campaign, 0.2)
    given = leased(c, 100)
    explored = {n for n, share in given.items() if share is not None}
    assert 10 < len(explored) < 32, "a fifth of the first hundred, whatever the tasks are"
    assert {given[n] for n in explored} == {0.2}
    chosen = sorted(given.keys() - explored, reverse=True)
    assert chosen == [n for n in range(299, -1, -1) if n not in explored][: len(chosen)]
    assert min(explored) < 150, "also what is least probable"
    assert_counters_are_true(c.project)


def test_what_is_left_to_chance_is_any_open_task(campaign: Make) -> None:
    c = searching(campaign, 1.0)
    given = leased(c, 60)
    assert set(given.values()) == {1.0}
    assert 90 < sum(given) / 60 < 210, "by score it would be 270"
    assert leased(c, 60) == given, "what is held is not drawn again"
    again = leased(c, 60, annotator=1)
    assert not given.keys() & again.keys() and 90 < sum(again) / 60 < 210
    shown = tasks_of(c.project).filter(data__n__in=[min(given), min(again)])
    assert [task.explored for task in shown] == [1.0, 1.0]


def test_a_project_without_a_share_draws_nothing(campaign: Make) -> None:
    c = searching(campaign, None)
    assert leased(c, 50) == dict.fromkeys(range(299, 249, -1))
    assert not TaskQueue.objects.filter(project=c.project, lot__isnull=False).exists()


def test_lots_come_and_go_with_the_setting_and_with_uploads(campaign: Make) -> None:
    c = searching(campaign, None)
    lots = TaskQueue.objects.filter(project=c.project, lot__isnull=False)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"explore_share": 0.5})
    place_tasks(project_id=c.id)
    assert lots.count() == 300 and len(set(lots.values_list("lot", flat=True))) > 290
    c.project = c.fresh()
    predict(project=c.project, items=[{"data": {"n": 1001}}])
    assert lots.count() == 301, "what is handed over has its lot at once"
    c.upload([{"data": {"n": 1000}}])
    before = dict(lots.values_list("task_id", "lot"))
    place_tasks(project_id=c.id)
    assert lots.count() == 302 and before.items() <= dict(lots.values_list("task_id", "lot")).items()
    configure_project(project_id=c.id, version=c.fresh().version, changes={"explore_share": None})
    place_tasks(project_id=c.id)
    predict(project=c.fresh(), items=[{"data": {"n": 1002}}])
    assert not lots.exists()


def test_chance_goes_together_with_gold_and_with_a_budget(campaign: Make, fair_coins: None) -> None:
    c = searching(campaign, 0.5, gold_share=0.3, price_per_vote=Decimal("0.1"), budget=Decimal(10))
    c.project = c.fresh()
    c.upload([{"data": {"n": 1000 + n}, "gold": "cat"} for n in range(20)])
    place_tasks(project_id=c.id)
    given = leased(c, 40)
    assert 10 < sum(share is not None for share in given.values()) < 30
    assert any(n >= 1000 for n in given) and all(given[n] is None for n in given if n >= 1000)
    assert_counters_are_true(c.project)


def test_the_last_tasks_are_found_whatever_the_coins_say(campaign: Make) -> None:
    c = searching(campaign, 0.5)
    assert len(leased(c, 100)) == len(leased(c, 100, annotator=1)) == 100
    third = c.join()
    c.annotators.append(third)
    assert len(leased(c, 100, annotator=2)) == 100
    assert_counters_are_true(c.project)
