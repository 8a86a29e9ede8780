"""After a retraining the first places of the queue go to doubtful tasks that are unlike each other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aggregation.models import Run
from aggregation.services import retrain
from aggregation.services.spreading import spread_first
from projects.models import Project, TaskQueue
from tests.services.campaign import Campaign
from tests.services.test_learner_changes import train

Make = Callable[..., Campaign]


def points(campaign: Make, **settings: object) -> Campaign:
    """Ten tasks with votes; then 39 copies of one doubtful task, and a single other one that is as doubtful."""
    settings = {"learner": "embeddings", "learner_fields": ["at"], "retrain_after_votes": 1_000_000, **settings}
    c = campaign(annotators=2, **settings)
    voted = [[1.0, 0.1 * n, 0.0] if n % 2 else [-1.0, 0.1 * n, 0.0] for n in range(10)]
    at = [*voted, *([[0.0, 1.0, 0.0]] * 39), [0.0, 0.0, 1.0]]
    c.upload([{"key": str(n), "data": {"n": n, "at": place}} for n, place in enumerate(at)])
    c.import_votes([(str(n), who, "cat" if n % 2 else "dog") for n in range(10) for who in ("Ada", "Bob")])
    c.refit()
    return c


def first(c: Campaign) -> list[int]:
    return sorted(
        TaskQueue.objects.filter(project=c.id, priority=1000, task__state__votes=0).values_list(
            "task__data__n", flat=True
        )
    )


def test_one_in_ten_comes_first_and_copies_do_not(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = points(campaign)
    asked: list[int] = []

    def of_equal_doubt(*, project: Project, run: Run) -> None:
        asked.append(run.id)
        TaskQueue.objects.filter(project=c.id).update(priority=500)
        spread_first(project=project, run=run)

    monkeypatch.setattr(retrain, "spread_first", of_equal_doubt)
    run = train(c)

    found = first(c)
    assert asked == [run.id] and 49 in found and len(found) == 4


def test_what_has_votes_by_now_lies_where_they_put_it(campaign: Make) -> None:
    c = points(campaign)
    run = train(c)
    TaskQueue.objects.filter(project=c.id).update(priority=500)
    TaskQueue.objects.filter(task=c.task(49)).update(priority=501)
    c.import_votes([("49", "Ada", "cat")])
    before = TaskQueue.objects.get(task=c.task(49)).priority

    spread_first(project=c.fresh(), run=run)

    assert TaskQueue.objects.get(task=c.task(49)).priority == before and len(first(c)) == 3


def test_another_order_than_by_doubt_stays_as_it_is(campaign: Make) -> None:
    c = points(campaign, order="sequential")
    before = dict(TaskQueue.objects.filter(project=c.id).values_list("task_id", "priority"))
    train(c)
    assert dict(TaskQueue.objects.filter(project=c.id).values_list("task_id", "priority")) == before
