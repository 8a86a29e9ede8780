"""What a retraining writes of a pool: what has changed, and of a task that is more than its prediction what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aggregation.core import live
from aggregation.services import applying
from projects.models import LiveModel, Prediction, TaskQueue, TaskState
from projects.queries import fetch, from_json
from projects.services.recompute import summarise
from tests.services.campaign import Campaign, assert_state_is_fresh
from tests.services.test_learner_changes import train
from tests.services.test_retraining import learning

Make = Callable[..., Campaign]
VERSIONS = """
SELECT q.task_id, q.xmin::text || q.ctid::text, s.xmin::text || s.ctid::text, s.votes
FROM projects_taskqueue q JOIN projects_taskstate s ON s.task_id = q.task_id
WHERE q.project_id = %(project)s ORDER BY q.task_id
"""


def unvoted_rows(c: Campaign) -> list[tuple[Any, ...]]:
    """Which versions of their rows tasks without votes have."""
    # A lock leaves its mark on a row, so its place counts and not who wrote last.
    return [(id_, queue, state.rpartition("(")[2]) for id_, queue, state, n in fetch(VERSIONS, project=c.id) if n == 0]


def test_a_task_of_which_nothing_has_changed_is_not_written_again(campaign: Make) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    train(c)
    second = train(c)  # the first of which a champion has told how good people are
    before = unvoted_rows(c)

    third = train(c)

    assert third.id != second.id and unvoted_rows(c) == before
    assert set(Prediction.objects.filter(task__project=c.id).values_list("run", flat=True)) == {third.id}


def test_a_task_that_has_moved_by_more_than_the_tolerance_is(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    train(c)
    TaskState.objects.filter(project=c.id, votes=0).update(confidence=0.123)
    TaskQueue.objects.filter(project=c.id, task__state__votes=0).update(priority=1)
    moved = unvoted_rows(c)
    monkeypatch.setattr(applying, "TOLERANCE", 0.0)

    train(c)

    assert all(old != new for old, new in zip(moved, unvoted_rows(c), strict=True))
    assert_unvoted_are_as_predicted(c)


def test_gold_and_flagged_tasks_without_votes_stay_what_they_are(campaign: Make) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    c.upload([{"key": "gold", "data": {"n": 3.5}, "gold": "dog"}])
    TaskState.objects.filter(task=c.task(7)).update(retired="flagged")
    TaskQueue.objects.filter(task=c.task(7)).update(open=False, review=True)

    train(c)

    gold = TaskState.objects.get(task__key="gold", project=c.id)
    assert (gold.label, gold.confidence, gold.retired) == (1, 1.0, None)
    assert c.state(7).retired == "flagged" and c.state(7).label is not None
    assert TaskQueue.objects.filter(task=c.task(7), open=False, review=True).exists()
    assert_unvoted_are_as_predicted(c)
    assert_state_is_fresh(c.project)


def assert_unvoted_are_as_predicted(c: Campaign) -> None:
    """State and place are what a vote's transaction would make of the prediction."""
    assert LiveModel.objects.get(project=c.id).prediction_weight > 0
    ids = list(TaskState.objects.filter(project=c.id, votes=0).values_list("task_id", flat=True))
    found, _ = summarise(project=c.fresh(), task_ids=ids)
    for place, id_ in enumerate(found.ids):
        state, queue = TaskState.objects.get(task=id_), TaskQueue.objects.get(task=id_)
        assert (state.label, state.runner_up) == (found.label[place], found.runner_up[place])
        assert state.confidence == pytest.approx(found.confidence[place], rel=1e-5)
        assert abs(queue.priority - (found.priority[place] or 0)) <= 1 and queue.open is (state.retired is None)
        stored = Prediction.objects.get(task=id_).posterior
        assert live.decode_posterior(from_json(stored), 2).argmax() == state.label or found.has_gold[place]
