"""Choosing the next tasks otherwise than by doubt: searching for one label, and leaving a share to chance."""

from collections.abc import Callable

import pytest

from projects.errors import Invalid
from projects.models import LiveModel, Prediction, Task, TaskQueue
from projects.services.projects import configure_project
from projects.services.recompute import is_explored, random_place, recompute_tasks
from tests.services.campaign import Campaign

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


def test_a_share_of_tasks_lies_anywhere_and_which_does_not_depend_on_what_is_known(campaign: Make) -> None:
    c = predicted(campaign, tasks=400, explore_share=0.25, acquisition="search", search_label="dog")
    ids = dict(Task.objects.filter(project=c.project).values_list("data__n", "id"))
    explored = {n for n, id_ in ids.items() if is_explored(c.fresh(), [id_])[0]}
    assert 60 < len(explored) < 140
    for n, place in places(c).items():
        assert place == (random_place(ids[n], 0) if n in explored else min(100 * n, 1000))
