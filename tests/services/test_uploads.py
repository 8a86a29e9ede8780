"""Uploading tasks: all lines or none, and as often as one likes."""

from collections.abc import Callable
from typing import Any

import pytest

from projects.errors import Conflict, InvalidTasks
from projects.models import Event, Gold, Task, TaskQueue, TaskState
from projects.services.projects import configure_project
from tests.services.campaign import Campaign

Make = Callable[..., Campaign]

TASKS: list[dict[str, Any]] = [
    {"key": "a", "data": {"n": 1}},
    {"key": "b", "data": {"n": 2}, "gold": "dog"},
    {"data": {"n": 3}},
]


def test_repeating_an_upload_adds_only_what_has_no_key(campaign: Make) -> None:
    c = campaign()
    first = c.upload(TASKS)
    assert (first.created, first.already_there, first.gold) == (3, 0, 1)

    again = c.upload(TASKS)

    assert (again.created, again.already_there, again.gold) == (1, 2, 0)
    assert Task.objects.filter(project=c.project, key__isnull=False).count() == 2


def test_every_task_has_its_state_and_its_place_in_the_queue(campaign: Make) -> None:
    c = campaign(redundancy=4)
    c.upload([*TASKS, {"key": "c", "data": {}, "redundancy": 1}, {"key": "d", "data": {}, "redundancy": 0}])

    wanted = dict(TaskState.objects.filter(project=c.project).values_list("task__key", "redundancy"))
    assert wanted == {"a": 4, "b": 4, None: 4, "c": 1, "d": 0}
    closed = TaskQueue.objects.filter(project=c.project, open=False).values_list("task__key", flat=True)
    assert list(closed) == ["d"], "a task of redundancy 0 is never handed out"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"key": "a", "data": {"n": "other"}}, "line 2.data"),
        ({"key": "b", "data": {"n": 2}, "gold": "cat"}, "line 2.gold"),
        ({"key": "new", "data": {"n": 9}, "gold": "bird"}, "line 2.gold"),
        ({"key": "new", "data": 9}, "line 2.data"),
        ({"key": "first", "data": {}}, "line 2.key"),
    ],
)
def test_one_wrong_line_and_nothing_is_stored(campaign: Make, wrong: dict[str, object], field: str) -> None:
    c = campaign()
    c.upload(TASKS)

    with pytest.raises(InvalidTasks) as refused:
        c.upload([{"key": "first", "data": {}}, wrong, {"key": "last", "data": {}}])

    assert [error.field for error in refused.value.errors] == [field]
    assert Task.objects.filter(project=c.project).count() == 3


def test_gold_can_be_added_to_a_task_that_is_there(campaign: Make) -> None:
    c = campaign()
    c.upload(TASKS)
    c.refit()

    added = c.upload([{"key": "a", "data": {"n": 1}, "gold": "cat"}])

    assert (added.created, added.already_there, added.gold) == (0, 1, 1)
    assert Gold.objects.filter(project=c.project).count() == 2
    assert Event.objects.filter(project=c.project, kind="gold").exists(), "the next refit is due"
    c.refit()
    assert (c.consensus(1).label, c.consensus(1).source) == (0, "gold")


def test_an_upload_takes_the_redundancy_of_the_moment_it_is_merged(campaign: Make) -> None:
    """A slow sender's upload has read the project minutes before it is merged."""
    c = campaign(redundancy=3)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 5})
    assert c.project.redundancy == 3, "the upload below starts from the project as it was"

    c.upload([{"data": {"n": 1}}])

    assert c.state(1).redundancy == 5


def test_an_upload_checked_against_labels_of_yesterday_is_refused(campaign: Make) -> None:
    c = campaign(labels=["cat", "dog"])
    configure_project(project_id=c.id, version=c.fresh().version, changes={"labels": ["dog", "cat"]})

    with pytest.raises(Conflict):
        c.upload([{"data": {"n": 1}, "gold": "cat"}])

    assert not Task.objects.filter(project=c.project).exists()


def test_imported_votes_count_once_and_are_not_limited_by_redundancy(campaign: Make) -> None:
    c = campaign(redundancy=2)
    c.upload([{"key": "a", "data": {"n": 0}}, {"key": "b", "data": {"n": 1}}])
    rows = [("a", worker, "dog") for worker in ("Ada", "Bob", "Cem")] + [("b", "Ada", "cat")]

    first = c.import_votes(rows)
    again = c.import_votes([*rows, ("a", "Ada", "cat")])

    assert (first.imported, first.repeated, first.annotators) == (4, 0, 3)
    assert (again.imported, again.repeated, again.annotators) == (0, 5, 0)
    assert (c.state(0).votes, c.state(0).redundancy, c.state(0).retired) == (3, 3, "redundancy")
    assert (c.state(1).votes, c.state(1).redundancy, c.state(1).retired) == (1, 2, None)
