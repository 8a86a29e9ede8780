"""Tasks that come after the champion, and places after other settings: brought up to date by a job, a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aggregation.models import Run
from aggregation.services import placing
from aggregation.services.placing import place_tasks, places_due
from projects.models import LiveModel, PlacesDue, Prediction, TaskQueue
from projects.services.projects import configure_project
from tests.services.campaign import Campaign, assert_state_is_fresh
from tests.services.test_champions import turned_about
from tests.services.test_learner_changes import train
from tests.services.test_retraining import learning

Make = Callable[..., Campaign]


def with_champion(campaign: Make, **settings: object) -> tuple[Campaign, Run]:
    c = learning(campaign, votes=20, retrain_after_votes=1_000_000, **settings)
    run = train(c)
    place_tasks(project_id=c.id)
    return c, run


def late(c: Campaign, tasks: int = 6) -> None:
    """Tasks that the champion has not seen: cats and dogs as the others."""
    c.upload([{"key": f"late{n}", "data": {"n": n + 0.5}} for n in range(0, 2 * tasks, 2)])


def predicted_by(c: Campaign) -> dict[str, int]:
    return dict(Prediction.objects.filter(task__project=c.id).values_list("task__key", "run"))


def places(c: Campaign) -> dict[str, int]:
    return dict(TaskQueue.objects.filter(project=c.id).values_list("task__key", "priority"))


def test_tasks_that_are_uploaded_later_are_predicted_by_the_champion(campaign: Make) -> None:
    c, run = with_champion(campaign)
    before = places(c)
    late(c)
    assert c.id in places_due() and "late0" not in predicted_by(c)

    assert place_tasks(project_id=c.id) == 6, "the new ones alone"

    assert c.id not in places_due()
    assert len(predicted_by(c)) == 26 and set(predicted_by(c).values()) == {run.id}
    after = places(c)
    assert after["late8"] > after["late0"], "the learner is surer of a 0 than of an 8"
    assert {key: after[key] for key in before} == before
    assert_state_is_fresh(c.project)


def test_a_challenger_that_loses_leaves_no_task_without_the_champions_word(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c, run = with_champion(campaign)
    late(c)
    PlacesDue.objects.filter(project=c.id).delete()
    c.import_votes([("late0", "Ada", "cat")])
    c.refit()
    turned_about(monkeypatch)

    assert train(c).metrics["promoted"] is False
    place_tasks(project_id=c.id)

    assert len(predicted_by(c)) == 26 and set(predicted_by(c).values()) == {run.id}
    assert_state_is_fresh(c.project)


def test_tasks_taught_get_back_what_the_learner_said_without_having_seen_them(campaign: Make) -> None:
    c, run = with_champion(campaign)
    said = dict(Prediction.objects.filter(task__project=c.id).values_list("task_id", "posterior"))
    Prediction.objects.filter(task__project=c.id).update(run=run.id - 1, posterior=[0.5, 0.5])
    PlacesDue.objects.create(project=c.project, first=0)

    place_tasks(project_id=c.id)

    assert dict(Prediction.objects.filter(task__project=c.id).values_list("task_id", "posterior")) == said


def test_killed_between_two_chunks_the_job_goes_on_where_it_was(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """No handler of ours sees a kill."""

    c, run = with_champion(campaign)
    late(c)
    monkeypatch.setattr(placing, "CHUNK", 2)
    done, calls = placing._place_next, []

    def until_killed(*arguments: Any) -> int:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return done(*arguments)

    monkeypatch.setattr(placing, "_place_next", until_killed)
    with pytest.raises(Killed):
        place_tasks(project_id=c.id)
    assert len(predicted_by(c)) == 24 and c.id in places_due()

    assert place_tasks(project_id=c.id) == 2
    assert len(predicted_by(c)) == 26 and c.id not in places_due()


def test_what_is_asked_for_meanwhile_is_not_lost(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c, run = with_champion(campaign)
    late(c, tasks=2)
    done, calls = placing._predicted, []

    def while_more_come(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            c.upload([{"key": "later", "data": {"n": 3}}])
            PlacesDue.objects.create(project=c.project, first=0)
        return done(*arguments)

    monkeypatch.setattr(placing, "_predicted", while_more_come)

    assert place_tasks(project_id=c.id) == 2 + 23

    assert predicted_by(c)["later"] == run.id and c.id not in places_due()


def test_a_retraining_that_is_predicting_comes_first(campaign: Make) -> None:
    c, _ = with_champion(campaign)
    late(c)
    running = Run.objects.create(project=c.project, kind="retraining", stage="predicting")
    assert place_tasks(project_id=c.id) is None and c.id in places_due()
    running.delete()
    assert place_tasks(project_id=c.id) == 6


def test_another_champion_meanwhile_is_asked_instead(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c, first = with_champion(campaign)
    second = train(c)
    LiveModel.objects.filter(project=c.id).update(learner_run=first.id)
    late(c)
    done, calls = placing._predicted, []

    def while_it_is_replaced(*arguments: Any) -> Any:
        calls.append(1)
        LiveModel.objects.filter(project=c.id).update(learner_run=second.id)
        return done(*arguments)

    monkeypatch.setattr(placing, "_predicted", while_it_is_replaced)

    assert place_tasks(project_id=c.id) == 6

    assert len(calls) == 2 and set(predicted_by(c).values()) == {second.id}


def test_a_learner_that_cannot_be_loaded_leaves_tasks_as_they_are(campaign: Make) -> None:
    c, run = with_champion(campaign)
    from aggregation.models import LearnerArtefact

    LearnerArtefact.objects.filter(run=run).update(content=b"damaged")
    late(c)
    assert place_tasks(project_id=c.id) == 6 and len(predicted_by(c)) == 20
    assert c.id not in places_due(), "it is not tried again and again"


def test_other_settings_move_tasks_that_nobody_has_voted_on(campaign: Make) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    train(c)
    dog = {p.task.key: p.posterior[1] for p in Prediction.objects.filter(task__project=c.id).select_related("task")}
    unvoted = sorted((str(n) for n in range(1, 20, 2)), key=lambda key: dog[key])
    by_doubt = places(c)
    assert by_doubt[unvoted[0]] < 500 and by_doubt[unvoted[-1]] < 500, "the learner is sure of them"

    changes = {"acquisition": "search", "search_label": "dog"}
    configure_project(project_id=c.id, version=c.fresh().version, changes=changes)
    c.refit()
    place_tasks(project_id=c.id)

    by_search = places(c)
    assert by_search[unvoted[0]] < 500 < by_search[unvoted[-1]]
    configure_project(project_id=c.id, version=c.fresh().version, changes={"acquisition": "entropy"})
    place_tasks(project_id=c.id)
    assert places(c)[unvoted[-1]] == pytest.approx(by_doubt[unvoted[-1]], abs=10)
